/** Array functions that put elements in order. Equal elements keep their order; NaN comes last in either direction. */
import { knownDims } from "../dims.ts";
import { checkOptions, ShapeError } from "../errors.ts";
import { axisOf, checkSize, describe, emit, iota, make, makeAll, toRef } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

export interface SortOptions {
  /** Largest first. */
  readonly descending?: boolean;
}

function ordered(name: "sort" | "argSort", x: TensorLike, axis: number, options: SortOptions): Ref {
  checkOptions(name, options, ["descending"]);
  const ref = toRef(name, "x", x);
  const at = axisOf(name, axis, ref.shape.length);
  knownDims(name, ref.shape);
  return emit(name, [ref], { axis: at, descending: options.descending === true });
}

/** The elements in ascending order along an axis. */
export function sort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  return make("sort", sort, () => ordered("sort", x, axis, options));
}

/** The positions (i32) along an axis that bring its elements into order: `x.takeAlongAxis(x.argSort())` is sorted. */
export function argSort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  return make("argSort", argSort, () => ordered("argSort", x, axis, options));
}

/** The `k` largest elements along the last axis, largest first, and their positions. */
export function topK(x: TensorLike, k: number): { readonly values: Tensor; readonly indices: Tensor } {
  const [values, indices] = makeAll("topK", topK, () => {
    const ref = toRef("topK", "x", x);
    const shape = knownDims("topK", ref.shape);
    const axis = axisOf("topK", -1, shape.length);
    const size = shape[axis]!;
    if (checkSize("topK", k, "k") > size)
      throw new ShapeError(`topK: k is ${k}, but the last axis of ${describe(ref)} has ${size} elements`);
    const order = emit("argSort", [ref], { axis, descending: true });
    const limit = [...shape.slice(0, axis), k];
    const first = emit("slice", [order], { start: shape.map(() => 0), limit, step: shape.map(() => 1) });
    const at = shape.map((_, i) => (i === axis ? first : iota("i32", limit, i)));
    return [emit("gather", [ref, ...at], { axes: shape.map((_, i) => i) }), first];
  });
  return { values: values!, indices: indices! };
}
