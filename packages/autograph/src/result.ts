/** What transforming a file gives. */
import type { Diagnostic } from "./diagnostics.ts";

/** A source map, version 3. */
export interface SourceMapLike {
  readonly version: number;
  readonly sources: string[];
  readonly sourcesContent?: (string | null)[];
  readonly names: string[];
  readonly mappings: string;
  readonly file?: string;
}

export interface TransformResult {
  /** The transformed source, TypeScript still; the source as given where nothing changed or an error was found. */
  readonly code: string;
  /** From `code` to the source given; null where nothing changed. */
  readonly map: SourceMapLike | null;
  readonly changed: boolean;
  readonly diagnostics: readonly Diagnostic[];
}
