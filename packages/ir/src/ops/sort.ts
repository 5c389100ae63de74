/** Ordering along an axis: sorted values, and the positions they come from. Stable, NaN last in either direction. */
import { defineOp, demandsAll, type Emitter, noBounds, type OpDef, type Rng, type SampledOp } from "../define-op.ts";
import { isFloat } from "../dtype.ts";
import { argSort, gather, iota, range, rankOf, scatter, shapeOf, zerosLike } from "../emit.ts";
import { tensorType, type Value } from "../graph.ts";
import { staticDim } from "../nest/index-algebra.ts";
import { eachIndex, element, hostOf, offsetOf, staticShape } from "./host.ts";
import { checkAxis, mapMaybe, tensors } from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";
import { sortLoops } from "./sort-loops.ts";

export type SortAttrs = { readonly axis: number; readonly descending: boolean };

/** Positions along the axis in order, line by line, row-major in the shape of x. */
function orderOf(x: Parameters<typeof element>[0], { axis, descending }: SortAttrs): Int32Array {
  const out = new Int32Array(x.data.length);
  const size = x.shape[axis]!;
  const sign = descending ? -1 : 1;
  eachIndex(
    x.shape.map((n, i) => (i === axis ? Math.min(1, n) : n)),
    (line) => {
      const at = (k: number): number[] => line.map((p, i) => (i === axis ? k : p));
      const values = range(size).map((k) => element(x, at(k)));
      const rank = (a: number, b: number): number => {
        if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
        return a === b ? 0 : sign * (a < b ? -1 : 1);
      };
      const order = range(size).sort((p, q) => rank(values[p]!, values[q]!));
      for (const [k, position] of order.entries()) out[offsetOf(x.shape, at(k))] = position;
    },
  );
  return out;
}

/** Index tensors that stay in place along every axis but one, where they are the positions in order. */
function places(b: Emitter, x: Value, { axis, descending }: SortAttrs): Value[] {
  const order = argSort(b, x, axis, descending);
  return range(rankOf(x)).map((i) => (i === axis ? order : iota(b, "i32", shapeOf(x), i)));
}

function sample(rng: Rng): SampledOp<SortAttrs> {
  const dtype = anyDType(rng);
  const shape = rng.shape(1, 3);
  // Ties among integers and bools; floats differ, so that derivatives exist.
  const operand = plain(dtype, shape, isFloat(dtype) ? { distinct: true } : {});
  return { operands: [operand], attrs: { axis: rng.int(0, shape.length - 1), descending: rng.bool() } };
}

const comparisons = (size: number): number => 4 * Math.ceil(Math.log2(Math.max(2, size)));

const sortOp = defineOp<SortAttrs>({
  name: "sort",
  doc: "The elements in ascending (or descending) order along an axis; equal ones keep their order, NaN comes last.",
  attrs: { axis: "int", descending: "bool" },
  groups: [],
  effect: false,
  cost: ({ operands: [x], attrs }) => comparisons(staticDim(x!.shape[attrs.axis]!)),
  type(operands, { axis }) {
    const [x] = tensors("sort", operands, 1);
    checkAxis("sort", axis, x!);
    return [x!];
  },
  eval([x], attrs, [type]) {
    const order = orderOf(x!, attrs);
    return [
      hostOf(type!, (index, offset) =>
        element(
          x!,
          index.map((k, i) => (i === attrs.axis ? order[offset]! : k)),
        ),
      ),
    ];
  },
  fold: [{ name: "axis of one element", apply: (_b, [x], { axis }) => (isShort(x!, axis) ? x : undefined) }],
  derivative: {
    kind: "custom",
    vjp: (b, [ct], { operands: [x], attrs }) => [
      mapMaybe(ct, (c) => scatter(b, "add", zerosLike(b, x!), c, range(rankOf(x!)), places(b, x!, attrs))),
    ],
    jvp: (b, [t], { operands: [x], attrs }) => [
      mapMaybe(t, (v) => gather(b, v, range(rankOf(x!)), places(b, x!, attrs))),
    ],
  },
  batch: (b, { operands, attrs }) => [b.emit("sort", operands, { ...attrs, axis: attrs.axis + 1 })],
  nest: {
    kind: "library",
    build: ({ operands: [x], attrs }, name) => sortLoops(name, x!.dtype, staticShape(x!.shape), attrs, "values"),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample,
});

const argSortOp = defineOp<SortAttrs>({
  name: "argSort",
  doc: "The positions (i32) along an axis that bring its elements into order, as in `sort`.",
  attrs: { axis: "int", descending: "bool" },
  groups: [],
  effect: false,
  cost: ({ operands: [x], attrs }) => comparisons(staticDim(x!.shape[attrs.axis]!)),
  type(operands, { axis }) {
    const [x] = tensors("argSort", operands, 1);
    checkAxis("argSort", axis, x!);
    return [tensorType("i32", x!.shape)];
  },
  eval([x], attrs, [type]) {
    const order = orderOf(x!, attrs);
    return [hostOf(type!, (_, offset) => order[offset]!)];
  },
  fold: [
    {
      name: "axis of one element",
      apply: (b, [x], { axis }) => (isShort(x!, axis) ? iota(b, "i32", shapeOf(x!), axis) : undefined),
    },
  ],
  derivative: { kind: "none", reason: "positions are integers" },
  batch: (b, { operands, attrs }) => [b.emit("argSort", operands, { ...attrs, axis: attrs.axis + 1 })],
  nest: {
    kind: "library",
    build: ({ operands: [x], attrs }, name) => sortLoops(name, x!.dtype, staticShape(x!.shape), attrs, "positions"),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample,
});

const isShort = (x: Value, axis: number): boolean => shapeOf(x)[axis] === 1;

export const sortOps: readonly OpDef[] = [sortOp, argSortOp];
