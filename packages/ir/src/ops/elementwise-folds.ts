/**
 * Folds of elementwise ops. A rule without `fast` returns the same bits for every input, NaN and -0 included (a NaN may
 * change its payload); integers wrap, so integer algebra is free. Folding of ops on constants only is the builder's.
 */
import type { Emitter, FoldRule } from "../define-op.ts";
import { type DType, isFloat, isInteger } from "../dtype.ts";
import { cast, dtypeOf, expandScalar, filled, rankOf, shapeOf } from "../emit.ts";
import type { Value } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";
import { type ScalarOpName, scalarOps } from "../scalar-ops.ts";
import { constantNumber, uniformOf, widen } from "./rules.ts";

type Rule = FoldRule<Record<never, never>>;

const resultShape = (operands: readonly Value[]): readonly Dim[] =>
  shapeOf(operands.find((x) => rankOf(x) > 0) ?? operands[0]!);

/** Repeated scalars become rank-0 operands, so that rules and kernels see them as such. */
const narrowUniform = (name: ScalarOpName): Rule => ({
  name: "uniform operands",
  apply(b, operands) {
    const uniform = operands.map((x) => uniformOf(b, x));
    if (uniform.every((x) => x === undefined)) return undefined;
    const narrow = operands.map((x, i) => uniform[i] ?? x);
    const result = b.emit(name, narrow);
    return narrow.some((x) => rankOf(x) > 0) ? result : expandScalar(b, result, resultShape(operands));
  },
});

type Matcher = (b: Emitter, args: readonly Value[], shape: readonly Dim[]) => Value | undefined;

const rule = (name: string, match: Matcher, fast = false): Rule => ({
  name,
  fast,
  apply: (b, operands) => match(b, operands, resultShape(operands)),
});

/** Operand of a unary op that made `x`. */
const made = (b: Emitter, op: ScalarOpName, x: Value): Value | undefined => {
  const definition = b.definition(x);
  return definition?.op === op ? definition.operands[0] : undefined;
};

/** `op(x, c) -> then` for constants with one value throughout; on both sides where the op commutes. */
function withConstant(
  name: string,
  op: ScalarOpName,
  test: (c: number, dtype: DType) => boolean,
  then: (b: Emitter, x: Value, shape: readonly Dim[], c: number) => Value,
  fast = false,
): Rule {
  const sides = scalarOps[op].commutative ? [1, 0] : [1];
  return rule(
    name,
    (b, args, shape) => {
      for (const side of sides) {
        const c = constantNumber(b, args[side]!);
        if (c !== undefined && test(c, dtypeOf(args[side]!))) return then(b, args[1 - side]!, shape, c);
      }
      return undefined;
    },
    fast,
  );
}
const isPlusZero = (c: number): boolean => Object.is(c, 0);
const isMinusZero = (c: number): boolean => Object.is(c, -0);
const keep = (b: Emitter, x: Value, shape: readonly Dim[]): Value => widen(b, x, shape);
const negate = (b: Emitter, x: Value, shape: readonly Dim[]): Value => widen(b, b.emit("neg", [x]), shape);
const zero = (b: Emitter, x: Value, shape: readonly Dim[]): Value => filled(b, dtypeOf(x), shape, 0);

const involution = (op: ScalarOpName): Rule => rule(`${op} of ${op}`, (b, [x]) => made(b, op, x!));
const idempotent = (op: ScalarOpName): Rule =>
  rule(`${op} of ${op}`, (b, [x]) => (made(b, op, x!) === undefined ? undefined : x!));
const bothSame = (op: string, then: Matcher, fast = false): Rule =>
  rule(`${op} of equal operands`, (b, args, shape) => (args[0] === args[1] ? then(b, args, shape) : undefined), fast);

/** (x op c) op d -> x op (c op d); exact for integers only. */
const reassociate = (op: "add" | "mul", fast: boolean): Rule =>
  rule(
    `reassociate ${op}`,
    (b, args, shape) => {
      if (!fast && !isInteger(dtypeOf(args[0]!))) return undefined;
      for (const side of [1, 0]) {
        const inner = b.definition(args[1 - side]!);
        if (constantNumber(b, args[side]!) === undefined || inner?.op !== op) continue;
        for (const at of [1, 0])
          if (constantNumber(b, inner.operands[at]!) !== undefined)
            return widen(
              b,
              b.emit(op, [inner.operands[1 - at]!, b.emit(op, [inner.operands[at]!, args[side]!])]),
              shape,
            );
      }
      return undefined;
    },
    fast,
  );

/** Whether x / c and x * (1 / c) are the same rounding of the same number. */
function exactReciprocal(c: number, dtype: DType): boolean {
  if (!isFloat(dtype) || !Number.isFinite(c) || c === 0) return false;
  const exponent = Math.log2(Math.abs(c));
  return (
    Number.isInteger(exponent) && 2 ** exponent === Math.abs(c) && Math.abs(exponent) <= (dtype === "f32" ? 126 : 1022)
  );
}

