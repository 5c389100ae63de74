// y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) over 4M elements: does a chain of element-wise ops become one pass?
import { elementwiseConstants, elementwiseInput } from "../harness/inputs.ts";
import { atLeast, atMost } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import { elementwise64 } from "../reference/array-ops.ts";
import type { Case } from "./case.ts";
import { flopsPerTranscendental } from "./transcendental.ts";

const job = { kind: "elementwise", size: 4 * 1024 * 1024 } as const;

export const elementwise: Case = {
  name: "elementwise",
  run: async (context) => {
    const results = await runJobs(
      context,
      [
        {
          label: "4M",
          job,
          work: {
            // tanh, sigmoid and exp, and five plain operations.
            flops: job.size * (3 * flopsPerTranscendental + 5),
            bytes: job.size * 8,
            bandwidth: { kind: "copy-bandwidth", size: job.size },
          },
          reference: () => elementwise64(elementwiseInput(job), elementwiseConstants.a, elementwiseConstants.b),
          tolerance: { absolute: 2e-6, relative: 2e-6 },
        },
      ],
      context.peers,
    );
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
