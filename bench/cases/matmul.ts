// matmul 1024x1024x1024: how near the fma peak, and how far ahead of the wasm peers.
import { atLeast } from "../harness/section.ts";
import { medianRatio } from "../harness/statistics.ts";
import { fmaFloor, type JobResult, ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";
import { matmulJob } from "./matmul-job.ts";

export const matmul: Case = {
  name: "matmul",
  run: async (context) => {
    const results = await runJobs(context, [matmulJob(1024, 1024, 1024)], context.peers);
    const result = results[0]!;
    return timedSection({
      name: "matmul",
      title: "Matrix product, 1024x1024x1024, f32",
      unit: "GFLOP/s",
      results,
      targets: [
        atLeast("at least 85% of the fma peak", percentOfPeak(result), 85, "%"),
        ...context.peers.map((peer) =>
          atLeast(`at least 1.6x faster than ${peer}`, ratioToSinter(result, peer), 1.6, "x"),
        ),
      ],
    });
  },
};

/** Sinter's rate as a share of the peak measured right after it. */
function percentOfPeak(result: JobResult): number | undefined {
  const peak = result.outcomes.get(fmaFloor);
  if (peak?.status !== "timed" || peak.pairedSinter.length === 0) return undefined;
  const work = result.work.flops / Number(peak.facts["flops"]);
  return medianRatio(peak.rounds, peak.pairedSinter) * work * 100;
}
