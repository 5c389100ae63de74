// One training step of a 784-256-128-10 network at batch 128: forward, backward and Adam.
import { adamSettings, checkedSteps, initialLayers, layerSizes, trainingBatch } from "../harness/inputs.ts";
import { atLeast, atMost } from "../harness/section.ts";
import { floorRate, fmaFloor, ratioToSinter, runJobs, sinterName, timeOf } from "../harness/timed-case.ts";
import { kernelsOf, timedSection } from "../harness/timed-section.ts";
import { Float64Mlp } from "../reference/mlp-float64.ts";
import type { Case } from "./case.ts";

const batch = 128;

/** Products of the forward pass, of the weight gradients, and of the input gradients of all layers but the first. */
function flopsOfStep(): number {
  let products = 0;
  for (let index = 0; index + 1 < layerSizes.length; index++) {
    products += layerSizes[index]! * layerSizes[index + 1]! * (index === 0 ? 2 : 3);
  }
  return 2 * batch * products;
}

/** Adam reads and writes each parameter and both of its means; everything else is small beside that. */
function bytesOfStep(): number {
  const parameters = initialLayers().reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0);
  return 4 * (6 * parameters + batch * layerSizes[0]);
}

function referenceLosses(): Float64Array {
  const network = new Float64Mlp(initialLayers(), adamSettings);
  const { images, labels } = trainingBatch({ batch });
  return Float64Array.from({ length: checkedSteps }, () => network.step(images, labels));
}

export const trainingStep: Case = {
  name: "training-step",
  run: async (context) => {
    const extra = context.peers.includes("tfjs-wasm") ? ["tfjs-wasm-tuned"] : [];
    const results = await runJobs(
      context,
      [
        {
          label: "step",
          job: { kind: "training-step", batch },
          work: {
            flops: flopsOfStep(),
            bytes: bytesOfStep(),
            bandwidth: { kind: "copy-bandwidth", size: 4 * 1024 * 1024 },
          },
          reference: referenceLosses,
          tolerance: { absolute: 0, relative: 2e-5 },
        },
      ],
      [...context.peers, ...extra, "typed-array"],
    );
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
