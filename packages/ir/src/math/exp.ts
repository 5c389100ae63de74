/**
 * Exponentials in f32: exp, exp2, expm1, logistic and the scaled core that the hyperbolic functions share.
 * Polynomials are minimax fits made for this file (Lawson iteration, coefficients rounded to f32 from the lowest power).
 */
import { type MathBuilder, poly32 } from "./builder.ts";

const LOG2E = Math.LOG2E;
/** ln 2 to 12 bits, so that its products with |n| < 4096 are exact, and the rest. */
const LN2_HI = 0.693115234375;
const LN2_LO = Math.LN2 - LN2_HI;
/** 1.5 * 2^23: adding it rounds a small f32 to an integer, which is then in the low bits. */
const MAGIC = 12582912;

/** e^r on |r| <= ln 2, relative error 1.5e-8, highest power first. */
const EXP7 = [
  0.00019623390107881278, 0.0014105279697105289, 0.008336000144481659, 0.04166121035814285, 0.1666661649942398,
  0.5000003576278687, 1, 1,
];
/** e^r on |r| <= ln 2 / 2, relative error 3.2e-9. */
const EXP6 = [
  0.0013818938750773668, 0.008368703536689281, 0.04166828840970993, 0.1666652113199234, 0.4999999403953552, 1, 1,
];
/** 2^r on |r| <= 1, relative error 1.3e-8. */
const EXP2_7 = [
  0.000014917232872722687, 0.00015645298117306083, 0.0013341717422008514, 0.009616844356060028, 0.05550365895032883,
  0.24022668600082397, 0.6931472420692444, 1,
];
/** (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2, relative to e^r - 1: 1.4e-8. */
const EXPM1_4 = [
  0.0013868435053154826, 0.008366432040929794, 0.04166746139526367, 0.1666654497385025, 0.4999999701976776,
];
/** (1 - e^-r - r) / r^2: the same with r negated. */
const ONE_MINUS_EXP = EXPM1_4.map((c, i) => (i % 2 === 0 ? -c : c));

/**
 * e^x with a factor to be applied before the last scaling: x = 2m ln 2 + r, e^x = e^r 2^m 2^m. Taking half the exponent
 * costs one more coefficient but makes overflow, subnormal results and both infinities come out of the last
 * multiplication alone, with its single rounding.
 */
function scaledExp<E>(b: MathBuilder<E>, x: E, low: number, high: number, last: (p: E) => E): E {
  const clamped = b.pmax(b.pmin(x, b.f32(high)), b.f32(low));
  const shifted = b.fma(clamped, b.f32(LOG2E / 2), b.f32(MAGIC + 127));
  const m = b.sub(shifted, b.f32(MAGIC + 127));
  const r = b.fma(m, b.f32(-2 * LN2_LO), b.fma(m, b.f32(-2 * LN2_HI), clamped));
  const scale = b.fromBitsF32(b.ishl(b.bitsF32(shifted), 23));
  return b.mul(last(b.mul(poly32(b, r, EXP7), scale)), scale);
}

/** e^x. 16 operations; 2 ulp. */
export function exp32<E>(b: MathBuilder<E>, x: E): E {
  return scaledExp(b, x, -104, 89, (p) => p);
}

/** e^x / 2, which overflows only where sinh and cosh do. */
export function halfExp32<E>(b: MathBuilder<E>, x: E): E {
  return scaledExp(b, x, -104, 90, (p) => b.mul(p, b.f32(0.5)));
}

/** 2^x, exact at integers; scaled like exp. 15 operations; 1.6 ulp. */
export function exp2_32<E>(b: MathBuilder<E>, x: E): E {
  const clamped = b.pmax(b.pmin(x, b.f32(129)), b.f32(-151));
  const shifted = b.fma(clamped, b.f32(0.5), b.f32(MAGIC + 127));
  const m = b.sub(shifted, b.f32(MAGIC + 127));
  const r = b.fma(m, b.f32(-2), clamped);
  const scale = b.fromBitsF32(b.ishl(b.bitsF32(shifted), 23));
  return b.mul(b.mul(poly32(b, r, EXP2_7), scale), scale);
}

/**
 * 1 / (1 + e^-x), computed as t / (1 + t) with t = e^min(x, 30): right down to subnormal results, where 1 / (1 +
 * e^-x) would divide by an overflow. The exponent of t spans less than f32's, so one integer scaling, biased by 2^64,
 * does. 17 operations, 1 of them a division or root; 2.5 ulp.
 */
export function logistic32<E>(b: MathBuilder<E>, x: E): E {
  const clamped = b.pmax(b.pmin(x, b.f32(30)), b.f32(-104));
  const shifted = b.fma(clamped, b.f32(LOG2E), b.f32(MAGIC + 127 + 64));
  const n = b.sub(shifted, b.f32(MAGIC + 127 + 64));
  const r = b.fma(n, b.f32(-LN2_LO), b.fma(n, b.f32(-LN2_HI), clamped));
  const scale = b.fromBitsF32(b.ishl(b.bitsF32(shifted), 23));
  const t = b.mul(b.mul(poly32(b, r, EXP6), scale), b.f32(2 ** -64));
  return b.div(t, b.add(t, b.f32(1)));
}

/**
 * e^x - 1 as 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), which neither cancels nor overflows early; tiny x is returned
 * as it is, which keeps the sign of zero and subnormals. 19 operations; 1.7 ulp.
 */
export function expm1_32<E>(b: MathBuilder<E>, x: E): E {
  const clamped = b.pmax(b.pmin(x, b.f32(89)), b.f32(-25));
  const shifted = b.fma(clamped, b.f32(LOG2E), b.f32(MAGIC + 126));
  const n = b.sub(shifted, b.f32(MAGIC + 126));
  const r = b.fma(n, b.f32(-LN2_LO), b.fma(n, b.f32(-LN2_HI), clamped));
  const half = b.fromBitsF32(b.ishl(b.bitsF32(shifted), 23));
  const em1 = b.fma(b.mul(r, r), poly32(b, r, EXPM1_4), r);
  const sum = b.fma(em1, half, b.sub(half, b.f32(0.5)));
  return b.select(b.lt(b.abs(x), b.f32(2 ** -24)), x, b.add(sum, sum));
}

/**
 * (1 - e^-ux) / u for u = 2^k (k = 0 or 1) and 0 <= x <= 40, never negative: the common end of tanh and erf. One product
 * with ln 2 is enough, because its rounding is scaled down by e^-x.
 */
export function oneMinusExp32<E>(b: MathBuilder<E>, x: E, u: 1 | 2): E {
  const shifted = b.fma(x, b.f32(-LOG2E * u), b.f32(MAGIC + 127));
  const n = b.sub(shifted, b.f32(MAGIC + 127));
  const r = b.fma(n, b.f32(Math.LN2 / u), x);
  const scale = b.fromBitsF32(b.ishl(b.bitsF32(shifted), 23));
  const powers = ONE_MINUS_EXP.map((c, i) => c * u ** (ONE_MINUS_EXP.length - i));
  const shrink = b.fma(b.mul(r, r), poly32(b, r, powers), r);
  const whole = u === 1 ? b.sub(b.f32(1), scale) : b.fma(scale, b.f32(-1 / u), b.f32(1 / u));
  return b.fma(shrink, scale, whole);
}
