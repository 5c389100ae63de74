/** Ops that only move elements by an index map: broadcast, reshape, transpose, reverse. Those that cut or join are in windows.ts. */
import { type DemandRule, defineOp, demandsAll, type FoldRule, noBounds, type OpDef } from "../define-op.ts";
import {
  broadcastTo,
  expandScalar,
  otherAxes,
  range,
  rankOf,
  reduce,
  reduceSum,
  reshape,
  reverse,
  sameShape,
  shapeOf,
  transpose,
} from "../emit.ts";
import { tensorType, type Value } from "../graph.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import {
  delinearize,
  indexZero,
  linearize,
  mulIndex,
  sameIndex,
  sizeOf,
  subIndex,
  toDim,
} from "../nest/index-algebra.ts";
import { element, hostOf, offsetOf, staticShape } from "./host.ts";
import {
  behindBatch,
  checkAscending,
  checkAxes,
  checkAxis,
  checkLength,
  describeDim,
  describeShape,
  describeType,
  fail,
  mapMaybe,
  tensors,
  uniformOf,
} from "./rules.ts";
import { anyDType, factored, plain, shuffled, someAxes } from "./sampling.ts";

export type BroadcastAttrs = { readonly shape: readonly Dim[]; readonly dims: readonly number[] };

/** Movement of a repeated scalar is a repeated scalar of the new shape. */
export function uniformFold<A extends Record<never, never>>(
  shape: (operands: readonly Value[], attrs: A) => readonly Dim[],
): FoldRule<A> {
  return {
    name: "uniform operand",
    apply(b, operands, attrs) {
      const scalar = uniformOf(b, operands[0]!);
      return scalar === undefined ? undefined : expandScalar(b, scalar, shape(operands, attrs));
    },
  };
}

const broadcastDemand: DemandRule<BroadcastAttrs> = {
  kind: "pick",
  whole: [],
  used(b, mask, { attrs: { dims } }) {
    const rest = rankOf(mask) === 0 ? [] : otherAxes(rankOf(mask), dims);
    return rest.length === 0 ? mask : reduce(b, "or", mask, rest);
  },
};

const broadcastOp = defineOp<BroadcastAttrs>({
  name: "broadcast",
  doc: "Repeats x along new axes: operand axis i becomes result axis dims[i], with the same size.",
  attrs: { shape: "dims", dims: "ints" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { shape, dims }) {
    const [x] = tensors("broadcast", operands, 1);
    const result = tensorType(x!.dtype, shape);
    checkLength("broadcast", dims, x!, "dims");
    for (const axis of dims) checkAxis("broadcast", axis, result, "result axis");
    checkAscending("broadcast", dims, "dims");
    dims.forEach((axis, i) => {
      if (!sameIndex(shape[axis]!, x!.shape[i]!))
        fail(
          "broadcast",
          `axis ${i} of ${describeType(x!)} has ${describeDim(x!.shape[i]!)} elements, but axis ${axis} of the result ${describeShape(shape)} has ${describeDim(shape[axis]!)}`,
        );
    });
    return [result];
  },
  eval: ([x], { dims }, [type]) => [
    hostOf(type!, (index) =>
      element(
        x!,
        dims.map((axis) => index[axis]!),
      ),
    ),
  ],
  fold: [
    {
      name: "same shape",
      apply: (_, [x], { shape }) => (shapeOf(x!).length === shape.length ? x : undefined),
    },
    {
      name: "broadcast of broadcast",
      apply(b, [x], { shape, dims }) {
        const inner = b.definition(x!);
        if (inner?.op !== "broadcast") return undefined;
        const { dims: innerDims } = inner.attrs as BroadcastAttrs;
        return broadcastTo(
          b,
          inner.operands[0]!,
          shape,
          innerDims.map((axis) => dims[axis]!),
        );
      },
    },
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { attrs }) => [
      mapMaybe(ct, (c) => reduceSum(b, c, otherAxes(attrs.shape.length, attrs.dims))),
    ],
  },
  batch: (b, { operands, attrs, size }) => [
    broadcastTo(b, operands[0]!, [size, ...attrs.shape], [0, ...behindBatch(attrs.dims)]),
  ],
  nest: {
    kind: "map",
    value: ({ attrs }, index, read) =>
      read(
        0,
        attrs.dims.map((axis) => index[axis]!),
      ),
  },
  ulp: 0,
  bounds: noBounds,
  demand: broadcastDemand,
  sample(rng) {
    const shape = rng.shape(0, 4);
    const dims = someAxes(rng, shape.length);
    return {
      operands: [
        plain(
          anyDType(rng),
          dims.map((axis) => shape[axis]!),
        ),
      ],
      attrs: { shape, dims },
    };
  },
});

