/** Puts the body of each `call` in its place, to any depth: the other passes then never meet one. */
import { type Graph, inlineGraph, type Node, rebuild } from "@sinter/ir";

/** The graph without calls; the graph itself where it has none. Regions of other ops lose their calls too. */
export function inlineCalls(graph: Graph): Graph {
  if (!graph.nodes.some(hasCall)) return graph;
  return rebuild(graph, (node, b, operands) =>
    isCall(node) ? inlineGraph(b, inlineCalls(node.regions[0]!), operands) : undefined,
  );
}

function isCall(node: Node): boolean {
  return node.op === "call";
}

function hasCall(node: Node): boolean {
  return isCall(node) || node.regions.some((region) => region.nodes.some(hasCall));
}
