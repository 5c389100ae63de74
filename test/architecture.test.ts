// Holds the architecture in place: which package may import which, no cycles between files, and the few rules of
// style that keep a file readable. It reads the sources and runs none of them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type ParsedSource, parseSource } from "../scripts/imports.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The dependency arrow, lowest layer first. A package may import every layer below its own, and never its own layer:
 * so passes and the code generators do not know of each other, and nothing imports upwards.
 */
const layers: readonly (readonly string[])[] = [
  ["ir"],
  ["passes", "codegen-wasm", "codegen-wgsl"],
  ["runtime"],
  ["tracer"],
  ["nn"],
  ["sinter"],
  ["cli"],
];

/** Packages beside the arrow: what they may import, and who may import them. */
const besideTheArrow: Readonly<
  Record<string, { readonly imports: readonly string[]; readonly by: readonly string[] }>
> = { autograph: { imports: [], by: ["sinter", "cli"] }, inspect: { imports: ["ir", "runtime"], by: ["cli"] } };

/** Modules from elsewhere that a package may import; all others import Node's only. */
const fromElsewhere: Readonly<Record<string, readonly string[]>> = {
  autograph: ["@jridgewell/remapping", "magic-string", "ts-morph"],
  cli: ["commander"],
  inspect: ["@dagrejs/dagre", "diff"],
};

/** Modules from elsewhere whose types a package may import: the hosts of the source transform. */
const typesFromElsewhere: Readonly<Record<string, readonly string[]>> = {
  autograph: ["eslint", "unplugin"],
  sinter: ["esbuild", "rolldown", "rollup", "vite", "webpack"],
};

/** Files with a default export, because their host asks for one. */
const demandedDefaults = /^packages\/sinter\/src\/(vite|rollup|rolldown|esbuild|webpack|eslint)\.ts:/;

const maximumLines = 500;

/**
 * How often files outside packages/ir/src/ops compare the name of a graph op with a text. Every place is one that a field
 * of the op's definition should answer; the numbers may only get smaller.
 */
const asksForNames: Readonly<Record<string, number>> = {
  "packages/inspect/src/graph/model.ts": 4,
  "packages/ir/src/builder.ts": 2,
  "packages/passes/src/element-loop/conditions.ts": 6,
  "packages/passes/src/element-loop/derived.ts": 2,
  "packages/passes/src/element-loop/elements.ts": 3,
  "packages/passes/src/element-loop/index.ts": 1,
  "packages/passes/src/element-loop/write.ts": 1,
  "packages/passes/src/inline.ts": 3,
  "packages/tracer/src/liftout.ts": 1,
  "packages/tracer/src/piece.ts": 1,
  "packages/tracer/src/split.ts": 1,
  "packages/tracer/src/staged.ts": 1,
};

interface SourceFile {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly packageName: string;
  readonly text: string;
  readonly parsed: ParsedSource;
}

