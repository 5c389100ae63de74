/**
 * x^y in f32 alone: log2 |x| and its product with y as pairs of floats whose products are exact, after e_powf.c of
 * FreeBSD's msun (Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Permission to use, copy, modify, and
 * distribute this software is freely granted, provided that this notice is preserved.)
 */
import { type MathBuilder, powSpecial } from "@sinter/ir";

/** 3/2, below which the logarithm is taken of m, above of m / 1.5: its two parts of log2(1.5). */
const LOG2_HIGH = 0.584960938;
const LOG2_LOW = 1.56322085e-6;
/** (3/2) (log x - 2s - 2/3 s^3) / s^5 in s^2. */
const LOG = [0.206975017, 0.230660751, 0.272728115, 0.333333343, 0.428571433, 0.60000002];
/** r (e^r + 1) / (e^r - 1) in r^2. */
const EXP = [4.1381369442e-8, -1.6533901999e-6, 6.613755977e-5, -2.777777845e-3, 0.16666667163];
/** 2 / (3 ln 2) and its two parts. */
const CP = 0.96179670095;
const CP_HIGH = 0.9619140625;
const CP_LOW = -1.1736857402e-4;
const LN2 = 0.69314718246;
const LN2_HIGH = 0.693145752;
const LN2_LOW = 1.42860654e-6;

/** The leading 12 bits. */
function top<E>(b: MathBuilder<E>, x: E): E {
  return b.fromBitsF32(b.iand(b.bitsF32(x), b.i32(-4096)));
}

interface Pair<E> {
  readonly high: E;
  readonly low: E;
}

/** log2 of a positive normal x, the high part of 12 bits. */
function log2Pair<E>(b: MathBuilder<E>, x: E): Pair<E> {
  const bits = b.bitsF32(x);
  const fraction = b.iand(bits, b.i32(0x7fffff));
  // m is in [sqrt(3/4), sqrt(3/2)) or, with base 3/2, in [sqrt(3/2), sqrt(3)).
  const upper = b.igt(fraction, b.i32(0x5db3d6));
  const middle = b.and(b.igt(fraction, b.i32(0x1cc471)), b.not(upper));
  const one = b.i32(0x3f800000);
  const m = b.fromBitsF32(b.select(upper, b.isub(b.ior(fraction, one), b.i32(0x800000)), b.ior(fraction, one)));
  const exponent = b.isub(b.ishrU(bits, 23), b.select(upper, b.i32(126), b.i32(127)));
  const base = b.select(middle, b.f32(1.5), b.f32(1));
  const u = b.sub(m, base);
  const v = b.div(b.f32(1), b.add(m, base));
  const s = b.mul(u, v);
  const sHigh = top(b, s);
  const tHigh = top(b, b.add(m, base));
  const tLow = b.sub(m, b.sub(tHigh, base));
  const sLow = b.mul(v, b.sub(b.sub(u, b.mul(sHigh, tHigh)), b.mul(sHigh, tLow)));
  const square = b.mul(s, s);
  const [first, ...rest] = LOG as [number, ...number[]];
  const poly = rest.reduce((sum, c) => b.add(b.mul(sum, square), b.f32(c)), b.f32(first));
  const r = b.add(b.mul(b.mul(square, square), poly), b.mul(sLow, b.add(sHigh, s)));
  const squareHigh = b.mul(sHigh, sHigh);
  const sumHigh = top(b, b.add(b.add(b.f32(3), squareHigh), r));
  const sumLow = b.sub(r, b.sub(b.sub(sumHigh, b.f32(3)), squareHigh));
  const high = b.mul(sHigh, sumHigh);
  const low = b.add(b.mul(sLow, sumHigh), b.mul(sumLow, s));
  const pHigh = top(b, b.add(high, low));
  const pLow = b.sub(low, b.sub(pHigh, high));
  const zero = b.f32(0);
  const [baseHigh, baseLow] = [LOG2_HIGH, LOG2_LOW].map((c) => b.select(middle, b.f32(c), zero)) as [E, E];
  const zHigh = b.mul(b.f32(CP_HIGH), pHigh);
  const zLow = b.add(b.add(b.mul(b.f32(CP_LOW), pHigh), b.mul(pLow, b.f32(CP))), baseLow);
  const whole = b.i32ToF32(exponent);
  const result = top(b, b.add(b.add(b.add(zHigh, zLow), baseHigh), whole));
  return { high: result, low: b.sub(zLow, b.sub(b.sub(b.sub(result, whole), baseHigh), zHigh)) };
}

/** |x|^y for finite operands, x not 0. */
function magnitude<E>(b: MathBuilder<E>, x: E, y: E): E {
  const { high, low } = log2Pair(b, x);
  const yHigh = top(b, y);
  const pLow = b.add(b.mul(b.sub(y, yHigh), high), b.mul(y, low));
  const pHigh = b.mul(yHigh, high);
  const sum = b.add(pLow, pHigh);
  const whole = b.nearest(b.pmax(b.pmin(sum, b.f32(200)), b.f32(-200)));
  // Out of range the rest is nothing that counts.
  const inside = b.lt(b.abs(sum), b.f32(199));
  const rest = b.select(inside, b.sub(pHigh, whole), b.f32(0));
  const low2 = b.select(inside, pLow, b.f32(0));
  const t = b.fromBitsF32(b.iand(b.bitsF32(b.add(low2, rest)), b.i32(-32768)));
  const u = b.mul(t, b.f32(LN2_HIGH));
  const v = b.add(b.mul(b.sub(low2, b.sub(t, rest)), b.f32(LN2)), b.mul(t, b.f32(LN2_LOW)));
  const z = b.add(u, v);
  const w = b.sub(v, b.sub(z, u));
  const square = b.mul(z, z);
  const [first, ...others] = EXP as [number, ...number[]];
  const poly = others.reduce((p, c) => b.add(b.mul(p, square), b.f32(c)), b.f32(first));
  const t1 = b.sub(z, b.mul(square, poly));
  const r = b.sub(b.div(b.mul(z, t1), b.sub(t1, b.f32(2))), b.add(w, b.mul(z, w)));
  const value = b.sub(b.f32(1), b.sub(r, z));
  // 2^n by two factors, so that neither overflows and a subnormal result is rounded once.
  const exponent = b.isub(b.bitsF32(b.add(whole, b.f32(12582912))), b.i32(0x4b400000));
  const half = b.ishrS(exponent, 1);
  const power = (n: E): E => b.fromBitsF32(b.ishl(b.iadd(n, b.i32(127)), 23));
  return b.mul(b.mul(value, power(half)), power(b.isub(exponent, half)));
}

/** x^y with C99's special cases, as the library's `pow`; 1 ulp. */
export function powF32<E>(b: MathBuilder<E>, x: E, y: E): E {
  const finite = magnitude(b, b.abs(x), y);
  const oddX = b.igeU(b.isub(b.bitsF32(x), b.i32(1)), b.i32(0x7f7fffff));
  const oddY = b.igeU(b.bitsF32(b.abs(y)), b.i32(0x7f800000));
  return b.rarely(b.or(oddX, oddY), finite, () => powSpecial(b, x, y, finite));
}
