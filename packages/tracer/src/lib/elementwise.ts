/** Elementwise array functions: each is a row of the scalar-op table, or a few of them. */
import { isFloat } from "@sinter/ir";
import { DTypeError } from "../errors.ts";
import {
  type Arg,
  broadcastArgs,
  cast,
  describe,
  elementwise,
  emit,
  sub as less,
  like,
  make,
  neg as minus,
  add as plus,
  promoteArgs,
  select,
  mul as times,
  toArg,
  toFloat,
  toRef,
} from "../kit.ts";
import type { Ref } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

type Unary = (x: TensorLike) => Tensor;
type Binary = (a: TensorLike, b: TensorLike) => Tensor;

/** Floats stay what they are, integers and bools become f32. */
function floatUnary(name: string, op: string = name): Unary {
  const self: Unary = (x) => make(name, self, () => emit(op, [toFloat(toRef(name, "x", x))]));
  return self;
}

/** Any number type; bool is an error. */
function numericUnary(name: string, op: string = name): Unary {
  const self: Unary = (x) =>
    make(name, self, () => {
      const ref = toRef(name, "x", x);
      return emit(op, [ref.dtype === "bool" ? cast(ref, "i32") : ref]);
    });
  return self;
}

/** Integers are whole already: they stay as they are. */
function rounding(name: string): Unary {
  const self: Unary = (x) =>
    make(name, self, () => {
      const ref = toRef(name, "x", x);
      return isFloat(ref.dtype) ? emit(name, [ref]) : ref.dtype === "bool" ? cast(ref, "i32") : ref;
    });
  return self;
}

function binary(name: string, op: string = name, float = false): Binary {
  const self: Binary = (a, b) =>
    make(name, self, () => {
      const args = [toArg(name, "a", a), toArg(name, "b", b)];
      const refs = promoteArgs(args, float);
      const numeric = refs[0]!.dtype === "bool" && !booleanOps.has(op) ? refs.map((r) => cast(r, "i32")) : refs;
      return emit(op, broadcastArgs(name, ["a", "b"], numeric));
    });
  return self;
}
const booleanOps = new Set(["eq", "ne"]);

/** a + b */
export const add: Binary = binary("add");
/** a - b */
export const sub: Binary = binary("sub");
/** a * b, element by element */
export const mul: Binary = binary("mul");
/** a / b; integers are divided as f32 */
export const div: Binary = binary("div", "div", true);
/** The larger; NaN wins */
export const maximum: Binary = binary("maximum", "max");
/** The smaller; NaN wins */
export const minimum: Binary = binary("minimum", "min");
/** Angle of the point (b, a) from the first axis */
export const atan2: Binary = binary("atan2", "atan2", true);
/** a == b, as bool */
export const eq: Binary = binary("eq");
/** a != b, as bool */
export const ne: Binary = binary("ne");
/** a < b, as bool */
export const lt: Binary = binary("lt");
/** a <= b, as bool */
export const le: Binary = binary("le");
/** a > b, as bool */
export const gt: Binary = binary("gt");
/** a >= b, as bool */
export const ge: Binary = binary("ge");

/** Remainder with the sign of b, as NumPy: `mod(-1, 3)` is 2. Integer `mod(x, 0)` is 0. */
export function mod(a: TensorLike, b: TensorLike): Tensor {
  return make("mod", mod, () => {
    const refs = promoteArgs([toArg("mod", "a", a), toArg("mod", "b", b)]);
    const numeric = refs[0]!.dtype === "bool" ? refs.map((r) => cast(r, "i32")) : refs;
    const [x, y] = broadcastArgs("mod", ["a", "b"], numeric) as [Ref, Ref];
    const rest = emit("rem", [x, y]);
    if (rest.dtype === "u32") return rest;
    const zero = like(rest, 0);
    const wrong = emit("and", [
      emit("ne", [rest, zero]),
      emit("ne", [emit("lt", [rest, zero]), emit("lt", [y, zero])]),
    ]);
    return select(wrong, plus(rest, y), rest);
  });
}

const integerPowers = 16;

