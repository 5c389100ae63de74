/** The source transform of control flow on tensors. */
export { Autograph, type AutographOptions } from "./autograph.ts";
export { type Code, type CodeEntry, codes } from "./codes.ts";
export { type Diagnostic, formatDiagnostic } from "./diagnostics.ts";
export type { SourceMapLike, TransformResult } from "./result.ts";
