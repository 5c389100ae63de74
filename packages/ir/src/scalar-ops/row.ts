/** What a row of the scalar-op table is, and the type rules and value ranges that rows share. */
import { type DType, isFloat } from "../dtype.ts";

/** Every name of the table. */
export type ScalarOpName =
  | "neg"
  | "abs"
  | "sign"
  | "floor"
  | "ceil"
  | "trunc"
  | "round"
  | "sqrt"
  | "rsqrt"
  | "reciprocal"
  | "exp"
  | "expm1"
  | "log"
  | "log1p"
  | "log2"
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
  | "logistic"
  | "relu"
  | "isNaN"
  | "isFinite"
  | "not"
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "rem"
  | "pow"
  | "atan2"
  | "max"
  | "min"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "eq"
  | "ne"
  | "lt"
  | "le"
  | "gt"
  | "ge"
  | "select"
  | "fma";

/** Elementwise algebra that derivative rules are written in, whatever a value is. */
export interface ScalarAlgebra<V> {
  op(name: ScalarOpName, ...args: V[]): V;
  /** A constant of the operand's dtype. */
  constant(value: number): V;
}

export interface ScalarOp {
  readonly arity: number;
  /** Result dtype, or undefined where the operand dtypes do not fit. */
  readonly type: (args: readonly DType[]) => DType | undefined;
  /** In float64; the caller rounds to the result's dtype. `dtype` is the first operand's. */
  readonly eval: (dtype: DType, ...args: number[]) => number;
  /** d result / d operand by operand (null: zero everywhere). Undefined: not differentiable (integers, comparisons). */
  readonly partials?: <V>(e: ScalarAlgebra<V>, args: readonly V[], result: V) => readonly (V | null)[];
  /** Work relative to one multiplication. */
  readonly cost: number;
  /** Accuracy promised between backends, ulp of an f32 result. */
  readonly ulp: number;
  readonly commutative?: boolean;
  /** Operand range for the samplers, and points to keep away from in gradient checks. */
  readonly domain: { readonly lo: number; readonly hi: number; readonly away?: readonly number[] };
  readonly doc: string;
}

export type TypeRule = ScalarOp["type"];
export const same =
  (ok: (d: DType) => boolean): TypeRule =>
  (args) =>
    args.every((d) => d === args[0]) && args[0] !== undefined && ok(args[0]) ? args[0] : undefined;
export const numeric = same((d) => d !== "bool");
export const float = same(isFloat);
export const bits = same((d) => d === "bool" || d === "i32" || d === "u32");
export const integers = same((d) => d === "i32" || d === "u32");
export const any = same(() => true);
export const toBool =
  (rule: TypeRule): TypeRule =>
  (args) =>
    rule(args) === undefined ? undefined : "bool";
export const selectType: TypeRule = (args) => (args[0] === "bool" && args[1] === args[2] ? args[1] : undefined);

export const wide = { lo: -4, hi: 4 };
export const kinked = { lo: -4, hi: 4, away: [0] };
export const positive = { lo: 0.1, hi: 6 };
export const unit = { lo: -0.95, hi: 0.95 };

export const isUnsigned = (d: DType): boolean => d === "u32";
/** Integer results wrap; f32 sums and products of f32 values are exact enough in float64 to round once. */
export const arithmetic =
  (float64: (x: number, y: number) => number, integer: (x: number, y: number) => number) =>
  (d: DType, x: number, y: number): number =>
    isFloat(d) ? float64(x, y) : integer(x, y);
