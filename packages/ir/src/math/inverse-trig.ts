/**
 * Inverse trigonometric functions in f32: asin, acos, atan, atan2. Reductions as in Cephes (asinf.c, atanf.c);
 * polynomials are fits of our own.
 */
import { flipSign32, type MathBuilder, poly32, signBit32, withSign32 } from "./builder.ts";

const PI = Math.PI;
/** (asin(s)/s - 1)/s^2 in s^2 <= 1/4, relative to asin: 4.9e-9. */
const ASIN = [0.042158305644989014, 0.024184778332710266, 0.04546914994716644, 0.074953094124794, 0.16666752099990845];
/** (atan(t)/t - 1)/t^2 in t^2 <= 1, relative to atan: 2.6e-9. */
const ATAN = [
  -0.0017828245181590319, 0.01086869090795517, -0.031096987426280975, 0.05788138881325722, -0.08399306237697601,
  0.10950880497694016, -0.14264015853405, 0.1999852955341339, -0.33333298563957214,
];

/** For a = |x|: `big` is a > 1/2; `p` is asin(a), or asin(sqrt((1-a)/2)) where big. NaN where a > 1. */
function asinCore<E>(b: MathBuilder<E>, a: E): { big: E; p: E } {
  const big = b.gt(a, b.f32(0.5));
  const z = b.select(big, b.fma(a, b.f32(-0.5), b.f32(0.5)), b.mul(a, a));
  const s = b.select(big, b.sqrt(z), a);
  return { big, p: b.fma(b.mul(s, z), poly32(b, z, ASIN), s) };
}

/** asin(x); above 1/2 as pi/2 - 2 asin(sqrt((1-|x|)/2)). 17 operations, 1 of them a division or root; 2.4 ulp. */
export function asin32<E>(b: MathBuilder<E>, x: E): E {
  const { big, p } = asinCore(b, b.abs(x));
  return withSign32(b, b.select(big, b.fma(p, b.f32(-2), b.f32(PI / 2)), p), x);
}

/**
 * acos(x) = 2 asin(sqrt((1-x)/2)) near 1, pi minus that of -x near -1, pi/2 - asin(x) between. 21 operations, 1 of
 * them a division or root; 1.3 ulp.
 */
export function acos32<E>(b: MathBuilder<E>, x: E): E {
  const { big, p } = asinCore(b, b.abs(x));
  const negative = b.lt(x, b.f32(0));
  const twice = b.add(p, p);
  const outer = b.select(negative, b.sub(b.f32(PI), twice), twice);
  return b.select(big, outer, b.sub(b.f32(PI / 2), flipSign32(b, p, signBit32(b, x))));
}

/** atan of t in [0, 1]. */
function atanCore<E>(b: MathBuilder<E>, t: E): E {
  const z = b.mul(t, t);
  return b.fma(b.mul(z, t), poly32(b, z, ATAN), t);
}

/** atan(x), with pi/2 - atan(1/|x|) above 1. 20 operations, 1 of them a division or root; 2 ulp. */
export function atan32<E>(b: MathBuilder<E>, x: E): E {
  const a = b.abs(x);
  const one = b.f32(1);
  const p = atanCore(b, b.div(b.pmin(a, one), b.pmax(a, one)));
  return withSign32(b, b.select(b.gt(a, one), b.sub(b.f32(PI / 2), p), p), x);
}

/**
 * atan2(y, x) with C99's special cases: signed zeros and infinities tell the quadrants apart. 26 operations, 1 of
 * them a division or root, 6 more rarely; 2 ulp.
 */
export function atan2_32<E>(b: MathBuilder<E>, y: E, x: E): E {
  const ay = b.abs(y);
  const ax = b.abs(x);
  const steep = b.gt(ay, ax);
  const large = b.select(steep, ay, ax);
  const ratio = b.div(b.select(steep, ax, ay), large);
  // 0/0 stands for 0, inf/inf for 1; other NaNs stay.
  const t = b.rarely(b.ne(ratio, ratio), ratio, () => {
    const bothInfinite = b.select(b.eq(ax, ay), b.f32(1), ratio);
    return b.select(b.and(b.eq(ax, b.f32(0)), b.eq(ay, b.f32(0))), b.f32(0), bothInfinite);
  });
  const p = atanCore(b, t);
  const right = b.select(steep, b.sub(b.f32(PI / 2), p), p);
  const left = b.ilt(b.bitsF32(x), b.i32(0));
  return withSign32(b, b.select(left, b.sub(b.f32(PI), right), right), y);
}
