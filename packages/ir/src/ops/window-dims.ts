/** Windows on all axes of a tensor: where their elements are, how they lie side by side, random ones. No ops. */
import type { Emitter, Rng } from "../define-op.ts";
import {
  add,
  broadcastTo,
  dtypeOf,
  iota,
  mul,
  pad,
  range,
  rankOf,
  reshape,
  shapeOf,
  type WindowDims,
} from "../emit.ts";
import type { TensorType, Value } from "../graph.ts";
import type { Dim, IndexExpr } from "../nest/expr.ts";
import { addIndex, mulIndex, scaleIndex, staticDim, subIndex, toDim, toIndex } from "../nest/index-algebra.ts";
import { product } from "./host.ts";
import { describeType, fail } from "./rules.ts";
import { checkWindows, positionIn, type Window, windowCount, windowIndex } from "./window-maps.ts";

export const windowAttrs = { window: "ints", strides: "ints", lo: "ints", hi: "ints", dilation: "ints" } as const;

export const along = (attrs: WindowDims, i: number): Window => ({
  window: attrs.window[i]!,
  stride: attrs.strides[i]!,
  lo: attrs.lo[i]!,
  hi: attrs.hi[i]!,
  dilation: attrs.dilation[i]!,
});

export const places = (shape: readonly Dim[], attrs: WindowDims): Dim[] =>
  shape.map((size, i) => windowCount(size, along(attrs, i)));

export function checkOn(op: string, x: TensorType, attrs: WindowDims): void {
  if (x.dtype === "bool") fail(op, `takes numbers, got ${describeType(x)}`);
  checkWindows(op, x.shape.length, attrs, ["window", "dilation"]);
}

/** Where element k of window o is along each axis, on the host: undefined outside. */
export function elementAt(
  shape: readonly number[],
  attrs: WindowDims,
  o: readonly number[],
  k: readonly number[],
): number[] | undefined {
  const at = o.map((place, i) =>
    positionIn(shape[i]!, 1, place * attrs.strides[i]! + k[i]! * attrs.dilation[i]! - attrs.lo[i]!),
  );
  return at.includes(-1) ? undefined : at;
}

/** Position in the window, row by row. */
export const inWindow = (window: readonly number[], k: readonly number[]): number =>
  k.reduce((at, position, i) => at * window[i]! + position, 0);
export const inWindowIndex = (window: readonly number[], k: readonly IndexExpr[]): IndexExpr =>
  k.reduce<IndexExpr>((at, position, i) => addIndex(scaleIndex(at, window[i]!), position), toIndex(0));

/** Where element k of window o is, and when there is one. */
export function maps(shape: readonly Dim[], attrs: WindowDims, o: readonly IndexExpr[], k: readonly IndexExpr[]) {
  const each = shape.map((size, i) => windowIndex(size, 1, along(attrs, i), o[i]!, k[i]!));
  return { index: each.map((map) => map.index), guard: each.flatMap((map) => map.guard) };
}

/** The same windows with a batch axis in front. */
export function behind<A extends WindowDims>(attrs: A): A {
  const front = (list: readonly number[], first: number): number[] => [first, ...list];
  return {
    ...attrs,
    window: front(attrs.window, 1),
    strides: front(attrs.strides, 1),
    lo: front(attrs.lo, 0),
    hi: front(attrs.hi, 0),
    dilation: front(attrs.dilation, 1),
  };
}

export const dimsOf = ({ window, strides, lo, hi, dilation }: WindowDims): WindowDims => ({
  window,
  strides,
  lo,
  hi,
  dilation,
});

/** Whether windows lie side by side without a gap. */
export const tiles = (attrs: WindowDims): boolean =>
  attrs.window.every((size, i) => size === attrs.strides[i] && attrs.dilation[i] === 1);

/**
 * A value of each window at all of its elements, where windows tile: [o1, o2] to [o1, k1, o2, k2]. `within` is the
 * position in the window there.
 */
export function unfolded(b: Emitter, y: Value, { window }: WindowDims): { value: Value; within: Value } {
  const shape = shapeOf(y).flatMap((size, i) => [size, window[i]!]);
  let within = b.scalar("i32", 0);
  window.forEach((size, i) => {
    if (size === 1) return;
    const stride = product(window.slice(i + 1));
    within = add(b, mul(b, iota(b, "i32", shape, 2 * i + 1), b.scalar("i32", stride)), within);
  });
  return {
    value: broadcastTo(
      b,
      y,
      shape,
      range(rankOf(y)).map((i) => 2 * i),
    ),
    within,
  };
}

/** The elements of unfolded windows at their places in `size`, zero where there is no window. */
export function folded(b: Emitter, y: Value, { window, lo }: WindowDims, size: readonly Dim[]): Value {
  const covered = window.map((k, i) => toDim(mulIndex(shapeOf(y)[2 * i]!, k)));
  const hi = covered.map((n, i) => staticOffset(subIndex(addIndex(size[i]!, lo[i]!), n)));
  return pad(
    b,
    reshape(b, y, covered),
    b.scalar(dtypeOf(y), 0),
    lo.map((n) => 0 - n),
    hi,
  );
}
export const staticOffset = (index: IndexExpr): number => staticDim(toDim(index));

export function sampleWindows(rng: Rng): { shape: number[]; attrs: WindowDims } {
  const axes = range(rng.int(0, 3));
  const pick = (...list: readonly number[]): number[] => axes.map(() => rng.pick(list));
  const shape = pick(0, 1, 2, 3, 5, 8, 9, 13);
  const window = pick(1, 1, 2, 3);
  const tiled = rng.bool();
  return {
    shape,
    attrs: {
      window,
      strides: tiled ? window : pick(1, 2, 3),
      lo: pick(0, 0, 0, 1, 2, -1),
      hi: pick(0, 0, 0, 1, 3, -1),
      dilation: tiled ? axes.map(() => 1) : pick(1, 1, 2),
    },
  };
}