const ofNegation = (op: ScalarOpName, flip: ScalarOpName): Rule =>
  rule(`${op} of a negation`, (b, [x, y], shape) => {
    const inner = made(b, "neg", y!);
    return inner === undefined ? undefined : widen(b, b.emit(flip, [x!, inner]), shape);
  });

const allOnes = (c: number, d: DType): boolean => (d === "bool" ? c === 1 : d === "u32" ? c === 4294967295 : c === -1);

const table: Partial<Record<ScalarOpName, readonly Rule[]>> = {
  neg: [
    involution("neg"),
    // The sign of a product is exact, and a gradient's minus disappears into the scale of a mean.
    rule("neg of a scaled value", (b, [x], shape) => {
      const inner = b.definition(x!);
      const factor = inner?.op === "mul" ? constantNumber(b, inner.operands[1]!) : undefined;
      if (inner === undefined || factor === undefined) return undefined;
      return widen(b, b.emit("mul", [inner.operands[0]!, b.scalar(dtypeOf(x!), -factor)]), shape);
    }),
  ],
  not: [involution("not")],
  abs: [
    idempotent("abs"),
    rule("abs of neg", (b, [x]) => (dtypeOf(x!) === "u32" ? undefined : mapMade(b, "neg", x!, "abs"))),
  ],
  sign: [idempotent("sign")],
  relu: [idempotent("relu")],
  floor: [idempotent("floor")],
  ceil: [idempotent("ceil")],
  trunc: [idempotent("trunc")],
  round: [idempotent("round")],
  reciprocal: [rule("reciprocal of sqrt", (b, [x]) => mapMade(b, "sqrt", x!, "rsqrt"), true)],
  add: [
    // x + -0 is x for every x; x + 0 turns -0 into 0.
    withConstant("add zero", "add", (c, d) => (isFloat(d) ? isMinusZero(c) : c === 0), keep),
    withConstant("add zero", "add", isPlusZero, keep, true),
    ofNegation("add", "sub"),
    reassociate("add", false),
    reassociate("add", true),
  ],
  sub: [
    withConstant("subtract zero", "sub", isPlusZero, keep),
    withConstant("subtract zero", "sub", isMinusZero, keep, true),
    rule("subtract from zero", (b, [x, y], shape) => {
      const c = constantNumber(b, x!);
      const exact = c !== undefined && (isFloat(dtypeOf(x!)) ? isMinusZero(c) : c === 0);
      return exact ? negate(b, y!, shape) : undefined;
    }),
    ofNegation("sub", "add"),
    bothSame("sub", (b, [x], shape) => (isInteger(dtypeOf(x!)) ? zero(b, x!, shape) : undefined)),
    bothSame("sub", (b, [x], shape) => zero(b, x!, shape), true),
  ],
  mul: [
    withConstant("multiply by one", "mul", (c) => c === 1, keep),
    withConstant("multiply by minus one", "mul", (c) => c === -1, negate),
    withConstant("multiply by zero", "mul", (c, d) => isInteger(d) && c === 0, zero),
    withConstant("multiply by zero", "mul", (c) => c === 0, zero, true),
    rule("product of negations", (b, [x, y], shape) => {
      const [p, q] = [made(b, "neg", x!), made(b, "neg", y!)];
      return p === undefined || q === undefined ? undefined : widen(b, b.emit("mul", [p, q]), shape);
    }),
    reassociate("mul", false),
    reassociate("mul", true),
  ],
  div: [
    withConstant("divide by one", "div", (c) => c === 1, keep),
    withConstant("divide by minus one", "div", (c, d) => c === -1 && d !== "u32", negate),
    withConstant("divide by a power of two", "div", exactReciprocal, (b, x, shape, c) =>
      widen(b, b.emit("mul", [x, b.scalar(dtypeOf(x), 1 / c)]), shape),
    ),
    withConstant(
      "divide by a constant",
      "div",
      (c, d) => isFloat(d) && c !== 0 && Number.isFinite(1 / c),
      (b, x, shape, c) => widen(b, b.emit("mul", [x, b.scalar(dtypeOf(x), 1 / c)]), shape),
      true,
    ),
  ],
  // The rewritten forms are within the accuracy promised for pow, and closer.
  pow: [
    withConstant(
      "power 0",
      "pow",
      (c) => c === 0,
      (b, x, shape) => filled(b, dtypeOf(x), shape, 1),
    ),
    withConstant("power 1", "pow", (c) => c === 1, keep),
    withConstant(
      "power 2",
      "pow",
      (c) => c === 2,
      (b, x, shape) => widen(b, b.emit("mul", [x, x]), shape),
    ),
    withConstant(
      "power 3",
      "pow",
      (c) => c === 3,
      (b, x, shape) => widen(b, b.emit("mul", [b.emit("mul", [x, x]), x]), shape),
    ),
    withConstant(
      "power -1",
      "pow",
      (c) => c === -1,
      (b, x, shape) => widen(b, b.emit("reciprocal", [x]), shape),
    ),
    withConstant(
      "power 1/2",
      "pow",
      (c) => c === 0.5,
      (b, x, shape) => widen(b, b.emit("sqrt", [x]), shape),
      true,
    ),
  ],
  max: [bothSame("max", (_, [x]) => x), withConstant("max with the least", "max", isLeast, keep)],
  min: [bothSame("min", (_, [x]) => x), withConstant("min with the greatest", "min", isGreatest, keep)],
  and: [
    bothSame("and", (_, [x]) => x),
    withConstant("and all", "and", allOnes, keep),
    withConstant("and none", "and", (c) => c === 0, zero),
  ],
  or: [
    bothSame("or", (_, [x]) => x),
    withConstant("or none", "or", (c) => c === 0, keep),
    withConstant("or all", "or", allOnes, (b, x, shape, c) => filled(b, dtypeOf(x), shape, c)),
  ],
  xor: [
    bothSame("xor", (b, [x], shape) => zero(b, x!, shape)),
    withConstant("xor none", "xor", (c) => c === 0, keep),
    withConstant("xor all", "xor", allOnes, (b, x, shape) => widen(b, b.emit("not", [x]), shape)),
  ],
  shl: [withConstant("shift by zero", "shl", (c) => (c & 31) === 0, keep)],
  shr: [withConstant("shift by zero", "shr", (c) => (c & 31) === 0, keep)],
  eq: [bothSame("eq", (b, [x], shape) => (isFloat(dtypeOf(x!)) ? undefined : filled(b, "bool", shape, 1)))],
  ne: [bothSame("ne", (b, [x], shape) => (isFloat(dtypeOf(x!)) ? undefined : filled(b, "bool", shape, 0)))],
  select: [
    rule("known condition", (b, [c, x, y], shape) => {
      const known = constantNumber(b, c!);
      return known === undefined ? undefined : widen(b, known ? x! : y!, shape);
    }),
    rule("equal arms", (b, [, x, y], shape) => (x === y ? widen(b, x!, shape) : undefined)),
    rule("negated condition", (b, [c, x, y]) => {
      const inner = made(b, "not", c!);
      return inner === undefined ? undefined : b.emit("select", [inner, y!, x!]);
    }),
  ],
};

