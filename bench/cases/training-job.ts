// One training step of a 784-256-128-10 network as a timed job: forward, backward and Adam.
import { adamSettings, checkedSteps, initialLayers, layerSizes, trainingBatch } from "../harness/inputs.ts";
import type { TimedJob } from "../harness/timed-case.ts";
import { Float64Mlp } from "../reference/mlp-float64.ts";

/** Checked by the losses of `checkedSteps` steps. */
export function trainingJob(batch: number): TimedJob {
  return {
    label: "step",
    job: { kind: "training-step", batch },
    work: {
      flops: flopsOfStep(batch),
      bytes: bytesOfStep(batch),
      bandwidth: { kind: "copy-bandwidth", size: 4 * 1024 * 1024 },
    },
    reference: () => referenceLosses(batch),
    tolerance: { absolute: 0, relative: 2e-5 },
  };
}

/** Products of the forward pass, of the weight gradients, and of the input gradients of all layers but the first. */
function flopsOfStep(batch: number): number {
  let products = 0;
  for (let index = 0; index + 1 < layerSizes.length; index++) {
    products += layerSizes[index]! * layerSizes[index + 1]! * (index === 0 ? 2 : 3);
  }
  return 2 * batch * products;
}

/** Adam reads and writes each parameter and both of its means; everything else is small beside that. */
function bytesOfStep(batch: number): number {
  const parameters = initialLayers().reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0);
  return 4 * (6 * parameters + batch * layerSizes[0]);
}

function referenceLosses(batch: number): Float64Array {
  const network = new Float64Mlp(initialLayers(), adamSettings);
  const { images, labels } = trainingBatch({ batch });
  return Float64Array.from({ length: checkedSteps }, () => network.step(images, labels));
}
