// Every op of the registry on WebGPU against its reference evaluation, in all dtypes that exist there.
import { type OpDef, parseGraph, typeOf } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fullRun, fuzzRuns } from "../support/fuzz.ts";
import { gpuMachine } from "../support/gpu.ts";
import { onGpu } from "../support/gpu-tolerance.ts";
import { checkOnGpu, compileForGpu, type GpuCase, gpuForms } from "../support/on-gpu.ts";
import { type CaseOptions, opCases, plainOps } from "../support/op-cases.ts";

const machine = await gpuMachine("Every op on WebGPU");

function cases(op: OpDef, count: number, options: CaseOptions = {}): GpuCase[] {
  return [...opCases(op, count, { ...options, f64: false })].map((one) => {
    const results = one.graph.results.map(({ value }) => typeOf(value));
    return { ...one, tolerance: onGpu(op, results[0]!, one.tolerance) };
  });
}

describe.skipIf(machine === undefined)("on WebGPU", () => {
  test.each(plainOps.map((op) => [op.name, op] as const))("%s", async (_, op) => {
    // The simplest schedules differ little from case to case.
    const some = cases(op, fuzzRuns(2, 8)).map((one, i) => ({
      ...one,
      forms: gpuForms.slice(0, fullRun || i === 0 ? 2 : 1),
    }));
    await checkOnGpu(machine!, some);
  });

  // Several groups, tiles with edges, reductions in two passes. Elementwise ops differ in nothing that matters here.
  const representatives = "add exp select broadcast transpose slice concat gather randomBits".split(" ");
  const large = plainOps.filter((op) => fullRun || op.nest.kind !== "map" || representatives.includes(op.name));
  test.each(large.map((op) => [op.name, op] as const))("%s on large tensors", async (_, op) => {
    const options: CaseOptions = {
      sizes: [5, 33, 257, 1031, 4099, 30_011],
      maxElements: fullRun ? 70_000 : 40_000,
      firstSeed: 10_000,
      allDTypes: false,
    };
    const forms = fullRun ? gpuForms : gpuForms.slice(0, 1);
    await checkOnGpu(
      machine!,
      cases(op, fuzzRuns(1, 2), options).map((one) => ({ ...one, forms })),
    );
  });

  test("f64 is refused, by name and with what to do", () => {
    const graph = parseGraph("graph @g(%x: f64[3]) {\n  %0 = add %x, %x : f64[3]\n  return %0\n}\n");
    expect(() => compileForGpu(graph, machine!.features)).toThrow(/f64 is not available on webgpu.*cast to f32/);
  });
});
