// What a file's types may depend on: the files of the project that it imports, directly or through others, and the
// versions of the packages at the edge. Found by scanning for specifiers, since it runs before the compiler is loaded.
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, resolve } from "node:path";
import { type Configuration, isOwnPackage, type Manifest, type Project, readManifest, realPath } from "./project.ts";

export interface Dependencies {
  /** Files of the project, sorted; Sinter's own sources (in its workspace) are not among them. */
  readonly files: readonly string[];
  /** Hash of the contents of all files reached, Sinter's own too, and of the versions of packages. */
  readonly hash: string;
  /** Whether Sinter is imported anywhere on the way: without it no type can be a tensor. */
  readonly reachesSinter: boolean;
}

interface Scanned {
  readonly hash: string;
  readonly targets: readonly Target[];
}

type Target = { readonly file: string } | { readonly edge: string; readonly sinter: boolean };

const specifiers =
  /\b(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"'\n]+)["']|\bimport\s*["']([^"'\n]+)["']|\b(?:import|require)\s*\(\s*["']([^"'\n]+)["']/g;
const endings = [".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"];
const scannedEndings = /\.[cm]?[jt]sx?$/;

export class ImportGraph {
  readonly #project: Project;
  readonly #scanned = new Map<string, Scanned>();
  readonly #packages = new Map<string, Manifest | null>();

  constructor(project: Project) {
    this.#project = project;
  }

  /** What `code`, the text of `file`, depends on. */
  dependencies(code: string, file: string, configuration: Configuration | null): Dependencies {
    const reached = new Map<string, string>();
    const edges = new Set<string>();
    let reachesSinter = false;
    const visit = (targets: readonly Target[]): void => {
      for (const target of targets) {
        if ("edge" in target) {
          edges.add(target.edge);
          reachesSinter ||= target.sinter;
          continue;
        }
        if (reached.has(target.file) || target.file === file) continue;
        const scanned = this.#scan(target.file, configuration);
        reached.set(target.file, scanned.hash);
        visit(scanned.targets);
      }
    };
    visit(this.#targets(code, file, configuration));
    const own = (path: string): boolean => isOwnPackage(this.#project.manifestOf(dirname(path))?.name);
    const hash = createHash("sha256");
    const files = [...reached.keys()].sort();
    for (const path of files) hash.update(`${path}\0${reached.get(path)}\n`);
    for (const edge of [...edges].sort()) hash.update(`${edge}\n`);
    reachesSinter ||= files.some(own);
    return { files: files.filter((path) => !own(path)), hash: hash.digest("hex"), reachesSinter };
  }

  /** Forgets what was read, since files have changed. */
  forget(): void {
    this.#scanned.clear();
    this.#packages.clear();
  }

  #scan(file: string, configuration: Configuration | null): Scanned {
    const known = this.#scanned.get(file);
    if (known !== undefined) return known;
    let text = "";
    try {
      text = readFileSync(file, "utf8");
    } catch {
      // Gone since it was resolved: the compiler says so.
    }
    const targets = scannedEndings.test(file) ? this.#targets(text, file, configuration) : [];
    const scanned = { hash: createHash("sha256").update(text).digest("base64url"), targets };
    this.#scanned.set(file, scanned);
    return scanned;
  }

  #targets(code: string, file: string, configuration: Configuration | null): Target[] {
    const found = new Set<string>();
    for (const match of code.matchAll(specifiers)) found.add((match[1] ?? match[2] ?? match[3])!);
    return [...found].flatMap((specifier) => this.#resolve(specifier, file, configuration) ?? []);
  }

  #resolve(specifier: string, from: string, configuration: Configuration | null): Target | undefined {
    if (isBuiltin(specifier)) return undefined;
    if (specifier.startsWith(".") || specifier.startsWith("/")) {
      const path = sourceFile(resolve(dirname(from), specifier));
      return path === undefined ? { edge: `missing ${specifier}`, sinter: false } : { file: path };
    }
    if (specifier.startsWith("#")) return this.#internal(specifier, from);
    const mapped = configuration === null ? undefined : mappedFile(specifier, configuration);
    return mapped === undefined ? this.#package(specifier, from) : { file: mapped };
  }

  #internal(specifier: string, from: string): Target {
    const manifest = this.#project.manifestOf(dirname(from));
    const entry = manifest === null ? undefined : conditional(manifest.imports, specifier);
    const path = entry?.startsWith(".") ? sourceFile(join(manifest!.folder, entry)) : undefined;
    return path === undefined ? { edge: `missing ${specifier}`, sinter: false } : { file: path };
  }

  /** A package that is linked is followed into its sources; one that is installed counts with its version. */
  #package(specifier: string, from: string): Target {
    const [, name, rest] = /^(@[^/]+\/[^/]+|[^/]+)(.*)$/.exec(specifier)!;
    const manifest = this.#findPackage(name!, dirname(from));
    if (manifest === null) return { edge: `missing ${specifier}`, sinter: isOwnPackage(name) };
    if (!/[\\/]node_modules[\\/]/.test(manifest.folder)) {
      const entry = conditional(manifest.exports, `.${rest}`) ?? (rest === "" ? plainEntry(manifest) : rest);
      const path = sourceFile(join(manifest.folder, entry!));
      if (path !== undefined) return { file: path };
    }
    return { edge: `${name}@${manifest.version}`, sinter: isOwnPackage(name) };
  }

  #findPackage(name: string, folder: string): Manifest | null {
    const key = `${folder}\0${name}`;
    const known = this.#packages.get(key);
    if (known !== undefined) return known;
    const file = join(folder, "node_modules", name, "package.json");
    const parent = dirname(folder);
    let found: Manifest | null = null;
    if (isFile(file)) found = readManifest(realPath(file));
    else if (parent !== folder) found = this.#findPackage(name, parent);
    this.#packages.set(key, found);
    return found;
  }
}

