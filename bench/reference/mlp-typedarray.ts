// Training a multi-layer perceptron with plain typed arrays: the program one would write without a library, written
// well. It is a yardstick for the compiled step and depends on nothing but `gemm.ts`.
import { multiply, rowMajor, transposed } from "./gemm.ts";

/** The starting values of one dense layer; `weights` holds `inputs` rows of `outputs` values. */
export interface LayerStart {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly inputs: number;
  readonly outputs: number;
}

export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** A parameter with its gradient and Adam's two running means. */
interface Parameter {
  readonly value: Float32Array;
  readonly gradient: Float32Array;
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

interface LayerState {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Parameter;
  readonly bias: Parameter;
  /** What the layer put out for the batch, after relu where the layer has one. */
  readonly output: Float32Array;
  /** The derivative of the loss by what the layer put out before relu. */
  readonly delta: Float32Array;
}

/**
 * Dense layers with relu between them, trained on softmax cross entropy with Adam. All arrays are allocated once.
 *
 * @example
 * const network = new TypedArrayMlp(layers, 128, { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
 * const loss = network.step(images, labels);
 */
export class TypedArrayMlp {
  readonly batch: number;
  readonly #adam: AdamSettings;
  readonly #layers: LayerState[];
  #steps = 0;

  constructor(layers: readonly LayerStart[], batch: number, adam: AdamSettings) {
    this.batch = batch;
    this.#adam = adam;
    this.#layers = layers.map(({ weights, bias, inputs, outputs }) => ({
      inputs,
      outputs,
      weights: newParameter(weights),
      bias: newParameter(bias),
      output: new Float32Array(batch * outputs),
      delta: new Float32Array(batch * outputs),
    }));
  }

  /** One training step on `batch` images, row by row, and their class numbers; returns the mean loss before the update. */
  step(images: Float32Array, labels: ArrayLike<number>): number {
    this.#forward(images);
    const loss = this.#lossAndDelta(labels);
    this.#backward(images);
    this.#update();
    return loss;
  }

  /** The class numbers of `batch` images. */
  classify(images: Float32Array): Int32Array {
    this.#forward(images);
    const { output, outputs } = this.#layers.at(-1)!;
    return Int32Array.from({ length: this.batch }, (_, row) => {
      const logits = output.subarray(row * outputs, (row + 1) * outputs);
      return logits.indexOf(Math.max(...logits));
    });
  }

  #forward(images: Float32Array): void {
    let input = images;
    this.#layers.forEach(({ inputs, outputs, weights, bias, output }, index) => {
      multiply(this.batch, inputs, outputs, rowMajor(input, inputs), rowMajor(weights.value, outputs), output);
      const isLast = index === this.#layers.length - 1;
      addBias(output, bias.value, isLast ? Number.NEGATIVE_INFINITY : 0);
      input = output;
    });
  }

  /** Mean cross entropy of the softmax of the last layer; its derivative goes to that layer's `delta`. */
  #lossAndDelta(labels: ArrayLike<number>): number {
    const { output, delta, outputs } = this.#layers.at(-1)!;
    let loss = 0;
    for (let row = 0; row < this.batch; row++) {
      const start = row * outputs;
      let largest = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < outputs; j++) largest = Math.max(largest, output[start + j]!);
      let sum = 0;
      for (let j = 0; j < outputs; j++) sum += Math.exp(output[start + j]! - largest);
      const label = labels[row]!;
      loss += Math.log(sum) + largest - output[start + label]!;
      for (let j = 0; j < outputs; j++) {
        const probability = Math.exp(output[start + j]! - largest) / sum;
        delta[start + j] = (probability - (j === label ? 1 : 0)) / this.batch;
      }
    }
    return loss / this.batch;
  }

  #backward(images: Float32Array): void {
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const { inputs, outputs, weights, bias, delta } = this.#layers[index]!;
      const before = this.#layers[index - 1];
      const input = before?.output ?? images;
      multiply(inputs, this.batch, outputs, transposed(input, inputs), rowMajor(delta, outputs), weights.gradient);
      sumRows(delta, bias.gradient);
      if (before === undefined) continue;
      multiply(this.batch, outputs, inputs, rowMajor(delta, outputs), transposed(weights.value, outputs), before.delta);
      for (let i = 0; i < before.delta.length; i++) if (before.output[i]! <= 0) before.delta[i] = 0;
    }
  }

  #update(): void {
    this.#steps++;
    for (const { weights, bias } of this.#layers) {
      adam(weights, this.#adam, this.#steps);
      adam(bias, this.#adam, this.#steps);
    }
  }
}

function newParameter(start: Float32Array): Parameter {
  return {
    value: start.slice(),
    gradient: new Float32Array(start.length),
    mean: new Float32Array(start.length),
    square: new Float32Array(start.length),
  };
}

/** Adds `bias` to every row and clamps from below: at 0 that is relu, at minus infinity nothing. */
function addBias(rows: Float32Array, bias: Float32Array, atLeast: number): void {
  for (let start = 0; start < rows.length; start += bias.length) {
    for (let j = 0; j < bias.length; j++) {
      const value = rows[start + j]! + bias[j]!;
      rows[start + j] = value > atLeast ? value : atLeast;
    }
  }
}

function sumRows(rows: Float32Array, sums: Float32Array): void {
  sums.fill(0);
  for (let start = 0; start < rows.length; start += sums.length) {
    for (let j = 0; j < sums.length; j++) sums[j] = sums[j]! + rows[start + j]!;
  }
}

function adam(parameter: Parameter, settings: AdamSettings, step: number): void {
  const { value, gradient, mean, square } = parameter;
  const { learningRate, beta1, beta2, epsilon } = settings;
  const meanScale = 1 / (1 - beta1 ** step);
  const squareScale = 1 / (1 - beta2 ** step);
  for (let i = 0; i < value.length; i++) {
    const g = gradient[i]!;
    const m = beta1 * mean[i]! + (1 - beta1) * g;
    const v = beta2 * square[i]! + (1 - beta2) * g * g;
    mean[i] = m;
    square[i] = v;
    value[i] = value[i]! - (learningRate * m * meanScale) / (Math.sqrt(v * squareScale) + epsilon);
  }
}
