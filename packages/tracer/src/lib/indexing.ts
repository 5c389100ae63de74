/** Array functions that pick or replace elements by position. Positions out of range clamp to the nearest element. */
import type { Dim, DType } from "@sinter/ir";
import { dimText, knownDim, subDims } from "../dims.ts";
import { describeValue, ShapeError } from "../errors.ts";
import {
  add,
  axisOf,
  broadcastArgs,
  cast,
  checkDType,
  checkSize,
  describe,
  emit,
  indexRef,
  iota,
  make,
  promoteArgs,
  reshape,
  scalar,
  stretch,
  toArg,
  toRef,
  transpose,
} from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { Tensor, type TensorLike } from "../tensor.ts";

/** `[start, stop]` or `[start, stop, step]`; null stands for the end of the axis, negative positions count from it. */
export type Range = readonly [start: number | null, stop: number | null, step?: number];
/** What an axis is indexed by: a position, a range, all of it (null), or a tensor of positions. */
export type Index = number | null | Range | Tensor;

/** Elements at `indices` along an axis: x.shape before the axis, then the shape of `indices`, then the rest. */
export function gather(x: TensorLike, indices: TensorLike, axis = 0): Tensor {
  return make("gather", gather, () => {
    const ref = toRef("gather", "x", x);
    const at = axisOf("gather", axis, ref.shape.length);
    const index = indexRef("gather", "indices", indices);
    checkPickable("gather", ref, [at]);
    return moveFront(emit("gather", [ref, index], { axes: [at] }), index.shape.length, at);
  });
}

/** Moves the first `count` axes behind the `behind` axes that follow them. */
function moveFront(ref: Ref, count: number, behind: number): Ref {
  const order = ref.shape.map((_, i) => i);
  return transpose(ref, [
    ...order.slice(count, count + behind),
    ...order.slice(0, count),
    ...order.slice(count + behind),
  ]);
}

function checkPickable(caller: string, ref: Ref, axes: readonly number[]): void {
  for (const axis of axes)
    if (ref.shape[axis] === 0)
      throw new ShapeError(`${caller}: axis ${axis} of ${describe(ref)} has no elements to pick`);
}

/** Element by element along an axis: out[i][j] = x[indices[i][j]][j] for axis 0. Other sizes must agree. */
export function takeAlongAxis(x: TensorLike, indices: TensorLike, axis = -1): Tensor {
  return make("takeAlongAxis", takeAlongAxis, () => {
    const ref = toRef("takeAlongAxis", "x", x);
    const index = indexRef("takeAlongAxis", "indices", indices);
    const at = axisOf("takeAlongAxis", axis, ref.shape.length);
    if (index.shape.length !== ref.shape.length || index.shape.some((d, i) => i !== at && d !== ref.shape[i]))
      throw new ShapeError(
        `takeAlongAxis: indices is ${describe(index)}, which does not fit x, ${describe(ref)}, beside axis ${at}`,
      );
    checkPickable("takeAlongAxis", ref, [at]);
    const all = ref.shape.map((_, i) => (i === at ? index : iota("i32", index.shape, i)));
    return emit("gather", [ref, ...all], { axes: ref.shape.map((_, i) => i) });
  });
}

/** What the entries of an index select: numbers drop their axis, ranges and null keep it, tensors pick. */
interface Picked {
  readonly axis: number;
  readonly from: number;
  readonly to: Dim;
  readonly step: number;
  readonly drop: boolean;
  readonly tensor: Ref | undefined;
}

function resolve(caller: string, ref: Ref, indices: readonly Index[]): Picked[] {
  if (indices.length > ref.shape.length)
    throw new ShapeError(
      `${caller}: ${indices.length} indices for ${describe(ref)}, which has ${ref.shape.length} axes`,
    );
  return ref.shape.map((size, axis): Picked => {
    const index = indices[axis] ?? null;
    const whole = { axis, from: 0, to: size, step: 1, drop: false, tensor: undefined };
    if (index === null) return whole;
    if (typeof index === "number") {
      if (typeof size !== "number" && index >= 0 && index < size.lo)
        return { ...whole, from: index, to: index + 1, drop: true };
      const known = knownDim(caller, size, `axis ${axis} of ${describe(ref)}, indexed by ${index},`);
      const from = index < 0 ? index + known : index;
      if (!Number.isInteger(from) || from < 0 || from >= known)
        throw new ShapeError(`${caller}: index ${index} is out of range for axis ${axis} of ${describe(ref)}`);
      return { ...whole, from, to: from + 1, drop: true };
    }
    if (index instanceof Tensor) return { ...whole, tensor: indexRef(caller, `index of axis ${axis}`, index) };
    if (!Array.isArray(index) || index.length < 2 || index.length > 3)
      throw new ShapeError(
        `${caller}: the index of axis ${axis} must be a number, null, [start, stop, step?] or a tensor, not ${describeValue(index)}`,
      );
    const [start, stop, step = 1] = index as Range;
    if (!Number.isInteger(step) || step < 1)
      throw new ShapeError(`${caller}: step of axis ${axis} must be 1 or more, not ${step}`);
    if (typeof size !== "number" && start === null && stop === null && step === 1) return whole;
    const known = knownDim(caller, size, `axis ${axis} of ${describe(ref)}, indexed by a range,`);
    const place = (value: number | null, otherwise: number): number => {
      if (value === null) return otherwise;
      if (!Number.isInteger(value))
        throw new ShapeError(`${caller}: range of axis ${axis} must be whole numbers, not ${describeValue(value)}`);
      return Math.min(known, Math.max(0, value < 0 ? value + known : value));
    };
    const from = place(start, 0);
    return { ...whole, from, to: Math.max(from, place(stop, known)), step };
  });
}

