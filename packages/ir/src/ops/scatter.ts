/** Writing at positions that come out of data: the inverse of gather, with a rule for what meets at one place. */
import {
  type DerivativeContext,
  defineOp,
  demandsAll,
  type Emitter,
  type MaybeValue,
  type OpDef,
} from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import {
  broadcastTo,
  cast,
  div,
  dtypeOf,
  equal,
  filled,
  gather,
  iota,
  moveAxis,
  mul,
  range,
  rankOf,
  reshape,
  type ScatterCombine,
  sameShape,
  scatter,
  select,
  shapeOf,
  zerosLike,
} from "../emit.ts";
import { tensorType, type Value } from "../graph.ts";
import { clampedIndex } from "../nest/dyn.ts";
import type { IndexExpr } from "../nest/expr.ts";
import { sizeOf } from "../nest/index-algebra.ts";
import { scalarOps } from "../scalar-ops.ts";
import { batchedIndices, checkIndices, gatheredShape, indexBounds, sampleIndices, sourceIndex } from "./gather.ts";
import { clamp, eachIndex, element, offsetOf } from "./host.ts";
import { behindBatch, checkName, describeShape, describeType, fail, tensors, withBatch } from "./rules.ts";
import { anyDType, numericDType, plain } from "./sampling.ts";

export type ScatterAttrs = { readonly axes: readonly number[]; readonly combine: ScatterCombine };
type Context = DerivativeContext<ScatterAttrs>;
type Pair = readonly [base: MaybeValue, updates: MaybeValue];

const indicesOf = (ctx: Context): readonly Value[] => ctx.operands.slice(2);
/** What lies at the place that each update goes to. */
const at = (b: Emitter, x: Value, ctx: Context): Value => gather(b, x, ctx.attrs.axes, indicesOf(ctx));
const put = (b: Emitter, combine: ScatterCombine, base: Value, updates: Value, ctx: Context): Value =>
  scatter(b, combine, base, updates, ctx.attrs.axes, indicesOf(ctx));
const one = (b: Emitter, x: Value, value: number): Value => b.scalar(dtypeOf(x), value);

/** Which updates survive in a `set`: of those that go to one place, the last. Undefined where there is only one. */
function lastWriters(b: Emitter, ctx: Context): Value | undefined {
  const { axes } = ctx.attrs;
  const [base, updates, first] = ctx.operands;
  const indexShape = shapeOf(first!);
  if (indexShape.length === 0) return undefined;
  const numbers = reshape(b, iota(b, "i32", [sizeOf(indexShape)], 0), indexShape);
  const places = filled(
    b,
    "i32",
    axes.map((axis) => shapeOf(base!)[axis]!),
    -1,
  );
  const writers = scatter(b, "set", places, numbers, range(axes.length), indicesOf(ctx));
  const last = equal(b, gather(b, writers, range(axes.length), indicesOf(ctx)), numbers);
  return broadcastTo(b, last, shapeOf(updates!), range(indexShape.length));
}

/** d result / d update of a product: the product of everything else that meets there, right where factors are zero. */
function otherFactors(b: Emitter, ctx: Context): Value {
  const [base, updates] = [ctx.operands[0]!, ctx.operands[1]!];
  const zero = one(b, updates, 0);
  const isZero = equal(b, updates, zero);
  const zeros = at(b, put(b, "add", zerosLike(b, base), cast(b, isZero, dtypeOf(base)), ctx), ctx);
  const rest = at(b, put(b, "mul", base, select(b, isZero, one(b, updates, 1), updates), ctx), ctx);
  const ifZero = select(b, equal(b, zeros, one(b, updates, 1)), rest, zero);
  return select(b, isZero, ifZero, select(b, equal(b, zeros, zero), div(b, rest, updates), zero));
}

/** Who attains the extreme, and how many do at each place: they share equally. */
function extremeShares(b: Emitter, ctx: Context): { baseHit: Value; updateHit: Value; count: Value } {
  const [base, updates, result] = [ctx.operands[0]!, ctx.operands[1]!, ctx.results[0]!];
  const [baseHit, updateHit] = [equal(b, base, result), equal(b, updates, at(b, result, ctx))];
  return {
    baseHit,
    updateHit,
    count: put(b, "add", cast(b, baseHit, dtypeOf(base)), cast(b, updateHit, dtypeOf(base)), ctx),
  };
}

function scatterVjp(b: Emitter, ct: Value, ctx: Context): Pair {
  const [base, updates] = [ctx.operands[0]!, ctx.operands[1]!];
  const zero = one(b, ct, 0);
  switch (ctx.attrs.combine) {
    case "set": {
      const last = lastWriters(b, ctx);
      const read = at(b, ct, ctx);
      return [put(b, "set", ct, zerosLike(b, updates), ctx), last === undefined ? read : select(b, last, read, zero)];
    }
    case "add":
      return [ct, at(b, ct, ctx)];
    case "mul": {
      const scaled = put(b, "mul", filled(b, dtypeOf(base), shapeOf(base), 1), updates, ctx);
      return [mul(b, ct, scaled), mul(b, at(b, ct, ctx), otherFactors(b, ctx))];
    }
    case "max":
    case "min": {
      const { baseHit, updateHit, count } = extremeShares(b, ctx);
      const share = div(b, ct, count);
      return [select(b, baseHit, share, zero), select(b, updateHit, at(b, share, ctx), zero)];
    }
    default:
      return ctx.attrs.combine satisfies never;
  }
}

