// What a program for WebGPU consists of: dispatches, submits, groups, bindings. No time is measured.
import { type Graph, parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { mlpStep } from "../../packages/passes/test/support/models.ts";
import { randomArguments } from "../support/arguments.ts";
import { graphText, whole } from "../support/check-text.ts";
import { fullRun } from "../support/fuzz.ts";
import { gpuMachine } from "../support/gpu.ts";
import { nearOnGpu } from "../support/gpu-tolerance.ts";
import {
  type CompiledForGpu,
  callOnGpu,
  checkOnGpu,
  compileForGpu,
  type GpuCase,
  gpuForms,
  instanceOnGpu,
} from "../support/on-gpu.ts";

const machine = await gpuMachine("The structure of programs for WebGPU");

/** Dispatches of a program without control flow, as its schedule says. */
const gridsOf = ({ loops }: CompiledForGpu): number => loops.kernels.reduce((n, k) => n + k.grids!.length, 0);
const groupsOf = ({ loops }: CompiledForGpu): number[] =>
  loops.kernels.flatMap((k) => k.grids!.map(({ groups }) => groups as number));

const compiled = (graph: Graph | string): CompiledForGpu =>
  compileForGpu(typeof graph === "string" ? parseGraph(graph) : graph, machine!.features);

const dot = (m: number, n: number, k: number): string =>
  graphText(`%x: f32[${m},${k}], %w: f32[${k},${n}]`, [
    `%out = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]`,
  ]);
const total = (length: number): string =>
  graphText(`%x: f32[${length}]`, ["%out = reduce %x {op=add, axes=[0]} : f32[]"]);
const softmax = (rows: number, columns: number): string =>
  graphText(`%x: f32[${rows},${columns}]`, [
    `%m = reduce %x {op=max, axes=[1]} : f32[${rows}]`,
    `%mb = broadcast %m {shape=[${rows},${columns}], dims=[0]} : f32[${rows},${columns}]`,
    `%d = sub %x, %mb : f32[${rows},${columns}]`,
    `%e = exp %d : f32[${rows},${columns}]`,
    `%s = reduce %e {op=add, axes=[1]} : f32[${rows}]`,
    `%sb = broadcast %s {shape=[${rows},${columns}], dims=[0]} : f32[${rows},${columns}]`,
    `%out = div %e, %sb : f32[${rows},${columns}]`,
  ]);

describe.skipIf(machine === undefined)("programs for WebGPU", () => {
  test("a call is one submit: a dispatch for each kernel, and one more for each further grid", async () => {
    const texts = [dot(33, 17, 65), total(257), total(1 << 18), softmax(5, 257)];
    for (const graph of [...texts.map((text) => parseGraph(text)), mlpStep(8, [12, 9, 4])]) {
      const one = compiled(graph);
      const instance = instanceOnGpu(machine!, one);
      await instance.executable.ready;
      const args = randomArguments(graph, whole);
      const before = { ...machine!.stats };
      await callOnGpu(machine!, instance, args);
      // Reading each result is a submit of its own at most.
      expect(machine!.stats.dispatches - before.dispatches, graph.name).toBe(gridsOf(one));
      expect(machine!.stats.submits - before.submits - (machine!.stats.reads - before.reads)).toBeLessThanOrEqual(1);
      expect(machine!.stats.pipelines).toBe(before.pipelines);
      instance.executable.dispose();
    }
  });

  test("a second program of the same shaders makes no pipelines", async () => {
    const first = instanceOnGpu(machine!, compiled(softmax(6, 260)));
    await first.executable.ready;
    const before = machine!.stats.pipelines;
    const second = instanceOnGpu(machine!, compiled(softmax(6, 260)));
    await second.executable.ready;
    expect(machine!.stats.pipelines).toBe(before);
    first.executable.dispose();
    second.executable.dispose();
  });

  test("a long sum runs in many groups, then one folds what they found", () => {
    const [first = 0, second = 0, ...others] = groupsOf(compiled(total(1 << 20)));
    expect(first).toBeGreaterThanOrEqual(64);
    expect(second).toBe(1);
    expect(others).toEqual([]);
    expect(groupsOf(compiled(total(200)))).toEqual([1]);
  });

  test("a softmax is one kernel, with a group for each row", () => {
    const one = compiled(softmax(7, 300));
    expect(one.loops.kernels).toHaveLength(1);
    expect(groupsOf(one)).toEqual([7]);
  });

  test("a product is tiled, edges and all", () => {
    const one = compiled(dot(511, 511, 511));
    expect(one.loops.kernels).toHaveLength(1);
    expect(groupsOf(one)).toHaveLength(1);
    // Each group makes a tile, of which there are at most as many as tiles of 32 by 32.
    expect(groupsOf(one)[0]).toBeLessThanOrEqual(256);
    expect(groupsOf(one)[0]).toBeGreaterThanOrEqual(64);
  });

  test("a map takes four elements per thread", () => {
    const map = (size: number): string => graphText(`%x: f32[${size}]`, [`%out = neg %x : f32[${size}]`]);
    const threads = (size: number): number => {
      const { loops } = compiled(map(size));
      const [grid] = loops.kernels[0]!.grids!;
      return (grid!.groups as number) * grid!.threads;
    };
    for (const size of [257, 4096, 1_000_001]) {
      expect(threads(size)).toBeGreaterThanOrEqual(Math.ceil(size / 4));
      expect(threads(size)).toBeLessThan(Math.ceil(size / 4) + 512);
    }
  });

  test("f64 is refused, by name and with what to do", () => {
    const graph = parseGraph("graph @g(%x: f64[3]) {\n  %0 = add %x, %x : f64[3]\n  return %0\n}\n");
    expect(() => compileForGpu(graph, machine!.features)).toThrow(/f64 is not available on webgpu.*cast to f32/);
  });

  test("sizes around tiles and groups compute what the reference does", async () => {
    const few: [number, number, number][] = [
      [1, 65, 130],
      [64, 1, 300],
      [65, 63, 33],
      [16, 16, 2000],
    ];
    const more: [number, number, number][] = [
      [3, 64, 257],
      [31, 33, 65],
      [129, 66, 5],
      [511, 257, 129],
      [130, 70, 64],
      [4, 4, 10_000],
      [2, 300, 511],
    ];
    const products = fullRun ? [...few, ...more] : few;
    const cases: GpuCase[] = [
      ...products.map(([m, n, k]) => dot(m, n, k)),
      ...[255, 256, 257, 1023, 4097, 70_001].map(total),
      softmax(3, 1),
      softmax(2, 255),
      softmax(67, 40),
      softmax(5, 1025),
      softmax(1, 9000),
    ].map((text) => {
      const graph = parseGraph(text);
      return { graph, args: randomArguments(graph, whole), tolerance: nearOnGpu, text, forms: gpuForms.slice(0, 1) };
    });
    await checkOnGpu(machine!, cases);
  });
});
