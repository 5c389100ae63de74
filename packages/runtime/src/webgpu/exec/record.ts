/**
 * Records the steps of a program as a flat list of dispatches and copies: loops are unrolled, exchanges move places, and
 * what runs in a branch is gated by a word that is computed on the device.
 */
import {
  type DeviceRange,
  type DeviceStep,
  dimValue,
  type HostCall,
  type ParamWord,
  sizedSlot,
  type WebgpuProgram,
} from "@sinter/ir/program";
import { bytesPerElement, paddedBytes } from "../data.ts";
import type { PipelineEntry, PipelineSource } from "../pipelines.ts";
import { branchShader, exchangeShader, helperThreads, moveShader, noGate, testShader } from "./helpers.ts";
import { checkBinding, type LimitsOfDispatch } from "./limits.ts";
import {
  arenaSpace,
  emptySpace,
  emptyTargetSpace,
  gateSpace,
  type Location,
  type Op,
  type Read,
  type Recording,
  readSpace,
} from "./ops.ts";
import { overlap, type Placed, type Places, rangeOf } from "./places.ts";

/** Bytes that entries of parameters, and gates, are apart: what offsets of bindings are a multiple of. */
const apart = 256;
const wordsApart = apart / 4;

/** The gate that is always open: for shaders that have one where nothing decides. */
const openGate = 0;

/** What decides whether steps run. */
export interface Around {
  /** Number of the gate; undefined where steps always run. */
  readonly gate: number | undefined;
  /** Whether exchanges are known while recording: not in a branch that may not be taken. */
  readonly places: boolean;
}
export const always: Around = { gate: undefined, places: true };

/** A print: what is read for it. */
export interface Print {
  readonly call: HostCall;
  readonly gate: Read | undefined;
  readonly operands: readonly Read[];
}

/** How a recorder comes to pipelines. */
export interface PipelinesOfProgram {
  readonly shaders: readonly PipelineEntry[];
  helper(source: PipelineSource): PipelineEntry;
}

export class Recorder {
  readonly places: Places;
  private readonly program: WebgpuProgram;
  private readonly pipelines: PipelinesOfProgram;
  private readonly limits: LimitsOfDispatch;
  private ops: Op[] = [];
  private params: number[] = [];
  private entries = new Map<string, number>();
  private readBytes = 0;
  private prints: Print[] = [];
  private gates = openGate + 1;
  private mostGates = openGate + 1;
  private readonly arenaBytes: number;

  constructor(program: WebgpuProgram, places: Places, pipelines: PipelinesOfProgram, limits: LimitsOfDispatch) {
    this.program = program;
    this.places = places;
    this.pipelines = pipelines;
    this.limits = limits;
    this.arenaBytes = dimValue(program.arenaBytes, places.sizes);
  }

  /** How many dispatches and copies were recorded since `take`. */
  get length(): number {
    return this.ops.length;
  }

  /** What was recorded since this was asked last. */
  take(): { readonly recording: Recording; readonly prints: readonly Print[] } {
    const recording = {
      ops: this.ops,
      params: Uint32Array.from(this.params),
      arenaBytes: this.arenaBytes,
      gateBytes: this.mostGates === openGate + 1 ? 0 : this.mostGates * apart,
      readBytes: this.readBytes,
    };
    const { prints } = this;
    this.ops = [];
    this.params = [];
    this.entries = new Map();
    this.readBytes = 0;
    this.prints = [];
    this.mostGates = this.gates;
    return { recording, prints };
  }

  steps(list: readonly DeviceStep[], around: Around): void {
    for (const step of list) this.step(step, around);
  }

  step(step: DeviceStep, around: Around): void {
    switch (step.kind) {
      case "dispatch":
        this.dispatch(step, around);
        return;
      case "copy":
        this.copy(step.from, step.to, around);
        return;
      case "swap":
        this.swap(step.a, step.b, around);
        return;
      case "host":
        this.print(step, around);
        return;
      case "if":
        this.branch(step, around);
        return;
      case "for": {
        const count = dimValue(step.count, this.places.sizes);
        for (let round = 0; round < count; round++) {
          this.places.enter(step.counter, round, count);
          this.steps(step.body, around);
        }
        return;
      }
      case "while":
        throw new Error(`webgpu: a while loop of ${this.program.name} was recorded as a part of a list`);
      default:
        step satisfies never;
    }
  }

