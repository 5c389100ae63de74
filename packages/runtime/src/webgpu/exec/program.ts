/**
 * Runs finished WebGPU programs. Imports nothing of the compiler, so that a bundle can carry it. A program whose steps
 * need no value on the host is recorded once for each row of sizes, and each call is one submit.
 */
import {
  type DeviceStep,
  dimValue,
  type HostFunction,
  type Slot,
  sizesIn,
  type WebgpuProgram,
} from "@sinter/ir/program";
import { paddedBytes } from "../data.ts";
import { settled } from "../faults.ts";
import type { GpuMachine } from "../machine.ts";
import type { GpuBlock } from "../pool.ts";
import { usage } from "../usage.ts";
import { Call, contentsOf, printAll } from "./call.ts";
import { checkSizes, slotText } from "./limits.ts";
import type { Read, Recording } from "./ops.ts";
import { Places } from "./places.ts";
import { always, type PipelinesOfProgram, type Print, Recorder } from "./record.ts";
import { BindGroups, OwnMemory, type PassTimer, recordInto, replay } from "./replay.ts";
import { helpersOf, waitingSteps } from "./steps.ts";

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
   * there and nothing waits, else in turn. Resolves when all is submitted, the device had nothing against it, and what the
   * program prints is printed by `host`; rejects with what the device found wrong.
   */
  enqueue(buffers: readonly (GPUBuffer | undefined)[], sizes: readonly number[], host?: HostFunction): Promise<void>;
  /** As `enqueue`, and reads the elements of the slots `reads` afterwards: copied for the host in the same submit. */
  run(
    buffers: readonly (GPUBuffer | undefined)[],
    sizes: readonly number[],
    reads: readonly number[],
    host?: HostFunction,
  ): RunningCall;
  /**
   * Adds a call to the commands of somebody else, who submits them. Throws where the pipelines are not there yet, and for a
   * program that prints or needs values on the host.
   */
  record(encoder: GPUCommandEncoder, buffers: readonly (GPUBuffer | undefined)[], sizes: readonly number[]): void;
  /** Gives back its constants, once what was enqueued is done. It must not run any more. */
  dispose(): void;
}

/** A call that is on its way. */
export interface RunningCall {
  /** As that of `enqueue`. */
  readonly submitted: Promise<void>;
  /** The elements of what is read, as they lie on the device; rejects where the call does. */
  readonly contents: Promise<readonly ArrayBuffer[]>;
}

/** Rows of sizes that lists are kept for. */
const mostSizes = 64;

/** Frees the constants of programs that nobody can run any more. */
const abandoned = new FinalizationRegistry<() => void>((free) => free());

/** Puts a program's constants on the device and starts to make its pipelines. */
export function instantiateOnGpu(machine: GpuMachine, program: WebgpuProgram, timer?: PassTimer): GpuExecutable {
  const executable = new Executable(machine, program, timer);
  abandoned.register(executable, executable.free);
  return executable;
}

/** A list for one row of sizes. */
interface Prepared {
  readonly recording: Recording;
  readonly prints: readonly Print[];
  /** Of slots, for the caller. */
  readonly reads: readonly Read[];
  readonly params: GPUBuffer | undefined;
}

/** What a row of sizes decides. */
interface Sized {
  readonly sizes: ReadonlyMap<string, number>;
  /** Bytes of each slot's binding; 0 where it has none. */
  readonly bytes: readonly number[];
  readonly waiting: ReadonlySet<DeviceStep>;
  /** By the slots that are read. */
  readonly prepared: Map<string, Prepared>;
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
  private readonly timer: PassTimer | undefined;
  private readonly constants: readonly { readonly slot: number; readonly block: GpuBlock }[];
  /** By sizes. */
  private readonly sized = new Map<string, Sized>();
  /** For recorded commands. */
  private own: OwnMemory | undefined;

  constructor(machine: GpuMachine, program: WebgpuProgram, timer: PassTimer | undefined) {
    this.machine = machine;
    this.timer = timer;
    this.program = program;
    this.slots = program.slots;
    this.groups = new BindGroups(machine.device);
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
    this.free = freeing(machine, this.constants, this.sized);
  }

  enqueue(
    buffers: readonly (GPUBuffer | undefined)[],
    sizeOfSlot: readonly number[],
    host?: HostFunction,
  ): Promise<void> {
    return this.run(buffers, sizeOfSlot, [], host).submitted;
  }

