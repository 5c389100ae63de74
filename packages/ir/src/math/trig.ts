/**
 * sin, cos and tan in f32. Reduction by a four-part pi in f32 (Cody and Waite) up to 6000, in f64 up to 2^26, after
 * Payne and Hanek beyond. sin and cos reduce modulo pi, not pi/2: one polynomial then serves every lane.
 */
import { flipSign32, type MathBuilder, poly32, signBit32 } from "./builder.ts";
import { FROM_F32, xOverPi } from "./reduce.ts";

const PI = Math.PI;
/** 1.5 * 2^23, see exp.ts. */
const MAGIC = 12582912;
/** pi in parts of 9, 11, 12 and 24 bits: n times each of the first three is exact for |n| <= 2^12. */
const PI_PARTS = [3.140625, 0.0009675025939941406, 1.5099067240953445e-7, 5.126688303189038e-12];
/** pi in parts of 27, 27 and 53 bits. */
const PI_PARTS64 = [3.141592651605606, 1.9841871479187034e-9, 1.1442377452219664e-17];

/** (sin(r)/r - 1)/r^2 in r^2, |r| <= pi/2, relative to sin: 6e-9; then adjusted so that sin(pi/2) = 1. */
const SIN = [0.000002606315092634759, -0.00019809615332633257, 0.008333065547049046, -0.16666659712791443];
/** (tan(r)/r - 1)/r^2 in r^2, |r| <= pi/4, relative to tan: 1.8e-8. */
const TAN = [
  0.009403222240507603, 0.003091054502874613, 0.024447163566946983, 0.05340687558054924, 0.1333884596824646,
  0.33333155512809753,
];

/** x - n c where c is given in parts. */
function subtractMultiple<E>(b: MathBuilder<E>, x: E, n: E, parts: readonly E[]): E {
  return parts.reduce((rest, part) => b.fma(n, part, rest), x);
}

/** sin(r) for |r| <= pi/2; the last addition turns -0 into 0. */
function sinCore<E>(b: MathBuilder<E>, r: E): E {
  const z = b.mul(r, r);
  return b.fma(b.mul(r, z), poly32(b, z, SIN), r);
}

/** Where the f32 reduction no longer holds. */
function tooLarge<E>(b: MathBuilder<E>, x: E): E {
  return b.gt(b.abs(x), b.f32(6000));
}

/** What `medium` makes of x in f64, or, beyond 2^26, `huge` of x/pi modulo 2, given as a pair: the reduced argument. */
function reduceWide<E>(b: MathBuilder<E>, x: E, medium: (x: E) => E, huge: (hi: E, lo: E) => E): E {
  const wide = b.promote(x);
  const far = b.gt(b.abs(wide), b.f64(2 ** 26));
  const r = b.rarely(far, medium(wide), () => {
    const { hi, lo } = xOverPi(b, wide, FROM_F32);
    return huge(hi, lo);
  });
  return b.demote(r);
}

/** `r`, negated where the integer f64 `n` is odd. */
function negateOdd<E>(b: MathBuilder<E>, r: E, n: E): E {
  const even = b.eq(b.mul(b.nearest(b.mul(n, b.f64(0.5))), b.f64(2)), n);
  return b.select(even, r, b.neg(r));
}

/** sin(x) = (-1)^n sin(x - n pi). 19 operations, 156 more rarely; 2.5 ulp. */
export function sin32<E>(b: MathBuilder<E>, x: E): E {
  const shifted = b.fma(x, b.f32(1 / PI), b.f32(MAGIC));
  const n = b.sub(shifted, b.f32(MAGIC));
  const parts = PI_PARTS.map((part) => b.f32(-part));
  const fast = flipSign32(b, subtractMultiple(b, x, n, parts), b.ishl(b.bitsF32(shifted), 31));
  const medium = (wide: E): E => {
    const whole = b.nearest(b.mul(wide, b.f64(1 / PI)));
    const rest = subtractMultiple(
      b,
      wide,
      whole,
      PI_PARTS64.map((part) => b.f64(-part)),
    );
    return negateOdd(b, rest, whole);
  };
  const huge = (hi: E, lo: E): E => {
    const whole = b.nearest(hi);
    return negateOdd(b, b.mul(b.add(b.sub(hi, whole), lo), b.f64(PI)), whole);
  };
  const r = b.rarely(tooLarge(b, x), fast, () => reduceWide(b, x, medium, huge));
  return b.fromBitsF32(b.ior(b.bitsF32(sinCore(b, r)), signBit32(b, r)));
}

