// The training jobs on Sinter: one compiled function holds forward, backward and Adam, and updates its variables.
import { compile, gradients, scope, type Tensor, tensor, type Variable, variable } from "sinter";
import { batches, type Digits, loadDigits, pixels } from "../../examples/digits/data.ts";
import { Classifier } from "../../examples/digits/model.ts";
import { adamSettings, checkedSteps, initialLayers, layerSizes, oneHot, trainingBatch } from "../harness/inputs.ts";
import type { JobOf, Prepared } from "../harness/job.ts";

const classes = layerSizes[3];

/** A parameter with Adam's two running means. */
interface Slot {
  readonly value: Variable;
  readonly mean: Variable;
  readonly square: Variable;
}

function newSlot(start: Float32Array, shape: readonly number[]): Slot {
  const zeros = (): Tensor => tensor(new Float32Array(start.length), { shape });
  return { value: variable(tensor(start, { shape })), mean: variable(zeros()), square: variable(zeros()) };
}

function replace(target: Variable, values: Float32Array, shape: readonly number[]): void {
  const source = tensor(values, { shape });
  target.assign(source);
  source.dispose();
}

class Network {
  readonly slots: Slot[];
  readonly steps: Variable;

  constructor() {
    this.slots = initialLayers().flatMap(({ weights, bias, inputs, outputs }) => [
      newSlot(weights, [inputs, outputs]),
      newSlot(bias, [outputs]),
    ]);
    this.steps = variable(tensor(0, { dtype: "f32" }));
  }

  logits(images: Tensor): Tensor {
    let x = images;
    for (let index = 0; index < this.slots.length; index += 2) {
      x = x.matmul(this.slots[index]!.value).add(this.slots[index + 1]!.value);
      if (index + 2 < this.slots.length) x = x.relu();
    }
    return x;
  }

  /** Traced as a whole: the loss before the update is its only result. */
  step(images: Tensor, labels: Tensor): Tensor {
    const { learningRate, beta1, beta2, epsilon } = adamSettings;
    const { value, grads } = gradients(
      () => this.logits(images).logSoftmax(-1).mul(labels).sum(-1).mean().neg(),
      this.slots.map((slot) => slot.value),
    );
    this.steps.assignAdd(1);
    const biasCorrection = (beta: number): Tensor => tensor(1).sub(tensor(beta).pow(this.steps));
    const rate = tensor(learningRate).div(biasCorrection(beta1));
    const squareBias = biasCorrection(beta2);
    this.slots.forEach((slot, index) => {
      const gradient = grads[index]!;
      slot.mean.assign(slot.mean.mul(beta1).add(gradient.mul(1 - beta1)));
      slot.square.assign(slot.square.mul(beta2).add(gradient.square().mul(1 - beta2)));
      slot.value.assignSub(slot.mean.mul(rate).div(slot.square.div(squareBias).sqrt().add(epsilon)));
    });
    return value;
  }

  /** Back to the start, in place: the compiled step keeps its variables. */
  reset(): void {
    const starts = initialLayers().flatMap(({ weights, bias }) => [weights, bias]);
    this.slots.forEach(({ value, mean, square }, index) => {
      const start = starts[index]!;
      const { shape } = value;
      replace(value, start, shape);
      replace(mean, new Float32Array(start.length), shape);
      replace(square, new Float32Array(start.length), shape);
    });
    this.steps.assign(0);
  }

  dispose(): void {
    for (const { value, mean, square } of this.slots) for (const each of [value, mean, square]) each.dispose();
    this.steps.dispose();
  }
}

export function trainingStep(job: JobOf<"training-step">): Prepared {
  const batch = trainingBatch(job);
  const images = tensor(batch.images, { shape: [job.batch, layerSizes[0]] });
  const labels = tensor(oneHot(batch.labels, classes), { shape: [job.batch, classes] });
  const network = new Network();
  const step = compile((x: Tensor, y: Tensor) => network.step(x, y), { name: "trainingStep" });
  return {
    run: () => step(images, labels).dispose(),
    reset: () => network.reset(),
    result: async () => {
      const losses = new Float32Array(checkedSteps);
      for (let index = 0; index < checkedSteps; index++) {
        const loss = step(images, labels);
        losses[index] = Number((await loss.data())[0]);
        loss.dispose();
      }
      return losses;
    },
    get facts() {
      return { kernels: step.lower(images, labels).cost().kernels };
    },
    dispose: () => {
      network.dispose();
      images.dispose();
      labels.dispose();
    },
  };
}

/** Trains the example's classifier on the digits; the result is the test accuracy after every epoch. */
export function trainingRun(job: JobOf<"training-run">): Prepared {
  const { train, test } = loadDigits();
  const model = new Classifier();
  const step = model.compiledStep();
  const score = model.compiledScore();
  const inputs = (digits: Digits): [Tensor, Tensor] => [
    tensor(digits.images, { shape: [digits.count, pixels] }),
    tensor(digits.labels),
  ];
  return {
    run: () => {},
    result: () => {
      const accuracies: number[] = [];
      for (let epoch = 0; epoch < job.epochs; epoch++) {
        for (const batch of batches(train, job.batch, epoch)) scope(() => void step(...inputs(batch)));
        accuracies.push(scope(() => Number(score(...inputs(test)).accuracy.item())));
      }
      return Float32Array.from(accuracies);
    },
    dispose: () => {},
  };
}
