/** Instrumented programs: they run as others do, and say how long each of their steps took. */
import { emit, probeFeatures } from "@sinter/codegen-wasm";
import {
  type BufferDecl,
  type Graph,
  hostCallText,
  type KernelWork,
  type Loc,
  type LoopProgram,
  type LoopStep,
  type WorkStep,
  workSteps,
} from "@sinter/ir";
import { planMemory } from "@sinter/passes";
import type { Compiled } from "./compile.ts";
import { copyWork, kernelWorks } from "./cost.ts";
import { type Executable, instantiate, type StepClock } from "./exec/program.ts";
import { theMachine } from "./session.ts";
import { locsOfNodes } from "./stage-text.ts";
import { type CompileOptions, compileFor } from "./stages.ts";
import type { Made } from "./target.ts";
import { wasmTarget } from "./wasm-target.ts";

/** A step that is timed: a kernel, a copy of one buffer to another, or a call of whoever runs the program. */
export interface TimedStep {
  readonly kind: "kernel" | "copy" | "call";
  readonly name: string;
  /** How the loops of a kernel were arranged. */
  readonly schedule: string;
  /** What one run of it does. */
  readonly work: KernelWork;
  readonly locs: readonly Loc[];
}

/** One run of a program, in milliseconds; by step. */
export interface TimedRun {
  readonly total: number;
  readonly times: Float64Array;
  readonly calls: Float64Array;
}

/** A step when it ran, in milliseconds from the start of the run. */
export interface StepEvent {
  readonly step: number;
  readonly start: number;
  readonly duration: number;
}

export interface TimedProgram {
  readonly compiled: Compiled;
  readonly steps: readonly TimedStep[];
  /** All runs so far. */
  readonly runs: readonly TimedRun[];
  /** The first steps of the last run, in order. */
  events(): readonly StepEvent[];
  /** How many steps the last run had. */
  eventCount(): number;
  forgetRuns(): void;
}

/** Steps of a run that are kept one by one. */
export const mostEvents = 20_000;

/** Compiles a graph for wasm, with a clock around each step. */
export function timedProgram(graph: Graph, options: CompileOptions): TimedProgram {
  const made = compileFor(wasmTarget({ ...options, instrument: true }), graph, options);
  const steps = describeSteps(made);
  const clock = new Clock(steps.length);
  const inner = instantiate(theMachine(), made.program, clock);
  const runs: TimedRun[] = [];
  const executable: Executable = {
    ...inner,
    execute(pointers, host) {
      clock.start();
      inner.execute(pointers, host);
      runs.push(clock.stop());
    },
  };
  return {
    compiled: { executable, backend: "wasm", used() {} },
    steps,
    runs,
    events: () => clock.events(),
    eventCount: () => clock.count,
    forgetRuns: () => runs.splice(0),
  };
}

/** The steps of a program that are timed, kernels in their order. */
export function describeSteps({ nests, loops, simplified, target }: Made): TimedStep[] {
  const works = kernelWorks(nests, loops, target);
  const nothing = { flops: 0, bytesRead: 0, bytesWritten: 0 };
  const describe = (step: WorkStep<LoopStep>): TimedStep => {
    if (step.kind === "kernel") {
      const { name, schedule } = loops.kernels[step.kernel]!;
      const locs = locsOfNodes(simplified, step.nodes);
      return { kind: "kernel", name, schedule, work: works[step.kernel]!, locs };
    }
    if (step.kind === "copy") {
      const name = `copy ${bufferName(loops, step.from)} to ${bufferName(loops, step.to)}`;
      return { kind: "copy", name, schedule: "copy", work: copyWork(loops, step, target), locs: [] };
    }
    const name = hostCallText(loops.calls[step.call]!);
    return { kind: "call", name, schedule: "call", work: nothing, locs: locsOfNodes(simplified, step.nodes) };
  };
  return workSteps(loops.steps).map(describe);
}

const bufferName = ({ buffers }: LoopProgram, id: number): string => buffers[id]!.name;

class Clock implements StepClock {
  count = 0;
  private readonly times: Float64Array;
  private readonly calls: Float64Array;
  private readonly eventSteps = new Int32Array(mostEvents);
  private readonly eventTimes = new Float64Array(2 * mostEvents);
  private began = 0;
  private entered = 0;

  constructor(steps: number) {
    this.times = new Float64Array(steps);
    this.calls = new Float64Array(steps);
  }

  readonly enter = (): void => {
    this.entered = performance.now();
  };

  readonly leave = (step: number): void => {
    const duration = performance.now() - this.entered;
    this.times[step]! += duration;
    this.calls[step]!++;
    const { count } = this;
    if (count < mostEvents) {
      this.eventSteps[count] = step;
      this.eventTimes[2 * count] = this.entered;
      this.eventTimes[2 * count + 1] = duration;
    }
    this.count++;
  };

  start(): void {
    this.times.fill(0);
    this.calls.fill(0);
    this.count = 0;
    this.began = performance.now();
  }

  stop(): TimedRun {
    const total = performance.now() - this.began;
    return { total, times: this.times.slice(), calls: this.calls.slice() };
  }

  events(): StepEvent[] {
    return Array.from({ length: Math.min(this.count, mostEvents) }, (_, i) => ({
      step: this.eventSteps[i]!,
      start: this.eventTimes[2 * i]! - this.began,
      duration: this.eventTimes[2 * i + 1]!,
    }));
  }
}

/** What the clock itself takes for one step, in milliseconds. */
export interface ClockCost {
  /** Of what is measured for the step. */
  readonly inside: number;
  /** Of the run around it. */
  readonly outside: number;
}

const pairs = 2000;

/** Measures the clock on a program whose steps copy four bytes each. */
export function measureClock(): ClockCost {
  const program = copyLoop(pairs);
  const plan = planMemory(program, { alignment: 64 });
  const target = { ...probeFeatures(), memory: theMachine().heap.kind, owner: "import", instrument: true } as const;
  const clock = new Clock(1);
  const executable = instantiate(theMachine(), emit(program, plan, target), clock);
  const runs = Array.from({ length: 20 }, () => {
    clock.start();
    executable.execute([0]);
    return clock.stop();
  });
  executable.dispose();
  // The first runs are of code that is not optimised yet.
  const late = runs.slice(runs.length / 2);
  const inside = median(late.map((run) => run.times[0]!)) / pairs;
  return { inside, outside: Math.max(0, median(late.map((run) => run.total)) / pairs) };
}

function copyLoop(rounds: number): LoopProgram {
  const temp = (id: number, name: string): BufferDecl => ({
    id,
    name,
    dtype: "i32",
    shape: [],
    kind: "temp",
    slot: id,
  });
  const body = [{ kind: "copy", from: 1, to: 2 }] as const;
  return {
    name: "clock",
    buffers: [temp(0, "counter"), temp(1, "from"), temp(2, "to")],
    kernels: [],
    calls: [],
    steps: [{ kind: "for", count: rounds, counter: 0, body }],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
