/** Array functions that rearrange elements without computing any. */
import { type Dim, isFloat } from "@sinter/ir";
import { addDims, dimText, divDims, knownDim, knownDims, mulDims, subDims } from "../dims.ts";
import { describeValue, ShapeError } from "../errors.ts";
import {
  axesOf,
  axisOf,
  broadcastShapes,
  cast,
  checkInteger,
  checkShape,
  checkSize,
  describe,
  emit,
  filled,
  iota,
  like,
  make,
  makeAll,
  transpose as permute,
  add as plus,
  promoteArgs,
  scalar,
  select,
  stretch,
  toArg,
  toRef,
  reshape as toShape,
} from "../kit.ts";
import { type Ref, sizeOf } from "../lazy.ts";
import type { Tensor, TensorLike } from "../tensor.ts";

/** The same elements in another shape; one size may be -1, which is worked out. */
export function reshape(x: TensorLike, shape: Dim | readonly Dim[]): Tensor {
  return make("reshape", reshape, () => {
    const ref = toRef("reshape", "x", x);
    const sizes = checkShape("reshape", shape, "shape", true);
    const open = sizes.indexOf(-1);
    const fits = (): never => {
      throw new ShapeError(
        `reshape: ${describe(ref)} has ${dimText(sizeOf(ref.shape))} elements, which do not fit shape [${sizes.map(dimText).join(",")}]`,
      );
    };
    if (open >= 0) {
      const known = sizeOf(sizes.filter((_, i) => i !== open));
      const rest = sizes.indexOf(-1, open + 1) >= 0 ? undefined : divDims(sizeOf(ref.shape), known);
      sizes[open] = rest ?? fits();
    }
    if (sizeOf(sizes) !== sizeOf(ref.shape)) fits();
    return toShape(ref, sizes);
  });
}

/** One axis. */
export function flatten(x: TensorLike): Tensor {
  return make("flatten", flatten, () => {
    const ref = toRef("flatten", "x", x);
    return toShape(ref, [sizeOf(ref.shape)]);
  });
}

/** Without axes of size 1: those given, or all of them. */
export function squeeze(x: TensorLike, axis?: number | readonly number[]): Tensor {
  return make("squeeze", squeeze, () => {
    const ref = toRef("squeeze", "x", x);
    const axes =
      axis === undefined
        ? ref.shape.flatMap((d, i) => (d === 1 ? [i] : []))
        : axesOf("squeeze", axis, ref.shape.length);
    for (const a of axes)
      if (ref.shape[a] !== 1)
        throw new ShapeError(`squeeze: axis ${a} of ${describe(ref)} has size ${dimText(ref.shape[a]!)}, not 1`);
    return toShape(
      ref,
      ref.shape.filter((_, i) => !axes.includes(i)),
    );
  });
}

/** With a new axis of size 1 at `axis` of the result. */
export function expandDims(x: TensorLike, axis: number | readonly number[]): Tensor {
  return make("expandDims", expandDims, () => {
    const ref = toRef("expandDims", "x", x);
    if (typeof axis !== "number" && !Array.isArray(axis))
      throw new ShapeError(`expandDims: axis must be an integer or an array of them, not ${describeValue(axis)}`);
    const count = typeof axis === "number" ? 1 : axis.length;
    const rank = ref.shape.length + count;
    const axes = axesOf("expandDims", axis, rank);
    const rest = [...ref.shape];
    return toShape(
      ref,
      Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
    );
  });
}

/** Axes in another order; reversed where no order is given. */
export function transpose(x: TensorLike, perm?: readonly number[]): Tensor {
  return make("transpose", transpose, () => {
    const ref = toRef("transpose", "x", x);
    const rank = ref.shape.length;
    if (perm !== undefined && !Array.isArray(perm))
      throw new ShapeError(`transpose: perm must be an array of axes, not ${describeValue(perm)}`);
    const order =
      perm === undefined
        ? ref.shape.map((_, i) => rank - 1 - i)
        : perm.map((a) => axisOf("transpose", a, rank, "perm"));
    if (order.length !== rank || new Set(order).size !== rank)
      throw new ShapeError(
        `transpose: perm [${perm?.join(",")}] must name each of the ${rank} axes of ${describe(ref)} once`,
      );
    return permute(ref, order);
  });
}

/** Two axes swapped. */
export function swapAxes(x: TensorLike, a: number, b: number): Tensor {
  return make("swapAxes", swapAxes, () => {
    const ref = toRef("swapAxes", "x", x);
    const order = ref.shape.map((_, i) => i);
    const [i, j] = [axisOf("swapAxes", a, order.length, "a"), axisOf("swapAxes", b, order.length, "b")];
    [order[i], order[j]] = [order[j]!, order[i]!];
    return permute(ref, order);
  });
}

