/** The class that hosts use: one project, many files. */
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import type { Diagnostic } from "./diagnostics.ts";
import { findPlainConditions } from "./plain-conditions.ts";
import { type ProjectHost, TypedProject, UntypedProject } from "./project.ts";
import type { TransformResult } from "./result.ts";
import { transformFile } from "./transform.ts";

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

const controlFlow = /\b(if|while|for|switch|do|throw|compile)\b|\?|&&|\|\||!/;
const importing = /\b(import|require|export)\b/;

/** The source transform of a project. */
export class Autograph {
  private readonly options: Required<Omit<AutographOptions, "tsconfig">> & Pick<AutographOptions, "tsconfig">;
  private host: ProjectHost | undefined;

  constructor(options: AutographOptions = {}) {
    this.options = {
      root: resolve(options.root ?? process.cwd()),
      mode: options.mode ?? "types",
      checks: options.checks ?? true,
      tags: options.tags ?? true,
      runtime: options.runtime ?? "sinter/ag",
      ...(options.tsconfig === undefined ? {} : { tsconfig: resolve(options.root ?? ".", options.tsconfig) }),
    };
  }

  /** Transforms one file. `file` is its path, absolute or relative to the root; `code` its text as it is now. */
  transform(code: string, file: string): TransformResult {
    const path = this.absolute(file);
    const untouched = { code, map: null, changed: false, diagnostics: [] };
    if (path.includes("/node_modules/") || /\.d\.[cm]?ts$/.test(path)) return untouched;
    if (!importing.test(code) || code.includes("import * as $ag from")) return untouched;
    if (!controlFlow.test(code) && !code.includes(this.options.runtime.split("/")[0]!)) return untouched;
    const host = this.project();
    const { source, oracle } = host.open(path, code);
    if (!host.reaches(source)) return untouched;
    return transformFile(source, oracle, { ...this.options, path: this.shown(path) });
  }

  /**
   * The diagnostics of the given files, or of all that the tsconfig names, with AG1001 for tensors used as conditions
   * in what the transform leaves alone. With `transformed: false` no file counts as transformed: AG1001 for every one.
   */
  check(files?: readonly string[], options: { readonly transformed?: boolean } = {}): readonly Diagnostic[] {
    const host = this.project();
    const all = (files ?? host.files()).map((file) => this.absolute(file));
    return all
      .filter((path) => !path.includes("/node_modules/") && !/\.d\.[cm]?ts$/.test(path))
      .flatMap((path) => {
        const code = readFileSync(path, "utf8");
        const found = options.transformed === false ? [] : this.transform(code, path).diagnostics;
        return [...found, ...this.conditions(code, path, options.transformed ?? true)];
      });
  }

  /** AG1001: tensors used as plain conditions. `transformed`: only those that the transform leaves alone. */
  conditions(code: string, file: string, transformed = false): readonly Diagnostic[] {
    const path = this.absolute(file);
    if (!importing.test(code)) return [];
    const host = this.project();
    const { source, oracle } = host.open(path, code);
    if (!host.reaches(source)) return [];
    return findPlainConditions(source, oracle, { runtime: this.options.runtime, path: this.shown(path), transformed });
  }

  /** Takes note of a file's new text, which the types of other files may hang on. */
  update(code: string, file: string): void {
    this.host?.open(this.absolute(file), code);
  }

  /** Lets go of the project. */
  dispose(): void {
    this.host = undefined;
  }

  private project(): ProjectHost {
    const { mode, root, tsconfig, runtime } = this.options;
    this.host ??= mode === "types" ? new TypedProject(root, tsconfig, runtime) : new UntypedProject(runtime);
    return this.host;
  }

  private absolute(file: string): string {
    return resolve(this.options.root, file).replaceAll("\\", "/");
  }

  private shown(path: string): string {
    return relative(this.options.root, path).replaceAll("\\", "/");
  }
}
