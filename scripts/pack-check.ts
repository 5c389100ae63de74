// Checks what a user gets: packs dist/sinter, installs the tarball into an empty folder, compiles the README's first
// example against the packed declarations, runs it on two Node majors, compares its output with the README's, and
// bundles it with vite. Run `npm run build` first. It tests the packaging, not the compiler.
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { type DocExample, docExamples, normalizeOutput } from "./doc-examples.ts";

/** The oldest Node major that the published package supports. */
const oldestNode = "20";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const packed = join(root, "dist", "sinter");
const folder = mkdtempSync(join(tmpdir(), "sinter-pack-"));

try {
  await check();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function check(): Promise<void> {
  if (!existsSync(packed)) throw new Error("dist/sinter is missing: run `npm run build` first.");
  const tarball = installTarball();
  checkLinks();
  const example = readmeExample();
  compileExample(example.code);
  runOn("the pinned Node", process.execPath, example.output);
  runOn("the oldest supported Node", installNode(oldestNode), example.output);
  const modules = await bundle();
  console.log(`${tarball}: installs, type-checks, runs on two Node majors and bundles (${modules} files)`);
}

/** Packs and installs the package, and returns what the tarball holds in words. */
function installTarball(): string {
  const report = JSON.parse(npm(["pack", packed, "--json", "--pack-destination", folder])) as unknown;
  const { filename, size } = packReport(report);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  npm(["install", "--no-audit", "--no-fund", "--loglevel=error", `./${filename}`]);
  const installed = readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."));
  if (installed.join() !== "sinter") throw new Error(`The package brings more with it: ${installed.join()}`);
  return `${filename} (${Math.ceil(size / 1024)} KiB)`;
}

/** npm 11 and older print a list, newer ones an object keyed by package name. */
function packReport(report: unknown): { filename: string; size: number } {
  const entries = Array.isArray(report) ? report : Object.values(report as object);
  return entries[0] as { filename: string; size: number };
}

/** Every link of the README and the documents to a file leads to one in the installed package. */
function checkLinks(): void {
  const installed = join(folder, "node_modules", "sinter");
  const pages = readdirSync(installed, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".md"));
  let links = 0;
  for (const page of pages) {
    for (const [, to] of readFileSync(join(installed, page), "utf8").matchAll(/\]\(([^()\s#]+)[^()\s]*\)/g)) {
      if (/^[a-z]+:/.test(to!)) continue;
      links++;
      if (!existsSync(join(installed, dirname(page), to!))) throw new Error(`${page}: the link to ${to} leads nowhere`);
    }
  }
  if (links === 0) throw new Error("The README links to no document: are the documents in the package?");
}

function readmeExample(): DocExample {
  const example = docExamples(readFileSync(join(packed, "README.md"), "utf8"))[0];
  if (example !== undefined) return example;
  console.log("The README has no example with an output yet; importing the package instead.");
  return { line: 0, code: 'import * as sinter from "sinter";\nconsole.log(typeof sinter);', output: "object" };
}

/** Compiles the example as a consumer's project would, so that the packed declarations are checked too. */
function compileExample(code: string): void {
  writeFileSync(join(folder, "example.ts"), code);
  const options = {
    strict: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2022", "esnext.disposable", "dom"],
    types: [],
    skipLibCheck: false,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["example.ts"] }));
  const require = createRequire(import.meta.url);
  const compiler = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  const result = spawnSync(process.execPath, [compiler, "-p", "."], { cwd: folder, stdio: "inherit" });
  if (result.status !== 0) throw new Error("The README's example does not compile against the packed declarations.");
}

function runOn(label: string, node: string, expected: string): void {
  const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  const printed = execFileSync(node, ["example.js"], { cwd: folder, encoding: "utf8", timeout: 120_000 });
  if (normalizeOutput(printed) !== normalizeOutput(expected)) {
    throw new Error(`On ${label} (${version}) the example prints\n${printed}\nand the README says\n${expected}`);
  }
  console.log(`The example prints what the README says on ${label} (${version}).`);
}

/** Installs a Node from the registry into a folder of its own and returns the path of its executable. */
function installNode(version: string): string {
  const system = process.platform === "win32" ? "win" : process.platform;
  const prefix = system === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  const name = `${prefix}-${system}-${process.arch}`;
  npm([
    "install",
    "--no-save",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--prefix",
    "node",
    `${name}@${version}`,
  ]);
  const executable = process.platform === "win32" ? "node.exe" : "node";
  return join(folder, "node", "node_modules", name, "bin", executable);
}

/** A production build for browsers; a warning about an import that cannot be resolved is an error here. */
async function bundle(): Promise<number> {
  writeFileSync(join(folder, "index.html"), '<script type="module" src="./example.ts"></script>\n');
  const outDir = join(folder, "bundle");
  await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    build: {
      outDir,
      target: "es2022",
      chunkSizeWarningLimit: 100_000,
      rolldownOptions: {
        onLog(level, log, print) {
          if (log.code === "UNRESOLVED_IMPORT") throw new Error(log.message);
          print(level, log);
        },
      },
    },
  });
  const files = readdirSync(outDir, { recursive: true, encoding: "utf8" });
  if (!files.some((name) => name.endsWith(".js"))) throw new Error("The bundle holds no JavaScript.");
  return files.length;
}

function npm(args: readonly string[]): string {
  const command = process.env["npm_execpath"];
  const inFolder: ExecFileSyncOptionsWithStringEncoding = {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  };
  if (command !== undefined) return execFileSync(process.execPath, [command, ...args], inFolder);
  return execFileSync("npm", args, { ...inFolder, shell: process.platform === "win32" });
}
