/** `profile`: runs a function as an instrumented build, which says how long each kernel took. */
import {
  type ClockCost,
  measureClock,
  measurePeaks,
  median,
  type Peaks,
  roofline,
  type TimedProgram,
  type TimedRun,
  type TimedStep,
  timedProgram,
} from "@sinter/runtime";
import { currentBackend } from "../backend.ts";
import { Concrete } from "../concrete.ts";
import { silently } from "../effects/run.ts";
import { checkOptions, describeValue, SinterError } from "../errors.ts";
import { currentTrace } from "../frame.ts";
import { compile, type TracedFunction, tracedFunction } from "../function.ts";
import { explained } from "../memory.ts";
import { restoring } from "../restoring.ts";
import type { Tensor } from "../tensor.ts";
import { handlesIn, type Leaf } from "../trees.ts";
import { type KernelProfile, Profile } from "./profile.ts";

export interface ProfileOptions {
  /** How many calls are measured; by default as many as fit 0.3 seconds, at least 5. */
  readonly repeats?: number;
  /** What the machine reaches at best, in 1e9 per second; measured where it is not given. */
  readonly peaks?: Peaks;
}

type Profiled<A extends readonly unknown[]> = (...args: A) => unknown;

/**
 * Calls a function again and again as an instrumented build for wasm and says how long each kernel took, with the share of
 * the total, the rates it reached, the share of what the roofline model allows, and the lines it comes from. Options may
 * stand first: `profile({ repeats: 50 }, f, x, y)`.
 *
 * `f`: a compiled function, or a plain one, which is compiled. The calls do all that calls do: variables advance from each
 * to the next, and the functions of `hostCall` are called in every one. Only `print` writes in the first call alone. Afterwards
 * the variables hold what they held before. Kernels are timed by `performance.now()`. Browsers may make that coarse (5 to
 * 100 microseconds): what is shorter is then right on average only.
 *
 * Throws where an argument is no tensor that the function takes, inside traced code, and for the reference backend.
 */
export function profile<A extends readonly unknown[]>(f: Profiled<A>, ...args: A): Profile;
export function profile<A extends readonly unknown[]>(options: ProfileOptions, f: Profiled<A>, ...args: A): Profile;
export function profile(first: unknown, ...rest: readonly unknown[]): Profile {
  const given = typeof first === "function" ? { options: {}, f: first, args: rest } : withOptions(first, rest);
  const options = checkProfileOptions(given.options);
  if (currentTrace() !== undefined)
    throw new SinterError("profile: a function cannot be profiled while another is traced; call it outside");
  const fn = given.f as Profiled<readonly unknown[]>;
  const traced = tracedFunction(fn) ?? tracedFunction(compile(fn))!;
  const backend = traced.options.backend ?? currentBackend();
  if (backend !== "wasm")
    throw new SinterError(`profile: ${traced.name} is for the ${backend} backend, which has no kernels`);
  const made: Tensor[] = [];
  try {
    return profileTraced(traced, given.args, made, options);
  } catch (error) {
    throw explained(error);
  } finally {
    for (const handle of made) handle.dispose();
  }
}

function withOptions(
  first: unknown,
  [f, ...args]: readonly unknown[],
): { readonly options: unknown; readonly f: unknown; readonly args: readonly unknown[] } {
  if (typeof first !== "object" || first === null || typeof f !== "function")
    throw new SinterError(
      `profile: f must be a function, not ${describeValue(typeof first === "object" && first !== null ? f : first)}`,
    );
  return { options: first, f, args };
}

function checkProfileOptions(options: unknown): ProfileOptions {
  checkOptions("profile", options, ["repeats", "peaks"]);
  const { repeats, peaks } = options as ProfileOptions;
  if (repeats !== undefined && !(Number.isInteger(repeats) && repeats > 0))
    throw new SinterError(`profile: repeats must be a positive integer, not ${describeValue(repeats)}`);
  if (peaks === undefined) return options as ProfileOptions;
  checkOptions("profile", peaks, ["gflops", "gbs"]);
  for (const name of ["gflops", "gbs"] as const)
    if (!(peaks[name] > 0))
      throw new SinterError(`profile: peaks.${name} must be positive, not ${describeValue(peaks[name])}`);
  return options as ProfileOptions;
}

const warmMilliseconds = 100;
const warmRuns = 3;
const mostWarmMilliseconds = 1000;
const measuredMilliseconds = 300;
const leastRepeats = 5;
const mostRepeats = 200;