/** Stretched to a shape by NumPy's rule. */
export function broadcastTo(x: TensorLike, shape: Dim | readonly Dim[]): Tensor {
  return make("broadcastTo", broadcastTo, () => {
    const ref = toRef("broadcastTo", "x", x);
    const sizes = checkShape("broadcastTo", shape);
    const common = broadcastShapes(ref.shape, sizes);
    if (common === undefined || common.length !== sizes.length || common.some((d, i) => d !== sizes[i]))
      throw new ShapeError(
        `broadcastTo: ${describe(ref)} does not broadcast to shape [${sizes.map(dimText).join(",")}]`,
      );
    return stretch(ref, sizes);
  });
}

function refsOf(caller: string, tensors: readonly TensorLike[]): Ref[] {
  if (!Array.isArray(tensors) || tensors.length === 0)
    throw new ShapeError(`${caller}: tensors must be an array with at least one tensor, not ${describeValue(tensors)}`);
  return promoteArgs(tensors.map((t, i) => toArg(caller, `tensors[${i}]`, t)));
}

/** Tensors one after the other along an axis; other sizes must agree. */
export function concat(tensors: readonly TensorLike[], axis = 0): Tensor {
  return make("concat", concat, () => {
    const refs = refsOf("concat", tensors);
    const first = refs[0]!;
    const at = axisOf("concat", axis, first.shape.length);
    refs.forEach((ref, i) => {
      if (ref.shape.length !== first.shape.length || ref.shape.some((d, k) => k !== at && d !== first.shape[k]))
        throw new ShapeError(
          `concat: tensors[${i}] is ${describe(ref)}, which does not fit tensors[0], ${describe(first)}, along axis ${at}`,
        );
    });
    return refs.length === 1 ? first : emit("concat", refs, { axis: at });
  });
}

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly TensorLike[], axis = 0): Tensor {
  return make("stack", stack, () => {
    const refs = refsOf("stack", tensors);
    const first = refs[0]!;
    const at = axisOf("stack", axis, first.shape.length + 1);
    refs.forEach((ref, i) => {
      if (ref.shape.length !== first.shape.length || ref.shape.some((d, k) => d !== first.shape[k]))
        throw new ShapeError(`stack: tensors[${i}] is ${describe(ref)}, tensors[0] is ${describe(first)}`);
    });
    const shape = [...first.shape.slice(0, at), 1, ...first.shape.slice(at)];
    const parts = refs.map((ref) => toShape(ref, shape));
    return parts.length === 1 ? parts[0]! : emit("concat", parts, { axis: at });
  });
}

/** Parts along an axis: a number of equal parts, or their sizes. */
export function split(x: TensorLike, parts: number | readonly number[], axis = 0): Tensor[] {
  return makeAll("split", split, () => {
    const ref = toRef("split", "x", x);
    const at = axisOf("split", axis, ref.shape.length);
    const size = knownDim("split", ref.shape[at]!, `axis ${at} of ${describe(ref)}`);
    let sizes: readonly number[];
    if (typeof parts === "number") {
      if (!Number.isInteger(parts) || parts < 1 || size % parts !== 0)
        throw new ShapeError(`split: axis ${at} of ${describe(ref)} does not split into ${parts} equal parts`);
      sizes = new Array<number>(parts).fill(size / parts);
    } else {
      sizes = checkShape("split", parts, "parts");
      if (sizes.reduce((a, b) => a + b, 0) !== size)
        throw new ShapeError(
          `split: parts [${sizes.join(",")}] do not add up to ${size}, the size of axis ${at} of ${describe(ref)}`,
        );
    }
    let from = 0;
    return sizes.map((count) => {
      const out = sliceAxis(ref, at, from, from + count);
      from += count;
      return out;
    });
  });
}

/** from..to (exclusive) of one axis. */
function sliceAxis(ref: Ref, axis: number, from: Dim, to: Dim, step = 1): Ref {
  if (from === 0 && to === ref.shape[axis] && step === 1) return ref;
  const start = ref.shape.map((_, i) => (i === axis ? from : 0));
  const limit = ref.shape.map((d, i) => (i === axis ? to : d));
  return emit("slice", [ref], { start, limit, step: ref.shape.map((_, i) => (i === axis ? step : 1)) });
}

