/** `profile`: runs a function as an instrumented build, which says how long each kernel took. */
import {
  type ClockCost,
  measureClock,
  measurePeaks,
  type Peaks,
  type TimedProgram,
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
import { profileOnGpu } from "./on-gpu.ts";
import type { Profile } from "./profile.ts";
import { type MeasuredRuns, noRuns, nothing, repeatsFor, report, warmMilliseconds, warmRuns } from "./report.ts";

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
 * Throws where an argument is no tensor that the function takes, inside traced code, for the reference backend, and for
 * webgpu, whose times are read later: `profileAsync` takes both.
 */
export function profile<A extends readonly unknown[]>(f: Profiled<A>, ...args: A): Profile;
export function profile<A extends readonly unknown[]>(options: ProfileOptions, f: Profiled<A>, ...args: A): Profile;
export function profile(first: unknown, ...rest: readonly unknown[]): Profile {
  const { options, traced, args, backend } = subjectOf("profile", first, rest);
  if (backend === "webgpu")
    throw new SinterError(
      `profile: ${traced.name} is for webgpu, whose times are read later: write await profileAsync(${traced.name}, ...)`,
    );
  const made: Tensor[] = [];
  try {
    return profileTraced(traced, args, made, options);
  } catch (error) {
    throw explained(error);
  } finally {
    for (const handle of made) handle.dispose();
  }
}

/**
 * As `profile`, for functions of either backend. On webgpu each dispatch becomes a pass of its own with a time of the
 * device's clock at both ends (\`timestamp-query\`): what a call takes there without being measured is less, where kernels
 * overlap. Browsers may round these times to 0.1 ms. Rejects where the device has no such clock.
 */
export function profileAsync<A extends readonly unknown[]>(f: Profiled<A>, ...args: A): Promise<Profile>;
export function profileAsync<A extends readonly unknown[]>(
  options: ProfileOptions,
  f: Profiled<A>,
  ...args: A
): Promise<Profile>;
export async function profileAsync(first: unknown, ...rest: readonly unknown[]): Promise<Profile> {
  const { options, traced, args, backend } = subjectOf("profileAsync", first, rest);
  const made: Tensor[] = [];
  try {
    if (backend === "webgpu") return await profileOnGpu(traced, args, made, options);
    return profileTraced(traced, args, made, options);
  } catch (error) {
    throw explained(error);
  } finally {
    for (const handle of made) handle.dispose();
  }
}

/** What is profiled, and how. */
function subjectOf(caller: string, first: unknown, rest: readonly unknown[]) {
  const given = typeof first === "function" ? { options: {}, f: first, args: rest } : withOptions(caller, first, rest);
  const options = checkProfileOptions(caller, given.options);
  if (currentTrace() !== undefined)
    throw new SinterError(`${caller}: a function cannot be profiled while another is traced; call it outside`);
  const fn = given.f as Profiled<readonly unknown[]>;
  const traced = tracedFunction(fn) ?? tracedFunction(compile(fn))!;
  const backend = traced.options.backend ?? currentBackend();
  if (backend === "reference")
    throw new SinterError(`${caller}: ${traced.name} is for the ${backend} backend, which has no kernels`);
  return { options, traced, args: given.args, backend };
}

function withOptions(
  caller: string,
  first: unknown,
  [f, ...args]: readonly unknown[],
): { readonly options: unknown; readonly f: unknown; readonly args: readonly unknown[] } {
  if (typeof first !== "object" || first === null || typeof f !== "function")
    throw new SinterError(
      `${caller}: f must be a function, not ${describeValue(typeof first === "object" && first !== null ? f : first)}`,
    );
  return { options: first, f, args };
}

function checkProfileOptions(caller: string, options: unknown): ProfileOptions {
  checkOptions(caller, options, ["repeats", "peaks"]);
  const { repeats, peaks } = options as ProfileOptions;
  if (repeats !== undefined && !(Number.isInteger(repeats) && repeats > 0))
    throw new SinterError(`${caller}: repeats must be a positive integer, not ${describeValue(repeats)}`);
  if (peaks === undefined) return options as ProfileOptions;
  checkOptions(caller, peaks, ["gflops", "gbs"]);
  for (const name of ["gflops", "gbs"] as const)
    if (!(peaks[name] > 0))
      throw new SinterError(`${caller}: peaks.${name} must be positive, not ${describeValue(peaks[name])}`);
  return options as ProfileOptions;
}

const mostWarmMilliseconds = 1000;

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
        const runs = repeats ?? repeatsFor(milliseconds);
        for (let i = 0; i < runs; i++) again();
        return runs;
      },
    );
    const known = peaks ?? (timed === undefined ? nothing : measurePeaks());
    return report(traced.name, timed === undefined ? noRuns : measuredBy(timed), count, known);
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

let clockCost: ClockCost | undefined;

function measuredBy(timed: TimedProgram): MeasuredRuns {
  clockCost ??= measureClock();
  const { steps, runs } = timed;
  return { steps, runs, events: timed.events(), eventCount: timed.eventCount(), clock: clockCost };
}
