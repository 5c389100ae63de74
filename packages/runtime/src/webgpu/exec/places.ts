/** Where the buffers of a program are while it runs: places that steps exchange, and the parts that loops take. */
import { type DeviceBuffer, dimValue, type Place, type WebgpuProgram } from "@sinter/ir/program";
import { bytesPerElement } from "../data.ts";
import { arenaSpace, type Location } from "./ops.ts";

/** A buffer as a dispatch sees it: the whole memory, and the element that it begins at. */
export interface Placed {
  readonly location: Location;
  readonly start: number;
}

export class Places {
  readonly sizes: ReadonlyMap<string, number>;
  private readonly program: WebgpuProgram;
  private readonly buffers: ReadonlyMap<number, DeviceBuffer>;
  private moved = new Map<number, Location>();
  private slices = new Map<number, Placed>();
  private rounds = new Map<number, number>();

  constructor(program: WebgpuProgram, sizes: ReadonlyMap<string, number>) {
    this.program = program;
    this.sizes = sizes;
    this.buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]));
  }

  /** As it is now: what is done to it changes the other no more. */
  copy(): Places {
    const out = new Places(this.program, this.sizes);
    out.moved = new Map(this.moved);
    out.slices = new Map(this.slices);
    out.rounds = new Map(this.rounds);
    return out;
  }

  /** Puts buffers where `other` has them. */
  become(other: Places): void {
    const { moved, slices, rounds } = other.copy();
    this.moved = moved;
    this.slices = slices;
    this.rounds = rounds;
  }

  /** Throws for a buffer that has no memory. */
  of(id: number): Placed {
    const slice = this.slices.get(id);
    if (slice !== undefined) return slice;
    return { location: this.moved.get(id) ?? this.resolve(this.buffer(id).place, id), start: 0 };
  }

  /** Elements of a buffer. */
  elements(id: number): number {
    return dimValue(this.buffer(id).elements, this.sizes);
  }

  buffer(id: number): DeviceBuffer {
    const found = this.buffers.get(id);
    if (found === undefined) throw new Error(`webgpu: program ${this.program.name} has no buffer ${id}`);
    return found;
  }

  swap(a: number, b: number): void {
    const [first, second] = [this.of(a).location, this.of(b).location];
    this.moved.set(a, second);
    this.moved.set(b, first);
  }

  round(counter: number): number {
    const round = this.rounds.get(counter);
    if (round === undefined) throw new Error(`webgpu: counter ${counter} is read outside of its loop`);
    return round;
  }

  /** Round `round` of `count` of a loop: what its slices are. A slice of a slice comes behind it in the program. */
  enter(counter: number, round: number, count: number): void {
    this.rounds.set(counter, round);
    for (const { id, slice } of this.program.buffers) {
      if (slice?.counter !== counter) continue;
      const { location, start } = this.of(slice.of);
      const at = slice.reverse ? count - 1 - round : round;
      this.slices.set(id, { location, start: start + at * this.elements(id) });
    }
  }

  private resolve(place: Place, id: number): Location {
    const bytes = (): number =>
      place.kind === "arena" || place.kind === "slot" ? dimValue(place.bytes, this.sizes) : 0;
    switch (place.kind) {
      case "arena":
        return { space: arenaSpace, offset: dimValue(place.offset, this.sizes), bytes: bytes() };
      case "slot":
        return { space: place.slot, offset: 0, bytes: bytes() };
      case "same":
        return this.resolve(this.placeOf(place.as), place.as);
      case "none":
        throw new Error(`webgpu: buffer ${id} of program ${this.program.name} has no place in the memory plan`);
      default:
        return place satisfies never;
    }
  }

  /** Of a buffer that steps need not name, so that the program may not list it. */
  private placeOf(id: number): Place {
    return this.buffer(id).place;
  }
}

/** The memory of the elements of a placed buffer alone. */
export function rangeOf({ location, start }: Placed, elements: number): Location {
  return {
    space: location.space,
    offset: location.offset + start * bytesPerElement,
    bytes: elements * bytesPerElement,
  };
}

export function overlap(a: Location, b: Location): boolean {
  return a.space === b.space && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}
