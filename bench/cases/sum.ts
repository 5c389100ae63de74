// The sum of 4M and of 64M elements: nothing but reading memory.
import { atLeast } from "../harness/section.ts";
import { medianRatio } from "../harness/statistics.ts";
import { bandwidthFloor, type JobResult, runJobs } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import { sumJob } from "./array-jobs.ts";
import type { Case } from "./case.ts";

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