function isWhole(ref: Ref, pick: Picked): boolean {
  return (
    pick.tensor === undefined && !pick.drop && pick.from === 0 && pick.to === ref.shape[pick.axis] && pick.step === 1
  );
}

/** One index tensor for each axis that is not whole, all of one shape; and those axes. */
function positions(caller: string, ref: Ref, picks: readonly Picked[]): { axes: number[]; index: Ref[] } {
  const used = picks.filter((pick) => !isWhole(ref, pick));
  for (const pick of used)
    if (pick.tensor === undefined && !pick.drop)
      throw new ShapeError(
        `${caller}: axis ${pick.axis} has a range where another axis is indexed by a tensor; slice first`,
      );
  const given = used.map((pick) => pick.tensor ?? scalar("i32", pick.from));
  const fitted = broadcastArgs(
    caller,
    used.map((pick) => `index of axis ${pick.axis}`),
    given,
  );
  const shape = fitted.find((r) => r.shape.length > 0)?.shape ?? [];
  return { axes: used.map((pick) => pick.axis), index: fitted.map((r) => stretch(r, shape)) };
}

/**
 * Elements by index, axis by axis: `x.at(0, [1, 3], null)` is NumPy's x[0, 1:3, :]. Tensors of positions pick as in
 * NumPy and come first in the result unless they index one run of axes.
 */
export function at(x: TensorLike, ...indices: readonly Index[]): Tensor {
  return make("at", at, () => {
    const ref = toRef("at", "x", x);
    const picks = resolve("at", ref, indices);
    if (picks.some((pick) => pick.tensor !== undefined)) {
      const { axes, index } = positions("at", ref, picks);
      checkPickable("at", ref, axes);
      const adjacent = axes.every((a, i) => a === axes[0]! + i);
      const out = emit("gather", [ref, ...index], { axes });
      return adjacent ? moveFront(out, index[0]!.shape.length, axes[0]!) : out;
    }
    return reshape(
      cut(ref, picks),
      picks.flatMap((pick) => (pick.drop ? [] : [count(pick)])),
    );
  });
}

function count({ from, to, step }: Picked): Dim {
  return typeof to === "number" ? Math.ceil((to - from) / step) : subDims(to, from);
}

function cut(ref: Ref, picks: readonly Picked[]): Ref {
  if (picks.every((pick) => isWhole(ref, pick))) return ref;
  return emit("slice", [ref], {
    start: picks.map((p) => p.from),
    limit: picks.map((p) => p.to),
    step: picks.map((p) => p.step),
  });
}

type Update = "set" | "add";

function update(
  caller: string,
  combine: Update,
  x: TensorLike,
  index: Index | readonly Index[],
  value: TensorLike,
): Ref {
  const ref = toRef(caller, "x", x);
  const given = toArg(caller, "value", value);
  const fresh = typeof given === "number" ? promoteArgs([ref, given])[1]! : given;
  const part = cast(fresh, ref.dtype);
  const picks = resolve(caller, ref, isList(index) ? index : [index]);
  const fit = (shape: readonly Dim[]): Ref => {
    const kept =
      part.shape.length > shape.length ||
      part.shape.some((d, i) => d !== 1 && d !== shape[shape.length - part.shape.length + i]);
    if (kept)
      throw new ShapeError(
        `${caller}: value is ${describe(part)}, the part of x it replaces has shape [${shape.map(dimText).join(",")}]`,
      );
    return stretch(part, shape);
  };
  if (picks.every((pick) => pick.tensor === undefined && pick.step === 1)) {
    const visible = picks.flatMap((pick) => (pick.drop ? [] : [count(pick)]));
    const whole = picks.map(count);
    let content = reshape(fit(visible), whole);
    if (combine === "add") content = add(cut(ref, picks), content);
    if (picks.every((pick) => isWhole(ref, pick))) return content;
    return emit("dynamicUpdateSlice", [ref, content, ...picks.map((pick) => scalar("i32", pick.from))]);
  }
  const spread = picks.some((pick) => pick.tensor !== undefined)
    ? picks
    : picks.map((pick) => asTensor(ref, pick, picks));
  const { axes, index: at } = positions(caller, ref, spread);
  checkPickable(caller, ref, axes);
  const rest = ref.shape.filter((_, i) => !axes.includes(i));
  const adjacent = axes.every((a, i) => a === axes[0]! + i);
  const outer = at[0]!.shape;
  // The value has the shape that reading the same index gives; scatter wants the picked axes in front.
  const lead = adjacent ? axes[0]! : 0;
  const shown = [...rest.slice(0, lead), ...outer, ...rest.slice(lead)];
  const content = fit(shown);
  const order = shown.map((_, i) => i);
  const front = [
    ...order.slice(lead, lead + outer.length),
    ...order.slice(0, lead),
    ...order.slice(lead + outer.length),
  ];
  return emit("scatter", [ref, transpose(content, front), ...at], { axes, combine });
}

