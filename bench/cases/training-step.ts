// One training step of a 784-256-128-10 network at batch 128: forward, backward and Adam.
import { checkedSteps } from "../harness/inputs.ts";
import { atLeast, atMost } from "../harness/section.ts";
import { floorRate, fmaFloor, ratioToSinter, runJobs, sinterName, timeOf } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import type { Case } from "./case.ts";
import { trainingJob } from "./training-job.ts";

export const trainingStep: Case = {
  name: "training-step",
  run: async (context) => {
    const extra = context.peers.includes("tfjs-wasm") ? ["tfjs-wasm-tuned"] : [];
    const results = await runJobs(context, [trainingJob(128)], [...context.peers, ...extra, "typed-array"]);
    const result = results[0]!;
    const time = timeOf(result, sinterName);
    const peak = floorRate(result, fmaFloor);
    return timedSection({
      name: "training-step",
      title: "Training step, 784-256-128-10, batch 128, Adam",
      unit: "GFLOP/s",
      results,
      notes: [
        `checked: the losses of ${checkedSteps} steps`,
        "tfjs-wasm-tuned: the same with transposes written out in the gradient, which tfjs does not do by itself",
      ],
      targets: [
        atLeast("at least 2x faster than jax-js", ratioToSinter(result, "jax-js"), 2, "x"),
        atLeast("at least 15x faster than tfjs-wasm", ratioToSinter(result, "tfjs-wasm"), 15, "x"),
        atMost(
          "at most 1.5x the time of its flops at the fma peak",
          time === undefined || peak === undefined ? undefined : (time * peak) / result.work.flops,
          1.5,
          "x",
        ),
        atMost("at most 16 kernels", kernelsOf(result), 16, ""),
      ],
    });
  },
};
