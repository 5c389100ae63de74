// Gradient descent on 100 points, 10,000 steps: a loop of tiny steps, where whatever a step costs besides its arithmetic
// decides. The result is the slope and the offset.
import { linearRegression as plainRegression } from "../../examples/control/plain.ts";
import { regressionInputs, regressionRate } from "../harness/inputs.ts";
import { atLeast } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";

const job = { kind: "linear-regression", points: 100, steps: 10_000 } as const;

export const linearRegression: Case = {
  name: "linear-regression",
  run: async (context) => {
    const peers = context.peers.filter((name) => name !== "onnxruntime-web");
    const results = await runJobs(
      context,
      [
        {
          label: "10,000 steps",
          job,
          work: {
            // w x + b - y, times x, and two sums.
            flops: job.points * job.steps * 6,
            bytes: job.points * 8,
            bandwidth: { kind: "read-bandwidth", size: 65_536 },
          },
          reference: () => {
            const { x, y } = regressionInputs(job);
            const { w, b } = plainRegression(x, y, job.steps, regressionRate);
            return Float64Array.of(w, b);
          },
          tolerance: { absolute: 0, relative: 1e-3 },
        },
      ],
      [...peers, "typed-array"],
    );
    const result = results[0]!;
    return timedSection({
      name: "linear-regression",
      title: "Linear regression by gradient descent, 100 points, 10,000 steps in one call",
      unit: "GFLOP/s",
      results,
      notes: [
        `${kernelsOf(result) ?? "?"} kernels in the program, whatever the number of steps`,
        "jax-js: 50 steps unrolled in one jitted function, called 200 times; tfjs-wasm: one op after another",
      ],
      targets: [
        atLeast("at least 3x faster than plain loops on Float32Array", ratioToSinter(result, "typed-array"), 3, "x"),
      ],
    });
  },
};
