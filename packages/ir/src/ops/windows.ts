/** Movement ops that cut out, surround or join: slice and pad. Index maps with guards, never kernels by themselves. */
import { defineOp, demandsAll, noBounds, type OpDef } from "../define-op.ts";
import {
  dtypeOf,
  expandScalar,
  filled,
  pad,
  range,
  rankOf,
  reduceSum,
  sameShape,
  select,
  shapeOf,
  slice,
} from "../emit.ts";
import { tensorType, type Value } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";
import {
  addIndex,
  divIndex,
  modIndex,
  scaleIndex,
  staticDim,
  subIndex,
  toDim,
  toIndex,
} from "../nest/index-algebra.ts";
import { scalarGuard } from "../nest/scalar-expr.ts";
import { element, hostOf } from "./host.ts";
import { uniformFold } from "./movement.ts";
import {
  checkLength,
  constantNumber,
  describeDim,
  describeShape,
  describeType,
  fail,
  tensors,
  uniformOf,
  withBatch,
} from "./rules.ts";
import { anyDType, plain } from "./sampling.ts";

export type SliceAttrs = {
  readonly start: readonly Dim[];
  readonly limit: readonly Dim[];
  readonly step: readonly number[];
};

/** ceil((limit - start) / step) */
const sliceSize = (start: Dim, limit: Dim, step: number): Dim =>
  toDim(divIndex(addIndex(subIndex(limit, start), step - 1), step));

const sliceShape = ({ start, limit, step }: SliceAttrs): Dim[] =>
  start.map((at, i) => sliceSize(at, limit[i]!, step[i]!));

const zeros = (x: { readonly length: number }): number[] => Array.from({ length: x.length }, () => 0);

const sliceOp = defineOp<SliceAttrs>({
  name: "slice",
  doc: "Elements start, start + step, ... below limit along each axis.",
  attrs: { start: "dims", limit: "dims", step: "ints" },
  groups: [],
  effect: false,
  cost: () => 0,
  type(operands, attrs) {
    const [x] = tensors("slice", operands, 1);
    for (const [what, list] of Object.entries(attrs)) checkLength("slice", list, x!, what);
    x!.shape.forEach((size, i) => {
      const [start, limit, n] = [toIndex(attrs.start[i]!), toIndex(attrs.limit[i]!), toIndex(size)];
      if (attrs.step[i]! < 1 || !Number.isInteger(attrs.step[i]))
        fail("slice", `step ${attrs.step[i]} of axis ${i} is not a positive integer`);
      // Where a size is symbolic only what is certainly wrong is refused: bounds of the difference, not of the parts.
      if (start.hi < 0 || subIndex(limit, start).hi < 0 || subIndex(n, limit).hi < 0)
        fail(
          "slice",
          `${describeDim(attrs.start[i]!)}..${describeDim(attrs.limit[i]!)} is outside axis ${i} of ${describeType(x!)}`,
        );
    });
    return [tensorType(x!.dtype, sliceShape(attrs))];
  },
  eval: ([x], { start, step }, [type]) => [
    hostOf(type!, (index) =>
      element(
        x!,
        index.map((at, i) => staticDim(start[i]!) + at * step[i]!),
      ),
    ),
  ],
  fold: [
    {
      name: "whole",
      apply: (_, [x], attrs) =>
        sameShape(sliceShape(attrs), shapeOf(x!)) && attrs.step.every((s, i) => s === 1 || shapeOf(x!)[i] === 1)
          ? x
          : undefined,
    },
    {
      name: "slice of slice",
      apply(b, [x], { start, limit, step }) {
        const inner = b.definition(x!);
        if (inner?.op !== "slice") return undefined;
        const outer = inner.attrs as SliceAttrs;
        const at = (dims: readonly Dim[]): Dim[] =>
          dims.map((dim, i) => toDim(addIndex(outer.start[i]!, scaleIndex(dim, outer.step[i]!))));
        // The last element, not the limit, is what must stay inside the first slice.
        const size = start.map((from, i) => sliceSize(from, limit[i]!, step[i]!));
        const steps = step.map((s, i) => s * outer.step[i]!);
        // An empty slice at the end of a strided one would begin past the operand.
        const begin = at(start).map((from, i) => (size[i] === 0 ? outer.start[i]! : from));
        const end = begin.map((from, i) =>
          size[i] === 0 ? from : toDim(addIndex(addIndex(from, scaleIndex(subIndex(size[i]!, 1), steps[i]!)), 1)),
        );
        return slice(b, inner.operands[0]!, begin, end, steps);
      },
    },
    {
      name: "slice of one part of a concat",
      apply(b, [x], { start, limit, step }) {
        const inner = b.definition(x!);
        if (inner?.op !== "concat") return undefined;
        const axis = inner.attrs["axis"] as number;
        const [from, to] = [start[axis]!, limit[axis]!];
        if (typeof from !== "number" || typeof to !== "number") return undefined;
        let offset = 0;
        for (const part of inner.operands) {
          const size = shapeOf(part)[axis]!;
          if (typeof size !== "number") return undefined;
          if (offset <= from && to <= offset + size) {
            const at = (dims: readonly Dim[]): Dim[] =>
              dims.map((dim, i) => (i === axis ? (dim as number) - offset : dim));
            return slice(b, part, at(start), at(limit), step);
          }
          offset += size;
        }
        return undefined;
      },
    },
    {
      name: "slice inside a pad",
      apply(b, [x], { start, limit, step }) {
        const inner = b.definition(x!);
        if (inner?.op !== "pad") return undefined;
        const { lo, interior } = inner.attrs as PadAttrs;
        const source = inner.operands[0]!;
        const inside = shapeOf(source).every((size, i) => {
          const [from, to] = [start[i]!, limit[i]!];
          if (typeof from !== "number" || typeof to !== "number" || typeof size !== "number") return false;
          return interior[i] === 0 && from >= lo[i]! && to <= lo[i]! + size && to > from;
        });
        if (!inside) return undefined;
        const at = (dims: readonly Dim[]): Dim[] => dims.map((dim, i) => (dim as number) - lo[i]!);
        return slice(b, source, at(start), at(limit), step);
      },
    },
    uniformFold((_, attrs) => sliceShape(attrs)),
  ],
  derivative: {
    kind: "linear",
    transpose(b, [ct], { operands, attrs }) {
      if (ct == null) return [null];
      const from = attrs.start.map(staticDim);
      const hi = shapeOf(operands[0]!).map((size, i) => {
        const count = staticDim(shapeOf(ct)[i]!);
        return staticDim(size) - from[i]! - (count > 0 ? (count - 1) * attrs.step[i]! + 1 : 0);
      });
      return [
        pad(
          b,
          ct,
          b.scalar(dtypeOf(ct), 0),
          from,
          hi,
          attrs.step.map((s) => s - 1),
        ),
      ];
    },
  },
  batch: (b, { operands, attrs, size }) => [
    slice(b, operands[0]!, [0, ...attrs.start], [size, ...attrs.limit], [1, ...attrs.step]),
  ],
  nest: {
    kind: "map",
    value: ({ attrs }, index, read) =>
      read(
        0,
        index.map((at, i) => addIndex(attrs.start[i]!, scaleIndex(at, attrs.step[i]!))),
      ),
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const shape = rng.shape(0, 4);
    const start = shape.map((size) => rng.int(0, size));
    const limit = shape.map((size, i) => rng.int(start[i]!, size));
    return { operands: [plain(anyDType(rng), shape)], attrs: { start, limit, step: shape.map(() => rng.int(1, 3)) } };
  },
});

