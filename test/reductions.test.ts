// Reductions over every set of axes, long ones in chunks, extremes with ties and NaN, and row groups.
import { parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { randomArguments } from "./support/arguments.ts";
import { alone, checkText, checkTextOn, graphText, schedulesOf, whole } from "./support/check-text.ts";
import { fullRun } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("Reductions");

const axisSets = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]];
const kept = (shape: readonly number[], axes: readonly number[]): number[] => shape.filter((_, i) => !axes.includes(i));

function reduce(op: string, dtype: string, shape: readonly number[], axes: readonly number[]): string {
  return graphText(`%x: ${dtype}[${shape}]`, [
    `%out = reduce %x {op=${op}, axes=[${axes}]} : ${dtype}[${kept(shape, axes)}]`,
  ]);
}

describe("reductions of whole numbers", () => {
  const some = [
    [3, 5, 7],
    [8, 1, 5],
    [17, 33, 2],
    [4, 65, 4],
  ];
  const more = [
    [1, 4, 9],
    [2, 3, 64],
    [33, 7, 17],
  ];
  const shapes = fullRun ? [...some, ...more] : some;
  test.each(axisSets.map((axes) => [axes] as const))("over axes %j", (axes) => {
    for (const shape of shapes) {
      for (const op of ["add", "max", "min"]) checkText(reduce(op, "f32", shape, axes), whole, alone);
      checkText(reduce("add", "f64", shape, axes), whole, alone);
      checkText(reduce("mul", "i32", shape, axes), whole, alone);
      checkText(reduce("min", "u32", shape, axes), whole, alone);
      checkText(reduce("or", "bool", shape, axes), whole, alone);
      checkText(reduce("and", "i32", shape, axes), whole, alone);
    }
  });

  test("of nothing give what changes nothing", () => {
    for (const [op, dtype] of [
      ["add", "f32"],
      ["mul", "f64"],
      ["max", "f32"],
      ["min", "i32"],
      ["and", "bool"],
    ] as const)
      for (const axes of [[0], [1], [0, 1]]) checkText(reduce(op, dtype, [0, 3], axes), whole, alone);
  });

  test("of a scalar", () => {
    checkText(reduce("add", "f32", [], []), whole, alone);
    checkText(reduce("max", "i32", [1], [0]), whole, alone);
  });
});

describe("long reductions", () => {
  test("run in two passes", () => {
    expect(schedulesOf(reduce("add", "f32", [1_000_003], [0]))).toEqual(["two-pass reduction"]);
  });

  test("of every kind", () => {
    for (const op of ["add", "max", "min"]) checkText(reduce(op, "f32", [100_003], [0]), whole, alone);
    for (const op of ["add", "mul", "or"]) checkText(reduce(op, "i32", [140_001], [0]), whole, alone);
    checkText(reduce("add", "f32", [317, 1003], [0, 1]), whole, alone);
    checkText(reduce("add", "f64", [1, 140_003], [0, 1]), whole, alone);
    checkText(reduce("add", "f32", [401, 501], [0]), whole, alone);
    checkText(reduce("add", "f32", [401, 501], [1]), whole, alone);
    checkText(reduce("max", "f32", [3, 70_001], [1]), whole, alone);
    checkText(reduce("add", "f32", [70_001, 3], [0]), whole, alone);
  });

  test("of expressions, with work after them", () => {
    checkText(
      graphText("%x: f32[140003], %y: f32[140003], %s: f32[]", [
        "%p = mul %x, %y : f32[140003]",
        "%d = sub %p, %s : f32[140003]",
        "%r = reduce %d {op=add, axes=[0]} : f32[]",
        "%n = neg %r : f32[]",
        "%out = add %n, %s : f32[]",
      ]),
      { whole: true, lo: -3, hi: 3 },
    );
  });

  test("two of them in one kernel", () => {
    checkText(
      `graph @moments(%x: f32[140003]) {
  %0 = reduce %x {op=add, axes=[0]} : f32[]
  %1 = mul %x, %x : f32[140003]
  %2 = reduce %1 {op=add, axes=[0]} : f32[]
  %3 = reduce %x {op=max, axes=[0]} : f32[]
  return %0, %2, %3
}
`,
      { whole: true, lo: -3, hi: 3 },
    );
  });

  test("argMax finds the first of equals in any chunk", () => {
    const text = graphText("%x: f32[140003]", ["%out = argReduce %x {op=max, axis=0} : i32[]"]);
    checkText(text, whole, alone);
    for (const at of [0, 1, 65_537, 140_002]) {
      const [x] = randomArguments(parseGraph(text), whole);
      x!.data[at] = 100;
      x!.data[140_002] = 100;
      checkTextOn(text, [x!], alone);
      x!.data[Math.min(at + 3, 140_001)] = Number.NaN;
      x!.data[140_002] = Number.NaN;
      checkTextOn(text, [x!], alone);
    }
  });
});

