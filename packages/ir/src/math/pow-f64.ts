/** x^y in f64: log2 x and its product with y in two pieces each, after fdlibm (e_pow.c) and with its coefficients. */
import { flipSign64, type MathBuilder, poly64, signBit64 } from "./builder.ts";
import { scale64 } from "./exp-f64.ts";
import { splitWord } from "./log-f64.ts";
import type { Pair } from "./reduce.ts";

const TWO52 = 2 ** 52;
const MAGIC = 1.5 * 2 ** 52;
const ONE_BITS = 0x3ff0000000000000n;
/** sqrt(3)/2: mantissas are taken in [0.866, 1.732). */
const LEAST_BITS = 0x3febb67ae8584caan;

/** L6 to L1: (3/2) (log((1+s)/(1-s)) - 2s - 2/3 s^3), over s^5. */
const LOG = [
  0.20697501780033842, 0.23066074577556175, 0.272728123808534, 0.33333332981837743, 0.4285714285785502,
  0.5999999999999946,
];
/** P5 to P1 of e_exp.c. */
const EXP = [
  4.1381367970572385e-8, -0.0000016533902205465252, 0.00006613756321437934, -0.0027777777777015593, 0.16666666666666602,
];
/** 2 / (3 ln 2), and its pieces; ln 2 and its pieces; log2(1.5) in pieces. */
const CP = 0.9617966939259756;
const CP_H = 0.9617967009544373;
const CP_L = -7.028461650952758e-9;
const LN2_H = 0.6931471824645996;
const LN2_L = -1.904654299957768e-9;
const DP_H = 0.5849624872207642;
const DP_L = 1.350039202129749e-8;

/** log2 of a positive number other than infinity, to some 68 bits; the first part has 32 bits less. */
function log2Pair<E>(b: MathBuilder<E>, x: E): Pair<E> {
  const subnormal = b.lt(x, b.f64(2 ** -1022));
  const normal = b.select(subnormal, b.mul(x, b.f64(2 ** 54)), x);
  const bits = b.ladd(b.bitsF64(normal), b.i64(ONE_BITS - LEAST_BITS));
  const biased = b.fromBitsF64(b.lor(b.lshrU(bits, 52), b.i64(0x4330000000000000n)));
  const n = b.sub(biased, b.select(subnormal, b.f64(TWO52 + 1077), b.f64(TWO52 + 1023)));
  const ax = b.fromBitsF64(b.ladd(b.land(bits, b.i64(0xfffffffffffffn)), b.i64(LEAST_BITS)));
  const upper = b.ge(ax, b.f64(1.224744871391589));
  const center = b.select(upper, b.f64(1.5), b.f64(1));
  // s = (ax - c) / (ax + c), in two pieces
  const u = b.sub(ax, center);
  const sum = b.add(ax, center);
  const v = b.div(b.f64(1), sum);
  const s = b.mul(u, v);
  const sH = splitWord(b, s).hi;
  const sumH = splitWord(b, sum).hi;
  const sumL = b.sub(ax, b.sub(sumH, center));
  const sL = b.mul(v, b.sub(b.sub(u, b.mul(sH, sumH)), b.mul(sH, sumL)));
  const z = b.mul(s, s);
  const r = b.fma(b.mul(z, z), poly64(b, z, LOG), b.mul(sL, b.add(sH, s)));
  const sH2 = b.mul(sH, sH);
  const tH = splitWord(b, b.add(b.add(b.f64(3), sH2), r)).hi;
  const tL = b.sub(r, b.sub(b.sub(tH, b.f64(3)), sH2));
  const main = b.mul(sH, tH);
  const rest = b.fma(sL, tH, b.mul(tL, s));
  const pH = splitWord(b, b.add(main, rest)).hi;
  const pL = b.sub(rest, b.sub(pH, main));
  const zH = b.mul(b.f64(CP_H), pH);
  const dpL = b.select(upper, b.f64(DP_L), b.f64(0));
  const zL = b.fma(b.f64(CP_L), pH, b.fma(pL, b.f64(CP), dpL));
  const dpH = b.select(upper, b.f64(DP_H), b.f64(0));
  const hi = splitWord(b, b.add(b.add(b.add(zH, zL), dpH), n)).hi;
  return { hi, lo: b.sub(zL, b.sub(b.sub(b.sub(hi, n), dpH), zH)) };
}

