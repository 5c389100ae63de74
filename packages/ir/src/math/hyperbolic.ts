/** Hyperbolic functions and erf in f32: all on the exponentials of exp.ts. */
import { type MathBuilder, poly32, withSign32 } from "./builder.ts";
import { halfExp32, oneMinusExp32 } from "./exp.ts";

/** -log(erfc(a)) / a - 1 on [0, 3.95], relative to erf: 4.3e-9. */
const ERF = [
  -0.00000938810444495175, 0.00011886203719768673, -0.0006373646901920438, 0.0016756773693487048,
  -0.00016950453573372215, -0.019147822633385658, 0.10277630388736725, 0.6366195678710938, 0.12837916612625122,
];
/** (sinh(a)/a - 1)/a^2 in a^2 <= 1, relative to sinh: 3e-10. */
const SINH = [0.0000027822131869470468, 0.00019842895562760532, 0.00833331048488617, 0.1666666716337204];

/**
 * tanh(x) = h / (1 - h) with h = (1 - e^-2|x|) / 2. Against a rational function of x^2, which is 18 operations, 1 of
 * them a division or root; 2.6 ulp.
 */
export function tanh32<E>(b: MathBuilder<E>, x: E): E {
  const h = oneMinusExp32(b, b.pmin(b.abs(x), b.f32(10)), 2);
  return withSign32(b, b.div(h, b.sub(b.f32(1), h)), x);
}

/**
 * erf(x) = 1 - e^-u with u a polynomial in |x|: no division, no branch (after N. Juffa's erff). 25 operations; 2.2
 * ulp.
 */
export function erf32<E>(b: MathBuilder<E>, x: E): E {
  const a = b.pmin(b.abs(x), b.f32(3.95));
  return withSign32(b, oneMinusExp32(b, b.fma(a, poly32(b, a, ERF), a), 1), x);
}

/** cosh(x) = h + 1/(4h) with h = e^|x| / 2. 20 operations, 1 of them a division or root; 2 ulp. */
export function cosh32<E>(b: MathBuilder<E>, x: E): E {
  const h = halfExp32(b, b.abs(x));
  return b.add(h, b.div(b.f32(0.25), h));
}

/**
 * sinh(x) = h - 1/(4h) with h = e^|x| / 2, and a polynomial below 1. 30 operations, 1 of them a division or root; 3.2
 * ulp.
 */
export function sinh32<E>(b: MathBuilder<E>, x: E): E {
  const a = b.abs(x);
  const h = halfExp32(b, a);
  const z = b.mul(a, a);
  const small = b.fma(b.mul(a, z), poly32(b, z, SINH), a);
  return withSign32(b, b.select(b.lt(a, b.f32(1)), small, b.sub(h, b.div(b.f32(0.25), h))), x);
}
