/** Ops that fold axes away: reduce and argReduce. Sums and products may reassociate; the reference rounds once at the end. */
import {
  type DerivativeContext,
  defineOp,
  demandsAll,
  type Emitter,
  type HostTensor,
  type MaybeValue,
  noBounds,
  type OpDef,
} from "../define-op.ts";
import { type DType, isFloat, roundTo } from "../dtype.ts";
import {
  add,
  broadcastTo,
  cast,
  cumulate,
  div,
  dtypeOf,
  equal,
  expandAxes,
  filled,
  mul,
  otherAxes,
  type ReduceOp,
  range,
  rankOf,
  reduce,
  reduceSum,
  reshape,
  select,
  shapeOf,
  transpose,
  zerosLike,
} from "../emit.ts";
import { type TensorType, tensorType, type Value } from "../graph.ts";
import { combineIdentity, replacesBest } from "../nest/combine.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import { sizeOf, staticDim, toIndex } from "../nest/index-algebra.ts";
import { scalarApply, scalarConst, scalarIndex } from "../nest/scalar-expr.ts";
import { scalarOps } from "../scalar-ops.ts";
import { eachIndex, element, hostOf, product } from "./host.ts";
import { invertPermutation } from "./movement.ts";
import {
  behindBatch,
  checkAscending,
  checkAxes,
  checkAxis,
  checkName,
  describeType,
  fail,
  mapMaybe,
  tensors,
} from "./rules.ts";
import { numericDType, plain, someAxes } from "./sampling.ts";

export type ReduceAttrs = { readonly op: ReduceOp; readonly axes: readonly number[] };

const without = <T>(list: readonly T[], axes: readonly number[]): T[] => list.filter((_, i) => !axes.includes(i));

/** The operand's index from the kept axes' and the reduced axes' indices. */
function mergeIndex<T>(rank: number, axes: readonly number[], kept: readonly T[], reduced: readonly T[]): T[] {
  const others = otherAxes(rank, axes);
  return range(rank).map((i) => (axes.includes(i) ? reduced[axes.indexOf(i)]! : kept[others.indexOf(i)]!));
}

const sizeHint = (dims: readonly Dim[]): number => toIndex(sizeOf(dims)).hi;

function acceptsDType(op: ReduceOp, dtype: DType): boolean {
  return op === "and" || op === "or" ? !isFloat(dtype) : dtype !== "bool";
}

/**
 * A float maximum or minimum of several elements that is zero is +0, whatever zeros it met: so backends need not order
 * zeros of different signs, which costs more than the comparison itself, and yet agree bit for bit.
 */
export function normalisesZero(op: ReduceOp, dtype: DType, folded: readonly Dim[]): boolean {
  return (op === "max" || op === "min") && isFloat(dtype) && folded.some((size) => size !== 1);
}

/** Folds the elements at all positions of `axes`, in float64 for floats and wrapping for integers. */
function reduceHost(x: HostTensor, { op, axes }: ReduceAttrs, type: TensorType): HostTensor {
  const row = scalarOps[op];
  const folded = axes.map((axis) => x.shape[axis]!);
  const zeros = axes.map(() => 0);
  return hostOf(type, (kept) => {
    // One element folds to itself, -0 too, so that the fold rules for such axes keep their bits.
    if (product(folded) === 1) return element(x, mergeIndex(x.shape.length, axes, kept, zeros));
    let total = combineIdentity(op, x.dtype);
    eachIndex(folded, (at) => {
      const next = row.eval(x.dtype, total, element(x, mergeIndex(x.shape.length, axes, kept, at)));
      total = isFloat(x.dtype) ? next : roundTo(x.dtype, next);
    });
    return normalisesZero(op, x.dtype, folded) ? total + 0 : total;
  });
}

/** d product / d element, right where elements are zero: the product of all the others, from both sides. */
function productPartials(b: Emitter, x: Value, axes: readonly number[]): Value {
  const others = otherAxes(rankOf(x), axes);
  const perm = [...others, ...axes];
  const moved = transpose(b, x, perm);
  const kept = others.map((axis) => shapeOf(x)[axis]!);
  const flat = reshape(b, moved, [...kept, sizeOf(axes.map((axis) => shapeOf(x)[axis]!))]);
  const before = cumulate(b, "mul", flat, kept.length, { exclusive: true });
  const after = cumulate(b, "mul", flat, kept.length, { exclusive: true, reverse: true });
  return transpose(b, reshape(b, mul(b, before, after), shapeOf(moved)), invertPermutation(perm));
}

