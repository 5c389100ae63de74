// A hundred steps of a Jacobi stencil on a grid of 1024x1024: four megabytes read and written in each step.
import { jacobi as plainJacobi } from "../../examples/control/plain.ts";
import { jacobiInput } from "../harness/inputs.ts";
import { atMost } from "../harness/section.ts";
import { runJobs, sinterName, timeOf } from "../harness/timed-case.ts";
import { timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";

const job = { kind: "jacobi", size: 1024, steps: 100 } as const;
const elements = job.size * job.size;

export const jacobi: Case = {
  name: "jacobi",
  run: async (context) => {
    const peers = context.peers.filter((name) => name === "onnxruntime-web");
    const results = await runJobs(
      context,
      [
        {
          label: "100 steps",
          job,
          work: {
            flops: 4 * elements * job.steps,
            bytes: 8 * elements * job.steps,
            bandwidth: { kind: "copy-bandwidth", size: elements },
          },
          reference: () => plainJacobi(Float64Array.from(jacobiInput(job)), job.size, job.steps),
          tolerance: { absolute: 1e-5, relative: 0 },
        },
      ],
      [...peers, "typed-array"],
    );
    return timedSection({
      name: "jacobi",
      title: "Jacobi stencil, 1024x1024, 100 steps in one call",
      unit: "GB/s",
      results,
      notes: ["onnxruntime-web: a Loop over a convolution with the cross of four quarters"],
      targets: [atMost("at most 50 ms", timeOf(results[0]!, sinterName), 50, " ms")],
    });
  },
};