/** A range with a step as positions of its own axis among all such ranges. */
function asTensor(ref: Ref, pick: Picked, all: readonly Picked[]): Picked {
  if (isWhole(ref, pick) || pick.drop) return pick;
  const ranges = all.filter((p) => !p.drop && !isWhole(ref, p));
  const shape = ranges.map((p) => (p === pick ? count(p) : 1));
  const steps = emit("mul", [iota("i32", [count(pick)], 0), scalar("i32", pick.step)]);
  return { ...pick, tensor: reshape(add(steps, scalar("i32", pick.from)), shape) };
}

/** Whether an index is one entry for each axis, not a single range. */
function isList(index: Index | readonly Index[]): index is readonly Index[] {
  return Array.isArray(index);
}

/**
 * x with the elements at `index` replaced. `index` is one entry (a position, null or a tensor) or an array of entries,
 * one for each axis, where ranges are `[start, stop, step?]`. Where positions repeat the last value stays.
 */
export function set(x: TensorLike, index: Index | readonly Index[], value: TensorLike): Tensor {
  return make("set", set, () => update("set", "set", x, index, value));
}

/** x with `value` added to the elements at `index`; where positions repeat all are added. */
export function addAt(x: TensorLike, index: Index | readonly Index[], value: TensorLike): Tensor {
  return make("addAt", addAt, () => update("addAt", "add", x, index, value));
}

const combines = ["set", "add", "mul", "max", "min"] as const;

/**
 * x with `values` put where `gather(x, indices, axis)` would read, or joined with what is there by add, mul, max or min.
 * `values` has the shape of that gather, or stretches to it; where positions repeat the last one stays, or all are joined.
 */
export function scatter(
  x: TensorLike,
  indices: TensorLike,
  values: TensorLike,
  axis = 0,
  combine: (typeof combines)[number] = "set",
): Tensor {
  return make("scatter", scatter, () => {
    if (!combines.includes(combine))
      throw new ShapeError(`scatter: combine must be ${combines.join(", ")}, not ${describeValue(combine)}`);
    const ref = toRef("scatter", "x", x);
    const at = axisOf("scatter", axis, ref.shape.length);
    const index = indexRef("scatter", "indices", indices);
    checkPickable("scatter", ref, [at]);
    const given = toArg("scatter", "values", values);
    const part = cast(typeof given === "number" ? promoteArgs([ref, given])[1]! : given, ref.dtype);
    const shape = [...ref.shape.slice(0, at), ...index.shape, ...ref.shape.slice(at + 1)];
    const offset = shape.length - part.shape.length;
    if (offset < 0 || part.shape.some((d, i) => d !== 1 && d !== shape[offset + i]))
      throw new ShapeError(
        `scatter: values is ${describe(part)}, but x, ${describe(ref)}, and indices, ${describe(index)}, take [${shape.map(dimText).join(",")}]`,
      );
    // The operation wants the axes of the indices in front.
    const order = shape.map((_, i) => i);
    const behind = at + index.shape.length;
    const front = [...order.slice(at, behind), ...order.slice(0, at), ...order.slice(behind)];
    return emit("scatter", [ref, transpose(stretch(part, shape), front), index], { axes: [at], combine });
  });
}

/** Vectors of `depth` that are 1 at the index and 0 elsewhere, along a new last axis. Out of range gives zeros. */
export function oneHot(indices: TensorLike, depth: number, dtype: DType = "f32"): Tensor {
  return make("oneHot", oneHot, () => {
    const index = indexRef("oneHot", "indices", indices);
    const size = checkSize("oneHot", depth, "depth");
    const shape = [...index.shape, size];
    const spread = emit("broadcast", [index], { shape, dims: index.shape.map((_, i) => i) });
    return cast(emit("eq", [spread, iota("i32", shape, shape.length - 1)]), checkDType("oneHot", dtype));
  });
}
