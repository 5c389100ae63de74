/** Programs on a device that say how long each of their dispatches took: one pass each, with the device's clock at its ends. */
import type { Graph } from "@sinter/ir";
import { type CompileOptions, compileFor } from "../stages.ts";
import { describeSteps, mostEvents, type StepEvent, type TimedRun, type TimedStep } from "../timed.ts";
import { type GpuExecutable, instantiateOnGpu } from "./exec/program.ts";
import type { PassTimer } from "./exec/replay.ts";
import type { GpuMachine } from "./machine.ts";
import { webgpuTarget } from "./target.ts";
import { usage } from "./usage.ts";

/** Times that one query set holds: a beginning and an end for each pass. */
const mostQueries = 4096;
const bytesPerTime = 8;

/** Whether a device has a clock for its passes. */
export function hasClock({ device }: GpuMachine): boolean {
  return device.features.has("timestamp-query");
}

/** Times of the dispatches of all lists that a call submits. */
export class PassClock implements PassTimer {
  private readonly machine: GpuMachine;
  private readonly sets: GPUQuerySet[] = [];
  private kernels: (number | undefined)[] = [];
  private resolved: { readonly times: GPUBuffer; readonly staging: GPUBuffer; readonly bytes: number } | undefined;
  private lists: Promise<readonly PassTime[]>[] = [];

  constructor(machine: GpuMachine) {
    this.machine = machine;
  }

  pass(kernel: number | undefined): GPUComputePassDescriptor {
    const query = 2 * this.kernels.length;
    this.kernels.push(kernel);
    const set = Math.floor(query / mostQueries);
    this.sets[set] ??= this.machine.device.createQuerySet({ type: "timestamp", count: mostQueries });
    const first = query % mostQueries;
    const timestampWrites = {
      querySet: this.sets[set],
      beginningOfPassWriteIndex: first,
      endOfPassWriteIndex: first + 1,
    };
    return { timestampWrites };
  }

  resolve(encoder: GPUCommandEncoder): void {
    const count = 2 * this.kernels.length;
    if (count === 0) return;
    const { device } = this.machine;
    const bytes = count * bytesPerTime;
    const times = device.createBuffer({ label: "times", size: bytes, usage: usage.queries });
    const staging = this.machine.staging.take(bytes);
    for (let first = 0; first < count; first += mostQueries)
      encoder.resolveQuerySet(
        this.sets[first / mostQueries]!,
        0,
        Math.min(mostQueries, count - first),
        times,
        first * bytesPerTime,
      );
    encoder.copyBufferToBuffer(times, 0, staging, 0, bytes);
    this.resolved = { times, staging, bytes };
  }

  submitted(): void {
    const { resolved, kernels } = this;
    this.resolved = undefined;
    this.kernels = [];
    if (resolved === undefined) return;
    resolved.times.destroy();
    const times = this.machine.read(resolved.staging, resolved.bytes).then((found) => {
      const nanoseconds = new BigInt64Array(found);
      return kernels.map((kernel, i): PassTime => {
        const [begin, end] = [nanoseconds[2 * i]!, nanoseconds[2 * i + 1]!];
        // Clocks may step back between two passes.
        return { kernel, begin, end: end > begin ? end : begin };
      });
    });
    times.catch(() => {});
    this.lists.push(times);
  }

  /** All passes since this was asked last, in order. */
  async take(): Promise<readonly PassTime[]> {
    const { lists } = this;
    this.lists = [];
    return (await Promise.all(lists)).flat();
  }

  dispose(): void {
    for (const set of this.sets) set.destroy();
  }
}

/** One pass, in nanoseconds of the device's clock. */
export interface PassTime {
  /** By its number in the program; undefined for what the executor does itself. */
  readonly kernel: number | undefined;
  readonly begin: bigint;
  readonly end: bigint;
}

export interface TimedGpuProgram {
  readonly executable: GpuExecutable;
  readonly steps: readonly TimedStep[];
  /** Times of the call that was made last, once it has run; its first steps in order, and how many it had. */
  lastRun(): Promise<{ readonly run: TimedRun; readonly events: readonly StepEvent[]; readonly eventCount: number }>;
  dispose(): void;
}

/** Compiles a graph for a device that `hasClock`, with a clock around each dispatch. */
export function timedOnGpu(machine: GpuMachine, graph: Graph, options: CompileOptions): TimedGpuProgram {
  const made = compileFor(webgpuTarget(machine, options), graph, options);
  const clock = new PassClock(machine);
  const executable = instantiateOnGpu(machine, made.program, clock);
  const steps = describeSteps(made).filter(({ kind }) => kind === "kernel");
  // A kernel of several grids has as many passes each time that it runs.
  const grids = made.loops.kernels.map((kernel) => kernel.grids?.length ?? 1);
  return {
    executable,
    steps,
    async lastRun() {
      const passes = await clock.take();
      const [times, calls] = [new Float64Array(steps.length), new Float64Array(steps.length)];
      const begin = passes.reduce((least, pass) => (pass.begin < least ? pass.begin : least), passes[0]?.begin ?? 0n);
      const end = passes.reduce((most, pass) => (pass.end > most ? pass.end : most), begin);
      const since = (time: bigint): number => Number(time - begin) / 1e6;
      const events: StepEvent[] = [];
      for (const pass of passes) {
        const { kernel } = pass;
        if (kernel !== undefined) {
          const [start, duration] = [since(pass.begin), since(pass.end) - since(pass.begin)];
          times[kernel]! += duration;
          calls[kernel]! += 1 / grids[kernel]!;
          if (events.length < mostEvents) events.push({ step: kernel, start, duration });
        }
      }
      const eventCount = passes.filter(({ kernel }) => kernel !== undefined).length;
      return { run: { total: since(end), times, calls: calls.map(Math.round) }, events, eventCount };
    },
    dispose() {
      executable.dispose();
      machine.turns.after(() => clock.dispose());
    },
  };
}