  run(
    given: readonly (GPUBuffer | undefined)[],
    sizeOfSlot: readonly number[],
    reads: readonly number[],
    host?: HostFunction,
  ): RunningCall {
    const { machine } = this;
    const buffers = [...given];
    for (const { slot, block } of this.constants) buffers[slot] = block.buffer;
    let printed: Promise<void> | undefined;
    let contents: Promise<readonly ArrayBuffer[]> | undefined;
    const verdicts = [...machine.faults.ofMemory()];
    const submitted = machine.turns.take(this.isReady ? undefined : this.ready, () => {
      if (machine.lost !== undefined) throw machine.lost;
      const sized = this.sizedFor(sizeOfSlot);
      this.checkBuffers(buffers, sized);
      const { sizes, waiting } = sized;
      if (waiting.size > 0) {
        const { pipelines, groups, timer } = this;
        const call = new Call(machine, this.program, { pipelines, groups, waiting, timer }, sizes, buffers, host);
        contents = call.run(reads);
        return contents.then(() => {});
      }
      const prepared = this.prepared(sized, reads);
      const { recording, prints, params } = prepared;
      const { result: staging, verdict } = machine.faults.scoped(() =>
        replay(machine, recording, buffers, this.groups, params, this.timer),
      );
      verdicts.push(verdict, ...machine.faults.ofMemory());
      const found = staging === undefined ? undefined : machine.read(staging, recording.readBytes);
      if (found !== undefined && prints.length > 0)
        printed = machine.inPrintOrder(found, (bytes) => printAll(prints, bytes, host));
      contents = (found ?? Promise.resolve(undefined)).then((bytes) => contentsOf(prepared.reads, bytes));
      contents.catch(() => {});
      return undefined;
    });
    const fine = submitted.then(() => settled(verdicts)).then(() => printed);
    return { submitted: fine, contents: reads.length === 0 ? Promise.resolve([]) : fine.then(() => contents!) };
  }

  record(encoder: GPUCommandEncoder, given: readonly (GPUBuffer | undefined)[], sizeOfSlot: readonly number[]): void {
    const { machine, program } = this;
    if (machine.lost !== undefined) throw machine.lost;
    if (!this.isReady) throw new Error(`webgpu: ${program.name}: its pipelines are still being made`);
    const buffers = [...given];
    for (const { slot, block } of this.constants) buffers[slot] = block.buffer;
    const sized = this.sizedFor(sizeOfSlot);
    this.checkBuffers(buffers, sized);
    const prepared = sized.waiting.size === 0 ? this.prepared(sized, []) : undefined;
    if (prepared === undefined || prepared.prints.length > 0)
      throw new Error(
        `webgpu: ${program.name}: a loop that runs while something holds, or a call of the host, needs values on the host, which commands of somebody else cannot wait for`,
      );
    this.own ??= new OwnMemory(machine);
    const { recording, params } = prepared;
    recordInto(encoder, machine, recording, buffers, this.groups, this.own, params);
  }

  dispose(): void {
    this.free();
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
      sized = { sizes, bytes, waiting: waitingSteps(this.program, sizes), prepared: new Map() };
      for (const [oldest, { prepared }] of this.sized) {
        if (this.sized.size < mostSizes) break;
        destroyParams(prepared);
        this.sized.delete(oldest);
      }
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

  private prepared({ sizes, prepared }: Sized, reads: readonly number[]): Prepared {
    const key = reads.join();
    let found = prepared.get(key);
    if (found === undefined) prepared.set(key, (found = this.prepare(sizes, reads)));
    return found;
  }

  private prepare(sizes: ReadonlyMap<string, number>, slots: readonly number[]): Prepared {
    const { machine, program } = this;
    const recorder = new Recorder(program, new Places(program, sizes), this.pipelines, machine.features.limits);
    recorder.steps(program.steps, always);
    const reads = slots.map((slot) => recorder.readSlot(slot));
    const { recording, prints } = recorder.take();
    let params: GPUBuffer | undefined;
    if (recording.params.length > 0) {
      const label = `${program.name} params`;
      params = machine.device.createBuffer({ label, size: recording.params.byteLength, usage: usage.params });
      machine.write(params, 0, recording.params);
    }
    return { recording, prints, reads, params };
  }
}

/** Gives back what a program holds. Knows nothing of its executable, which could not be collected else. */
function freeing(
  machine: GpuMachine,
  constants: readonly { readonly block: GpuBlock }[],
  sized: Map<string, Sized>,
): () => void {
  let freed = false;
  return () => {
    if (freed) return;
    freed = true;
    for (const { block } of constants) machine.release(block);
    machine.turns.after(() => {
      for (const { prepared } of sized.values()) destroyParams(prepared);
      sized.clear();
    });
  };
}

function destroyParams(prepared: ReadonlyMap<string, Prepared>): void {
  for (const { params } of prepared.values()) params?.destroy();
}