/** a to the power b. A whole JavaScript number up to 16 is repeated multiplication (integers stay integers); else f32. */
export function pow(a: TensorLike, b: TensorLike): Tensor {
  return make("pow", pow, () => {
    const [x, y] = [toArg("pow", "a", a), toArg("pow", "b", b)];
    if (typeof y === "number" && typeof x !== "number" && Number.isInteger(y) && Math.abs(y) <= integerPowers) {
      const base = x.dtype === "bool" ? cast(x, "i32") : x;
      if (y >= 0) return wholePower(base, y);
      return emit("reciprocal", [wholePower(toFloat(base), -y)]);
    }
    return elementwise("pow", "pow", [x, y], true);
  });
}

function wholePower(base: Ref, exponent: number): Ref {
  if (exponent === 0) return emit("broadcast", [like(base, 1)], { shape: base.shape, dims: [] });
  let out: Ref | undefined;
  let square = base;
  for (let n = exponent; ; square = times(square, square)) {
    if (n % 2 === 1) out = out === undefined ? square : times(out, square);
    n = Math.floor(n / 2);
    if (n === 0) return out!;
  }
}

/** -x */
export const neg: Unary = numericUnary("neg");
/** |x| */
export const abs: Unary = numericUnary("abs");
/** -1, 0 or 1 */
export const sign: Unary = numericUnary("sign");
export const floor: Unary = rounding("floor");
export const ceil: Unary = rounding("ceil");
export const trunc: Unary = rounding("trunc");
/** To the nearest integer, halves to even */
export const round: Unary = rounding("round");
export const sqrt: Unary = floatUnary("sqrt");
/** 1 / sqrt(x) */
export const rsqrt: Unary = floatUnary("rsqrt");
/** 1 / x */
export const reciprocal: Unary = floatUnary("reciprocal");
export const exp: Unary = floatUnary("exp");
/** exp(x) - 1, accurate near 0 */
export const expm1: Unary = floatUnary("expm1");
export const log: Unary = floatUnary("log");
/** log(1 + x), accurate near 0 */
export const log1p: Unary = floatUnary("log1p");
export const log2: Unary = floatUnary("log2");
export const sin: Unary = floatUnary("sin");
export const cos: Unary = floatUnary("cos");
export const tan: Unary = floatUnary("tan");
export const asin: Unary = floatUnary("asin");
export const acos: Unary = floatUnary("acos");
export const atan: Unary = floatUnary("atan");
export const sinh: Unary = floatUnary("sinh");
export const cosh: Unary = floatUnary("cosh");
export const tanh: Unary = floatUnary("tanh");
/** The error function */
export const erf: Unary = floatUnary("erf");
/** 1 / (1 + exp(-x)) */
export const sigmoid: Unary = floatUnary("sigmoid", "logistic");
/** max(x, 0) */
export const relu: Unary = numericUnary("relu");
const nan: Unary = floatUnary("isNaN");
const finite: Unary = floatUnary("isFinite");

// Under names of their own here: the globals of these names are other functions.
export { finite as isFinite, nan as isNaN };

/** x * x */
export function square(x: TensorLike): Tensor {
  return make("square", square, () => {
    const ref = toRef("square", "x", x);
    const number = ref.dtype === "bool" ? cast(ref, "i32") : ref;
    return times(number, number);
  });
}

function logic(name: string, op: string): Binary {
  const self: Binary = (a, b) =>
    make(name, self, () => {
      const refs = [logical(name, "a", a), logical(name, "b", b)];
      const dtype = refs.every((r) => r.dtype === "bool")
        ? "bool"
        : refs.some((r) => r.dtype === "i32")
          ? "i32"
          : "u32";
      return emit(
        op,
        broadcastArgs(
          name,
          ["a", "b"],
          refs.map((r) => cast(r, dtype)),
        ),
      );
    });
  return self;
}

function logical(name: string, argument: string, value: TensorLike): Ref {
  const ref =
    typeof value === "number" && Number.isInteger(value)
      ? like({ dtype: "i32" } as Ref, value)
      : toRef(name, argument, value);
  if (isFloat(ref.dtype))
    throw new DTypeError(
      `${name}: ${argument} must be bool, i32 or u32, not ${describe(ref)}; compare it first, as in x.gt(0)`,
    );
  return ref;
}

/** Both; bit by bit on integers */
export const and: Binary = logic("and", "and");
/** At least one; bit by bit on integers */
export const or: Binary = logic("or", "or");
/** Exactly one; bit by bit on integers */
export const xor: Binary = logic("xor", "xor");
/** The contrary; bit by bit on integers */
export function not(x: TensorLike): Tensor {
  return make("not", not, () => emit("not", [logical("not", "x", x)]));
}

