/**
 * A 784-256-128-10 perceptron with its training step: forward, backward and Adam in one function, which `compile` turns
 * into one program that updates the variables in place.
 */
import { compile, gradients, random, type Tensor, tensor, type Variable, variable, zeros } from "sinter";
import { classes, pixels } from "./sets.ts";

export const layerSizes: readonly number[] = [pixels, 256, 128, classes];
export const adam = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
const weightSeed = 7;

/** A parameter with Adam's two running means. */
interface Parameter {
  readonly value: Variable;
  readonly mean: Variable;
  readonly square: Variable;
}

export class Classifier {
  readonly parameters: Parameter[] = [];
  private readonly steps = variable(tensor(0, { dtype: "f32" }), { name: "steps", trainable: false });

  constructor() {
    for (const [i, { weights, inputs, outputs }] of initialWeights().entries()) {
      this.parameters.push(parameter(`w${i + 1}`, tensor(weights, { shape: [inputs, outputs] })));
      this.parameters.push(parameter(`b${i + 1}`, zeros([outputs])));
    }
  }

  /** Scores of each class: images [n, 784] to [n, 10]. */
  logits(images: Tensor): Tensor {
    let x = images;
    for (let i = 0; i < this.parameters.length; i += 2) {
      x = x.matmul(this.parameters[i]!.value).add(this.parameters[i + 1]!.value);
      if (i + 2 < this.parameters.length) x = x.relu();
    }
    return x;
  }

  /** Cross entropy and accuracy of a batch: images [n, 784], labels [n] (i32). */
  score(images: Tensor, labels: Tensor): { readonly loss: Tensor; readonly accuracy: Tensor } {
    const logits = this.logits(images);
    const loss = logits.logSoftmax(-1).mul(labels.oneHot(classes)).sum(-1).mean().neg();
    return { loss, accuracy: logits.argMax(-1).eq(labels).cast("f32").mean() };
  }

  /**
   * One step of training; what it returns describes the batch before the update. The forward pass is written twice here,
   * for the score and for the gradient; the compiler sees that it is the same and computes it once.
   */
  step(images: Tensor, labels: Tensor): { readonly loss: Tensor; readonly accuracy: Tensor } {
    const score = this.score(images, labels);
    const { grads } = gradients(
      () => this.score(images, labels).loss,
      this.parameters.map((p) => p.value),
    );
    this.update(grads);
    return score;
  }

  /** Adam (Kingma and Ba 2015, algorithm 1). */
  private update(grads: readonly Tensor[]): void {
    this.steps.assignAdd(1);
    const { learningRate, beta1, beta2, epsilon } = adam;
    const rate = tensor(learningRate).div(tensor(1).sub(tensor(beta1).pow(this.steps)));
    const squareBias = tensor(1).sub(tensor(beta2).pow(this.steps));
    for (const [i, { value, mean, square }] of this.parameters.entries()) {
      const gradient = grads[i]!;
      mean.assign(mean.mul(beta1).add(gradient.mul(1 - beta1)));
      square.assign(square.mul(beta2).add(gradient.square().mul(1 - beta2)));
      value.assignSub(mean.mul(rate).div(square.div(squareBias).sqrt().add(epsilon)));
    }
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const { value, mean, square } of this.parameters) for (const one of [value, mean, square]) one.dispose();
    this.steps.dispose();
  }

  compiledStep(backend: "wasm" | "webgpu" = "wasm") {
    return compile((images: Tensor, labels: Tensor) => this.step(images, labels), { name: "trainingStep", backend });
  }

  compiledScore(backend: "wasm" | "webgpu" = "wasm") {
    return compile((images: Tensor, labels: Tensor) => this.score(images, labels), { name: "score", backend });
  }
}

function parameter(name: string, start: Tensor): Parameter {
  const zero = (): Tensor => zeros(start.shape);
  return {
    value: variable(start, { name }),
    mean: variable(zero(), { name: `${name}.mean`, trainable: false }),
    square: variable(zero(), { name: `${name}.square`, trainable: false }),
  };
}

/** He-uniform weights (He et al. 2015), from a fixed seed. */
export function initialWeights(): { weights: Float32Array; inputs: number; outputs: number }[] {
  return layerSizes.slice(1).map((outputs, i) => {
    const inputs = layerSizes[i]!;
    const limit = Math.sqrt(6 / inputs);
    const key = random.foldIn(random.key(weightSeed), i);
    const weights = random.uniform(key, [inputs, outputs], -limit, limit).dataSync() as Float32Array;
    return { weights, inputs, outputs };
  });
}
