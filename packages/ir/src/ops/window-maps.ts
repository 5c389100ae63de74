/** Where the windows of convolutions and of window reductions lie on what they slide over. Positions and counts, no values. */
import type { Dim, IndexExpr, Range } from "../nest/expr.ts";
import { addIndex, divIndex, maxIndex, modIndex, scaleIndex, subIndex, toDim } from "../nest/index-algebra.ts";
import { fail } from "./rules.ts";

/** A window that slides along one axis. */
export interface Window {
  /** Elements in it, `dilation` apart. */
  readonly window: number;
  readonly stride: number;
  /** Positions added before and behind the axis; negative ones cut off. */
  readonly lo: number;
  readonly hi: number;
  readonly dilation: number;
}

/** Size of an axis whose elements are `dilation` apart. */
export function spreadSize(size: Dim, dilation: number): Dim {
  if (size === 0 || dilation === 1) return size;
  return toDim(addIndex(scaleIndex(subIndex(size, 1), dilation), 1));
}

/** From the first element of a window to the last, both included. */
export const extentOf = ({ window, dilation }: Window): number => (window - 1) * dilation + 1;

/** Places of a window on an axis: none where it is longer than the padded axis. */
export function windowCount(size: Dim, along: Window): Dim {
  const room = subIndex(addIndex(size, along.lo + along.hi), extentOf(along));
  return toDim(maxIndex(addIndex(divIndex(room, along.stride), 1), 0));
}

/** Element k of window o on an axis of `size` elements that are `spread` apart: its index, and when there is one. */
export function windowIndex(
  size: Dim,
  spread: number,
  along: Window,
  o: IndexExpr,
  k: IndexExpr,
): { readonly index: IndexExpr; readonly guard: readonly Range[] } {
  const at = subIndex(addIndex(scaleIndex(o, along.stride), scaleIndex(k, along.dilation)), along.lo);
  const inside: Range = { index: at, lo: 0, hi: spreadSize(size, spread) };
  if (spread === 1) return { index: at, guard: [inside] };
  return { index: divIndex(at, spread), guard: [inside, { index: modIndex(at, spread), lo: 0, hi: 1 }] };
}

/** The element of an axis at a position where elements are `spread` apart, or -1. */
export function positionIn(size: number, spread: number, at: number): number {
  const index = at / spread;
  return Number.isInteger(index) && index >= 0 && index < size ? index : -1;
}

/** Attributes may come from text: lists of one entry for each axis, strides and dilations of 1 or more. */
export function checkWindows(
  op: string,
  axes: number,
  attrs: Readonly<Record<string, unknown>>,
  positive: readonly string[],
): void {
  for (const name of ["strides", "lo", "hi", ...positive]) {
    const list = attrs[name] as readonly number[];
    if (list.length !== axes) fail(op, `${name} has ${list.length} entries for ${axes} axes`);
    const least = name === "lo" || name === "hi" ? -Infinity : 1;
    for (const entry of list)
      if (!Number.isInteger(entry) || entry < least)
        fail(op, `${name} [${list.join(", ")}] must be integers${least === 1 ? " of 1 or more" : ""}`);
  }
}
