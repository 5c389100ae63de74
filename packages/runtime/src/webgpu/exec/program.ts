/**
 * Runs finished WebGPU programs. Imports nothing of the compiler, so that a bundle can carry it. A program whose steps
 * need no value on the host is recorded once for each row of sizes, and each call is one submit.
 */
import {
  answerCall,
  type DeviceStep,
  dimValue,
  type HostFunction,
  type HostType,
  type HostValue,
  type Slot,
  sizesIn,
  type WebgpuProgram,
} from "@sinter/ir/program";
import { fromDevice, paddedBytes, toDevice } from "../data.ts";
import type { GpuMachine } from "../machine.ts";
import type { PipelineSource } from "../pipelines.ts";
import type { GpuBlock } from "../pool.ts";
import { usage } from "../usage.ts";
import { branchShader, exchangeShader, moveShader, testShader } from "./helpers.ts";
import { checkSizes, slotText } from "./limits.ts";
import type { Read, Recording } from "./ops.ts";
import { Places, rangeOf } from "./places.ts";
import { always, type PipelinesOfProgram, type Print, Recorder } from "./record.ts";
import { BindGroups, replay } from "./replay.ts";

/** A program on a device. */
export interface GpuExecutable {
  readonly slots: readonly Slot[];
  /** Bytes that it holds: code and embedded constants. */
  readonly bytes: number;
  /** Resolves when its pipelines are there; rejects with what the compiler says, by kernel and line. */
  readonly ready: Promise<void>;
  readonly isReady: boolean;
  /**
   * Runs with the buffers of arguments, constants, states, their replacements and results by slot (embedded constants and
   * the arena are filled in), and the symbolic sizes in `sizes` by slot. Submits within this call where the pipelines are
   * there and nothing waits, else in turn. Resolves when all is submitted, and what the program prints is printed by `host`.
   */
  enqueue(buffers: readonly (GPUBuffer | undefined)[], sizes: readonly number[], host?: HostFunction): Promise<void>;
  /** Gives back its constants, once what was enqueued is done. It must not run any more. */
  dispose(): void;
}

type WhileStep = Extract<DeviceStep, { kind: "while" }>;

/** Rounds of a `while` between two looks at how many ran. */
const mostRounds = 16;

/** Frees the constants of programs that nobody can run any more. */
const abandoned = new FinalizationRegistry<() => void>((free) => free());

/** Puts a program's constants on the device and starts to make its pipelines. */
export function instantiateOnGpu(machine: GpuMachine, program: WebgpuProgram): GpuExecutable {
  const executable = new Executable(machine, program);
  abandoned.register(executable, executable.free);
  return executable;
}

/** A list for one row of sizes. */
interface Prepared {
  readonly recording: Recording;
  readonly prints: readonly Print[];
  readonly params: GPUBuffer | undefined;
}

/** What a row of sizes decides. */
interface Sized {
  readonly sizes: ReadonlyMap<string, number>;
  /** Bytes of each slot's binding; 0 where it has none. */
  readonly bytes: readonly number[];
  prepared: Prepared | undefined;
}

class Executable implements GpuExecutable {
  readonly slots: readonly Slot[];
  readonly bytes: number;
  readonly ready: Promise<void>;
  isReady = false;
  readonly free: () => void;
  private readonly machine: GpuMachine;
  private readonly program: WebgpuProgram;
  private readonly pipelines: PipelinesOfProgram;
  private readonly groups: BindGroups;
  private readonly constants: readonly { readonly slot: number; readonly block: GpuBlock }[];
  /** By sizes. */
  private readonly sized = new Map<string, Sized>();
  /** Steps that need a value on the host. */
  private readonly waiting = new Set<DeviceStep>();

  constructor(machine: GpuMachine, program: WebgpuProgram) {
    this.machine = machine;
    this.program = program;
    this.slots = program.slots;
    this.groups = new BindGroups(machine.device);
    const waits = (step: DeviceStep): boolean => {
      const inside = bodiesOf(step).flat().map(waits);
      const own = step.kind === "while" || (step.kind === "host" && program.calls[step.call]!.kind === "call");
      if (own || inside.includes(true)) this.waiting.add(step);
      return this.waiting.has(step);
    };
    program.steps.forEach(waits);
    const shaders = program.shaders.map((shader) => machine.pipelines.get(shader));
    const helpers = helpersOf(program);
    this.pipelines = { shaders, helper: (source) => machine.pipelines.get(source) };
    const entries = [...shaders, ...helpers.map((source) => machine.pipelines.get(source))];
    this.isReady = entries.every(({ made }) => made !== undefined);
    this.ready = Promise.all(entries.map((entry) => entry.ready)).then(() => {
      this.isReady = true;
    });
    this.ready.catch(() => {});
    this.constants = program.constants.map(({ slot, data }) => ({
      slot,
      block: machine.upload(program.slots[slot]!.dtype, data),
    }));
    this.bytes = this.constants.reduce(
      (n, { block }) => n + block.bytes,
      program.shaders.reduce((n, { code }) => n + code.length, 0),
    );
    const { constants, sized } = this;
    let freed = false;
    this.free = () => {
      if (freed) return;
      freed = true;
      for (const { block } of constants) machine.release(block);
      machine.turns.after(() => {
        for (const { prepared } of sized.values()) prepared?.params?.destroy();
        sized.clear();
      });
    };
  }