/** `size` elements from `begin` on, axis by axis; -1 takes the rest. Axes left out stay whole. */
export function slice(x: TensorLike, begin: number | readonly number[], size?: number | readonly number[]): Tensor {
  return make("slice", slice, () => {
    const ref = toRef("slice", "x", x);
    const { shape } = ref;
    const starts = typeof begin === "number" ? [begin] : begin;
    const sizes = size === undefined ? [] : typeof size === "number" ? [size] : size;
    for (const [name, list] of Object.entries({ begin: starts, size: sizes }))
      if (!Array.isArray(list))
        throw new ShapeError(`slice: ${name} must be an integer or an array of them, not ${describeValue(list)}`);
    if (starts.length > shape.length || sizes.length > shape.length)
      throw new ShapeError(`slice: begin and size have more entries than ${describe(ref)} has axes`);
    const start = shape.map((d, i) => {
      const from = starts[i] ?? 0;
      return from < 0 ? addDims(d, from) : from;
    });
    const limit = shape.map((d, i) => {
      const count = sizes[i] ?? -1;
      return count === -1 ? d : addDims(start[i]!, count);
    });
    shape.forEach((d, i) => {
      const [from, to] = [start[i]!, limit[i]!];
      if (from === 0 && to === d) return;
      if (typeof d !== "number" || typeof from !== "number" || typeof to !== "number") {
        checkWithin("slice", ref, i, from, to);
        return;
      }
      if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > d)
        throw new ShapeError(
          `slice: axis ${i} of ${describe(ref)} has no elements ${from} to ${to} (begin ${starts[i] ?? 0}, size ${sizes[i] ?? -1})`,
        );
    });
    return emit("slice", [ref], { start, limit, step: shape.map(() => 1) });
  });
}

/** Throws unless 0 <= from <= to <= size for every value of the symbolic sizes. */
function checkWithin(caller: string, ref: Ref, axis: number, from: Dim, to: Dim): void {
  const size = ref.shape[axis]!;
  const least = (dim: Dim): number => (typeof dim === "number" ? dim : dim.lo);
  if (least(from) >= 0 && least(subDims(to, from)) >= 0 && least(subDims(size, to)) >= 0) return;
  throw new ShapeError(
    `${caller}: nothing says that axis ${axis} of ${describe(ref)} has elements ${dimText(from)} to ${dimText(to)}`,
  );
}

/** The whole tensor repeated `reps` times along each axis. */
export function tile(x: TensorLike, reps: number | readonly number[]): Tensor {
  return make("tile", tile, () => {
    const ref = toRef("tile", "x", x);
    const given = checkShape("tile", reps, "reps");
    const rank = Math.max(given.length, ref.shape.length);
    const shape = [...new Array<Dim>(rank - ref.shape.length).fill(1), ...ref.shape];
    const times = [...new Array<number>(rank - given.length).fill(1), ...given];
    const spread = emit("broadcast", [toShape(ref, shape)], {
      shape: shape.flatMap((d, i) => [times[i]!, d]),
      dims: shape.map((_, i) => 2 * i + 1),
    });
    return toShape(
      spread,
      shape.map((d, i) => mulDims(d, times[i]!)),
    );
  });
}

/** Each element repeated along an axis (of the flat tensor without one). */
export function repeat(x: TensorLike, count: number, axis?: number): Tensor {
  return make("repeat", repeat, () => {
    let ref = toRef("repeat", "x", x);
    const times = checkSize("repeat", count, "count");
    if (axis === undefined) ref = toShape(ref, [sizeOf(ref.shape)]);
    const at = axis === undefined ? 0 : axisOf("repeat", axis, ref.shape.length);
    const { shape } = ref;
    const spread = emit("broadcast", [ref], {
      shape: [...shape.slice(0, at + 1), times, ...shape.slice(at + 1)],
      dims: shape.map((_, i) => (i <= at ? i : i + 1)),
    });
    return toShape(
      spread,
      shape.map((d, i) => (i === at ? mulDims(d, times) : d)),
    );
  });
}

/** Elements in the opposite order along axes (all by default). */
export function flip(x: TensorLike, axis?: number | readonly number[]): Tensor {
  return make("flip", flip, () => {
    const ref = toRef("flip", "x", x);
    const axes = axesOf("flip", axis, ref.shape.length);
    return axes.length === 0 ? ref : emit("reverse", [ref], { axes });
  });
}

/** Elements moved by `shift` along an axis (of the flat tensor without one); what leaves at the end comes in again. */
export function roll(x: TensorLike, shift: number, axis?: number): Tensor {
  return make("roll", roll, () => {
    const whole = toRef("roll", "x", x);
    checkInteger("roll", "shift", shift);
    const ref = axis === undefined ? toShape(whole, [sizeOf(whole.shape)]) : whole;
    const at = axis === undefined ? 0 : axisOf("roll", axis, ref.shape.length);
    const size = knownDim("roll", ref.shape[at]!, `axis ${at} of ${describe(ref)}`);
    const by = size === 0 ? 0 : ((shift % size) + size) % size;
    if (by === 0) return whole;
    const parts = [sliceAxis(ref, at, size - by, size), sliceAxis(ref, at, 0, size - by)];
    return toShape(emit("concat", parts, { axis: at }), whole.shape);
  });
}

