// A tanh network over 64 steps, forward and backward: the loss and the gradients of its three weights.
import { rnnGradients } from "../../examples/control/plain-rnn.ts";
import { rnnInputs } from "../harness/inputs.ts";
import { atLeast } from "../harness/section.ts";
import { ratioToSinter, runJobs } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";

const job = { kind: "rnn", steps: 64, batch: 32, hidden: 128 } as const;

export const rnn: Case = {
  name: "rnn",
  run: async (context) => {
    const peers = context.peers.filter((name) => name === "jax-js");
    const { steps, batch, hidden } = job;
    const parameters = 2 * hidden * hidden + hidden;
    const results = await runJobs(
      context,
      [
        {
          label: "64 steps",
          job,
          work: {
            // Two products forward; backward two for the weights and one for the state.
            flops: 5 * 2 * steps * batch * hidden * hidden,
            bytes: 4 * (steps * batch * hidden * 2 + parameters * 2),
            bandwidth: { kind: "copy-bandwidth", size: steps * batch * hidden },
          },
          reference: () => {
            const { x, input, recurrent, bias } = rnnInputs(job);
            const wide = (values: Float32Array): Float64Array => Float64Array.from(values);
            const weights = { input: wide(input), recurrent: wide(recurrent), bias: wide(bias) };
            const found = rnnGradients({ steps, batch, inputs: hidden, hidden }, weights, wide(x));
            return Float64Array.of(found.loss, ...found.input, ...found.recurrent, ...found.bias);
          },
          tolerance: { absolute: 1e-7, relative: 1e-3 },
        },
      ],
      [...peers, "typed-array"],
    );
    const result = results[0]!;
    return timedSection({
      name: "rnn",
      title: "tanh network, 64 steps, batch 32, hidden 128, forward and backward",
      unit: "GFLOP/s",
      results,
      notes: [
        `${kernelsOf(result) ?? "?"} kernels in the program, whatever the number of steps`,
        "jax-js: the steps unrolled in one jitted function, since it has no loops",
      ],
      targets: [atLeast("at least 3x faster than jax-js", ratioToSinter(result, "jax-js"), 3, "x")],
    });
  },
};