  enqueue(
    given: readonly (GPUBuffer | undefined)[],
    sizeOfSlot: readonly number[],
    host?: HostFunction,
  ): Promise<void> {
    const { machine } = this;
    const buffers = [...given];
    for (const { slot, block } of this.constants) buffers[slot] = block.buffer;
    let printed: Promise<void> | undefined;
    const submitted = machine.turns.take(this.isReady ? undefined : this.ready, () => {
      if (machine.lost !== undefined) throw machine.lost;
      const sized = this.sizedFor(sizeOfSlot);
      this.checkBuffers(buffers, sized);
      if (this.waiting.size > 0) return new Call(machine, this.program, this.parts(), sized.sizes, buffers, host).run();
      sized.prepared ??= this.prepare(sized.sizes);
      const { recording, prints, params } = sized.prepared;
      const staging = replay(machine, recording, buffers, this.groups, params);
      if (staging !== undefined)
        printed = machine.inPrintOrder(machine.read(staging, recording.readBytes), (found) => {
          printAll(prints, found, host);
        });
      return undefined;
    });
    return submitted.then(() => printed);
  }

  dispose(): void {
    this.free();
  }

  private parts(): { pipelines: PipelinesOfProgram; groups: BindGroups; waiting: ReadonlySet<DeviceStep> } {
    return { pipelines: this.pipelines, groups: this.groups, waiting: this.waiting };
  }

  private sizedFor(sizeOfSlot: readonly number[]): Sized {
    const sizes = sizesIn(this.slots, sizeOfSlot);
    const key = [...sizes.values()].join();
    let sized = this.sized.get(key);
    if (sized === undefined) {
      checkSizes(this.program, sizes, dimValue(this.program.arenaBytes, sizes), this.machine.features.limits);
      const bytes = this.slots.map((slot) =>
        slot.kind === "arena" || slot.kind === "sym" ? 0 : paddedBytes(dimValue(slot.bytes, sizes)),
      );
      sized = { sizes, bytes, prepared: undefined };
      this.sized.set(key, sized);
    }
    return sized;
  }

  private checkBuffers(buffers: readonly (GPUBuffer | undefined)[], { bytes, sizes }: Sized): void {
    for (const [slot, needed] of bytes.entries()) {
      if (needed === 0) continue;
      const buffer = buffers[slot];
      if (buffer !== undefined && buffer.size >= needed) continue;
      const why = buffer === undefined ? "has no buffer" : `has a buffer of ${buffer.size} bytes, and needs ${needed}`;
      throw new Error(`webgpu: ${this.program.name}: ${slotText(this.program, slot, sizes)} ${why}`);
    }
  }

  private prepare(sizes: ReadonlyMap<string, number>): Prepared {
    const { machine, program } = this;
    const recorder = new Recorder(program, new Places(program, sizes), this.pipelines, machine.features.limits);
    recorder.steps(program.steps, always);
    const { recording, prints } = recorder.take();
    let params: GPUBuffer | undefined;
    if (recording.params.length > 0) {
      const label = `${program.name} params`;
      params = machine.device.createBuffer({ label, size: recording.params.byteLength, usage: usage.params });
      machine.write(params, 0, recording.params);
    }
    return { recording, prints, params };
  }
}

/** A call of a program some steps of which need values on the host: it stops there, reads and goes on. */
class Call {
  private readonly machine: GpuMachine;
  private readonly program: WebgpuProgram;
  private readonly waiting: ReadonlySet<DeviceStep>;
  private readonly groups: BindGroups;
  private readonly recorder: Recorder;
  private readonly buffers: readonly (GPUBuffer | undefined)[];
  private readonly host: HostFunction | undefined;

  constructor(
    machine: GpuMachine,
    program: WebgpuProgram,
    parts: {
      readonly pipelines: PipelinesOfProgram;
      readonly groups: BindGroups;
      readonly waiting: ReadonlySet<DeviceStep>;
    },
    sizes: ReadonlyMap<string, number>,
    buffers: readonly (GPUBuffer | undefined)[],
    host: HostFunction | undefined,
  ) {
    this.machine = machine;
    this.program = program;
    this.waiting = parts.waiting;
    this.groups = parts.groups;
    this.recorder = new Recorder(program, new Places(program, sizes), parts.pipelines, machine.features.limits);
    this.buffers = buffers;
    this.host = host;
  }

  async run(): Promise<void> {
    await this.steps(this.program.steps);
    await this.flush();
  }

  private async steps(list: readonly DeviceStep[]): Promise<void> {
    for (const step of list) {
      if (this.waiting.has(step)) await this.waits(step);
      else this.recorder.step(step, always);
    }
  }

