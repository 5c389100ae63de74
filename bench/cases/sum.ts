// The sum of 4M and of 64M elements: nothing but reading memory.
import { sumInput } from "../harness/inputs.ts";
import { atLeast } from "../harness/section.ts";
import { medianRatio } from "../harness/statistics.ts";
import { bandwidthFloor, type JobResult, runJobs, type TimedJob } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import { sum64 } from "../reference/array-ops.ts";
import type { Case } from "./case.ts";

function sumJob(millions: number): TimedJob {
  const job = { kind: "sum", size: millions * 1024 * 1024 } as const;
  return {
    label: `${millions}M`,
    job,
    // The additions are counted as free: they hide behind the loads.
    work: { flops: 0, bytes: job.size * 4, bandwidth: { kind: "read-bandwidth", size: job.size } },
    reference: () => Float64Array.of(sum64(sumInput(job))),
    // Relative to the sum of magnitudes, size / 2, which is what a backward-stable sum promises.
    tolerance: { absolute: (job.size / 2) * 1e-6, relative: 0 },
  };
}

export const sum: Case = {
  name: "sum",
  run: async (context) => {
    const results = await runJobs(context, [sumJob(4), sumJob(64)], context.peers);
    return timedSection({
      name: "sum",
      title: "Sum of all elements, f32",
      unit: "GB/s",
      results,
      targets: results.map((result) =>
        atLeast(`${result.label}: at least 80% of the read bandwidth`, percentOfBandwidth(result), 80, "%"),
      ),
    });
  },
};

/** The floor reads the same number of bytes, so the ratio of times is the share. */
function percentOfBandwidth(result: JobResult): number | undefined {
  const read = result.outcomes.get(bandwidthFloor);
  if (read?.status !== "timed" || read.pairedSinter.length === 0) return undefined;
  return medianRatio(read.rounds, read.pairedSinter) * 100;
}
