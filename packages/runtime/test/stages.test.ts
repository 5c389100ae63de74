// The text of all stages, for programs of every kind, and recorded passes.
import { type Graph, parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { loadWebgpu, type PassRecord, placesText, stageNames, stagesOf } from "../src/index.ts";
import { compileFor } from "../src/stages.ts";
import type { Target } from "../src/target.ts";
import { wasmTarget } from "../src/wasm-target.ts";

const wasm = { backend: "wasm" } as const;
const webgpu = { backend: "webgpu" } as const;
const { everyDevice, webgpuTarget } = await loadWebgpu();

const layer = `graph @layer(%x: f32[32,64], %w: f32[64,16], %b: f32[16]) {
  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[32,16]
  %1 = broadcast %b {shape=[32,16], dims=[1]} : f32[32,16]
  %2 = add %0, %1 : f32[32,16]
  %3 = reduce %2 {op=add, axes=[0,1]} : f32[]
  return %3
}
`;

const control = `graph @control(%w: state f32[300], %go: bool[]) {
  %0 = exp %w : f32[300]
  %1 = scan captures(%0, %go), init(%w), xs() {length=10, reverse=false} : f32[300]
    graph @body(%e: f32[300], %go: bool[], %c: f32[300]) {
      %0 = mul %c, %e : f32[300]
      %1 = cond index(%go), captures(%0) : f32[300]
        graph @no(%a: f32[300]) {
          %0 = neg %a : f32[300]
          return %0
        }
        graph @yes(%a: f32[300]) {
          %0 = cumulate %a {op=add, axis=0, reverse=false, exclusive=false} : f32[300]
          return %0
        }
      return %1
    }
  return state[0] %1
}
`;

const programs: Readonly<Record<string, Graph>> = {
  "a product": parseGraph(layer, { file: "layer.ts" }),
  "loops and branches": parseGraph(control, { file: "control.ts" }),
  "a program that returns what it is given": parseGraph("graph @same(%x: f32[3]) {\n  return %x\n}\n"),
  "numbers only": parseGraph("graph @number(%x: f32[]) {\n  %0 = neg %x : f32[]\n  return %0\n}\n"),
  "nothing at all": parseGraph("graph @nothing() {\n  return\n}\n"),
  "no elements": parseGraph("graph @empty(%x: f32[0,4]) {\n  %0 = neg %x : f32[0,4]\n  return %0\n}\n"),
  "a constant": parseGraph("graph @five() {\n  %0 = const {dtype=i32, shape=[], data=[5]} : i32[]\n  return %0\n}\n"),
};

describe.each(Object.entries(programs))("%s", (_, graph) => {
  test.each([wasm, webgpu])("has text for each stage, the same each time: $backend", (options) => {
    const [stages, again] = [stagesOf(graph, options), stagesOf(graph, options)];
    for (const stage of stageNames) {
      const text = stages.text(stage);
      expect(text, stage).toMatch(/\S/);
      expect(text.endsWith("\n"), stage).toBe(true);
      expect(again.text(stage), stage).toBe(text);
    }
    expect(stages.text("fused")).toContain(graph.name);
    expect(stages.text("wat")).toContain("(func $run ");
    expect(stages.text("wgsl")).toContain(`// ${graph.name}, webgpu for every device (8 buffers a shader)\n`);
  });

  test("has the same code for a target, whichever backend is asked", () => {
    const [a, b] = [stagesOf(graph, wasm), stagesOf(graph, webgpu)];
    for (const stage of ["trace", "simplified", "wat", "wgsl"] as const) expect(a.text(stage)).toBe(b.text(stage));
  });
});

test("WGSL has its kernels in order, under their names and lines", () => {
  const text = stagesOf(programs["a product"]!, webgpu).text("wgsl");
  const heads = text.split("\n").filter((line) => line.startsWith("// "));
  expect(heads).toEqual([
    "// layer, webgpu for every device (8 buffers a shader)",
    expect.stringMatching(/^\/\/ 0: k0_dot_add: layer\.ts:2; :3; :4/),
    expect.stringMatching(/^\/\/ 1: k1_reduce: layer\.ts:5/),
  ]);
  expect(text.match(/@compute/g)).toHaveLength(2);
});

const sum = parseGraph("graph @sum(%x: f32[1048576]) {\n  %0 = reduce %x {op=add, axes=[0]} : f32[]\n  return %0\n}\n");

test("a device's own features are what stages are made for", () => {
  const device = { description: "a test", features: { ...everyDevice.features, subgroups: true } };
  const texts = [undefined, device].map((kind) => stagesOf(sum, webgpu, kind).text("wgsl"));
  expect(texts.map((text) => /^\/\/ .*/.exec(text)![0])).toEqual([
    "// sum, webgpu for every device (8 buffers a shader)",
    "// sum, webgpu for a test (subgroups, 8 buffers a shader)",
  ]);
  expect(texts.map((text) => text.includes("enable subgroups;"))).toEqual([false, true]);
});

test("cost on a device counts four bytes an element, and dispatches", () => {
  const graph = parseGraph("graph @g(%x: f32[100]) {\n  %0 = isNaN %x : bool[100]\n  return %0\n}\n");
  const costs = [wasm, webgpu].map((options) => stagesOf(graph, options).cost());
  expect(costs.map((cost) => [cost.bytesRead, cost.bytesWritten, cost.dispatches])).toEqual([
    [400, 100, undefined],
    [400, 400, 1],
  ]);
  const rounds = stagesOf(programs["loops and branches"]!, webgpu).cost();
  // One before the loop; in each of ten rounds the product, and both arms of the branch.
  expect(rounds.dispatches).toBe(1 + 10 * 3);
  expect(stagesOf(sum, webgpu).cost()).toMatchObject({ kernels: 1, dispatches: 2 });
});

test("groups of nodes beside their lines, and why others stand apart", () => {
  expect(stagesOf(programs["a product"]!, wasm).text("fused")).toBe(`layer: 2 kernels
kernel k0_dot_add  // layer.ts:2; :3; :4
  0  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[32,16]
  1  %1 = broadcast %b {shape=[32,16], dims=[1]} : f32[32,16]
  2  %2 = add %0, %1 : f32[32,16]
kernel k1_reduce  // layer.ts:5
  3  %3 = reduce %2 {op=add, axes=[0,1]} : f32[]
fused %0 dot -> %2 add: same loops: saves 4096 bytes
kept  %2 add -> %3 reduce: a contraction takes only an epilogue over its own result
`);
});

test("kernels of regions stand in their loops and branches", () => {
  const stages = stagesOf(programs["loops and branches"]!, wasm);
  const fused = stages.text("fused");
  expect(fused).toContain(`  kernel k2.0_mul  // control.ts:5
    1.0.0  %0 = mul %c, %e : f32[300]
`);
  expect(fused).toMatch(/^ {2}if b\d+ is 1\n {4}kernel k2\.1\.1_cumulate {2}\/\/ control\.ts:12\n {6}1\.0\.1\.1\.0 /m);
  for (const stage of ["nests", "loops", "wat"] as const)
    expect(stages.text(stage), stage).toMatch(/cumulate.*control\.ts:12|cumulate.*\n.*control\.ts:12/);
  expect(stages.text("plan")).toContain("step 0: ");
});

test("a stage that is none", () => {
  expect(() => stagesOf(programs["numbers only"]!, wasm).text("asm" as never)).toThrow(
    'there is no stage "asm"; there are trace, simplified, fused, nests, loops, plan, wat, wgsl',
  );
});

test.each<Target>([wasmTarget(), webgpuTarget(everyDevice)])(
  "passes are recorded in order, with what they made: $backend",
  (target) => {
    const records: PassRecord[] = [];
    const made = compileFor(target, programs["a product"]!, {}, (record) => records.push(record));
    expect(records.map((r) => r.name)).toEqual([
      "trace",
      "simplify",
      "regions",
      "loops-of-elements",
      "fuse",
      "schedule",
      "plan",
      "emit",
    ]);
    expect(records.map((r) => r.made)).toEqual(expect.arrayContaining([made.simplified, made.nests, made.program]));
    for (const { milliseconds } of records) expect(milliseconds).toBeGreaterThanOrEqual(0);
  },
);

test("lines are those of the graph at hand, not of another of the same text", () => {
  const other = parseGraph(`\n\n${layer}`, { file: "other.ts" });
  stagesOf(programs["a product"]!, wasm).text("fused");
  expect(stagesOf(other, wasm).text("fused")).toContain("kernel k1_reduce  // other.ts:7\n");
});

test("places as text", () => {
  const at = (file: string, line: number, name?: string, column = 1) =>
    name === undefined ? { file, line, column } : { file, line, column, name };
  expect(placesText([])).toBe("");
  expect(
    placesText([at("a.ts", 7, "mean"), at("a.ts", 6, "add"), at("a.ts", 6, "mul", 9), at("a.ts", 6, "add", 3)]),
  ).toBe("a.ts:6 add, mul; :7 mean");
  expect(placesText([at("b.ts", 1), at("a.ts", 1, "exp")])).toBe("b.ts:1; a.ts:1 exp");
  const many = Array.from({ length: 15 }, (_, i) => at("a.ts", i + 1));
  expect(placesText(many)).toMatch(/:12; 3 more$/);
});
