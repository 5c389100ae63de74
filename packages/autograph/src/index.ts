/** The source transform of control flow on tensors. */
export { Autograph, type AutographOptions, type SourceMapLike, type TransformResult } from "./autograph.ts";
export { type Code, type CodeEntry, codes } from "./codes.ts";
export { type Diagnostic, formatDiagnostic } from "./diagnostics.ts";
