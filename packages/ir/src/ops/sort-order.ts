/** What sorting compares, and where the elements of a line are. */
import { type DType, isFloat } from "../dtype.ts";
import * as loop from "../loop/build.ts";
import type { LoopExpr } from "../loop/loop.ts";

/** Where the elements of a line are: `base`, then every `stride` elements. */
export interface Lines {
  readonly size: number;
  readonly stride: number;
  readonly count: number;
}

/** Element `k` of the line at `base`. */
export function place(base: LoopExpr, k: LoopExpr, stride: number): LoopExpr {
  return loop.add(base, loop.mul(k, loop.i32(stride)));
}

/** The first element of a line. */
export function baseOf(line: LoopExpr, { size, stride }: Lines): LoopExpr {
  const outer = loop.mul(loop.floorDiv(line, loop.i32(stride)), loop.i32(size * stride));
  return loop.add(outer, loop.floorMod(line, loop.i32(stride)));
}

/** Whether `b` comes strictly before `a`: NaN comes after everything, in either direction. */
export function isBefore(b: LoopExpr, a: LoopExpr, descending: boolean): LoopExpr {
  const { scalar } = a.type;
  if (scalar === "bool") return isBefore(loop.cast(b, "i32"), loop.cast(a, "i32"), descending);
  const ordered = loop.op(descending ? "gt" : "lt", b, a);
  if (!isFloat(scalar as DType)) return ordered;
  return loop.op("or", ordered, loop.op("and", loop.op("ne", a, a), loop.op("eq", b, b)));
}
