/** Array functions that fold axes, and those made of such folds. */
import type { Dim } from "@sinter/ir";
import { subDims } from "../dims.ts";
import { ShapeError } from "../errors.ts";
import {
  add,
  axesOf,
  axisOf,
  cast,
  describe,
  div,
  emit,
  filled,
  like,
  make,
  mul,
  reshape,
  select,
  sizeRef,
  stretch,
  sub,
  toFloat,
  toRef,
} from "../kit.ts";
import { type Ref, sizeOf } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

/** One axis, several, or (left out) all. Negative ones count from the end. */
export type AxisLike = number | readonly number[] | undefined;

/** Folds axes; with `keep` they stay, with size 1. */
function fold(op: string, ref: Ref, axes: readonly number[], keep: boolean): Ref {
  const out = axes.length === 0 ? ref : emit("reduce", [ref], { op, axes });
  return keep ? reshape(out, keptShape(ref, axes)) : out;
}

function keptShape(ref: Ref, axes: readonly number[]): Dim[] {
  return ref.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
}

/** Spreads what a fold of `axes` gave over the shape that was folded. */
function unfold(folded: Ref, of: Ref, axes: readonly number[]): Ref {
  return stretch(reshape(folded, keptShape(of, axes)), of.shape);
}

function count(ref: Ref, axes: readonly number[]): Dim {
  return sizeOf(axes.map((a) => ref.shape[a]!));
}

/** bool counts as i32 */
function number(ref: Ref): Ref {
  return ref.dtype === "bool" ? cast(ref, "i32") : ref;
}

/** Sum over axes. bool sums as i32. */
export function sum(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("sum", sum, () => {
    const ref = number(toRef("sum", "x", x));
    return fold("add", ref, axesOf("sum", axis, ref.shape.length), keepDims);
  });
}

/** Product over axes. */
export function prod(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("prod", prod, () => {
    const ref = number(toRef("prod", "x", x));
    return fold("mul", ref, axesOf("prod", axis, ref.shape.length), keepDims);
  });
}

function extreme(name: "max" | "min") {
  return (x: TensorLike, axis: AxisLike, keep: boolean): Ref => {
    const ref = toRef(name, "x", x);
    const axes = axesOf(name, axis, ref.shape.length);
    if (count(ref, axes) === 0) throw new ShapeError(`${name}: ${describe(ref)} has no elements to choose from`);
    if (ref.dtype === "bool") return fold(name === "max" ? "or" : "and", ref, axes, keep);
    return fold(name, ref, axes, keep);
  };
}
const largest = extreme("max");
const smallest = extreme("min");

/** Largest element over axes; NaN wins. */
export function max(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("max", max, () => largest(x, axis, keepDims));
}

/** Smallest element over axes; NaN wins. */
export function min(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("min", min, () => smallest(x, axis, keepDims));
}

function meanOf(ref: Ref, axes: readonly number[], keep: boolean): Ref {
  return div(fold("add", ref, axes, keep), sizeRef(ref.dtype, count(ref, axes)));
}

/** Mean over axes. Integers and bools give f32. */
export function mean(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("mean", mean, () => {
    const ref = toFloat(toRef("mean", "x", x));
    return meanOf(ref, axesOf("mean", axis, ref.shape.length), keepDims);
  });
}

function varianceOf(ref: Ref, axes: readonly number[], keep: boolean, correction: number): Ref {
  const centred = sub(ref, unfold(meanOf(ref, axes, false), ref, axes));
  return div(fold("add", mul(centred, centred), axes, keep), sizeRef(ref.dtype, subDims(count(ref, axes), correction)));
}

/** Mean square distance from the mean; divides by n - correction. */
export function variance(x: TensorLike, axis?: AxisLike, keepDims = false, correction = 0): Tensor {
  return make("variance", variance, () => {
    const ref = toFloat(toRef("variance", "x", x));
    return varianceOf(ref, axesOf("variance", axis, ref.shape.length), keepDims, correction);
  });
}

/** Square root of the variance. */
export function std(x: TensorLike, axis?: AxisLike, keepDims = false, correction = 0): Tensor {
  return make("std", std, () => {
    const ref = toFloat(toRef("std", "x", x));
    return emit("sqrt", [varianceOf(ref, axesOf("std", axis, ref.shape.length), keepDims, correction)]);
  });
}

function argOf(name: string, op: "max" | "min", x: TensorLike, axis: number | undefined, keep: boolean): Ref {
  let ref = number(toRef(name, "x", x));
  const { shape } = ref;
  if (axis === undefined) ref = reshape(ref, [sizeOf(shape)]);
  const at = axis === undefined ? 0 : axisOf(name, axis, shape.length);
  if (ref.shape[at] === 0) throw new ShapeError(`${name}: ${describe(ref)} has no elements to choose from`);
  const out = emit("argReduce", [ref], { op, axis: at });
  if (!keep) return out;
  return reshape(out, axis === undefined ? shape.map(() => 1) : shape.map((d, i) => (i === at ? 1 : d)));
}

/** Position of the largest element along an axis (of the flat tensor without one), the first at a tie; i32. */
export function argMax(x: TensorLike, axis?: number, keepDims = false): Tensor {
  return make("argMax", argMax, () => argOf("argMax", "max", x, axis, keepDims));
}

