/** What a user is told when a program stopped inside WebAssembly. */
import type { Graph } from "@sinter/ir";
import { type CompileOptions, trappedKernels } from "@sinter/runtime";
import { TrapError } from "./errors.ts";

/** `lost`: names of variables that were being updated in place. */
export function trapError(cause: Error, graph: Graph, options: CompileOptions, lost: readonly string[]): TrapError {
  const kernels = trappedKernels(cause, graph, options);
  const names = [...new Set(kernels.map((kernel) => kernel.name))];
  const where = names.length === 0 ? "" : ` in ${names.join(" or ")}`;
  const places = [...new Set(kernels.map((kernel) => kernel.places))].filter((text) => text !== "");
  const lines = [
    `${graph.name}: the program stopped${where}: ${cause.message}`,
    ...places.map((text) => `which computes ${text}`),
    lost.length === 0
      ? "no variable has changed"
      : `it was updating ${lost.join(", ")} in place: ${lost.length === 1 ? "its value is" : "their values are"} lost, assign ${lost.length === 1 ? "a new one" : "new ones"}`,
    "compiled programs do not stop by themselves: this is a fault in Sinter. { verify: true } may find the operation",
  ];
  const error = new TrapError(lines.join("\n  "), { kernels: names, lost });
  error.cause = cause;
  return error;
}
