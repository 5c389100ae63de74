/** Reading at positions that come out of data. Indices clamp into their axis, so there is no undefined element. */
import {
  type BatchContext,
  defineOp,
  demandsAll,
  type Emitter,
  type IndexBound,
  type OpDef,
  type Rng,
  type SampledOperand,
} from "../define-op.ts";
import {
  broadcastTo,
  gather,
  iota,
  moveAxis,
  otherAxes,
  range,
  rankOf,
  sameShape,
  scatter,
  shapeOf,
  zerosLike,
} from "../emit.ts";
import { type Attrs, type TensorType, tensorType, type Value } from "../graph.ts";
import { clampedIndex } from "../nest/dyn.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import { subIndex, toDim } from "../nest/index-algebra.ts";
import { clamp, element, hostOf } from "./host.ts";
import { behindBatch, checkAxes, describeType, fail, listed, mapMaybe, tensors } from "./rules.ts";
import { anyDType, plain, shuffled } from "./sampling.ts";

export type GatherAttrs = { readonly axes: readonly number[] };

/** Checks index operands and returns the shape they share. */
export function checkIndices(
  op: string,
  x: TensorType,
  indices: readonly TensorType[],
  axes: readonly number[],
): readonly Dim[] {
  checkAxes(op, axes, x);
  if (indices.length === 0 || indices.length !== axes.length)
    fail(op, `needs one index tensor for each of the axes [${axes.join(", ")}], at least one; got ${indices.length}`);
  for (const index of indices) {
    if (index.dtype !== "i32") fail(op, `indices are i32, got ${describeType(index)}`);
    if (!sameShape(index.shape, indices[0]!.shape))
      fail(op, `indices must have one shape, got ${listed(indices.map(describeType))}`);
  }
  for (const axis of axes)
    if (x.shape[axis] === 0 && !indices[0]!.shape.includes(0))
      fail(op, `axis ${axis} of ${describeType(x)} has no elements to index`);
  return indices[0]!.shape;
}

/** Index operands from `first` on, one for each of the axes of operand 0. */
export function indexBounds(x: TensorType, axes: readonly number[], first: number): IndexBound[] {
  return axes.map((axis, k) => ({ operand: first + k, axis, of: 0, last: toDim(subIndex(x.shape[axis]!, 1)) }));
}

/** The shape of what is read: the indices' shape, then the axes that are not indexed. */
export function gatheredShape(x: readonly Dim[], axes: readonly number[], indexShape: readonly Dim[]): Dim[] {
  return [...indexShape, ...otherAxes(x.length, axes).map((axis) => x[axis]!)];
}

/** Position in x for a position in the gathered shape; `at(k)` is the index into axis `axes[k]`. */
export function sourceIndex<T>(rank: number, axes: readonly number[], rest: readonly T[], at: (k: number) => T): T[] {
  const position: T[] = [];
  let others = 0;
  for (let axis = 0; axis < rank; axis++) {
    const k = axes.indexOf(axis);
    position.push(k >= 0 ? at(k) : rest[others++]!);
  }
  return position;
}

/** Index operands that all have the batch axis, and one more that walks along it, for a batched x. */
export function batchedIndices<A extends Attrs>(
  b: Emitter,
  ctx: BatchContext<A>,
  first: number,
  walk: boolean,
): Value[] {
  const inner = shapeOf(ctx.operands[first]!).slice(ctx.batched[first] ? 1 : 0);
  const shape = [ctx.size, ...inner];
  const indices = ctx.operands
    .slice(first)
    .map((index, i) =>
      ctx.batched[first + i] ? index : broadcastTo(b, index, shape, behindBatch(range(inner.length))),
    );
  return walk ? [iota(b, "i32", shape, 0), ...indices] : indices;
}

const gatherOp = defineOp<GatherAttrs>({
  name: "gather",
  doc: "Elements of x at the positions that i32 tensors of one shape S give for the listed axes; the result is S, then x's other axes. Indices clamp.",
  attrs: { axes: "ints" },
  groups: [],
  effect: false,
  cost: () => 2,
  type(operands, { axes }) {
    const [x, ...indices] = tensors("gather", operands, 2, true);
    return [tensorType(x!.dtype, gatheredShape(x!.shape, axes, checkIndices("gather", x!, indices, axes)))];
  },
  eval([x, ...indices], { axes }, [type]) {
    const s = indices[0]!.shape.length;
    return [
      hostOf(type!, (index) => {
        const at = (k: number): number => clamp(element(indices[k]!, index.slice(0, s)), 0, x!.shape[axes[k]!]! - 1);
        return element(x!, sourceIndex(x!.shape.length, axes, index.slice(s), at));
      }),
    ];
  },
  fold: [],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands, attrs }) => {
      const [x, ...indices] = operands;
      return [
        mapMaybe(ct, (c) => scatter(b, "add", zerosLike(b, x!), c, attrs.axes, indices)),
        ...indices.map(() => null),
      ];
    },
  },
  batch(b, ctx) {
    const { operands, batched, attrs } = ctx;
    const [x, ...indices] = operands;
    const indexed = batched.slice(1).some((is) => is);
    if (!indexed) return [moveAxis(b, gather(b, x!, behindBatch(attrs.axes), indices), rankOf(indices[0]!), 0)];
    if (!batched[0]) return [gather(b, x!, attrs.axes, batchedIndices(b, ctx, 1, false))];
    return [gather(b, x!, [0, ...behindBatch(attrs.axes)], batchedIndices(b, ctx, 1, true))];
  },
  nest: {
    kind: "map",
    value({ attrs: { axes }, operands: [x, first] }, index, read) {
      const s = first!.shape.length;
      const at = (k: number): IndexExpr => clampedIndex(read(1 + k, index.slice(0, s)), x!.shape[axes[k]!]!);
      return read(0, sourceIndex(x!.shape.length, axes, index.slice(s), at));
    },
  },
  ulp: 0,
  bounds: ({ attrs, operands: [x] }) => indexBounds(x!, attrs.axes, 1),
  demand: demandsAll,
  sample(rng) {
    const { shape, axes, indices } = sampleIndices(rng);
    return { operands: [plain(anyDType(rng), shape), ...indices], attrs: { axes } };
  },
});

/** A tensor shape, some of its axes and index operands for them, a little out of range on both sides. */
export function sampleIndices(rng: Rng): { shape: number[]; axes: number[]; indices: SampledOperand[] } {
  const shape = rng.shape(1, 3);
  const axes = shuffled(rng, range(shape.length)).slice(0, rng.int(1, shape.length));
  const indexShape = rng.shape(0, 2);
  return { shape, axes, indices: axes.map((axis) => plain("i32", indexShape, { lo: -2, hi: shape[axis]! + 1 })) };
}

export const gatherOps: readonly OpDef[] = [gatherOp];
