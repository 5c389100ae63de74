/**
 * The scalar-op table: one row per elementwise operation. Graph elementwise ops, nest payloads, constant folding and
 * derivatives come from it; every backend has a `Record<ScalarOpName, ...>`, so a new row lists what is missing. The rows
 * are in the folder beside this file.
 */
import { type DType, roundTo } from "./dtype.ts";
import { binaryRows } from "./scalar-ops/binary.ts";
import type { ScalarOp, ScalarOpName } from "./scalar-ops/row.ts";
import { unaryRows } from "./scalar-ops/unary.ts";

export type { ScalarAlgebra, ScalarOp, ScalarOpName } from "./scalar-ops/row.ts";

export const scalarOps: Readonly<Record<ScalarOpName, ScalarOp>> = { ...unaryRows, ...binaryRows };
/** The row of a name. */
export function scalarOp(name: ScalarOpName): ScalarOp {
  return scalarOps[name];
}

export function isScalarOp(name: string): name is ScalarOpName {
  return Object.hasOwn(scalarOps, name);
}

export const scalarOpNames = Object.keys(scalarOps) as ScalarOpName[];

/** Evaluates a row and rounds to the result's dtype. */
export function evalScalar(
  name: ScalarOpName,
  args: readonly DType[],
  result: DType,
  values: readonly number[],
): number {
  return roundTo(result, scalarOps[name].eval(args[0] ?? result, ...values));
}
