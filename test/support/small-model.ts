/** A perceptron of two layers with its training step (Adam in one program), small enough for tests of saving it. */
import { compile, gradients, random, type Tensor, tensor, type Variable, variable } from "sinter";

interface Parameter {
  readonly value: Variable;
  readonly mean: Variable;
  readonly square: Variable;
}

function parameter(seed: number, shape: readonly number[]): Parameter {
  const start = random.normal(random.key(seed), shape).mul(0.5);
  const slot = (): Variable => variable(start.mul(0), { trainable: false });
  return { value: variable(start), mean: slot(), square: slot() };
}

/** 4 inputs, 2 outputs; batches of 8. */
export class SmallModel {
  readonly layers = [
    { w: parameter(1, [4, 5]), b: parameter(2, [5]) },
    { w: parameter(3, [5, 2]), b: parameter(4, [2]) },
  ];
  readonly steps = variable(tensor(0), { trainable: false });

  readonly predict = compile((x: Tensor) => this.forward(x), { name: "predict" });
  readonly loss = compile((x: Tensor, y: Tensor) => this.error(x, y), { name: "loss" });
  readonly train = compile((x: Tensor, y: Tensor) => this.step(x, y), { name: "train" });

  /** All variables, by names that a bundle could give them too. */
  get variables(): Variable[] {
    const slots = this.layers.flatMap(({ w, b }) => [w, b]).flatMap((p) => [p.value, p.mean, p.square]);
    return [...slots, this.steps];
  }

  private forward(x: Tensor): Tensor {
    const [first, second] = this.layers as [SmallModel["layers"][0], SmallModel["layers"][0]];
    return x.matmul(first.w.value).add(first.b.value).tanh().matmul(second.w.value).add(second.b.value);
  }

  private error(x: Tensor, y: Tensor): Tensor {
    return this.forward(x).sub(y).square().mean();
  }

  private step(x: Tensor, y: Tensor): Tensor {
    const parameters = this.layers.flatMap(({ w, b }) => [w, b]);
    const { value, grads } = gradients(
      () => this.error(x, y),
      parameters.map((p) => p.value),
    );
    this.steps.assignAdd(1);
    const rate = tensor(0.01).div(tensor(1).sub(tensor(0.9).pow(this.steps)));
    const bias = tensor(1).sub(tensor(0.999).pow(this.steps));
    for (const [i, { value: w, mean, square }] of parameters.entries()) {
      mean.assign(mean.mul(0.9).add(grads[i]!.mul(0.1)));
      square.assign(square.mul(0.999).add(grads[i]!.square().mul(0.001)));
      w.assignSub(mean.mul(rate).div(square.div(bias).sqrt().add(1e-8)));
    }
    return value;
  }
}

/** A batch for it. */
export function smallBatch(seed: number): [Tensor, Tensor] {
  const [a, b] = random.split(random.key(seed), 2) as [Tensor, Tensor];
  return [random.normal(a, [8, 4]), random.normal(b, [8, 2])];
}
