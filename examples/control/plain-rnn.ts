/**
 * A recurrent network by hand on typed arrays, forward and backward through time: what the compiled one is compared with.
 * With Float64Array it is the reference of the benchmarks.
 */

export type Floats = Float32Array | Float64Array;

export interface RnnSize {
  readonly steps: number;
  readonly batch: number;
  readonly inputs: number;
  readonly hidden: number;
}

/** Weights of h <- tanh(x input + h recurrent + bias). */
export interface RnnWeights {
  readonly input: Floats;
  readonly recurrent: Floats;
  readonly bias: Floats;
}

export interface RnnGradients extends RnnWeights {
  readonly loss: number;
}

/** The mean square of all hidden states, and its gradient; `x` is [steps, batch, inputs], and h starts at zero. */
export function rnnGradients(size: RnnSize, weights: RnnWeights, x: Floats): RnnGradients {
  const { steps, batch, inputs, hidden } = size;
  const make = (n: number): Floats => (x instanceof Float64Array ? new Float64Array(n) : new Float32Array(n));
  const state = batch * hidden;
  // Row t holds h after t steps.
  const states = make((steps + 1) * state);
  for (let t = 0; t < steps; t++) {
    const next = states.subarray((t + 1) * state, (t + 2) * state);
    for (let row = 0; row < batch; row++) next.set(weights.bias, row * hidden);
    addProduct(next, x.subarray(t * batch * inputs, (t + 1) * batch * inputs), weights.input, batch, inputs, hidden);
    addProduct(next, states.subarray(t * state, (t + 1) * state), weights.recurrent, batch, hidden, hidden);
    for (let i = 0; i < state; i++) next[i] = Math.tanh(next[i]!);
  }
  let sum = 0;
  for (let i = state; i < states.length; i++) sum += states[i]! * states[i]!;
  const total = steps * state;
  const gradients = { input: make(inputs * hidden), recurrent: make(hidden * hidden), bias: make(hidden) };
  const recurrentT = transposed(weights.recurrent, hidden, make);
  let fromLater = make(state);
  const inner = make(state);
  for (let t = steps - 1; t >= 0; t--) {
    const before = states.subarray(t * state, (t + 1) * state);
    const after = states.subarray((t + 1) * state, (t + 2) * state);
    for (let i = 0; i < state; i++) {
      const h = after[i]!;
      inner[i] = (fromLater[i]! + (2 * h) / total) * (1 - h * h);
    }
    for (let row = 0; row < batch; row++) {
      for (let j = 0; j < hidden; j++) gradients.bias[j] = gradients.bias[j]! + inner[row * hidden + j]!;
    }
    const slice = x.subarray(t * batch * inputs, (t + 1) * batch * inputs);
    addTransposedProduct(gradients.input, slice, inner, batch, inputs, hidden);
    addTransposedProduct(gradients.recurrent, before, inner, batch, hidden, hidden);
    fromLater = make(state);
    addProduct(fromLater, inner, recurrentT, batch, hidden, hidden);
  }
  return { loss: sum / total, ...gradients };
}

/** out [m, n] += a [m, k] b [k, n], row by row. */
function addProduct(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number): void {
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const left = a[i * k + p]!;
      for (let j = 0; j < n; j++) out[i * n + j] = out[i * n + j]! + left * b[p * n + j]!;
    }
  }
}

/** out [k, n] += transpose of a [m, k] times b [m, n]. */
function addTransposedProduct(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number): void {
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const left = a[i * k + p]!;
      for (let j = 0; j < n; j++) out[p * n + j] = out[p * n + j]! + left * b[i * n + j]!;
    }
  }
}

function transposed(square: Floats, n: number, make: (size: number) => Floats): Floats {
  const out = make(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[j * n + i] = square[i * n + j]!;
  return out;
}
