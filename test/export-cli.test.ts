// `sinter export`, and how the command line names what it works on.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBundle } from "sinter";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../packages/cli/src/index.ts";

const root = join(import.meta.dirname, "..");
const model = "test/fixtures/export/model.ts";
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sinter-export-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function sinter(...args: string[]): { code: number | null; out: string; err: string } {
  const command = join(root, "packages/cli/src/main.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { cwd: root, encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}
const sizes = (text: string): string => text.replace(/ +[\d.]+ k?B/g, " N").replace(folder, "OUT");

test("writes a bundle of a function with control flow, and says what is in it", async () => {
  const out = join(folder, "clamp");
  const { code, out: printed, err } = sinter("export", `${model}#clamp`, "--out", out, "--license", "MIT");
  expect([code, err]).toEqual([0, ""]);
  expect(sizes(printed)).toContain(
    "  clamp(x: f32[3]) -> f32[3]\n  no variables, no constants, a self-test of 1 call\n",
  );
  for (const name of readdirSync(out)) expect(printed).toContain(`  ${name}`);
  const program = await loadBundle(out);
  expect(program.run([1, 2, 3])).toMatchObject({ data: Float32Array.of(2, 4, 6) });
  expect(program.run([-1, -2, 3])).toMatchObject({ data: Float32Array.of(-1, -2, 3) });
});

test("inputs, objects of functions, embedded weights", async () => {
  const out = join(folder, "more");
  const args = ["--out", out, "--weights", "embed"];
  expect(sinter("export", `${model}#scale`, ...args, "--input", "f32[2,3]", "--input", "4").out).toContain(
    "  scale(x: f32[2,3], by: 4) -> f32[2,3]\n  1 variable (12 B), no constants",
  );
  const { out: printed } = sinter("export", `${model}#counter`, ...args);
  expect(printed).toContain(
    "  up(x: f32[3]) -> undefined\n  now() -> { sum: f32[], w: f32[3] }\n  inner_down(x: f32[3])",
  );
  expect(readdirSync(out)).not.toContain("weights.safetensors");
  const { functions } = await loadBundle(out);
  functions["up"]!([1, 1, 1]);
  expect(functions["now"]!()).toMatchObject({ sum: { data: Float32Array.of(9) } });
});

test("symbolic sizes, of a signature and of an input", async () => {
  const out = join(folder, "sizes");
  expect(sinter("export", `${model}#open`, "--out", out).out).toContain("  open(x: f32[x_0,2]) -> f32[x_0,2]\n");
  expect((await loadBundle(out)).run([[1, 2]])).toMatchObject({ data: Float32Array.of(2, 3), shape: [1, 2] });
  const args = ["--out", out, "--input", "f32[batch, 3]", "--input", "4"];
  expect(sinter("export", `${model}#scale`, ...args).out).toContain(
    "  scale(x: f32[batch,3], by: 4) -> f32[batch,3]\n",
  );
});

test("a file that cannot be loaded is named, with the line that threw", () => {
  const broken = join(folder, "broken.ts");
  writeFileSync(broken, "export const x = ;\n");
  expect(sinter("export", broken, "--out", join(folder, "none")).err).toContain("broken.ts cannot be loaded: ");
  writeFileSync(broken, 'throw new Error("no data here");\n');
  const { code, err } = sinter("export", broken, "--out", join(folder, "none"));
  expect(err).toMatch(/broken\.ts cannot be loaded: no data here\n +at .*broken\.ts:1:7/);
  expect(code).toBe(1);
});

/** As `sinter`, without a process of its own: for what ends before a file is loaded. */
async function misused(...args: string[]): Promise<string> {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  expect(await run(args, { out: write, err: write })).toBe(2);
  return text;
}

test("what cannot be exported is a finding, and misuse is misuse", async () => {
  const out = join(folder, "none");
  const bad = sinter("export", `${model}#bad`, "--out", out);
  expect(bad.code).toBe(1);
  expect(bad.err).toMatch(
    /^bad: argument f is a function \(sin\), which a bundle cannot hold: .*\n\s+at .*model\.ts:\d+:\d+\n\n1 thing cannot be exported\n$/,
  );
  const clamp = ["export", `${model}#clamp`];
  expect(await misused(...clamp, "--out", out, "--target", "cuda")).toBe(
    "sinter: --target cuda: there is no such target; there are wasm, webgpu and both\n",
  );
  expect(await misused(...clamp, "--out", out, "--weights", "here")).toContain('--weights is "file" or "embed"');
  expect(await misused(...clamp)).toContain("required option '-o, --out <folder>'");
  expect(await misused("export", "none.ts#f", "--out", out)).toContain("none.ts: no such file");
  expect(readdirSync(folder)).not.toContain("none");
});

test("targets and inputs", () => {
  const script = join(folder, "targets.ts");
  const cases: readonly (readonly [string, string[]?])[] = [
    ["clamp"],
    ["called"],
    ["tick"],
    ["counter.now"],
    ["counter.inner.down"],
    ["scale", ["f32[ 3 ]", "2"]],
    ["called", ["f64[]", '{"x": ["f32[0,2]", "text"]}']],
    ["scale"],
    ["twice"],
    ["open"],
    ["plain"],
    ["w"],
    ["nothing"],
    ["clamp.x"],
    [""],
    ["scale", ["f32[3", "1"]],
    ["scale", ["f32[3,-1]"]],
    ["scale", ["f16[3]"]],
    ["scale", ["f32"]],
    ["scale", ["f32[batch,?]", "2"]],
  ];
  writeFileSync(
    script,
    `import { loadTarget } from ${JSON.stringify(join(root, "packages/cli/src/target.ts"))};
const out = [];
for (const [name, inputs] of ${JSON.stringify(cases)}) {
  try {
    const { name: own, args } = await loadTarget(${JSON.stringify(model)} + (name === "" ? "" : "#" + name), { inputs });
    out.push(own + ": " + JSON.stringify(args, (_, v) => (v?.dtype ? String(v) : v)));
  } catch (error) {
    out.push(error.name + ": " + error.message);
  }
}
console.log(out.join("\\n"));`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, [script], { cwd: root, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.replaceAll(model, "model.ts")),
  ).toMatchInlineSnapshot(`
    [
      "clamp: ["f32[3]"]",
      "called: ["f32[2]",3]",
      "tick: []",
      "counter.now: []",
      "counter.inner.down: ["f32[3]"]",
      "scale: ["f32[3]",2]",
      "called: ["f64[]",{"x":["f32[0,2]","text"]}]",
      "UsageError: model.ts#scale has no signature and was not called: say what it takes, --input "f32[1,784]" for each argument",
      "UsageError: model.ts#twice was traced for 2 signatures: choose one with --input: --input "f32[1]" or --input "f32[2]"",
      "UsageError: model.ts#open has sizes that are not given, --input "f32[?,2]": say all of them with --input",
      "UsageError: model.ts#plain is a function that is not compiled: export compile(f); there are bad (compiled), called (compiled), clamp (compiled), counter, open (compiled), plain, scale (compiled), tick (compiled), twice (compiled), w",
      "UsageError: model.ts#w is an object, not a compiled function; there are bad (compiled), called (compiled), clamp (compiled), counter, open (compiled), plain, scale (compiled), tick (compiled), twice (compiled), w",
      "UsageError: model.ts exports no nothing; there are bad (compiled), called (compiled), clamp (compiled), counter, open (compiled), plain, scale (compiled), tick (compiled), twice (compiled), w",
      "UsageError: model.ts exports no clamp.x; there are bad (compiled), called (compiled), clamp (compiled), counter, open (compiled), plain, scale (compiled), tick (compiled), twice (compiled), w",
      "UsageError: model.ts exports 7 compiled functions: name one, model.ts#bad or model.ts#called or model.ts#clamp or model.ts#open or model.ts#scale or model.ts#tick or model.ts#twice",
      "UsageError: --input f32[3: write a tensor as f32[1,784] (f32[] is a number), and anything else as JSON: 3, true, "mean", {"x": "f32[2]"}",
      "UsageError: --input f32[3,-1]: size 1 is "-1": sizes are whole numbers, f32[1,784]",
      "UsageError: --input f16[3]: there is no dtype f16; there are f32, f64, i32, u32, bool",
      "UsageError: --input f32: write f32[] for a number, f32[3] for three",
      "UsageError: --input f32[batch,?] --input 2: sizes must be numbers here, f32[1,784]",
    ]
  `);
});
