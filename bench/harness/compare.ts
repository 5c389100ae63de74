// Holding a float32 result against its float64 reference.

/** An element passes when its error is at most `absolute + relative * |expected|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
  /** The share of elements that may be further off, where a result hangs on the last bit of what it comes from. */
  readonly outliers?: number;
}

export interface Comparison {
  readonly ok: boolean;
  /** The largest absolute error; NaN where a value is not a number. */
  readonly maxError: number;
  /** What is wrong, where, in one line; empty if nothing is. */
  readonly problem: string;
}

export function compare(actual: Float32Array, expected: Float64Array, tolerance: Tolerance): Comparison {
  if (actual.length !== expected.length) {
    return { ok: false, maxError: Number.NaN, problem: `${actual.length} values instead of ${expected.length}` };
  }
  let maxError = 0;
  let worst = -1;
  let off = 0;
  let worstExcess = 1;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    const excess = error / (tolerance.absolute + tolerance.relative * Math.abs(expected[i]!));
    // Written so that NaN counts as wrong.
    if (!(error <= maxError)) maxError = error;
    if (!(excess <= 1)) off++;
    if (!(excess <= worstExcess)) {
      worst = i;
      worstExcess = excess;
      if (Number.isNaN(excess)) break;
    }
  }
  const tolerated = !Number.isNaN(worstExcess) && off <= (tolerance.outliers ?? 0) * expected.length;
  if (worst < 0 || tolerated) return { ok: true, maxError, problem: "" };
  const problem = `max error ${maxError.toExponential(2)}; value ${worst} is ${actual[worst]}, should be ${expected[worst]}`;
  return { ok: false, maxError, problem };
}