function isLeast(c: number, d: DType): boolean {
  return isFloat(d) ? c === -Infinity : c === (d === "u32" ? 0 : -2147483648);
}
function isGreatest(c: number, d: DType): boolean {
  return isFloat(d) ? c === Infinity : c === (d === "u32" ? 4294967295 : 2147483647);
}
/** `outer(y)` where `x` is `inner(y)`. */
function mapMade(b: Emitter, inner: ScalarOpName, x: Value, outer: ScalarOpName): Value | undefined {
  const y = made(b, inner, x);
  return y === undefined ? undefined : b.emit(outer, [y]);
}

/** The rules of a row, shared ones first. */
export function elementwiseFolds(name: ScalarOpName): readonly Rule[] {
  return [narrowUniform(name), ...(table[name] ?? [])];
}

type CastAttrs = { readonly dtype: DType };

/** Whether going through `middle` on the way to `to` gives what a direct cast gives. */
function passesThrough(from: DType, middle: DType, to: DType): boolean {
  if (from === "bool") return true;
  // Integers wrap into each other but saturate from floats, so integer, float, other integer must stay.
  const exact = (from === "f32" || isInteger(from)) && middle === "f64";
  if (exact) return isFloat(from) || to === from || !isInteger(to);
  return isInteger(from) && isInteger(middle) && (isInteger(to) || to === "bool");
}

export const castFolds: readonly FoldRule<CastAttrs>[] = [
  { name: "same dtype", apply: (_, [x], { dtype }) => (dtypeOf(x!) === dtype ? x : undefined) },
  {
    name: "cast of cast",
    apply(b, [x], { dtype }) {
      const inner = b.definition(x!);
      const source = inner?.op === "cast" ? inner.operands[0]! : undefined;
      if (source === undefined || !passesThrough(dtypeOf(source), dtypeOf(x!), dtype)) return undefined;
      return cast(b, source, dtype);
    },
  },
  {
    name: "uniform operand",
    apply(b, [x], { dtype }) {
      const scalar = uniformOf(b, x!);
      return scalar === undefined ? undefined : expandScalar(b, cast(b, scalar, dtype), shapeOf(x!));
    },
  },
];

export const bitcastFolds: readonly FoldRule<CastAttrs>[] = [
  { name: "same dtype", apply: (_, [x], { dtype }) => (dtypeOf(x!) === dtype ? x : undefined) },
  {
    name: "bitcast of bitcast",
    apply(b, [x], { dtype }) {
      const inner = b.definition(x!);
      return inner?.op === "bitcast" ? b.emit("bitcast", inner.operands, { dtype }) : undefined;
    },
  },
];
