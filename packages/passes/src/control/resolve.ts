/**
 * Control flow whose way is known: a cond at a constant index is its branch, a loop that never runs its start, and a
 * scan of one step that step.
 */
import { type Builder, emit, inlineGraph, typeOf, type Value } from "@sinter/ir";
import { bodyOf, hasEffect, type RegionOp } from "./region-op.ts";

/** The results, where no control flow is left. */
export function resolve(b: Builder, op: RegionOp): readonly Value[] | undefined {
  switch (op.form) {
    case "cond":
      return resolveCond(b, op);
    case "while":
      return resolveWhile(b, op);
    case "scan":
      return resolveScan(b, op);
    case "call":
      return undefined;
    default:
      return op.form satisfies never;
  }
}

const valuesOf = (slots: RegionOp["captures"]): Value[] => slots.map((slot) => slot.value);

function resolveCond(b: Builder, op: RegionOp): readonly Value[] | undefined {
  const index = op.regions.length === 1 ? 0 : b.constantOf(op.index[0]!)?.data[0];
  if (index === undefined) return undefined;
  const branch = Math.min(Math.max(Number(index), 0), op.regions.length - 1);
  return inlineGraph(b, op.regions[branch]!, valuesOf(op.captures));
}

function resolveWhile(b: Builder, op: RegionOp): readonly Value[] | undefined {
  const [test] = op.regions;
  const init = valuesOf(op.init);
  if (op.regions.some((region) => region.nodes.some(hasEffect))) return undefined;
  // Whether the first round takes place: where it does not, nobody uses what is emitted here.
  const [more] = inlineGraph(b, test!, [...valuesOf(op.captures), ...init]);
  return b.constantOf(more!)?.data[0] === 0 ? init : undefined;
}

function resolveScan(b: Builder, op: RegionOp): readonly Value[] | undefined {
  const { length } = op.attrs as { readonly length: number };
  if (length > 1) return undefined;
  const init = valuesOf(op.init);
  const stacked = bodyOf(op).results.slice(init.length);
  if (length === 0)
    return [
      ...init,
      ...stacked.map(({ value }) => {
        const { dtype, shape } = typeOf(value);
        return emit.filled(b, dtype, [0, ...shape], 0);
      }),
    ];
  const slices = op.xs.map(({ value }) => emit.reshape(b, value, typeOf(value).shape.slice(1)));
  const results = inlineGraph(b, bodyOf(op), [...valuesOf(op.captures), ...init, ...slices]);
  return results.map((value, i) => (i < init.length ? value : emit.reshape(b, value, [1, ...typeOf(value).shape])));
}
