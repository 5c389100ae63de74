/** Element types of tensors, their storage, and the promotion lattice. Holds no shapes and no operations. */

/** Element type of a tensor. `bool` is stored as one byte, 0 or 1. */
export type DType = "f32" | "f64" | "i32" | "u32" | "bool";

/** Types a scalar may have inside a kernel: the element types, and `i64`, which only f64 bit manipulation needs. */
export type ScalarType = DType | "i64";

export type TypedArray = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

export const dtypes: readonly DType[] = ["f32", "f64", "i32", "u32", "bool"];

const bytes: Record<ScalarType, number> = { f32: 4, f64: 8, i32: 4, u32: 4, bool: 1, i64: 8 };

/** Bytes that one element takes in memory. */
export function bytesOf(dtype: ScalarType): number {
  return bytes[dtype];
}

export function isFloat(dtype: ScalarType): boolean {
  return dtype === "f32" || dtype === "f64";
}

export function isInteger(dtype: ScalarType): boolean {
  return dtype === "i32" || dtype === "u32" || dtype === "i64";
}

export function isDType(name: string): name is DType {
  return (dtypes as readonly string[]).includes(name);
}

/** A new zeroed array of `length` elements. */
export function allocate(dtype: DType, length: number): TypedArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(length);
    case "f64":
      return new Float64Array(length);
    case "i32":
      return new Int32Array(length);
    case "u32":
      return new Uint32Array(length);
    case "bool":
      return new Uint8Array(length);
    default:
      return dtype satisfies never;
  }
}

/** The dtype a typed array holds when nothing else is said; `Uint8Array` is bool storage. */
export function dtypeOfArray(array: TypedArray): DType {
  if (array instanceof Float32Array) return "f32";
  if (array instanceof Float64Array) return "f64";
  if (array instanceof Int32Array) return "i32";
  if (array instanceof Uint32Array) return "u32";
  return "bool";
}

/**
 * Rounds to f16 (IEEE 754 binary16), of equally near values to the even one; from 65520 on to an infinity.
 */
export function roundToHalf(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  // Eleven bits, of which subnormal numbers have the lowest at 2^-24.
  const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value))), -14) - 10);
  const steps = value / step;
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below) * step;
  return Math.abs(rounded) > 65504 ? Math.sign(value) * Number.POSITIVE_INFINITY : rounded;
}

/** Rounds a JavaScript number to a value that `dtype` can hold: wraps integers, rounds f32, makes bool 0 or 1. */
export function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "f64":
      return value;
    case "i32":
      return value | 0;
    case "u32":
      return value >>> 0;
    case "bool":
      return value ? 1 : 0;
    default:
      return dtype satisfies never;
  }
}

const rank: Record<DType, number> = { bool: 0, i32: 1, u32: 2, f32: 3, f64: 4 };

/**
 * The dtype of a binary operation on two strongly typed operands (JAX's lattice restricted to these dtypes, with
 * i32 and u32 meeting at i32's successor u32 replaced by i32: bool < i32 < f32 < f64, and i32 with u32 gives i32).
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if ((a === "i32" && b === "u32") || (a === "u32" && b === "i32")) return "i32";
  return rank[a] > rank[b] ? a : b;
}
