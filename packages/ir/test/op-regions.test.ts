// Ops with regions: what they compute, and what their type rules say.
import { expect, test } from "vitest";
import {
  Builder,
  emit,
  evalGraph,
  type Graph,
  type HostTensor,
  hostScalar,
  parseGraph,
  printGraph,
  tensorType,
  type Value,
  type ValueType,
  verifyGraph,
} from "../src/index.ts";

const f32 = (...shape: number[]) => tensorType("f32", shape);
const i32 = (...shape: number[]) => tensorType("i32", shape);
const host = (shape: number[], values: number[]): HostTensor => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(values),
});

function graph(name: string, types: readonly ValueType[], build: (b: Builder, x: Value[]) => readonly Value[]): Graph {
  const b = new Builder(name);
  const params = types.map((type, i) => b.param("arg", type, `x${i}`));
  return b.finish(build(b, params).map((value) => ({ kind: "out", value })));
}

/** Evaluates a graph after it went through text, so that regions print and parse too. */
function run(g: Graph, ...args: HostTensor[]): number[][] {
  verifyGraph(g);
  expect(printGraph(parseGraph(printGraph(g)))).toBe(printGraph(g));
  return evalGraph(g, args).map((result) => [...result.data]);
}

const twice = graph("twice", [f32()], (b, [x]) => [emit.add(b, x!, x!)]);
const square = graph("square", [f32()], (b, [x]) => [emit.mul(b, x!, x!)]);

test("call gives what the graph gives", () => {
  const g = graph("main", [f32()], (b, [x]) => b.emitRegion("call", { args: [x!] }, {}, [twice]));
  expect(run(g, hostScalar("f32", 3))).toEqual([[6]]);
});

test("cond picks a branch; an index clamps, and false is the first branch", () => {
  const pick = (index: ValueType) =>
    graph("main", [index, f32()], (b, [i, x]) =>
      b.emitRegion("cond", { index: [i!], captures: [x!] }, {}, [twice, square]),
    );
  for (const [index, want] of [
    [-5, 10],
    [0, 10],
    [1, 25],
    [9, 25],
  ] as const)
    expect(run(pick(i32()), hostScalar("i32", index), hostScalar("f32", 5))).toEqual([[want]]);
  expect(run(pick(tensorType("bool", [])), hostScalar("bool", 1), hostScalar("f32", 5))).toEqual([[25]]);
});

test("while carries values for as long as the test holds", () => {
  const test_ = graph("test", [i32(), i32()], (b, [limit, x]) => [emit.less(b, x!, limit!)]);
  const body = graph("body", [i32(), i32()], (b, [, x]) => [emit.add(b, x!, x!)]);
  const g = graph("main", [i32(), i32()], (b, [limit, x]) =>
    b.emitRegion("while", { captures: [limit!], init: [x!] }, {}, [test_, body]),
  );
  expect(run(g, hostScalar("i32", 100), hostScalar("i32", 3))).toEqual([[192]]);
});

test.each([
  [false, [[7], [1, 3, 7, 2, 3, 4]]],
  [true, [[7], [7, 6, 4, 2, 3, 4]]],
])("scan stacks what its steps return (reverse: %s)", (reverse, expected) => {
  const body = graph("body", [f32(), f32(), f32()], (b, [one, carry, x]) => {
    const sum = emit.add(b, carry!, x!);
    return [sum, sum, emit.add(b, x!, one!)];
  });
  const g = graph("main", [f32(), f32(), f32(3)], (b, [one, start, xs]) => {
    const [last, sums, moved] = b.emitRegion(
      "scan",
      { captures: [one!], init: [start!], xs: [xs!] },
      { length: 3, reverse },
      [body],
    );
    return [last!, emit.concat(b, [sums!, moved!], 0)];
  });
  const xs = [1, 2, 4];
  const results = run(g, hostScalar("f32", 1), hostScalar("f32", 0), host([3], xs));
  expect(results).toEqual([expected[0], [...expected[1]!.slice(0, 3), ...xs.map((x) => x + 1)]]);
});

test("type rules name the region and both lists of types", () => {
  const b = new Builder("main");
  const [x, flag] = [b.param("arg", f32(2), "x"), b.param("arg", f32(), "flag")];
  expect(() => b.emitRegion("call", { args: [x] }, {}, [twice])).toThrow(
    "call: the function takes scalar f32, but is given f32[2]",
  );
  expect(() => b.emitRegion("cond", { index: [flag], captures: [] }, {}, [twice, square])).toThrow(
    "cond: the index must be a scalar i32 or bool, got scalar f32",
  );
  expect(() => b.emitRegion("while", { captures: [], init: [flag] }, {}, [twice, twice])).toThrow(
    "while: the test must return scalar bool, but returns scalar f32",
  );
  expect(() =>
    b.emitRegion("scan", { captures: [], init: [], xs: [x] }, { length: 3, reverse: false }, [twice]),
  ).toThrow("scan: runs over 3 steps, but one of xs is f32[2]: its first axis must have 3 elements");
});
