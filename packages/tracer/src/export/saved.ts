/** A function in the manifest of a bundle, with its graph, as `loadedFunction` takes it. */
import type { Graph } from "@sinter/ir";
import type { FunctionEntry, SizeEntry, SpecTree, TreeEntry } from "@sinter/runtime";
import { SinterError } from "../errors.ts";
import type { Saved } from "./loaded.ts";

export function savedFunction(caller: string, entry: FunctionEntry, graph: Graph, fastMath: boolean): Saved {
  checkGraph(caller, entry, graph);
  const { name, states, constants, outs, check } = entry;
  const params = entry.params.map((param) => ({ name: param.name, tree: specTree(caller, param.tree) }));
  const result = specTree(caller, entry.result);
  return { name, graph, fastMath, states, constants, outs, params, result, ...(check === undefined ? {} : { check }) };
}

/** Throws where a graph is not the one that the manifest speaks of. */
function checkGraph(caller: string, entry: FunctionEntry, graph: Graph): void {
  const slots = (kind: string): number => entry.slots.filter((slot) => slot.kind === kind).length;
  const params = (kind: string): number => graph.params.filter((param) => param.kind === kind).length;
  const results = (kind: string): number => graph.results.filter((result) => result.kind === kind).length;
  const fits =
    params("arg") === slots("arg") &&
    params("const") <= entry.constants.length &&
    params("state") === entry.states.length &&
    results("state") === slots("stateOut") &&
    results("out") === slots("result");
  if (!fits) throw new SinterError(`${caller}: the graph of ${entry.name} is another than the manifest speaks of`);
}

function knownSize(caller: string, size: SizeEntry, axis: number): number {
  if (typeof size === "number") return size;
  throw new SinterError(`${caller}: axis ${axis} is the symbolic size ${String(size)}: loadBundle runs such functions`);
}

function specTree(caller: string, tree: TreeEntry): SpecTree {
  const inner = (item: TreeEntry): SpecTree => specTree(caller, item);
  switch (tree.kind) {
    case "tensor": {
      const { kind, index, dtype, shape } = tree;
      return { kind, index, dtype, shape: shape.map((size, axis) => knownSize(caller, size, axis)) };
    }
    case "static":
      return tree;
    case "special":
      return { kind: "static", value: tree.value === "undefined" ? undefined : Number(tree.value) };
    case "array":
      return { kind: "array", items: tree.items.map(inner) };
    case "object":
      return { kind: "object", keys: tree.keys, items: tree.items.map(inner) };
    default:
      return tree satisfies never;
  }
}
