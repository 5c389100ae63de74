// y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) over 4M elements: does a chain of element-wise ops become one pass?
import { atLeast, atMost } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import { elementwiseJob } from "./array-jobs.ts";
import type { Case } from "./case.ts";

export const elementwise: Case = {
  name: "elementwise",
  run: async (context) => {
    const results = await runJobs(context, [elementwiseJob(4)], context.peers);
    const result = results[0]!;
    return timedSection({
      name: "elementwise",
      title: "y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) over 4M elements, f32",
      unit: "GB/s",
      results,
      targets: [
        atMost("one kernel", kernelsOf(result), 1, ""),
        atLeast("at least 6x faster than tfjs-wasm", ratioToSinter(result, "tfjs-wasm"), 6, "x"),
        atLeast("at least 2.5x faster than onnxruntime-web", ratioToSinter(result, "onnxruntime-web"), 2.5, "x"),
      ],
    });
  },
};