/** `value` around the tensor: one count, [before, after] for all axes, or a pair for each axis. */
export function pad(
  x: TensorLike,
  widths: number | readonly (number | readonly number[])[],
  value: number | boolean = 0,
): Tensor {
  return make("pad", pad, () => {
    const ref = toRef("pad", "x", x);
    const pairs = ref.shape.map((_, i): readonly [number, number] => {
      if (typeof widths === "number") return [widths, widths];
      if (widths.every((w) => typeof w === "number") && widths.length === 2) return widths as readonly [number, number];
      const pair = widths[i];
      if (widths.length !== ref.shape.length || !Array.isArray(pair) || pair.length !== 2)
        throw new ShapeError(
          `pad: widths must be a number, [before, after], or such a pair for each of the ${ref.shape.length} axes of ${describe(ref)}`,
        );
      return pair as readonly number[] as readonly [number, number];
    });
    pairs.forEach((pair) => {
      checkShape("pad", pair, "widths");
    });
    const fill = scalar(ref.dtype, Number(value));
    return emit("pad", [ref, fill], {
      lo: pairs.map((p) => p[0]),
      hi: pairs.map((p) => p[1]),
      interior: pairs.map(() => 0),
    });
  });
}

function triangle(name: "triu" | "tril", x: TensorLike, k: number): Ref {
  const ref = toRef(name, "x", x);
  if (ref.shape.length < 2) throw new ShapeError(`${name}: x must have at least two axes, not ${describe(ref)}`);
  checkInteger(name, "k", k);
  const plane = ref.shape.slice(-2);
  const diagonal = plus(iota("i32", plane, 0), scalar("i32", k));
  const keep = emit(name === "triu" ? "le" : "ge", [diagonal, iota("i32", plane, 1)]);
  return select(stretch(keep, ref.shape), ref, filled(like(ref, 0), ref.shape));
}

/** The part on and above diagonal k of the last two axes; 0 elsewhere. */
export function triu(x: TensorLike, k = 0): Tensor {
  return make("triu", triu, () => triangle("triu", x, k));
}

/** The part on and below diagonal k of the last two axes; 0 elsewhere. */
export function tril(x: TensorLike, k = 0): Tensor {
  return make("tril", tril, () => triangle("tril", x, k));
}

/** A vector as diagonal k of a matrix of zeros, or diagonal k of a matrix as a vector. */
export function diag(x: TensorLike, k = 0): Tensor {
  return make("diag", diag, () => {
    const ref = toRef("diag", "x", x);
    checkInteger("diag", "k", k);
    const shape = knownDims("diag", ref.shape);
    if (shape.length === 1) {
      const size = shape[0]! + Math.abs(k);
      const lo = Math.max(0, -k);
      const along = emit("pad", [ref, like(ref, 0)], { lo: [lo], hi: [size - lo - shape[0]!], interior: [0] });
      const rows = emit("broadcast", [along], { shape: [size, size], dims: [0] });
      const on = emit("eq", [plus(iota("i32", [size, size], 0), scalar("i32", k)), iota("i32", [size, size], 1)]);
      return select(on, rows, filled(like(ref, 0), [size, size]));
    }
    if (shape.length !== 2) throw new ShapeError(`diag: x must have one or two axes, not ${describe(ref)}`);
    const count = Math.max(0, Math.min(shape[0]! + Math.min(k, 0), shape[1]! - Math.max(k, 0)));
    const steps = iota("i32", [count], 0);
    const rows = plus(steps, scalar("i32", Math.max(0, -k)));
    const columns = plus(steps, scalar("i32", Math.max(0, k)));
    return emit("gather", [ref, rows, columns], { axes: [0, 1] });
  });
}

/** Sum of the diagonal k of the last two axes of a matrix. */
export function trace(x: TensorLike, k = 0): Tensor {
  return make("trace", trace, () => {
    const ref = toRef("trace", "x", x);
    if (ref.shape.length !== 2) throw new ShapeError(`trace: x must be a matrix, not ${describe(ref)}`);
    const on = emit("eq", [plus(iota("i32", ref.shape, 0), scalar("i32", k)), iota("i32", ref.shape, 1)]);
    const number = isFloat(ref.dtype) || ref.dtype !== "bool" ? ref : cast(ref, "i32");
    return emit("reduce", [select(on, number, filled(like(number, 0), ref.shape))], { op: "add", axes: [0, 1] });
  });
}
