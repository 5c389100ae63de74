// Jobs in plain typed-array loops: what a program without any library does.
import { adamSettings, checkedSteps, convInputs, initialLayers, trainingBatch } from "../harness/inputs.ts";
import type { Job, JobOf, Peer, Prepared, Refusal } from "../harness/job.ts";
import { ConvClassifier } from "../reference/conv-classifier.ts";
import { TypedArrayMlp } from "../reference/mlp-typedarray.ts";
import { jacobi, linearRegression, mandelbrot, rnn } from "./typed-array-control.ts";

export const peer: Peer = {
  name: "typed-array",
  prepare: (job) => Promise.resolve(prepare(job)),
};

function prepare(job: Job): Prepared | Refusal {
  switch (job.kind) {
    case "training-step":
      return trainingStep(job);
    case "conv-training":
      return convTraining(job);
    case "linear-regression":
      return linearRegression(job);
    case "mandelbrot":
      return mandelbrot(job);
    case "jacobi":
      return jacobi(job);
    case "rnn":
      return rnn(job);
    default:
      return { refused: "not written for this peer" };
  }
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

function convTraining({ batch }: JobOf<"conv-training">): Prepared {
  const { images, labels, parameters } = convInputs(batch);
  const network = new ConvClassifier<Float32Array>(batch, (size) => new Float32Array(size));
  return {
    run: () => void network.step(images, labels, parameters),
    result: () => {
      const loss = network.step(images, labels, parameters);
      return Float32Array.from([loss, ...network.gradients.flatMap((gradient) => [...gradient])]);
    },
    dispose: () => {},
  };
}
