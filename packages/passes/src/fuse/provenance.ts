/**
 * Which nodes of the graph that is lowered a kernel does the work of. Graphs are rebuilt on the way, calls and regions
 * inlined; positions go through all of it and are joined where nodes are, so paths travel as positions.
 */
import { comparePaths, type FusionNote, type Graph, type Loc, type NodePath, pathText } from "@sinter/ir";
import { type GraphModel, infoOf } from "./model.ts";

/** The graph, its nodes and those of its regions marked with where they stand. */
export function markPaths(graph: Graph, before: NodePath = []): Graph {
  const locs = graph.nodes.map((_, i): Loc[] => [{ file: pathText([...before, i]), line: 0, column: 0 }]);
  const nodes = graph.nodes.map((node, i) =>
    node.regions.length === 0
      ? node
      : { ...node, regions: node.regions.map((region, r) => markPaths(region, [...before, i, r])) },
  );
  return { ...graph, nodes, debug: { locs } };
}

/** The marks of nodes of a graph, given by position, and of all that is in their regions; in order, each once. */
export function pathsOf(graph: Graph, positions: Iterable<number>): NodePath[] {
  const found = new Map<string, NodePath>();
  const collect = (inside: Graph, position: number): void => {
    for (const { file } of inside.debug.locs[position] ?? [])
      if (!found.has(file)) found.set(file, file.split(".").map(Number));
    for (const region of inside.nodes[position]!.regions) for (const i of region.nodes.keys()) collect(region, i);
  };
  for (const position of positions) collect(graph, position);
  return [...found.values()].sort(comparePaths);
}

/** Why the value `producer` became part of the kernel of `consumer`, or did not. */
export function fusionNote(
  model: GraphModel,
  fused: boolean,
  producer: number,
  consumer: number,
  reason: string,
): FusionNote {
  const [from, to] = [infoOf(model, producer), infoOf(model, consumer)];
  return {
    fused,
    producer: from.label,
    consumer: to.label,
    reason,
    producerNodes: pathsOf(model.graph, from.work),
    consumerNodes: pathsOf(model.graph, to.work),
  };
}
