/** The convolution of any number of spatial axes, with its derivatives, which are convolutions again. No layouts, no groups: those are axes. */
import {
  type DerivativeContext,
  defineOp,
  demandsAll,
  type Emitter,
  noBounds,
  type OpDef,
  type Rng,
} from "../define-op.ts";
import { isFloat, roundTo } from "../dtype.ts";
import {
  type ConvDims,
  conv,
  dot,
  moveAxis,
  range,
  rankOf,
  reshape,
  reverse,
  shapeOf,
  slice,
  transpose,
  zerosLike,
} from "../emit.ts";
import { type TensorType, tensorType, type Value } from "../graph.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import { mulIndex, sameIndex, sizeOf, staticDim, toDim, toIndex } from "../nest/index-algebra.ts";
import { scalarApply, scalarConst, scalarGuard } from "../nest/scalar-expr.ts";
import { eachIndex, element, hostOf } from "./host.ts";
import { describeDim, describeType, fail, tensors, withBatch } from "./rules.ts";
import { numericDType, plain } from "./sampling.ts";
import { checkWindows, positionIn, spreadSize, type Window, windowCount, windowIndex } from "./window-maps.ts";

/** Spatial axes of the operands. */
const spatial = (attrs: ConvDims): number => attrs.strides.length;

/** x is [batch..., N, S..., C] and w [batch..., K..., C, O]: sizes by role. */
interface Sizes {
  readonly batch: readonly Dim[];
  readonly n: Dim;
  readonly s: readonly Dim[];
  readonly k: readonly Dim[];
  readonly c: Dim;
  readonly o: Dim;
}
function sizesOf(x: readonly Dim[], w: readonly Dim[], attrs: ConvDims): Sizes {
  const { batch } = attrs;
  return {
    batch: x.slice(0, batch),
    n: x[batch]!,
    s: x.slice(batch + 1, -1),
    k: w.slice(batch, -2),
    c: x.at(-1)!,
    o: w.at(-1)!,
  };
}

/** The window along spatial axis i. */
const windowAlong = (attrs: ConvDims, i: number, window: Dim): Window => ({
  window: staticDim(window),
  stride: attrs.strides[i]!,
  lo: attrs.lo[i]!,
  hi: attrs.hi[i]!,
  dilation: attrs.wDilation[i]!,
});

/** Places of the window along each spatial axis. */
const resultSpace = ({ s, k }: Sizes, attrs: ConvDims): Dim[] =>
  s.map((size, i) => windowCount(spreadSize(size, attrs.xDilation[i]!), windowAlong(attrs, i, k[i]!)));

function checkConv(x: TensorType, w: TensorType, attrs: ConvDims): Dim[] {
  if (x.dtype !== w.dtype || x.dtype === "bool")
    fail("conv", `takes two operands of one numeric dtype, got ${describeType(x)} and ${describeType(w)}`);
  const { batch } = attrs;
  const rank = batch + 2 + spatial(attrs);
  if (!Number.isInteger(batch) || batch < 0) fail("conv", `batch ${batch} is not a number of axes`);
  for (const [name, type] of [
    ["x", x],
    ["w", w],
  ] as const)
    if (type.shape.length !== rank)
      fail(
        "conv",
        `${name} is ${describeType(type)}, but ${batch} batch and ${spatial(attrs)} spatial axes make ${rank}`,
      );
  checkWindows("conv", spatial(attrs), attrs, ["wDilation", "xDilation"]);
  const sizes = sizesOf(x.shape, w.shape, attrs);
  sizes.batch.forEach((size, i) => {
    if (!sameIndex(size, w.shape[i]!))
      fail(
        "conv",
        `batch axis ${i} of ${describeType(x)} has ${describeDim(size)} elements, of ${describeType(w)} ${describeDim(w.shape[i]!)}`,
      );
  });
  if (!sameIndex(sizes.c, w.shape.at(-2)!))
    fail(
      "conv",
      `x, ${describeType(x)}, has ${describeDim(sizes.c)} channels, but w, ${describeType(w)}, takes ${describeDim(w.shape.at(-2)!)}`,
    );
  sizes.k.forEach((size, i) => {
    if (typeof size !== "number") fail("conv", `axis ${i} of the window of ${describeType(w)} has no fixed size`);
    if (size < 1) fail("conv", `the window of ${describeType(w)} has no elements along its axis ${i}`);
  });
  return [...sizes.batch, sizes.n, ...resultSpace(sizes, attrs), sizes.o];
}

