// Everything of the hosts that needs the TypeScript compiler. Loaded through load.ts, never imported directly.
export { Autograph, type Diagnostic, formatDiagnostic } from "../index.ts";
export { type Program, projectFiles, transpile } from "./transpile.ts";
