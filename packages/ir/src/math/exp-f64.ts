/**
 * Exponentials in f64: exp, exp2, expm1, logistic, sinh, cosh, tanh. Formulas and coefficients of fdlibm (e_exp.c,
 * s_expm1.c, s_tanh.c, Sun Microsystems 1993), rearranged without branches.
 */
import { type MathBuilder, poly64, withSign64 } from "./builder.ts";

const LN2_HI = 0.6931471803691238;
const LN2_LO = 1.9082149292705877e-10;
const MAGIC = 1.5 * 2 ** 52;

/** r (e^r + 1) / (e^r - 1) - 2, in r^2, highest power first. */
const EXP = [
  4.1381367970572385e-8, -0.0000016533902205465252, 0.00006613756321437934, -0.0027777777777015593, 0.16666666666666602,
];
/** The coefficients Q5 to Q1 and 1 of expm1, in r^2 / 2. */
const EXPM1 = [
  -2.0109921818362437e-7, 0.000004008217827329362, -0.0000793650757867488, 0.0015873015872548146, -0.03333333333333313,
  1,
];

/** x = n ln 2 + hi - lo; `shifted` has n + bias in its low bits. */
function reduce<E>(b: MathBuilder<E>, x: E, bias: number): { shifted: E; hi: E; lo: E } {
  const shifted = b.fma(x, b.f64(Math.LOG2E), b.f64(MAGIC + bias));
  const n = b.sub(shifted, b.f64(MAGIC + bias));
  return { shifted, hi: b.fma(n, b.f64(-LN2_HI), x), lo: b.mul(n, b.f64(LN2_LO)) };
}

/** e^(hi - lo) for |hi - lo| <= ln 2 / 2, by the continued fraction's first step. */
export function expReduced64<E>(b: MathBuilder<E>, hi: E, lo: E): E {
  const r = b.sub(hi, lo);
  const z = b.mul(r, r);
  const c = b.sub(r, b.mul(z, poly64(b, z, EXP)));
  const quotient = b.div(b.mul(r, c), b.sub(b.f64(2), c));
  return b.add(b.f64(1), b.add(b.sub(quotient, lo), hi));
}

/** p 2^n in two steps, for `shifted` with n + 2046 in its low 12 bits: right where 2^n or the result is subnormal. */
export function scale64<E>(b: MathBuilder<E>, p: E, shifted: E, last: (p: E) => E = (x) => x): E {
  const bits = b.bitsF64(shifted);
  const half = b.lshrU(bits, 1);
  const first = b.fromBitsF64(b.lshl(half, 52));
  const second = b.fromBitsF64(b.lshl(b.lsub(bits, half), 52));
  return b.mul(last(b.mul(p, first)), second);
}

function clamp<E>(b: MathBuilder<E>, x: E, low: number, high: number): E {
  return b.pmax(b.pmin(x, b.f64(high)), b.f64(low));
}

/** e^x. 26 operations, 1 of them a division or root; 0.9 ulp. */
export function exp64<E>(b: MathBuilder<E>, x: E): E {
  const { shifted, hi, lo } = reduce(b, clamp(b, x, -746, 710), 2046);
  return scale64(b, expReduced64(b, hi, lo), shifted);
}

/** 2^x, exact at integers. 27 operations, 1 of them a division or root; 1.1 ulp. */
export function exp2_64<E>(b: MathBuilder<E>, x: E): E {
  const clamped = clamp(b, x, -1076, 1025);
  const shifted = b.add(clamped, b.f64(MAGIC + 2046));
  const r = b.sub(clamped, b.sub(shifted, b.f64(MAGIC + 2046)));
  const p = expReduced64(b, b.mul(r, b.f64(LN2_HI)), b.mul(r, b.f64(-LN2_LO)));
  return scale64(b, p, shifted);
}

/** 1 / (1 + e^-x) as t / (1 + t) with t = e^min(x, 40). 28 operations, 2 of them divisions or roots; 2.2 ulp. */
export function logistic64<E>(b: MathBuilder<E>, x: E): E {
  const { shifted, hi, lo } = reduce(b, clamp(b, x, -746, 40), 2046);
  const t = scale64(b, expReduced64(b, hi, lo), shifted);
  return b.div(t, b.add(t, b.f64(1)));
}

/** (e^x - 1) / 4, which does not overflow before sinh does; inexact where the result is subnormal. */
function quarterExpm1<E>(b: MathBuilder<E>, x: E): E {
  const { shifted, hi, lo } = reduce(b, clamp(b, x, -50, 710.5), 1021);
  const r = b.sub(hi, lo);
  const c = b.sub(b.sub(hi, r), lo);
  const half = b.mul(r, b.f64(0.5));
  const hxs = b.mul(r, half);
  const r1 = poly64(b, hxs, EXPM1);
  const t = b.sub(b.f64(3), b.mul(r1, half));
  const e = b.mul(hxs, b.div(b.sub(r1, t), b.sub(b.f64(6), b.mul(r, t))));
  const tail = b.sub(b.sub(b.mul(r, b.sub(e, c)), c), hxs);
  const scale = b.fromBitsF64(b.lshl(b.bitsF64(shifted), 52));
  return b.fma(b.sub(r, tail), scale, b.sub(scale, b.f64(0.25)));
}

/** `x` itself where it is so small that f(x) rounds to it: keeps -0 and subnormal numbers. */
function unlessTiny<E>(b: MathBuilder<E>, x: E, result: E): E {
  return b.select(b.lt(b.abs(x), b.f64(2 ** -54)), x, result);
}

/** e^x - 1. 35 operations, 1 of them a division or root; 1.3 ulp. */
export function expm1_64<E>(b: MathBuilder<E>, x: E): E {
  return unlessTiny(b, x, b.mul(quarterExpm1(b, x), b.f64(4)));
}

/** sinh(x) = 2 (q + q / (4q + 1)) with q = (e^|x| - 1) / 4. 41 operations, 2 of them divisions or roots; 2.1 ulp. */
export function sinh64<E>(b: MathBuilder<E>, x: E): E {
  const q = quarterExpm1(b, b.abs(x));
  const sum = b.add(q, b.div(q, b.fma(q, b.f64(4), b.f64(1))));
  return unlessTiny(b, x, withSign64(b, b.add(sum, sum), x));
}

/** cosh(x) = h + 1/(4h) with h = e^|x| / 2. 29 operations, 2 of them divisions or roots; 1.4 ulp. */
export function cosh64<E>(b: MathBuilder<E>, x: E): E {
  const { shifted, hi, lo } = reduce(b, b.pmin(b.abs(x), b.f64(711)), 2046);
  const h = scale64(b, expReduced64(b, hi, lo), shifted, (p) => b.mul(p, b.f64(0.5)));
  return b.add(h, b.div(b.f64(0.25), h));
}

/** tanh(x) = -q / (q + 1/2) with q = (e^-2|x| - 1) / 4. 41 operations, 2 of them divisions or roots; 2.6 ulp. */
export function tanh64<E>(b: MathBuilder<E>, x: E): E {
  const q = quarterExpm1(b, b.mul(b.abs(x), b.f64(-2)));
  const quotient = b.div(b.neg(q), b.add(q, b.f64(0.5)));
  return unlessTiny(b, x, withSign64(b, quotient, x));
}
