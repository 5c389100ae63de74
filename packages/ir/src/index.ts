/**
 * Graph, Nest and Loop IR: types, and how each is built, printed, parsed, checked and evaluated. Constructors of graph
 * nodes are one name, `emit`; those of Loop IR another, `loop`.
 */
export * from "./builder.ts";
export * from "./define-op.ts";
export * from "./dtype.ts";
export type { CumulateOp, DotDims, ReduceOp, ScatterCombine } from "./emit.ts";
export * as emit from "./emit.ts";
export * from "./eval.ts";
export * from "./graph.ts";
export * from "./host-call.ts";
export * from "./host-text.ts";
export * as loop from "./loop/build.ts";
export * from "./loop/eval.ts";
export type * from "./loop/loop.ts";
export * from "./loop/machine-ops.ts";
export { mathBuilder } from "./loop/math.ts";
export * from "./loop/parse.ts";
export * from "./loop/print.ts";
export * from "./loop/syms.ts";
export * from "./loop/verify.ts";
export * from "./math/index.ts";
export * from "./nest/classify.ts";
export * from "./nest/combine.ts";
export * from "./nest/eval-program.ts";
export type * from "./nest/expr.ts";
export * from "./nest/index-algebra.ts";
export type * from "./nest/nest.ts";
export * from "./nest/print.ts";
export * from "./nest/scalar-expr.ts";
export * from "./nest/scope.ts";
export * from "./nest/verify.ts";
export * from "./nest/work.ts";
export * from "./node-path.ts";
export * from "./ops/index.ts";
export * from "./parse.ts";
export * from "./print.ts";
export * from "./program.ts";
export * from "./rebuild.ts";
export * from "./scalar-ops.ts";
export * from "./steps.ts";
export * from "./text.ts";
export * from "./tolerance.ts";
export * from "./verify.ts";
