/** Running folds along an axis: cumulative sums, products, maxima and minima. */
import { type DerivativeContext, defineOp, demandsAll, type Emitter, noBounds, type OpDef } from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import {
  add,
  type CumulateOp,
  cumulate,
  dtypeOf,
  filled,
  gather,
  greater,
  iota,
  less,
  mul,
  range,
  rankOf,
  reverse,
  scatter,
  select,
  shapeOf,
  shift,
  zerosLike,
} from "../emit.ts";
import type { Value } from "../graph.ts";
import { combineIdentity } from "../nest/combine.ts";
import { staticDim } from "../nest/index-algebra.ts";
import { scalarApply, scalarConst } from "../nest/scalar-expr.ts";
import { scalarOps } from "../scalar-ops.ts";
import { eachIndex, element, hostOf, offsetOf } from "./host.ts";
import { checkAxis, checkName, describeType, fail, mapMaybe, tensors } from "./rules.ts";
import { numericDType, plain } from "./sampling.ts";

export type CumulateAttrs = {
  readonly op: CumulateOp;
  readonly axis: number;
  readonly reverse: boolean;
  readonly exclusive: boolean;
};
type Context = DerivativeContext<CumulateAttrs>;

/**
 * y_i = u_i + a_i * y_{i-1}, by doubling the span that each element covers: log2(n) steps of elementwise work, and no
 * division, so zeros among the factors are harmless.
 */
function linearRecurrence(b: Emitter, a: Value, u: Value, axis: number): Value {
  const size = staticDim(shapeOf(u)[axis]!);
  const zero = b.scalar(dtypeOf(u), 0);
  for (let span = 1; span < size; span *= 2) {
    u = add(b, u, mul(b, a, shift(b, u, axis, span, zero)));
    if (span * 2 < size) a = mul(b, a, shift(b, a, axis, span, zero));
  }
  return u;
}

/** Position of the element that each running maximum or minimum (inclusive, forward) comes from; the first of equals. */
function attainedAt(b: Emitter, x: Value, op: "max" | "min", axis: number): Value {
  const before = cumulate(b, op, x, axis, { exclusive: true });
  const better = op === "max" ? greater(b, x, before) : less(b, x, before);
  const positions = iota(b, "i32", shapeOf(x), axis);
  return cumulate(b, "max", select(b, better, positions, b.scalar("i32", 0)), axis);
}

/** Index tensors that stay in place along every axis but one, where they are `positions`. */
const along = (b: Emitter, x: Value, axis: number, positions: Value): Value[] =>
  range(rankOf(x)).map((i) => (i === axis ? positions : iota(b, "i32", shapeOf(x), i)));

/** Cotangent of x for an inclusive, forward fold. */
function vjpForward(b: Emitter, op: CumulateOp, x: Value, ct: Value, axis: number): Value {
  if (op === "add") return cumulate(b, "add", ct, axis, { reverse: true });
  if (op === "mul") {
    // What x_j is multiplied with: everything before it, and the rest of each product that it is part of.
    const before = cumulate(b, "mul", x, axis, { exclusive: true });
    const next = reverse(b, shift(b, x, axis, -1, b.scalar(dtypeOf(x), 0)), [axis]);
    return mul(b, before, reverse(b, linearRecurrence(b, next, reverse(b, ct, [axis]), axis), [axis]));
  }
  const places = along(b, x, axis, attainedAt(b, x, op, axis));
  return scatter(b, "add", zerosLike(b, x), ct, range(rankOf(x)), places);
}

/** Tangent of an inclusive, forward fold. */
function jvpForward(b: Emitter, op: CumulateOp, x: Value, t: Value, axis: number): Value {
  if (op === "add") return cumulate(b, "add", t, axis);
  if (op === "mul") return linearRecurrence(b, x, mul(b, t, cumulate(b, "mul", x, axis, { exclusive: true })), axis);
  return gather(b, t, range(rankOf(x)), along(b, x, axis, attainedAt(b, x, op, axis)));
}

function vjp(b: Emitter, ct: Value, { operands, attrs }: Context): Value {
  const { op, axis, exclusive } = attrs;
  const turn = (y: Value): Value => (attrs.reverse ? reverse(b, y, [axis]) : y);
  const forward = turn(ct);
  // An exclusive fold is the inclusive one a step later.
  const inclusive = exclusive ? shift(b, forward, axis, -1, b.scalar(dtypeOf(ct), 0)) : forward;
  return turn(vjpForward(b, op, turn(operands[0]!), inclusive, axis));
}

