// Checks what a user gets: packs dist/sinter, installs the tarball into an empty folder, compiles the README's first
// example against the packed declarations, runs it on every supported Node major, compares its output with the README's,
// and bundles it with vite. A page goes through every bundler and runs on both backends in a browser. Then it installs the
// optional peers and runs the README's example of control flow through the loader, vite and the command, runs exported
// bundles on each Node in a folder where there is nothing else, and inspects a function. Run `npm run build` first. It
// tests the packaging, not the compiler.
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "vite";
import { checkWeb } from "./check-web.ts";
import { type DocExample, docExamples, nodeOptions, normalizeOutput } from "./doc-examples.ts";
import { transformPeers } from "./vendor.ts";

/** The Node majors beside the pinned one, the oldest that the published package supports first. */
const otherNodes = ["20", "22"];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Where tests look for other Node versions too. */
const installedNodes = join(root, "node_modules", ".cache", "sinter-nodes");
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
  const [example, controlFlow] = readmeExamples();
  const nodes = [process.execPath, ...otherNodes.map(installNode)];
  compileExample(example.code);
  for (const node of nodes) runOn(node, ["example.js"], example);
  const files = await bundle();
  console.log(await checkWeb(folder));
  installPeers();
  checkCoreAlone();
  writeFileSync(join(folder, "control.ts"), controlFlow.code);
  for (const node of nodes) runOn(node, [...nodeOptions(controlFlow.code), "control.ts"], controlFlow);
  await bundleControlFlow(controlFlow);
  checkCommand(controlFlow);
  checkExport(nodes);
  checkInspection(nodes);
  console.log(`${tarball}: installs, type-checks, runs on ${nodes.length} Node majors and bundles (${files} files)`);
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

/** The README's first example, and its first that goes through the loader. */
function readmeExamples(): [DocExample, DocExample] {
  const examples = docExamples(readFileSync(join(packed, "README.md"), "utf8"));
  const controlFlow = examples.find((example) => nodeOptions(example.code).includes("sinter/register"));
  if (examples[0] === undefined || controlFlow === undefined) throw new Error("The README lacks its examples.");
  return [examples[0], controlFlow];
}

/** Installs what the source transform needs, in the versions that this repository is tested with. */
function installPeers(): void {
  const require = createRequire(join(root, "packages/autograph/package.json"));
  const wanted = Object.keys(transformPeers).map((name) => {
    const manifest = join(root, "node_modules", name, "package.json");
    return `${name}@${(require(manifest) as { version: string }).version}`;
  });
  npm(["install", "--save-dev", "--no-audit", "--no-fund", "--loglevel=error", ...wanted]);
}

/** With the peers there, importing the package still loads nothing but the package. */
function checkCoreAlone(): void {
  const code = `import "sinter";
import { createRequire } from "node:module";
console.log(Object.keys(createRequire(import.meta.url).cache).join());`;
  writeFileSync(join(folder, "alone.mjs"), code);
  const loaded = execFileSync(process.execPath, ["alone.mjs"], { cwd: folder, encoding: "utf8" }).trim();
  if (loaded !== "") throw new Error(`Importing the package loads ${loaded}`);
}

/** Bundles the example of control flow through the packed plugin, and runs the bundle. */
async function bundleControlFlow(example: DocExample): Promise<void> {
  const script = `import { build } from "vite";
import sinter from "sinter/vite";
await build({
  configFile: false,
  logLevel: "error",
  plugins: [sinter()],
  build: { ssr: "control.ts", outDir: "control", rolldownOptions: { output: { entryFileNames: "control.mjs" } } },
});`;
  const vite = pathToFileURL(createRequire(import.meta.url).resolve("vite")).href;
  writeFileSync(join(folder, "bundle.mjs"), script.replace('"vite"', JSON.stringify(vite)));
  execFileSync(process.execPath, ["bundle.mjs"], { cwd: folder, stdio: "inherit" });
  runOn(process.execPath, ["control/control.mjs"], example);
}

/** The command as npm links it: check, show, and a build that runs without the peers being loaded. */
function checkCommand(example: DocExample): void {
  const command = join(folder, "node_modules", "sinter", "lib", "cli", "main.js");
  const linked = join(folder, "node_modules", ".bin", process.platform === "win32" ? "sinter.cmd" : "sinter");
  if (!existsSync(linked)) throw new Error("The package brings no command.");
  const sinter = (...args: string[]): string =>
    execFileSync(process.execPath, [command, "autograph", ...args], { cwd: folder, encoding: "utf8" });
  const checked = sinter("check", "control.ts").trim();
  if (checked !== "0 errors, 0 warnings in 1 file") throw new Error(`sinter autograph check says ${checked}`);
  if (!sinter("show", "control.ts").includes('from "sinter/ag"')) throw new Error("show does not show a transform.");
  sinter("build", "control.ts", "--out-dir", "built");
  runOn(process.execPath, ["built/control.js"], example);
}

