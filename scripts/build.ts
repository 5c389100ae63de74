// Builds the publishable package: every internal package that the facade or the command needs, as ESM and .d.ts, laid
// out inside one package `sinter` under dist/sinter. The compiler emits file by file; this script then points the
// specifiers of the internal packages at their new places. There is no bundling of our own code: a consumer's bundler
// sees the module graph. `--out FOLDER` builds elsewhere; `--emit-anyway` goes on after type errors, for tests.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseSource } from "./imports.ts";
import { optionalPeers, vendor, vendored } from "./vendor.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly keywords?: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values: given } = parseArgs({
  options: { out: { type: "string" }, "emit-anyway": { type: "boolean", default: false } },
});
const target = given.out === undefined ? join(root, "dist", "sinter") : resolve(given.out);
const emitted = `${target}-emit`;
const oldestNode = "20";
/** What a reader of the package finds beside it. */
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];

const facade = readManifest("sinter");
const packages = internalClosure();

for (const folder of [target, emitted]) rmSync(folder, { recursive: true, force: true });
runCompiler();
for (const name of packages.keys()) layOut(name);
const libraries = await vendor(root, target);
writeManifest();
cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
for (const path of pages) writePage(path);
rmSync(emitted, { recursive: true });
const files = filesUnder(target).length;
const place = relative(root, target).split(sep).join("/");
console.log(`${place}: ${files} files from ${[...packages.keys(), ...libraries].join(", ")}`);

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8")) as Manifest;
}

/** The facade, the command, and every internal package they reach, by folder name. */
function internalClosure(): Map<string, Manifest> {
  const found = new Map([
    ["sinter", facade],
    ["cli", readManifest("cli")],
  ]);
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
  const args = [compiler, "-p", "tsconfig.build.json", "--outDir", emitted];
  const stdio = given["emit-anyway"] ? "ignore" : "inherit";
  const result = spawnSync(process.execPath, args, { cwd: root, stdio });
  if (result.status !== 0 && !given["emit-anyway"])
    throw new Error("The compiler reported errors; they are listed above.");
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
      : withoutThis(rewriteSpecifiers(text, place, path.endsWith(".d.ts") ? path : path.replace(/\.js$/, ".mjs")));
    mkdirSync(dirname(join(target, place)), { recursive: true });
    writeFileSync(join(target, place), content);
  }
}

/** The compiler's helpers look for others of their name in `this`, which a module does not have: bundlers warn of it. */
function withoutThis(text: string): string {
  return text.replaceAll(/= \(this && this\.__\w+\) \|\| /g, "= ");
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
  if (place.endsWith(".js") && specifier in vendored) return vendored[specifier];
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
      if (name === "sinter" || name.startsWith("@sinter/") || name in vendored || name in optionalPeers) continue;
      throw new Error(`${manifest.name} may not depend on ${name}`);
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
    bin: Object.fromEntries(
      Object.entries(packages.get("cli")?.bin ?? {}).map(([name, entry]) => [name, libraryFile("cli", entry)]),
    ),
    peerDependencies: optionalPeers,
    peerDependenciesMeta: Object.fromEntries(Object.keys(optionalPeers).map((name) => [name, { optional: true }])),
    files: ["lib", "src", "docs", "THIRD-PARTY-LICENSES"],
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
