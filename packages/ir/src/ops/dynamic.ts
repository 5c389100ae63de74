/** A window whose place comes out of data: dynamicSlice reads it, dynamicUpdateSlice replaces it. Starts clamp so that it fits. */
import { type BatchContext, defineOp, demandsAll, type Emitter, type IndexBound, type OpDef } from "../define-op.ts";
import {
  add,
  broadcastTo,
  dynamicSlice,
  dynamicUpdateSlice,
  gather,
  iota,
  maximum,
  minimum,
  range,
  rankOf,
  sameShape,
  scatter,
  shapeOf,
  sizeValue,
  slice,
  zerosLike,
} from "../emit.ts";
import { type Attrs, type TensorType, tensorType, type Value } from "../graph.ts";
import { clampedIndex } from "../nest/dyn.ts";
import type { Dim, IndexExpr, ScalarExpr } from "../nest/expr.ts";
import { addIndex, subIndex, toDim, toIndex } from "../nest/index-algebra.ts";
import { clamp, eachIndex, element, hostOf, offsetOf } from "./host.ts";
import {
  checkLength,
  checkScalar,
  constantNumber,
  describeDim,
  describeShape,
  describeType,
  fail,
  mapMaybe,
  tensors,
  withBatch,
} from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

export type DynamicSliceAttrs = { readonly sizes: readonly Dim[] };

function checkWindow(op: string, x: TensorType, sizes: readonly Dim[], starts: readonly TensorType[]): void {
  checkLength(op, sizes, x, "the window");
  checkLength(op, starts, x, "the list of starts");
  for (const start of starts) checkScalar(op, start, "i32", "each start");
  sizes.forEach((size, i) => {
    if (subIndex(x.shape[i]!, size).hi < 0)
      fail(op, `a window of ${describeDim(size)} elements does not fit into axis ${i} of ${describeType(x)}`);
  });
}

/** Starts from operand `first` on, one for each axis of operand 0: the window must lie inside. */
function windowBounds(x: TensorType, sizes: readonly Dim[], first: number): IndexBound[] {
  return sizes.map((size, axis) => ({
    operand: first + axis,
    axis,
    of: 0,
    last: toDim(subIndex(x.shape[axis]!, size)),
  }));
}

/** Position in the whole of a position in the window. */
function windowIndex(
  shape: readonly Dim[],
  sizes: readonly Dim[],
  start: (axis: number) => ScalarExpr,
  index: readonly IndexExpr[],
): IndexExpr[] {
  return index.map((at, i) => addIndex(clampedIndex(start(i), toDim(addIndex(subIndex(shape[i]!, sizes[i]!), 1))), at));
}

/** The window's position in every lane, as index tensors of shape [batch, ...sizes] for each axis. */
function windowIndices<A extends Attrs>(
  b: Emitter,
  ctx: BatchContext<A>,
  first: number,
  shape: readonly Dim[],
  sizes: readonly Dim[],
): Value[] {
  const full = [ctx.size, ...sizes];
  const starts = shape.map((size, i) => {
    const room = sizeValue(b, toDim(subIndex(size, sizes[i]!)));
    const start = maximum(b, minimum(b, withBatch(b, ctx, first + i), room), b.scalar("i32", 0));
    return add(b, broadcastTo(b, start, full, [0]), iota(b, "i32", full, i + 1));
  });
  return [iota(b, "i32", full, 0), ...starts];
}

const zeroStart = (b: Emitter): Value => b.scalar("i32", 0);
const anyBatched = (batched: readonly boolean[]): boolean => batched.some((is) => is);