/** Inspects a function, and runs the dump of a call again; the dump on every Node, since it loads its writer lazily. */
function checkInspection(nodes: readonly string[]): void {
  const command = join(folder, "node_modules", "sinter", "lib", "cli", "main.js");
  const code = `import { compile, spec } from "sinter";
export const half = compile((x) => x.mul(0.5).sum(), { name: "half", signature: [spec([4])] });
console.log(half([1, 2, 3, 4]).item());
`;
  writeFileSync(join(folder, "half.mjs"), code);
  const run = (node: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string =>
    execFileSync(node, args, { cwd: folder, encoding: "utf8", env: { ...process.env, ...env } });
  nodes.forEach((node, i) => {
    run(node, ["half.mjs"], { SINTER_DUMP: "dumps" });
    const again = run(node, [command, "inspect", "--from-text", `dumps/half-${i}/graph.ir`]);
    if (!again.includes("as recorded, bit for bit")) throw new Error(`sinter inspect --from-text prints\n${again}`);
  });
  const summary = run(process.execPath, [command, "inspect", "half.mjs#half", "--html", "page.html"]);
  if (!summary.includes("half(x: f32[4]) -> f32[]")) throw new Error(`sinter inspect prints\n${summary}`);
  if (!readFileSync(join(folder, "page.html"), "utf8").includes("<title>half"))
    throw new Error("The page has no title.");
}

/** Exports a bundle from a script and one from the command, and runs them where there is nothing else. */
function checkExport(nodes: readonly string[]): void {
  const code = `import { compile, exportBundle, saveModel, loadModel, spec, type Tensor, tensor, variable } from "sinter";
const w = variable([1, 2, 3], { name: "w" });
export const learn = compile((x: Tensor) => {
  let step = x;
  if (x.sum().gt(10)) step = x.mul(0.5);
  w.assignAdd(step);
  return w.sum();
}, { signature: [spec([3])] });
if (process.argv[2] === "write") {
  await exportBundle({ learn }, { outDir: "apart/script" });
  await saveModel({ w, learn }, "model");
  const model = await loadModel<{ learn: typeof learn }>("model");
  console.log(model.learn(tensor([1, 2, 3])).item());
}`;
  writeFileSync(join(folder, "learn.ts"), code);
  const node = (executable: string, cwd: string, ...args: string[]): string =>
    execFileSync(executable, args, { cwd, encoding: "utf8" }).trim();
  const printed = node(process.execPath, folder, "--import", "sinter/register", "learn.ts", "write");
  if (printed !== "12") throw new Error(`The model that was loaded gives ${printed}`);
  const command = join(folder, "node_modules", "sinter", "lib", "cli", "main.js");
  node(process.execPath, folder, command, "export", "learn.ts#learn", "--out", "apart/command", "--weights", "embed");
  const use = `import { load } from "./BUNDLE/index.js";
const program = await load();
const first: Float32Array = program.run([1, 1, 1]).data;
const second: Float32Array = program.run([4, 5, 6]).data;
console.log(first[0], second[0], (await program.selfTest()).ok);`;
  const apart = join(folder, "apart");
  const bundles = ["script", "command"];
  for (const name of bundles) writeFileSync(join(apart, `${name}.ts`), use.replace("BUNDLE", name));
  compileConsumer(
    apart,
    bundles.map((name) => `${name}.ts`),
  );
  writeFileSync(join(apart, "package.json"), JSON.stringify({ type: "module" }));
  for (const executable of nodes) {
    for (const name of bundles) {
      const found = node(executable, apart, `${name}.js`);
      if (found !== "9 16.5 true") throw new Error(`The bundle of the ${name} prints ${found}`);
    }
  }
}

/** Compiles the example as a consumer's project would, so that the packed declarations are checked too. */
function compileExample(code: string): void {
  writeFileSync(join(folder, "example.ts"), code);
  compileConsumer(folder, ["example.ts"]);
}

function compileConsumer(place: string, files: readonly string[]): void {
  const options = {
    strict: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2022", "esnext.disposable", "dom"],
    types: [],
    skipLibCheck: false,
  };
  writeFileSync(join(place, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }));
  const require = createRequire(import.meta.url);
  const compiler = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  const result = spawnSync(process.execPath, [compiler, "-p", "."], { cwd: place, stdio: "inherit" });
  if (result.status !== 0) throw new Error(`${files.join(", ")}: does not compile against the declarations.`);
}

function runOn(node: string, args: readonly string[], example: DocExample): void {
  const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  const printed = execFileSync(node, args, { cwd: folder, encoding: "utf8", timeout: 120_000 });
  const what = `node ${args.join(" ")} (${version})`;
  if (normalizeOutput(printed) !== normalizeOutput(example.output)) {
    throw new Error(`${what} prints\n${printed}\nand the README says\n${example.output}`);
  }
  console.log(`${what} prints what the README says.`);
}

/** Installs a Node from the registry, once per repository, and returns the path of its executable. */
function installNode(major: string): string {
  const system = process.platform === "win32" ? "win" : process.platform;
  const prefix = system === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  const name = `${prefix}-${system}-${process.arch}`;
  const place = join(installedNodes, major);
  const file = process.platform === "win32" ? "node.exe" : "node";
  const executable = join(place, "node_modules", name, "bin", file);
  if (existsSync(executable)) return executable;
  mkdirSync(place, { recursive: true });
  const quiet = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  npm(["install", ...quiet, "--prefix", place, `${name}@${major}`]);
  return executable;
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
