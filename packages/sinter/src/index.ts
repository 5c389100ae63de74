/** Sinter: eager TypeScript functions, traced and compiled to one WebAssembly program. */
export type { DType, Loc, TypedArray } from "@sinter/ir";
export {
  type Bound,
  type Cost,
  configureHeap,
  type Inspection,
  type KernelCost,
  type Peaks,
  roofline,
  type StageName,
} from "@sinter/runtime";
export * from "@sinter/tracer";

/**
 * Resolves when functions compiled for a backend can be called. Both backends can at once; one that has to ask for a
 * device cannot.
 */
export function ready(_backend?: "wasm" | "reference"): Promise<void> {
  return Promise.resolve();
}
