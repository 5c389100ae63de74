// `sinter inspect` on functions of a file: what it prints and writes, and what it says about what is wrong.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../src/index.ts";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const main = join(root, "packages/cli/src/main.ts");

/** Inside the repository, where the file finds the library. */
let folder = "";
beforeAll(() => {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  folder = mkdtempSync(join(root, ".tmp", "inspect-"));
  writeFileSync(
    join(folder, "model.ts"),
    `import { compile, spec, type Tensor, tensor } from "sinter";
const weights = tensor([[1, 2], [3, 4]]);
export const predict = compile((x: Tensor) => x.matmul(weights).relu().sum(-1), { signature: [spec([4, 2])] });
export const scaled = compile((x: Tensor, factor: Tensor) => {
  if (factor.gt(1)) x = x.mul(factor);
  return x.sum();
});
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inspect(...args: string[]) {
  const { VITEST, NODE_ENV, NODE_OPTIONS, ...env } = process.env;
  const ran = spawnSync(process.execPath, [main, "inspect", ...args], { cwd: folder, encoding: "utf8", env });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

test("prints a summary: signature, cost, kernels with their lines", () => {
  const { code, out, err } = inspect("model.ts#predict");
  expect(err).toBe("");
  expect(code).toBe(0);
  expect(out).toMatch(/^predict\(x: f32\[4,2\].*\) -> f32\[4\]\nwasm/);
  expect(out).toMatch(/\d+ operations in \d kernels?, .* moved, arena .* of code/);
  expect(out).toMatch(/ {2}0 {2}.*dot.* model\.ts:3/);
});

test("shows the program for a GPU: that of this machine, or of every device where there is none", () => {
  const { code, out } = inspect("model.ts#predict", "--backend", "webgpu", "--stage", "wgsl");
  expect(code).toBe(0);
  expect(out).toMatch(/^\/\/ \S+, webgpu for .+\n\/\/ 0: k0_\S+: .*model\.ts:3/);
  expect(out).toContain("@compute");
  const wrong = inspect("model.ts#predict", "--backend", "gpu");
  expect(wrong.code).not.toBe(0);
  expect(wrong.err).toContain("--backend gpu: there is no such backend; there are wasm, webgpu");
});

test("says what symbolic sizes were taken for, and which argument was not given", () => {
  const graph = "graph @rows(%x: f32[n,2]) where n in [1,2147483647] {\n  %0 = exp %x : f32[n,2]\n  return %0\n}\n";
  writeFileSync(join(folder, "rows.ir"), graph);
  const { code, out, err } = inspect("--from-text", "rows.ir");
  expect(err).toBe("");
  expect(code).toBe(0);
  expect(out).toContain("\nnumbers are for n = 256: the program takes other sizes too\n");
  const missing = inspect("model.ts#scaled", "--input", "f32[3]");
  expect(missing.code).toBe(1);
  expect(missing.err).toContain("it was given 1 argument, and takes factor too");
});

test("takes types of arguments, prints a stage, and writes page and dump", () => {
  const inputs = ["--input", "f32[3]", "--input", "f32[]"];
  const { code, out, err } = inspect(
    "model.ts#scaled",
    ...inputs,
    "--stage",
    "trace",
    "--html",
    "page.html",
    "--dump",
    "dumps",
  );
  expect(out).toMatch(/^graph @anonymous\(%x: f32\[3\], %factor: f32\[\]\) \{\n/);
  expect(out).toContain("= cond ");
  expect(err).toBe("page: page.html\ndump: dumps/scaled-0\n");
  expect(code).toBe(0);
  expect(readFileSync(join(folder, "page.html"), "utf8")).toContain("factor.gt");
  expect(existsSync(join(folder, "dumps/scaled-0/graph.ir"))).toBe(true);
  const again = inspect("--from-text", "dumps/scaled-0/graph.ir");
  expect(again.out).toContain("No call was recorded beside it");
  expect(again.code).toBe(0);
});

test.each([
  ["nothing named", [], "say what to inspect: FILE#EXPORT"],
  ["a file that is not there", ["nowhere.ts#f"], "nowhere.ts: no such file"],
  [
    "a stage that is not there",
    ["a.ts#f", "--stage", "nest"],
    "--stage nest: there is no such stage; there are trace, simplified",
  ],
  ["graph text that is not there", ["--from-text", "nowhere.ir"], "nowhere.ir: no such file"],
  ["two things at once", ["a.ts#f", "--from-text", "a.ir"], "give one of them"],
  ["inputs of graph text", ["--from-text", "a.ir", "--input", "f32[]"], "graph text has its types"],
  ["constants of a function", ["a.ts#f", "--data", "a.safetensors"], "--data belongs to --from-text"],
  [
    "a page that cannot be written",
    ["--from-text", "small.ir", "--html", "nowhere/page.html"],
    "nowhere/page.html: ENOENT",
  ],
])("exits with 2 and says what to write for %s", async (_, args, message) => {
  writeFileSync(join(folder, "small.ir"), "graph @small(%x: f32[2]) {\n  %0 = neg %x : f32[2]\n  return %0\n}\n");
  const paths = args.map((arg) => (arg.endsWith(".ir") || arg.endsWith(".html") ? join(folder, arg) : arg));
  let err = "";
  const code = await run(["inspect", ...paths], { out: () => {}, err: (part) => (err += part) });
  expect(err).toContain(message);
  expect(err).not.toContain("    at ");
  expect(code).toBe(2);
});
