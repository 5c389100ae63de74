/**
 * Typed sugar over `Emitter` for rules and passes: one function per op, so that op names and attribute names are written
 * once. It checks nothing and simplifies nothing: type rules and folds do.
 */
import type { Emitter } from "./define-op.ts";
import type { DType } from "./dtype.ts";
import { typeOf, type Value } from "./graph.ts";
import type { Dim } from "./nest/expr.ts";
import { sameIndex, toIndex } from "./nest/index-algebra.ts";
import type { ScalarAlgebra, ScalarOpName } from "./scalar-ops.ts";

export type ReduceOp = "add" | "mul" | "max" | "min" | "and" | "or";
export type CumulateOp = "add" | "mul" | "max" | "min";
export type ScatterCombine = "set" | "add" | "mul" | "max" | "min";

/** Attributes of a convolution: leading batch axes, then one entry for each spatial axis. */
export type ConvDims = {
  readonly batch: number;
  readonly strides: readonly number[];
  readonly lo: readonly number[];
  readonly hi: readonly number[];
  readonly xDilation: readonly number[];
  readonly wDilation: readonly number[];
};

/** Windows on all axes of a tensor: elements, distances of windows and of their elements, places added at both ends. */
export type WindowDims = {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly lo: readonly number[];
  readonly hi: readonly number[];
  readonly dilation: readonly number[];
};

/** Dimension numbers of a contraction: `[axes of the left operand, axes of the right operand]`. */
export interface DotDims {
  readonly batch: readonly (readonly number[])[];
  readonly contract: readonly (readonly number[])[];
}

export const shapeOf = (x: Value): readonly Dim[] => typeOf(x).shape;
export const rankOf = (x: Value): number => typeOf(x).shape.length;
export const dtypeOf = (x: Value): DType => typeOf(x).dtype;
export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((dim, i) => sameIndex(dim, b[i]!));

/** 0, 1, ... count - 1 */
export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The axes of a value of `rank` axes that `axes` leaves out, ascending. */
export const otherAxes = (rank: number, axes: readonly number[]): number[] =>
  range(rank).filter((i) => !axes.includes(i));

/** Any row of the scalar-op table. */
export const elementwise = (b: Emitter, op: ScalarOpName, ...args: readonly Value[]): Value => b.emit(op, args);
export const neg = (b: Emitter, x: Value): Value => b.emit("neg", [x]);
export const not = (b: Emitter, x: Value): Value => b.emit("not", [x]);
export const sqrt = (b: Emitter, x: Value): Value => b.emit("sqrt", [x]);
export const reciprocal = (b: Emitter, x: Value): Value => b.emit("reciprocal", [x]);
export const add = (b: Emitter, x: Value, y: Value): Value => b.emit("add", [x, y]);
export const sub = (b: Emitter, x: Value, y: Value): Value => b.emit("sub", [x, y]);
export const mul = (b: Emitter, x: Value, y: Value): Value => b.emit("mul", [x, y]);
export const div = (b: Emitter, x: Value, y: Value): Value => b.emit("div", [x, y]);
export const maximum = (b: Emitter, x: Value, y: Value): Value => b.emit("max", [x, y]);
export const minimum = (b: Emitter, x: Value, y: Value): Value => b.emit("min", [x, y]);
export const equal = (b: Emitter, x: Value, y: Value): Value => b.emit("eq", [x, y]);
export const greater = (b: Emitter, x: Value, y: Value): Value => b.emit("gt", [x, y]);
export const less = (b: Emitter, x: Value, y: Value): Value => b.emit("lt", [x, y]);
export const and = (b: Emitter, x: Value, y: Value): Value => b.emit("and", [x, y]);
export const select = (b: Emitter, condition: Value, x: Value, y: Value): Value => b.emit("select", [condition, x, y]);
export const cast = (b: Emitter, x: Value, dtype: DType): Value => b.emit("cast", [x], { dtype });
export const bitcast = (b: Emitter, x: Value, dtype: DType): Value => b.emit("bitcast", [x], { dtype });

/** The algebra that the scalar table's derivatives are written in, with constants of rank 0. */
export function scalarAlgebra(b: Emitter, dtype: DType): ScalarAlgebra<Value> {
  return { op: (name, ...args) => b.emit(name, args), constant: (value) => b.scalar(dtype, value) };
}

export const iota = (b: Emitter, dtype: DType, shape: readonly Dim[], axis: number): Value =>
  b.emit("iota", [], { dtype, shape, axis });
/** A tensor whose elements all equal `value`. */
export const filled = (b: Emitter, dtype: DType, shape: readonly Dim[], value: number): Value =>
  expandScalar(b, b.scalar(dtype, value), shape);
export const zerosLike = (b: Emitter, x: Value): Value => filled(b, dtypeOf(x), shapeOf(x), 0);
/** A rank-0 value at every position of a shape. */
export const expandScalar = (b: Emitter, x: Value, shape: readonly Dim[]): Value =>
  shape.length === 0 ? x : broadcastTo(b, x, shape, []);

/** Operand axis i becomes result axis `dims[i]`; the other axes repeat it. */
export const broadcastTo = (b: Emitter, x: Value, shape: readonly Dim[], dims: readonly number[]): Value =>
  b.emit("broadcast", [x], { shape, dims });
