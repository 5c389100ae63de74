/**
 * Calls of the host (print, hostCall) under transformations: what is computed again does not print again, and examples of a
 * batch call one after the other.
 */
import {
  type Builder,
  emit,
  type Graph,
  getOp,
  type Loc,
  locText,
  type Node,
  rebuild,
  typeOf,
  type Value,
} from "@sinter/ir";
import { DifferentiationError, isDifferentiable } from "./calculus.ts";
import { addParam, buildRegion, sliceType } from "./control/region-op.ts";

/** Whether the node itself calls the host. Its first operand and its first result are the status. */
export function isHostNode(node: Node): boolean {
  return getOp(node.op).nest.kind === "host";
}

/** The number of the user's function that the node itself calls; undefined where it calls none. */
export function userCallOf(node: Node): number | undefined {
  const { nest } = getOp(node.op);
  if (nest.kind !== "host") return undefined;
  const types = { operands: node.operands.map(typeOf), results: node.results.map(typeOf) };
  const call = nest.call({ attrs: node.attrs, ...types });
  return call.kind === "call" ? call.id : undefined;
}

/** Whether it calls the host, at any depth. */
export function callsHost(node: Node): boolean {
  return isHostNode(node) || node.regions.some((region) => region.nodes.some(callsHost));
}

/** Whether a call may be left out where it was made before: its status passes through, and it has no other results. */
function onlyActs(node: Node): boolean {
  return node.results.length === 1;
}

function at(locs: readonly Loc[] | undefined): string {
  const [loc] = locs ?? [];
  return loc === undefined ? "" : ` at ${locText({ file: loc.file, line: loc.line, column: loc.column })}`;
}

/**
 * What a node becomes that is computed again: one that acts and gives nothing only passes its status on. `known` are results
 * that were kept. Throws where a function of the host would have to be called again. Undefined for all other nodes.
 */
export function hostAgain(
  node: Node,
  operands: readonly Value[],
  locs: readonly Loc[] | undefined,
  known?: ReadonlyMap<Value, Value>,
): readonly Value[] | undefined {
  if (!isHostNode(node)) return undefined;
  const kept = node.results.slice(1).map((result) => known?.get(result));
  if (kept.includes(undefined))
    throw new DifferentiationError(
      `the ${node.op}${at(locs)} is in a block that reverse mode computes again, which would call the function again: ` +
        "call it outside the block, or put what depends on it into a customVjp",
    );
  return [operands[0]!, ...(kept as Value[])];
}

/** The graph as it is computed again: see `hostAgain`. A graph without calls is returned as it is. */
export function computedAgain(graph: Graph): Graph {
  if (!graph.nodes.some(callsHost)) return graph;
  const refuse = ({ nodes, debug }: Graph): void => {
    for (const [i, node] of nodes.entries()) {
      if (isHostNode(node) && !onlyActs(node)) hostAgain(node, node.operands, debug.locs[i]);
      node.regions.forEach(refuse);
    }
  };
  refuse(graph);
  return rebuild(graph, (node, _, operands) => (isHostNode(node) ? [operands[0]!] : undefined));
}

/** The node with regions as they are computed again. */
export function regionsAgain(node: Node): Node {
  return callsHost(node) ? { ...node, regions: node.regions.map(computedAgain) } : node;
}

/** Throws where something is differentiated that a function of the host gives. */
export function refuseDerivative(node: Node, locs: readonly Loc[] | undefined): void {
  if (isHostNode(node) && node.results.some((result) => isDifferentiable(result.type)))
    throw new DifferentiationError(
      `the derivative of what the ${node.op}${at(locs)} gives is not known: ` +
        "put the call into a customVjp, which says it, or take the result for a constant with stopGradient",
    );
}

/**
 * The node for one example after the other, in order. Of a call of the host the status goes from each example to the next,
 * and what comes after a failure is not done; of a branch or a loop all results belong to an example.
 */
export function oneByOne(
  b: Builder,
  node: Node,
  operands: readonly Value[],
  batched: readonly boolean[],
  size: number,
): { readonly results: readonly Value[]; readonly batched: readonly boolean[] } {
  const host = isHostNode(node);
  const first = host ? [b.scalar("i32", 0)] : [];
  const fixed = operands.filter((_, i) => !batched[i]);
  const sliced = operands.filter((_, i) => batched[i]);
  const step = buildRegion(b, node.op, (c) => {
    const captures = fixed.map((value, i) => addParam(c, value.type, `c${i}`));
    const [status] = first.map((value) => addParam(c, value.type, "status"));
    const slices = sliced.map((value, i) => addParam(c, sliceType(value.type), `x${i}`));
    const given = batched.map((is) => (is ? slices.shift()! : captures.shift()!));
    if (status !== undefined) given[0] = emit.select(c, emit.equal(c, status, c.scalar("i32", 0)), given[0]!, status);
    return c.emitNode(node.op, given, node.attrs, node.regions, node.groups);
  });
  const results = b.emitRegion("scan", { captures: fixed, init: first, xs: sliced }, { length: size, reverse: false }, [
    step,
  ]);
  return { results, batched: results.map((_, i) => i >= first.length) };
}
