/** Sinter: eager TypeScript functions, traced and compiled to one WebAssembly program. */
import { loadAssembler } from "@sinter/runtime";
import { currentBackend } from "@sinter/tracer";

export type { DType, Loc, TypedArray } from "@sinter/ir";
export { type Cost, configureHeap, type KernelCost, type StageName } from "@sinter/runtime";
export * from "@sinter/tracer";

const inNode = typeof process === "object" && typeof process.versions?.node === "string";

/**
 * Resolves when functions compiled for a backend can be called. In Node they can at once; elsewhere await it before the
 * first call.
 */
export async function ready(backend: "wasm" | "reference" = currentBackend()): Promise<void> {
  if (backend === "wasm") await loadAssembler();
}

if (inNode) await ready("wasm");
