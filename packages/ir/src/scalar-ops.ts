/**
 * The scalar-op table: one row per elementwise operation. Graph elementwise ops, nest payloads, constant folding and
 * derivatives come from it; every backend has a `Record<ScalarOpName, ...>`, so a new row lists what is missing.
 */
import { type DType, isFloat, roundTo } from "./dtype.ts";
import { erf, expm1, log1p, nearestEven } from "./math/reference.ts";

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

type TypeRule = ScalarOp["type"];
const same =
  (ok: (d: DType) => boolean): TypeRule =>
  (args) =>
    args.every((d) => d === args[0]) && args[0] !== undefined && ok(args[0]) ? args[0] : undefined;
const numeric = same((d) => d !== "bool");
const float = same(isFloat);
const bits = same((d) => d === "bool" || d === "i32" || d === "u32");
const integers = same((d) => d === "i32" || d === "u32");
const any = same(() => true);
const toBool =
  (rule: TypeRule): TypeRule =>
  (args) =>
    rule(args) === undefined ? undefined : "bool";
const selectType: TypeRule = (args) => (args[0] === "bool" && args[1] === args[2] ? args[1] : undefined);

const wide = { lo: -4, hi: 4 };
const kinked = { lo: -4, hi: 4, away: [0] };
const positive = { lo: 0.1, hi: 6 };
const unit = { lo: -0.95, hi: 0.95 };

const isUnsigned = (d: DType): boolean => d === "u32";
/** Integer results wrap; f32 sums and products of f32 values are exact enough in float64 to round once. */
const arithmetic =
  (float64: (x: number, y: number) => number, integer: (x: number, y: number) => number) =>
  (d: DType, x: number, y: number): number =>
    isFloat(d) ? float64(x, y) : integer(x, y);

