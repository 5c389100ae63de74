// matmul 1024x1024x1024: how near the fma peak, and how far ahead of the wasm peers.
import { atLeast } from "../harness/section.ts";
import { ratioToSinter, runJobs, shareOfPeak, sinterName } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";
import { matmulJob } from "./matmul-job.ts";

export const matmul: Case = {
  name: "matmul",
  run: async (context) => {
    const results = await runJobs(context, [matmulJob(1024, 1024, 1024)], context.peers);
    const result = results[0]!;
    const share = shareOfPeak(result, sinterName);
    return timedSection({
      name: "matmul",
      title: "Matrix product, 1024x1024x1024, f32",
      unit: "GFLOP/s",
      results,
      targets: [
        atLeast("at least 85% of the fma peak", share === undefined ? undefined : share * 100, 85, "%"),
        ...context.peers.map((peer) =>
          atLeast(`at least 1.6x faster than ${peer}`, ratioToSinter(result, peer), 1.6, "x"),
        ),
      ],
    });
  },
};
