/**
 * What each operation is in wasm, scalar and vector: a row for every scalar op and machine op, so that a new op without
 * a row is a type error. `f32x4`, `i32x4` ... are one v128; a pair of registers takes the row's form on each half.
 */
import { type LoopExpr, type LoopType, loop, type MachineOp, type ScalarOpName } from "@sinter/ir";
import type { Code, OpCode } from "../asm.ts";
import type { Form, FuncContext, Lower } from "./context.ts";
import { divide, floatRemainder, remainder } from "./divide.ts";

export type Row =
  /** An instruction or a short sequence per form. A vector form that is missing goes lane by lane. */
  | { readonly kind: "forms"; readonly forms: Partial<Record<Form, OpCode | Lower>> }
  /** A shift: vectors shift all lanes alike, so lane by lane unless the amount is the same on all. */
  | { readonly kind: "shift"; readonly forms: Partial<Record<Form, OpCode>> }
  /** Written in other operations, for any number of lanes. */
  | { readonly kind: "expand"; readonly expand: (args: readonly LoopExpr[], type: LoopType) => LoopExpr }
  /** A function of the math library. */
  | { readonly kind: "math" }
  /** Lowered by `expr.ts` itself: the layout of operands and result differ. */
  | { readonly kind: "special" };

const math: Row = { kind: "math" };
const special: Row = { kind: "special" };
const forms = (table: Partial<Record<Form, OpCode | Lower>>): Row => ({ kind: "forms", forms: table });
const expand = (rule: (args: readonly LoopExpr[], type: LoopType) => LoopExpr): Row => ({
  kind: "expand",
  expand: rule,
});

/** `a` where `test(a, b)`, else `b`. */
const pick =
  (test: OpCode, type: "i32" | "f32" | "f64"): Lower =>
  (c, [a, b]) => {
    const [x, y] = [c.temp(a!, type), c.temp(b!, type)];
    return c.asm.select(c.op(test, x(), y()), x(), y());
  };
/** `b` where `test(x, y)`, else `a`: the definition of pmin and pmax. */
const pseudo =
  (test: OpCode, type: "f32" | "f64", swap: boolean): Lower =>
  (c, [a, b]) => {
    const [x, y] = [c.temp(a!, type), c.temp(b!, type)];
    return c.asm.select(swap ? c.op(test, x(), y()) : c.op(test, y(), x()), y(), x());
  };
/** Unsigned comparisons and the like on both kinds of words. */
const words = (scalar: OpCode | Lower, vector?: OpCode | Lower): Row =>
  forms({ i32: scalar, u32: scalar, ...(vector === undefined ? {} : { i32x4: vector, u32x4: vector }) });
const bits = (i32: OpCode, i64: OpCode, v128: OpCode): Row =>
  forms({ bool: i32, i32, u32: i32, i64, mask: v128, i32x4: v128, u32x4: v128, i64x2: v128 });

type Comparison = "Lt" | "Le" | "Gt" | "Ge";
const comparison = (name: Comparison): Row =>
  forms({
    f32: `${name}Float32`,
    f64: `${name}Float64`,
    i32: `${name}SInt32`,
    u32: `${name}UInt32`,
    f32x4: `${name}VecF32x4`,
    f64x2: `${name}VecF64x2`,
    i32x4: `${name}SVecI32x4`,
    u32x4: `${name}UVecI32x4`,
  });
const equality = (name: "Eq" | "Ne"): Row =>
  forms({
    f32: `${name}Float32`,
    f64: `${name}Float64`,
    i32: `${name}Int32`,
    u32: `${name}Int32`,
    bool: `${name}Int32`,
    i64: `${name}Int64`,
    f32x4: `${name}VecF32x4`,
    f64x2: `${name}VecF64x2`,
    i32x4: `${name}VecI32x4`,
    u32x4: `${name}VecI32x4`,
    mask: `${name}VecI32x4`,
    i64x2: `${name}VecI64x2`,
  });
const arithmetic = (name: "Add" | "Sub" | "Mul"): Row =>
  forms({
    f32: `${name}Float32`,
    f64: `${name}Float64`,
    i32: `${name}Int32`,
    u32: `${name}Int32`,
    i64: `${name}Int64`,
    f32x4: `${name}VecF32x4`,
    f64x2: `${name}VecF64x2`,
    i32x4: `${name}VecI32x4`,
    u32x4: `${name}VecI32x4`,
    i64x2: `${name}VecI64x2`,
  });
