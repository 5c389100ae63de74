/** Learning rates that change with the step. A schedule is a function in the graph, so a new step never retraces. */
import { SinterError, type Tensor, tensor, where } from "@sinter/tracer";
import { checkOptions, describeValue } from "@sinter/tracer/errors";

/** The rate at a step (an f32 scalar, 1 at the first). */
export type Schedule = (step: Tensor) => Tensor;

/** The same rate always. */
export function constant(rate: number): Schedule {
  return () => tensor(rate, { dtype: "f32" });
}

export interface ExponentialOptions {
  /** Steps in which the rate is multiplied by `factor`. */
  readonly steps: number;
  readonly factor: number;
  /** Whether the rate falls at once at the end of each such stretch, instead of all the time. */
  readonly staircase?: boolean;
}

/** rate factor^(done / steps), where `done` steps are behind. */
export function exponentialDecay(rate: number, options: ExponentialOptions): Schedule {
  checkOptions("schedules.exponentialDecay", options, ["steps", "factor", "staircase"]);
  const { factor, staircase = false } = options;
  const steps = positive("exponentialDecay", "steps", options.steps);
  positive("exponentialDecay", "factor", factor);
  return (step) => {
    const parts = step.sub(1).div(steps);
    return tensor(factor)
      .pow(staircase ? parts.floor() : parts)
      .mul(rate);
  };
}

export interface StepOptions {
  /** After how many steps each new rate begins, rising. */
  readonly boundaries: readonly number[];
  /** What the rate is multiplied by at each. */
  readonly factor: number;
}

/** A rate that falls at the boundaries. */
export function stepDecay(rate: number, options: StepOptions): Schedule {
  checkOptions("schedules.stepDecay", options, ["boundaries", "factor"]);
  const { boundaries, factor } = options;
  if (!Array.isArray(boundaries) || boundaries.some((at, i) => !(at > (boundaries[i - 1] ?? 0))))
    throw new SinterError(`schedules.stepDecay: boundaries must rise from above 0, not ${describeValue(boundaries)}`);
  positive("stepDecay", "factor", factor);
  return (step) => boundaries.reduce((now, at) => where(step.gt(at), now.mul(factor), now), constant(rate)(step));
}

export interface CosineOptions {
  /** Steps until the end. */
  readonly steps: number;
  /** The rate at the end and after it; 0 unless given. */
  readonly end?: number;
}

/** From `rate` to `end` along half a cosine (Loshchilov and Hutter 2017). */
export function cosine(rate: number, options: CosineOptions): Schedule {
  checkOptions("schedules.cosine", options, ["steps", "end"]);
  const steps = positive("cosine", "steps", options.steps);
  const { end = 0 } = options;
  return (step) => wave(rate, end, step.sub(1).div(steps));
}

export interface WarmupOptions extends CosineOptions {
  /** Steps in which the rate rises from 0. */
  readonly warmup: number;
}

/** A straight line from 0 to `rate` in `warmup` steps, then a cosine to `end` until `steps`. */
export function warmupCosine(rate: number, options: WarmupOptions): Schedule {
  checkOptions("schedules.warmupCosine", options, ["steps", "end", "warmup"]);
  const { end = 0 } = options;
  const warmup = positive("warmupCosine", "warmup", options.warmup);
  const steps = positive("warmupCosine", "steps - warmup", options.steps - warmup);
  return (step) => where(step.le(warmup), step.mul(rate / warmup), wave(rate, end, step.sub(warmup).div(steps)));
}

export interface OneCycleOptions {
  readonly steps: number;
  /** The part of the steps in which the rate rises; 0.3 unless given. */
  readonly rise?: number;
  /** The first rate is the highest through this; 25 unless given. */
  readonly startDivisor?: number;
  /** The last rate is the first through this; 10,000 unless given. */
  readonly endDivisor?: number;
}

/** Up to `rate` and down to almost nothing, each along half a cosine (Smith and Topin 2018). */
export function oneCycle(rate: number, options: OneCycleOptions): Schedule {
  checkOptions("schedules.oneCycle", options, ["steps", "rise", "startDivisor", "endDivisor"]);
  const steps = positive("oneCycle", "steps", options.steps);
  const { rise = 0.3, startDivisor = 25, endDivisor = 1e4 } = options;
  if (!(rise > 0 && rise < 1))
    throw new SinterError(`schedules.oneCycle: rise must be between 0 and 1, not ${describeValue(rise)}`);
  const start = rate / positive("oneCycle", "startDivisor", startDivisor);
  const end = start / positive("oneCycle", "endDivisor", endDivisor);
  const top = steps * rise;
  return (step) => {
    const done = step.sub(1);
    return where(done.lt(top), wave(start, rate, done.div(top)), wave(rate, end, done.sub(top).div(steps - top)));
  };
}

/** From one value to another along half a cosine, as `part` goes from 0 to 1. */
function wave(from: number, to: number, part: Tensor): Tensor {
  return part
    .clip(0, 1)
    .mul(Math.PI)
    .cos()
    .add(1)
    .mul((from - to) / 2)
    .add(to);
}

function positive(caller: string, name: string, value: unknown): number {
  if (typeof value === "number" && value > 0) return value;
  throw new SinterError(`schedules.${caller}: ${name} must be a number above 0, not ${describeValue(value)}`);
}
