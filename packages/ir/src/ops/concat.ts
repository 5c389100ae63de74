/** The op that joins tensors along an axis: in a nest, one guarded read for each part. */
import { defineOp, demandsAll, noBounds, type OpDef } from "../define-op.ts";
import { concat, otherAxes, range, shapeOf, sliceAxis } from "../emit.ts";
import { type TensorType, tensorType } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";
import { addIndex, indexZero, sameIndex, subIndex, toDim, toIndex } from "../nest/index-algebra.ts";
import { scalarConst, scalarGuard } from "../nest/scalar-expr.ts";
import { element, hostOf } from "./host.ts";
import { checkAxis, describeType, fail, listed, tensors, withBatch } from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

export type ConcatAttrs = { readonly axis: number };

const concatSize = (types: readonly TensorType[], axis: number): Dim =>
  toDim(types.reduce((sum, t) => addIndex(sum, t.shape[axis]!), indexZero));

export const concatOp: OpDef = defineOp<ConcatAttrs>({
  name: "concat",
  doc: "Joins tensors along an axis; the other sizes must agree.",
  attrs: { axis: "int" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, { axis }) {
    const types = tensors("concat", operands, 1, true);
    const [first] = types;
    checkAxis("concat", axis, first!);
    for (const t of types) {
      const fits = t.dtype === first!.dtype && t.shape.length === first!.shape.length;
      if (!fits || otherAxes(t.shape.length, [axis]).some((i) => !sameIndex(t.shape[i]!, first!.shape[i]!)))
        fail("concat", `joins tensors that differ in axis ${axis} only, got ${listed(types.map(describeType))}`);
    }
    const shape = first!.shape.map((size, i) => (i === axis ? concatSize(types, axis) : size));
    return [tensorType(first!.dtype, shape)];
  },
  eval: (parts, { axis }, [type]) => [
    hostOf(type!, (index) => {
      let at = index[axis]!;
      for (const part of parts) {
        if (at < part.shape[axis]!)
          return element(
            part,
            index.map((k, i) => (i === axis ? at : k)),
          );
        at -= part.shape[axis]!;
      }
      throw new Error("concat: position past the last part");
    }),
  ],
  fold: [
    { name: "single part", apply: (_, parts) => (parts.length === 1 ? parts[0] : undefined) },
    {
      name: "empty parts",
      apply(b, parts, { axis }) {
        const kept = parts.filter((part) => shapeOf(part)[axis] !== 0);
        return kept.length === parts.length ? undefined : concat(b, kept.length === 0 ? parts.slice(0, 1) : kept, axis);
      },
    },
    {
      name: "concat of concat",
      apply(b, parts, { axis }) {
        const flat = parts.flatMap((part) => {
          const inner = b.definition(part);
          return inner?.op === "concat" && inner.attrs["axis"] === axis ? inner.operands : [part];
        });
        return flat.length === parts.length ? undefined : concat(b, flat, axis);
      },
    },
  ],
  derivative: {
    kind: "linear",
    transpose(b, [ct], { operands, attrs: { axis } }) {
      let offset = indexZero;
      return operands.map((part) => {
        const start = offset;
        offset = addIndex(offset, shapeOf(part)[axis]!);
        return ct == null ? null : sliceAxis(b, ct, axis, toDim(start), toDim(offset));
      });
    },
  },
  batch: (b, ctx) => [
    concat(
      b,
      ctx.operands.map((_, i) => withBatch(b, ctx, i)),
      ctx.attrs.axis + 1,
    ),
  ],
  nest: {
    kind: "map",
    value({ attrs: { axis }, operands, results }, index, read) {
      // Every part has its full range as a guard, so that a part can be read without knowing the others.
      let end = toIndex(results[0]!.shape[axis]!);
      let value = scalarConst(results[0]!.dtype, 0);
      for (let i = operands.length - 1; i >= 0; i--) {
        const start = subIndex(end, operands[i]!.shape[axis]!);
        const at = index.map((k, j) => (j === axis ? subIndex(k, start) : k));
        value = scalarGuard([{ index: index[axis]!, lo: toDim(start), hi: toDim(end) }], read(i, at), value);
        end = start;
      }
      return value;
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const dtype = anyDType(rng);
    const shape = rng.shape(1, 4);
    const axis = rng.int(0, shape.length - 1);
    const parts = range(rng.int(1, 4)).map(() => shape.map((size, i) => (i === axis ? rng.pick([1, 2, 5, 0]) : size)));
    return { operands: parts.map((part) => plain(dtype, part)), attrs: { axis } };
  },
});
