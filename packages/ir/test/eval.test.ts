// The reference evaluator: arguments, symbolic sizes, traces, errors. What ops compute is in the tests of the ops.
import { describe, expect, test } from "vitest";
import { evalGraph, type HostTensor, hostScalar, parseGraph } from "../src/index.ts";

const row = (...values: number[]): HostTensor => ({
  dtype: "f32",
  shape: [values.length],
  data: Float32Array.from(values),
});

describe("evaluator", () => {
  test("binds symbolic sizes from shapes and holds their bounds", () => {
    const graph = parseGraph(`graph @f(%x: f32[N], %s: f32[]) where N in [1,3] {
  %0 = broadcast %s {shape=[2,N], dims=[]} : f32[2,N]
  %1 = broadcast %x {shape=[2,N], dims=[1]} : f32[2,N]
  %2 = add %0, %1 : f32[2,N]
  return %2
}`);
    const [sum] = evalGraph(graph, [row(1, 2), hostScalar("f32", 10)]);
    expect(sum).toEqual({ dtype: "f32", shape: [2, 2], data: Float32Array.of(11, 12, 11, 12) });
    expect(() => evalGraph(graph, [row(1, 2, 3, 4), hostScalar("f32", 10)])).toThrow(
      "symbolic size N is 4, outside [1, 3]",
    );
  });

  test("traces every node", () => {
    const graph = parseGraph("graph @f(%x: f32[2]) {\n  %0 = neg %x : f32[2]\n  %1 = abs %0 : f32[2]\n  return %1\n}");
    const seen: string[] = [];
    evalGraph(graph, [row(1, -2)], { trace: (node, _, results) => seen.push(`${node.op} ${results[0]!.data.join()}`) });
    expect(seen).toEqual(["neg -1,2", "abs 1,2"]);
  });

  test("refuses arguments that do not fit", () => {
    const graph = parseGraph("graph @f(%x: f32[2]) {\n  return %x\n}");
    expect(() => evalGraph(graph, [row(1, 2, 3)])).toThrow("parameter %x of f is f32[3], not f32[2]");
    expect(() => evalGraph(graph, [])).toThrow("graph f takes 1 values, not 0");
  });
});
