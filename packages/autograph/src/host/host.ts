// One transform for one process: decides which files are taken, keeps results on disk, and loads the compiler when a
// file is new. The plugin, the loader, the command and the lint rule are thin layers over it.
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type { Autograph, AutographOptions, Diagnostic, SourceMapLike } from "../index.ts";
import { cacheFolder, cacheKey, OutputCache } from "./cache.ts";
import { ImportGraph } from "./imports.ts";
import type { Engine } from "./load.ts";
import { type Configuration, Project, realPath } from "./project.ts";

/** What the plugins, the loader and the command understand. */
export interface HostOptions extends AutographOptions {
  /** Only files that match one of these; a string matches where the path, relative to the root, starts with it. */
  readonly include?: readonly (string | RegExp)[];
  /** No files that match one of these, on top of node_modules. */
  readonly exclude?: readonly (string | RegExp)[];
  /** Whether results are kept in node_modules/.cache. True by default. */
  readonly cache?: boolean;
}

/** A diagnostic with its code frame, so that it can be shown without the compiler. */
export interface Report {
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** The whole text: place, message, frame. */
  readonly text: string;
}

export interface Outcome {
  readonly code: string;
  readonly map: SourceMapLike | null;
  readonly changed: boolean;
  readonly reports: readonly Report[];
  /** Files of the project whose types the result depends on. */
  readonly dependencies: readonly string[];
}

/** Work that is done, or that needs the engine. */
export type Pending<T> = { readonly done: T } | { readonly run: (engine: Engine) => T };

type Kept = Omit<Outcome, "dependencies">;

const sourceEndings = new Set([".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs"]);

export class Host {
  readonly root: string;
  readonly #options: HostOptions;
  readonly #project = new Project();
  readonly #imports = new ImportGraph(this.#project);
  readonly #autographs = new Map<string, Autograph>();
  readonly #cache: OutputCache | undefined;

  constructor(options: HostOptions = {}) {
    this.#options = options;
    this.root = realPath(options.root ?? process.cwd());
    const wanted = options.cache !== false && process.env["SINTER_AUTOGRAPH_CACHE"] !== "off";
    const folder = wanted ? cacheFolder(this.root) : undefined;
    this.#cache = folder === undefined ? undefined : new OutputCache(folder);
  }

  get project(): Project {
    return this.#project;
  }

  /** Whether a file is source of the project at all. */
  owns(file: string): boolean {
    return sourceEndings.has(extname(file)) && !/\.d\.[cm]?ts$/.test(file) && this.#project.owns(file);
  }

  /** Whether the transform takes a file: source of the project that no option leaves out. */
  accepts(file: string): boolean {
    const { include, exclude } = this.#options;
    if (!this.owns(file)) return false;
    const path = this.#relative(file);
    if (exclude?.some((pattern) => matches(pattern, path))) return false;
    return include === undefined || include.some((pattern) => matches(pattern, path));
  }

  /** The configuration that a file is read with: the one given, or the nearest. */
  configuration(file: string): Configuration | null {
    const { tsconfig } = this.#options;
    return tsconfig === undefined
      ? this.#project.configurationOf(dirname(file))
      : this.#project.configuration(realPath(tsconfig));
  }

  /** Transforms `code`, the text of `file`. Done at once where no tensor can be in it, or the result is kept on disk. */
  transform(code: string, file: string): Pending<Outcome> {
    const configuration = this.configuration(file);
    const { files: dependencies, hash, reachesSinter } = this.#imports.dependencies(code, file, configuration);
    if (!reachesSinter) return { done: { code, map: null, changed: false, reports: [], dependencies } };
    const key = this.#key("source", file, code, configuration, hash);
    const kept = this.#cache?.read(key) as Kept | undefined;
    if (kept !== undefined) return { done: { ...kept, code: kept.changed ? kept.code : code, dependencies } };
    return {
      run: (engine) => {
        const result = this.autograph(engine, configuration).transform(code, file);
        const reports = result.diagnostics.map((diagnostic) => ({
          severity: diagnostic.severity,
          message: `${diagnostic.code}: ${diagnostic.message}`,
          line: diagnostic.line,
          column: diagnostic.column,
          text: engine.formatDiagnostic(diagnostic, code),
        }));
        const map = result.map === null ? null : { ...result.map, sources: [file], sourcesContent: [code] };
        const fresh: Kept = { code: result.code, map, changed: result.changed, reports };
        // An error is found again each time, so that a fixed tool or type is noticed at once.
        if (!reports.some(isError)) this.#cache?.write(key, fresh.changed ? fresh : { ...fresh, code: "" });
        return { ...fresh, dependencies };
      },
    };
  }

