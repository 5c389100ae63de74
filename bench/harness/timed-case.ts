// A case that is checked and then timed: the same jobs for Sinter, for every peer and for the machine's limits, each in
// its own process, in rounds that alternate between Sinter and one other (A B A C A D, A B A C A D, ...).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compare, type Tolerance } from "./compare.ts";
import type { Facts, Job } from "./job.ts";
import type { Options } from "./options.ts";
import { PeerProcess } from "./peer-process.ts";
import type { Times } from "./protocol.ts";
import { median, medianRatio } from "./statistics.ts";

export interface Context {
  readonly options: Options;
  /** Peers beside Sinter, by module name. */
  readonly peers: readonly string[];
  /** Where the modules of the peers are in bench/; `peers` unless given. */
  readonly peerFolder?: string;
  /** A folder for result files that is removed at the end. */
  readonly folder: string;
  /** Says what is going on, on stderr. */
  progress(text: string): void;
}

/** The work of a job as the floor counts it. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
  /** The kind of traffic and the array size at which its bandwidth is measured. */
  readonly bandwidth: { readonly kind: "read-bandwidth" | "copy-bandwidth"; readonly size: number };
}

export interface TimedJob {
  readonly label: string;
  readonly job: Job;
  readonly work: Work;
  /** What is compared with the reference, where that is not the whole result. */
  digest?(result: Float32Array): Float32Array;
  /** The result in float64, or its digest, computed when it is needed. */
  reference(): Float64Array;
  readonly tolerance: Tolerance;
}

export type Outcome =
  | { readonly status: "refused"; readonly reason: string }
  | { readonly status: "failed"; readonly reason: string }
  | { readonly status: "checked"; readonly maxError: number; readonly facts: Facts }
  | {
      readonly status: "timed";
      readonly maxError: number;
      readonly facts: Facts;
      /** Median milliseconds of each round. */
      readonly rounds: readonly number[];
      /** Sinter's median in the same round, taken just before; empty without Sinter. */
      readonly pairedSinter: readonly number[];
      /** Jobs with a queue: median milliseconds of a run waited for by itself, round by round. */
      readonly waited: readonly number[];
      /** Milliseconds of a run by the device's clock, round by round, where it has one. */
      readonly device: readonly number[];
    };

