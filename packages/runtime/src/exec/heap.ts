/**
 * The one linear memory that all programs import: tensors, variables, constants and the arena live in it. A free list
 * of 64-byte aligned blocks with coalescing; knows nothing of tensors or programs.
 */
import { bytesOf, type DType, type MemoryKind, type TypedArray } from "@sinter/ir/program";

export const alignment = 64;
const pageBytes = 65536;
const gibibyte = 1 << 30;

/** A run of bytes in the heap. `address` stays the same until the block is freed. */
export interface Block {
  readonly address: number;
  /** A multiple of the alignment, at least what was asked for. */
  readonly bytes: number;
}

/** Thrown when a request fits neither in what is free nor in what the memory may still grow by. */
export class HeapFullError extends Error {
  override readonly name = "HeapFullError";
  /** What was asked for. */
  readonly bytes: number;
  /** What is in use. */
  readonly liveBytes: number;
  /** What the memory may grow to. */
  readonly maximumBytes: number;

  constructor(bytes: number, liveBytes: number, maximumBytes: number) {
    super(
      `out of memory: asked for ${megabytes(bytes)} with ${megabytes(liveBytes)} in use of at most ${megabytes(maximumBytes)}`,
    );
    this.bytes = bytes;
    this.liveBytes = liveBytes;
    this.maximumBytes = maximumBytes;
  }
}