function scatterJvp(b: Emitter, tangents: readonly MaybeValue[], ctx: Context): MaybeValue {
  if (tangents[0] == null && tangents[1] == null) return null;
  const [base, updates] = [ctx.operands[0]!, ctx.operands[1]!];
  const [tb, tu] = [tangents[0] ?? zerosLike(b, base), tangents[1] ?? zerosLike(b, updates)];
  const zero = one(b, base, 0);
  switch (ctx.attrs.combine) {
    case "set":
    case "add":
      return put(b, ctx.attrs.combine, tb, tu, ctx);
    case "mul": {
      const scaled = put(b, "mul", filled(b, dtypeOf(base), shapeOf(base), 1), updates, ctx);
      return put(b, "add", mul(b, tb, scaled), mul(b, tu, otherFactors(b, ctx)), ctx);
    }
    case "max":
    case "min": {
      const { baseHit, updateHit, count } = extremeShares(b, ctx);
      return div(b, put(b, "add", select(b, baseHit, tb, zero), select(b, updateHit, tu, zero), ctx), count);
    }
    default:
      return ctx.attrs.combine satisfies never;
  }
}

const scatterOp = defineOp<ScatterAttrs>({
  name: "scatter",
  doc: "A tensor with updates written (set) or folded (add, mul, max, min) at the positions that i32 tensors give for the listed axes, in order; of several sets of one element the last wins. Indices clamp.",
  attrs: { axes: "ints", combine: "name" },
  groups: [],
  effect: false,
  cost: () => 2,
  type(operands, { axes, combine }) {
    const [base, updates, ...indices] = tensors("scatter", operands, 3, true);
    checkName("scatter", combine, ["set", "add", "mul", "max", "min"]);
    const want = tensorType(
      base!.dtype,
      gatheredShape(base!.shape, axes, checkIndices("scatter", base!, indices, axes)),
    );
    if (updates!.dtype !== base!.dtype || !sameShape(updates!.shape, want.shape))
      fail(
        "scatter",
        `updates of ${describeType(base!)} must have its dtype and the shape ${describeShape(want.shape)}, got ${describeType(updates!)}`,
      );
    if (combine !== "set" && base!.dtype === "bool")
      fail("scatter", `${combine} does not work on ${describeType(base!)}`);
    return [base!];
  },
  eval([base, updates, ...indices], { axes, combine }) {
    const data = base!.data.slice();
    const s = indices[0]!.shape.length;
    const { dtype, shape } = base!;
    eachIndex(updates!.shape, (index, offset) => {
      const place = sourceIndex(shape.length, axes, index.slice(s), (k) =>
        clamp(element(indices[k]!, index.slice(0, s)), 0, shape[axes[k]!]! - 1),
      );
      const to = offsetOf(shape, place);
      const update = updates!.data[offset]!;
      data[to] = combine === "set" ? update : roundTo(dtype, scalarOps[combine].eval(dtype, data[to]!, update));
    });
    return [{ dtype, shape, data }];
  },
  fold: [
    {
      name: "no updates",
      apply: (_, [base, updates]) => (shapeOf(updates!).includes(0) ? base : undefined),
    },
  ],
  derivative: {
    kind: "custom",
    vjp: (b, [ct], ctx) => [
      ...(ct == null || !isFloat(dtypeOf(ctx.operands[0]!)) ? [null, null] : scatterVjp(b, ct, ctx)),
      ...indicesOf(ctx).map(() => null),
    ],
    jvp: (b, tangents, ctx) => [scatterJvp(b, tangents, ctx)],
  },
  batch(b, ctx) {
    const { operands, batched, attrs } = ctx;
    const [base, updates] = [withBatch(b, ctx, 0), withBatch(b, ctx, 1)];
    if (batched.slice(2).some((is) => is))
      return [
        scatter(b, attrs.combine, base, updates, [0, ...behindBatch(attrs.axes)], batchedIndices(b, ctx, 2, true)),
      ];
    const indices = operands.slice(2);
    return [
      scatter(b, attrs.combine, base, moveAxis(b, updates, 0, rankOf(indices[0]!)), behindBatch(attrs.axes), indices),
    ];
  },
  nest: {
    kind: "update",
    domain: ({ operands }) => operands[1]!.shape,
    store({ attrs: { axes, combine }, operands: [base, , first] }, point, read) {
      const s = first!.shape.length;
      const place = (k: number): IndexExpr => clampedIndex(read(2 + k, point.slice(0, s)), base!.shape[axes[k]!]!);
      const index = sourceIndex(base!.shape.length, axes, point.slice(s), place);
      const value = read(1, point);
      return combine === "set" ? { index, value } : { index, value, combine };
    },
  },
  ulp: 1,
  bounds: ({ attrs, operands: [base] }) => indexBounds(base!, attrs.axes, 2),
  demand: demandsAll,
  sample(rng) {
    const combine = rng.pick<ScatterCombine>(["set", "add", "mul", "max", "min"]);
    const dtype = combine === "set" ? anyDType(rng) : numericDType(rng);
    const { shape, axes, indices } = sampleIndices(rng);
    const updates = gatheredShape(shape, axes, indices[0]!.type.shape);
    const extra = isFloat(dtype) ? (combine === "mul" ? { lo: 0.5, hi: 1.5 } : { distinct: true }) : {};
    return {
      operands: [plain(dtype, shape, extra), plain(dtype, updates, extra), ...indices],
      attrs: { axes, combine },
    };
  },
});

export const scatterOps: readonly OpDef[] = [scatterOp];
