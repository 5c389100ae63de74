/**
 * Permuted results of reductions: where the only use of a reduction is a permutation of its axes, the permuted value is
 * the reduction, its result axes in another order. So the gradient of a transposed weight takes an epilogue like any.
 */
import { type Attrs, axisIndex, type IndexExpr, type NestRule } from "@sinter/ir";
import { type GraphModel, infoOf, readValue, type ValueInfo } from "./model.ts";
import { applyMap, newAxes } from "./template.ts";

export function absorbPermutations(model: GraphModel): GraphModel {
  const values = [...model.values];
  let current = model;
  for (const info of model.values) {
    if (info?.rule?.kind !== "map" || info.operands.length !== 1 || info.cost !== 0) continue;
    const source = infoOf(current, info.operands[0]!);
    const only = model.users[source.id]!.length === 1 && model.resultUses[source.id] === 0;
    if (source.rule?.kind !== "reduce" || !only) continue;
    const order = permutation(info, source);
    // Where the last axis stays, the loops do too, and stores go through the inverse map (align.ts).
    if (order === undefined || order.at(-1) === order.length - 1) continue;
    values[info.id] = permuted(info, source, source.rule, order);
    current = { ...model, values };
  }
  return current;
}

/** For each axis of the source, the axis of `info` that it is; undefined where they do not correspond one to one. */
function permutation(info: ValueInfo, source: ValueInfo): number[] | undefined {
  const index = newAxes(info.type.shape, "par").map(axisIndex);
  let at: readonly IndexExpr[] | undefined;
  let reads = 0;
  const element = applyMap(info, index, (_, ix) => {
    reads++;
    at = ix;
    return readValue(source, ix);
  });
  if (reads !== 1 || at === undefined || element.kind !== "read" || element.guard.length > 0) return undefined;
  // Sizes of one have no axis to be known by.
  if (at.length !== index.length || info.type.shape.some((d) => d === 1)) return undefined;
  const order = at.map((ix) => index.findIndex((own) => own.key === ix.key));
  return order.includes(-1) || new Set(order).size !== order.length ? undefined : order;
}

function permuted(
  info: ValueInfo,
  source: ValueInfo,
  rule: NestRule<Attrs> & { readonly kind: "reduce" },
  order: readonly number[],
): ValueInfo {
  const wrapped: typeof rule = {
    kind: "reduce",
    red: rule.red,
    accumulators: (ctx, par, red, read) =>
      rule.accumulators(
        ctx,
        order.map((axis) => par[axis]!),
        red,
        read,
      ),
    value: rule.value,
  };
  const { operands, ctx, cost, result } = source;
  return { ...info, work: [...source.work, ...info.work], rule: wrapped, operands, ctx, cost, result };
}
