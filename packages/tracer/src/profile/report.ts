/** From measured runs to a profile: medians of kernels, their rates, and their share of what the roofline allows. */
import {
  type ClockCost,
  median,
  type Peaks,
  roofline,
  type StepEvent,
  type TimedRun,
  type TimedStep,
} from "@sinter/runtime";
import { type KernelProfile, Profile } from "./profile.ts";

export const warmMilliseconds = 100;
export const warmRuns = 3;
const measuredMilliseconds = 300;
const leastRepeats = 5;
const mostRepeats = 200;

/** How often a call that takes so long is measured. */
export function repeatsFor(milliseconds: number): number {
  const wanted = Math.round(measuredMilliseconds / Math.max(milliseconds, 1e-3));
  return Math.min(mostRepeats, Math.max(leastRepeats, wanted));
}

/** For a program that only passes on what it is given. */
export const nothing: Peaks = { gflops: 0, gbs: 0 };

/** What the clock of a program has measured. */
export interface MeasuredRuns {
  readonly steps: readonly TimedStep[];
  readonly runs: readonly TimedRun[];
  /** Of the last run. */
  readonly events: readonly StepEvent[];
  readonly eventCount: number;
  readonly clock: ClockCost;
  /** Whose clock it was, where it was no core of this machine. */
  readonly device?: string;
}

export const freeClock: ClockCost = { inside: 0, outside: 0 };
/** Of a program that has nothing to run. */
export const noRuns: MeasuredRuns = { steps: [], runs: [], events: [], eventCount: 0, clock: freeClock };

export function report(name: string, measured: MeasuredRuns, repeats: number, peaks: Peaks): Profile {
  const { steps, runs, events, eventCount, clock, device } = measured;
  const { inside, outside } = clock;
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
    events,
    eventCount,
    ...(device === undefined ? {} : { device }),
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
