// From TypeScript to JavaScript without types, file by file, with maps that lead back to what the user wrote: the step
// after the transform where no bundler follows. No type errors are reported; that is the type checker's work.
import { dirname } from "node:path";
import remapping, { type SourceMapInput } from "@jridgewell/remapping";
import { ts } from "ts-morph";
import type { SourceMapLike } from "../index.ts";

export interface Program {
  readonly code: string;
  /** From the JavaScript to the source before the transform. */
  readonly map: SourceMapLike;
}

export interface TranspileOptions {
  /** `compilerOptions` as written in tsconfig.json. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The oldest language that what runs the result understands; the configuration's own where undefined. */
  readonly target?: "es2022";
  /** Point relative imports of .ts files at the .js files that a build writes. */
  readonly rewriteImports?: boolean;
}

/** Strips the types of `code`, which the transform made of `file` with `map`. */
export function transpile(code: string, map: SourceMapLike | null, file: string, options: TranspileOptions): Program {
  const { options: given } = ts.convertCompilerOptionsFromJson({ ...options.options }, dirname(file));
  const target = options.target === undefined ? (given.target ?? ts.ScriptTarget.ES2022) : ts.ScriptTarget.ES2022;
  const output = ts.transpileModule(code, {
    fileName: file,
    compilerOptions: {
      ...languageOptions(given),
      target,
      module: ts.ModuleKind.ESNext,
      moduleDetection: ts.ModuleDetectionKind.Force,
      sourceMap: true,
      inlineSources: true,
      ...(options.rewriteImports ? { rewriteRelativeImportExtensions: true } : {}),
    },
  });
  const text = output.outputText.replace(/\n?\/\/# sourceMappingURL=[^\n]*\s*$/, "\n");
  const ownMap = JSON.parse(output.sourceMapText!) as SourceMapLike;
  const chained = map === null ? ownMap : remapped(ownMap, map);
  return { code: text, map: { ...chained, sources: [file] } };
}

function remapped(outer: SourceMapLike, inner: SourceMapLike): SourceMapLike {
  const chain = remapping([outer as SourceMapInput, inner as SourceMapInput], () => null);
  return JSON.parse(chain.toString()) as SourceMapLike;
}

/** What changes the meaning of the emitted code; all that concerns files, checking and modules is left out. */
function languageOptions(given: ts.CompilerOptions): ts.CompilerOptions {
  return Object.fromEntries(keptOptions.flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]]])));
}

const keptOptions = [
  "verbatimModuleSyntax",
  "useDefineForClassFields",
  "experimentalDecorators",
  "emitDecoratorMetadata",
  "jsx",
  "jsxFactory",
  "jsxFragmentFactory",
  "jsxImportSource",
  "removeComments",
] as const satisfies readonly (keyof ts.CompilerOptions)[];

export interface ProjectFiles {
  readonly files: readonly string[];
  /** Undefined where the configuration gives none. */
  readonly rootDir: string | undefined;
}

/** The files that a tsconfig.json names, without declarations. */
export function projectFiles(tsconfig: string): ProjectFiles {
  const read = ts.readConfigFile(tsconfig, ts.sys.readFile);
  if (read.error !== undefined) throw new Error(message(read.error));
  const parsed = ts.parseJsonConfigFileContent(read.config, ts.sys, dirname(tsconfig), {}, tsconfig);
  // "No inputs were found" is said by who asked for them.
  const wrong = parsed.errors.find((error) => error.code !== 18003 && error.code !== 18002);
  if (wrong !== undefined) throw new Error(message(wrong));
  const files = parsed.fileNames.filter((name) => /\.[cm]?[jt]sx?$/.test(name) && !/\.d\.[cm]?ts$/.test(name));
  return { files, rootDir: parsed.options.rootDir };
}

function message(diagnostic: ts.Diagnostic): string {
  return ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
}
