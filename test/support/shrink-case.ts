// Shrinking of a graph that fails, by dropping results and nodes.
import {
  Builder,
  evalGraph,
  type GraphResult,
  type HostTensor,
  type Node,
  type Value,
} from "../../packages/ir/src/index.ts";
import type { GraphCase } from "./random-graph.ts";

/** A smaller case that still fails: fewer results, nodes replaced by parameters with the values they had. */
export function shrinkCase(one: GraphCase, fails: (candidate: GraphCase) => boolean): GraphCase {
  const search = shrinking(one);
  let step = search.next();
  while (step.done !== true) step = search.next(fails(step.value));
  return step.value;
}

/** As `shrinkCase`, where it takes time to tell whether a case fails. */
export async function shrinkCaseLater(
  one: GraphCase,
  fails: (candidate: GraphCase) => Promise<boolean>,
): Promise<GraphCase> {
  const search = shrinking(one);
  let step = search.next();
  while (step.done !== true) step = search.next(await fails(step.value));
  return step.value;
}

/** Gives candidates, is told of each whether it fails, and returns the last that did. */
function* shrinking(one: GraphCase): Generator<GraphCase, GraphCase, boolean> {
  let current = one;
  let budget = 200;
  for (const result of one.graph.results) {
    if (budget-- <= 0) break;
    const candidate = cut(one, new Set(), [result]);
    if (!(yield candidate)) continue;
    current = candidate;
    break;
  }
  for (let changed = true; changed && budget > 0; ) {
    changed = false;
    for (let i = current.graph.nodes.length - 1; i >= 0; i--) {
      const node = current.graph.nodes[i];
      if (node === undefined || budget-- <= 0) continue;
      const candidate = cut(current, new Set([node]), current.graph.results);
      if (!(yield candidate)) continue;
      current = candidate;
      changed = true;
    }
  }
  return current;
}

/** The case without some nodes (parameters in their place) and without what nothing needs then. */
function cut({ graph, args }: GraphCase, removed: ReadonlySet<Node>, results: readonly GraphResult[]): GraphCase {
  const values: HostTensor[] = [...args];
  evalGraph(graph, args, {
    trace: (node, _operands, made, owner) => {
      if (owner !== graph) return;
      for (const [i, v] of node.results.entries()) values[v.id] = made[i]!;
    },
  });
  const needed = new Set<Value>(results.map((r) => r.value));
  for (const r of results) if (r.kind === "state") needed.add(graph.params[r.param]!.value);
  for (const node of [...graph.nodes].reverse())
    if (!removed.has(node) && node.results.some((v) => needed.has(v))) for (const v of node.operands) needed.add(v);

  const b = new Builder(graph.name, { raw: true });
  const renamed = new Map<Value, Value>();
  const positions = new Map<number, number>();
  const newArgs: HostTensor[] = [];
  const param = (kind: "arg" | "const" | "state" | "token", value: Value, name: string): void => {
    renamed.set(value, b.param(kind, value.type, name));
    newArgs.push(values[value.id]!);
  };
  graph.params.forEach((p, i) => {
    if (!needed.has(p.value)) return;
    positions.set(i, newArgs.length);
    param(p.kind, p.value, p.name);
  });
  for (const node of graph.nodes) {
    if (!node.results.some((v) => needed.has(v))) continue;
    if (removed.has(node)) {
      for (const v of node.results) if (needed.has(v)) param("arg", v, `cut${v.id}`);
      continue;
    }
    const operands = node.operands.map((v) => renamed.get(v)!);
    const made = b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
    for (const [i, v] of node.results.entries()) renamed.set(v, made[i]!);
  }
  const kept = results.map((r): GraphResult => {
    const value = renamed.get(r.value)!;
    return r.kind === "state" ? { kind: "state", value, param: positions.get(r.param)! } : { kind: r.kind, value };
  });
  return { graph: b.finish(kept), args: newArgs };
}