/** Position of the smallest element; i32. */
export function argMin(x: TensorLike, axis?: number, keepDims = false): Tensor {
  return make("argMin", argMin, () => argOf("argMin", "min", x, axis, keepDims));
}

/** Whether all elements are true (not zero). */
export function all(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("all", all, () => {
    const ref = cast(toRef("all", "x", x), "bool");
    return fold("and", ref, axesOf("all", axis, ref.shape.length), keepDims);
  });
}

/** Whether some element is true (not zero). */
export function any(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("any", any, () => {
    const ref = cast(toRef("any", "x", x), "bool");
    return fold("or", ref, axesOf("any", axis, ref.shape.length), keepDims);
  });
}

/** log(sum(exp(x))), without overflow. */
export function logSumExp(x: TensorLike, axis?: AxisLike, keepDims = false): Tensor {
  return make("logSumExp", logSumExp, () => {
    const ref = toFloat(toRef("logSumExp", "x", x));
    const axes = axesOf("logSumExp", axis, ref.shape.length);
    const top = emit("stopGradient", [fold("max", ref, axes, false)]);
    // A row of -inf has the sum 0, not NaN.
    const shift = select(emit("isFinite", [top]), top, spread(like(top, 0), top));
    const total = fold("add", emit("exp", [sub(ref, unfold(shift, ref, axes))]), axes, false);
    const out = add(emit("log", [total]), shift);
    return keepDims ? reshape(out, keptShape(ref, axes)) : out;
  });
}

function spread(value: Ref, over: Ref): Ref {
  return filled(value, over.shape);
}

/** Length of vectors: `ord` 2 (default), 1, Infinity, or any p >= 1. */
export function norm(x: TensorLike, axis?: AxisLike, keepDims = false, ord = 2): Tensor {
  return make("norm", norm, () => {
    const ref = toFloat(toRef("norm", "x", x));
    const axes = axesOf("norm", axis, ref.shape.length);
    if (ord === 2) return emit("sqrt", [fold("add", mul(ref, ref), axes, keepDims)]);
    const size = emit("abs", [ref]);
    if (ord === 1) return fold("add", size, axes, keepDims);
    if (ord === Infinity) return fold("max", size, axes, keepDims);
    if (!(ord > 0)) throw new ShapeError(`norm: ord must be positive, not ${ord}`);
    const powers = fold("add", emit("pow", [size, like(ref, ord)]), axes, keepDims);
    return emit("pow", [powers, like(ref, 1 / ord)]);
  });
}

/** Options of the running folds. */
export interface CumulateOptions {
  /** Leaves the element itself out. */
  readonly exclusive?: boolean;
  /** Runs from the end. */
  readonly reverse?: boolean;
}

function running(name: string, op: string, x: TensorLike, axis: number | undefined, options: CumulateOptions): Ref {
  let ref = number(toRef(name, "x", x));
  if (axis === undefined) ref = reshape(ref, [sizeOf(ref.shape)]);
  const at = axis === undefined ? 0 : axisOf(name, axis, ref.shape.length);
  return emit("cumulate", [ref], {
    op,
    axis: at,
    reverse: options.reverse ?? false,
    exclusive: options.exclusive ?? false,
  });
}

/** Running sum along an axis (of the flat tensor without one). */
export function cumsum(x: TensorLike, axis?: number, options: CumulateOptions = {}): Tensor {
  return make("cumsum", cumsum, () => running("cumsum", "add", x, axis, options));
}

/** Running product along an axis. */
export function cumprod(x: TensorLike, axis?: number, options: CumulateOptions = {}): Tensor {
  return make("cumprod", cumprod, () => running("cumprod", "mul", x, axis, options));
}

/** Running maximum along an axis. */
export function cummax(x: TensorLike, axis?: number, options: CumulateOptions = {}): Tensor {
  return make("cummax", cummax, () => running("cummax", "max", x, axis, options));
}

/** Running minimum along an axis. */
export function cummin(x: TensorLike, axis?: number, options: CumulateOptions = {}): Tensor {
  return make("cummin", cummin, () => running("cummin", "min", x, axis, options));
}

function shifted(name: string, x: TensorLike, axis: AxisLike): { ref: Ref; axes: readonly number[] } {
  const whole = toFloat(toRef(name, "x", x));
  const axes = axesOf(name, axis ?? -1, whole.shape.length);
  const top = emit("stopGradient", [fold("max", whole, axes, false)]);
  return { ref: sub(whole, unfold(top, whole, axes)), axes };
}

/** exp(x) / sum(exp(x)) along an axis (the last by default), without overflow. */
export function softmax(x: TensorLike, axis: AxisLike = -1): Tensor {
  return make("softmax", softmax, () => {
    const { ref, axes } = shifted("softmax", x, axis);
    const powers = emit("exp", [ref]);
    const scale = emit("reciprocal", [fold("add", powers, axes, false)]);
    return mul(powers, unfold(scale, ref, axes));
  });
}

/** log(softmax(x)), without overflow. */
export function logSoftmax(x: TensorLike, axis: AxisLike = -1): Tensor {
  return make("logSoftmax", logSoftmax, () => {
    const { ref, axes } = shifted("logSoftmax", x, axis);
    const total = emit("log", [fold("add", emit("exp", [ref]), axes, false)]);
    return sub(ref, unfold(total, ref, axes));
  });
}
