// Fold rules: which rewrite applies, and that the results keep their bits on values that break careless algebra.
import { describe, expect, test } from "vitest";
import { tensorDifference } from "../../../test/support/random.ts";
import {
  allocate,
  Builder,
  type DType,
  emit,
  evalGraph,
  type Graph,
  type HostTensor,
  roundTo,
  type ScalarOpName,
  tensorType,
  type Value,
} from "../src/index.ts";

const odd = [0, -0, 1, -1, 0.5, -2.75, 3e38, -1e-40, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 7];

function contents(dtype: DType, shape: readonly number[]): HostTensor {
  const data = allocate(
    dtype,
    shape.reduce((n, d) => n * d, 1),
  );
  for (let i = 0; i < data.length; i++) data[i] = roundTo(dtype, odd[i % odd.length]!);
  return { dtype, shape, data };
}

type Build = (b: Builder, ...params: Value[]) => Value;

function graph(types: readonly [DType, readonly number[]][], raw: boolean, fastMath: boolean, build: Build): Graph {
  const b = new Builder("g", { raw, fastMath });
  const params = types.map(([dtype, shape], i) => b.param("arg", tensorType(dtype, shape), `x${i}`));
  return b.finish([{ kind: "out", value: build(b, ...params) }]);
}

/** Builds with and without folding, compares the results bit for bit, and returns what ops are left. */
function folded(types: readonly [DType, readonly number[]][], build: Build, fastMath = false): string {
  const args = types.map(([dtype, shape]) => contents(dtype, shape));
  const plain = graph(types, true, fastMath, build);
  const small = graph(types, false, fastMath, build);
  if (!fastMath) {
    const difference = tensorDifference(evalGraph(small, args)[0]!, evalGraph(plain, args)[0]!);
    expect(difference).toBeUndefined();
  }
  return small.nodes.map((node) => node.op).join(" ");
}

const f32: readonly [DType, readonly number[]][] = [["f32", [12]]];
const i32: readonly [DType, readonly number[]][] = [["i32", [12]]];
const bool: readonly [DType, readonly number[]][] = [["bool", [12]]];
const cube: readonly [DType, readonly number[]][] = [["f32", [2, 3, 5]]];
const c = (b: Builder, value: number, dtype: DType = "f32"): Value => b.scalar(dtype, value);
const op = (b: Builder, name: ScalarOpName, ...args: Value[]): Value => emit.elementwise(b, name, ...args);

describe("float algebra keeps its bits", () => {
  test.each<[string, Build, string]>([
    ["x + -0", (b, x) => emit.add(b, x!, c(b, -0)), ""],
    ["x + 0", (b, x) => emit.add(b, x!, c(b, 0)), "const add"],
    ["x - 0", (b, x) => emit.sub(b, x!, c(b, 0)), ""],
    ["x - -0", (b, x) => emit.sub(b, x!, c(b, -0)), "const sub"],
    ["x - x", (b, x) => emit.sub(b, x!, x!), "sub"],
    ["-0 - x", (b, x) => emit.sub(b, c(b, -0), x!), "neg"],
    ["0 - x", (b, x) => emit.sub(b, c(b, 0), x!), "const sub"],
    ["x * 1", (b, x) => emit.mul(b, c(b, 1), x!), ""],
    ["x * -1", (b, x) => emit.mul(b, x!, c(b, -1)), "neg"],
    ["x * 0", (b, x) => emit.mul(b, x!, c(b, 0)), "const mul"],
    ["x / 1", (b, x) => emit.div(b, x!, c(b, 1)), ""],
    ["x / 4", (b, x) => emit.div(b, x!, c(b, 4)), "const mul"],
    ["x / 3", (b, x) => emit.div(b, x!, c(b, 3)), "const div"],
    ["--x", (b, x) => emit.neg(b, emit.neg(b, x!)), ""],
    ["x + -y", (b, x) => emit.add(b, x!, emit.neg(b, op(b, "abs", x!))), "abs sub"],
    ["(x + 1) + 2", (b, x) => emit.add(b, emit.add(b, x!, c(b, 1)), c(b, 2)), "const add const add"],
    ["x == x", (b, x) => emit.equal(b, x!, x!), "eq"],
    ["max(x, -inf)", (b, x) => emit.maximum(b, x!, c(b, Number.NEGATIVE_INFINITY)), ""],
    ["pow(x, 1)", (b, x) => op(b, "pow", x!, c(b, 1)), ""],
    ["pow(x, 0)", (b, x) => op(b, "pow", x!, c(b, 0)), "const broadcast"],
    ["x * broadcast(2)", (b, x) => emit.mul(b, x!, emit.filled(b, "f32", [12], 2)), "const mul"],
    [
      "neg(broadcast(s))",
      (b, x) => emit.neg(b, emit.expandScalar(b, emit.reduce(b, "max", x!, [0]), [12])),
      "reduce neg broadcast",
    ],
  ])("%s", (_, build, ops) => {
    expect(folded(f32, build)).toBe(ops);
  });

  test("and gives them up for fast math only", () => {
    expect(folded(f32, (b, x) => emit.mul(b, x!, c(b, 0)), true)).toBe("const broadcast");
    expect(folded(f32, (b, x) => emit.add(b, x!, c(b, 0)), true)).toBe("");
    expect(folded(f32, (b, x) => emit.add(b, emit.add(b, x!, c(b, 1)), c(b, 2)), true)).toBe("const add");
    expect(folded(f32, (b, x) => emit.div(b, x!, c(b, 3)), true)).toBe("const mul");
  });
});