export const scalarOps: Readonly<Record<ScalarOpName, ScalarOp>> = {
  neg: {
    arity: 1,
    type: numeric,
    eval: (d, x) => (isFloat(d) ? -x : 0 - x),
    partials: (e) => [e.constant(-1)],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "-x",
  },
  abs: {
    arity: 1,
    type: numeric,
    eval: (_, x) => Math.abs(x),
    partials: (e, [x]) => [e.op("sign", x!)],
    cost: 1,
    ulp: 0,
    domain: kinked,
    doc: "|x|",
  },
  sign: {
    arity: 1,
    type: numeric,
    eval: (_, x) => Math.sign(x),
    partials: () => [null],
    cost: 2,
    ulp: 0,
    domain: kinked,
    doc: "-1, 0 or 1 (keeps -0 and NaN)",
  },
  floor: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.floor(x),
    partials: () => [null],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "largest integer not above x",
  },
  ceil: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.ceil(x),
    partials: () => [null],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "smallest integer not below x",
  },
  trunc: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.trunc(x),
    partials: () => [null],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "integer part",
  },
  round: {
    arity: 1,
    type: float,
    eval: (_, x) => nearestEven(x),
    partials: () => [null],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "nearest integer, ties to even (IEEE 754 roundToIntegralTiesToEven)",
  },
  sqrt: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.sqrt(x),
    partials: (e, _, y) => [e.op("div", e.constant(0.5), y)],
    cost: 4,
    ulp: 0,
    domain: positive,
    doc: "square root",
  },
  rsqrt: {
    arity: 1,
    type: float,
    eval: (_, x) => 1 / Math.sqrt(x),
    partials: (e, [x], y) => [e.op("div", e.op("mul", e.constant(-0.5), y), x!)],
    cost: 8,
    ulp: 2,
    domain: positive,
    doc: "1 / sqrt(x)",
  },
  reciprocal: {
    arity: 1,
    type: float,
    eval: (_, x) => 1 / x,
    partials: (e, _, y) => [e.op("neg", e.op("mul", y, y))],
    cost: 4,
    ulp: 0,
    domain: positive,
    doc: "1 / x",
  },
  exp: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.exp(x),
    partials: (_, __, y) => [y],
    cost: 12,
    ulp: 4,
    domain: wide,
    doc: "e^x",
  },
  expm1: {
    arity: 1,
    type: float,
    eval: (_, x) => expm1(x),
    partials: (e, _, y) => [e.op("add", y, e.constant(1))],
    cost: 16,
    ulp: 4,
    domain: wide,
    doc: "e^x - 1, accurate near 0",
  },
  log: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.log(x),
    partials: (e, [x]) => [e.op("reciprocal", x!)],
    cost: 14,
    ulp: 4,
    domain: positive,
    doc: "natural logarithm",
  },
  log1p: {
    arity: 1,
    type: float,
    eval: (_, x) => log1p(x),
    partials: (e, [x]) => [e.op("reciprocal", e.op("add", x!, e.constant(1)))],
    cost: 16,
    ulp: 4,
    domain: { lo: -0.8, hi: 4 },
    doc: "log(1 + x), accurate near 0",
  },
  log2: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.log2(x),
    partials: (e, [x]) => [e.op("div", e.constant(Math.LOG2E), x!)],
    cost: 14,
    ulp: 4,
    domain: positive,
    doc: "logarithm to base 2",
  },
  sin: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.sin(x),
    partials: (e, [x]) => [e.op("cos", x!)],
    cost: 18,
    ulp: 4,
    domain: wide,
    doc: "sine (radians)",
  },
  cos: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.cos(x),
    partials: (e, [x]) => [e.op("neg", e.op("sin", x!))],
    cost: 18,
    ulp: 4,
    domain: wide,
    doc: "cosine (radians)",
  },
  tan: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.tan(x),
    partials: (e, _, y) => [e.op("add", e.op("mul", y, y), e.constant(1))],
    cost: 24,
    ulp: 4,
    domain: { lo: -1.2, hi: 1.2 },
    doc: "tangent (radians)",
  },
  asin: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.asin(x),
    partials: (e, [x]) => [e.op("rsqrt", e.op("sub", e.constant(1), e.op("mul", x!, x!)))],
    cost: 16,
    ulp: 4,
    domain: unit,
    doc: "inverse sine",
  },
  acos: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.acos(x),
    partials: (e, [x]) => [e.op("neg", e.op("rsqrt", e.op("sub", e.constant(1), e.op("mul", x!, x!))))],
    cost: 16,
    ulp: 4,
    domain: unit,
    doc: "inverse cosine",
  },
  atan: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.atan(x),
    partials: (e, [x]) => [e.op("reciprocal", e.op("add", e.op("mul", x!, x!), e.constant(1)))],
    cost: 16,
    ulp: 4,
    domain: wide,
    doc: "inverse tangent",
  },
  sinh: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.sinh(x),
    partials: (e, [x]) => [e.op("cosh", x!)],
    cost: 20,
    ulp: 4,
    domain: wide,
    doc: "hyperbolic sine",
  },
  cosh: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.cosh(x),
    partials: (e, [x]) => [e.op("sinh", x!)],
    cost: 20,
    ulp: 4,
    domain: wide,
    doc: "hyperbolic cosine",
  },
  tanh: {
    arity: 1,
    type: float,
    eval: (_, x) => Math.tanh(x),
    partials: (e, _, y) => [e.op("sub", e.constant(1), e.op("mul", y, y))],
    cost: 16,
    ulp: 4,
    domain: wide,
    doc: "hyperbolic tangent",
  },
  erf: {
    arity: 1,
    type: float,
    eval: (_, x) => erf(x),
    partials: (e, [x]) => [
      e.op("mul", e.constant(2 / Math.sqrt(Math.PI)), e.op("exp", e.op("neg", e.op("mul", x!, x!)))),
    ],
    cost: 20,
    ulp: 4,
    domain: wide,
    doc: "error function",
  },
  logistic: {
    arity: 1,
    type: float,
    eval: (_, x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
    partials: (e, _, y) => [e.op("mul", y, e.op("sub", e.constant(1), y))],
    cost: 16,
    ulp: 4,
    domain: wide,
    doc: "1 / (1 + e^-x)",
  },
  relu: {
    arity: 1,
    type: numeric,
    eval: (_, x) => (x > 0 ? x : Number.isNaN(x) ? x : 0),
    partials: (e, _, y) => [e.op("select", e.op("gt", y, e.constant(0)), e.constant(1), e.constant(0))],
    cost: 1,
    ulp: 0,
    domain: kinked,
    doc: "max(x, 0); its derivative at 0 is 0",
  },
  isNaN: {
    arity: 1,
    type: toBool(float),
    eval: (_, x) => +Number.isNaN(x),
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "whether x is not a number",
  },
  isFinite: {
    arity: 1,
    type: toBool(float),
    eval: (_, x) => +Number.isFinite(x),
    cost: 2,
    ulp: 0,
    domain: wide,
    doc: "whether x is neither infinite nor NaN",
  },
  not: {
    arity: 1,
    type: bits,
    eval: (d, x) => (d === "bool" ? +!x : ~x),
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "logical (bool) or bitwise complement",
  },

  add: {
    arity: 2,
    type: numeric,
    eval: (_, x, y) => x + y,
    partials: (e) => [e.constant(1), e.constant(1)],
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "x + y",
  },
  sub: {
    arity: 2,
    type: numeric,
    eval: (_, x, y) => x - y,
    partials: (e) => [e.constant(1), e.constant(-1)],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "x - y",
  },
  mul: {
    arity: 2,
    type: numeric,
    eval: arithmetic((x, y) => x * y, Math.imul),
    partials: (_, [x, y]) => [y!, x!],
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "x * y",
  },
  div: {
    arity: 2,
    type: numeric,
    // Integer division by zero gives 0 and INT_MIN / -1 wraps, on every backend.
    eval: arithmetic(
      (x, y) => x / y,
      (x, y) => (y === 0 ? 0 : Math.trunc(x / y)),
    ),
    partials: (e, [, y], r) => [e.op("reciprocal", y!), e.op("neg", e.op("div", r, y!))],
    cost: 4,
    ulp: 0,
    domain: positive,
    doc: "x / y; integers round towards zero and x / 0 is 0",
  },
  rem: {
    arity: 2,
    type: numeric,
    eval: arithmetic(
      (x, y) => x % y,
      (x, y) => (y === 0 ? 0 : x % y),
    ),
    partials: (e, [x, y]) => [e.constant(1), e.op("neg", e.op("trunc", e.op("div", x!, y!)))],
    cost: 8,
    ulp: 0,
    domain: { lo: 1.1, hi: 1.9 },
    doc: "remainder with the sign of x (C fmod); integers x rem 0 is 0",
  },
  pow: {
    arity: 2,
    type: float,
    eval: (_, x, y) => (x === 1 ? 1 : x === -1 && (y === Infinity || y === -Infinity) ? 1 : x ** y),
    partials: (e, [x, y], r) => [
      e.op("mul", y!, e.op("pow", x!, e.op("sub", y!, e.constant(1)))),
      e.op("select", e.op("gt", x!, e.constant(0)), e.op("mul", r, e.op("log", x!)), e.constant(0)),
    ],
    cost: 40,
    ulp: 4,
    domain: { lo: 0.2, hi: 3 },
    doc: "x^y as C99 pow (pow(1, NaN) is 1)",
  },
  atan2: {
    arity: 2,
    type: float,
    eval: (_, y, x) => Math.atan2(y, x),
    partials: (e, [y, x]) => {
      const norm = e.op("add", e.op("mul", x!, x!), e.op("mul", y!, y!));
      return [e.op("div", x!, norm), e.op("neg", e.op("div", y!, norm))];
    },
    cost: 24,
    ulp: 4,
    domain: positive,
    doc: "angle of the point (x, y) from the x axis; operands in the order y, x",
  },
  // NaN wins, as in IEEE 754-2019 maximum and in wasm. At a tie the derivative goes half to each side.
  max: {
    arity: 2,
    type: numeric,
    eval: (_, x, y) => Math.max(x, y),
    partials: (e, [x, y]) => extremum(e, "gt", x!, y!),
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "larger of x and y",
  },
  min: {
    arity: 2,
    type: numeric,
    eval: (_, x, y) => Math.min(x, y),
    partials: (e, [x, y]) => extremum(e, "lt", x!, y!),
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "smaller of x and y",
  },
  and: {
    arity: 2,
    type: bits,
    eval: (_, x, y) => x & y,
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "logical or bitwise and",
  },
  or: {
    arity: 2,
    type: bits,
    eval: (_, x, y) => x | y,
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "logical or bitwise or",
  },
  xor: {
    arity: 2,
    type: bits,
    eval: (_, x, y) => x ^ y,
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "logical or bitwise exclusive or",
  },
  shl: {
    arity: 2,
    type: integers,
    eval: (_, x, y) => x << y,
    cost: 1,
    ulp: 0,
    domain: { lo: 0, hi: 31 },
    doc: "x shifted left by y mod 32 bits",
  },
  shr: {
    arity: 2,
    type: integers,
    eval: (d, x, y) => (isUnsigned(d) ? x >>> y : x >> y),
    cost: 1,
    ulp: 0,
    domain: { lo: 0, hi: 31 },
    doc: "x shifted right by y mod 32 bits; i32 keeps the sign",
  },
  eq: {
    arity: 2,
    type: toBool(any),
    eval: (_, x, y) => +(x === y),
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "x equals y",
  },
  ne: {
    arity: 2,
    type: toBool(any),
    eval: (_, x, y) => +(x !== y),
    cost: 1,
    ulp: 0,
    commutative: true,
    domain: wide,
    doc: "x differs from y",
  },
  lt: { arity: 2, type: toBool(numeric), eval: (_, x, y) => +(x < y), cost: 1, ulp: 0, domain: wide, doc: "x below y" },
  le: {
    arity: 2,
    type: toBool(numeric),
    eval: (_, x, y) => +(x <= y),
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "x not above y",
  },
  gt: { arity: 2, type: toBool(numeric), eval: (_, x, y) => +(x > y), cost: 1, ulp: 0, domain: wide, doc: "x above y" },
  ge: {
    arity: 2,
    type: toBool(numeric),
    eval: (_, x, y) => +(x >= y),
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "x not below y",
  },

  select: {
    arity: 3,
    type: selectType,
    eval: (_, c, x, y) => (c ? x : y),
    partials: (e, [c]) => [
      null,
      e.op("select", c!, e.constant(1), e.constant(0)),
      e.op("select", c!, e.constant(0), e.constant(1)),
    ],
    cost: 1,
    ulp: 0,
    domain: wide,
    doc: "x where c, else y",
  },
  // Contractions may round once or twice: differential tests allow one rounding of the product.
  fma: {
    arity: 3,
    type: float,
    eval: (_, x, y, z) => x * y + z,
    partials: (e, [x, y]) => [y!, x!, e.constant(1)],
    cost: 1,
    ulp: 2,
    domain: positive,
    doc: "x * y + z, fused where the machine has it",
  },
};

/** The row of a name. */
export function scalarOp(name: ScalarOpName): ScalarOp {
  return scalarOps[name];
}

export function isScalarOp(name: string): name is ScalarOpName {
  return Object.hasOwn(scalarOps, name);
}

export const scalarOpNames = Object.keys(scalarOps) as ScalarOpName[];

/** Evaluates a row and rounds to the result's dtype. */
export function evalScalar(
  name: ScalarOpName,
  args: readonly DType[],
  result: DType,
  values: readonly number[],
): number {
  return roundTo(result, scalarOps[name].eval(args[0] ?? result, ...values));
}

function extremum<V>(e: ScalarAlgebra<V>, wins: "gt" | "lt", x: V, y: V): readonly V[] {
  const half = (a: V, b: V): V =>
    e.op("select", e.op(wins, a, b), e.constant(1), e.op("select", e.op("eq", a, b), e.constant(0.5), e.constant(0)));
  return [half(x, y), half(y, x)];
}
