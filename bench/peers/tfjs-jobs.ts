// The jobs on TensorFlow.js, on the backend that has been set. It has no compiler: every op is a call.
import * as tf from "@tensorflow/tfjs";
import {
  adamSettings,
  checkedSteps,
  elementwiseConstants,
  elementwiseInput,
  initialLayers,
  layerSizes,
  matmulInputs,
  oneHot,
  powInputs,
  regressionInputs,
  regressionRate,
  softmaxInput,
  sumInput,
  trainingBatch,
  unaryInput,
} from "../harness/inputs.ts";
import type { Job, JobOf, Prepared, Refusal, UnaryName } from "../harness/job.ts";

/** `queued`: ops are handed to a queue of the device, and runs waited for together. */
export function prepare(job: Job, queued: boolean): Prepared | Refusal {
  const apply = queued ? applyQueued : applyAtOnce;
  switch (job.kind) {
    case "matmul": {
      const { a, b } = matmulInputs(job);
      const x = tf.tensor2d(a, [job.m, job.k]);
      const y = tf.tensor2d(b, [job.k, job.n]);
      return apply(() => tf.matMul(x, y), [x, y]);
    }
    case "elementwise": {
      const { a, b } = elementwiseConstants;
      const x = tf.tensor1d(elementwiseInput(job));
      return apply(() => x.mul(a).add(b).tanh().mul(x.sigmoid()).add(x.mul(x).neg().exp()), [x]);
    }
    case "softmax": {
      const x = tf.tensor2d(softmaxInput(job), [job.rows, job.columns]);
      return apply(() => tf.softmax(x), [x]);
    }
    case "sum": {
      const x = tf.tensor1d(sumInput(job));
      return apply(() => x.sum(), [x]);
    }
    case "training-step":
      return trainingStep(job, queued);
    case "linear-regression":
      return apply(...linearRegression(job));
    case "unary": {
      const x = tf.tensor1d(unaryInput(job.name));
      return apply(() => unaryFunctions[job.name](x), [x]);
    }
    case "pow": {
      const { base, exponent } = powInputs();
      const x = tf.tensor1d(base);
      const y = tf.tensor1d(exponent);
      return apply(() => tf.pow(x, y), [x, y]);
    }
    default:
      return { refused: "not written for this peer" };
  }
}

const unaryFunctions: Record<UnaryName, (x: tf.Tensor) => tf.Tensor> = {
  exp: tf.exp,
  log: tf.log,
  tanh: tf.tanh,
  erf: tf.erf,
  sin: tf.sin,
  cos: tf.cos,
};

/** A pure function of tensors: intermediates are freed by `tidy`, the result stays in wasm memory and is then freed. */
function applyAtOnce(compute: () => tf.Tensor, inputs: readonly tf.Tensor[]): Prepared {
  return {
    run: () => tf.tidy(compute).dispose(),
    result: async () => {
      const output = tf.tidy(compute);
      const values = Float32Array.from(await output.data());
      output.dispose();
      return values;
    },
    dispose: () => {
      for (const input of inputs) input.dispose();
    },
  };
}

/** The same on a device with a queue: the wait reads one element of the last result. */
function applyQueued(compute: () => tf.Tensor, inputs: readonly tf.Tensor[]): Prepared {
  let last: tf.Tensor | undefined;
  return {
    ...applyAtOnce(compute, inputs),
    run: () => {
      last?.dispose();
      last = tf.tidy(compute);
    },
    finish: async () => {
      if (last === undefined) return;
      const result = last;
      last = undefined;
      const first = tf.tidy(() => result.flatten().slice([0], [1]));
      await first.data();
      tf.dispose([first, result]);
    },
  };
}

function linearRegression(job: JobOf<"linear-regression">): [() => tf.Tensor, tf.Tensor[]] {
  const inputs = regressionInputs(job);
  const x = tf.tensor1d(inputs.x);
  const y = tf.tensor1d(inputs.y);
  const scale = (2 * regressionRate) / job.points;
  const train = (): tf.Tensor => {
    let w = tf.scalar(0);
    let b = tf.scalar(0);
    for (let step = 0; step < job.steps; step++) {
      const next = tf.tidy(() => {
        const error = tf.sub(tf.add(tf.mul(x, w), b), y);
        return [tf.sub(w, tf.mul(tf.sum(tf.mul(error, x)), scale)), tf.sub(b, tf.mul(tf.sum(error), scale))];
      });
      tf.dispose([w, b]);
      [w, b] = next as [tf.Scalar, tf.Scalar];
    }
    const both = tf.stack([w, b]);
    tf.dispose([w, b]);
    return both;
  };
  return [train, [x, y]];
}

/** x @ weights + bias, and relu of it where asked for, with a gradient. */
export type Dense = (x: tf.Tensor2D, weights: tf.Tensor2D, bias: tf.Tensor1D, relu: boolean) => tf.Tensor2D;

const plainDense: Dense = (x, weights, bias, relu) => {
  const sum: tf.Tensor2D = tf.add(tf.matMul(x, weights), bias);
  return relu ? tf.relu(sum) : sum;
};

export function trainingStep(job: JobOf<"training-step">, queued: boolean, dense: Dense = plainDense): Prepared {
  const { learningRate, beta1, beta2, epsilon } = adamSettings;
  const batch = trainingBatch(job);
  const images = tf.tensor2d(batch.images, [job.batch, layerSizes[0]]);
  const labels = tf.tensor2d(oneHot(batch.labels, layerSizes[3]), [job.batch, layerSizes[3]]);
  const layers = initialLayers().map(({ weights, bias, inputs, outputs }) => ({
    weights: tf.variable(tf.tensor2d(weights, [inputs, outputs])),
    bias: tf.variable(tf.tensor1d(bias)),
  }));
  const newOptimizer = (): tf.AdamOptimizer => tf.train.adam(learningRate, beta1, beta2, epsilon);
  let optimizer = newOptimizer();
  const lossOf = (): tf.Scalar => {
    let x: tf.Tensor2D = images;
    layers.forEach(({ weights, bias }, index) => {
      x = dense(x, weights, bias, index < layers.length - 1);
    });
    return tf.losses.softmaxCrossEntropy(labels, x);
  };
  const variables = layers.flatMap(({ weights, bias }): tf.Variable[] => [weights, bias]);
  const advance = (): tf.Scalar => optimizer.minimize(lossOf, true, variables)!;
  let last: tf.Scalar | undefined;
  const runQueued: Pick<Prepared, "run" | "finish"> = {
    run: () => {
      last?.dispose();
      last = advance();
    },
    finish: async () => {
      await last?.data();
    },
  };
  return {
    run: () => advance().dispose(),
    ...(queued ? runQueued : {}),
    reset: () => {
      optimizer.dispose();
      optimizer = newOptimizer();
      tf.tidy(() => {
        initialLayers().forEach(({ weights, bias, inputs, outputs }, index) => {
          layers[index]!.weights.assign(tf.tensor2d(weights, [inputs, outputs]));
          layers[index]!.bias.assign(tf.tensor1d(bias));
        });
      });
    },
    result: async () => {
      const losses = new Float32Array(checkedSteps);
      for (let index = 0; index < checkedSteps; index++) {
        const loss = advance();
        losses[index] = (await loss.data())[0]!;
        loss.dispose();
      }
      return losses;
    },
    dispose: () => {
      optimizer.dispose();
      last?.dispose();
      tf.dispose([images, labels, ...variables]);
    },
  };
}
