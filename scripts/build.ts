// Builds the publishable package: every internal package that the facade needs, as ESM and .d.ts, laid out inside
// one package `sinter` under dist/sinter. The compiler emits file by file; this script then points the specifiers of
// the internal packages at their new places. There is no bundling: a consumer's bundler sees the module graph.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSource } from "./imports.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly keywords?: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const emitted = join(dist, "emit");
const target = join(dist, "sinter");
const oldestNode = "20";
/** What a reader of the package finds beside it. */
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];

const facade = readManifest("sinter");
const packages = internalClosure();

rmSync(dist, { recursive: true, force: true });
runCompiler();
for (const name of packages.keys()) layOut(name);
writeManifest();
cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
for (const path of pages) writePage(path);
rmSync(emitted, { recursive: true });
console.log(`dist/sinter: ${filesUnder(target).length} files from ${[...packages.keys()].join(", ")}`);

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8")) as Manifest;
}

/** The facade and every internal package it reaches, by folder name. */
function internalClosure(): Map<string, Manifest> {
  const found = new Map([["sinter", facade]]);
  for (const manifest of found.values()) {
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      const folder = /^@sinter\/(.+)$/.exec(name)?.[1];
      if (folder !== undefined && !found.has(folder)) found.set(folder, readManifest(folder));
    }
  }
  return found;
}

function runCompiler(): void {
  const require = createRequire(import.meta.url);
  const compiler = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  const result = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
  if (result.status !== 0) throw new Error("The compiler reported errors; they are listed above.");
}

/** Moves one package's output to lib/<name>, and its sources to src/<name>, where the maps point. */
function layOut(name: string): void {
  const output = join(emitted, name, "src");
  cpSync(join(root, "packages", name, "src"), join(target, "src", name), { recursive: true });
  for (const path of filesUnder(output)) {
    const place = `lib/${name}/${path}`;
    const text = readFileSync(join(output, path), "utf8");
    const content = path.endsWith(".map")
      ? retargetMap(text, place, name, path)
      : rewriteSpecifiers(text, place, path.endsWith(".d.ts") ? path : path.replace(/\.js$/, ".mjs"));
    mkdirSync(dirname(join(target, place)), { recursive: true });
    writeFileSync(join(target, place), content);
  }
}

function retargetMap(text: string, place: string, name: string, path: string): string {
  const source = path.replace(/\.(d\.ts|js)\.map$/, ".ts");
  const map = JSON.parse(text) as Record<string, unknown>;
  return JSON.stringify({ ...map, sources: [posix.relative(posix.dirname(place), `src/${name}/${source}`)] });
}

function rewriteSpecifiers(text: string, place: string, parseAs: string): string {
  let result = text;
  const imports = [...parseSource(parseAs, text).imports].sort((a, b) => b.start - a.start);
  for (const { specifier, start, end } of imports) {
    const file = publishedFile(specifier, place);
    if (file === undefined) continue;
    const path = posix.relative(posix.dirname(place), file);
    result = `${result.slice(0, start)}"${path.startsWith(".") ? path : `./${path}`}"${result.slice(end)}`;
  }
  return result;
}

/** Where a specifier's file lies in the published package; undefined for a specifier that stays as it is. */
function publishedFile(specifier: string, place: string): string | undefined {
  // The compiler turns ./x.ts into ./x.js in code, and leaves it in declarations.
  if (/^\.\.?\/.*\.ts$/.test(specifier)) return posix.join(posix.dirname(place), specifier.replace(/\.ts$/, ".js"));
  const match = /^@sinter\/([^/]+)(\/.+)?$/.exec(specifier);
  if (match === null) return undefined;
  const entry = packages.get(match[1]!)?.exports[`.${match[2] ?? ""}`];
  if (entry === undefined) throw new Error(`${specifier} is not an export of a package that the facade depends on`);
  return libraryFile(match[1]!, entry);
}

function libraryFile(name: string, entry: string): string {
  return `lib/${name}/${entry.replace(/^\.\/src\//, "").replace(/\.ts$/, ".js")}`;
}

function writeManifest(): void {
  const exports = Object.fromEntries(
    Object.entries(facade.exports).map(([key, entry]) => {
      const file = `./${libraryFile("sinter", entry)}`;
      return [key, { types: file.replace(/\.js$/, ".d.ts"), default: file }];
    }),
  );
  for (const manifest of packages.values()) {
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      if (!name.startsWith("@sinter/")) throw new Error(`${manifest.name} may not depend on ${name}`);
    }
  }
  const manifest = {
    name: facade.name,
    version: facade.version,
    description: facade.description,
    keywords: facade.keywords ?? [],
    license: facade.license,
    type: "module",
    engines: { node: `>=${oldestNode}` },
    exports: { ...exports, "./package.json": "./package.json" },
    files: ["lib", "src", "docs"],
  };
  writeFileSync(join(target, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Copies a page; a link to what only the repository has becomes its text. */
function writePage(path: string): void {
  const text = readFileSync(join(root, path), "utf8").replace(
    /\[([^\]]*)\]\(([^()\s#]+)[^()\s]*\)/g,
    (link, label, to) => {
      const published = pages.includes(posix.join(posix.dirname(path), to)) || /^[a-z]+:/.test(to);
      return published ? link : label;
    },
  );
  mkdirSync(dirname(join(target, path)), { recursive: true });
  writeFileSync(join(target, path), text);
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}