describe("positions of extremes", () => {
  const text = (op: string, dtype: string, shape: readonly number[], axis: number): string =>
    graphText(`%x: ${dtype}[${shape}]`, [`%out = argReduce %x {op=${op}, axis=${axis}} : i32[${kept(shape, [axis])}]`]);
  const shapes = [
    [5, 7, 3],
    [1, 17, 4],
    [33, 2, 9],
    [4, 4, 64],
  ];

  test("with ties", () => {
    for (const shape of shapes)
      for (const axis of [0, 1, 2])
        for (const op of ["max", "min"])
          for (const dtype of ["f32", "f64", "i32", "u32"])
            checkText(text(op, dtype, shape, axis), { whole: true, lo: -2, hi: 2 }, alone);
  });

  test("with NaN, infinities and zeros of both signs", () => {
    const special = [Number.NaN, Infinity, -Infinity, 0, -0, 1];
    for (const shape of shapes)
      for (const axis of [0, 1, 2])
        for (const op of ["max", "min"]) {
          const source = text(op, "f32", shape, axis);
          const [x] = randomArguments(parseGraph(source), { lo: 0, hi: 5.49, whole: true });
          for (const [i, v] of x!.data.entries()) x!.data[i] = special[v]!;
          checkTextOn(source, [x!], alone);
          x!.data.fill(-Infinity);
          checkTextOn(source, [x!], alone);
          x!.data.fill(Number.NaN);
          checkTextOn(source, [x!], alone);
        }
  });

  test("max and min with NaN, infinities and zeros of both signs", () => {
    const special = [Number.NaN, Infinity, -Infinity, 0, -0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    for (const axes of axisSets)
      for (const op of ["max", "min"]) {
        const source = reduce(op, "f32", [5, 17, 6], axes);
        const [x] = randomArguments(parseGraph(source), { lo: 0, hi: 19, whole: true });
        for (const [i, v] of x!.data.entries()) x!.data[i] = special[v]!;
        checkTextOn(source, [x!], alone);
      }
  });
});

describe("rows", () => {
  const rowLengths = [1, 3, 5, 10, 257];
  const softmax = (rows: number, n: number): string =>
    graphText(`%x: f32[${rows},${n}]`, [
      `%m = reduce %x {op=max, axes=[1]} : f32[${rows}]`,
      `%b = broadcast %m {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]`,
      `%d = sub %x, %b : f32[${rows},${n}]`,
      `%e = exp %d : f32[${rows},${n}]`,
      `%s = reduce %e {op=add, axes=[1]} : f32[${rows}]`,
      `%t = broadcast %s {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]`,
      `%out = div %e, %t : f32[${rows},${n}]`,
    ]);
  const layerNorm = (rows: number, n: number): string =>
    graphText(`%x: f32[${rows},${n}], %g: f32[${n}]`, [
      `%n = const {dtype=f32, shape=[], data=[${n}]} : f32[]`,
      "%eps = const {dtype=f32, shape=[], data=[0.00001]} : f32[]",
      `%s = reduce %x {op=add, axes=[1]} : f32[${rows}]`,
      `%m = div %s, %n : f32[${rows}]`,
      `%b = broadcast %m {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]`,
      `%d = sub %x, %b : f32[${rows},${n}]`,
      `%q = mul %d, %d : f32[${rows},${n}]`,
      `%v = reduce %q {op=add, axes=[1]} : f32[${rows}]`,
      `%w = div %v, %n : f32[${rows}]`,
      `%u = add %w, %eps : f32[${rows}]`,
      `%r = rsqrt %u : f32[${rows}]`,
      `%c = broadcast %r {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]`,
      `%y = mul %d, %c : f32[${rows},${n}]`,
      `%h = broadcast %g {shape=[${rows},${n}], dims=[1]} : f32[${rows},${n}]`,
      `%out = mul %y, %h : f32[${rows},${n}]`,
    ]);
  const tolerance = { relative: 2e-6, absolute: 2e-6 };

  test.each(rowLengths)("softmax and layerNorm of %i", (n) => {
    for (const rows of [1, 2, 7, 300]) {
      checkText(softmax(rows, n), { lo: -6, hi: 6 }, { tolerance });
      // One value to a row has no variance: what is left of it is rounding, scaled up by 1 / sqrt(eps).
      checkText(layerNorm(rows, n), { lo: -6, hi: 6 }, { tolerance: { relative: 1e-5, absolute: 1e-5 } });
    }
  });

  test("that end in -inf and NaN", () => {
    for (const n of rowLengths) {
      const source = softmax(6, n);
      const [x] = randomArguments(parseGraph(source));
      const row = (r: number): (typeof x & object)["data"] => x!.data.subarray(r * n, (r + 1) * n);
      row(0).fill(-Infinity);
      row(1)[n - 1] = -Infinity;
      row(2)[0] = Number.NaN;
      row(3)[n - 1] = Number.NaN;
      row(4)[n >> 1] = Infinity;
      checkTextOn(source, [x!], { tolerance });
      checkTextOn(layerNorm(6, n), [x!, { dtype: "f32", shape: [n], data: new Float32Array(n).fill(1) }], {
        tolerance: { relative: 1e-5, absolute: 1e-5 },
      });
    }
  });
});