export type PadAttrs = {
  readonly lo: readonly number[];
  readonly hi: readonly number[];
  readonly interior: readonly number[];
};

/** Size of an axis with `interior` values between its elements. */
function spread(size: Dim, interior: number): Dim {
  if (size === 0 || interior === 0) return size;
  return toDim(addIndex(scaleIndex(subIndex(size, 1), interior + 1), 1));
}
const padShape = (x: readonly Dim[], { lo, hi, interior }: PadAttrs): Dim[] =>
  x.map((size, i) => toDim(addIndex(spread(size, interior[i]!), lo[i]! + hi[i]!)));

/** Whether a position of a padded shape is an element of the operand. */
function insideMask(b: Parameters<typeof pad>[0], x: Value, attrs: PadAttrs): Value {
  return pad(b, filled(b, "bool", shapeOf(x), 1), b.scalar("bool", 0), attrs.lo, attrs.hi, attrs.interior);
}

const padOp = defineOp<PadAttrs>({
  name: "pad",
  doc: "x surrounded by a scalar value: lo before, hi after and interior between its elements; negative lo and hi cut off.",
  attrs: { lo: "ints", hi: "ints", interior: "ints" },
  groups: [],
  effect: false,
  cost: () => 1,
  type(operands, attrs) {
    const [x, value] = tensors("pad", operands, 2);
    for (const [what, list] of Object.entries(attrs)) checkLength("pad", list, x!, what);
    if (value!.shape.length !== 0 || value!.dtype !== x!.dtype)
      fail("pad", `the value for ${describeType(x!)} must be a scalar ${x!.dtype}, got ${describeType(value!)}`);
    if (attrs.interior.some((n) => n < 0)) fail("pad", `interior ${describeShape(attrs.interior)} is negative`);
    const shape = padShape(x!.shape, attrs);
    if (shape.some((size) => toIndex(size).hi < 0))
      fail(
        "pad",
        `lo ${describeShape(attrs.lo)} and hi ${describeShape(attrs.hi)} cut off more than ${describeType(x!)} has`,
      );
    return [tensorType(x!.dtype, shape)];
  },
  eval: ([x, value], { lo, interior }, [type]) => [
    hostOf(type!, (index) => {
      const at = index.map((position, i) => (position - lo[i]!) / (interior[i]! + 1));
      const inside = at.every((position, i) => Number.isInteger(position) && position >= 0 && position < x!.shape[i]!);
      return inside ? element(x!, at) : value!.data[0]!;
    }),
  ],
  fold: [
    {
      name: "nothing added",
      apply: (_, [x], attrs) =>
        sameShape(padShape(shapeOf(x!), attrs), shapeOf(x!)) &&
        attrs.lo.every((n) => n === 0) &&
        attrs.interior.every((n, i) => n === 0 || shapeOf(x!)[i] === 1)
          ? x
          : undefined,
    },
    {
      name: "only cuts",
      apply(b, [x], { lo, hi, interior }) {
        if (interior.some((n) => n !== 0) || lo.some((n) => n > 0) || hi.some((n) => n > 0)) return undefined;
        return slice(
          b,
          x!,
          lo.map((n) => 0 - n),
          shapeOf(x!).map((size, i) => toDim(addIndex(size, hi[i]!))),
        );
      },
    },
    {
      name: "pad of pad",
      apply(b, [x, value], attrs) {
        const inner = b.definition(x!);
        if (inner?.op !== "pad" || inner.operands[1] !== value) return undefined;
        const first = inner.attrs as PadAttrs;
        const grows = [attrs, first].every((a) => a.lo.every((n) => n >= 0) && a.hi.every((n) => n >= 0));
        if (!grows || attrs.interior.some((n) => n !== 0)) return undefined;
        const sum = (a: readonly number[], c: readonly number[]): number[] => a.map((n, i) => n + c[i]!);
        return pad(b, inner.operands[0]!, value!, sum(first.lo, attrs.lo), sum(first.hi, attrs.hi), first.interior);
      },
    },
    {
      name: "uniform operand of the same value",
      apply(b, [x, value], attrs) {
        const scalar = uniformOf(b, x!);
        if (scalar === undefined) return undefined;
        const [p, q] = [constantNumber(b, scalar), constantNumber(b, value!)];
        const same = scalar === value || (p !== undefined && Object.is(p, q));
        return same ? expandScalar(b, scalar, padShape(shapeOf(x!), attrs)) : undefined;
      },
    },
  ],
  derivative: {
    kind: "linear",
    transpose(b, [ct], { operands, attrs }) {
      if (ct == null) return [null, null];
      const x = operands[0]!;
      const zero = b.scalar(dtypeOf(ct), 0);
      const trimmed = pad(
        b,
        ct,
        zero,
        attrs.lo.map((n) => 0 - n),
        attrs.hi.map((n) => 0 - n),
      );
      const dx = slice(
        b,
        trimmed,
        zeros(attrs.lo),
        shapeOf(trimmed),
        attrs.interior.map((n) => n + 1),
      );
      // By a mask and not as a difference of two sums, which would cancel.
      const outside = select(b, insideMask(b, x, attrs), zero, ct);
      return [dx, reduceSum(b, outside, range(rankOf(ct)))];
    },
  },
  batch(b, ctx) {
    const { operands, batched, attrs } = ctx;
    const front: PadAttrs = { lo: [0, ...attrs.lo], hi: [0, ...attrs.hi], interior: [0, ...attrs.interior] };
    const x = withBatch(b, ctx, 0);
    if (!batched[1]) return [pad(b, x, operands[1]!, front.lo, front.hi, front.interior)];
    const padded = pad(b, x, b.scalar(dtypeOf(x), 0), front.lo, front.hi, front.interior);
    const value = b.emit("broadcast", [operands[1]!], { shape: shapeOf(padded), dims: [0] });
    return [select(b, insideMask(b, x, front), padded, value)];
  },
  nest: {
    kind: "map",
    value({ attrs, operands }, index, read) {
      const shape = operands[0]!.shape;
      const from = index.map((at, i) => subIndex(at, attrs.lo[i]!));
      const guard = from.flatMap((at, i) => {
        const step = attrs.interior[i]! + 1;
        const range = { index: at, lo: 0, hi: spread(shape[i]!, attrs.interior[i]!) };
        return step === 1 ? [range] : [range, { index: modIndex(at, step), lo: 0, hi: 1 }];
      });
      return scalarGuard(
        guard,
        read(
          0,
          from.map((at, i) => divIndex(at, attrs.interior[i]! + 1)),
        ),
        read(1, []),
      );
    },
  },
  ulp: 0,
  bounds: noBounds,
  demand: demandsAll,
  sample(rng) {
    const dtype = anyDType(rng);
    const shape = rng.shape(0, 4);
    const interior = shape.map(() => rng.pick([0, 0, 0, 1, 2]));
    const lo = shape.map(() => rng.pick([0, 0, 1, 3, -1]));
    const hi = shape.map((size, i) => {
      const used = staticDim(spread(size, interior[i]!)) + lo[i]!;
      return Math.max(-used, rng.pick([0, 0, 1, 3, -1]));
    });
    return { operands: [plain(dtype, shape), plain(dtype, [])], attrs: { lo, hi, interior } };
  },
});

export const windowOps: readonly OpDef[] = [sliceOp, padOp];