interface PackageManifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const packageNames = readdirSync(join(root, "packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(root, "packages", entry.name, "package.json")))
  .map((entry) => entry.name);
const manifests = new Map(packageNames.map((name) => [name, readManifest(name)]));
const sources = packageNames.flatMap(readSources);

describe("packages", () => {
  test("every package has a place in the dependency arrow", () => {
    const placed = new Set([...layers.flat(), ...Object.keys(besideTheArrow)]);
    expect(packageNames.filter((name) => !placed.has(name))).toEqual([]);
  });

  test("a package imports only packages below it, by name and through their exports", () => {
    const problems: string[] = [];
    eachImport((file, specifier, line) => {
      const target = internalTarget(specifier);
      if (target === undefined) return;
      const where = `${file.path}:${line} imports ${specifier}`;
      if (!mayImport(file.packageName).includes(target.packageName)) {
        problems.push(`${where}: ${file.packageName} must not know ${target.packageName}`);
      } else if (manifests.get(target.packageName)?.exports[target.entry] === undefined) {
        problems.push(`${where}: that package exports no ${target.entry}`);
      } else if (manifests.get(file.packageName)?.dependencies?.[target.name] === undefined) {
        problems.push(`${where}: not among the dependencies in packages/${file.packageName}/package.json`);
      }
    });
    expect(problems).toEqual([]);
  });

  test("a relative import names an existing .ts file of the same package", () => {
    const problems: string[] = [];
    eachImport((file, specifier, line) => {
      if (!specifier.startsWith(".")) return;
      const target = relativeTarget(file, specifier);
      const inside = target.startsWith(`packages/${file.packageName}/src/`);
      if (!inside || !target.endsWith(".ts") || !existsSync(join(root, target))) {
        problems.push(`${file.path}:${line} imports ${specifier}`);
      }
    });
    expect(problems).toEqual([]);
  });

  test("nothing from elsewhere is imported but Node's modules, and what the source transform is built on", () => {
    const problems: string[] = [];
    eachImport((file, specifier, line, typeOnly) => {
      if (specifier.startsWith(".") || specifier.startsWith("node:") || internalTarget(specifier)) return;
      if (fromElsewhere[file.packageName]?.includes(specifier)) return;
      if (typeOnly && typesFromElsewhere[file.packageName]?.includes(specifier)) return;
      problems.push(`${file.path}:${line} imports ${specifier}`);
    });
    expect(problems).toEqual([]);
  });

  test("importing sinter, or what transformed sources call, loads nothing of the source transform", () => {
    for (const [key, entry] of Object.entries(manifests.get("sinter")!.exports)) {
      const reached = runtimeClosure(toPath(resolve(root, "packages/sinter", entry)));
      const transform = reached.some((path) => path.startsWith("packages/autograph/"));
      expect([key, transform]).toEqual([key, key !== "." && key !== "./ag"]);
    }
  });

  test("the hosts of the source transform load the TypeScript compiler through engine.ts only", () => {
    const host = "packages/autograph/src/host/";
    const problems: string[] = [];
    for (const entry of Object.values(manifests.get("autograph")!.exports)) {
      const start = toPath(resolve(root, "packages/autograph", entry));
      if (!start.startsWith(host)) continue;
      problems.push(...runtimeClosure(start, `${host}engine.ts`).filter((path) => importsCompiler(path)));
    }
    expect(problems).toEqual([]);
  });

  test("execution runs without the compiler: runtime/src/exec imports itself and @sinter/ir/program only", () => {
    const exec = "packages/runtime/src/exec/";
    const problems: string[] = [];
    eachImport((file, specifier, line) => {
      if (!file.path.startsWith(exec) || specifier.startsWith("node:") || specifier === "@sinter/ir/program") return;
      if (specifier.startsWith(".") && relativeTarget(file, specifier).startsWith(exec)) return;
      problems.push(`${file.path}:${line} imports ${specifier}`);
    });
    expect(problems).toEqual([]);
  });

  test("@sinter/ir/program is plain data: what it imports at run time leads to no op and no IR", () => {
    const allowed = new Set(
      ["program", "dtype", "dim", "host-call", "host-text"].map((name) => `packages/ir/src/${name}.ts`),
    );
    const reached = runtimeClosure("packages/ir/src/program.ts");
    expect(reached.filter((path) => !allowed.has(path))).toEqual([]);
  });
});

describe("files", () => {
  test("no file imports itself through others, types included", () => {
    expect(importCycles()).toEqual([]);
  });

  test("nobody outside ir/src/ops asks which operation a node is, but in the places that are left", () => {
    const asked: Record<string, number> = {};
    for (const { path, packageName, text } of sources) {
      const graphs =
        ["inspect", "passes", "runtime", "tracer"].includes(packageName) || path === "packages/ir/src/builder.ts";
      const count = graphs ? [...text.matchAll(/\bop [!=]== "[a-zA-Z]+"/g)].length : 0;
      // Those are rows of the scalar table and combiners of reductions, which are data.
      if (count > 0 && !path.startsWith("packages/runtime/src/bundle/")) asked[path] = count;
    }
    expect(asked).toEqual(asksForNames);
  });

  test("no default export, but where a host asks for one", () => {
    const found = nodesOfType("ExportDefaultDeclaration");
    expect(found.filter((place) => !demandedDefaults.test(place))).toEqual([]);
  });

  test("no any and no comment that silences the type checker", () => {
    const silenced = sources.flatMap((file) =>
      file.parsed.comments
        .filter((comment) => /@ts-(ignore|nocheck)\b/.test(comment.value))
        .map((comment) => `${file.path}:${file.parsed.lineOf(comment.start)}`),
    );
    expect([...nodesOfType("TSAnyKeyword"), ...silenced]).toEqual([]);
  });

  test(`no file is longer than ${maximumLines} lines`, () => {
    const long = sources
      .map((file) => ({ path: file.path, lines: file.text.trimEnd().split("\n").length }))
      .filter((file) => file.lines > maximumLines)
      .map((file) => `${file.path}: ${file.lines} lines`);
    expect(long).toEqual([]);
  });
});

function readManifest(name: string): PackageManifest {
  return JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as PackageManifest;
}

function readSources(packageName: string): SourceFile[] {
  const folder = join(root, "packages", packageName, "src");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => {
      const path = toPath(join(folder, name));
      const text = readFileSync(join(root, path), "utf8");
      return { path, packageName, text, parsed: parseSource(path, text) };
    });
}

function toPath(absolute: string): string {
  return relative(root, absolute).split(sep).join("/");
}

function eachImport(visit: (file: SourceFile, specifier: string, line: number, typeOnly: boolean) => void): void {
  for (const file of sources) {
    for (const found of file.parsed.imports) visit(file, found.specifier, found.line, found.typeOnly);
  }
}

function relativeTarget(file: SourceFile, specifier: string): string {
  return toPath(resolve(root, dirname(file.path), specifier));
}

function mayImport(packageName: string): readonly string[] {
  const layer = layers.findIndex((names) => names.includes(packageName));
  if (layer < 0) return besideTheArrow[packageName]?.imports ?? [];
  const beside = Object.keys(besideTheArrow).filter((name) => besideTheArrow[name]!.by.includes(packageName));
  return [...layers.slice(0, layer).flat(), ...beside];
}

/** Splits `@sinter/ir/program` into the package folder and the key of its `exports`; undefined for other modules. */
function internalTarget(specifier: string): { name: string; packageName: string; entry: string } | undefined {
  const match = /^(@sinter\/([^/]+)|sinter)(\/.*)?$/.exec(specifier);
  if (match === null) return undefined;
  return { name: match[1]!, packageName: match[2] ?? "sinter", entry: `.${match[3] ?? ""}` };
}

/** The file an import leads to, across packages too; undefined for modules from elsewhere. */
function targetFile(file: SourceFile, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return relativeTarget(file, specifier);
  const target = internalTarget(specifier);
  if (target === undefined) return undefined;
  const entry = manifests.get(target.packageName)?.exports[target.entry];
  return entry === undefined ? undefined : toPath(resolve(root, "packages", target.packageName, entry));
}

function importsCompiler(path: string): boolean {
  const file = sources.find((source) => source.path === path);
  return file?.parsed.imports.some((found) => found.specifier === "ts-morph" && !found.typeOnly) ?? false;
}

/** The files that `start` leads to at run time; `stop` and what only it leads to are left out. */
function runtimeClosure(start: string, stop?: string): string[] {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path) || path === stop) return;
    reached.add(path);
    for (const found of file.parsed.imports) {
      const target = found.typeOnly ? undefined : targetFile(file, found.specifier);
      if (target !== undefined) visit(target);
    }
  };
  visit(start);
  return [...reached];
}

/** One cycle per file that closes one, as `a -> b -> a`. */
function importCycles(): string[] {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const cycles: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(" -> "));
    const file = byPath.get(path);
    if (at >= 0 || file === undefined || done.has(path)) return;
    trail.push(path);
    for (const found of file.parsed.imports) {
      const target = targetFile(file, found.specifier);
      if (target !== undefined) visit(target);
    }
    trail.pop();
    done.add(path);
  };
  for (const file of sources) visit(file.path);
  return cycles;
}

function nodesOfType(type: string): string[] {
  return sources.flatMap((file) =>
    file.parsed.nodes
      .filter((node) => node.type === type)
      .map((node) => `${file.path}:${file.parsed.lineOf(node.start)}`),
  );
}
