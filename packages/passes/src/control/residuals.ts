/**
 * What a forward loop keeps of each round for the way back besides its carry: of the values that the way back reads,
 * those that depend on a contraction, a reduction or the like, and are no larger than a few carries. All else is made
 * again from the carry. So of tanh(h W + b) the result is kept, and the product is neither kept nor done again. What the
 * host gave is kept always, since nobody asks it again.
 */
import { Builder, type Graph, type GraphResult, inlineGraph, type Node, type Value } from "@sinter/ir";
import { isDifferentiable } from "../calculus.ts";
import { isHostNode } from "../effects.ts";
import { elementsOf, isFree, workPerElement } from "./free.ts";
import { addParam, controlForm } from "./region-op.ts";
import { positions, type Vjp } from "./transforms.ts";

/** Work per element from which a result is dear to make again. */
const dearWork = 16;
/** How many times larger than the whole carry a value that is kept may be. */
const keptSize = 4;

/** The values of a loop's body to keep. What in the end nothing reads is dropped by normal form. */
export function residualsOf(body: Graph, carry: readonly Value[], vjp: Vjp): readonly Value[] {
  const maker = new Map(body.nodes.flatMap((node) => node.results.map((result) => [result, node] as const)));
  const dear = new Set<Value>();
  for (const node of body.nodes)
    if (isDear(node) || node.operands.some((operand) => dear.has(operand)))
      for (const result of node.results) dear.add(result);
  const given = body.nodes.flatMap((node) => (isHostNode(node) ? node.results.slice(1) : []));
  if (dear.size === 0) return given;

  const most = keptSize * carry.reduce((sum, value) => sum + elementsOf(value), 0);
  const kept = new Set<Value>(given);
  const seen = new Set<Value>();
  const want = (value: Value): void => {
    const node = maker.get(value);
    if (node === undefined || !dear.has(value) || seen.has(value)) return;
    seen.add(value);
    if (!isFree(node, value) && controlForm(node) === undefined && elementsOf(value) <= most) kept.add(value);
    else node.operands.forEach(want);
  };
  readByWayBack(body, vjp).forEach(want);
  return [...kept];
}

function isDear(node: Node): boolean {
  return node.results.some((result) => workPerElement(node, result) >= dearWork);
}

/** The values of a body that its reverse mode would read if it were given all of them. */
function readByWayBack(body: Graph, vjp: Vjp): readonly Value[] {
  const c = new Builder("trial");
  const args = body.params.map(({ value, name }) => addParam(c, value.type, name));
  // Constants and index maps stay visible to the rules; loops inside have a way back of their own.
  const given = body.nodes.flatMap((node) =>
    controlForm(node) !== undefined ? [] : node.results.filter((result) => !isFree(node, result)),
  );
  const known = new Map(given.map((value) => [value, addParam(c, value.type, "known")]));
  const seeds = body.results.map(({ value }) =>
    isDifferentiable(value.type) ? addParam(c, value.type, "cotangent") : null,
  );
  const wrt = positions(body.params, (param) => isDifferentiable(param.value.type));
  const { gradients } = vjp(c, body, args, () => seeds, wrt, { known, again: true });
  const trial = c.finish(gradients.map((value): GraphResult => ({ kind: "out", value })));
  const read = new Set([...trial.nodes.flatMap((node) => node.operands), ...trial.results.map((r) => r.value)]);
  return given.filter((_, i) => read.has(trial.params[args.length + i]!.value));
}

/** Emits a body; its results, then the values to keep. */
export function inlineKeeping(
  b: Builder,
  body: Graph,
  args: readonly Value[],
  residuals: readonly Value[],
): readonly Value[] {
  const more = residuals.map((value): GraphResult => ({ kind: "out", value }));
  return inlineGraph(b, { ...body, results: [...body.results, ...more] }, args);
}
