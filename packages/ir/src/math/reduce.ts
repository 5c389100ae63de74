/**
 * Argument reduction for arguments so large that the multiple of pi does not fit beside its fraction (Payne and Hanek,
 * "Radian reduction for trigonometric functions", 1983), without table lookups by lane and without integers.
 */
import type { MathBuilder } from "./builder.ts";

/** 1/pi in pieces of 24 bits: 1/pi = sum of piece[i] 2^(-24 (i + 1)). */
const INVERSE_PI = [
  5340353, 12003106, 693502, 1289192, 16423534, 14708145, 4902046, 2213920, 16722097, 14020445, 14856411, 9582365,
  2172649, 7340836, 9925892, 15255822, 8326901, 9328788, 13868916, 4266746, 9919906, 4355278, 3674970, 3129120,
  10275051, 1884585, 10287694, 4337605, 14613652, 1937404, 4980719, 183303, 16226184, 12954885, 3575734, 10174311,
  9692548, 14395299, 2077519, 3142934, 12227549, 6551026, 16301470, 8625403, 12921161, 7681533, 11524239, 13020804,
  2818456, 2326077, 11916792, 6807056,
];

/** An f64 and a smaller one; their exact sum is the value. */
export interface Pair<E> {
  readonly hi: E;
  readonly lo: E;
}

/** a + b exactly, for any a and b (Knuth). */
export function twoSum<E>(b: MathBuilder<E>, x: E, y: E): Pair<E> {
  const hi = b.add(x, y);
  const part = b.sub(hi, x);
  return { hi, lo: b.add(b.sub(x, b.sub(hi, part)), b.sub(y, part)) };
}

/** a + b exactly where |a| >= |b| or a = 0 (Dekker). */
export function fastTwoSum<E>(b: MathBuilder<E>, x: E, y: E): Pair<E> {
  const hi = b.add(x, y);
  return { hi, lo: b.add(b.sub(x, hi), y) };
}

/** The leading 26 significant bits of an f64, and the rest: products of such halves are exact. */
export function splitHalves<E>(b: MathBuilder<E>, x: E): Pair<E> {
  const hi = b.fromBitsF64(b.land(b.bitsF64(x), b.i64(-0x8000000n)));
  return { hi, lo: b.sub(x, hi) };
}

/** What `xOverPi` has to know of its argument. */
interface Precision {
  /** Bits of the argument's significand. */
  readonly bits: number;
  /** Window shifts, in pieces: descending powers of two whose sum reaches the greatest exponent. */
  readonly levels: readonly number[];
  /** Pieces of 1/pi that meet the argument. */
  readonly window: number;
}

/** For arguments that are f32 numbers, promoted. */
export const FROM_F32: Precision = { bits: 24, levels: [4, 2, 1], window: 5 };
/** For any f64 arguments. */
export const FROM_F64: Precision = { bits: 53, levels: [32, 16, 8, 4, 2, 1], window: 9 };

/**
 * x/pi modulo 2 as a pair, |hi| <= 1 or little more, for f64 x with |x| >= 2^bits (smaller x is right too); NaN for
 * infinity. The pieces that would only add multiples of 2 are skipped by shifting the window: one compare and a row of
 * selects for each binary digit of the shift, while x is scaled down exactly.
 */
export function xOverPi<E>(b: MathBuilder<E>, x: E, precision: Precision): Pair<E> {
  let scaled = x;
  let pieces = INVERSE_PI.map((piece) => b.f64(piece));
  let reach = precision.levels.reduce((sum, level) => sum + level, precision.window);
  pieces = Array.from({ length: reach }, (_, i) => pieces[i] ?? b.f64(0));
  for (const level of precision.levels) {
    const far = b.ge(b.abs(scaled), b.f64(2 ** (precision.bits + 24 * level)));
    scaled = b.select(far, b.mul(scaled, b.f64(2 ** (-24 * level))), scaled);
    reach -= level;
    pieces = Array.from({ length: reach }, (_, i) => b.select(far, pieces[i + level] as E, pieces[i] as E));
  }
  const halves = splitHalves(b, scaled);
  const factors = precision.bits <= 26 ? [scaled] : [halves.hi, halves.lo];
  let high = b.f64(0);
  let middle = b.f64(0);
  let low = b.f64(0);
  pieces.forEach((piece, k) => {
    for (const factor of factors) {
      let term = b.mul(b.mul(factor, b.f64(2 ** (-24 * (k + 1)))), piece);
      // |scaled| < 2^(bits + 24): the term is below 2^(bits + 24 - 24 k), and exact, so taking it modulo 2 is exact.
      if (precision.bits + 24 - 24 * k > 0) {
        term = b.sub(term, b.mul(b.nearest(b.mul(term, b.f64(0.5))), b.f64(2)));
      }
      const first = twoSum(b, high, term);
      high = first.hi;
      const second = twoSum(b, middle, first.lo);
      middle = second.hi;
      low = b.add(low, second.lo);
    }
  });
  const whole = b.mul(b.nearest(b.mul(high, b.f64(0.5))), b.f64(2));
  const sum = twoSum(b, b.sub(high, whole), middle);
  return fastTwoSum(b, sum.hi, b.add(sum.lo, low));
}
