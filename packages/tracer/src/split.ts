/**
 * Splits a graph in two: what can be computed before some of its parameters are known, and what remains. The second half
 * gets values of the first as parameters. This is how `vjp` and `linearize` compute a function once and apply it often.
 */
import { Builder, type Graph, type Node, type Value } from "@sinter/ir";

export interface Halves {
  /** All parameters but the late ones; the results that need no late one, in order, then what `late` needs. */
  readonly early: Graph;
  /** The needed values, then the late parameters; the remaining results, in order. */
  readonly late: Graph;
  /** How many values of the first half the second needs. */
  readonly needed: number;
}

/**
 * `isLate` says of parameters whether they come late, `isEarly` of results whether the first half must give them. Undefined
 * where such a result comes out of a region that computes late ones too.
 */
export function splitGraph(
  graph: Graph,
  isLate: (param: number) => boolean,
  isEarly: (result: number) => boolean,
): Halves | undefined {
  const late = new Set<number>();
  graph.params.forEach((param, i) => {
    if (isLate(i)) late.add(param.value.id);
  });
  const free = new Set<number>();
  for (const node of graph.nodes) {
    const set = node.operands.some(({ id }) => late.has(id)) ? late : isFree(node, free) ? free : undefined;
    for (const result of node.results) set?.add(result.id);
  }
  if (graph.results.some(({ value }, i) => isEarly(i) && late.has(value.id))) return undefined;
  const needed = new Map<number, Value>();
  const need = (value: Value): void => {
    if (!late.has(value.id) && !free.has(value.id)) needed.set(value.id, value);
  };
  for (const node of graph.nodes) if (node.results.some(({ id }) => late.has(id))) node.operands.forEach(need);
  graph.results.forEach(({ value }, i) => {
    if (!isEarly(i)) need(value);
  });

  const first = new Builder(graph.name);
  const early = copyNodes(first, graph, (value, i) =>
    isLate(i) ? undefined : first.param("arg", value.type, graph.params[i]!.name),
  );
  const second = new Builder(graph.name);
  const given = new Map([...needed.values()].map((value) => [value.id, second.param("arg", value.type, "known")]));
  const rest = copyNodes(
    second,
    graph,
    (value, i) => (isLate(i) ? second.param("arg", value.type, graph.params[i]!.name) : given.get(value.id)),
    given,
  );
  const results = graph.results.map(({ value }) => value);
  const out = (value: Value | undefined) => ({ kind: "out", value: value! }) as const;
  return {
    early: first.finish([
      ...results.filter((_, i) => isEarly(i)).map(({ id }) => out(early[id])),
      ...[...needed.keys()].map((id) => out(early[id])),
    ]),
    late: second.finish(results.filter((_, i) => !isEarly(i)).map(({ id }) => out(rest[id]))),
    needed: needed.size,
  };
}

/** Costs nothing to have twice: constants, and constants spread over a shape. */
function isFree(node: Node, free: ReadonlySet<number>): boolean {
  if (node.regions.length > 0) return false;
  return node.operands.length === 0 || (node.op === "broadcast" && node.operands.every(({ id }) => free.has(id)));
}

/** Copies the nodes whose operands there are. Gives new values by old id. */
function copyNodes(
  b: Builder,
  graph: Graph,
  param: (value: Value, position: number) => Value | undefined,
  known: ReadonlyMap<number, Value> = new Map(),
): (Value | undefined)[] {
  const values: (Value | undefined)[] = graph.params.map(({ value }, i) => param(value, i));
  graph.nodes.forEach((node, i) => {
    const operands = node.operands.map(({ id }) => values[id]);
    const given = node.results.map(({ id }) => known.get(id));
    if (operands.some((operand) => operand === undefined) || given.every((value) => value !== undefined)) {
      node.results.forEach(({ id }, k) => {
        values[id] = given[k];
      });
      return;
    }
    b.at(graph.debug.locs[i] ?? []);
    const made = b.emitNode(node.op, operands as Value[], node.attrs, node.regions, node.groups);
    node.results.forEach(({ id }, k) => {
      values[id] = given[k] ?? made[k];
    });
  });
  return values;
}