/** a where the condition is true (not zero), else b; all three broadcast. */
export function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  return make("where", where, () => {
    const test = cast(toRef("where", "condition", condition), "bool");
    const [x, y] = promoteArgs([toArg("where", "a", a), toArg("where", "b", b)]) as [Ref, Ref];
    return emit("select", broadcastArgs("where", ["condition", "a", "b"], [test, x, y]));
  });
}

/** x limited to low..high; either may be left out. */
export function clip(x: TensorLike, low?: TensorLike, high?: TensorLike): Tensor {
  return make("clip", clip, () => {
    let out: Arg = toRef("clip", "x", x);
    if (low !== undefined && low !== null)
      out = elementwise("clip", "max", [out, toArg("clip", "low", low)], false, ["x", "low"]);
    if (high !== undefined && high !== null)
      out = elementwise("clip", "min", [out, toArg("clip", "high", high)], false, ["x", "high"]);
    return out as Ref;
  });
}

function float(name: string, x: TensorLike): Ref {
  return toFloat(toRef(name, "x", x));
}

/** log(1 + exp(x)), without overflow */
export function softplus(x: TensorLike): Tensor {
  return make("softplus", softplus, () => {
    const ref = float("softplus", x);
    return plus(emit("max", [ref, like(ref, 0)]), emit("log1p", [emit("exp", [minus(emit("abs", [ref]))])]));
  });
}

/** x where positive, else slope * x */
export function leakyRelu(x: TensorLike, slope = 0.01): Tensor {
  return make("leakyRelu", leakyRelu, () => {
    const ref = float("leakyRelu", x);
    return select(emit("gt", [ref, like(ref, 0)]), ref, times(ref, like(ref, slope)));
  });
}

/** x where positive, else alpha * (exp(x) - 1) */
export function elu(x: TensorLike, alpha = 1): Tensor {
  return make("elu", elu, () => eluOf(float("elu", x), alpha));
}

function eluOf(ref: Ref, alpha: number): Ref {
  const zero = like(ref, 0);
  // The exponential sees no large positive number, so that its derivative stays finite where it is not selected.
  const bent = emit("expm1", [emit("min", [ref, zero])]);
  return select(emit("gt", [ref, zero]), ref, alpha === 1 ? bent : times(bent, like(ref, alpha)));
}

/** Self-normalising elu: 1.0507 * elu(x, 1.6733) */
export function selu(x: TensorLike): Tensor {
  return make("selu", selu, () => {
    const ref = float("selu", x);
    return times(eluOf(ref, 1.6732632423543772), like(ref, 1.0507009873554805));
  });
}

/** x * Phi(x): exact through erf, or by tanh where `approximate` is true. */
export function gelu(x: TensorLike, options: { readonly approximate?: boolean } = {}): Tensor {
  return make("gelu", gelu, () => {
    const ref = float("gelu", x);
    const half = times(ref, like(ref, 0.5));
    if (options.approximate !== true) {
      const bell = emit("erf", [times(ref, like(ref, Math.SQRT1_2))]);
      return times(half, plus(bell, like(ref, 1)));
    }
    const cube = times(times(ref, ref), ref);
    const inner = times(plus(ref, times(cube, like(ref, 0.044715))), like(ref, Math.sqrt(2 / Math.PI)));
    return times(half, plus(emit("tanh", [inner]), like(ref, 1)));
  });
}

/** x * sigmoid(x) */
export function silu(x: TensorLike): Tensor {
  return make("silu", silu, () => {
    const ref = float("silu", x);
    return times(ref, emit("logistic", [ref]));
  });
}

/** Whether |a - b| <= atol + rtol * |b| everywhere; a bool scalar. */
export function allClose(
  a: TensorLike,
  b: TensorLike,
  options: { readonly rtol?: number; readonly atol?: number } = {},
): Tensor {
  return make("allClose", allClose, () => {
    const refs = promoteArgs([toArg("allClose", "a", a), toArg("allClose", "b", b)], true);
    const [x, y] = broadcastArgs("allClose", ["a", "b"], refs) as [Ref, Ref];
    const slack = plus(times(emit("abs", [y]), like(y, options.rtol ?? 1e-5)), like(y, options.atol ?? 1e-8));
    const near = emit("le", [emit("abs", [less(x, y)]), slack]);
    return emit("reduce", [near], { op: "and", axes: near.shape.map((_, i) => i) });
  });
}
