/** Programs for the GPU from graphs, and what is said of those that a device cannot run. */
import type { Graph, Node, typeOf } from "@sinter/ir";
import type { Compiled, CompileOptions } from "@sinter/runtime";
import type { GpuExecutable } from "@sinter/runtime/webgpu";
import { DTypeError, describe, locText } from "../errors.ts";
import { theGpu } from "./session.ts";

export type GpuProgram = Compiled<GpuExecutable>;

/** The program of a graph: known, or compiled now; its pipelines may take longer, and calls wait for them in turn. */
export function programOnGpu(graph: Graph, options: CompileOptions): GpuProgram {
  checkTypes(graph);
  return theGpu().programs.ofGraph(graph, options);
}

/** Throws for an element type that devices do not have, with the first line that makes one. */
export function checkTypes(graph: Graph): void {
  for (const { name, value, kind } of graph.params)
    if (kind !== "token") refuse(graph, `${kind === "arg" ? "argument " : ""}${name}`, value, undefined);
  checkNodes(graph, graph.nodes, graph.debug.locs);
}

function checkNodes(graph: Graph, nodes: readonly Node[], locs: Graph["debug"]["locs"]): void {
  nodes.forEach((node, i) => {
    for (const region of node.regions) checkNodes(graph, region.nodes, region.debug.locs);
    for (const value of node.results) refuse(graph, `a result of ${node.op}`, value, locText(locs[i]?.[0]));
  });
}

function refuse(graph: Graph, what: string, value: Parameters<typeof typeOf>[0], line: string | undefined): void {
  const { type } = value;
  if (type.kind !== "tensor" || type.dtype !== "f64") return;
  const text = `${graph.name}: ${what} is ${describe(type)}: f64 is not available on webgpu; cast to f32`;
  throw line === undefined ? new DTypeError(text) : new DTypeError(text, line);
}
