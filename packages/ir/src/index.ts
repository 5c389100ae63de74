/** The IRs and what all layers above share: dtypes, the scalar-op table, builders, text, verification, evaluation. */
export * from "./dtype.ts";
export * as loop from "./loop/build.ts";
export type * from "./loop/loop.ts";
export * from "./loop/machine-ops.ts";
export * from "./nest/expr.ts";
export * from "./nest/index-algebra.ts";
export type * from "./nest/nest.ts";
export * from "./nest/scalar-expr.ts";
export * from "./nest/scope.ts";
export type { LoopProgram, MemoryKind, Place, Plan, Slot, WasmFeatures, WasmProgram } from "./program.ts";
export * from "./scalar-ops.ts";
