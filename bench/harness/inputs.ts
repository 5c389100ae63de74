// The inputs of every job: a pure function of the job, so that each process makes the same ones for itself.

import { convSizes, parameterSizes } from "../reference/conv-classifier.ts";
import type { LayerStart } from "../reference/mlp-typedarray.ts";
import type { JobOf, UnaryName } from "./job.ts";
import { Generator } from "./random.ts";

export interface MatmulInputs {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

export function matmulInputs({ m, k, n }: JobOf<"matmul">): MatmulInputs {
  const random = new Generator(m * 31 + k * 17 + n);
  return { a: random.floats(m * k, -1, 1), b: random.floats(k * n, -1, 1) };
}

/** The two constants of y = tanh(a*x + b) * sigmoid(x) + exp(-x*x). Both are exact in float32. */
export const elementwiseConstants = { a: 1.25, b: 0.375 } as const;

export function elementwiseInput({ size }: JobOf<"elementwise">): Float32Array {
  return new Generator(4).floats(size, -4, 4);
}

export function softmaxInput({ rows, columns }: JobOf<"softmax">): Float32Array {
  return new Generator(5).floats(rows * columns, -5, 5);
}

/** Centred on zero, so that a plain running f32 sum of 64M elements is still right and only its speed differs. */
export function sumInput({ size }: { readonly size: number }): Float32Array {
  return new Generator(6).floats(size, -1, 1);
}

export const layerSizes = [784, 256, 128, 10] as const;
export const adamSettings = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
/** Steps over which the losses of a training step are compared with the reference. */
export const checkedSteps = 5;

export interface Batch {
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** The starting parameters: He-uniform weights and zero biases. */
export function initialLayers(): LayerStart[] {
  const random = new Generator(7);
  const layers: LayerStart[] = [];
  for (let index = 0; index + 1 < layerSizes.length; index++) {
    const inputs = layerSizes[index]!;
    const outputs = layerSizes[index + 1]!;
    const limit = Math.sqrt(6 / inputs);
    layers.push({
      weights: random.floats(inputs * outputs, -limit, limit),
      bias: new Float32Array(outputs),
      inputs,
      outputs,
    });
  }
  return layers;
}

/** One batch for all steps: the loss then falls fast, and a wrong gradient shows within the checked steps. */
export function trainingBatch({ batch }: { readonly batch: number }): Batch {
  const random = new Generator(8);
  const images = random.floats(batch * layerSizes[0], 0, 1);
  const labels = new Int32Array(batch);
  for (let i = 0; i < batch; i++) labels[i] = random.below(layerSizes[3]);
  return { images, labels };
}

/** `labels` as rows of zeros with a single one. */
export function oneHot(labels: Int32Array, classes: number): Float32Array {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, row) => {
    rows[row * classes + label] = 1;
  });
  return rows;
}

export const regressionRate = 5e-4;

/** Points near y = 3x - 0.5; with `regressionRate`, descent is still under way after thousands of steps. */
export function regressionInputs({ points }: JobOf<"linear-regression">): { x: Float32Array; y: Float32Array } {
  const random = new Generator(11);
  const x = random.floats(points, -1, 1);
  return { x, y: x.map((value) => 3 * value - 0.5 + random.uniform(-0.1, 0.1)) };
}

/** The points of a square of the complex plane that holds the whole set. */
export function mandelbrotInputs({ size }: JobOf<"mandelbrot">): { re: Float32Array; im: Float32Array } {
  const re = new Float32Array(size * size);
  const im = new Float32Array(size * size);
  for (let i = 0; i < re.length; i++) {
    re[i] = -2.25 + (3 * (i % size)) / size;
    im[i] = -1.5 + (3 * Math.floor(i / size)) / size;
  }
  return { re, im };
}

export function jacobiInput({ size }: JobOf<"jacobi">): Float32Array {
  return new Generator(12).floats(size * size, 0, 1);
}

export interface RnnInputs {
  /** [steps, batch, hidden]: inputs are as many as hidden units. */
  readonly x: Float32Array;
  readonly input: Float32Array;
  readonly recurrent: Float32Array;
  readonly bias: Float32Array;
}

