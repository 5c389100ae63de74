/**
 * Functions with a derivative of their own (`customVjp`): reverse mode runs what the user wrote instead of differentiating,
 * batching batches all three graphs. What no derivative asks about is the plain function, put in its place.
 */
import { type Builder, type Dim, emit, inlineGraph, type MaybeValue, type Node, typeOf, type Value } from "@sinter/ir";
import { DifferentiationError, isDifferentiable, zeros } from "./calculus.ts";
import { type RegionBatch, withBatchAxis } from "./control/batch.ts";
import { addParam, buildRegion } from "./control/region-op.ts";
import type { Forward } from "./control/transforms.ts";

/** How many of the operands are captures. */
function captureCount(node: Node): number {
  return node.groups.find((group) => group.name === "captures")?.count ?? 0;
}

export function forwardCustom(b: Builder, node: Node, operands: readonly Value[]): Forward {
  const [, forward, backward] = node.regions as readonly [Node["regions"][0], Node["regions"][0], Node["regions"][0]];
  const made = inlineGraph(b, forward, operands);
  const count = node.results.length;
  const captures = operands.slice(0, captureCount(node));
  return {
    results: made.slice(0, count),
    pull(cotangents, wanted) {
      if (captures.some((_, i) => wanted[i]))
        throw new DifferentiationError(
          "a function with a derivative of its own (customVjp) uses a tensor or variable that is differentiated with respect to, " +
            "but is no argument of it: its derivative does not tell of it. Pass it as an argument",
        );
      const given = node.results.flatMap(({ type }, i) =>
        isDifferentiable(type) ? [cotangents[i] ?? zeros(b, typeOf(made[i]!))] : [],
      );
      const pulled = inlineGraph(b, backward, [...captures, ...made.slice(count), ...given]);
      let next = 0;
      return operands.map((operand, i): MaybeValue => {
        return i >= captures.length && isDifferentiable(operand.type) ? pulled[next++]! : null;
      });
    },
  };
}

type Vmap = (
  b: Builder,
  graph: Node["regions"][0],
  args: readonly Value[],
  inAxes: readonly (number | null)[],
  size: Dim,
) => { readonly results: readonly Value[]; readonly batched: readonly boolean[] };

/** Every result and residual belongs to an example; an argument that is the same for all gets the sum of cotangents. */
export function batchCustom(b: Builder, { node, operands, batched, size }: RegionBatch, vmap: Vmap) {
  const first = captureCount(node);
  const axes = batched.map((is) => (is ? 0 : null));
  const spread = (c: Builder, made: ReturnType<Vmap>): Value[] =>
    made.results.map((value, i) => withBatchAxis(c, value, made.batched[i]!, size));
  const [primal, forward] = node.regions.slice(0, 2).map((region) =>
    buildRegion(b, region.name, (c) => {
      const args = operands.map((operand, i) => addParam(c, operand.type, `p${i}`));
      return spread(c, vmap(c, region, args, axes, size));
    }),
  );
  const back = node.regions[2]!;
  const backward = buildRegion(b, back.name, (c) => {
    const args = back.params.map(({ value, name }, i) => {
      if (i < first) return addParam(c, operands[i]!.type, name);
      const { dtype, shape } = typeOf(value);
      return addParam(c, { kind: "tensor", dtype, shape: [size, ...shape] }, name);
    });
    const gradients = spread(
      c,
      vmap(c, back, args, [...axes.slice(0, first), ...args.slice(first).map(() => 0)], size),
    );
    const which = batched.filter((_, i) => i >= first && isDifferentiable(operands[i]!.type));
    return gradients.map((value, i) => (which[i] ? value : emit.reduceSum(c, value, [0])));
  });
  const results = b.emitNode(node.op, operands, node.attrs, [primal!, forward!, backward], node.groups);
  return { results, batched: results.map(() => true) };
}
