// The training step in plain typed-array loops: what a program without any library does.
import { adamSettings, checkedSteps, initialLayers, trainingBatch } from "../harness/inputs.ts";
import type { Job, JobOf, Peer, Prepared, Refusal } from "../harness/job.ts";
import { TypedArrayMlp } from "../reference/mlp-typedarray.ts";

export const peer: Peer = {
  name: "typed-array",
  prepare: (job) => Promise.resolve(prepare(job)),
};

function prepare(job: Job): Prepared | Refusal {
  return job.kind === "training-step" ? trainingStep(job) : { refused: "written for the training step only" };
}

function trainingStep(job: JobOf<"training-step">): Prepared {
  const { images, labels } = trainingBatch(job);
  const start = (): TypedArrayMlp => new TypedArrayMlp(initialLayers(), job.batch, adamSettings);
  let network = start();
  return {
    run: () => void network.step(images, labels),
    result: () => Float32Array.from({ length: checkedSteps }, () => network.step(images, labels)),
    reset: () => {
      network = start();
    },
    dispose: () => {},
  };
}
