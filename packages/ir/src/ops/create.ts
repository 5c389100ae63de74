/** Ops that make elements out of nothing: const, iota. Random ones are in random.ts. */
import { defineOp, demandsAll, noBounds, type OpDef } from "../define-op.ts";
import { allocate, type DType, dtypeOfArray, roundTo, type TypedArray } from "../dtype.ts";
import { tensorType } from "../graph.ts";
import type { Dim, IndexExpr, ScalarExpr } from "../nest/expr.ts";
import { sizeOf, staticDim, toIndex } from "../nest/index-algebra.ts";
import { scalarCast, scalarConst, scalarGuard, scalarIndex } from "../nest/scalar-expr.ts";
import { hostOf } from "./host.ts";
import { checkAxis, describeShape, fail, repeatBatch, tensors } from "./rules.ts";
import { anyDType, numericDType } from "./sampling.ts";

export type ConstAttrs = { readonly dtype: DType; readonly shape: readonly number[]; readonly data: TypedArray };

const constOp = defineOp<ConstAttrs>({
  name: "const",
  doc: "A tensor of known contents.",
  attrs: { dtype: "dtype", shape: "ints", data: "data" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, { dtype, shape, data }) {
    tensors("const", operands, 0);
    if (staticDim(sizeOf(shape)) !== data.length)
      fail(
        "const",
        `the shape ${describeShape(shape)} has ${staticDim(sizeOf(shape))} elements, the data ${data.length}`,
      );
    if (dtypeOfArray(data) !== dtype) fail("const", `data for ${dtype} is held in a ${data.constructor.name}`);
    return [tensorType(dtype, shape)];
  },
  eval: (_, { dtype, shape, data }) => [{ dtype, shape, data }],
  fold: [],
  derivative: { kind: "none", reason: "a constant does not vary" },
  batch: (b, { attrs, size }) => [repeatBatch(b, b.emit("const", [], attrs), size)],
  nest: {
    kind: "map",
    // Small enough to live in the code: a scalar, or a choice between its elements. Larger ones come in as buffers.
    value: ({ attrs: { dtype, shape, data } }, index) => elementAt(dtype, shape, data, index, 0, 0),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const [dtype, shape] = [anyDType(rng), rng.shape(0, 2)];
    const data = allocate(dtype, staticDim(sizeOf(shape)));
    const lo = dtype === "u32" || dtype === "bool" ? 0 : -4;
    for (let i = 0; i < data.length; i++) data[i] = roundTo(dtype, dtype === "bool" ? rng.int(0, 1) : rng.real(lo, 4));
    return { operands: [], attrs: { dtype, shape, data } };
  },
});

/** The element at a position, as a chain of guards over one axis after the other. */
function elementAt(
  dtype: DType,
  shape: readonly number[],
  data: TypedArray,
  index: readonly IndexExpr[],
  axis: number,
  offset: number,
): ScalarExpr {
  if (axis === shape.length) return scalarConst(dtype, data[offset]!);
  const at = (k: number): ScalarExpr => elementAt(dtype, shape, data, index, axis + 1, offset * shape[axis]! + k);
  let value = shape[axis]! > 0 ? at(shape[axis]! - 1) : scalarConst(dtype, 0);
  for (let k = shape[axis]! - 2; k >= 0; k--)
    value = scalarGuard([{ index: index[axis]!, lo: k, hi: k + 1 }], at(k), value);
  return value;
}

export type IotaAttrs = { readonly dtype: DType; readonly shape: readonly Dim[]; readonly axis: number };

const iotaOp = defineOp<IotaAttrs>({
  name: "iota",
  doc: "Each element is its own position along an axis: 0, 1, 2, ...",
  attrs: { dtype: "dtype", shape: "dims", axis: "int" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, { dtype, shape, axis }) {
    tensors("iota", operands, 0);
    const type = tensorType(dtype, shape);
    checkAxis("iota", axis, type);
    if (dtype === "bool") fail("iota", "positions are numbers, not bool");
    return [type];
  },
  eval: (_, { axis }, [type]) => [hostOf(type!, (index) => index[axis]!)],
  fold: [],
  derivative: { kind: "none", reason: "positions do not vary" },
  batch: (b, { attrs, size }) => [repeatBatch(b, b.emit("iota", [], attrs), size)],
  nest: { kind: "map", value: ({ attrs }, index) => scalarCast(scalarIndex(index[attrs.axis]!), attrs.dtype) },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const shape = rng.shape(1, 4);
    return { operands: [], attrs: { dtype: numericDType(rng), shape, axis: rng.int(0, shape.length - 1) } };
  },
});

export type DimAttrs = { readonly size: readonly Dim[] };

const dimOp = defineOp<DimAttrs>({
  name: "dim",
  doc: "A size as a scalar i32: how a program computes with what only its arguments tell.",
  attrs: { size: "dims" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, { size }) {
    tensors("dim", operands, 0);
    if (size.length !== 1) fail("dim", `takes one size, got ${size.length}`);
    return [tensorType("i32", [])];
  },
  eval: (_, { size }, [type]) => [hostOf(type!, () => staticDim(size[0]!))],
  fold: [
    {
      name: "known size",
      apply: (b, _, { size: [size] }) => (typeof size === "number" ? b.scalar("i32", size) : undefined),
    },
  ],
  derivative: { kind: "none", reason: "sizes do not vary" },
  batch: (b, { attrs, size }) => [repeatBatch(b, b.emit("dim", [], attrs), size)],
  nest: { kind: "map", value: ({ attrs }) => scalarIndex(toIndex(attrs.size[0]!)) },
  bounds: noBounds,
  demand: demandsAll,
  ulp: 0,
  sample: (rng) => ({ operands: [], attrs: { size: [rng.int(0, 100)] } }),
});

export const createOps: readonly OpDef[] = [constOp, iotaOp, dimOp];
