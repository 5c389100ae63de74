/** x^y in f32, by way of f64: 2^(y log2 x) needs log2 x to some 34 bits, which f64 gives at half the lanes. */
import { flipSign32, type MathBuilder, poly64, signBit32 } from "./builder.ts";

const SQRT_HALF_BITS = 0x3fe6a09e667f3bcdn;
const ONE_BITS = 0x3ff0000000000000n;
/** 2^52 and 1.5 * 2^52: adding the first puts an integer in the low bits, the second rounds to one. */
const TWO52 = 2 ** 52;
const MAGIC = 1.5 * 2 ** 52;

/** log2((1+s)/(1-s)) / s in s^2, 2/3 <= (1+s)/(1-s) <= 3/2: absolute error 4.3e-12 relative to the leading 2.885. */
const LOG2 = [0.3407593585553589, 0.4116711341070744, 0.5770836115969491, 0.9617966731998713, 2.8853900817902036];
/** 2^r, |r| <= 1/2, relative error 1.9e-9. */
const EXP2 = [
  0.00015345788856078852, 0.0013399957627829551, 0.009618489244840267, 0.05550328711803872, 0.24022646886075652,
  0.693147205767142, 1.0000000005550507,
];

/** log2 of a positive normal f64, to about 2^-37. */
function log2Wide<E>(b: MathBuilder<E>, x: E): E {
  const bits = b.ladd(b.bitsF64(x), b.i64(ONE_BITS - SQRT_HALF_BITS));
  const biased = b.fromBitsF64(b.lor(b.lshrU(bits, 52), b.i64(0x4330000000000000n)));
  const exponent = b.sub(biased, b.f64(TWO52 + 1023));
  const mantissa = b.fromBitsF64(b.ladd(b.land(bits, b.i64(0xfffffffffffffn)), b.i64(SQRT_HALF_BITS)));
  const s = b.div(b.sub(mantissa, b.f64(1)), b.add(mantissa, b.f64(1)));
  return b.fma(s, poly64(b, b.mul(s, s), LOG2), exponent);
}

/** 2^w for |w| <= 1000, to about 2^-29. */
function exp2Wide<E>(b: MathBuilder<E>, w: E): E {
  const shifted = b.add(w, b.f64(MAGIC + 1023));
  const r = b.sub(w, b.sub(shifted, b.f64(MAGIC + 1023)));
  return b.mul(poly64(b, r, EXP2), b.fromBitsF64(b.lshl(b.bitsF64(shifted), 52)));
}

/**
 * x^y with C99's special cases, as NumPy has them: 1^y = 1 and x^0 = 1 even for NaN, and (-1)^(+-inf) = 1, where
 * JavaScript's Math.pow gives NaN for 1^NaN and (+-1)^(+-inf). 39 operations, 1 of them a division or root, 38 more
 * rarely; 0.6 ulp.
 */
export function pow32<E>(b: MathBuilder<E>, x: E, y: E): E {
  const ax = b.abs(x);
  const product = b.mul(b.promote(y), log2Wide(b, b.promote(ax)));
  const magnitude = b.demote(exp2Wide(b, b.pmax(b.pmin(product, b.f64(200)), b.f64(-200))));
  const oddX = b.igeU(b.isub(b.bitsF32(x), b.i32(1)), b.i32(0x7f7fffff));
  const oddY = b.igeU(b.bitsF32(b.abs(y)), b.i32(0x7f800000));
  return b.rarely(b.or(oddX, oddY), magnitude, () => powSpecial(b, x, y, magnitude));
}

/** The result for any x and y, given |x|^y for finite operands other than zero. */
export function powSpecial<E>(b: MathBuilder<E>, x: E, y: E, finite: E): E {
  const [zero, one, infinity, nan] = [b.f32(0), b.f32(1), b.f32(Infinity), b.f32(NaN)];
  const ax = b.abs(x);
  const xInfinite = b.eq(ax, infinity);
  const yInfinite = b.eq(b.abs(y), infinity);
  const xZero = b.eq(ax, zero);
  const up = b.gt(y, zero);
  const limit = b.select(b.gt(ax, one), b.select(up, infinity, zero), b.select(up, zero, infinity));
  const extreme = b.select(b.and(yInfinite, b.eq(ax, one)), one, limit);
  const size = b.select(b.or(b.or(xInfinite, xZero), yInfinite), extreme, finite);
  // Every f32 from 2^24 on is an even integer.
  const isInteger = b.eq(b.floor(y), y);
  const half = b.mul(y, b.f32(0.5));
  const isOdd = b.and(isInteger, b.ne(b.floor(half), half));
  const negativeBase = b.and(b.lt(x, zero), b.not(b.or(isInteger, xInfinite)));
  const signed = b.select(isOdd, flipSign32(b, size, signBit32(b, x)), size);
  const unordered = b.or(b.ne(x, x), b.ne(y, y));
  const checked = b.select(b.or(negativeBase, unordered), nan, signed);
  return b.select(b.or(b.eq(x, one), b.eq(y, zero)), one, checked);
}
