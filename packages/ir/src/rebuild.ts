/** The one way to change a graph: emit its nodes again into a new builder, replacing some on the way. */
import { Builder, type BuilderOptions } from "./builder.ts";
import type { Graph, GraphResult, Node, Value } from "./graph.ts";

/** What a node becomes; undefined leaves it as it is. Whatever is returned stands for the node's results. */
export type Visit = (node: Node, b: Builder, operands: readonly Value[]) => readonly Value[] | undefined;

export interface RebuildOptions extends BuilderOptions {
  /** Name of the new graph; the old one's by default. */
  readonly name?: string;
}

/**
 * Maps a graph through a new builder, regions too. Without `visit` this is the simplifier: everything folds, merges and
 * dies as the builder has it.
 */
export function rebuild(graph: Graph, visit?: Visit, options: RebuildOptions = {}): Graph {
  const b = new Builder(options.name ?? graph.name, options);
  const args = graph.params.map((p) => b.param(p.kind, p.value.type, p.name));
  const values = emitNodes(b, graph, args, visit, options);
  return b.finish(graph.results.map((r): GraphResult => ({ ...r, value: values[r.value.id]! })));
}

/** Emits a graph's nodes into a builder, with `args` for all its parameters; returns its results in order. */
export function inlineGraph(b: Builder, graph: Graph, args: readonly Value[]): readonly Value[] {
  if (args.length !== graph.params.length)
    throw new Error(`graph ${graph.name} takes ${graph.params.length} values, not ${args.length}`);
  const { here } = b;
  const values = emitNodes(b, graph, args, undefined, undefined);
  b.at(here);
  return graph.results.map((r) => values[r.value.id]!);
}

/** Returns the new value of each old value, by id. Regions are rebuilt only where `options` say how. */
function emitNodes(
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  visit: Visit | undefined,
  options: RebuildOptions | undefined,
): readonly Value[] {
  const values: Value[] = [...args];
  graph.nodes.forEach((node, i) => {
    const locs = graph.debug.locs[i];
    // An inlined graph without positions takes those of its caller.
    if (options !== undefined || (locs !== undefined && locs.length > 0)) b.at(locs);
    const operands = node.operands.map((v) => values[v.id]!);
    let results = visit?.(node, b, operands);
    if (results === undefined) {
      const regions = options === undefined ? node.regions : node.regions.map((r) => rebuildRegion(r, visit, options));
      results = b.emitNode(node.op, operands, node.attrs, regions, node.groups);
    }
    if (results.length !== node.results.length)
      throw new Error(`${node.op} has ${node.results.length} results but was replaced by ${results.length} values`);
    node.results.forEach((old, k) => {
      values[old.id] = results[k]!;
    });
  });
  return values;
}

function rebuildRegion(region: Graph, visit: Visit | undefined, options: RebuildOptions): Graph {
  return rebuild(region, visit, { ...options, name: region.name });
}