export type ReshapeAttrs = { readonly shape: readonly Dim[] };

/**
 * Splits two shapes of equal size into runs of axes of equal size, as short as possible, so that an axis that the
 * reshape leaves alone keeps its own index (and may be symbolic). Axes of size 1 belong to no run.
 */
function reshapeRuns(from: readonly Dim[], to: readonly Dim[]): { readonly from: number[]; readonly to: number[] }[] {
  const left = range(from.length).filter((i) => from[i] !== 1);
  const right = range(to.length).filter((i) => to[i] !== 1);
  const runs: { from: number[]; to: number[] }[] = [];
  for (let i = 0, j = 0; i < left.length || j < right.length; ) {
    const run = { from: left.slice(i, i + 1), to: right.slice(j, j + 1) };
    let [size, wanted] = [sizeOf(run.from.map((k) => from[k]!)), sizeOf(run.to.map((k) => to[k]!))];
    i++;
    j++;
    while (!sameIndex(size, wanted) && (i < left.length || j < right.length)) {
      const numbers = typeof size === "number" && typeof wanted === "number";
      // With a symbolic size nothing says which side is smaller: take the left one first, then the right.
      if (j >= right.length || (i < left.length && (!numbers || size < wanted))) {
        size = toDim(mulIndex(size, from[left[i]!]!));
        run.from.push(left[i++]!);
      } else {
        wanted = toDim(mulIndex(wanted, to[right[j]!]!));
        run.to.push(right[j++]!);
      }
    }
    runs.push(run);
  }
  return runs;
}

/** The operand's index of an element of a reshaped result. */
export function reshapeIndex(index: readonly IndexExpr[], to: readonly Dim[], from: readonly Dim[]): IndexExpr[] {
  const out = from.map(() => indexZero);
  if (from.includes(0)) return out;
  for (const run of reshapeRuns(from, to)) {
    const offset = linearize(
      run.to.map((axis) => index[axis]!),
      run.to.map((axis) => to[axis]!),
    );
    const parts = delinearize(
      offset,
      run.from.map((axis) => from[axis]!),
    );
    run.from.forEach((axis, i) => {
      out[axis] = parts[i]!;
    });
  }
  return out;
}

const reshapeDemand: DemandRule<ReshapeAttrs> = {
  kind: "pick",
  whole: [],
  used: (b, mask, { operands: [x] }) => (rankOf(mask) === 0 ? mask : reshape(b, mask, shapeOf(x!))),
};

const reshapeOp = defineOp<ReshapeAttrs>({
  name: "reshape",
  doc: "The same elements in row-major order under another shape.",
  attrs: { shape: "dims" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { shape }) {
    const [x] = tensors("reshape", operands, 1);
    const [have, want] = [sizeOf(x!.shape), sizeOf(shape)];
    if (!sameIndex(have, want))
      fail(
        "reshape",
        `${describeType(x!)} has ${describeDim(have)} elements, the shape ${describeShape(shape)} has ${describeDim(want)}`,
      );
    return [tensorType(x!.dtype, shape)];
  },
  eval: ([x], _, [type]) => [{ dtype: x!.dtype, shape: staticShape(type!.shape), data: x!.data }],
  fold: [
    { name: "same shape", apply: (_, [x], { shape }) => (sameShape(shapeOf(x!), shape) ? x : undefined) },
    {
      name: "reshape of reshape",
      apply(b, [x], { shape }) {
        const inner = b.definition(x!);
        return inner?.op === "reshape" ? reshape(b, inner.operands[0]!, shape) : undefined;
      },
    },
    uniformFold((_, { shape }) => shape),
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { operands }) => [mapMaybe(ct, (c) => reshape(b, c, shapeOf(operands[0]!)))],
  },
  batch: (b, { operands, attrs, size }) => [reshape(b, operands[0]!, [size, ...attrs.shape])],
  nest: {
    kind: "map",
    value: ({ attrs, operands }, index, read) => read(0, reshapeIndex(index, attrs.shape, operands[0]!.shape)),
  },
  ulp: 0,
  bounds: noBounds,
  demand: reshapeDemand,
  sample(rng) {
    const shape = rng.shape(0, 4);
    const count = shape.reduce((n, size) => n * size, 1);
    return { operands: [plain(anyDType(rng), shape)], attrs: { shape: factored(rng, count) } };
  },
});

export type TransposeAttrs = { readonly perm: readonly number[] };