const dynamicSliceOp = defineOp<DynamicSliceAttrs>({
  name: "dynamicSlice",
  doc: "The window of the given sizes whose first element is at scalar i32 starts, which clamp so that it fits.",
  attrs: { sizes: "dims" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, { sizes }) {
    const [x, ...starts] = tensors("dynamicSlice", operands, 1, true);
    checkWindow("dynamicSlice", x!, sizes, starts);
    return [tensorType(x!.dtype, sizes)];
  },
  eval([x, ...starts], _, [type]) {
    const from = starts.map((start, i) => clamp(start.data[0]!, 0, x!.shape[i]! - (type!.shape[i] as number)));
    return [
      hostOf(type!, (index) =>
        element(
          x!,
          index.map((at, i) => at + from[i]!),
        ),
      ),
    ];
  },
  fold: [
    { name: "whole", apply: (_, [x], { sizes }) => (sameShape(shapeOf(x!), sizes) ? x : undefined) },
    {
      name: "known starts",
      apply(b, [x, ...starts], { sizes }) {
        const from: number[] = [];
        for (const [i, start] of starts.entries()) {
          const known = constantNumber(b, start);
          const room = toDim(subIndex(shapeOf(x!)[i]!, sizes[i]!));
          if (known === undefined || typeof room !== "number") return undefined;
          from.push(clamp(known, 0, room));
        }
        return slice(
          b,
          x!,
          from,
          from.map((at, i) => toDim(addIndex(toIndex(at), sizes[i]!))),
        );
      },
    },
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands: [x, ...starts] }) => [
      mapMaybe(ct, (c) => dynamicUpdateSlice(b, zerosLike(b, x!), c, starts)),
      ...starts.map(() => null),
    ],
  },
  batch(b, ctx) {
    const { operands, batched, attrs, size } = ctx;
    if (!anyBatched(batched.slice(1)))
      return [dynamicSlice(b, operands[0]!, [zeroStart(b), ...operands.slice(1)], [size, ...attrs.sizes])];
    const shape = shapeOf(operands[0]!).slice(batched[0] ? 1 : 0);
    const [lane, ...indices] = windowIndices(b, ctx, 1, shape, attrs.sizes);
    if (!batched[0]) return [gather(b, operands[0]!, range(shape.length), indices)];
    return [gather(b, operands[0]!, range(shape.length + 1), [lane!, ...indices])];
  },
  nest: {
    kind: "map",
    value: ({ attrs, operands }, index, read) =>
      read(
        0,
        windowIndex(operands[0]!.shape, attrs.sizes, (i) => read(1 + i, []), index),
      ),
  },
  ulp: 0,
  bounds: ({ attrs, operands: [x] }) => windowBounds(x!, attrs.sizes, 1),
  demand: demandsAll,
  sample(rng) {
    const shape = rng.shape(0, 4);
    const starts = shape.map((size) => plain("i32", [], { lo: -2, hi: size + 1 }));
    return {
      operands: [plain(anyDType(rng), shape), ...starts],
      attrs: { sizes: shape.map((size) => rng.int(Math.min(1, size), size)) },
    };
  },
});

type NoAttrs = Record<never, never>;

const dynamicUpdateSliceOp = defineOp<NoAttrs>({
  name: "dynamicUpdateSlice",
  doc: "x with the window at scalar i32 starts replaced by update; starts clamp so that it fits.",
  attrs: {},
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands) {
    const [x, update, ...starts] = tensors("dynamicUpdateSlice", operands, 2, true);
    if (x!.dtype !== update!.dtype || x!.shape.length !== update!.shape.length)
      fail(
        "dynamicUpdateSlice",
        `the update of ${describeType(x!)} must have its dtype and as many axes, got ${describeType(update!)} ${describeShape(update!.shape)}`,
      );
    checkWindow("dynamicUpdateSlice", x!, update!.shape, starts);
    return [x!];
  },
  eval([x, update, ...starts]) {
    const from = starts.map((start, i) => clamp(start.data[0]!, 0, x!.shape[i]! - update!.shape[i]!));
    const data = x!.data.slice();
    eachIndex(update!.shape, (index, offset) => {
      const place = index.map((at, i) => at + from[i]!);
      data[offsetOf(x!.shape, place)] = update!.data[offset]!;
    });
    return [{ dtype: x!.dtype, shape: x!.shape, data }];
  },
  fold: [
    {
      name: "whole",
      apply: (_, [x, update]) => (sameShape(shapeOf(x!), shapeOf(update!)) ? update : undefined),
    },
    { name: "nothing", apply: (_, [x, update]) => (shapeOf(update!).includes(0) ? x : undefined) },
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands: [, update, ...starts] }) => [
      mapMaybe(ct, (c) => dynamicUpdateSlice(b, c, zerosLike(b, update!), starts)),
      mapMaybe(ct, (c) => dynamicSlice(b, c, starts, shapeOf(update!))),
      ...starts.map(() => null),
    ],
  },
  batch(b, ctx) {
    const { operands, batched } = ctx;
    const [x, update] = [withBatch(b, ctx, 0), withBatch(b, ctx, 1)];
    if (!anyBatched(batched.slice(2))) return [dynamicUpdateSlice(b, x, update, [zeroStart(b), ...operands.slice(2)])];
    const indices = windowIndices(b, ctx, 2, shapeOf(x).slice(1), shapeOf(update).slice(1));
    return [scatter(b, "set", x, update, range(rankOf(x)), indices)];
  },
  nest: {
    kind: "update",
    domain: ({ operands }) => operands[1]!.shape,
    store: ({ operands: [x, update] }, point, read) => ({
      index: windowIndex(x!.shape, update!.shape, (i) => read(2 + i, []), point),
      value: read(1, point),
    }),
  },
  ulp: 0,
  bounds: ({ operands: [x, update] }) => windowBounds(x!, update!.shape, 2),
  demand: demandsAll,
  sample(rng) {
    const [dtype, shape] = [anyDType(rng), rng.shape(0, 4)];
    const starts = shape.map((size) => plain("i32", [], { lo: -2, hi: size + 1 }));
    const update = shape.map((size) => rng.int(Math.min(1, size), size));
    return { operands: [plain(dtype, shape), plain(dtype, update), ...starts], attrs: {} };
  },
});

export const dynamicOps: readonly OpDef[] = [dynamicSliceOp, dynamicUpdateSliceOp];
