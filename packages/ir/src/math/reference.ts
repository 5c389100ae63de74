/** Scalar functions in float64 that JavaScript lacks or rounds differently: the reference that evaluators use. */

/** Nearest integer, ties to even. */
export function nearestEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5)
    return Object.is(x, -0) || (rest > 0.5 && floor === -1) ? -0 : rest < 0.5 ? keepZeroSign(x, floor) : floor + 1;
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
 * Error function, within 2 ulp: Maclaurin series for |x| < 1 (Abramowitz and Stegun 7.1.5), continued fraction of erfc
 * beyond (7.1.14), where errors of exp(-x^2) count for little beside 1.
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x) || x === 0) return x;
  if (a > 6) return Math.sign(x);
  if (a < 1) {
    let power = x;
    let rest = 0;
    for (let n = 1; n < 30; n++) {
      power *= -(x * x) / n;
      rest += power / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * (x + rest);
  }
  let fraction = 0;
  for (let n = 400; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}
