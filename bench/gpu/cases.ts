// The cases of the bench for GPUs. On a software adapter, where only results are checked, jobs are small.
import { elementwiseJob, softmaxJob, sumJob } from "../cases/array-jobs.ts";
import type { Case } from "../cases/case.ts";
import { trainingJob } from "../cases/training-job.ts";
import { checkedSteps } from "../harness/inputs.ts";
import { atLeast, atMost, percent, type Table, type Target } from "../harness/section.ts";
import {
  type JobResult,
  ratioToSinter,
  runJobs,
  shareOfPeak,
  sinterName,
  type TimedJob,
} from "../harness/timed-case.ts";
import { type TimedSection, timedSection } from "../harness/timed-section.ts";
import { limits } from "./limits.ts";
import { largeMatmulJob } from "./matmul-job.ts";

export const gpuPeers = ["tfjs-webgpu", "jax-js"];
const fusedPeer = "tfjs-webgpu-fused";

export interface Scale {
  /** Matrix products of n x n by n x n. */
  readonly matmul: readonly number[];
  /** Millions of elements. */
  readonly arrays: readonly number[];
  readonly softmax: readonly (readonly [rows: number, columns: number])[];
  readonly batches: readonly number[];
}

/** The larger arrays do not fit the caches of most GPUs; 128 MiB is what every device binds. */
export const fullScale: Scale = {
  matmul: [512, 1023, 1024, 2048, 4096],
  arrays: [4, 32],
  softmax: [
    [1024, 1024],
    [4096, 8192],
  ],
  batches: [128, 1024],
};

export const smallScale: Scale = { matmul: [255, 512], arrays: [1], softmax: [[256, 1024]], batches: [128] };

export function gpuCases(scale: Scale): Case[] {
  return [
    limits(scale.arrays),
    gpuCase(
      "matmul",
      scale.matmul.map((n) => largeMatmulJob(n, n, n)),
      {
        title: "Matrix products n x n by n x n, f32",
        unit: "GFLOP/s",
        notes: ["checked: some whole rows, and the means of all rows and of all columns"],
        tables: (results, names) => [peakTable(results, names)],
      },
    ),
    gpuCase("elementwise", scale.arrays.map(elementwiseJob).map(onGpus), {
      title: "y = tanh(a*x + b) * sigmoid(x) + exp(-x*x), f32",
      unit: "GB/s",
    }),
    gpuCase("softmax", scale.softmax.map(([rows, columns]) => softmaxJob(rows, columns)).map(onGpus), {
      title: "softmax over rows, f32",
      unit: "GB/s",
    }),
    gpuCase("sum", scale.arrays.map(sumJob), { title: "Sum of all elements, f32", unit: "GB/s" }),
    gpuCase(
      "training-step",
      scale.batches
        .map(trainingJob)
        .map(onGpus)
        .map((job, i) => ({ ...job, label: `batch ${scale.batches[i]}` })),
      {
        title: "Training step, 784-256-128-10, Adam",
        unit: "GFLOP/s",
        extra: [fusedPeer],
        notes: [
          `checked: the losses of ${checkedSteps} steps`,
          `${fusedPeer}: dense layers written as tf.fused.matMul, with bias and relu in the product's kernel`,
        ],
      },
    ),
  ];
}

/** WGSL's own tanh may be 1e-5 off and its exp some tens of ulp, and both are what the peers use. */
function onGpus(job: TimedJob): TimedJob {
  const { absolute, relative } = job.tolerance;
  const tolerances: Partial<Record<TimedJob["job"]["kind"], TimedJob["tolerance"]>> = {
    elementwise: { absolute: 4e-5, relative: 4e-5 },
    softmax: { absolute: 1e-9, relative: 3e-5 },
    // Adam divides by roots of second means, which makes much of little errors where gradients are small.
    "training-step": { absolute: 0, relative: 2e-4 },
  };
  return { ...job, tolerance: tolerances[job.job.kind] ?? { absolute, relative } };
}

interface Shown extends Pick<TimedSection, "title" | "unit" | "notes"> {
  /** Contestants of this case alone, written for the same library as the first peer. */
  readonly extra?: readonly string[];
  tables?(results: readonly JobResult[], names: readonly string[]): Table[];
}

function gpuCase(name: string, jobs: readonly TimedJob[], { extra = [], tables, ...shown }: Shown): Case {
  return {
    name,
    run: async (context) => {
      const peers = [...context.peers, ...(context.peers.includes(gpuPeers[0]!) ? extra : [])];
      const results = await runJobs(context, jobs, peers);
      const more = context.options.checkOnly ? [] : (tables?.(results, [sinterName, ...peers]) ?? []);
      return timedSection({ ...shown, name, results, tables: more, targets: targets(results, peers) });
    },
  };
}

function targets(results: readonly JobResult[], peers: readonly string[]): Target[] {
  return results.flatMap((result) => [
    atMost(`${result.label}: one submit per call`, submitsOf(result), 1, ""),
    ...peers.map((peer) =>
      atLeast(`${result.label}: at least as fast as ${peer}`, ratioToSinter(result, peer), 1, "x"),
    ),
  ]);
}

function submitsOf({ outcomes }: JobResult): number | undefined {
  const outcome = outcomes.get(sinterName);
  return outcome?.status === "timed" ? Number(outcome.facts["submits"]) : undefined;
}

function peakTable(results: readonly JobResult[], names: readonly string[]): Table {
  return {
    columns: ["share of the fma peak", "", ...results.map(({ label }) => label)],
    rows: names.map((name) => [
      name,
      "",
      ...results.map((result) => {
        const share = shareOfPeak(result, name);
        return share === undefined ? "" : percent(share);
      }),
    ]),
  };
}
