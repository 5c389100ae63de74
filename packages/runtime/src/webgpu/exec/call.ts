/**
 * A call of a program some steps of which need values on the host, or which is too long for one list: it stops there, submits,
 * reads and goes on.
 */
import {
  answerCall,
  type DeviceStep,
  dimValue,
  type HostFunction,
  type HostType,
  type HostValue,
  type WebgpuProgram,
} from "@sinter/ir/program";
import { fromDevice, toDevice } from "../data.ts";
import { settled, type Verdict } from "../faults.ts";
import type { GpuMachine } from "../machine.ts";
import type { Read } from "./ops.ts";
import { Places, rangeOf } from "./places.ts";
import { always, type PipelinesOfProgram, type Print, Recorder } from "./record.ts";
import { type BindGroups, type PassTimer, replay } from "./replay.ts";
import { longList } from "./steps.ts";

type WhileStep = Extract<DeviceStep, { kind: "while" }>;

/** Rounds of a `while` between two looks at how many ran. */
const mostRounds = 16;

export interface PartsOfCall {
  readonly pipelines: PipelinesOfProgram;
  readonly groups: BindGroups;
  readonly timer: PassTimer | undefined;
  /** Steps that cannot be recorded as a part of a list. */
  readonly waiting: ReadonlySet<DeviceStep>;
}

export class Call {
  private readonly machine: GpuMachine;
  private readonly program: WebgpuProgram;
  private readonly waiting: ReadonlySet<DeviceStep>;
  private readonly groups: BindGroups;
  private readonly timer: PassTimer | undefined;
  private readonly recorder: Recorder;
  private readonly buffers: readonly (GPUBuffer | undefined)[];
  private readonly host: HostFunction | undefined;
  /** On what was submitted since values were read last. */
  private readonly verdicts: Verdict[] = [];

  constructor(
    machine: GpuMachine,
    program: WebgpuProgram,
    parts: PartsOfCall,
    sizes: ReadonlyMap<string, number>,
    buffers: readonly (GPUBuffer | undefined)[],
    host: HostFunction | undefined,
  ) {
    this.machine = machine;
    this.program = program;
    this.waiting = parts.waiting;
    this.groups = parts.groups;
    this.timer = parts.timer;
    this.recorder = new Recorder(program, new Places(program, sizes), parts.pipelines, machine.features.limits);
    this.buffers = buffers;
    this.host = host;
  }

  /** Gives the contents of the slots `reads` when all is done. */
  async run(reads: readonly number[]): Promise<readonly ArrayBuffer[]> {
    await this.steps(this.program.steps);
    const parts = reads.map((slot) => this.recorder.readSlot(slot));
    const found = await this.flush();
    await settled(this.verdicts.splice(0));
    return contentsOf(parts, found);
  }

  private async steps(list: readonly DeviceStep[]): Promise<void> {
    for (const step of list) {
      if (this.waiting.has(step)) await this.waits(step);
      else this.recorder.step(step, always);
      if (this.recorder.length >= longList) await this.flush();
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
    const { result: staging, verdict } = machine.faults.scoped(() =>
      replay(machine, recording, this.buffers, this.groups, undefined, this.timer),
    );
    this.verdicts.push(verdict, ...machine.faults.ofMemory());
    if (staging === undefined) return undefined;
    const found = await machine.read(staging, recording.readBytes);
    await machine.inPrintOrder(Promise.resolve(found), () => printAll(prints, found, this.host));
    await settled(this.verdicts.splice(0));
    return found;
  }
}

/** What was read, part by part. */
export function contentsOf(parts: readonly Read[], found: ArrayBuffer | undefined): readonly ArrayBuffer[] {
  return parts.map(({ at, bytes }) => (found ?? new ArrayBuffer(0)).slice(at, at + bytes));
}

export function printAll(prints: readonly Print[], found: ArrayBuffer, host: HostFunction | undefined): void {
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
