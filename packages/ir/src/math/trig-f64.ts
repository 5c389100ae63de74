/**
 * sin, cos and tan in f64. Kernels, coefficients and the three-part pi/2 of fdlibm (k_sin.c, k_cos.c, e_rem_pio2.c);
 * beyond 2^20 pi/2 after Payne and Hanek.
 */
import { flipSign64, type MathBuilder, poly64 } from "./builder.ts";
import { FROM_F64, fastTwoSum, type Pair, splitHalves, xOverPi } from "./reduce.ts";

const MAGIC = 1.5 * 2 ** 52;
/** pi/2 in parts of 33, 33, 33 and 53 bits. */
const PIO2_1 = 1.5707963267341256;
const PIO2_2 = 6.077100506303966e-11;
const PIO2_3 = 2.0222662487111665e-21;
const PIO2_3T = 8.4784276603689e-32;
/** pi as a pair. */
const PI_HI = Math.PI;
const PI_LO = 1.2246467991473532e-16;
/** 2^20 pi/2, about. */
const LARGEST = 1647099;

/** S6 to S2 of k_sin.c. */
const SIN = [
  1.58969099521155e-10, -2.5050760253406863e-8, 0.0000027557313707070068, -0.0001984126982985795, 0.00833333333332249,
];
const S1 = -0.16666666666666632;
/** C6 to C1 of k_cos.c. */
const COS = [
  -1.1359647557788195e-11, 2.087572321298175e-9, -2.7557314351390663e-7, 0.00002480158728947673, -0.001388888888887411,
  0.0416666666666666,
];

/** x = n pi/2 + r; `quadrant` has n + bias in its low bits (and rubbish above). */
interface Reduced<E> {
  readonly quadrant: E;
  readonly r: Pair<E>;
}

/** Reduction for |x| <= 2^20 pi/2: three exact products, good to 151 bits. */
function reduceMedium<E>(b: MathBuilder<E>, x: E, bias: number): Reduced<E> {
  const shifted = b.fma(x, b.f64(2 / Math.PI), b.f64(MAGIC + bias));
  const n = b.sub(shifted, b.f64(MAGIC + bias));
  const first = b.fma(n, b.f64(-PIO2_1), x);
  const second = b.mul(n, b.f64(PIO2_2));
  const r2 = b.sub(first, second);
  const e2 = b.sub(b.sub(first, r2), second);
  const third = b.mul(n, b.f64(PIO2_3));
  const r3 = b.sub(r2, third);
  const e3 = b.sub(b.sub(r2, r3), third);
  // Subtracted rather than added, so that -0 stays.
  const tail = b.sub(b.mul(n, b.f64(PIO2_3T)), b.add(e2, e3));
  const hi = b.sub(r3, tail);
  return { quadrant: b.bitsF64(shifted), r: { hi, lo: b.sub(b.sub(r3, hi), tail) } };
}

/** Reduction for any finite x. */
function reduceHuge<E>(b: MathBuilder<E>, x: E, bias: number): Reduced<E> {
  const u = xOverPi(b, x, FROM_F64);
  const n = b.nearest(b.add(u.hi, u.hi));
  const rest = fastTwoSum(b, b.fma(n, b.f64(-0.5), u.hi), u.lo);
  // rest times pi, both pairs.
  const a = splitHalves(b, rest.hi);
  const { hi: piHi, lo: piLo } = splitHalves(b, b.f64(PI_HI));
  const product = b.mul(rest.hi, b.f64(PI_HI));
  const exact = b.sub(b.mul(a.hi, piHi), product);
  const cross = b.add(b.add(exact, b.mul(a.hi, piLo)), b.mul(a.lo, piHi));
  const error = b.add(cross, b.mul(a.lo, piLo));
  const low = b.add(error, b.fma(rest.hi, b.f64(PI_LO), b.mul(rest.lo, b.f64(PI_HI))));
  return { quadrant: b.bitsF64(b.add(n, b.f64(MAGIC + bias))), r: fastTwoSum(b, product, low) };
}

/** sin(hi + lo), |hi| <= pi/4. */
function sinCore<E>(b: MathBuilder<E>, { hi, lo }: Pair<E>): E {
  const z = b.mul(hi, hi);
  const v = b.mul(z, hi);
  const inner = b.sub(b.mul(lo, b.f64(0.5)), b.mul(v, poly64(b, z, SIN)));
  return b.sub(hi, b.sub(b.sub(b.mul(z, inner), lo), b.mul(v, b.f64(S1))));
}

/** cos(hi + lo), |hi| <= pi/4. */
function cosCore<E>(b: MathBuilder<E>, { hi, lo }: Pair<E>): E {
  const z = b.mul(hi, hi);
  const r = b.mul(z, poly64(b, z, COS));
  const half = b.mul(z, b.f64(0.5));
  const w = b.sub(b.f64(1), half);
  const lost = b.sub(b.sub(b.f64(1), w), half);
  return b.add(w, b.add(lost, b.sub(b.mul(z, r), b.mul(hi, lo))));
}

function isOdd<E>(b: MathBuilder<E>, quadrant: E): E {
  return b.leq(b.land(quadrant, b.i64(1n)), b.i64(1n));
}

/** `finish` of the reduced x, by the reduction that its size asks for. */
function withReduced<E>(b: MathBuilder<E>, x: E, bias: number, finish: (reduced: Reduced<E>) => E): E {
  const far = b.gt(b.abs(x), b.f64(LARGEST));
  return b.rarely(far, finish(reduceMedium(b, x, bias)), () => finish(reduceHuge(b, x, bias)));
}

/** sin of (quadrant pi/2 + r). */
function sinOfQuadrant<E>(b: MathBuilder<E>, { quadrant, r }: Reduced<E>): E {
  const value = b.select(isOdd(b, quadrant), cosCore(b, r), sinCore(b, r));
  return flipSign64(b, value, b.lshl(b.lshrU(quadrant, 1), 63));
}

/** sin(x). 56 operations, 515 more rarely; 0.8 ulp. */
export function sin64<E>(b: MathBuilder<E>, x: E): E {
  return withReduced(b, x, 0, (reduced) => sinOfQuadrant(b, reduced));
}

/** cos(x) = sin(x + pi/2): a quadrant further on. 56 operations, 515 more rarely; 0.8 ulp. */
export function cos64<E>(b: MathBuilder<E>, x: E): E {
  return withReduced(b, x, 1, (reduced) => sinOfQuadrant(b, reduced));
}

/**
 * tan(x) = sin(r)/cos(r), or -cos(r)/sin(r) in odd quadrants. 56 operations, 1 of them a division or root, 515 more
 * rarely; 2.1 ulp.
 */
export function tan64<E>(b: MathBuilder<E>, x: E): E {
  return withReduced(b, x, 0, ({ quadrant, r }) => {
    const odd = isOdd(b, quadrant);
    const [s, c] = [sinCore(b, r), cosCore(b, r)];
    return b.div(b.select(odd, b.neg(c), s), b.select(odd, s, c));
  });
}
