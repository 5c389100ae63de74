/** Where a node stands in a graph, regions included: how all that is made of a graph says which nodes it was made of. */
import type { Graph, Loc, Node } from "./graph.ts";

/** The position of a node; inside regions `[node, region, node, ...]`, so of odd length. */
export type NodePath = readonly number[];

/** `7.0.3` */
export function pathText(path: NodePath): string {
  return path.join(".");
}

/** In the order of the text: what is inside a node comes behind it. */
export function comparePaths(a: NodePath, b: NodePath): number {
  const at = a.findIndex((n, i) => n !== b[i]);
  return at < 0 ? a.length - b.length : at < b.length ? a[at]! - b[at]! : 1;
}

/** Throws a RangeError where the graph has no such node. */
export function nodeAt(graph: Graph, path: NodePath): Node {
  return along(graph, path).at(-1)!.node;
}

/** Where a node was written; of a node without positions, where the nearest op around it was. */
export function locsAt(graph: Graph, path: NodePath): readonly Loc[] {
  return along(graph, path).findLast(({ locs }) => locs.length > 0)?.locs ?? [];
}

/** All nodes, those of regions behind the one that has them. */
export function visitNodes(graph: Graph, visit: (node: Node, path: NodePath, graph: Graph) => void): void {
  const inside = (region: Graph, before: NodePath): void =>
    region.nodes.forEach((node, i) => {
      const path = [...before, i];
      visit(node, path, region);
      node.regions.forEach((inner, r) => {
        inside(inner, [...path, r]);
      });
    });
  inside(graph, []);
}

/** The graph or region that a node is in. */
export function regionAt(graph: Graph, path: NodePath): Graph {
  return along(graph, path).at(-1)!.region;
}

interface Place {
  readonly region: Graph;
  readonly node: Node;
  readonly locs: readonly Loc[];
}

/** The nodes on the way, the one that is meant last. */
function along(graph: Graph, path: NodePath): Place[] {
  const out: Place[] = [];
  let region: Graph | undefined = graph;
  for (let i = 0; i < path.length; i += 2) {
    const node: Node | undefined = region?.nodes[path[i]!];
    if (region === undefined || node === undefined) break;
    out.push({ region, node, locs: region.debug.locs[path[i]!] ?? [] });
    region = node.regions[path[i + 1]!];
  }
  if (2 * out.length - 1 !== path.length)
    throw new RangeError(`graph ${graph.name} has no node at ${JSON.stringify(pathText(path))}`);
  return out;
}
