// Gradients at the places that samplers keep away from: ties, zeros among factors, several updates of one element.
import { type Builder, emit, evalGraph, Builder as GraphBuilder, tensorType, type Value } from "@sinter/ir";
import { expect, test } from "vitest";
import { vjpGraph } from "./support/check.ts";

type Build = (b: Builder, ...params: Value[]) => Value;

/** Gradients of the sum of weights times results, the weights being 1, 2, 3, ... */
function gradients(inputs: readonly (readonly number[])[], build: Build): number[][] {
  const b = new GraphBuilder("g");
  const params = inputs.map((x, i) => b.param("arg", tensorType("f64", [x.length]), `x${i}`));
  const value = build(b, ...params);
  const graph = vjpGraph(b.finish([{ kind: "out", value }]));
  const args = inputs.map((x) => ({ dtype: "f64", shape: [x.length], data: Float64Array.from(x) }) as const);
  const shape = emit.shapeOf(value).map(Number);
  const size = shape.reduce((n, d) => n * d, 1);
  const weights = { dtype: "f64", shape, data: Float64Array.from({ length: size }, (_, i) => i + 1) } as const;
  return evalGraph(graph, [...args, weights]).map((result) => [...result.data].map((v) => v + 0));
}

const places = (b: Builder, ...at: number[]): Value =>
  b.emit("const", [], { dtype: "i32", shape: [at.length], data: Int32Array.from(at) });
const scattered =
  (combine: "set" | "add" | "mul" | "max"): Build =>
  (b, base, updates) =>
    emit.scatter(b, combine, base!, updates!, [0], [places(b, 1, 1, 0)]);

test.each<[string, number[][], Build, number[][]]>([
  ["max shares among ties", [[3, 1, 3]], (b, x) => emit.reduce(b, "max", x!, [0]), [[0.5, 0, 0.5]]],
  ["product with one zero", [[2, 0, 5]], (b, x) => emit.reduce(b, "mul", x!, [0]), [[0, 10, 0]]],
  ["product with two zeros", [[2, 0, 0]], (b, x) => emit.reduce(b, "mul", x!, [0]), [[0, 0, 0]]],
  // y = x0, x0 x1, x0 x1 x2, weighted 1, 2, 3
  ["running product with a zero", [[2, 0, 5]], (b, x) => emit.cumulate(b, "mul", x!, 0), [[1, 34, 0]]],
  ["running maximum, first of equals", [[1, 4, 4, 2]], (b, x) => emit.cumulate(b, "max", x!, 0), [[1, 9, 0, 0]]],
  ["maximum of two equal", [[3], [3]], (b, x, y) => emit.maximum(b, x!, y!), [[0.5], [0.5]]],
  ["relu at zero", [[0, 2]], (b, x) => b.emit("relu", [x!]), [[0, 2]]],
  [
    "several sets of one element",
    [
      [7, 8, 9],
      [1, 2, 3],
    ],
    scattered("set"),
    [
      [0, 0, 3],
      [0, 2, 1],
    ],
  ],
  [
    "several sums into one element",
    [
      [7, 8, 9],
      [1, 2, 3],
    ],
    scattered("add"),
    [
      [1, 2, 3],
      [2, 2, 1],
    ],
  ],
  [
    "products with zeros",
    [
      [7, 8, 9],
      [0, 2, 3],
    ],
    scattered("mul"),
    [
      [3, 0, 3],
      [32, 0, 7],
    ],
  ],
  [
    "maxima with a tie",
    [
      [7, 2, 9],
      [2, 2, 3],
    ],
    scattered("max"),
    [
      [1, 2 / 3, 3],
      [2 / 3, 2 / 3, 0],
    ],
  ],
])("%s", (_, inputs, build, expected) => {
  const got = gradients(inputs, build);
  got.forEach((row, i) => {
    row.forEach((value, k) => {
      expect(value).toBeCloseTo(expected[i]![k]!, 12);
    });
  });
});
