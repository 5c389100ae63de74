/**
 * Logarithms in f32: log, log2, log1p. The mantissa is taken in [2/3, 4/3) by integer arithmetic on the bits, after
 * N. Juffa's logf (Stack Overflow 39821367); the polynomials are fits of our own.
 */
import { type MathBuilder, poly32 } from "./builder.ts";

const LN2 = Math.LN2;
/** (log(1+f) - f) / f^2 on [-1/3, 1/3], relative to log(1+f): 4.7e-9. */
const LOG = [
  -0.12879283726215363, 0.13985593616962433, -0.12187454104423523, 0.14005543291568756, -0.16680221259593964,
  0.20010435581207275, -0.2499980479478836, 0.3333321511745453, -0.5,
];
/** The same on [-1/4, 1/2]: 4.9e-9. */
const LOG1P = [
  -0.045152269303798676, 0.10472550988197327, -0.13163936138153076, 0.14477629959583282, -0.1664687842130661,
  0.19990848004817963, -0.25000110268592834, 0.3333345055580139, -0.5,
];
/** log2(1+f) / f on [-1/3, 1/3]: 1.4e-8. */
const LOG2 = [
  -0.17718958854675293, 0.18827663362026215, -0.1778383105993271, 0.2051442712545395, -0.2404959350824356,
  0.28846636414527893, -0.36067450046539307, 0.48090189695358276, -0.7213475108146667, 1.4426950216293335,
];
const EXPONENT_MASK = -0x800000;

/** Evaluates `core(f, e)` with x = (1 + f) 2^(e / 2^23), where e is an exact integer in f32; handles all special x. */
function logarithm<E>(b: MathBuilder<E>, x: E, core: (f: E, e: E) => E): E {
  const reduce = (positive: E, shift: (e: E) => E): E => {
    const bits = b.bitsF32(positive);
    const e = b.iand(b.isub(bits, b.i32(0x3f2aaaab)), b.i32(EXPONENT_MASK));
    const f = b.sub(b.fromBitsF32(b.isub(bits, e)), b.f32(1));
    return core(f, b.i32ToF32(shift(e)));
  };
  // Zero, subnormal and negative numbers, infinity and NaN: all whose bits are not those of a positive normal number.
  const special = b.igeU(b.isub(b.bitsF32(x), b.i32(0x00800000)), b.i32(0x7f000000));
  return b.rarely(
    special,
    reduce(x, (e) => e),
    () => {
      const scaled = b.mul(x, b.f32(2 ** 24));
      const subnormal = reduce(scaled, (e) => b.isub(e, b.i32(24 << 23)));
      const edge = b.select(b.eq(x, b.f32(0)), b.f32(-Infinity), b.select(b.lt(x, b.f32(0)), b.f32(NaN), x));
      const usable = b.and(b.gt(x, b.f32(0)), b.lt(x, b.f32(Infinity)));
      return b.select(usable, subnormal, edge);
    },
  );
}

/** Natural logarithm. 19 operations, 26 more rarely; 1.1 ulp. */
export function log32<E>(b: MathBuilder<E>, x: E): E {
  return logarithm(b, x, (f, e) => b.fma(e, b.f32(LN2 * 2 ** -23), b.fma(b.mul(f, f), poly32(b, f, LOG), f)));
}

/** Base-2 logarithm, exact at powers of two. 19 operations, 26 more rarely; 2.1 ulp. */
export function log2_32<E>(b: MathBuilder<E>, x: E): E {
  return logarithm(b, x, (f, e) => b.fma(f, poly32(b, f, LOG2), b.mul(e, b.f32(2 ** -23))));
}

/**
 * log(1 + x) without a correction term: with 2^e near 1 + x, 1 + x = 2^e (1 + f) where f = x 2^-e + (2^-e - 1) has at
 * most one rounding (N. Juffa, log1pf). 22 operations, 4 more rarely; 1.3 ulp.
 */
export function log1p32<E>(b: MathBuilder<E>, x: E): E {
  const sum = b.add(x, b.f32(1));
  // -e in the place of an exponent; negative, so that a zero e times -ln 2 leaves -0 as it is.
  const down = b.iand(b.isub(b.i32(0x3f400000 + 0x7fffff), b.bitsF32(sum)), b.i32(EXPONENT_MASK));
  const power = b.fromBitsF32(b.iadd(b.i32(0x40800000), down)); // 4 * 2^-e
  const scaled = b.fromBitsF32(b.iadd(b.bitsF32(x), down));
  // 1 + x is zero, negative, infinite or NaN: as in `logarithm`, though it cannot be subnormal.
  const special = b.igeU(b.isub(b.bitsF32(sum), b.i32(1)), b.i32(0x7f7fffff));
  const f = b.sub(scaled, b.fma(power, b.f32(-0.25), b.f32(1)));
  const series = b.fma(b.mul(f, f), poly32(b, f, LOG1P), f);
  const result = b.fma(b.i32ToF32(down), b.f32(-LN2 * 2 ** -23), series);
  return b.rarely(special, result, () => {
    const below = b.select(b.lt(x, b.f32(-1)), b.f32(NaN), x);
    return b.select(b.eq(x, b.f32(-1)), b.f32(-Infinity), below);
  });
}
