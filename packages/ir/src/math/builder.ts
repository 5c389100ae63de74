/**
 * The operations that the transcendental functions of this folder are written in, and small helpers on top of them.
 * This file holds no function of its own: it is the contract between the functions and a backend.
 *
 * The functions are "tagless final": each is a plain function over a `MathBuilder<E>`, where `E` is whatever a backend
 * calls an expression (a vector in Loop IR, a number while folding constants, a string of source text). They are
 * straight-line code, so all lanes of a vector take the same path.
 */

/**
 * Machine-level scalar operations that every backend has. An `E` is an expression of one scalar type (f32, f64, i32,
 * i64) or a mask (bool); the builder knows which, and the operands of one operation always agree. Each operation is one
 * instruction of WebAssembly SIMD, or a few; an operation on f64 or i64 is two of them for four lanes.
 *
 * Casts between a float and its bits cost nothing. `select` with a zero constant as one arm is a single `and`/`andnot`.
 * A backend emits each expression object once, however often it is used, and must neither reassociate float operations
 * nor assume that there are no NaNs.
 */
export interface MathBuilder<E> {
  // Constants.
  f32(value: number): E;
  f64(value: number): E;
  i32(value: number): E;
  i64(value: bigint): E;

  // Float; the operands have the same float type, and so has the result.
  add(a: E, b: E): E;
  sub(a: E, b: E): E;
  mul(a: E, b: E): E;
  div(a: E, b: E): E;
  /** `b < a ? b : a`, so `pmin(x, constant)` is NaN where x is. One instruction, unlike IEEE minimum. */
  pmin(a: E, b: E): E;
  /** `a < b ? b : a`, so `pmax(x, constant)` is NaN where x is. */
  pmax(a: E, b: E): E;
  neg(a: E): E;
  abs(a: E): E;
  sqrt(a: E): E;
  floor(a: E): E;
  trunc(a: E): E;
  /** Round to the nearest integer, ties to even. */
  nearest(a: E): E;
  /** `a * b + c`, with one rounding or with two: the functions are right either way (`relaxed_madd`, or mul and add). */
  fma(a: E, b: E, c: E): E;

  // i32, wrapping; shifts by a constant.
  iadd(a: E, b: E): E;
  isub(a: E, b: E): E;
  iand(a: E, b: E): E;
  ior(a: E, b: E): E;
  ixor(a: E, b: E): E;
  ishl(a: E, bits: number): E;
  ishrU(a: E, bits: number): E;
  ishrS(a: E, bits: number): E;

  // i64, wrapping; shifts by a constant (there is no arithmetic one: SSE and AVX2 lack it).
  ladd(a: E, b: E): E;
  lsub(a: E, b: E): E;
  land(a: E, b: E): E;
  lor(a: E, b: E): E;
  lxor(a: E, b: E): E;
  lshl(a: E, bits: number): E;
  lshrU(a: E, bits: number): E;

  // Comparisons to masks. A mask is as wide as what was compared.
  lt(a: E, b: E): E;
  le(a: E, b: E): E;
  gt(a: E, b: E): E;
  ge(a: E, b: E): E;
  eq(a: E, b: E): E;
  ne(a: E, b: E): E;
  ilt(a: E, b: E): E;
  igt(a: E, b: E): E;
  ieq(a: E, b: E): E;
  /** Unsigned `a >= b` on i32. */
  igeU(a: E, b: E): E;
  leq(a: E, b: E): E;

  // Masks. `and`, `or` and `select` take masks and operands of one width only.
  and(a: E, b: E): E;
  or(a: E, b: E): E;
  not(a: E): E;
  select(mask: E, a: E, b: E): E;

  // Conversions.
  /** Signed i32 to f32, rounded to nearest. */
  i32ToF32(a: E): E;
  /** f32 to f64, exact. */
  promote(a: E): E;
  /** f64 to f32, rounded to nearest. */
  demote(a: E): E;
  bitsF32(a: E): E;
  fromBitsF32(a: E): E;
  bitsF64(a: E): E;
  fromBitsF64(a: E): E;

  /**
   * `fast` where `mask` is unset and `slow()` where it is set; `slow` is built once and evaluated only when some lane's
   * mask is set (a branch on any-lane). All three have one width. May be nested.
   */
  rarely(mask: E, fast: E, slow: () => E): E;
}

/** A function of one argument, written once for all backends. */
export type Unary = <E>(b: MathBuilder<E>, x: E) => E;

/** A function of two arguments, written once for all backends. */
export type Binary = <E>(b: MathBuilder<E>, x: E, y: E) => E;

/** The polynomial with the given f32 coefficients, highest power first, by Horner's rule: n coefficients, n - 1 fma. */
export function poly32<E>(b: MathBuilder<E>, x: E, coefficients: readonly number[]): E {
  const [first = 0, ...rest] = coefficients;
  return rest.reduce((sum, c) => b.fma(sum, x, b.f32(c)), b.f32(first));
}

/** The polynomial with the given f64 coefficients, highest power first, by Horner's rule: n coefficients, n - 1 fma. */
export function poly64<E>(b: MathBuilder<E>, x: E, coefficients: readonly number[]): E {
  const [first = 0, ...rest] = coefficients;
  return rest.reduce((sum, c) => b.fma(sum, x, b.f64(c)), b.f64(first));
}

/** The sign bit of an f32, as i32 bits. */
export function signBit32<E>(b: MathBuilder<E>, x: E): E {
  return b.iand(b.bitsF32(x), b.i32(-0x80000000));
}

/** Flips the sign of an f32 where the i32 `sign` has its top bit set; `sign` has no other bits. */
export function flipSign32<E>(b: MathBuilder<E>, x: E, sign: E): E {
  return b.fromBitsF32(b.ixor(b.bitsF32(x), sign));
}

/** `magnitude`, whose sign bit is clear, with the sign of `x`. Two operations. */
export function withSign32<E>(b: MathBuilder<E>, magnitude: E, x: E): E {
  return b.fromBitsF32(b.ior(b.bitsF32(magnitude), signBit32(b, x)));
}

/** The sign bit of an f64, as i64 bits. */
export function signBit64<E>(b: MathBuilder<E>, x: E): E {
  return b.land(b.bitsF64(x), b.i64(-0x8000000000000000n));
}

/** Flips the sign of an f64 where the i64 `sign` has its top bit set; `sign` has no other bits. */
export function flipSign64<E>(b: MathBuilder<E>, x: E, sign: E): E {
  return b.fromBitsF64(b.lxor(b.bitsF64(x), sign));
}

/** `magnitude`, whose sign bit is clear, with the sign of `x`. Two operations. */
export function withSign64<E>(b: MathBuilder<E>, magnitude: E, x: E): E {
  return b.fromBitsF64(b.lor(b.bitsF64(magnitude), signBit64(b, x)));
}