  /** Transforms a file and strips its types: the JavaScript that Node runs, with an inline map. */
  program(code: string, file: string): Pending<{ readonly code: string; readonly reports: readonly Report[] }> {
    const configuration = this.configuration(file);
    const { hash, reachesSinter } = this.#imports.dependencies(code, file, configuration);
    const typed = /\.[cm]?tsx?$/.test(file);
    const staged = reachesSinter && this.accepts(file);
    if (!typed && !staged) return { done: { code, reports: [] } };
    const key = this.#key(staged ? "program" : "stripped", file, code, configuration, staged ? hash : "");
    const kept = this.#cache?.read(key) as { code: string; reports: readonly Report[] } | undefined;
    if (kept !== undefined) return { done: kept };
    return {
      run: (engine) => {
        const pending = this.transform(code, file);
        const outcome = !staged ? undefined : "done" in pending ? pending.done : pending.run(engine);
        const source = outcome ?? { code, map: null, reports: [] };
        const { code: text, map } = typed
          ? engine.transpile(source.code, source.map, file, { options: configuration?.options ?? {}, target: "es2022" })
          : source;
        const fresh = { code: map === null ? text : withInlineMap(text, map, file, code), reports: source.reports };
        if (!fresh.reports.some(isError)) this.#cache?.write(key, fresh);
        return fresh;
      },
    };
  }

  /**
   * What the analysis says of `code`, the text of `file`, whether it is saved or not: what the transform refuses, and
   * tensors as conditions in what it leaves alone; with `transformed` false, every tensor as a condition. The engine is
   * only asked for where a tensor can be in the file.
   */
  diagnose(code: string, file: string, transformed: boolean, engine: () => Engine): readonly Diagnostic[] {
    const configuration = this.configuration(file);
    if (!this.#imports.dependencies(code, file, configuration).reachesSinter) return [];
    const autograph = this.autograph(engine(), configuration);
    const refused = transformed ? autograph.transform(code, file).diagnostics : [];
    return [...refused, ...autograph.conditions(code, file, transformed)];
  }

  /** Forgets what is known of files, since `file` has changed; a project that is open is given its new text. */
  changed(file: string): void {
    this.#project.forget();
    this.#imports.forget();
    if (this.#autographs.size === 0) return;
    const source = /\.[cm]?[jt]sx?$/.test(file) && existsSync(file);
    // A file that is gone, a package.json, a tsconfig.json: the project is read anew.
    if (!source) this.dispose();
    else for (const autograph of this.#autographs.values()) autograph.update(readFileSync(file, "utf8"), file);
  }

  /** The transform for the files of one configuration. */
  autograph(engine: Engine, configuration: Configuration | null): Autograph {
    const path = configuration?.file ?? "";
    const known = this.#autographs.get(path);
    if (known !== undefined) return known;
    const { mode, checks, tags, runtime } = this.#options;
    const made = new engine.Autograph({
      root: this.root,
      ...(configuration === null ? {} : { tsconfig: configuration.file }),
      ...(mode === undefined ? {} : { mode }),
      ...(checks === undefined ? {} : { checks }),
      ...(tags === undefined ? {} : { tags }),
      ...(runtime === undefined ? {} : { runtime }),
    });
    this.#autographs.set(path, made);
    return made;
  }

  dispose(): void {
    for (const autograph of this.#autographs.values()) autograph.dispose();
    this.#autographs.clear();
  }

  #relative(file: string): string {
    return relative(this.root, file).split(sep).join("/");
  }

  #key(kind: string, file: string, code: string, configuration: Configuration | null, hash: string): string {
    const { mode, checks, tags, runtime } = this.#options;
    return cacheKey([
      kind,
      this.#relative(file),
      code,
      configuration?.texts ?? [],
      hash,
      [mode, checks, tags, runtime].map((option) => option ?? null),
    ]);
  }
}

export function isError(report: Report): boolean {
  return report.severity === "error";
}

function matches(pattern: string | RegExp, path: string): boolean {
  return typeof pattern === "string"
    ? path === pattern || path.startsWith(`${pattern.replace(/\/$/, "")}/`)
    : pattern.test(path);
}

/** The program with its map, the source text included, in a comment at the end. */
function withInlineMap(code: string, map: SourceMapLike, file: string, source: string): string {
  const text = JSON.stringify({ ...map, sources: [pathToFileURL(file).href], sourcesContent: [source] });
  const url = `data:application/json;base64,${Buffer.from(text).toString("base64")}`;
  return `${code.trimEnd()}\n//# sourceMappingURL=${url}\n`;
}
