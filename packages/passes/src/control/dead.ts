/**
 * Drops what no result needs: unused results of cond and scan, carries that feed only themselves and others like them,
 * and captures and inputs that nothing reads any more, at all depths in one pass.
 */
import { Builder, type Graph, type GraphResult, isHeld, type Node, type Value } from "@sinter/ir";
import { addParam, buildRegion, byGroup, controlForm, isTest, keepWhere } from "./region-op.ts";

/** The graph without what its results do not need. Parameters and results stay as they are. */
export function dropDead(graph: Graph, options: { readonly fastMath: boolean }): Graph {
  const b = new Builder(graph.name, options);
  const args = graph.params.map((param) => b.param(param.kind, param.value.type, param.name));
  const values = emitLive(
    b,
    graph,
    args,
    graph.results.map(() => true),
  );
  return b.finish(graph.results.map((result): GraphResult => ({ ...result, value: values[result.value.id]! })));
}

/** Ordered by tokens, or with such a node inside. */
function isHeldInside(node: Node): boolean {
  const types = node.results.map((result) => result.type);
  return isHeld(node.operands, types) || node.regions.some((region) => region.nodes.some(isHeldInside));
}

/** The values, by id, that the wanted results need. */
function liveValues(graph: Graph, wanted: readonly boolean[]): Set<number> {
  const live = new Set<number>();
  graph.results.forEach((result, i) => {
    if (wanted[i]) live.add(result.value.id);
  });
  for (const node of graph.nodes.toReversed()) {
    const kept = keptOf(node, live);
    node.operands.forEach((operand, i) => {
      if (kept?.operands[i] === true) live.add(operand.id);
    });
  }
  return live;
}

/** What stays of a node: which operands and which results. */
interface Kept {
  readonly operands: readonly boolean[];
  readonly results: readonly boolean[];
}

/** Undefined where nothing stays. */
function keptOf(node: Node, live: ReadonlySet<number>): Kept | undefined {
  const used = node.results.map((result) => live.has(result.id));
  const form = controlForm(node);
  if (!used.includes(true) && !isHeldInside(node)) return undefined;
  if (form === undefined || form === "call" || isHeldInside(node))
    return { operands: node.operands.map(() => true), results: node.results.map(() => true) };
  const { index, captures, init } = byGroup(node, node.operands);
  const results = [...used];
  for (;;) {
    // A carry stays where a region reads it: what was found to stay may be what reads another one.
    const params: boolean[] = node.regions[0]!.params.map(() => false);
    node.regions.forEach((region, r) => {
      const needed = liveValues(region, isTest({ form }, r) ? [true] : results);
      region.params.forEach((param, i) => {
        if (needed.has(param.value.id)) params[i] = true;
      });
    });
    let grown = false;
    init.forEach((_, i) => {
      const at = captures.length + i;
      if (params[at] && !results[i]) results[i] = grown = true;
      params[at] = results[i]!;
    });
    if (!grown) return { operands: [...index.map(() => true), ...params], results };
  }
}

/** Emits the nodes that the wanted results need; the values by old id, where there are any. */
function emitLive(
  b: Builder,
  graph: Graph,
  args: readonly (Value | undefined)[],
  wanted: readonly boolean[],
): readonly (Value | undefined)[] {
  const live = liveValues(graph, wanted);
  const values: (Value | undefined)[] = [...args];
  graph.nodes.forEach((node, i) => {
    const kept = keptOf(node, live);
    if (kept === undefined) return;
    b.at(graph.debug.locs[i]);
    const operands = keepWhere(node.operands, kept.operands).map((operand) => values[operand.id]!);
    const made = emitKept(b, node, operands, kept);
    keepWhere(node.results, kept.results).forEach((result, k) => {
      values[result.id] = made[k]!;
    });
  });
  return values;
}

function emitKept(b: Builder, node: Node, operands: readonly Value[], kept: Kept): readonly Value[] {
  const form = controlForm(node);
  if (form === undefined || form === "call" || isHeldInside(node))
    return b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
  const flags = byGroup(node, kept.operands);
  const groups = node.groups.map(({ name }) => ({
    name,
    count: flags[name as keyof typeof flags].filter((stays) => stays).length,
  }));
  const params = kept.operands.slice(flags.index.length);
  const regions = node.regions.map((region, r) =>
    buildRegion(b, region.name, (c) => {
      const args = region.params.map(({ value, name }, i) => (params[i] ? addParam(c, value.type, name) : undefined));
      const wanted = isTest({ form }, r) ? [true] : kept.results;
      const values = emitLive(c, region, args, wanted);
      return keepWhere(region.results, wanted).map((result) => values[result.value.id]!);
    }),
  );
  return b.emitNode(node.op, operands, node.attrs, regions, groups);
}
