/**
 * Positions that come out of data. A value that is itself made of indices (an iota, or sums of iotas and constants)
 * turns back into the index it is, so that a gather whose indices follow the loop stays aligned with it.
 */
import type { Dim, IndexExpr, ScalarExpr } from "./expr.ts";
import {
  addIndex,
  dynIndex,
  indexConst,
  indexZero,
  maxIndex,
  minIndex,
  scaleIndex,
  subIndex,
  toIndex,
} from "./index-algebra.ts";
import { scalarApply, scalarConst, scalarIndex } from "./scalar-expr.ts";

/** Within i32, where arithmetic on values and on indices is the same. */
const fits = (e: IndexExpr): boolean => e.lo >= -2147483648 && e.hi <= 2147483647;

/** The index that an i32 value is, where it is one. */
export function indexOfValue(value: ScalarExpr): IndexExpr | undefined {
  const found = translate(value);
  return found !== undefined && fits(found) ? found : undefined;
}

function translate(value: ScalarExpr): IndexExpr | undefined {
  if (value.dtype !== "i32") return undefined;
  if (value.kind === "const") return indexConst(value.value);
  if (value.kind === "index") return value.index;
  if (value.kind !== "op") return undefined;
  const args: IndexExpr[] = [];
  for (const arg of value.args) {
    const index = indexOfValue(arg);
    if (index === undefined) return undefined;
    args.push(index);
  }
  const [a, b] = [args[0]!, args[1]];
  if (value.op === "neg") return scaleIndex(a, -1);
  if (b === undefined) return undefined;
  if (value.op === "add") return addIndex(a, b);
  if (value.op === "sub") return subIndex(a, b);
  if (value.op === "min") return minIndex(a, b);
  if (value.op === "max") return maxIndex(a, b);
  if (value.op === "mul" && b.terms.length === 0) return scaleIndex(a, b.constant);
  if (value.op === "mul" && a.terms.length === 0) return scaleIndex(b, a.constant);
  return undefined;
}

/** A value clamped into 0..size-1, as an index. */
export function clampedIndex(value: ScalarExpr, size: Dim): IndexExpr {
  const last = subIndex(size, 1);
  const known = indexOfValue(value);
  if (known !== undefined) return maxIndex(indexZero, minIndex(known, last));
  const floor = scalarApply("max", [value, scalarConst("i32", 0)]);
  return dynIndex(scalarApply("min", [floor, scalarIndex(toIndex(last))]), 0, Math.max(0, last.hi));
}
