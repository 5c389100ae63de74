/** Scalar functions in float64 that JavaScript lacks or rounds differently: the reference that evaluators use. */

/** Nearest integer, ties to even. */
export function nearestEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Object.is(x, -0) || (rest > 0.5 && floor === -1) ? -0 : rest < 0.5 ? keepZeroSign(x, floor) : floor + 1;
  return keepZeroSign(x, floor % 2 === 0 ? floor : floor + 1);
}
function keepZeroSign(x: number, result: number): number {
  return result === 0 && x < 0 ? -0 : result;
}

export function expm1(x: number): number {
  return Math.expm1(x);
}

export function log1p(x: number): number {
  return Math.log1p(x);
}

/**
 * Error function, relative error below 1e-15: Maclaurin series with positive terms for |x| < 3 (Abramowitz and Stegun
 * 7.1.6), continued fraction of erfc beyond (7.1.14).
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17 && n < 200; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}