  /**
   * A number of rounds of a `while` whose steps need no value on the host. Gives where the number of rounds that ran is
   * read, and where buffers are after each test.
   */
  rounds(
    step: Extract<DeviceStep, { kind: "while" }>,
    count: number,
  ): { readonly ran: Read; readonly after: readonly Places[] } {
    const gate = this.newGates(1);
    const after: Places[] = [];
    for (let round = 0; round < count; round++) {
      this.steps(step.test, round === 0 ? always : { gate, places: true });
      after.push(this.places.copy());
      const { location, start } = this.places.of(step.predicate);
      this.helper(testShader(), undefined, [round === 0 ? 1 : 0, gate * wordsApart, start], 1, [
        this.allGates(),
        location,
      ]);
      this.steps(step.body, { gate, places: true });
    }
    this.gates = gate;
    return { ran: this.read({ space: gateSpace, offset: gate * apart + 4, bytes: 4 }), after };
  }

  /** The elements of a buffer, for the host. */
  readBuffer(id: number): Read {
    return this.read(rangeOf(this.places.of(id), this.places.elements(id)));
  }

  /** The elements of a slot, for the host. */
  readSlot(slot: number): Read {
    const { shape } = sizedSlot(this.program.slots[slot]!, this.places.sizes);
    const elements = shape.reduce((n, size) => n * size, 1);
    return this.read({ space: slot, offset: 0, bytes: elements * bytesPerElement });
  }

  private read(from: Location): Read {
    const at = this.readBytes;
    this.readBytes += Math.ceil(from.bytes / 16) * 16;
    const to = { space: readSpace, offset: at, bytes: from.bytes };
    if (from.bytes > 0) this.ops.push({ kind: "copy", from, to, bytes: from.bytes });
    return { at, bytes: from.bytes };
  }

  private dispatch(step: Extract<DeviceStep, { kind: "dispatch" }>, { gate }: Around): void {
    const groups = dimValue(step.groups, this.places.sizes);
    if (groups <= 0) return;
    const shader = this.program.shaders[step.shader]!;
    if (gate !== undefined && !shader.gated) throw new Error(`webgpu: ${shader.label} is in a branch, but has no gate`);
    const bindings = step.ranges.map((range, i) => this.range(range, shader.label, shader.buffers[i] === "read"));
    const around = shader.gated ? [this.gateAt(gate ?? openGate)] : [];
    const params = shader.params ? this.entry(step.params.map((word) => this.word(word))) : undefined;
    this.push(
      shader.label,
      this.pipelines.shaders[step.shader]!,
      groups,
      params,
      [...around, ...bindings],
      step.kernel,
    );
  }

  private push(
    label: string,
    entry: PipelineEntry,
    groups: number,
    params: { readonly bytes: number; readonly offset: number } | undefined,
    bindings: readonly Location[],
    kernel?: number,
  ): void {
    const most = this.limits.maxComputeWorkgroupsPerDimension;
    const y = Math.ceil(groups / most);
    if (y > most) throw new Error(`webgpu: ${label} needs ${groups} workgroups; a dispatch has at most ${most * most}`);
    this.ops.push({
      kind: "dispatch",
      label,
      entry,
      first: params === undefined ? 1 : 0,
      ...(params === undefined ? {} : { params }),
      bindings,
      x: Math.ceil(groups / y),
      y,
      ...(kernel === undefined ? {} : { kernel }),
    });
  }

  private range(range: DeviceRange, kernel: string, read: boolean): Location {
    const { sizes } = this.places;
    const location =
      range.kind === "buffer"
        ? this.places.of(range.buffer).location
        : { space: arenaSpace, offset: dimValue(range.offset, sizes), bytes: dimValue(range.bytes, sizes) };
    if (location.bytes === 0) return { space: read ? emptySpace : emptyTargetSpace, offset: 0, bytes: 16 };
    checkBinding(location, kernel, this.program, this.limits);
    return { ...location, bytes: paddedBytes(location.bytes) };
  }

  private word(word: ParamWord): number {
    switch (word.kind) {
      case "start":
        return this.places.of(word.buffer).start;
      case "place":
        return this.places.of(word.buffer).location.offset / bytesPerElement;
      case "offset":
        return dimValue(word.bytes, this.places.sizes) / bytesPerElement;
      case "round":
        return this.places.round(word.counter);
      case "sym":
        return dimValueOf(this.places.sizes, word.name);
      default:
        return word satisfies never;
    }
  }