test.each<[string, typeof f32, Build, string]>([
  ["i32 x + 0", i32, (b, x) => emit.add(b, x!, c(b, 0, "i32")), ""],
  ["i32 x * 0", i32, (b, x) => emit.mul(b, x!, c(b, 0, "i32")), "const broadcast"],
  ["i32 x - x", i32, (b, x) => emit.sub(b, x!, x!), "const broadcast"],
  ["i32 (x + 1) + 2", i32, (b, x) => emit.add(b, emit.add(b, x!, c(b, 1, "i32")), c(b, 2, "i32")), "const add"],
  ["i32 x == x", i32, (b, x) => emit.equal(b, x!, x!), "const broadcast"],
  ["i32 x ^ x", i32, (b, x) => op(b, "xor", x!, x!), "const broadcast"],
  ["i32 x << 32", i32, (b, x) => op(b, "shl", x!, c(b, 32, "i32")), ""],
  ["b and true", bool, (b, x) => emit.and(b, x!, c(b, 1, "bool")), ""],
  ["b and false", bool, (b, x) => emit.and(b, x!, c(b, 0, "bool")), "const broadcast"],
  ["not not b", bool, (b, x) => emit.not(b, emit.not(b, x!)), ""],
  ["select of not", [...bool, ...f32], (b, p, x) => emit.select(b, emit.not(b, p!), x!, c(b, 0)), "const select"],
  ["select true", f32, (b, x) => emit.select(b, c(b, 1, "bool"), c(b, 2), x!), "const broadcast"],
  ["select of equal arms", [...bool, ...f32], (b, p, x) => emit.select(b, p!, x!, x!), ""],
  ["widening and back", f32, (b, x) => emit.cast(b, emit.cast(b, x!, "f64"), "f32"), ""],
  ["narrowing and back", [["f64", [12]]], (b, x) => emit.cast(b, emit.cast(b, x!, "f32"), "f64"), "cast cast"],
  ["i32 to f64 to u32", i32, (b, x) => emit.cast(b, emit.cast(b, x!, "f64"), "u32"), "cast cast"],
  ["i32 to f64 to f32", i32, (b, x) => emit.cast(b, emit.cast(b, x!, "f64"), "f32"), "cast"],
  ["bits and back", f32, (b, x) => emit.bitcast(b, emit.bitcast(b, x!, "u32"), "f32"), ""],
])("%s", (_, types, build, ops) => {
  expect(folded(types, build)).toBe(ops);
});

test.each<[string, Build, string]>([
  ["transpose and back", (b, x) => emit.transpose(b, emit.transpose(b, x!, [2, 0, 1]), [1, 2, 0]), ""],
  ["two transposes", (b, x) => emit.transpose(b, emit.transpose(b, x!, [2, 0, 1]), [2, 0, 1]), "transpose"],
  ["reshape and back", (b, x) => emit.reshape(b, emit.reshape(b, x!, [30]), [2, 3, 5]), ""],
  [
    "two broadcasts",
    (b, x) => emit.broadcastTo(b, emit.broadcastTo(b, x!, [4, 2, 3, 5], [1, 2, 3]), [4, 2, 7, 3, 5], [0, 1, 3, 4]),
    "broadcast",
  ],
  ["two reverses", (b, x) => emit.reverse(b, emit.reverse(b, x!, [0, 1]), [1, 2]), "reverse"],
  [
    "two slices",
    (b, x) => emit.slice(b, emit.slice(b, x!, [0, 0, 1], [2, 3, 5], [1, 2, 1]), [1, 0, 0], [2, 2, 4], [1, 1, 3]),
    "slice",
  ],
  ["whole slice", (b, x) => emit.slice(b, x!, [0, 0, 0], [2, 3, 5]), ""],
  ["slice of a part", (b, x) => emit.sliceAxis(b, emit.concat(b, [x!, emit.neg(b, x!)], 1), 1, 0, 2), "slice"],
  [
    "slice inside a pad",
    (b, x) => emit.slice(b, emit.pad(b, x!, c(b, 3), [1, 0, 2], [0, 1, 1]), [1, 1, 2], [3, 3, 7]),
    "slice",
  ],
  [
    "pad of pad",
    (b, x) => emit.pad(b, emit.pad(b, x!, c(b, 3), [1, 0, 0], [0, 1, 0]), c(b, 3), [0, 2, 0], [1, 0, 0]),
    "const pad",
  ],
  [
    "pad that cuts what it put in between",
    (b, x) => emit.pad(b, x!, c(b, 3), [0, 0, 0], [0, -2, 0], [0, 1, 0]),
    "const pad",
  ],
  ["pad that cuts", (b, x) => emit.pad(b, x!, c(b, 3), [0, -1, 0], [0, 0, -2]), "slice"],
  ["concat of concat", (b, x) => emit.concat(b, [emit.concat(b, [x!, x!], 0), x!], 0), "concat"],
  ["concat of one", (b, x) => emit.concat(b, [x!], 2), ""],
  ["reduce over nothing", (b, x) => emit.reduce(b, "add", x!, []), ""],
  [
    "max of repeats",
    (b, x) => emit.reduce(b, "max", emit.broadcastTo(b, x!, [2, 3, 9, 5], [0, 1, 3]), [2]),
    "const add",
  ],
  ["transposed ones", (b) => emit.transpose(b, emit.filled(b, "f32", [2, 3], 1), [1, 0]), "const broadcast"],
  [
    "dynamic slice at a known place",
    (b, x) => emit.dynamicSlice(b, x!, [c(b, 1, "i32"), c(b, -4, "i32"), c(b, 9, "i32")], [1, 2, 3]),
    "slice",
  ],
])("%s", (_, build, ops) => {
  expect(folded(cube, build)).toBe(ops);
});