/** Where the extreme is attained, and the share of each such element (ties share equally). */
function extremeShares(
  b: Emitter,
  { operands, results, attrs }: DerivativeContext<ReduceAttrs>,
): { hit: Value; count: Value } {
  const x = operands[0]!;
  const hit = equal(b, x, expandAxes(b, results[0]!, shapeOf(x), attrs.axes));
  return { hit, count: reduceSum(b, cast(b, hit, dtypeOf(x)), attrs.axes) };
}

function reduceVjp(b: Emitter, ct: Value, ctx: DerivativeContext<ReduceAttrs>): MaybeValue {
  const { op, axes } = ctx.attrs;
  const x = ctx.operands[0]!;
  const expand = (y: Value): Value => expandAxes(b, y, shapeOf(x), axes);
  if (op === "add") return expand(ct);
  if (op === "mul") return mul(b, expand(ct), productPartials(b, x, axes));
  if (op === "and" || op === "or") return null;
  const { hit, count } = extremeShares(b, ctx);
  return select(b, hit, expand(div(b, ct, count)), b.scalar(dtypeOf(x), 0));
}

function reduceJvp(b: Emitter, t: Value, ctx: DerivativeContext<ReduceAttrs>): MaybeValue {
  const { op, axes } = ctx.attrs;
  if (op === "add") return reduceSum(b, t, axes);
  if (op === "mul") return reduceSum(b, mul(b, t, productPartials(b, ctx.operands[0]!, axes)), axes);
  if (op === "and" || op === "or") return null;
  const { hit, count } = extremeShares(b, ctx);
  return div(b, reduceSum(b, select(b, hit, t, b.scalar(dtypeOf(t), 0)), axes), count);
}

const reduceOp = defineOp<ReduceAttrs>({
  name: "reduce",
  doc: "Folds the given axes away with add, mul, max, min, and or or; the result has the other axes.",
  attrs: { op: "name", axes: "ints" },
  groups: [],
  effect: false,
  cost: ({ attrs, operands }) => sizeHint(attrs.axes.map((axis) => operands[0]!.shape[axis]!)),
  type(operands, { op, axes }) {
    const [x] = tensors("reduce", operands, 1);
    checkName("reduce", op, ["add", "mul", "max", "min", "and", "or"]);
    checkAxes("reduce", axes, x!);
    checkAscending("reduce", axes, "axes");
    if (!acceptsDType(op, x!.dtype)) fail("reduce", `${op} does not work on ${describeType(x!)}`);
    return [tensorType(x!.dtype, without(x!.shape, axes))];
  },
  eval: ([x], attrs, [type]) => [reduceHost(x!, attrs, type!)],
  fold: [
    { name: "no axes", apply: (_, [x], { axes }) => (axes.length === 0 ? x : undefined) },
    {
      name: "axes of one element",
      apply(b, [x], { op, axes }) {
        const shape = shapeOf(x!);
        const single = axes.filter((axis) => shape[axis] === 1);
        if (single.length === 0) return undefined;
        const rest = axes
          .filter((axis) => shape[axis] !== 1)
          .map((axis) => axis - single.filter((s) => s < axis).length);
        const squeezed = reshape(b, x!, without(shape, single));
        return rest.length === 0 ? squeezed : reduce(b, op, squeezed, rest);
      },
    },
    {
      // Reductions may reassociate: n times x is the sum of n equal numbers, with fewer roundings.
      name: "repeated elements",
      apply(b, [x], { op, axes }) {
        const inner = b.definition(x!);
        if (inner?.op !== "broadcast" || op === "mul") return undefined;
        const { dims } = inner.attrs as { readonly dims: readonly number[] };
        const sizes = axes.map((axis) => shapeOf(x!)[axis]!);
        if (axes.some((axis) => dims.includes(axis)) || !sizes.every((n) => typeof n === "number" && n > 0))
          return undefined;
        const source = inner.operands[0]!;
        const count = product(sizes.map(staticDim));
        const zero = normalisesZero(op, dtypeOf(source), sizes);
        const scalar = (value: number): Value => b.scalar(dtypeOf(source), value);
        const folded = op === "add" ? mul(b, source, scalar(count)) : zero ? add(b, source, scalar(0)) : source;
        const left = (axis: number): number => axis - axes.filter((a) => a < axis).length;
        return broadcastTo(b, folded, without(shapeOf(x!), axes), dims.map(left));
      },
    },
  ],
  derivative: {
    kind: "custom",
    vjp: (b, [ct], ctx) => [mapMaybe(ct, (c) => reduceVjp(b, c, ctx) ?? zerosLike(b, ctx.operands[0]!))],
    jvp: (b, [t], ctx) => [mapMaybe(t, (v) => reduceJvp(b, v, ctx) ?? zerosLike(b, ctx.results[0]!))],
  },
  batch: (b, { operands, attrs }) => [reduce(b, attrs.op, operands[0]!, behindBatch(attrs.axes))],
  nest: {
    kind: "reduce",
    red: ({ attrs, operands }) => attrs.axes.map((axis) => operands[0]!.shape[axis]!),
    accumulators({ attrs, operands }, par, red, read) {
      const { dtype, shape } = operands[0]!;
      return [
        { combine: attrs.op, dtype, values: [read(0, mergeIndex<IndexExpr>(shape.length, attrs.axes, par, red))] },
      ];
    },
    value({ attrs, operands }, acc) {
      const { dtype, shape } = operands[0]!;
      const folded = attrs.axes.map((axis) => shape[axis]!);
      const result = acc(0, 0);
      return normalisesZero(attrs.op, dtype, folded) ? scalarApply("add", [result, scalarConst(dtype, 0)]) : result;
    },
  },
  ulp: 1,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const op = rng.pick<ReduceOp>(["add", "add", "mul", "max", "min", "and", "or"]);
    const dtype = op === "and" || op === "or" ? rng.pick<DType>(["bool", "i32", "u32"]) : numericDType(rng);
    const shape = rng.shape(0, 4);
    const range = op === "mul" && isFloat(dtype) ? { lo: 0.5, hi: 1.5 } : {};
    const distinct = (op === "max" || op === "min") && isFloat(dtype);
    return {
      operands: [plain(dtype, shape, { ...range, ...(distinct ? { distinct } : {}) })],
      attrs: { op, axes: someAxes(rng, shape.length) },
    };
  },
});

