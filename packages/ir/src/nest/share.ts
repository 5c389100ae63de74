/** Makes equal values one object, so that whatever walks a DAG by identity computes each value once. */
import type { ScalarExpr } from "./expr.ts";

/**
 * The value with every node replaced by the first node of the same key in `table`. One table serves one nest: keys of
 * accumulators and carries mean nothing outside it.
 */
export function internScalar(value: ScalarExpr, table: Map<string, ScalarExpr>): ScalarExpr {
  // dtype is part of the identity: the bare key of a carry or an accumulator does not hold it.
  const key = `${value.key}:${value.dtype}`;
  const known = table.get(key);
  if (known !== undefined) return known;
  const go = (e: ScalarExpr): ScalarExpr => internScalar(e, table);
  const made = ((): ScalarExpr => {
    switch (value.kind) {
      case "op":
        return { ...value, args: value.args.map(go) };
      case "guard":
        return { ...value, value: go(value.value), otherwise: go(value.otherwise) };
      case "loop":
        return { ...value, init: value.init.map(go), test: go(value.test), next: value.next.map(go) };
      default:
        return value;
    }
  })();
  table.set(key, made);
  return made;
}