function mappedFile(specifier: string, configuration: Configuration): string | undefined {
  for (const [pattern, targets] of Object.entries(configuration.paths)) {
    const star = matched(pattern, specifier);
    if (star === undefined) continue;
    for (const target of targets) {
      const path = sourceFile(resolve(configuration.base, target.replace("*", star)));
      if (path !== undefined) return path;
    }
  }
  return undefined;
}

/** The part of `text` that the star of `pattern` stands for; undefined where they do not match. */
function matched(pattern: string, text: string): string | undefined {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === text ? "" : undefined;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  if (!text.startsWith(head) || !text.endsWith(tail) || text.length < pattern.length - 1) return undefined;
  return text.slice(head.length, text.length - tail.length);
}

/** What an `exports` or `imports` field of a manifest leads to, types first. */
function conditional(field: unknown, key: string): string | undefined {
  if (typeof field === "string") return key === "." ? field : undefined;
  if (typeof field !== "object" || field === null) return undefined;
  const entries = Object.entries(field);
  if (!entries.some(([name]) => name.startsWith(".") || name.startsWith("#"))) {
    return key === "." ? firstTarget(field) : undefined;
  }
  for (const [pattern, target] of entries) {
    const star = matched(pattern, key);
    if (star !== undefined) return firstTarget(target)?.replace("*", star);
  }
  return undefined;
}

function firstTarget(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Record<string, unknown>;
  for (const condition of ["types", "import", "node", "default", "require"]) {
    const found = firstTarget(record[condition]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function plainEntry(manifest: Manifest): string {
  return manifest.types ?? manifest.main ?? "index";
}

/** The file that TypeScript takes for a path, which may lack its ending or carry that of the output. */
function sourceFile(path: string): string | undefined {
  const output = /^(.*)\.([cm]?)js(x?)$/.exec(path);
  if (output !== null) {
    const [, base, kind, x] = output;
    for (const ending of x === "x" ? [".tsx"] : [`.${kind}ts`, ".tsx"]) if (isFile(base + ending)) return base + ending;
    // Declarations beside a JavaScript file say its types.
    if (isFile(`${base}.d.${kind}ts`)) return `${base}.d.${kind}ts`;
  }
  if (isFile(path)) return path;
  for (const ending of endings) if (isFile(path + ending)) return path + ending;
  for (const ending of endings) if (isFile(join(path, `index${ending}`))) return join(path, `index${ending}`);
  return undefined;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
