// erf in float64, which JavaScript lacks, to better than 1e-15: two classical expansions.

const twoOverRootPi = 2 / Math.sqrt(Math.PI);

/** The Maclaurin series below 2.5, where its terms stay small; a continued fraction of erfc above. */
export function erf64(x: number): number {
  if (Number.isNaN(x)) return x;
  const size = Math.abs(x);
  const value = size < 2.5 ? series(size) : 1 - complement(size);
  return x < 0 || Object.is(x, -0) ? -value : value;
}

/** erf(x) = 2/sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (2n+1)!!: all terms positive, so nothing cancels. */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 2 ** -56; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return twoOverRootPi * Math.exp(-x * x) * sum;
}

/** erfc(x) = exp(-x^2)/sqrt(pi) / (x + 1/2/(x + 1/(x + 3/2/(x + ...)))), evaluated from the inside. */
function complement(x: number): number {
  if (x > 6) return 0;
  let tail = x;
  for (let n = 120; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}