/** Indices of both operands for one of the result and one of what is summed over (window, then channels). */
function operandIndices<T>(
  attrs: ConvDims,
  par: readonly T[],
  red: readonly T[],
  at: (i: number, o: T, k: T) => T,
): [T[], T[]] {
  const { batch } = attrs;
  const batches = par.slice(0, batch);
  const window = red.slice(0, -1);
  const positions = window.map((k, i) => at(i, par[batch + 1 + i]!, k));
  return [
    [...batches, par[batch]!, ...positions, red.at(-1)!],
    [...batches, ...window, red.at(-1)!, par.at(-1)!],
  ];
}

const isEmpty = (x: Value): boolean => shapeOf(x).includes(0);

/**
 * The cotangent of x: the result's, its elements `strides` apart, convolved with w turned around. That of w: x convolved
 * with the result's, where images are channels and strides and dilations change places.
 */
function convTranspose(b: Emitter, ct: Value, { operands, attrs }: DerivativeContext<ConvDims>, wrt: number): Value {
  const [x, w] = [operands[0]!, operands[1]!];
  if (isEmpty(x) || isEmpty(w) || isEmpty(ct)) return zerosLike(b, operands[wrt]!);
  const { batch, strides, lo, xDilation, wDilation } = attrs;
  const { s, k } = sizesOf(shapeOf(x), shapeOf(w), attrs);
  const space = range(s.length);
  const rank = rankOf(x);
  const [first, last] = [batch, rank - 1];
  const before = range(batch);
  const middle = space.map((i) => batch + 1 + i);
  const sizes = (list: readonly Dim[]): number[] => list.map(staticDim);
  const [xs, ks] = [sizes(s), sizes(k)];
  const ys = sizes(shapeOf(ct).slice(batch + 1, -1));
  /** From the first element to the last of `count` that are `step` apart, both included. */
  const extent = (count: number, step: number): number => (count - 1) * step + 1;
  if (wrt === 0) {
    const around = space.map((i) => batch + i);
    const turned = transpose(b, reverse(b, w, around), [...before, ...around, last, last - 1]);
    const start = space.map((i) => extent(ks[i]!, wDilation[i]!) - 1 - lo[i]!);
    // As many at the end as let the window reach the last element of x.
    const end = space.map(
      (i) =>
        extent(xs[i]!, xDilation[i]!) - extent(ys[i]!, strides[i]!) - start[i]! + extent(ks[i]!, wDilation[i]!) - 1,
    );
    return conv(b, ct, turned, { batch, strides: xDilation, lo: start, hi: end, xDilation: strides, wDilation });
  }
  const exchanged = transpose(b, x, [...before, last, ...middle, first]);
  const window = transpose(b, ct, [...before, ...middle, first, last]);
  const end = space.map(
    (i) => extent(ks[i]!, wDilation[i]!) - 1 + extent(ys[i]!, strides[i]!) - extent(xs[i]!, xDilation[i]!) - lo[i]!,
  );
  const dw = conv(b, exchanged, window, { batch, strides: wDilation, lo, hi: end, xDilation, wDilation: strides });
  return transpose(b, dw, [...before, ...middle, first, last]);
}

