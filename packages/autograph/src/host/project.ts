// Where a file belongs: its package, its TypeScript configuration, and whether the transform takes it at all. Reads
// manifests and configurations, never sources, and keeps what it has read until `forget`.
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { parseJsonc } from "./jsonc.ts";

export interface Manifest {
  readonly folder: string;
  readonly name: string | undefined;
  readonly version: string | undefined;
  readonly type: string | undefined;
  readonly exports: unknown;
  readonly imports: unknown;
  readonly main: string | undefined;
  readonly types: string | undefined;
}

/** One tsconfig.json, with those it extends: their texts are part of what a transformed file depends on. */
export interface Configuration {
  readonly file: string;
  readonly texts: readonly string[];
  /** `compilerOptions.paths`, with the folder that their targets are relative to. */
  readonly paths: Readonly<Record<string, readonly string[]>>;
  readonly base: string;
  /** `compilerOptions` as written, those of extended files included. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What nothing but a compiler or a bundler knows what to do with: a query other than a cache buster. */
const plainQuery = /^\?(v|t|import|used|worker_file|type)\b/;

export class Project {
  readonly #manifests = new Map<string, Manifest | null>();
  readonly #configurations = new Map<string, Configuration | null>();

  /** The manifest of the package that a file or folder lies in. */
  manifestOf(folder: string): Manifest | null {
    const known = this.#manifests.get(folder);
    if (known !== undefined) return known;
    const file = join(folder, "package.json");
    const parent = dirname(folder);
    const found = existsSync(file) ? readManifest(file) : parent === folder ? null : this.manifestOf(parent);
    this.#manifests.set(folder, found);
    return found;
  }

  /** The nearest tsconfig.json above a folder. */
  configurationOf(folder: string): Configuration | null {
    const known = this.#configurations.get(folder);
    if (known !== undefined) return known;
    const file = join(folder, "tsconfig.json");
    const parent = dirname(folder);
    const found = existsSync(file) ? readConfiguration(file) : parent === folder ? null : this.configurationOf(parent);
    this.#configurations.set(folder, found);
    return found;
  }

  configuration(file: string): Configuration {
    const known = this.#configurations.get(file);
    if (known) return known;
    const found = readConfiguration(file);
    this.#configurations.set(file, found);
    return found;
  }

  /** Whether a file is source of the project: none of what is installed, and none of Sinter's own. */
  owns(file: string): boolean {
    if (/[\\/]node_modules[\\/]/.test(file)) return false;
    return !isOwnPackage(this.manifestOf(dirname(file))?.name);
  }

  forget(): void {
    this.#manifests.clear();
    this.#configurations.clear();
  }
}

/** Sinter's own packages are what transformed code calls; they are never transformed. */
export function isOwnPackage(name: string | undefined): boolean {
  return name !== undefined && /^(sinter|@sinter\/.*)$/.test(name);
}

/** The file behind a bundler's id, or undefined where the id stands for something else, such as `a.ts?raw`. */
export function fileOfId(id: string): string | undefined {
  if (id.startsWith("\0")) return undefined;
  const query = id.indexOf("?");
  if (query >= 0 && !plainQuery.test(id.slice(query))) return undefined;
  const file = query < 0 ? id : id.slice(0, query);
  return isAbsolute(file) ? file : undefined;
}

export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

export function readManifest(file: string): Manifest {
  let data: Record<string, unknown> = {};
  try {
    data = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch {
    // A manifest that cannot be read says nothing; Node and the bundler report it where it matters.
  }
  const text = (key: string): string | undefined => (typeof data[key] === "string" ? data[key] : undefined);
  return {
    folder: dirname(file),
    name: text("name"),
    version: text("version"),
    type: text("type"),
    exports: data["exports"],
    imports: data["imports"],
    main: text("main"),
    types: text("types") ?? text("typings"),
  };
}

function readConfiguration(file: string): Configuration {
  const texts: string[] = [];
  let paths: Configuration["paths"] = {};
  let base = dirname(file);
  let merged: Record<string, unknown> = {};
  const visit = (path: string, depth: number): void => {
    if (depth > 20 || !existsSync(path)) return;
    const text = readFileSync(path, "utf8");
    texts.push(text);
    const data = asRecord(parseJsonc(text));
    for (const parent of [data["extends"] ?? []].flat()) {
      const target = typeof parent === "string" ? extended(parent, path) : undefined;
      if (target !== undefined) visit(target, depth + 1);
    }
    const options = asRecord(data["compilerOptions"]);
    merged = { ...merged, ...options };
    if (typeof options["baseUrl"] === "string") base = resolve(dirname(path), options["baseUrl"]);
    if (options["paths"] !== undefined) {
      paths = asRecord(options["paths"]) as Configuration["paths"];
      if (options["baseUrl"] === undefined) base = dirname(path);
    }
  };
  const data = existsSync(file) ? asRecord(parseJsonc(readFileSync(file, "utf8"))) : {};
  const chosen = solutionPart(data, file) ?? file;
  visit(chosen, 0);
  return { file: chosen, texts, paths, base, options: merged };
}

/** A tsconfig.json that only lists others (as new Vite projects have) stands for the first of them. */
function solutionPart(data: Record<string, unknown>, file: string): string | undefined {
  const references = data["references"];
  const empty = Array.isArray(data["files"]) && data["files"].length === 0 && data["compilerOptions"] === undefined;
  if (!empty || !Array.isArray(references)) return undefined;
  const path = asRecord(references[0])["path"];
  if (typeof path !== "string") return undefined;
  const target = resolve(dirname(file), path);
  return target.endsWith(".json") ? target : join(target, "tsconfig.json");
}

function extended(specifier: string, from: string): string | undefined {
  if (specifier.startsWith(".") || isAbsolute(specifier)) {
    const path = resolve(dirname(from), specifier);
    return existsSync(path) ? path : `${path}.json`;
  }
  const require = createRequire(from);
  for (const candidate of [specifier, `${specifier}.json`, `${specifier}/tsconfig.json`]) {
    try {
      return require.resolve(candidate);
    } catch {
      // The next spelling.
    }
  }
  return undefined;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
