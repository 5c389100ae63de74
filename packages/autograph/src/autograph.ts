/** The class that hosts use: one project, many files. */
import type { Diagnostic } from "./diagnostics.ts";

export interface AutographOptions {
  /** The folder that paths in messages and locations are relative to; the working directory unless said. */
  readonly root?: string;
  /** Path of the tsconfig.json; the nearest one above `root` unless said. */
  readonly tsconfig?: string;
  /**
   * How conditions are told apart: "types" asks the type checker; "syntax" needs no project and dispatches every
   * condition at run time that is not plainly a boolean. Default: types.
   */
  readonly mode?: "types" | "syntax";
  /** Whether conditions that are left native are checked at run time not to be tensors. Default: true. */
  readonly checks?: boolean;
  /** Whether array operations are tagged with their places. Default: true. */
  readonly tags?: boolean;
  /** The module that transformed files import. Default: sinter/ag. */
  readonly runtime?: string;
}

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

/** The source transform of a project. */
export class Autograph {
  readonly options: AutographOptions;

  constructor(options: AutographOptions = {}) {
    this.options = options;
  }

  /** Transforms one file. `file` is its path, absolute or relative to the root; `code` its text as it is now. */
  transform(code: string, _file: string): TransformResult {
    return { code, map: null, changed: false, diagnostics: [] };
  }

  /** The diagnostics of the given files, or of all that the tsconfig names. */
  check(_files?: readonly string[]): readonly Diagnostic[] {
    return [];
  }

  /** Lets go of the project. */
  dispose(): void {}
}
