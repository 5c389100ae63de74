/** Captures that are one value twice become one. */
import type { Builder } from "@sinter/ir";
import { type RegionOp, type Rewritten, rebind, sameResults } from "./region-op.ts";

export function mergeCaptures(b: Builder, op: RegionOp): Rewritten | undefined {
  const first = op.captures.map(({ value }) => op.captures.findIndex((other) => other.value === value));
  if (first.every((at, i) => at === i)) return undefined;
  const captures = op.captures.filter((_, i) => first[i] === i);
  const at = first.map((i) => captures.indexOf(op.captures[i]!));
  return sameResults(
    rebind(
      b,
      op,
      { ...op, captures },
      { bind: (_, inside) => ({ ...inside, captures: at.map((i) => inside.captures[i]!) }) },
    ),
  );
}
