// In-process timing inside a peer, through Benchmark.js: it chooses how often to repeat a short job so that the clock's
// resolution does not matter, and collects samples until its time is used up. Rounds and pairs are the parent's business.
import Benchmark from "benchmark";
import type { Prepared } from "./job.ts";
import type { Times } from "./protocol.ts";
import { median } from "./statistics.ts";

/** Repeats per sample that Benchmark.js settled on, kept so that a later round need not search again. */
const settledCounts = new WeakMap<Prepared, number>();

/** A sample of runs that are waited for together lasts this long at least, in milliseconds. */
const queuedSample = 20;
/** Nobody's queue grows beyond this. */
const mostQueued = 1000;
/** Runs in a turn that are waited for by themselves. */
const waitedRuns = 5;

/** A peer's turn of about `seconds`. */
export async function takeTurn(job: Prepared, seconds: number): Promise<Times> {
  const { finish } = job;
  if (finish === undefined) return { runs: await sample(job, seconds) };
  job.reset?.();
  const waited: number[] = [];
  for (let run = 0; run <= waitedRuns; run++) waited.push(await runOnce(job));
  // The first brings the data back into the caches.
  waited.shift();
  const runs = await sampleQueue(job, seconds, median(waited));
  const device = await job.deviceTime?.();
  return { runs, waited, ...(device === undefined ? {} : { device }) };
}

/** Times series of runs with one wait at the end of each; milliseconds per run. `once`: about what a run takes by itself. */
async function sampleQueue(job: Prepared, seconds: number, once: number): Promise<number[]> {
  let count = settledCounts.get(job) ?? Math.min(mostQueued, Math.max(1, Math.round(queuedSample / once)));
  const samples: number[] = [];
  const start = performance.now();
  while (samples.length < 3 || performance.now() - start < seconds * 1e3) {
    const time = await runQueued(job, count);
    if (time < queuedSample / 2 && count < mostQueued) {
      // Runs that overlap take less than by themselves.
      count = Math.min(mostQueued, count * 2);
      samples.length = 0;
    } else samples.push(time / count);
  }
  settledCounts.set(job, count);
  return samples;
}

/** Milliseconds of `count` runs and of the wait for the last. */
export async function runQueued(job: Prepared, count: number): Promise<number> {
  const start = performance.now();
  for (let run = 0; run < count; run++) {
    const pending = job.run();
    if (pending instanceof Promise) await pending;
  }
  await job.finish?.();
  return performance.now() - start;
}

/** Times `job.run` for about `seconds`; milliseconds per run, one entry per sample. */
async function sample(job: Prepared, seconds: number): Promise<number[]> {
  job.reset?.();
  // The first run brings the data back into the caches, and tells whether the job is asynchronous.
  const start = performance.now();
  const pending = job.run();
  const isAsynchronous = pending instanceof Promise;
  if (isAsynchronous) await pending;
  const first = performance.now() - start;
  // A run that uses up the time by itself is the sample.
  return first > seconds * 1e3 ? [first] : await runBenchmark(job, seconds, isAsynchronous);
}

/** Runs the job once and waits for it; milliseconds. */
export function runOnce(job: Prepared): Promise<number> {
  return runQueued(job, 1);
}

function runBenchmark(job: Prepared, seconds: number, deferred: boolean): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      defer: deferred,
      async: true,
      // Benchmark.js would wait 5 ms before each cycle by default; the wait lets the core's clock fall.
      delay: 0,
      initCount: settledCounts.get(job) ?? 1,
      maxTime: seconds,
      // A sample of at least 20 ms: the clock resolves nanoseconds, and shorter samples give a truer median.
      minTime: 0.02,
      minSamples: 3,
      fn: deferred
        ? (deferral: { resolve(): void }) => {
            Promise.resolve(job.run()).then(() => deferral.resolve(), reject);
          }
        : () => {
            job.run();
          },
      onComplete: () => {
        settledCounts.set(job, benchmark.count);
        const samples: number[] = benchmark.stats.sample;
        resolve(samples.map((secondsPerRun) => secondsPerRun * 1e3));
      },
      onError: () => reject(benchmark.error),
    });
    benchmark.run();
  });
}

/** What warming a job took, and the time of one run once it was steady. */
export interface WarmUp {
  readonly runs: number;
  readonly milliseconds: number;
}

/**
 * Runs the job until its time no longer falls: the best of a window of at least 0.15 s and 5 runs must be within 3% of
 * the best before it, twice in a row. V8 compiles hot functions in the background, so a window must be long enough to
 * let it finish.
 */
export async function warmUp(job: Prepared, limitSeconds: number): Promise<WarmUp> {
  const start = performance.now();
  let runs = 0;
  let best = Number.POSITIVE_INFINITY;
  let steadyWindows = 0;
  while (steadyWindows < 2 && performance.now() - start < limitSeconds * 1e3) {
    job.reset?.();
    const windowStart = performance.now();
    let windowBest = Number.POSITIVE_INFINITY;
    for (let inWindow = 0; inWindow < 5 || performance.now() - windowStart < 150; inWindow++) {
      windowBest = Math.min(windowBest, await runOnce(job));
      runs++;
      if (performance.now() - start > limitSeconds * 1e3) break;
    }
    steadyWindows = windowBest > best * 0.97 ? steadyWindows + 1 : 0;
    best = Math.min(best, windowBest);
  }
  return { runs, milliseconds: best };
}