export interface JobResult {
  readonly label: string;
  readonly job: Job;
  readonly work: Work;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

export const sinterName = "sinter";
export const fmaFloor = "fma peak";
export const bandwidthFloor = "bandwidth";

interface Contestant {
  readonly name: string;
  readonly process: PeerProcess;
  readonly job: Job;
  outcome: Outcome;
  readonly rounds: number[];
  readonly pairedSinter: number[];
  readonly waited: number[];
  readonly device: number[];
}

/** How much time a job gets. */
export interface Effort {
  readonly rounds: number;
  /** Of one turn in a round. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const quickEffort: Effort = { rounds: 3, seconds: 0.1, warmUpSeconds: 1.5 };
const usualEffort: Effort = { rounds: 7, seconds: 0.25, warmUpSeconds: 5 };

/** Runs all jobs; processes live for the whole case. `peers` names the contestants beside Sinter. */
export async function runJobs(
  context: Context,
  jobs: readonly TimedJob[],
  peers: readonly string[],
  effort: Effort = usualEffort,
): Promise<JobResult[]> {
  const processes = new Map<string, PeerProcess>();
  const processOf = (name: string, module: string): PeerProcess => {
    const existing = processes.get(name);
    if (existing !== undefined) return existing;
    const created = new PeerProcess(module, context.peerFolder);
    processes.set(name, created);
    return created;
  };
  try {
    const results: JobResult[] = [];
    for (const timed of jobs) {
      context.progress(`${timed.label}: checking`);
      const contestants = [sinterName, ...peers].map((name) => newContestant(name, processOf(name, name), timed.job));
      const expected = timed.reference();
      for (const contestant of contestants) {
        contestant.outcome = await check(context, contestant, expected, timed);
      }
      if (!context.options.checkOnly) {
        const floors = await startFloors(context, timed.work, processOf);
        contestants.push(...floors);
        await timeInRounds(context, timed.label, contestants, context.options.quick ? quickEffort : effort);
      }
      results.push({
        label: timed.label,
        job: timed.job,
        work: timed.work,
        outcomes: new Map(contestants.map(({ name, outcome }) => [name, outcome])),
      });
      for (const { process } of contestants) await process.ask({ type: "release" });
    }
    return results;
  } finally {
    await Promise.all([...processes.values()].map((process) => process.stop()));
  }
}

function newContestant(name: string, process: PeerProcess, job: Job): Contestant {
  const outcome: Outcome = { status: "refused", reason: "not asked" };
  return { name, process, job, outcome, rounds: [], pairedSinter: [], waited: [], device: [] };
}

async function check(
  context: Context,
  { name, process, job }: Contestant,
  expected: Float64Array,
  { digest, tolerance }: TimedJob,
): Promise<Outcome> {
  const resultFile = join(context.folder, `${name}.f32`);
  const reply = await process.ask({ type: "check", job, resultFile });
  if (reply.type === "refused") return { status: "refused", reason: reply.reason };
  if (reply.type === "failed") return { status: "failed", reason: reply.reason };
  if (reply.type !== "checked") throw new Error(`unexpected reply ${reply.type}`);
  const bytes = readFileSync(resultFile);
  const actual = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const { ok, maxError, problem } = compare(digest?.(actual) ?? actual, expected, tolerance);
  if (!ok) return { status: "failed", reason: problem };
  return { status: "checked", maxError, facts: reply.facts };
}

/** The limits of the machine take part like any other; their results are known exactly enough to be asked for. */
async function startFloors(
  context: Context,
  work: Work,
  processOf: (name: string, module: string) => PeerProcess,
): Promise<Contestant[]> {
  const jobs: [string, Job][] = [[bandwidthFloor, work.bandwidth]];
  if (work.flops > 0) jobs.unshift([fmaFloor, { kind: "fma-peak", relaxed: true }]);
  const floors: Contestant[] = [];
  for (const [name, job] of jobs) {
    const floor = newContestant(name, processOf(name, "floors"), job);
    const reply = await floor.process.ask({ type: "check", job, resultFile: join(context.folder, "floor.f32") });
    if (reply.type === "checked") floor.outcome = { status: "checked", maxError: 0, facts: reply.facts };
    else if (reply.type === "refused") floor.outcome = { status: "refused", reason: reply.reason };
    else if (reply.type === "failed") floor.outcome = { status: "failed", reason: reply.reason };
    floors.push(floor);
  }
  return floors;
}

/** Warms every contestant, then alternates: Sinter, other, Sinter, next other, ... */
async function timeInRounds(
  context: Context,
  label: string,
  contestants: readonly Contestant[],
  { rounds, seconds, warmUpSeconds }: Effort,
): Promise<void> {
  const running = contestants.filter(({ outcome }) => outcome.status === "checked");
  for (const contestant of running) {
    context.progress(`${label}: warming ${contestant.name}`);
    const reply = await contestant.process.ask({ type: "warm", limitSeconds: warmUpSeconds });
    if (reply.type === "failed") contestant.outcome = { status: "failed", reason: reply.reason };
    const { outcome } = contestant;
    if (reply.type === "warmed" && outcome.status === "checked")
      contestant.outcome = { ...outcome, facts: { ...outcome.facts, ...reply.facts } };
  }
  const sinter = running.find(({ name }) => name === sinterName);
  const others = running.filter((contestant) => contestant !== sinter);
  for (let round = 0; round < rounds; round++) {
    for (const other of others) {
      context.progress(`${label}: round ${round + 1} of ${rounds}, ${other.name}`);
      if (sinter !== undefined) {
        const time = await sampleOnce(sinter, seconds);
        sinter.rounds.push(time);
        other.pairedSinter.push(time);
      }
      other.rounds.push(await sampleOnce(other, seconds));
    }
  }
  for (const contestant of running) {
    const { outcome, rounds: times, pairedSinter, waited, device } = contestant;
    if (outcome.status === "checked") {
      contestant.outcome = { ...outcome, status: "timed", rounds: times, pairedSinter, waited, device };
    }
  }
}

async function sampleOnce(contestant: Contestant, seconds: number): Promise<number> {
  const reply = await contestant.process.ask({ type: "sample", seconds });
  if (reply.type === "times") {
    const { runs, waited, device }: Times = reply.times;
    if (waited !== undefined) contestant.waited.push(median(waited));
    if (device !== undefined) contestant.device.push(device);
    return median(runs);
  }
  contestant.outcome = { status: "failed", reason: reply.type === "failed" ? reply.reason : reply.type };
  return Number.NaN;
}

/** Median milliseconds of one contestant, or undefined without a time. */
export function timeOf(result: JobResult, name: string): number | undefined {
  const outcome = result.outcomes.get(name);
  return outcome?.status === "timed" ? median(outcome.rounds) : undefined;
}

/** How many times as long as Sinter `name` takes: the median over neighbouring pairs. */
export function ratioToSinter(result: JobResult, name: string): number | undefined {
  const outcome = result.outcomes.get(name);
  if (outcome?.status !== "timed" || outcome.pairedSinter.length === 0) return undefined;
  return medianRatio(outcome.rounds, outcome.pairedSinter);
}

/** The share of the fma peak that a contestant's flops reach, pair by pair, so that rates taken minutes apart can be compared. */
export function shareOfPeak(result: JobResult, name: string): number | undefined {
  const outcome = result.outcomes.get(name);
  const peak = result.outcomes.get(fmaFloor);
  if (outcome?.status !== "timed" || peak?.status !== "timed") return undefined;
  const own = name === sinterName ? peak.pairedSinter : outcome.rounds;
  return (medianRatio(peak.rounds, own) * result.work.flops) / Number(peak.facts["flops"]);
}

/** A floor's rate in units per millisecond: flops for the fma peak, bytes for the bandwidth. */
export function floorRate(result: JobResult, name: typeof fmaFloor | typeof bandwidthFloor): number | undefined {
  const outcome = result.outcomes.get(name);
  if (outcome?.status !== "timed") return undefined;
  const amount = Number(name === fmaFloor ? outcome.facts["flops"] : outcome.facts["bytes"]);
  return amount / median(outcome.rounds);
}

/** The least time the machine could need, in milliseconds: flops over the peak plus bytes over the bandwidth. */
export function floorTime(result: JobResult): number | undefined {
  const bandwidth = floorRate(result, bandwidthFloor);
  const peak = result.work.flops === 0 ? Number.POSITIVE_INFINITY : floorRate(result, fmaFloor);
  if (bandwidth === undefined || peak === undefined) return undefined;
  return result.work.flops / peak + result.work.bytes / bandwidth;
}