export type ArgReduceAttrs = { readonly op: "max" | "min"; readonly axis: number };

const argReduceOp = defineOp<ArgReduceAttrs>({
  name: "argReduce",
  doc: "Position (i32) of the largest or smallest element along an axis; the first one wins, and NaN wins over numbers.",
  attrs: { op: "name", axis: "int" },
  groups: [],
  effect: false,
  cost: ({ attrs, operands }) => 2 * sizeHint([operands[0]!.shape[attrs.axis]!]),
  type(operands, { op, axis }) {
    const [x] = tensors("argReduce", operands, 1);
    checkName("argReduce", op, ["max", "min"]);
    checkAxis("argReduce", axis, x!);
    if (x!.dtype === "bool") fail("argReduce", `takes numbers, got ${describeType(x!)}`);
    if (x!.shape[axis] === 0) fail("argReduce", `axis ${axis} of ${describeType(x!)} has no elements`);
    return [tensorType("i32", without(x!.shape, [axis]))];
  },
  eval: ([x], { op, axis }, [type]) => [
    hostOf(type!, (kept) => {
      const at = (k: number): number => element(x!, mergeIndex(x!.shape.length, [axis], kept, [k]));
      let best = 0;
      for (let k = 1; k < x!.shape[axis]!; k++)
        if (replacesBest(op === "max" ? "argMax" : "argMin", at(k), at(best))) best = k;
      return best;
    }),
  ],
  fold: [
    {
      name: "axis of one element",
      apply: (b, [x], { axis }) =>
        shapeOf(x!)[axis] === 1 ? filled(b, "i32", without(shapeOf(x!), [axis]), 0) : undefined,
    },
  ],
  derivative: { kind: "none", reason: "a position is piecewise constant" },
  batch: (b, { operands, attrs }) => [b.emit("argReduce", operands, { op: attrs.op, axis: attrs.axis + 1 })],
  nest: {
    kind: "reduce",
    red: ({ attrs, operands }) => [operands[0]!.shape[attrs.axis]!],
    accumulators({ attrs, operands }, par, red, read) {
      const { dtype, shape } = operands[0]!;
      const value = read(0, mergeIndex<IndexExpr>(shape.length, [attrs.axis], par, red));
      return [{ combine: attrs.op === "max" ? "argMax" : "argMin", dtype, values: [value, scalarIndex(red[0]!)] }];
    },
    value: (_, acc) => acc(0, 1),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const dtype = numericDType(rng);
    const shape = rng.shape(1, 4);
    const distinct = isFloat(dtype) && rng.bool() ? { distinct: true } : {};
    return {
      operands: [plain(dtype, shape, distinct)],
      attrs: { op: rng.pick<"max" | "min">(["max", "min"]), axis: rng.int(0, shape.length - 1) },
    };
  },
});

export const reduceOps: readonly OpDef[] = [reduceOp, argReduceOp];
