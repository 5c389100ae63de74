// The same training as `mlp-typedarray.ts` in float64 throughout, in the most straightforward loops. It decides whether
// a loss or an accuracy is right, so it shares no code with anything it judges.
import type { AdamSettings, LayerStart } from "./mlp-typedarray.ts";

interface Dense {
  readonly inputs: number;
  readonly outputs: number;
  /** Weights, then bias, in one array, so that Adam is one loop. */
  readonly parameters: Float64Array;
  readonly mean: Float64Array;
  readonly square: Float64Array;
}

export class Float64Mlp {
  readonly #layers: Dense[];
  readonly #adam: AdamSettings;
  #steps = 0;

  constructor(layers: readonly LayerStart[], adam: AdamSettings) {
    this.#adam = adam;
    this.#layers = layers.map(({ inputs, outputs, weights, bias }) => {
      const parameters = new Float64Array(weights.length + bias.length);
      parameters.set(weights);
      parameters.set(bias, weights.length);
      const { length } = parameters;
      return { inputs, outputs, parameters, mean: new Float64Array(length), square: new Float64Array(length) };
    });
  }

  /** One step; returns the mean loss before the update. */
  step(images: ArrayLike<number>, labels: ArrayLike<number>): number {
    const rows = labels.length;
    const activations = this.#activations(images, rows);
    const { loss, derivative } = crossEntropy(activations.at(-1)!, labels);
    this.#steps++;
    let delta = derivative;
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const layer = this.#layers[index]!;
      const input = activations[index]!;
      const gradient = parameterGradient(layer, input, delta, rows);
      const inputDelta = index === 0 ? delta : layerInputDelta(layer, input, delta, rows);
      this.#update(layer, gradient);
      delta = inputDelta;
    }
    return loss;
  }

  /** The class numbers of `rows` images. */
  classify(images: ArrayLike<number>, rows: number): Int32Array {
    const logits = this.#activations(images, rows).at(-1)!;
    const classes = logits.length / rows;
    return Int32Array.from({ length: rows }, (_, row) => {
      const own = logits.subarray(row * classes, (row + 1) * classes);
      return own.indexOf(Math.max(...own));
    });
  }

  /** The input of every layer, and the logits at the end. */
  #activations(images: ArrayLike<number>, rows: number): Float64Array[] {
    const all: Float64Array[] = [Float64Array.from(images)];
    this.#layers.forEach((layer, index) => {
      all.push(forward(layer, all[index]!, rows, index < this.#layers.length - 1));
    });
    return all;
  }

  #update({ parameters, mean, square }: Dense, gradient: Float64Array): void {
    const { learningRate, beta1, beta2, epsilon } = this.#adam;
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i]!;
      mean[i] = beta1 * mean[i]! + (1 - beta1) * g;
      square[i] = beta2 * square[i]! + (1 - beta2) * g * g;
      const m = mean[i]! / (1 - beta1 ** this.#steps);
      const v = square[i]! / (1 - beta2 ** this.#steps);
      parameters[i] = parameters[i]! - (learningRate * m) / (Math.sqrt(v) + epsilon);
    }
  }
}

function forward(
  { inputs, outputs, parameters }: Dense,
  input: Float64Array,
  rows: number,
  relu: boolean,
): Float64Array {
  const result = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) result[row * outputs + o] = parameters[inputs * outputs + o]!;
    for (let i = 0; i < inputs; i++) {
      const x = input[row * inputs + i]!;
      for (let o = 0; o < outputs; o++) result[row * outputs + o]! += x * parameters[i * outputs + o]!;
    }
  }
  return relu ? result.map((value) => Math.max(value, 0)) : result;
}

function crossEntropy(logits: Float64Array, labels: ArrayLike<number>): { loss: number; derivative: Float64Array } {
  const rows = labels.length;
  const classes = logits.length / rows;
  const derivative = new Float64Array(logits.length);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    const largest = Math.max(...own);
    const exponentials = own.map((value) => Math.exp(value - largest));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    loss += (Math.log(sum) + largest - own[labels[row]!]!) / rows;
    exponentials.forEach((value, o) => {
      derivative[row * classes + o] = (value / sum - (o === labels[row] ? 1 : 0)) / rows;
    });
  }
  return { loss, derivative };
}

function parameterGradient(
  { inputs, outputs }: Dense,
  input: Float64Array,
  delta: Float64Array,
  rows: number,
): Float64Array {
  const gradient = new Float64Array((inputs + 1) * outputs);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i <= inputs; i++) {
      // The bias is the weight of an input that is always one.
      const x = i === inputs ? 1 : input[row * inputs + i]!;
      for (let o = 0; o < outputs; o++) gradient[i * outputs + o]! += x * delta[row * outputs + o]!;
    }
  }
  return gradient;
}

/** The derivative by the layer's input, through the relu that produced it. */
function layerInputDelta(
  { inputs, outputs, parameters }: Dense,
  input: Float64Array,
  delta: Float64Array,
  rows: number,
): Float64Array {
  const result = new Float64Array(rows * inputs);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < inputs; i++) {
      if (input[row * inputs + i]! <= 0) continue;
      let sum = 0;
      for (let o = 0; o < outputs; o++) sum += delta[row * outputs + o]! * parameters[i * outputs + o]!;
      result[row * inputs + i] = sum;
    }
  }
  return result;
}