/** |x|^y for finite y and positive finite |x|. */
function magnitude<E>(b: MathBuilder<E>, ax: E, y: E): E {
  const limited = b.pmax(b.pmin(y, b.f64(2 ** 70)), b.f64(-(2 ** 70)));
  const log = log2Pair(b, ax);
  const yParts = splitWord(b, limited);
  const rawLow = b.fma(yParts.lo, log.hi, b.mul(limited, log.lo));
  const rawHigh = b.mul(yParts.hi, log.hi);
  const outside = b.gt(b.abs(rawHigh), b.f64(1100));
  const high = b.pmax(b.pmin(rawHigh, b.f64(1100)), b.f64(-1100));
  const low = b.select(outside, b.f64(0), rawLow);
  const shifted = b.add(b.add(low, high), b.f64(MAGIC + 2046));
  const fraction = b.sub(high, b.sub(shifted, b.f64(MAGIC + 2046)));
  const t = splitWord(b, b.add(low, fraction)).hi;
  const u = b.mul(t, b.f64(LN2_H));
  const v = b.fma(b.sub(low, b.sub(t, fraction)), b.f64(Math.LN2), b.mul(t, b.f64(LN2_L)));
  const z = b.add(u, v);
  const w = b.sub(v, b.sub(z, u));
  const square = b.mul(z, z);
  const c = b.sub(z, b.mul(square, poly64(b, square, EXP)));
  const r = b.sub(b.div(b.mul(z, c), b.sub(c, b.f64(2))), b.fma(z, w, w));
  return scale64(b, b.sub(b.f64(1), b.sub(r, z)), shifted);
}

/** x^y with C99's special cases, see pow32. 123 operations, 2 of them divisions or roots, 38 more rarely; 0.9 ulp. */
export function pow64<E>(b: MathBuilder<E>, x: E, y: E): E {
  const finite = magnitude(b, b.abs(x), y);
  const ordinary = b.and(b.gt(x, b.f64(0)), b.and(b.lt(x, b.f64(Infinity)), b.lt(b.abs(y), b.f64(Infinity))));
  return b.rarely(b.not(ordinary), finite, () => powSpecial(b, x, y, finite));
}

/** The result for any x and y, given |x|^y for finite operands other than zero. */
function powSpecial<E>(b: MathBuilder<E>, x: E, y: E, finite: E): E {
  const [zero, one, infinity, nan] = [b.f64(0), b.f64(1), b.f64(Infinity), b.f64(NaN)];
  const ax = b.abs(x);
  const xInfinite = b.eq(ax, infinity);
  const yInfinite = b.eq(b.abs(y), infinity);
  const up = b.gt(y, zero);
  const limit = b.select(b.gt(ax, one), b.select(up, infinity, zero), b.select(up, zero, infinity));
  const extreme = b.select(b.and(yInfinite, b.eq(ax, one)), one, limit);
  const size = b.select(b.or(b.or(xInfinite, b.eq(ax, zero)), yInfinite), extreme, finite);
  const isInteger = b.eq(b.floor(y), y);
  const half = b.mul(y, b.f64(0.5));
  const isOdd = b.and(isInteger, b.ne(b.floor(half), half));
  const negativeBase = b.and(b.lt(x, zero), b.not(b.or(isInteger, xInfinite)));
  const signed = b.select(isOdd, flipSign64(b, size, signBit64(b, x)), size);
  const unordered = b.or(b.ne(x, x), b.ne(y, y));
  const checked = b.select(b.or(negativeBase, unordered), nan, signed);
  return b.select(b.or(b.eq(x, one), b.eq(y, zero)), one, checked);
}
