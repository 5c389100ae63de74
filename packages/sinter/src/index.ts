/** Sinter: eager TypeScript functions, traced and compiled to one program, for WebAssembly or for a GPU. */
export type { DType, Loc, TypedArray } from "@sinter/ir";
export * from "@sinter/nn";
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
