// From a graph to a result, on both backends: slots, cache, stages, cost.
import { Builder, type Graph, type GraphResult, verifyGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import {
  type Backend,
  compileGraph,
  compilerStats,
  loadWebgpu,
  stageNames,
  stagesOf,
  theMachine,
} from "../src/index.ts";

const vector = { kind: "tensor", dtype: "f32", shape: [5] } as const;

/** state' = state + arg * const, out = sum(state') */
function graph(): Graph {
  const b = new Builder("accumulate");
  const x = b.param("arg", vector, "x");
  const total = b.param("state", vector, "total");
  const scale = b.param("const", vector, "scale");
  const next = b.emit("add", [total, b.emit("mul", [x, scale])]);
  const results: GraphResult[] = [
    { kind: "state", value: next, param: 1 },
    { kind: "out", value: b.emit("reduce", [next], { op: "add", axes: [0] }) },
  ];
  const made = b.finish(results);
  verifyGraph(made);
  return made;
}

describe.each<Backend>(["reference", "wasm"])("%s", (backend) => {
  test("runs with pointers in slot order, in place or beside", () => {
    const { executable } = compileGraph(graph(), { backend });
    const { heap } = theMachine();
    const place = (values: number[]): number => heap.place("f32", values).address;
    const x = place([1, 2, 3, 4, 5]);
    const total = place([10, 10, 10, 10, 10]);
    const scale = place([2, 2, 2, 2, 2]);
    const beside = place([0, 0, 0, 0, 0]);
    const sum = place([0]);
    const run = (out: number): void => {
      const where = { arena: 0, arg: x, const: scale, state: total, stateOut: out, result: sum, sym: 0 };
      executable.execute(executable.slots.map((slot) => where[slot.kind]));
    };
    run(beside);
    expect([...heap.view("f32", beside, 5)]).toEqual([12, 14, 16, 18, 20]);
    expect([...heap.view("f32", total, 5)]).toEqual([10, 10, 10, 10, 10]);
    run(total);
    expect([...heap.view("f32", total, 5)]).toEqual([12, 14, 16, 18, 20]);
    expect(heap.view("f32", sum, 1)[0]).toBe(80);
  });

  test("compiles an equal graph once", () => {
    const first = compileGraph(graph(), { backend });
    const { compilations } = compilerStats();
    expect(compileGraph(graph(), { backend })).toBe(first);
    expect(compilerStats().compilations).toBe(compilations);
    expect(compileGraph(graph(), { backend, fastMath: true })).not.toBe(first);
  });
});

test("every stage has text, and the cost is counted", async () => {
  await loadWebgpu();
  const stages = stagesOf(graph(), { backend: "wasm" });
  for (const name of stageNames) expect(stages.text(name).length, name).toBeGreaterThan(20);
  expect(stages.text("trace")).toContain("accumulate");
  expect(stages.text("wat")).toContain("(module");
  const cost = stages.cost();
  expect(cost.kernels + cost.scalarKernels).toBeGreaterThan(0);
  expect(cost.flops).toBeGreaterThanOrEqual(10);
  expect(cost.codeBytes).toBeGreaterThan(0);
  expect(cost.peakBytes).toBeGreaterThanOrEqual(4 * 5 * 3 + 4);
});
