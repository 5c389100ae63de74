/** Loops that run only where a flag says so: what a branch needs that is computed for examples that do not take it. */
import { Builder, emit, type Graph, type Node, type Value } from "@sinter/ir";
import { addParam, buildRegion, byGroup, controlForm, isTest, putTogether, rebind, takeApart } from "./region-op.ts";

/** Whether a graph has a loop of an unknown number of rounds, at any depth. */
export function mayNotEnd(graph: Graph): boolean {
  return graph.nodes.some((node) => controlForm(node) === "while" || node.regions.some(mayNotEnd));
}

/** The graph with one more parameter, a bool scalar: where it is false, no while in it runs a round. */
export function guardLoops(graph: Graph): Graph {
  return buildRegion(new Builder(graph.name), graph.name, (b) => {
    const args = graph.params.map(({ value, name }) => addParam(b, value.type, name));
    const active = b.param("arg", { kind: "tensor", dtype: "bool", shape: [] }, "active");
    return emitGuarded(b, graph, args, active);
  });
}

function emitGuarded(b: Builder, graph: Graph, args: readonly Value[], active: Value): readonly Value[] {
  const values: Value[] = [...args];
  graph.nodes.forEach((node, i) => {
    b.at(graph.debug.locs[i]);
    const operands = node.operands.map((operand) => values[operand.id]!);
    const made = guarded(b, node, operands, active);
    node.results.forEach((result, k) => {
      values[result.id] = made[k]!;
    });
  });
  return graph.results.map((result) => values[result.value.id]!);
}

function guarded(b: Builder, node: Node, operands: readonly Value[], active: Value): readonly Value[] {
  const form = controlForm(node);
  const loops = form === "while" || node.regions.some(mayNotEnd);
  if (form === undefined || !loops) return b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
  if (form === "call") return guardedFunction(b, node, operands, active);
  const op = takeApart(node, form, operands);
  const captures = [...op.captures, { value: active, name: "active" }];
  const made = rebind(
    b,
    op,
    { ...op, captures },
    {
      bind: (_, inside) => ({ ...inside, captures: inside.captures.slice(0, -1) }),
      emit(c, region, args, inside, r) {
        const flag = inside.captures.at(-1)!;
        const results = emitGuarded(c, region, args, flag);
        return isTest(op, r) ? [emit.and(c, flag, results[0]!)] : results;
      },
    },
  );
  return putTogether(b, made);
}

/** A function with a derivative of its own: all its graphs take captures first, of which the flag becomes the last. */
function guardedFunction(b: Builder, node: Node, operands: readonly Value[], active: Value): readonly Value[] {
  const count = byGroup(node, operands).captures.length;
  const regions = node.regions.map((region) =>
    buildRegion(b, region.name, (c) => {
      const params = region.params.map(({ value, name }) => ({ type: value.type, name }));
      const all = params.toSpliced(count, 0, { type: active.type, name: "active" });
      const args = all.map(({ type, name }) => addParam(c, type, name));
      return emitGuarded(c, region, args.toSpliced(count, 1), args[count]!);
    }),
  );
  const groups = node.groups.map((group) => (group.name === "captures" ? { ...group, count: count + 1 } : group));
  return b.emitNode(node.op, operands.toSpliced(count, 0, active), node.attrs, regions, groups);
}