const convOp = defineOp<ConvDims>({
  name: "conv",
  doc: "Cross-correlation of x [batch..., N, S..., C] with w [batch..., K..., C, O]; the result is [batch..., N, S'..., O]. lo and hi pad with zeros or, where negative, cut off; dilations are distances between elements of x and of w.",
  attrs: { batch: "int", strides: "ints", lo: "ints", hi: "ints", xDilation: "ints", wDilation: "ints" },
  groups: [],
  effect: false,
  cost: ({ operands: [, w], attrs }) => 2 * toIndex(sizeOf(w!.shape.slice(attrs.batch, -1))).hi,
  type(operands, attrs) {
    const [x, w] = tensors("conv", operands, 2);
    return [tensorType(x!.dtype, checkConv(x!, w!, attrs))];
  },
  // Sums in float64 and rounds once, as dot does.
  eval([x, w], attrs, [type]) {
    const { k, c, s } = sizesOf(x!.shape, w!.shape, attrs);
    const summed = [...k, c].map(staticDim);
    const sizes = s.map(staticDim);
    const float = isFloat(x!.dtype);
    return [
      hostOf(type!, (index) => {
        let sum = 0;
        eachIndex(summed, (red) => {
          const [atX, atW] = operandIndices(attrs, index, red, (i, o, q) =>
            positionIn(sizes[i]!, attrs.xDilation[i]!, o * attrs.strides[i]! + q * attrs.wDilation[i]! - attrs.lo[i]!),
          );
          if (atX.includes(-1)) return;
          const [p, q] = [element(x!, atX), element(w!, atW)];
          sum = float ? sum + p * q : roundTo(x!.dtype, sum + Math.imul(p, q));
        });
        return sum;
      }),
    ];
  },
  fold: [
    {
      name: "window of one element",
      apply(b, [x, w], attrs) {
        const { k, s } = sizesOf(shapeOf(x!), shapeOf(w!), attrs);
        const { batch } = attrs;
        const plainly =
          [attrs.lo, attrs.hi].every((list) => list.every((n) => n === 0)) && attrs.xDilation.every((d) => d === 1);
        if (!plainly || k.some((size) => size !== 1) || s.includes(0)) return undefined;
        const step = [...range(batch + 1).map(() => 1), ...attrs.strides, 1];
        const taken = slice(
          b,
          x!,
          step.map(() => 0),
          shapeOf(x!),
          step,
        );
        const shape = shapeOf(w!);
        const matrix = reshape(b, w!, [...shape.slice(0, batch), ...shape.slice(-2)]);
        return dot(b, taken, matrix, { batch: [range(batch), range(batch)], contract: [[rankOf(x!) - 1], [batch]] });
      },
    },
  ],
  derivative: { kind: "multilinear", transpose: convTranspose },
  batch(b, ctx) {
    const { operands, batched, attrs, size } = ctx;
    const [x, w] = [operands[0]!, operands[1]!];
    if (batched[1]) return [conv(b, withBatch(b, ctx, 0), w, { ...attrs, batch: attrs.batch + 1 })];
    // More images: the batch axis and that of the images become one.
    const at = attrs.batch;
    const merge = (y: Value): Value => {
      const shape = shapeOf(moveAxis(b, y, 0, at));
      return reshape(b, moveAxis(b, y, 0, at), [
        ...shape.slice(0, at),
        toDim(mulIndex(shape[at]!, shape[at + 1]!)),
        ...shape.slice(at + 2),
      ]);
    };
    const result = conv(b, merge(x), w, attrs);
    const shape = shapeOf(result);
    const split = reshape(b, result, [...shape.slice(0, at), size, shapeOf(x)[at + 1]!, ...shape.slice(at + 1)]);
    return [moveAxis(b, split, at, 0)];
  },
  nest: {
    kind: "reduce",
    red: ({ operands: [, w], attrs }) => w!.shape.slice(attrs.batch, -1),
    accumulators({ attrs, operands: [x, w] }, par, red, read) {
      const { s, k } = sizesOf(x!.shape, w!.shape, attrs);
      const maps = s.map((size, i) =>
        windowIndex(size, attrs.xDilation[i]!, windowAlong(attrs, i, k[i]!), par[attrs.batch + 1 + i]!, red[i]!),
      );
      const [atX, atW] = operandIndices<IndexExpr>(attrs, par, red, (i) => maps[i]!.index);
      const { dtype } = x!;
      const value = scalarGuard(
        maps.flatMap((map) => map.guard),
        read(0, atX),
        scalarConst(dtype, 0),
      );
      return [{ combine: "add", dtype, values: [scalarApply("mul", [value, read(1, atW)])] }];
    },
    value: (_, acc) => acc(0, 0),
  },
  ulp: 2,
  bounds: noBounds,
  demand: demandsAll,
  sample: sampleConv,
});

function sampleConv(rng: Rng): { operands: ReturnType<typeof plain>[]; attrs: ConvDims } {
  const dtype = numericDType(rng);
  const batch = range(rng.pick([0, 0, 1])).map(() => rng.int(1, 3));
  const axes = range(rng.pick([1, 1, 2, 2, 3]));
  const pick = (...list: readonly number[]): number[] => axes.map(() => rng.pick(list));
  const k = pick(1, 2, 3, 3);
  const s = pick(...(axes.length < 3 ? [0, 1, 3, 5, 8, 13] : [1, 3, 4]));
  const [n, c, o] = [rng.pick([0, 1, 2, 3]), rng.pick([0, 1, 2, 3, 5]), rng.pick([0, 1, 3, 4, 9])];
  const attrs: ConvDims = {
    batch: batch.length,
    strides: pick(1, 1, 2, 3),
    lo: pick(0, 0, 1, 2, -1),
    hi: pick(0, 0, 1, 3, -1),
    xDilation: pick(1, 1, 1, 2, 3),
    wDilation: pick(1, 1, 2),
  };
  return { operands: [plain(dtype, [...batch, n, ...s, c]), plain(dtype, [...batch, ...k, c, o])], attrs };
}

export const convOps: readonly OpDef[] = [convOp];
