/**
 * Transcendental functions for every backend, by name and float type: the tables that backends look functions up in,
 * and their promised accuracy. See builder.ts for what the functions are made of.
 *
 * Each function's comment ends with its length and error: operations that always run (constants and casts to bits are
 * free), those on a path for rare arguments, and the maximum error in ulp, final rounding included. Measured for f32 on
 * 81 million arguments spread over all bit patterns, and on every argument in [2^-13, 2^33] for the functions most used;
 * for f64 on 2 million of all magnitudes and near multiples of pi/2, against quadruple precision. The worse of fused and
 * unfused fma counts.
 */
import type { Binary, MathBuilder, Unary } from "./builder.ts";
import { erf64 } from "./erf-f64.ts";
import { exp2_32, exp32, expm1_32, logistic32 } from "./exp.ts";
import { cosh64, exp2_64, exp64, expm1_64, logistic64, sinh64, tanh64 } from "./exp-f64.ts";
import { cosh32, erf32, sinh32, tanh32 } from "./hyperbolic.ts";
import { acos32, asin32, atan2_32, atan32 } from "./inverse-trig.ts";
import { acos64, asin64, atan2_64, atan64 } from "./inverse-trig-f64.ts";
import { log1p32, log2_32, log32 } from "./log.ts";
import { log1p64, log2_64, log64 } from "./log-f64.ts";
import { pow32 } from "./pow.ts";
import { pow64 } from "./pow-f64.ts";
import { cos32, sin32, tan32 } from "./trig.ts";
import { cos64, sin64, tan64 } from "./trig-f64.ts";

export type { Binary, MathBuilder, Unary } from "./builder.ts";
export { countOps, evaluateMath, type JsValue, jsBuilder, type OpCount } from "./js-builder.ts";
export { powSpecial } from "./pow.ts";

/** Functions of one argument. */
export type UnaryMathName =
  | "exp"
  | "exp2"
  | "expm1"
  | "logistic"
  | "log"
  | "log2"
  | "log1p"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "erf"
  | "rsqrt";

/** Functions of two arguments. */
export type BinaryMathName = "atan2" | "pow";

/** Every function of this folder. */
export type MathName = UnaryMathName | BinaryMathName;

/**
 * The maximum error of each function in ulp, as measured, rounded up; what a test may demand. Both lists also hold for
 * results that are subnormal, and zeros have the right sign.
 */
export const mathUlp: { readonly [N in MathName]: { readonly f32: number; readonly f64: number } } = {
  exp: { f32: 2, f64: 0.9 },
  exp2: { f32: 1.6, f64: 1.1 },
  expm1: { f32: 1.7, f64: 1.3 },
  logistic: { f32: 2.5, f64: 2.2 },
  log: { f32: 1.1, f64: 0.8 },
  log2: { f32: 2.1, f64: 0.8 },
  log1p: { f32: 1.3, f64: 0.9 },
  sin: { f32: 2.5, f64: 0.8 },
  cos: { f32: 2.5, f64: 0.8 },
  tan: { f32: 3.5, f64: 2.1 },
  asin: { f32: 2.4, f64: 0.9 },
  acos: { f32: 1.3, f64: 0.9 },
  atan: { f32: 2, f64: 0.9 },
  sinh: { f32: 3.2, f64: 2.1 },
  cosh: { f32: 2, f64: 1.4 },
  tanh: { f32: 2.6, f64: 2.6 },
  erf: { f32: 2.2, f64: 1 },
  rsqrt: { f32: 1.5, f64: 1.5 },
  atan2: { f32: 2, f64: 1.4 },
  pow: { f32: 0.6, f64: 0.9 },
};

type MathTable = { readonly [N in UnaryMathName]: Unary } & { readonly [N in BinaryMathName]: Binary };

/** 1/sqrt(x) in f32; -inf at -0. 2 operations, 2 of them divisions or roots; 1.5 ulp. */
function rsqrt32<E>(b: MathBuilder<E>, x: E): E {
  return b.div(b.f32(1), b.sqrt(x));
}

/** 1/sqrt(x) in f64; -inf at -0. 2 operations, 2 of them divisions or roots; 1.5 ulp. */
function rsqrt64<E>(b: MathBuilder<E>, x: E): E {
  return b.div(b.f64(1), b.sqrt(x));
}

/** The functions on f32. */
export const mathF32: MathTable = {
  exp: exp32,
  exp2: exp2_32,
  expm1: expm1_32,
  logistic: logistic32,
  log: log32,
  log2: log2_32,
  log1p: log1p32,
  sin: sin32,
  cos: cos32,
  tan: tan32,
  asin: asin32,
  acos: acos32,
  atan: atan32,
  sinh: sinh32,
  cosh: cosh32,
  tanh: tanh32,
  erf: erf32,
  rsqrt: rsqrt32,
  atan2: atan2_32,
  pow: pow32,
};

/** The functions on f64. */
export const mathF64: MathTable = {
  exp: exp64,
  exp2: exp2_64,
  expm1: expm1_64,
  logistic: logistic64,
  log: log64,
  log2: log2_64,
  log1p: log1p64,
  sin: sin64,
  cos: cos64,
  tan: tan64,
  asin: asin64,
  acos: acos64,
  atan: atan64,
  sinh: sinh64,
  cosh: cosh64,
  tanh: tanh64,
  erf: erf64,
  rsqrt: rsqrt64,
  atan2: atan2_64,
  pow: pow64,
};