  private async waits(step: DeviceStep): Promise<void> {
    switch (step.kind) {
      case "host":
        await this.ask(step);
        return;
      case "if": {
        const index = await this.scalar(step.index);
        const branch = Math.min(Math.max(index, 0), step.branches.length - 1);
        await this.steps(step.branches[branch]!);
        return;
      }
      case "for": {
        const { places } = this.recorder;
        const count = dimValue(step.count, places.sizes);
        for (let round = 0; round < count; round++) {
          places.enter(step.counter, round, count);
          await this.steps(step.body);
        }
        return;
      }
      case "while":
        if ([...step.test, ...step.body].some((inner) => this.waiting.has(inner))) await this.roundByRound(step);
        else await this.inChunks(step);
        return;
      default:
        throw new Error(`webgpu: a ${step.kind} needs no value on the host`);
    }
  }

  private async roundByRound(step: WhileStep): Promise<void> {
    for (;;) {
      await this.steps(step.test);
      if ((await this.scalar(step.predicate)) === 0) return;
      await this.steps(step.body);
    }
  }

  /** Rounds that nobody needed ran closed, and did nothing. */
  private async inChunks(step: WhileStep): Promise<void> {
    for (let count = 1; ; count = Math.min(2 * count, mostRounds)) {
      const { ran, after } = this.recorder.rounds(step, count);
      const found = await this.flush();
      const rounds = valueAt(found!, ran);
      if (rounds < count) {
        this.recorder.places.become(after[rounds]!);
        return;
      }
    }
  }

  private async scalar(id: number): Promise<number> {
    const read = this.recorder.readBuffer(id);
    return valueAt((await this.flush())!, read);
  }

  private async ask(step: Extract<DeviceStep, { kind: "host" }>): Promise<void> {
    const call = this.program.calls[step.call]!;
    const reads = step.operands.map((id) => this.recorder.readBuffer(id));
    const found = await this.flush();
    const operands = call.operands.map((type, i) => hostValue(type, reads[i]!, found ?? new ArrayBuffer(0)));
    for (const [i, { data, dtype }] of answerCall(call, operands, this.host).entries()) {
      const { places } = this.recorder;
      const id = step.results[i]!;
      const { space, offset } = rangeOf(places.of(id), places.elements(id));
      // The submit before this one made the arena as large as the program needs.
      const buffer = space < 0 ? this.machine.working("arena", 0) : this.buffers[space]!;
      this.machine.write(buffer, offset, toDevice(dtype, data));
    }
  }

  /** Submits what is recorded; gives what was to be read. */
  private async flush(): Promise<ArrayBuffer | undefined> {
    const { machine } = this;
    const { recording, prints } = this.recorder.take();
    if (recording.ops.length === 0 && recording.readBytes === 0) return undefined;
    if (machine.lost !== undefined) throw machine.lost;
    const staging = replay(machine, recording, this.buffers, this.groups, undefined);
    if (staging === undefined) return undefined;
    const found = await machine.read(staging, recording.readBytes);
    await machine.inPrintOrder(Promise.resolve(found), () => printAll(prints, found, this.host));
    machine.check();
    return found;
  }
}

function printAll(prints: readonly Print[], found: ArrayBuffer, host: HostFunction | undefined): void {
  for (const { call, gate, operands } of prints) {
    if (gate !== undefined && valueAt(found, gate) === 0) continue;
    answerCall(
      call,
      call.operands.map((type, i) => hostValue(type, operands[i]!, found)),
      host,
    );
  }
}

function hostValue({ dtype, shape }: HostType, { at, bytes }: Read, found: ArrayBuffer): HostValue {
  return { dtype, shape, data: fromDevice(dtype, found, at, bytes / 4) };
}

function valueAt(found: ArrayBuffer, { at }: Read): number {
  return new DataView(found).getInt32(at, true);
}

function bodiesOf(step: DeviceStep): readonly (readonly DeviceStep[])[] {
  switch (step.kind) {
    case "if":
      return step.branches;
    case "for":
      return [step.body];
    case "while":
      return [step.test, step.body];
    default:
      return [];
  }
}

/** The executor's own shaders that a program may need. */
function helpersOf(program: WebgpuProgram): PipelineSource[] {
  const kinds = new Set<DeviceStep["kind"]>();
  const visit = (step: DeviceStep): void => {
    kinds.add(step.kind);
    for (const inner of bodiesOf(step).flat()) visit(inner);
  };
  program.steps.forEach(visit);
  const moves = kinds.has("copy") || kinds.has("host");
  const gated = kinds.has("if") || kinds.has("while");
  const out: PipelineSource[] = [];
  if (moves) out.push(moveShader(false, false), moveShader(false, true));
  if (moves && gated) out.push(moveShader(true, false), moveShader(true, true));
  if (kinds.has("if")) out.push(branchShader());
  if (kinds.has("while")) out.push(testShader());
  if (kinds.has("if") && kinds.has("swap")) out.push(exchangeShader());
  return out;
}