export const reshape = (b: Emitter, x: Value, shape: readonly Dim[]): Value => b.emit("reshape", [x], { shape });
export const transpose = (b: Emitter, x: Value, perm: readonly number[]): Value => b.emit("transpose", [x], { perm });
export const slice = (
  b: Emitter,
  x: Value,
  start: readonly Dim[],
  limit: readonly Dim[],
  step: readonly number[] = start.map(() => 1),
): Value => b.emit("slice", [x], { start, limit, step });
export const pad = (
  b: Emitter,
  x: Value,
  value: Value,
  lo: readonly number[],
  hi: readonly number[],
  interior: readonly number[] = lo.map(() => 0),
): Value => b.emit("pad", [x, value], { lo, hi, interior });
export const reverse = (b: Emitter, x: Value, axes: readonly number[]): Value => b.emit("reverse", [x], { axes });
export const concat = (b: Emitter, parts: readonly Value[], axis: number): Value => b.emit("concat", parts, { axis });

/** Positions start..limit of one axis, all of the others. */
export function sliceAxis(b: Emitter, x: Value, axis: number, start: Dim, limit: Dim): Value {
  const shape = shapeOf(x);
  return slice(
    b,
    x,
    shape.map((_, i) => (i === axis ? start : 0)),
    shape.map((n, i) => (i === axis ? limit : n)),
  );
}
/** Moves one axis to another place, the others keep their order. */
export function moveAxis(b: Emitter, x: Value, from: number, to: number): Value {
  const perm = otherAxes(rankOf(x), [from]);
  perm.splice(to, 0, from);
  return transpose(b, x, perm);
}
/** Element i of the result along `axis` is element i - amount of x, and `fill` where there is none. */
export function shift(b: Emitter, x: Value, axis: number, amount: number, fill: Value): Value {
  const at = (n: number): number[] => range(rankOf(x)).map((i) => (i === axis ? n : 0));
  return pad(b, x, fill, at(amount), at(-amount));
}

export const reduce = (b: Emitter, op: ReduceOp, x: Value, axes: readonly number[]): Value =>
  b.emit("reduce", [x], { op, axes });
export const reduceSum = (b: Emitter, x: Value, axes: readonly number[]): Value => reduce(b, "add", x, axes);
export const argReduce = (b: Emitter, op: "max" | "min", x: Value, axis: number): Value =>
  b.emit("argReduce", [x], { op, axis });
/** Undoes the loss of axes by a reduction: `x` repeated along `axes` of `shape`. */
export const expandAxes = (b: Emitter, x: Value, shape: readonly Dim[], axes: readonly number[]): Value =>
  broadcastTo(b, x, shape, otherAxes(shape.length, axes));
export const cumulate = (
  b: Emitter,
  op: CumulateOp,
  x: Value,
  axis: number,
  options: { readonly reverse?: boolean; readonly exclusive?: boolean } = {},
): Value =>
  b.emit("cumulate", [x], { op, axis, reverse: options.reverse ?? false, exclusive: options.exclusive ?? false });

export const argSort = (b: Emitter, x: Value, axis: number, descending: boolean): Value =>
  b.emit("argSort", [x], { axis, descending });
export const dot = (b: Emitter, x: Value, y: Value, dims: DotDims): Value =>
  b.emit("dot", [x, y], { batch: dims.batch, contract: dims.contract });

export const conv = (b: Emitter, x: Value, w: Value, attrs: ConvDims): Value => b.emit("conv", [x, w], attrs);

export const reduceWindow = (b: Emitter, op: "add" | "max" | "min", x: Value, dims: WindowDims): Value =>
  b.emit("reduceWindow", [x], { op, ...dims });
export const argWindow = (b: Emitter, op: "max" | "min", x: Value, dims: WindowDims): Value =>
  b.emit("argWindow", [x], { op, ...dims });
export const pickWindow = (b: Emitter, x: Value, positions: Value, dims: WindowDims): Value =>
  b.emit("pickWindow", [x, positions], dims);
export const spreadWindow = (b: Emitter, y: Value, positions: Value, dims: WindowDims, size: readonly Dim[]): Value =>
  b.emit("spreadWindow", [y, positions], { ...dims, size });

export const gather = (b: Emitter, x: Value, axes: readonly number[], indices: readonly Value[]): Value =>
  b.emit("gather", [x, ...indices], { axes });
export const scatter = (
  b: Emitter,
  combine: ScatterCombine,
  base: Value,
  updates: Value,
  axes: readonly number[],
  indices: readonly Value[],
): Value => b.emit("scatter", [base, updates, ...indices], { axes, combine });
export const dynamicSlice = (b: Emitter, x: Value, starts: readonly Value[], sizes: readonly Dim[]): Value =>
  b.emit("dynamicSlice", [x, ...starts], { sizes });
export const dynamicUpdateSlice = (b: Emitter, x: Value, update: Value, starts: readonly Value[]): Value =>
  b.emit("dynamicUpdateSlice", [x, update, ...starts]);

/** A size as an i32 value: a constant, for sizes that are numbers. Symbolic ones have no value in a graph yet. */
export function sizeValue(b: Emitter, dim: Dim): Value {
  const index = toIndex(dim);
  if (index.terms.length > 0) throw new Error(`size ${index.key} is symbolic where a value is needed`);
  return b.scalar("i32", index.constant);
}
