/**
 * Inverse trigonometric functions in f64: asin, acos, atan, atan2. Formulas and coefficients of fdlibm (e_asin.c,
 * e_acos.c, s_atan.c, e_atan2.c), with selected operands in place of branches.
 */
import { flipSign64, type MathBuilder, poly64, signBit64, withSign64 } from "./builder.ts";
import { splitWord } from "./log-f64.ts";

const PIO2_HI = Math.PI / 2;
const PIO2_LO = 6.123233995736766e-17;
const PI_LO = 1.2246467991473532e-16;

/** pS5 to pS0 and qS4 to qS1, 1: asin(s)/s - 1 = z P(z) / Q(z), z = s^2 <= 1/4. */
const ASIN_P = [
  0.00003479331075960212, 0.0007915349942898145, -0.04005553450067941, 0.20121253213486293, -0.3255658186224009,
  0.16666666666666666,
];
const ASIN_Q = [0.07703815055590194, -0.6882839716054533, 2.0209457602335057, -2.403394911734414, 1];
/** aT[10] to aT[0]: 1 - atan(t)/t, divided by t^2, |t| <= 7/16. */
const ATAN = [
  0.016285820115365782, -0.036531572744216916, 0.049768779946159324, -0.058335701337905735, 0.06661073137387531,
  -0.0769187620504483, 0.09090887133436507, -0.11111110405462356, 0.14285714272503466, -0.19999999999876483,
  0.3333333333333293,
];

/** For a = |x|: where `big`, a > 1/2, s = sqrt((1-a)/2) = high + tail; else s = a. r = asin(s)/s - 1. */
function asinCore<E>(b: MathBuilder<E>, a: E): { big: E; s: E; r: E; high: E; tail: E } {
  const big = b.gt(a, b.f64(0.5));
  const z = b.select(big, b.fma(a, b.f64(-0.5), b.f64(0.5)), b.mul(a, a));
  const s = b.select(big, b.sqrt(z), a);
  const r = b.div(b.mul(z, poly64(b, z, ASIN_P)), poly64(b, z, ASIN_Q));
  const high = splitWord(b, s).hi;
  const sum = b.add(s, high);
  // a = 1 leaves 0/0.
  const divisor = b.select(b.eq(sum, b.f64(0)), b.f64(1), sum);
  return { big, s, r, high, tail: b.div(b.sub(z, b.mul(high, high)), divisor) };
}

/** asin(x). 38 operations, 3 of them divisions or roots; 0.9 ulp. */
export function asin64<E>(b: MathBuilder<E>, x: E): E {
  const { big, s, r, high, tail } = asinCore(b, b.abs(x));
  const p = b.sub(b.mul(b.add(s, s), r), b.sub(b.f64(PIO2_LO), b.add(tail, tail)));
  const q = b.fma(high, b.f64(-2), b.f64(PIO2_HI / 2));
  const outer = b.sub(b.f64(PIO2_HI / 2), b.sub(p, q));
  return withSign64(b, b.select(big, outer, b.fma(s, r, s)), x);
}

/** acos(x). 41 operations, 3 of them divisions or roots; 0.9 ulp. */
export function acos64<E>(b: MathBuilder<E>, x: E): E {
  const { big, s, r, high, tail } = asinCore(b, b.abs(x));
  const near = b.add(high, b.fma(s, r, tail));
  const far = b.sub(b.f64(PIO2_HI), b.add(s, b.fma(s, r, b.f64(-PIO2_LO))));
  const outer = b.select(b.lt(x, b.f64(0)), far, near);
  const sign = signBit64(b, x);
  const correction = b.sub(b.f64(PIO2_LO), flipSign64(b, b.mul(s, r), sign));
  const middle = b.sub(b.f64(PIO2_HI), b.sub(x, correction));
  return b.select(big, b.add(outer, outer), middle);
}

/** atan(a) for a >= 0, infinity included: t = (a - c)/(1 + a c) with c among 0, 1/2, 1, 3/2 and infinity. */
function atanCore<E>(b: MathBuilder<E>, a: E): E {
  const [zero, one] = [b.f64(0), b.f64(1)];
  const scaled = (c: number): E => b.mul(a, b.f64(c));
  const ranges: readonly [number, E, E, number, number][] = [
    [7 / 16, b.sub(scaled(2), one), b.add(b.f64(2), a), 0.4636476090008061, 2.2698777452961687e-17],
    [11 / 16, b.sub(a, one), b.add(a, one), 0.7853981633974483, 3.061616997868383e-17],
    [19 / 16, b.sub(a, b.f64(1.5)), b.add(one, scaled(1.5)), 0.982793723247329, 1.3903311031230998e-17],
    [39 / 16, b.f64(-1), a, PIO2_HI, PIO2_LO],
  ];
  let [numerator, denominator, hi, lo] = [a, one, zero, zero];
  for (const [from, n, d, angle, rest] of ranges) {
    const beyond = b.ge(a, b.f64(from));
    numerator = b.select(beyond, n, numerator);
    denominator = b.select(beyond, d, denominator);
    hi = b.select(beyond, b.f64(angle), hi);
    lo = b.select(beyond, b.f64(rest), lo);
  }
  const t = b.div(numerator, denominator);
  const z = b.mul(t, t);
  const bend = b.mul(b.mul(t, z), poly64(b, z, ATAN));
  return b.sub(hi, b.sub(b.sub(bend, lo), t));
}

/** atan(x). 48 operations, 1 of them a division or root; 0.9 ulp. */
export function atan64<E>(b: MathBuilder<E>, x: E): E {
  return withSign64(b, atanCore(b, b.abs(x)), x);
}

/** atan2(y, x) with C99's special cases. 57 operations, 2 of them divisions or roots, 6 more rarely; 1.4 ulp. */
export function atan2_64<E>(b: MathBuilder<E>, y: E, x: E): E {
  const ay = b.abs(y);
  const ax = b.abs(x);
  const ratio = b.div(ay, ax);
  const t = b.rarely(b.ne(ratio, ratio), ratio, () => {
    const bothInfinite = b.select(b.eq(ax, ay), b.f64(1), ratio);
    return b.select(b.and(b.eq(ax, b.f64(0)), b.eq(ay, b.f64(0))), b.f64(0), bothInfinite);
  });
  const right = atanCore(b, t);
  const left = b.sub(b.f64(Math.PI), b.sub(right, b.f64(PI_LO)));
  const negative = b.leq(signBit64(b, x), b.i64(-0x8000000000000000n));
  return withSign64(b, b.select(negative, left, right), y);
}
