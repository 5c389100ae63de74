/** Programs that stopped inside: which kernel it was, from the names in the stack, and the lines that it computes. */
import { functionNames, probeFeatures } from "@sinter/codegen-wasm";
import type { Graph } from "@sinter/ir";
import { theMachine } from "./session.ts";
import { kernelNodes, locsOfNodes, placesText } from "./stage-text.ts";
import { type CompileOptions, compileToWasm } from "./stages.ts";
import { loopsThatRun } from "./wasm-target.ts";

/** A kernel that was running. Equal ones share their functions, so there may be several that it can have been. */
export interface TrappedKernel {
  readonly name: string;
  /** What was written at which lines, as text; empty where that is not known. */
  readonly places: string;
}

/** Whether an error came out of a program, rather than out of what it called. */
export function isTrap(error: unknown): error is Error {
  if (error instanceof WebAssembly.RuntimeError) return true;
  return error instanceof RangeError && functionsIn(error.stack ?? "").length > 0;
}

/** The kernels that were running when the program of a graph stopped. Compiles the graph again to find out. */
export function trappedKernels(error: Error, graph: Graph, options: CompileOptions): readonly TrappedKernel[] {
  const running = functionsIn(error.stack ?? "");
  if (running.length === 0 || options.backend === "reference") return [];
  const made = compileToWasm(graph, options);
  const { program, plan } = loopsThatRun(made, options.poison ?? false);
  const target = { ...probeFeatures(), memory: theMachine().heap.kind, owner: "import" } as const;
  const names = functionNames(program, plan, target);
  const nodes = kernelNodes(program);
  const [inner] = running.map((name) => names.flatMap((list, k) => (list.includes(name) ? [k] : []))).filter(some);
  return (inner ?? []).map((k) => ({
    name: program.kernels[k]!.name,
    places: placesText(locsOfNodes(made.simplified, nodes[k] ?? [])),
  }));
}

const some = (list: readonly unknown[]): boolean => list.length > 0;

/** Names of the wasm functions in a stack, the innermost first, as V8, SpiderMonkey and JavaScriptCore write them. */
function functionsIn(stack: string): string[] {
  return stack.split("\n").flatMap((line) => {
    const name =
      /^\s*at (?:\S+\.)?([^\s.(]+) \(wasm:/.exec(line)?.[1] ??
      /^([^@\s]+)@.*:wasm-function\[/.exec(line)?.[1] ??
      /wasm-function\[([^\]]+)\]@\[wasm code\]/.exec(line)?.[1];
    return name === undefined ? [] : [name];
  });
}
