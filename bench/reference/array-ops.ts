// The array jobs in float64, in the plainest loops. They decide whether a result is right.

/** Row-major product of `a` (m by k) and `b` (k by n). */
export function matmul64(m: number, k: number, n: number, a: Float32Array, b: Float32Array): Float64Array {
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const left = a[i * k + p]!;
      for (let j = 0; j < n; j++) out[i * n + j] = out[i * n + j]! + left * b[p * n + j]!;
    }
  }
  return out;
}

/** y = tanh(a*x + b) * sigmoid(x) + exp(-x*x) */
export function elementwise64(x: Float32Array, a: number, b: number): Float64Array {
  return Float64Array.from(x, (v) => Math.tanh(a * v + b) / (1 + Math.exp(-v)) + Math.exp(-v * v));
}

export function softmax64(x: Float32Array, columns: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = Float64Array.from(x.subarray(start, start + columns));
    const largest = row.reduce((a, b) => Math.max(a, b));
    const exponentials = row.map((value) => Math.exp(value - largest));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    for (let j = 0; j < columns; j++) out[start + j] = exponentials[j]! / sum;
  }
  return out;
}

export function sum64(x: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]!;
  return sum;
}
