// softmax over the rows of a 1024x1024 matrix: two reductions and a map over data that fits a core's cache row by row.
import { softmaxInput } from "../harness/inputs.ts";
import { atLeast, atMost } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import { softmax64 } from "../reference/array-ops.ts";
import type { Case } from "./case.ts";
import { flopsPerTranscendental } from "./transcendental.ts";

const job = { kind: "softmax", rows: 1024, columns: 1024 } as const;
const elements = job.rows * job.columns;

export const softmax: Case = {
  name: "softmax",
  run: async (context) => {
    const results = await runJobs(
      context,
      [
        {
          label: "1024x1024",
          job,
          work: {
            // A maximum, a subtraction, an exponential, a sum and a product.
            flops: elements * (flopsPerTranscendental + 4),
            bytes: elements * 8,
            bandwidth: { kind: "copy-bandwidth", size: elements },
          },
          reference: () => softmax64(softmaxInput(job), job.columns),
          tolerance: { absolute: 1e-9, relative: 1e-5 },
        },
      ],
      context.peers,
    );
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
