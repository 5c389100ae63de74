// Distances between float32 results and float64 references in units in the last place.

export interface UlpError {
  /** Infinite where a special value is wrong: NaN against a number, an infinity against a finite value, a wrong zero. */
  readonly ulps: number;
  /** The arguments of the worst result. */
  readonly at: readonly number[];
}

/** The spacing of float32 at `value`: 2^-149 for subnormals. */
function spacing(value: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value))));
  return 2 ** (Math.min(127, exponent) - 23);
}

const largestFinite = (2 - 2 ** -23) * 2 ** 127;

export function ulpsBetween(actual: number, exact: number): number {
  const rounded = Math.fround(exact);
  if (Object.is(actual, rounded))
    return Number.isFinite(exact) && Number.isFinite(rounded) ? roundingError(actual, exact) : 0;
  if (Number.isNaN(actual) || Number.isNaN(rounded)) return Number.POSITIVE_INFINITY;
  // A value that overflows may come out as the largest finite one and the other way round: one step.
  if (!Number.isFinite(rounded)) return actual === Math.sign(rounded) * largestFinite ? 1 : Number.POSITIVE_INFINITY;
  if (!Number.isFinite(actual)) return Math.abs(rounded) === largestFinite ? 1 : Number.POSITIVE_INFINITY;
  // Exact zeros have a sign that must be right; a tiny value that is rounded to zero need not.
  if (exact === 0 && actual === 0) return Number.POSITIVE_INFINITY;
  return roundingError(actual, exact);
}

function roundingError(actual: number, exact: number): number {
  return exact === 0 ? Math.abs(actual) / 2 ** -149 : Math.abs(actual - exact) / spacing(exact);
}

export function largestUlpError(
  actual: Float32Array,
  inputs: readonly Float32Array[],
  reference: (...values: number[]) => number,
): UlpError {
  let ulps = 0;
  let at: number[] = [];
  for (let i = 0; i < actual.length; i++) {
    const values = inputs.map((input) => input[i]!);
    const error = ulpsBetween(actual[i]!, reference(...values));
    if (error > ulps) {
      ulps = error;
      at = values;
      if (error === Number.POSITIVE_INFINITY) break;
    }
  }
  return { ulps, at };
}