/** The permutation that undoes `perm`. */
export function invertPermutation(perm: readonly number[]): number[] {
  const out = perm.map(() => 0);
  perm.forEach((from, to) => {
    out[from] = to;
  });
  return out;
}

const transposeOp = defineOp<TransposeAttrs>({
  name: "transpose",
  doc: "Reorders axes: result axis i is operand axis perm[i].",
  attrs: { perm: "ints" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { perm }) {
    const [x] = tensors("transpose", operands, 1);
    checkLength("transpose", perm, x!, "perm");
    checkAxes("transpose", perm, x!);
    return [
      tensorType(
        x!.dtype,
        perm.map((axis) => x!.shape[axis]!),
      ),
    ];
  },
  eval([x], { perm }, [type]) {
    const inverse = invertPermutation(perm);
    return [
      hostOf(type!, (index) =>
        element(
          x!,
          inverse.map((axis) => index[axis]!),
        ),
      ),
    ];
  },
  fold: [
    { name: "identity", apply: (_, [x], { perm }) => (perm.every((axis, i) => axis === i) ? x : undefined) },
    {
      name: "transpose of transpose",
      apply(b, [x], { perm }) {
        const inner = b.definition(x!);
        if (inner?.op !== "transpose") return undefined;
        const { perm: first } = inner.attrs as TransposeAttrs;
        return transpose(
          b,
          inner.operands[0]!,
          perm.map((axis) => first[axis]!),
        );
      },
    },
    uniformFold(([x], { perm }) => perm.map((axis) => shapeOf(x!)[axis]!)),
  ],
  derivative: {
    kind: "linear",
    transpose: (b, [ct], { attrs }) => [mapMaybe(ct, (c) => transpose(b, c, invertPermutation(attrs.perm)))],
  },
  batch: (b, { operands, attrs }) => [transpose(b, operands[0]!, [0, ...behindBatch(attrs.perm)])],
  nest: {
    kind: "map",
    value: ({ attrs }, index, read) =>
      read(
        0,
        invertPermutation(attrs.perm).map((axis) => index[axis]!),
      ),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const shape = rng.shape(0, 4);
    return { operands: [plain(anyDType(rng), shape)], attrs: { perm: shuffled(rng, range(shape.length)) } };
  },
});

export type ReverseAttrs = { readonly axes: readonly number[] };

const reverseOp = defineOp<ReverseAttrs>({
  name: "reverse",
  doc: "Turns the order of elements around along the given axes.",
  attrs: { axes: "ints" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { axes }) {
    const [x] = tensors("reverse", operands, 1);
    checkAxes("reverse", axes, x!);
    checkAscending("reverse", axes, "axes");
    return [x!];
  },
  eval: ([x], { axes }, [type]) => [
    hostOf(
      type!,
      (index) =>
        x!.data[
          offsetOf(
            x!.shape,
            index.map((at, i) => (axes.includes(i) ? x!.shape[i]! - 1 - at : at)),
          )
        ]!,
    ),
  ],
  fold: [
    {
      name: "axes of one element",
      apply(b, [x], { axes }) {
        const kept = axes.filter((axis) => shapeOf(x!)[axis] !== 1);
        if (kept.length === 0) return x;
        return kept.length < axes.length ? reverse(b, x!, kept) : undefined;
      },
    },
    {
      name: "reverse of reverse",
      apply(b, [x], { axes }) {
        const inner = b.definition(x!);
        if (inner?.op !== "reverse") return undefined;
        const { axes: first } = inner.attrs as ReverseAttrs;
        const odd = range(shapeOf(x!).length).filter((axis) => axes.includes(axis) !== first.includes(axis));
        return reverse(b, inner.operands[0]!, odd);
      },
    },
    uniformFold(([x]) => shapeOf(x!)),
  ],
  derivative: { kind: "linear", transpose: (b, [ct], { attrs }) => [mapMaybe(ct, (c) => reverse(b, c, attrs.axes))] },
  batch: (b, { operands, attrs }) => [reverse(b, operands[0]!, behindBatch(attrs.axes))],
  nest: {
    kind: "map",
    value: ({ attrs, operands }, index, read) =>
      read(
        0,
        index.map((at, i) => (attrs.axes.includes(i) ? subIndex(subIndex(operands[0]!.shape[i]!, 1), at) : at)),
      ),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const shape = rng.shape(0, 4);
    return { operands: [plain(anyDType(rng), shape)], attrs: { axes: someAxes(rng, shape.length) } };
  },
});

export const movementOps: readonly OpDef[] = [broadcastOp, reshapeOp, transposeOp, reverseOp];