  /** Equal entries are one. */
  private entry(words: readonly number[]): { readonly bytes: number; readonly offset: number } {
    const key = words.join();
    let offset = this.entries.get(key);
    if (offset === undefined) {
      offset = this.params.length * 4;
      const room = Math.max(wordsApart, Math.ceil(words.length / wordsApart) * wordsApart);
      this.params.push(...words, ...new Array<number>(room - words.length).fill(0));
      this.entries.set(key, offset);
    }
    return { bytes: paddedBytes(words.length * 4), offset };
  }

  private helper(
    source: PipelineSource,
    gate: number | undefined,
    words: readonly number[],
    groups: number,
    buffers: readonly Location[],
  ): void {
    const bindings = buffers.map((location) => ({ ...location, bytes: paddedBytes(location.bytes) }));
    const around = gate === undefined ? [] : [this.gateAt(gate)];
    this.push(source.label, this.pipelines.helper(source), groups, this.entry(words), [...around, ...bindings]);
  }

  private copy(fromId: number, toId: number, { gate }: Around): void {
    const [from, to] = [this.places.of(fromId), this.places.of(toId)];
    this.move(from, to, this.places.elements(toId), gate);
  }

  private move(from: Placed, to: Placed, elements: number, gate: number | undefined): void {
    const [source, target] = [rangeOf(from, elements), rangeOf(to, elements)];
    if (elements === 0 || (source.space === target.space && source.offset === target.offset)) return;
    if (gate === undefined && source.space !== target.space) {
      this.ops.push({ kind: "copy", from: source, to: target, bytes: elements * bytesPerElement });
      return;
    }
    const one = overlap(from.location, to.location);
    // Slices of one buffer: the same whole, or one within the other.
    const whole = from.location.bytes >= to.location.bytes ? from.location : to.location;
    const starts = one
      ? [source.offset - whole.offset, target.offset - whole.offset].map((bytes) => bytes / bytesPerElement)
      : [from.start, to.start];
    const buffers = one ? [whole] : [from.location, to.location];
    const groups = Math.ceil(elements / helperThreads);
    this.helper(moveShader(gate !== undefined, one), gate, [elements, ...starts], groups, buffers);
  }

  private swap(a: number, b: number, { gate, places }: Around): void {
    if (gate === undefined || places) {
      this.places.swap(a, b);
      return;
    }
    const elements = this.places.elements(a);
    if (elements === 0) return;
    const buffers = [a, b].map((id) => this.places.of(id).location);
    this.helper(exchangeShader(), gate, [elements], Math.ceil(elements / helperThreads), buffers);
  }

  /** The values are copied as they are now; the text is made when the list is done. */
  private print(step: Extract<DeviceStep, { kind: "host" }>, around: Around): void {
    const { gate } = around;
    const call = this.program.calls[step.call]!;
    if (call.kind !== "print")
      throw new Error(`webgpu: a host call of ${this.program.name} was recorded as a part of a list`);
    this.prints.push({
      call,
      gate: gate === undefined ? undefined : this.read({ ...this.gateAt(gate), bytes: 4 }),
      operands: step.operands.map((id) => this.readBuffer(id)),
    });
    const [from, to] = [step.operands[0], step.results[0]];
    if (from !== undefined && to !== undefined) this.copy(from, to, around);
  }

  private branch(step: Extract<DeviceStep, { kind: "if" }>, around: Around): void {
    const { branches } = step;
    if (branches.length === 1) {
      this.steps(branches[0]!, around);
      return;
    }
    const first = this.newGates(branches.length);
    const outer = around.gate === undefined ? noGate : around.gate * wordsApart;
    const { location, start } = this.places.of(step.index);
    this.helper(branchShader(), undefined, [outer, first * wordsApart, wordsApart, branches.length, start], 1, [
      this.allGates(),
      location,
    ]);
    for (const [i, branch] of branches.entries()) this.steps(branch, { gate: first + i, places: false });
    // Dispatches run in order, so that what comes later may use them again.
    this.gates = first;
  }

  private newGates(count: number): number {
    const first = this.gates;
    this.gates += count;
    this.mostGates = Math.max(this.mostGates, this.gates);
    return first;
  }

  private gateAt(gate: number): Location {
    if (this.mostGates === openGate + 1) this.mostGates++;
    return { space: gateSpace, offset: gate * apart, bytes: 16 };
  }

  /** All of the buffer: how long it is, is known in the end. */
  private allGates(): Location {
    return { space: gateSpace, offset: 0, bytes: Number.POSITIVE_INFINITY };
  }
}

function dimValueOf(sizes: ReadonlyMap<string, number>, name: string): number {
  const size = sizes.get(name);
  if (size === undefined) throw new Error(`webgpu: the symbolic size ${name} has no value here`);
  return size;
}
