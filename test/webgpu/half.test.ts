// Products whose operands are kept as f16: in the interpreter of loops, which rounds as a device does, and through the
// compiler of a device that has all features and runs nothing, since software adapters have no f16.
import { emit, schedule } from "@sinter/codegen-wgsl";
import {
  evalGraph,
  expressionScope,
  type LoopProgram,
  parseGraph,
  roundToHalf,
  verifyLoopKernel,
  type WebgpuFeatures,
} from "@sinter/ir";
import { lower, planMemory } from "@sinter/passes";
import { compile, random, type Tensor } from "sinter";
import { expect, test } from "vitest";
import { create, globals } from "webgpu";
import { leastFeatures } from "../../packages/codegen-wgsl/test/support/features.ts";
import { randomArguments } from "../support/arguments.ts";
import { graphText } from "../support/check-text.ts";
import { runLoops } from "../support/compiled.ts";
import { nearOnGpu } from "../support/gpu-tolerance.ts";
import { resultsDifference } from "../support/random.ts";

const withHalf: WebgpuFeatures = { ...leastFeatures, f16: true };

/** [m, k] times [k, n], and the same of transposed operands: the two ways in which a side is staged. */
const products = [
  graphText("%x: f32[65,36], %w: f32[36,40]", ["%out = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[65,40]"]),
  graphText("%x: f32[37,21], %w: f32[30,37]", ["%out = dot %x, %w {batch=[[],[]], contract=[[0],[1]]} : f32[21,30]"]),
];

/** A device that compiles shaders with all features, and runs none. Kept: what comes from it does not outlive it. */
const gpu = create(["backend=null"]);

test("precision f16: operands of products are rounded to it, sums are not", async () => {
  Object.assign(globalThis, globals);
  const adapter = await gpu.requestAdapter();
  const device = await adapter!.requestDevice({ requiredFeatures: ["shader-f16"] });
  for (const text of products) {
    const graph = parseGraph(text);
    const args = randomArguments(graph);
    const rounded = args.map((arg) => ({ ...arg, data: Float32Array.from(arg.data as Float32Array, roundToHalf) }));
    const code = expressionScope(() => {
      const nests = lower(graph);
      const loops = schedule(nests, withHalf, { precision: "f16" });
      for (const kernel of loops.kernels) verifyLoopKernel(kernel);
      expect(loops.kernels.map((k) => k.schedule)).toEqual([expect.stringMatching(/^f16 tiles/)]);
      const plan = planMemory(loops, { alignment: 256, bytesPerElement: () => 4 });
      const results = runLoops({ graph, nests, loops, plan }, args);
      expect(resultsDifference(results, evalGraph(graph, rounded), nearOnGpu)).toBe(undefined);
      expect(resultsDifference(results, evalGraph(graph, args), nearOnGpu)).not.toBe(undefined);
      return emit(loops, plan, withHalf).shaders[0]!.code;
    });
    expect(code).toMatch(/^enable f16;/);
    const module = device.createShaderModule({ code });
    expect((await module.getCompilationInfo()).messages.map((m) => m.message)).toEqual([]);
  }
  device.destroy();
});

test("without the feature, or unless asked for, products are of f32", () => {
  const schedules = (features: WebgpuFeatures, precision: "f32" | "f16"): string[] =>
    expressionScope(() => {
      const loops: LoopProgram = schedule(lower(parseGraph(products[0]!)), features, { precision });
      return loops.kernels.map((k) => k.schedule);
    });
  for (const made of [schedules(withHalf, "f32"), schedules(leastFeatures, "f16")])
    expect(made).toEqual([expect.stringMatching(/^tiles/)]);
});

test("the option precision changes nothing where there is no f16, and names what it takes", () => {
  const product = (precision: "f32" | "f16") => compile((x: Tensor) => x.matmul(x), { backend: "wasm", precision });
  const x = random.normal(random.key(1), [9, 9]);
  expect(product("f16")(x).dataSync()).toEqual(product("f32")(x).dataSync());
  expect(() => product("half" as "f16")).toThrow(/the option precision is "f32" or "f16", not/);
});

test("rounding to f16: ties go to even, what is too large to infinity, what is too small to zero", () => {
  const cases: readonly (readonly [number, number])[] = [
    [1 / 3, 0.333251953125],
    [2049, 2048],
    [2051, 2052],
    [65519, 65504],
    [65520, Number.POSITIVE_INFINITY],
    [-65520, Number.NEGATIVE_INFINITY],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [0.99999, 1],
    [-0, -0],
  ];
  for (const [value, half] of cases) expect(roundToHalf(value)).toBe(half);
});
