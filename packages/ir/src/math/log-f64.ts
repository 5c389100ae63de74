/**
 * Logarithms in f64: log, log2, log1p. Formulas and coefficients of fdlibm (e_log.c, s_log1p.c) and FreeBSD msun
 * (e_log2.c), rearranged without branches.
 */
import { type MathBuilder, poly64 } from "./builder.ts";
import type { Pair } from "./reduce.ts";

const LN2_HI = 0.6931471803691238;
const LN2_LO = 1.9082149292705877e-10;
const LOG2E_HI = 1.4426950407214463;
const LOG2E_LO = 1.6751713164886512e-10;
const SQRT_HALF_BITS = 0x3fe6a09e667f3bcdn;
const ONE_BITS = 0x3ff0000000000000n;
const MANTISSA_MASK = 0xfffffffffffffn;
const TWO52 = 2 ** 52;

/** Lp7 to Lp1: log((1+s)/(1-s)) = 2s + s R(s^2), |s| <= 0.1716. */
const LOG = [
  0.14798198605116586, 0.15313837699209373, 0.1818357216161805, 0.22222198432149784, 0.2857142874366239,
  0.3999999999940942, 0.6666666666666735,
];

/** x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive normal x; k is an integer in f64, less `shift`. */
export function splitExponent64<E>(b: MathBuilder<E>, x: E, shift: number): { k: E; f: E } {
  const bits = b.ladd(b.bitsF64(x), b.i64(ONE_BITS - SQRT_HALF_BITS));
  const biased = b.fromBitsF64(b.lor(b.lshrU(bits, 52), b.i64(0x4330000000000000n)));
  const mantissa = b.fromBitsF64(b.ladd(b.land(bits, b.i64(MANTISSA_MASK)), b.i64(SQRT_HALF_BITS)));
  return { k: b.sub(biased, b.f64(TWO52 + 1023 + shift)), f: b.sub(mantissa, b.f64(1)) };
}

/** log(1+f) = f - (f^2/2 - rest), as f^2/2 and rest. */
function series<E>(b: MathBuilder<E>, f: E): { hfsq: E; rest: E } {
  const s = b.div(f, b.add(b.f64(2), f));
  const z = b.mul(s, s);
  const hfsq = b.mul(b.mul(f, b.f64(0.5)), f);
  return { hfsq, rest: b.mul(s, b.fma(z, poly64(b, z, LOG), hfsq)) };
}

/** k ln 2 + log(1+f) + c, for a small c. */
function combine<E>(b: MathBuilder<E>, k: E, f: E, c: E | undefined): E {
  const { hfsq, rest } = series(b, f);
  const low = c === undefined ? b.mul(k, b.f64(LN2_LO)) : b.fma(k, b.f64(LN2_LO), c);
  return b.fma(k, b.f64(LN2_HI), b.sub(f, b.sub(hfsq, b.add(rest, low))));
}

/** `core` of normal positive x, with subnormal and special ones handled. */
function logarithm<E>(b: MathBuilder<E>, x: E, core: (x: E, shift: number) => E): E {
  const normal = b.and(b.ge(x, b.f64(2 ** -1022)), b.lt(x, b.f64(Infinity)));
  return b.rarely(b.not(normal), core(x, 0), () => {
    const positive = b.select(normal, core(x, 0), core(b.mul(x, b.f64(2 ** 54)), 54));
    const edge = b.select(b.eq(x, b.f64(0)), b.f64(-Infinity), b.select(b.lt(x, b.f64(0)), b.f64(NaN), x));
    return b.select(b.and(b.gt(x, b.f64(0)), b.lt(x, b.f64(Infinity))), positive, edge);
  });
}

/** Natural logarithm. 30 operations, 1 of them a division or root, 60 more rarely; 0.8 ulp. */
export function log64<E>(b: MathBuilder<E>, x: E): E {
  return logarithm(b, x, (positive, shift) => {
    const { k, f } = splitExponent64(b, positive, shift);
    return combine(b, k, f, undefined);
  });
}

/** The high 32 bits of an f64 and the rest. */
export function splitWord<E>(b: MathBuilder<E>, x: E): Pair<E> {
  const hi = b.fromBitsF64(b.land(b.bitsF64(x), b.i64(-0x100000000n)));
  return { hi, lo: b.sub(x, hi) };
}

/**
 * Base-2 logarithm, exact at powers of two; log(1+f) and log2(e) as pairs. 40 operations, 1 of them a division or
 * root, 80 more rarely; 0.8 ulp.
 */
export function log2_64<E>(b: MathBuilder<E>, x: E): E {
  return logarithm(b, x, (positive, shift) => {
    const { k, f } = splitExponent64(b, positive, shift);
    const { hfsq, rest } = series(b, f);
    const { hi } = splitWord(b, b.sub(f, hfsq));
    const lo = b.add(b.sub(b.sub(f, hi), hfsq), rest);
    const high = b.mul(hi, b.f64(LOG2E_HI));
    const low = b.fma(b.add(lo, hi), b.f64(LOG2E_LO), b.mul(lo, b.f64(LOG2E_HI)));
    const sum = b.add(k, high);
    return b.add(b.add(low, b.add(b.sub(k, sum), high)), sum);
  });
}

/**
 * log(1 + x): with u = 1 + x rounded, log(u) + c/u where c is what rounding lost. 41 operations, 2 of them divisions
 * or roots, 5 more rarely; 0.9 ulp.
 */
export function log1p64<E>(b: MathBuilder<E>, x: E): E {
  const one = b.f64(1);
  const u = b.add(x, one);
  const lost = b.select(b.ge(u, b.f64(2)), b.sub(one, b.sub(u, x)), b.sub(x, b.sub(u, one)));
  const { k, f } = splitExponent64(b, u, 0);
  const result = combine(b, k, f, b.div(lost, u));
  const small = b.select(b.lt(b.abs(x), b.f64(2 ** -54)), x, result);
  const inside = b.and(b.gt(x, b.f64(-1)), b.lt(x, b.f64(Infinity)));
  return b.rarely(b.not(inside), small, () => {
    const edge = b.select(b.eq(x, b.f64(-1)), b.f64(-Infinity), b.select(b.lt(x, b.f64(-1)), b.f64(NaN), x));
    return b.select(inside, small, edge);
  });
}
