// The tfjs training step as someone would write it who knows the backend: its wasm matmul is fast only for operands that
// are not transposed, and the library's own gradient of matMul transposes both. Here the gradient of a dense layer is
// given by hand, with the transposes written out.
import * as tf from "@tensorflow/tfjs";
import type { Peer } from "../harness/job.ts";
import { type Dense, trainingStep } from "./tfjs-jobs.ts";
// Sets the backend up.
import "./tfjs-wasm.ts";

const affine = tf.customGrad((...args) => {
  const [x, weights, bias, save] = args as unknown as [tf.Tensor2D, tf.Tensor2D, tf.Tensor1D, tf.GradSaveFunc];
  save([x, weights]);
  return {
    value: tf.add(tf.matMul(x, weights), bias),
    gradFunc: (delta, saved) => {
      const [input, matrix] = saved as [tf.Tensor2D, tf.Tensor2D];
      return [
        tf.matMul(delta as tf.Tensor2D, tf.transpose(matrix)),
        tf.matMul(tf.transpose(input), delta as tf.Tensor2D),
        tf.sum(delta, 0),
      ];
    },
  };
}) as (x: tf.Tensor2D, weights: tf.Tensor2D, bias: tf.Tensor1D) => tf.Tensor2D;

const dense: Dense = (x, weights, bias, relu) => {
  const sum = affine(x, weights, bias);
  return relu ? tf.relu(sum) : sum;
};

export const peer: Peer = {
  name: "tfjs-wasm-tuned",
  prepare: (job) =>
    Promise.resolve(
      job.kind === "training-step"
        ? trainingStep(job, false, dense)
        : { refused: "differs from tfjs-wasm in the training step only" },
    ),
};
