// The tfjs training step as someone would write it who knows the backend: dense layers by the fused product, which adds the
// bias and applies relu in the product's own kernel.

import * as tf from "@tensorflow/tfjs";
import type { Peer } from "../../harness/job.ts";
import { tuned } from "./tfjs-webgpu.ts";

export const peer: Peer = {
  name: "tfjs-webgpu-fused",
  prepare: async (job) =>
    job.kind === "training-step"
      ? tuned(
          job,
          (x, weights, bias, relu) =>
            tf.fused.matMul({ a: x, b: weights, bias, activation: relu ? "relu" : "linear" }) as tf.Tensor2D,
        )
      : { refused: "differs from tfjs-webgpu in the training step only" },
};
