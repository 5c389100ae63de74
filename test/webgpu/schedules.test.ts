// Schedules for GPUs in the interpreter of loops, which checks every access, and that threads part at no barrier: what a
// device of robust access and few threads may hide. No device is needed.
import { schedule } from "@sinter/codegen-wgsl";
import { evalGraph, expressionScope, parseGraph, printLoopKernel, verifyLoopKernel } from "@sinter/ir";
import { lower, planMemory } from "@sinter/passes";
import { expect, test } from "vitest";
import { leastFeatures } from "../../packages/codegen-wgsl/test/support/features.ts";
import { randomArguments } from "../support/arguments.ts";
import { graphText, whole } from "../support/check-text.ts";
import { runLoops } from "../support/compiled.ts";
import { fullRun } from "../support/fuzz.ts";
import { nearOnGpu } from "../support/gpu-tolerance.ts";
import { resultsDifference } from "../support/random.ts";

/** The schedules of a graph's kernels, after its results have been compared with the reference's. */
function checked(text: string, subgroups: boolean): string[] {
  const graph = parseGraph(text);
  return expressionScope(() => {
    const nests = lower(graph);
    const loops = schedule(nests, { ...leastFeatures, subgroups });
    for (const kernel of loops.kernels) verifyLoopKernel(kernel);
    const plan = planMemory(loops, { alignment: 256, bytesPerElement: () => 4 });
    const args = randomArguments(graph, whole);
    expect(resultsDifference(runLoops({ graph, nests, loops, plan }, args), evalGraph(graph, args), nearOnGpu)).toBe(
      undefined,
    );
    return loops.kernels.map((k) => `${k.schedule}: ${k.grids!.map((g) => `${g.groups}x${g.threads}`).join(", ")}`);
  });
}

/** Each row minus its greatest element, over its sum of squares; and where that element is. */
const rows = (count: number, length: number): string =>
  graphText(`%x: f32[${count},${length}]`, [
    `%m = reduce %x {op=max, axes=[1]} : f32[${count}]`,
    `%mb = broadcast %m {shape=[${count},${length}], dims=[0]} : f32[${count},${length}]`,
    `%d = sub %x, %mb : f32[${count},${length}]`,
    `%q = mul %d, %d : f32[${count},${length}]`,
    `%s = reduce %q {op=add, axes=[1]} : f32[${count}]`,
    `%sb = broadcast %s {shape=[${count},${length}], dims=[0]} : f32[${count},${length}]`,
    `%one = const {dtype=f32, shape=[], data=[1]} : f32[]`,
    `%oneb = broadcast %one {shape=[${count},${length}], dims=[]} : f32[${count},${length}]`,
    `%t = add %sb, %oneb : f32[${count},${length}]`,
    `%out = div %d, %t : f32[${count},${length}]`,
  ]);

test("short rows share a group: as many threads as each needs, and none beyond the last row", () => {
  for (const subgroups of [false, true]) {
    expect(checked(rows(65, 33), subgroups)).toEqual(["rows per 16 threads: 17x64"]);
    expect(checked(rows(67, 128), subgroups)).toEqual(["rows per 32 threads: 34x64"]);
    expect(checked(rows(3, 100), subgroups)).toEqual(["rows per group: 3x32"]);
  }
});

test("results of few terms each lie side by side in a group", () => {
  const sum = (points: number, terms: number, op: string): string =>
    graphText(`%x: f32[${points},${terms}]`, [`%out = reduce %x {op=${op}, axes=[1]} : f32[${points}]`]);
  for (const subgroups of [false, true]) {
    expect(checked(sum(37, 100, "add"), subgroups)).toEqual(["reduction tiles: 5x64"]);
    expect(checked(sum(9, 129, "max"), subgroups)).toEqual(["reduction tiles: 3x64"]);
  }
});

test("results side by side are folded by fours, in slices where they are few", () => {
  const sum = (terms: number, points: number, op: string): string =>
    graphText(`%x: f32[${terms},${points}]`, [`%out = reduce %x {op=${op}, axes=[0]} : f32[${points}]`]);
  expect(checked(sum(330, 204, "add"), true)).toEqual(["reduction tiles: 4x256"]);
  expect(checked(sum(2050, 36, "max"), false)).toEqual(["two-pass reduction: 8x256, 36x8"]);
});

/** sum over i and j of (x[i] - y[j])^2 */
const pairs = (n: number, m: number): string => `graph @f(%x: f32[${n}], %y: f32[${m}]) {
  %a = broadcast %x {shape=[${n},${m}], dims=[0]} : f32[${n},${m}]
  %b = broadcast %y {shape=[${n},${m}], dims=[1]} : f32[${n},${m}]
  %d = sub %a, %b : f32[${n},${m}]
  %q = mul %d, %d : f32[${n},${m}]
  %s = reduce %q {op=add, axes=[0,1]} : f32[]
  return %s
}
`;

test("terms that are more than an i32 counts are not one loop", () => {
  expect(checked(pairs(50, 70), false)).toEqual(["reduction per group: 1x256"]);
  const text = (n: number): string =>
    expressionScope(() => {
      const { kernels } = schedule(lower(parseGraph(pairs(n, n))), leastFeatures);
      return kernels.map((kernel) => printLoopKernel(kernel)).join("");
    });
  expect(text(30_000)).toMatch(/min\(add\(from%\d+, \d+:i32\), 900000000:i32\)/);
  expect(text(70_000)).toMatch(/for \w+%\d+ = 0:i32 to 70000:i32 step 1 \{/);
  expect(text(70_000)).toMatch(/min\(add\(from%\d+, \d+:i32\), 70000:i32\)/);
});

test("many updates that may meet are sorted by their places, in a number of grids that grows with the logarithm", () => {
  const scatter = (rows: number, columns: number, count: number, combine: string): string =>
    graphText(`%x: f32[${rows},${columns}], %u: f32[${count},${columns}], %i: i32[${count}]`, [
      `%out = scatter %x, %u, %i {axes=[0], combine=${combine}} : f32[${rows},${columns}]`,
    ]);
  const more = [
    [1280, "set"],
    [2100, "max"],
  ] as const;
  for (const [count, combine] of [[1025, "add"] as const, ...(fullRun ? more : [])]) {
    const [text = ""] = checked(scatter(7, 2, count, combine), false);
    expect(text).toMatch(/^sorted updates/);
    expect(text.split(",")).toHaveLength(3 + Math.ceil(Math.log2(count / 256)));
  }
});
