// softmax over the rows of a 1024x1024 matrix: two reductions and a map over data that fits a core's cache row by row.
import { atLeast, atMost } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import { softmaxJob } from "./array-jobs.ts";
import type { Case } from "./case.ts";

export const softmax: Case = {
  name: "softmax",
  run: async (context) => {
    const results = await runJobs(context, [softmaxJob(1024, 1024)], context.peers);
    const result = results[0]!;
    return timedSection({
      name: "softmax",
      title: "softmax over the rows of 1024x1024, f32",
      unit: "GB/s",
      results,
      targets: [
        atMost("one kernel", kernelsOf(result), 1, ""),
        atLeast("at least 0.95 of the speed of tfjs-wasm", ratioToSinter(result, "tfjs-wasm"), 0.95, "x"),
      ],
    });
  },
};