/** cos(x) = (-1)^n sin((n + 1/2) pi - x). 19 operations, 161 more rarely; 2.5 ulp. */
export function cos32<E>(b: MathBuilder<E>, x: E): E {
  // An odd bias makes the low bit that of n + 1.
  const shifted = b.add(b.fma(x, b.f32(1 / PI), b.f32(-0.5)), b.f32(MAGIC + 1));
  const h = b.add(b.sub(shifted, b.f32(MAGIC + 1)), b.f32(0.5));
  const parts = PI_PARTS.map((part) => b.f32(-part));
  const fast = flipSign32(b, subtractMultiple(b, x, h, parts), b.ishl(b.bitsF32(shifted), 31));
  const medium = (wide: E): E => {
    const whole = b.nearest(b.fma(wide, b.f64(1 / PI), b.f64(-0.5)));
    const half = b.add(whole, b.f64(0.5));
    const rest = subtractMultiple(
      b,
      wide,
      half,
      PI_PARTS64.map((part) => b.f64(-part)),
    );
    return b.neg(negateOdd(b, rest, whole));
  };
  const huge = (hi: E, lo: E): E => {
    const whole = b.nearest(b.sub(hi, b.f64(0.5)));
    const rest = b.add(b.sub(hi, b.add(whole, b.f64(0.5))), lo);
    return b.neg(negateOdd(b, b.mul(rest, b.f64(PI)), whole));
  };
  const r = b.rarely(tooLarge(b, x), fast, () => reduceWide(b, x, medium, huge));
  return sinCore(b, r);
}

/** tan(r), or -1/tan(r) where `odd`, for |r| <= pi/4. */
function tanCore<E>(b: MathBuilder<E>, r: E, odd: E): E {
  const z = b.mul(r, r);
  const t = b.fma(b.mul(r, z), poly32(b, z, TAN), r);
  return b.select(odd, b.div(b.f32(-1), t), t);
}

/**
 * tan(x): r = x - n pi/2, then tan(r), or -1/tan(r) where n is odd. 21 operations, 1 of them a division or root, 171
 * more rarely; 3.5 ulp.
 */
export function tan32<E>(b: MathBuilder<E>, x: E): E {
  const shifted = b.fma(x, b.f32(2 / PI), b.f32(MAGIC));
  const n = b.sub(shifted, b.f32(MAGIC));
  const r = subtractMultiple(
    b,
    x,
    n,
    PI_PARTS.map((part) => b.f32(-part / 2)),
  );
  const fast = tanCore(b, r, b.ilt(b.ishl(b.bitsF32(shifted), 31), b.i32(0)));
  // The slow path has one result, so where n is odd it scales r, 2^-40 < |r| < 1, to above 1.
  const pack = (rest: E, whole: E): E => {
    const even = b.eq(b.mul(b.nearest(b.mul(whole, b.f64(0.5))), b.f64(2)), whole);
    return b.select(even, rest, b.mul(rest, b.f64(2 ** 64)));
  };
  return b.rarely(tooLarge(b, x), fast, () => {
    const packed = reduceWide(
      b,
      x,
      (wide) => {
        const whole = b.nearest(b.mul(wide, b.f64(2 / PI)));
        return pack(
          subtractMultiple(
            b,
            wide,
            whole,
            PI_PARTS64.map((part) => b.f64(-part / 2)),
          ),
          whole,
        );
      },
      (hi, lo) => {
        const whole = b.nearest(b.add(hi, hi));
        const rest = b.add(b.fma(whole, b.f64(-0.5), hi), lo);
        return pack(b.mul(rest, b.f64(PI)), whole);
      },
    );
    const odd = b.gt(b.abs(packed), b.f32(1));
    return tanCore(b, b.select(odd, b.mul(packed, b.f32(2 ** -64)), packed), odd);
  });
}