function profileTraced(
  traced: TracedFunction,
  args: readonly unknown[],
  made: Tensor[],
  { repeats, peaks }: ProfileOptions,
): Profile {
  const leaves: Leaf[] = [];
  const { tree, signature, wiring, result } = traced.concrete(args, leaves, made);
  const options = { backend: "wasm", fastMath: traced.options.fastMath ?? false } as const;
  let timed: TimedProgram | undefined;
  const plain = { ...wiring, checking: { debug: false, verify: false } };
  const concrete = new Concrete(tree, signature, plain, result, options, (graph, settings) => {
    timed = timedProgram(graph, settings);
    return timed.compiled;
  });
  const once = (): void => {
    for (const handle of handlesIn(concrete.call(leaves, undefined))) (handle as Tensor).dispose();
  };
  const again = (): void => silently(once);
  try {
    const count = restoring(
      wiring.states.map((state) => state.variable),
      () => {
        once();
        const milliseconds = warmUp(again);
        timed?.forgetRuns();
        const wanted = Math.round(measuredMilliseconds / Math.max(milliseconds, 1e-3));
        const runs = repeats ?? Math.min(mostRepeats, Math.max(leastRepeats, wanted));
        for (let i = 0; i < runs; i++) again();
        return runs;
      },
    );
    const known = peaks ?? (timed === undefined ? nothing : measurePeaks());
    return report(traced.name, timed, count, known);
  } finally {
    concrete.dispose();
    timed?.compiled.executable.dispose();
  }
}

/** Runs until the engine has optimised what it runs; returns what a call took in the end. */
function warmUp(call: () => void): number {
  const began = performance.now();
  let last = 0;
  for (let i = 0; ; i++) {
    const started = performance.now();
    const passed = started - began;
    if (i > 0 && (passed > mostWarmMilliseconds || (passed > warmMilliseconds && i >= warmRuns))) return last;
    call();
    last = performance.now() - started;
  }
}

/** For a program that only passes on what it is given. */
const nothing: Peaks = { gflops: 0, gbs: 0 };

let clockCost: ClockCost | undefined;

function report(name: string, timed: TimedProgram | undefined, repeats: number, peaks: Peaks): Profile {
  clockCost ??= measureClock();
  const { inside, outside } = clockCost;
  const { steps, runs } = timed ?? { steps: [], runs: [] };
  const timeOf = ({ times, calls }: TimedRun, s: number): number => {
    const time = times[s]! - calls[s]! * inside;
    // Less than the clock can tell from nothing.
    return time < (calls[s]! * inside) / 10 ? 0 : time;
  };
  const times = steps.map((_, s) => median(runs.map((run) => timeOf(run, s))));
  // Medians of parts, not of their sum: whatever else the machine does meanwhile hits another part each time.
  const outsideOf = (run: TimedRun): number => run.total - sum(run.times) - (outside - inside) * sum(run.calls);
  const between = Math.max(0, median(runs.map(outsideOf)));
  const milliseconds = sum(times) + between;
  const kernels = steps.map((step, s) => {
    const calls = median(runs.map((run) => run.calls[s]!));
    return kernelProfile(step, calls, times[s]!, milliseconds, peaks);
  });
  return new Profile({
    name,
    repeats,
    kernels,
    milliseconds,
    clockNanoseconds: outside * 1e6,
    peaks,
    events: timed?.events() ?? [],
    eventCount: timed?.eventCount() ?? 0,
    lastMilliseconds: runs.at(-1)?.total ?? 0,
  });
}

function sum(list: Iterable<number>): number {
  let total = 0;
  for (const each of list) total += each;
  return total;
}

function kernelProfile(
  { kind, name, schedule, work, locs }: TimedStep,
  calls: number,
  milliseconds: number,
  total: number,
  peaks: Peaks,
): KernelProfile {
  const [flops, bytes] = [work.flops * calls, (work.bytesRead + work.bytesWritten) * calls];
  const bound = roofline(work, peaks);
  const per = (amount: number): number => (milliseconds === 0 ? 0 : amount / milliseconds);
  return {
    kind,
    name,
    schedule,
    calls,
    milliseconds,
    share: total === 0 ? 0 : milliseconds / total,
    flops,
    bytes,
    gflops: per(flops) / 1e6,
    gbs: per(bytes) / 1e6,
    bound: bound.by,
    ofPeak: per(bound.milliseconds * calls),
    locs,
  };
}
