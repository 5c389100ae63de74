/** Puts the body of each `call` in its place, to any depth: the other passes then never meet one. */

import { type Graph, inlineGraph, type Node, rebuild } from "@sinter/ir";

/** The graph without calls; the graph itself where it has none. Regions of other ops lose their calls too. */
export function inlineCalls(graph: Graph): Graph {
  return inlineWhere(graph, (node) => node.op === "call");
}

/** As `inlineCalls`, for a graph that will not be differentiated any more: functions with derivatives of their own too. */
export function inlineFunctions(graph: Graph): Graph {
  return inlineWhere(graph, (node) => node.op === "call" || isCustom(node));
}

/** A function with a derivative of its own. */
export function isCustom(node: Node): boolean {
  return node.op === "customVjp";
}

function inlineWhere(graph: Graph, inlined: (node: Node) => boolean): Graph {
  const has = (node: Node): boolean => inlined(node) || node.regions.some((region) => region.nodes.some(has));
  if (!graph.nodes.some(has)) return graph;
  return rebuild(graph, (node, b, operands) =>
    inlined(node) ? inlineGraph(b, inlineWhere(node.regions[0]!, inlined), operands) : undefined,
  );
}
