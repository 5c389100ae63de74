/** How accumulators fold: the value they start from, and the scalar op that joins two values. */
import { type DType, isFloat } from "../dtype.ts";
import type { ScalarOpName } from "../scalar-ops.ts";
import type { Combine } from "./nest.ts";

/** The combiners that fold plain values, without a position beside them. */
export type PlainCombine = Exclude<Combine, "argMax" | "argMin">;

/** `combine(identity, x)` is x. For the pair combiners, the value that every other replaces. */
export function combineIdentity(combine: Combine, dtype: DType): number {
  switch (combine) {
    case "add":
    case "or":
      return 0;
    case "mul":
      return 1;
    case "and":
      return dtype === "bool" ? 1 : dtype === "u32" ? 4294967295 : -1;
    case "max":
    case "argMax":
      return isFloat(dtype) ? -Infinity : dtype === "i32" ? -2147483648 : 0;
    case "min":
    case "argMin":
      return isFloat(dtype) ? Infinity : dtype === "i32" ? 2147483647 : dtype === "u32" ? 4294967295 : 1;
    default:
      return combine satisfies never;
  }
}

/** The row of the scalar table that a plain combiner is. */
export function combineOp(combine: PlainCombine): ScalarOpName {
  return combine;
}

/** Whether the pair at `position` replaces the best so far: larger (smaller) wins, NaN wins over numbers, the first wins. */
export function replacesBest(combine: "argMax" | "argMin", value: number, best: number): boolean {
  if (Number.isNaN(best)) return false;
  return Number.isNaN(value) || (combine === "argMax" ? value > best : value < best);
}