function megabytes(bytes: number): string {
  return bytes < 1 << 20 ? `${bytes} bytes` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

export interface HeapOptions {
  readonly kind?: MemoryKind;
  /** Default 4 GiB; a shared memory settles for less where the engine refuses. */
  readonly maximumBytes?: number;
  readonly initialBytes?: number;
}

/** A block with its neighbours by address (`lower`, `upper`) and, while free, by size class (`previous`, `next`). */
interface Node {
  address: number;
  bytes: number;
  free: boolean;
  lower: Node | undefined;
  upper: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

/** Size classes: eight for each doubling. Within the class of the request the best fit wins, else the next class. */
const classes = 32 * 8;
const searchLimit = 32;

function classOf(bytes: number): number {
  const units = bytes / alignment;
  const log = 31 - Math.clz32(units);
  return log < 3 ? units : (log - 2) * 8 + ((units >>> (log - 3)) & 7);
}

export class Heap {
  readonly kind: MemoryKind;
  readonly memory: WebAssembly.Memory;
  readonly maximumBytes: number;
  /** Bytes in blocks that are in use. */
  liveBytes = 0;
  /** The largest `liveBytes` so far. */
  peakBytes = 0;
  private readonly bins: (Node | undefined)[] = new Array<Node | undefined>(classes).fill(undefined);
  private readonly occupied = new Int32Array(classes / 32);
  private top: Node;
  private capacity: number;

  constructor(options: HeapOptions = {}) {
    this.kind = options.kind ?? "unshared";
    const initial = Math.ceil((options.initialBytes ?? 16 * 1024 * 1024) / pageBytes);
    let maximum = Math.ceil(Math.min(options.maximumBytes ?? 4 * gibibyte, 4 * gibibyte) / pageBytes);
    for (;;) {
      try {
        this.memory = new WebAssembly.Memory({ initial, maximum, shared: this.kind === "shared" });
        break;
      } catch (error) {
        if (!(error instanceof RangeError) || maximum / 2 < initial) throw error;
        maximum = Math.floor(maximum / 2);
      }
    }
    this.maximumBytes = maximum * pageBytes;
    this.capacity = initial * pageBytes;
    // Address 0 stays unused, so that a null pointer is never a valid block.
    this.top = node(alignment, this.capacity - alignment, undefined);
    this.insert(this.top);
  }

  /** Bytes the memory has grown to. */
  get capacityBytes(): number {
    return this.capacity;
  }

  /** A block of at least `bytes` bytes; throws `HeapFullError`. */
  allocate(bytes: number): Block {
    const needed = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    let found = this.find(needed);
    if (found === undefined) {
      this.grow(needed, bytes);
      found = this.find(needed);
      if (found === undefined) throw new Error(`heap: ${needed} bytes not found after growing`);
    }
    this.remove(found);
    if (found.bytes > needed) this.split(found, needed);
    found.free = false;
    this.liveBytes += found.bytes;
    if (this.liveBytes > this.peakBytes) this.peakBytes = this.liveBytes;
    return found;
  }

  /** Gives a block back. Freeing twice is an error. */
  release(block: Block): void {
    let freed = block as Node;
    if (freed.free) throw new Error(`heap: the block at ${block.address} was freed twice`);
    this.liveBytes -= freed.bytes;
    freed.free = true;
    const { upper, lower } = freed;
    if (upper?.free === true) {
      this.remove(upper);
      this.absorb(freed, upper);
    }
    if (lower?.free === true) {
      this.remove(lower);
      this.absorb(lower, freed);
      freed = lower;
    }
    this.insert(freed);
  }

  /** A view of the memory as it is now. Never keep one across anything that may allocate: growth detaches it. */
  view(dtype: DType, address: number, length: number): TypedArray {
    const { buffer } = this.memory;
    switch (dtype) {
      case "f32":
        return new Float32Array(buffer, address, length);
      case "f64":
        return new Float64Array(buffer, address, length);
      case "i32":
        return new Int32Array(buffer, address, length);
      case "u32":
        return new Uint32Array(buffer, address, length);
      case "bool":
        return new Uint8Array(buffer, address, length);
      default:
        return dtype satisfies never;
    }
  }

  /** A copy of memory that nothing else sees (never of a shared buffer). */
  copy(dtype: DType, address: number, length: number): TypedArray {
    return this.view(dtype, address, length).slice();
  }

  /** A block holding a copy of `data`. */
  place(dtype: DType, data: ArrayLike<number>): Block {
    const block = this.allocate(data.length * bytesOf(dtype));
    this.view(dtype, block.address, data.length).set(data);
    return block;
  }

  /** Checks every link and sum; for tests. */
  verify(): void {
    let live = 0;
    let end = this.capacity;
    for (let at: Node | undefined = this.top; at !== undefined; at = at.lower) {
      if (at.address + at.bytes !== end) throw new Error(`heap: gap after the block at ${at.address}`);
      if (at.free && at.lower?.free === true) throw new Error(`heap: free neighbours at ${at.address}`);
      if (!at.free) live += at.bytes;
      end = at.address;
    }
    if (end !== alignment) throw new Error(`heap: lowest block at ${end}`);
    if (live !== this.liveBytes) throw new Error(`heap: ${live} bytes live, ${this.liveBytes} counted`);
  }

  private grow(needed: number, asked: number): void {
    const spare = this.top.free ? this.top.bytes : 0;
    const least = Math.ceil((needed - spare) / pageBytes) * pageBytes;
    const room = this.maximumBytes - this.capacity;
    if (least > room) throw new HeapFullError(asked, this.liveBytes, this.maximumBytes);
    // A quarter more than now, so that growth stays rare; never past the maximum.
    const step = Math.max(least, 16 * 1024 * 1024, Math.ceil(this.capacity / 4 / pageBytes) * pageBytes);
    let added = Math.min(step, room);
    try {
      this.memory.grow(added / pageBytes);
    } catch {
      added = least;
      try {
        this.memory.grow(added / pageBytes);
      } catch {
        throw new HeapFullError(asked, this.liveBytes, this.capacity);
      }
    }
    const fresh = node(this.capacity, added, this.top);
    this.capacity += added;
    this.top.upper = fresh;
    if (this.top.free) {
      this.remove(this.top);
      this.absorb(this.top, fresh);
    } else this.top = fresh;
    this.insert(this.top);
  }

  private find(needed: number): Node | undefined {
    const from = classOf(needed);
    let best: Node | undefined;
    let seen = 0;
    for (let at = this.bins[from]; at !== undefined && seen < searchLimit; at = at.next, seen++) {
      if (at.bytes === needed) return at;
      if (at.bytes > needed && (best === undefined || at.bytes < best.bytes)) best = at;
    }
    if (best !== undefined) return best;
    for (let word = (from + 1) >>> 5; word < this.occupied.length; word++) {
      let bits = this.occupied[word]!;
      if (word === (from + 1) >>> 5) bits &= -1 << ((from + 1) & 31);
      if (bits !== 0) return this.bins[word * 32 + 31 - Math.clz32(bits & -bits)];
    }
    // Blocks of the same class past the search limit.
    for (let at = this.bins[from]; at !== undefined; at = at.next) if (at.bytes >= needed) return at;
    return undefined;
  }

  private split(whole: Node, bytes: number): void {
    const rest = node(whole.address + bytes, whole.bytes - bytes, whole);
    rest.upper = whole.upper;
    if (rest.upper !== undefined) rest.upper.lower = rest;
    else this.top = rest;
    whole.upper = rest;
    whole.bytes = bytes;
    this.insert(rest);
  }

  private absorb(lower: Node, upper: Node): void {
    lower.bytes += upper.bytes;
    lower.upper = upper.upper;
    if (upper.upper !== undefined) upper.upper.lower = lower;
    if (this.top === upper) this.top = lower;
  }

  private insert(free: Node): void {
    const bin = classOf(free.bytes);
    const first = this.bins[bin];
    free.previous = undefined;
    free.next = first;
    if (first !== undefined) first.previous = free;
    this.bins[bin] = free;
    this.occupied[bin >>> 5]! |= 1 << (bin & 31);
  }

  private remove(free: Node): void {
    const bin = classOf(free.bytes);
    if (free.previous !== undefined) free.previous.next = free.next;
    else {
      this.bins[bin] = free.next;
      if (free.next === undefined) this.occupied[bin >>> 5]! &= ~(1 << (bin & 31));
    }
    if (free.next !== undefined) free.next.previous = free.previous;
    free.previous = undefined;
    free.next = undefined;
  }
}

function node(address: number, bytes: number, lower: Node | undefined): Node {
  return { address, bytes, free: true, lower, upper: undefined, previous: undefined, next: undefined };
}