const floatUnary = (name: "Floor" | "Ceil" | "Trunc" | "Nearest" | "Sqrt"): Row =>
  forms({ f32: `${name}Float32`, f64: `${name}Float64`, f32x4: `${name}VecF32x4`, f64x2: `${name}VecF64x2` });

const minusOne: Lower = (c, [x]) => c.op("XorInt32", x!, c.asm.i32(-1));
const negate: Lower = (c, [x]) => c.op("SubInt32", c.asm.i32(0), x!);
const identity: Lower = (_, [x]) => x!;
const like = (e: LoopExpr, value: number): LoopExpr => loop.constant(e.type.scalar, value, e.type.lanes);

export const rows = {
  neg: forms({
    f32: "NegFloat32",
    f64: "NegFloat64",
    i32: negate,
    u32: negate,
    f32x4: "NegVecF32x4",
    f64x2: "NegVecF64x2",
    i32x4: "NegVecI32x4",
    u32x4: "NegVecI32x4",
  }),
  abs: forms({
    f32: "AbsFloat32",
    f64: "AbsFloat64",
    i32: (c, [x]) => {
      const value = c.temp(x!, "i32");
      const sign = c.temp(c.op("ShrSInt32", value(), c.asm.i32(31)), "i32");
      return c.op("SubInt32", c.op("XorInt32", value(), sign()), sign());
    },
    u32: identity,
    f32x4: "AbsVecF32x4",
    f64x2: "AbsVecF64x2",
    i32x4: "AbsVecI32x4",
    u32x4: identity,
  }),
  sign: expand(([x]) => {
    const [one, zero] = [like(x!, 1), like(x!, 0)];
    if (x!.type.scalar === "u32") return loop.select(loop.op("ne", x!, zero), one, zero);
    return loop.select(loop.op("gt", x!, zero), one, loop.select(loop.lt(x!, zero), like(x!, -1), x!));
  }),
  floor: floatUnary("Floor"),
  ceil: floatUnary("Ceil"),
  trunc: floatUnary("Trunc"),
  round: floatUnary("Nearest"),
  sqrt: floatUnary("Sqrt"),
  rsqrt: expand(([x]) => loop.op("div", like(x!, 1), loop.op("sqrt", x!))),
  reciprocal: expand(([x]) => loop.op("div", like(x!, 1), x!)),
  exp: math,
  expm1: math,
  log: math,
  log1p: math,
  log2: math,
  sin: math,
  cos: math,
  tan: math,
  asin: math,
  acos: math,
  atan: math,
  sinh: math,
  cosh: math,
  tanh: math,
  erf: math,
  logistic: math,
  // Not max: +0 for -0, and V8 needs several instructions for a max that keeps NaN, two for this.
  relu: expand(([x]) => loop.select(loop.op("le", x!, like(x!, 0)), like(x!, 0), x!)),
  isNaN: expand(([x]) => loop.op("ne", x!, x!)),
  isFinite: expand(([x]) => loop.lt(loop.op("abs", x!), like(x!, Infinity))),
  not: forms({
    bool: (c, [x]) => c.asm.unary("EqZInt32", x!),
    i32: minusOne,
    u32: minusOne,
    i64: (c, [x]) => c.op("XorInt64", x!, c.asm.i64(-1n)),
    mask: "NotVec128",
    i32x4: "NotVec128",
    u32x4: "NotVec128",
    i64x2: "NotVec128",
  }),
  add: arithmetic("Add"),
  sub: arithmetic("Sub"),
  mul: arithmetic("Mul"),
  div: forms({
    f32: "DivFloat32",
    f64: "DivFloat64",
    i32: divide(true),
    u32: divide(false),
    f32x4: "DivVecF32x4",
    f64x2: "DivVecF64x2",
  }),
  rem: forms({ f32: floatRemainder("f32"), f64: floatRemainder("f64"), i32: remainder(true), u32: remainder(false) }),
  pow: math,
  atan2: math,
  max: forms({
    f32: "MaxFloat32",
    f64: "MaxFloat64",
    i32: pick("GtSInt32", "i32"),
    u32: pick("GtUInt32", "i32"),
    f32x4: "MaxVecF32x4",
    f64x2: "MaxVecF64x2",
    i32x4: "MaxSVecI32x4",
    u32x4: "MaxUVecI32x4",
  }),
  min: forms({
    f32: "MinFloat32",
    f64: "MinFloat64",
    i32: pick("LtSInt32", "i32"),
    u32: pick("LtUInt32", "i32"),
    f32x4: "MinVecF32x4",
    f64x2: "MinVecF64x2",
    i32x4: "MinSVecI32x4",
    u32x4: "MinUVecI32x4",
  }),
  and: bits("AndInt32", "AndInt64", "AndVec128"),
  or: bits("OrInt32", "OrInt64", "OrVec128"),
  xor: bits("XorInt32", "XorInt64", "XorVec128"),
  shl: {
    kind: "shift",
    forms: {
      i32: "ShlInt32",
      u32: "ShlInt32",
      i64: "ShlInt64",
      i32x4: "ShlVecI32x4",
      u32x4: "ShlVecI32x4",
      i64x2: "ShlVecI64x2",
    },
  },
  shr: {
    kind: "shift",
    forms: { i32: "ShrSInt32", u32: "ShrUInt32", i32x4: "ShrSVecI32x4", u32x4: "ShrUVecI32x4" },
  },
  eq: equality("Eq"),
  ne: equality("Ne"),
  lt: comparison("Lt"),
  le: comparison("Le"),
  gt: comparison("Gt"),
  ge: comparison("Ge"),
  select: special,
  fma: special,

  cast: special,
  bitcast: special,
  rarely: special,
  pmin: forms({
    f32: pseudo("LtFloat32", "f32", false),
    f64: pseudo("LtFloat64", "f64", false),
    f32x4: "PMinVecF32x4",
    f64x2: "PMinVecF64x2",
  }),
  pmax: forms({
    f32: pseudo("LtFloat32", "f32", true),
    f64: pseudo("LtFloat64", "f64", true),
    f32x4: "PMaxVecF32x4",
    f64x2: "PMaxVecF64x2",
  }),
  shrU: {
    kind: "shift",
    forms: {
      i32: "ShrUInt32",
      u32: "ShrUInt32",
      i64: "ShrUInt64",
      i32x4: "ShrUVecI32x4",
      u32x4: "ShrUVecI32x4",
      i64x2: "ShrUVecI64x2",
    },
  },
  ltU: words("LtUInt32", "LtUVecI32x4"),
  geU: words("GeUInt32", "GeUVecI32x4"),
  divU: words("DivUInt32"),
  remU: words("RemUInt32"),
  mulhiU: words(
    (c, [a, b]) => {
      const product = c.op("MulInt64", c.asm.unary("ExtendUInt32", a!), c.asm.unary("ExtendUInt32", b!));
      return c.asm.unary("WrapInt64", c.op("ShrUInt64", product, c.asm.i64(32n)));
    },
    (c, [a, b]) => {
      const [x, y] = [c.temp(a!, "v128"), c.temp(b!, "v128")];
      const low = c.op("ExtMulLowUVecI64x2", x(), y());
      return c.asm.shuffle(low, c.op("ExtMulHighUVecI64x2", x(), y()), [1, 3, 5, 7]);
    },
  ),
} satisfies Record<ScalarOpName | MachineOp, Row>;

/** The form of an op's row that fits its (first) operand; for masks held as pairs, `mask` fits both. */
export function formOf(type: LoopType): Form {
  if (type.lanes === 1) return type.scalar;
  switch (type.scalar) {
    case "bool":
      return "mask";
    case "f32":
      return "f32x4";
    case "i32":
      return "i32x4";
    case "u32":
      return "u32x4";
    case "f64":
      return "f64x2";
    case "i64":
      return "i64x2";
    default:
      return type.scalar satisfies never;
  }
}

/** Applies a form to registers. */
export function applyForm(
  c: FuncContext,
  form: OpCode | Lower,
  args: readonly Code[],
  exprs: readonly LoopExpr[] = [],
): Code {
  if (typeof form === "function") return form(c, args, exprs);
  return args.length === 1 ? c.asm.unary(form, args[0]!) : c.asm.binary(form, args[0]!, args[1]!);
}
