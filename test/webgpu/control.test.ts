// Control flow as WebGPU does it: rounds of while loops in chunks, loops recorded into one submit. What programs with
// control flow compute there is compared in test/control.test.ts.
import { type HostTensor, parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { randomArguments } from "../support/arguments.ts";
import { stencil } from "../support/control-graphs.ts";
import { gpuMachine } from "../support/gpu.ts";
import { exactOnGpu } from "../support/gpu-tolerance.ts";
import { callOnGpu, checkOnGpu, compileForGpu, instanceOnGpu } from "../support/on-gpu.ts";

const machine = await gpuMachine("Control flow on WebGPU");

const i32 = (value: number): HostTensor => ({ dtype: "i32", shape: [], data: Int32Array.of(value) });
const f32 = (...data: number[]): HostTensor => ({ dtype: "f32", shape: [data.length], data: new Float32Array(data) });

/** Sums below %n, by a while loop. */
const counting = `graph @counting(%n: i32[], %x: f32[5]) {
  %i = const {dtype=i32, shape=[], data=[0]} : i32[]
  %0, %1 = while captures(%n), init(%i, %x) : i32[], f32[5]
    graph @test(%n: i32[], %i: i32[], %x: f32[5]) {
      %0 = lt %i, %n : bool[]
      return %0
    }
    graph @body(%n: i32[], %i: i32[], %x: f32[5]) {
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %next = add %i, %one : i32[]
      %f = cast %next {dtype=f32} : f32[]
      %b = broadcast %f {shape=[5], dims=[]} : f32[5]
      %sum = add %x, %b : f32[5]
      return %next, %sum
    }
  return %0, %1
}
`;

describe.skipIf(machine === undefined)("control flow on WebGPU", () => {
  test("while loops of any number of rounds", async () => {
    const graph = parseGraph(counting);
    const rounds = [-1, 0, 1, 2, 3, 15, 16, 17, 18, 33, 100];
    await checkOnGpu(
      machine!,
      rounds.map((n) => ({ graph, args: [i32(n), f32(0, 1, 2, 3, 4)], tolerance: exactOnGpu, text: `${n} rounds` })),
    );
  });

  test("loops that are recorded take one submit, whatever their length", async () => {
    const graph = parseGraph(stencil(30));
    const args = randomArguments(graph);
    const compiled = compileForGpu(graph, machine!.features);
    const instance = instanceOnGpu(machine!, compiled);
    await callOnGpu(machine!, instance, args);
    const before = { ...machine!.stats };
    await callOnGpu(machine!, instance, args);
    expect(machine!.stats.pipelines - before.pipelines).toBe(0);
    // Reading the result is a second one.
    expect(machine!.stats.submits - before.submits).toBeLessThanOrEqual(2);
    expect(machine!.stats.dispatches - before.dispatches).toBeGreaterThanOrEqual(30);
    instance.executable.dispose();
  });
});