function jvp(b: Emitter, t: Value, { operands, attrs }: Context): Value {
  const { op, axis, exclusive } = attrs;
  if (op === "add") return cumulate(b, op, t, axis, attrs);
  const turn = (y: Value): Value => (attrs.reverse ? reverse(b, y, [axis]) : y);
  const inclusive = jvpForward(b, op, turn(operands[0]!), turn(t), axis);
  return turn(exclusive ? shift(b, inclusive, axis, 1, b.scalar(dtypeOf(t), 0)) : inclusive);
}

const cumulateOp = defineOp<CumulateAttrs>({
  name: "cumulate",
  doc: "Running add, mul, max or min along an axis: element i folds elements up to i (before i where exclusive, from the end where reverse).",
  attrs: { op: "name", axis: "int", reverse: "bool", exclusive: "bool" },
  groups: [],
  effect: false,
  cost: () => 2,
  type(operands, { op, axis }) {
    const [x] = tensors("cumulate", operands, 1);
    checkName("cumulate", op, ["add", "mul", "max", "min"]);
    checkAxis("cumulate", axis, x!);
    if (x!.dtype === "bool") fail("cumulate", `${op} does not work on ${describeType(x!)}`);
    return [x!];
  },
  // Carries in float64 and rounds each element once.
  eval([x], { op, axis, reverse: backwards, exclusive }, [type]) {
    const { dtype, shape } = x!;
    const size = shape[axis]!;
    const totals = new Float64Array(x!.data.length);
    const sums = new Float64Array(x!.data.length / Math.max(1, size)).fill(combineIdentity(op, dtype));
    const lines = shape.map((n, i) => (i === axis ? Math.min(1, n) : n));
    for (let step = 0; step < size; step++) {
      const at = backwards ? size - 1 - step : step;
      eachIndex(lines, (line, lineOffset) => {
        const index = line.map((k, i) => (i === axis ? at : k));
        const before = sums[lineOffset]!;
        const sum = scalarOps[op].eval(dtype, before, element(x!, index));
        sums[lineOffset] = isFloat(dtype) ? sum : roundTo(dtype, sum);
        totals[offsetOf(shape, index)] = exclusive ? before : sums[lineOffset]!;
      });
    }
    return [hostOf(type!, (_, offset) => totals[offset]!)];
  },
  fold: [
    {
      name: "axis of one element",
      apply(b, [x], { op, axis, exclusive }) {
        if (shapeOf(x!)[axis] !== 1) return undefined;
        return exclusive ? filled(b, dtypeOf(x!), shapeOf(x!), combineIdentity(op, dtypeOf(x!))) : x;
      },
    },
  ],
  derivative: {
    kind: "custom",
    vjp: (b, [ct], ctx) => [mapMaybe(ct, (c) => vjp(b, c, ctx))],
    jvp: (b, [t], ctx) => [mapMaybe(t, (v) => jvp(b, v, ctx))],
  },
  batch: (b, { operands, attrs }) => [b.emit("cumulate", operands, { ...attrs, axis: attrs.axis + 1 })],
  nest: {
    kind: "cumulate",
    axis: ({ attrs }) => attrs.axis,
    reverse: ({ attrs }) => attrs.reverse,
    step({ attrs: { op, exclusive }, operands }, index, carry, read) {
      const { dtype } = operands[0]!;
      const next = scalarApply(op, [carry(0), read(0, index)]);
      const init = scalarConst(dtype, combineIdentity(op, dtype));
      return { carries: [{ dtype, init, next }], value: exclusive ? carry(0) : next };
    },
  },
  ulp: 1,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const op = rng.pick<CumulateOp>(["add", "mul", "max", "min"]);
    const dtype = numericDType(rng);
    const shape = rng.shape(1, 4);
    const extra = isFloat(dtype) ? { distinct: true, ...(op === "mul" ? { lo: 0.5, hi: 1.5 } : {}) } : {};
    return {
      operands: [plain(dtype, shape, extra)],
      attrs: { op, axis: rng.int(0, shape.length - 1), reverse: rng.bool(), exclusive: rng.bool() },
    };
  },
});

export const cumulateOps: readonly OpDef[] = [cumulateOp];
