// Holding a float32 result against its float64 reference.

/** An element passes when its error is at most `absolute + relative * |expected|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
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
  let worstExcess = 1;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    const excess = error / (tolerance.absolute + tolerance.relative * Math.abs(expected[i]!));
    // Written so that NaN counts as wrong.
    if (!(error <= maxError)) maxError = error;
    if (!(excess <= worstExcess)) {
      worst = i;
      worstExcess = excess;
      if (Number.isNaN(excess)) break;
    }
  }
  if (worst < 0) return { ok: true, maxError, problem: "" };
  const problem = `max error ${maxError.toExponential(2)}; value ${worst} is ${actual[worst]}, should be ${expected[worst]}`;
  return { ok: false, maxError, problem };
}