export function rnnInputs({ steps, batch, hidden }: JobOf<"rnn">): RnnInputs {
  const random = new Generator(13);
  const limit = 1 / Math.sqrt(hidden);
  return {
    x: random.floats(steps * batch * hidden, -1, 1),
    input: random.floats(hidden * hidden, -limit, limit),
    recurrent: random.floats(hidden * hidden, -limit, limit),
    bias: random.floats(hidden, -limit, limit),
  };
}

const mantissasPerExponent = 257;
const specials = [0, -0, 1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e6, -1e6, 1e22, -1e22];

/**
 * Arguments over the whole float32 domain: for each of the 255 finite exponents (the subnormal one included) and both
 * signs, the ends and a random filling of the binade; a denser filling of the range in which the function is neither
 * saturated nor trivial; and the special values.
 */
export function unaryInput(name: UnaryName): Float32Array {
  const random = new Generator(9);
  const dense: Record<UnaryName, readonly [number, number]> = {
    exp: [-104, 89],
    log: [0, 4],
    tanh: [-10, 10],
    erf: [-5, 5],
    sin: [-1000, 1000],
    cos: [-1000, 1000],
  };
  const values = [...specials, ...binades(random)];
  const [low, high] = dense[name];
  for (let i = 0; i < 100_000; i++) values.push(random.uniform(low, high));
  return Float32Array.from(values);
}

function* binades(random: Generator): Iterable<number> {
  const word = new Uint32Array(1);
  const value = new Float32Array(word.buffer);
  for (let exponent = 0; exponent < 255; exponent++) {
    for (let index = 0; index < mantissasPerExponent; index++) {
      const mantissa = index === 0 ? 0 : index === 1 ? 0x7fffff : random.bits() & 0x7fffff;
      for (const sign of [0, 0x80000000]) {
        word[0] = (sign | (exponent << 23) | mantissa) >>> 0;
        yield value[0]!;
      }
    }
  }
}

export interface PowInputs {
  readonly base: Float32Array;
  readonly exponent: Float32Array;
}

/** Pairs over the whole domain of pow: wild, near one with large exponents, integer exponents of both signs, specials. */
export function powInputs(): PowInputs {
  const random = new Generator(10);
  const base: number[] = [];
  const exponent: number[] = [];
  const pair = (x: number, y: number): void => {
    base.push(x);
    exponent.push(y);
  };
  const corners = [...specials, 0.5, -0.5, 2, -2, 3, -3, 2 ** -149, 2 ** 127, 0.99999994, 1.0000001];
  for (const x of corners) for (const y of corners) pair(x, y);
  for (let i = 0; i < 100_000; i++) {
    const x = 2 ** random.uniform(-149, 128);
    // The result spans the whole range: its base-2 logarithm is uniform.
    pair(x, random.uniform(-152, 130) / Math.log2(Math.fround(x)));
  }
  for (let i = 0; i < 50_000; i++) {
    const x = 1 + random.uniform(-(2 ** -8), 2 ** -8);
    pair(x, random.uniform(-110, 110) / Math.log(Math.fround(x)));
  }
  for (let i = 0; i < 50_000; i++) pair(random.uniform(-40, 40), random.below(60) - 30);
  for (let i = 0; i < 50_000; i++) pair(random.uniform(0, 8), random.uniform(-8, 8));
  return { base: Float32Array.from(base), exponent: Float32Array.from(exponent) };
}

export interface ConvInputs extends Batch {
  /** In the order of `parameterSizes`. */
  readonly parameters: readonly Float32Array[];
}

/** Digits that are noise, and small parameters: what a step takes does not depend on them. */
export function convInputs(batch: number): ConvInputs {
  const random = new Generator(14);
  const images = random.floats(batch * convSizes.side ** 2, 0, 1);
  const labels = Int32Array.from({ length: batch }, () => random.below(convSizes.classes));
  return { images, labels, parameters: parameterSizes().map((size) => random.floats(size, -0.1, 0.1)) };
}
