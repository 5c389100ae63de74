/**
 * The examples of this folder written by hand in plain JavaScript on typed arrays, with no library: what the compiled
 * functions are compared with, in value and in speed.
 */

/** Gradient descent on the mean squared error of `w x + b`. */
export function linearRegression(
  x: Float32Array,
  y: Float32Array,
  steps: number,
  rate: number,
): { w: number; b: number } {
  const n = x.length;
  const scale = (2 * rate) / n;
  let w = 0;
  let b = 0;
  for (let step = 0; step < steps; step++) {
    let slope = 0;
    let offset = 0;
    for (let i = 0; i < n; i++) {
      const xi = x[i]!;
      const error = w * xi + b - y[i]!;
      slope += error * xi;
      offset += error;
    }
    w -= scale * slope;
    b -= scale * offset;
  }
  return { w, b };
}

/** Rounds until z <- z^2 + c leaves the disc of radius 2, at most `limit`, for each c. In double precision. */
export function mandelbrot(re: Float32Array, im: Float32Array, limit: number): Int32Array {
  const counts = new Int32Array(re.length);
  for (let i = 0; i < counts.length; i++) {
    const cr = re[i]!;
    const ci = im[i]!;
    let zr = 0;
    let zi = 0;
    let k = 0;
    while (k < limit) {
      const rr = zr * zr;
      const ii = zi * zi;
      if (rr + ii > 4) break;
      zi = 2 * zr * zi + ci;
      zr = rr - ii + cr;
      k++;
    }
    counts[i] = k;
  }
  return counts;
}

/** As `mandelbrot`, rounding every operation to single precision: slow, and equal to what f32 code must give. */
export function mandelbrotF32(re: Float32Array, im: Float32Array, limit: number): Int32Array {
  const { fround } = Math;
  const counts = new Int32Array(re.length);
  for (let i = 0; i < counts.length; i++) {
    const cr = re[i]!;
    const ci = im[i]!;
    let zr = 0;
    let zi = 0;
    let k = 0;
    while (k < limit) {
      const rr = fround(zr * zr);
      const ii = fround(zi * zi);
      if (fround(rr + ii) > 4) break;
      zi = fround(fround(fround(2 * zr) * zi) + ci);
      zr = fround(fround(rr - ii) + cr);
      k++;
    }
    counts[i] = k;
  }
  return counts;
}

/** Replaces each inner point of an n by n grid by the mean of its four neighbours, `steps` times; the edge stays. */
export function jacobi<T extends Float32Array | Float64Array>(start: T, n: number, steps: number): T {
  let from = start.slice() as T;
  let to = start.slice() as T;
  for (let step = 0; step < steps; step++) {
    for (let row = 1; row < n - 1; row++) {
      for (let at = row * n + 1, end = at + n - 2; at < end; at++) {
        to[at] = (from[at - n]! + from[at + n]! + from[at - 1]! + from[at + 1]!) * 0.25;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Square roots by Newton's iteration, all together, until no relative error is above the tolerance. */
export function squareRoots(a: Float32Array, tolerance: number): { roots: Float32Array; rounds: number } {
  const { fround } = Math;
  const roots = a.map((value) => Math.max(value, 1));
  let rounds = 0;
  for (let worst = Number.POSITIVE_INFINITY; worst > tolerance; rounds++) {
    worst = 0;
    for (let i = 0; i < roots.length; i++) {
      const x = roots[i]!;
      const next = fround(fround(x + fround(a[i]! / x)) * 0.5);
      worst = Math.max(worst, fround(Math.abs(fround(next - x)) / next));
      roots[i] = next;
    }
  }
  return { roots, rounds };
}

/** Bubble sort, which stops after a pass that swapped nothing. */
export function bubbleSort(values: Float32Array): { sorted: Float32Array; passes: number } {
  const sorted = values.slice();
  let passes = 0;
  for (let pass = 0; pass < sorted.length; pass++) {
    let swapped = false;
    passes++;
    for (let j = 0; j + 1 < sorted.length; j++) {
      const left = sorted[j]!;
      const right = sorted[j + 1]!;
      if (left > right) {
        sorted[j] = right;
        sorted[j + 1] = left;
        swapped = true;
      }
    }
    if (!swapped) break;
  }
  return { sorted, passes };
}
