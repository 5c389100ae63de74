// What runs in order or moves elements about: running folds, scatters with duplicates, joins and paddings that cut
// vectors at their guards, tensors without elements.
import { describe, expect, test } from "vitest";
import { alone, checkText, graphText, whole } from "./support/check-text.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("What runs in order", { sample: 4 });

describe("running folds", () => {
  const shapes = [
    [1, 5, 7],
    [17, 1, 4],
    [3, 33, 2],
    [8, 4, 64],
  ];
  test.each([0, 1, 2])("along axis %i", (axis) => {
    for (const shape of shapes)
      for (const [op, dtype] of [
        ["add", "f32"],
        ["max", "f32"],
        ["min", "f64"],
        ["mul", "i32"],
        ["add", "u32"],
      ] as const)
        for (const reverse of [false, true])
          for (const exclusive of [false, true])
            checkText(
              graphText(`%x: ${dtype}[${shape}]`, [
                `%out = cumulate %x {op=${op}, axis=${axis}, reverse=${reverse}, exclusive=${exclusive}} : ${dtype}[${shape}]`,
              ]),
              whole,
              alone,
            );
  });

  test("of expressions, and with work after them", () => {
    for (const axis of [0, 1])
      checkText(
        graphText("%x: f32[9,13], %y: f32[9,13]", [
          "%a = mul %x, %y : f32[9,13]",
          `%c = cumulate %a {op=add, axis=${axis}, reverse=false, exclusive=false} : f32[9,13]`,
          "%out = sub %c, %x : f32[9,13]",
        ]),
      );
  });

  test("over a long line", () => {
    checkText(
      graphText("%x: f32[70001]", ["%out = cumulate %x {op=add, axis=0, reverse=false, exclusive=false} : f32[70001]"]),
      { whole: true, lo: -2, hi: 2 },
      alone,
    );
  });
});

describe("scatter", () => {
  const scatter = (combine: string, dtype: string, rows: number, columns: number, count: number): string =>
    graphText(`%x: ${dtype}[${rows},${columns}], %u: ${dtype}[${count},${columns}], %i: i32[${count}]`, [
      `%out = scatter %x, %u, %i {axes=[0], combine=${combine}} : ${dtype}[${rows},${columns}]`,
    ]);

  test("many updates, one after the other where they meet", () => {
    for (const [combine, dtype, rows, count] of [
      ["set", "f32", 1000, 70_001],
      ["add", "i32", 37, 3000],
      ["mul", "i32", 5000, 4096],
      ["max", "f32", 3, 1025],
    ] as const)
      checkText(
        scatter(combine, dtype, rows, 2, count),
        { whole: true, lo: -2, hi: 2, ranges: { i: [-3, rows + 2] } },
        alone,
      );
  });

  test.each(["set", "add", "mul", "max", "min"])("with duplicates: %s", (combine) => {
    for (const [rows, columns, count] of [
      [3, 5, 40],
      [1, 33, 7],
      [17, 4, 64],
      [5, 1, 100],
    ] as const)
      for (const dtype of ["f32", "i32"])
        checkText(
          scatter(combine, dtype, rows, columns, count),
          { whole: true, lo: -2, hi: 2, ranges: { i: [-3, rows + 2] } },
          alone,
        );
  });

  test("into two axes, and into zeros", () => {
    checkText(
      graphText("%u: f32[30], %i: i32[30], %j: i32[30]", [
        "%z = const {dtype=f32, shape=[], data=[0]} : f32[]",
        "%b = broadcast %z {shape=[4,5], dims=[]} : f32[4,5]",
        "%out = scatter %b, %u, %i, %j {axes=[0,1], combine=add} : f32[4,5]",
      ]),
      { ...whole, ranges: { i: [0, 3], j: [0, 4] } },
    );
  });

  test("then gathered from", () => {
    checkText(
      graphText("%x: f32[11,7], %u: f32[5,7], %i: i32[5], %k: i32[6]", [
        "%s = scatter %x, %u, %i {axes=[0], combine=set} : f32[11,7]",
        "%g = gather %s, %k {axes=[0]} : f32[6,7]",
        "%out = mul %g, %g : f32[6,7]",
      ]),
      { ...whole, ranges: { i: [0, 10], k: [-1, 12] } },
    );
  });
});

describe("vectors that end at a guard", () => {
  test("concatenations of parts of every length", () => {
    for (const [a, b, c] of [
      [1, 1, 1],
      [3, 5, 8],
      [4, 4, 4],
      [7, 1, 9],
      [16, 3, 2],
      [5, 64, 33],
    ] as const) {
      const n = a + b + c;
      checkText(
        graphText(`%x: f32[${a}], %y: f32[${b}], %z: f32[${c}]`, [`%out = concat %x, %y, %z {axis=0} : f32[${n}]`]),
        whole,
        alone,
      );
      checkText(
        graphText(`%x: f32[${a},5], %y: f32[${b},5], %z: f32[${c},5], %w: f32[${n},5]`, [
          `%j = concat %x, %y, %z {axis=0} : f32[${n},5]`,
          `%out = mul %j, %w : f32[${n},5]`,
        ]),
      );
      checkText(
        graphText(`%x: i32[3,${a}], %y: i32[3,${b}], %z: i32[3,${c}]`, [
          `%j = concat %x, %y, %z {axis=1} : i32[3,${n}]`,
          `%out = transpose %j {perm=[1,0]} : i32[${n},3]`,
        ]),
      );
    }
  });

  test("joins of joins, reduced", () => {
    checkText(
      graphText("%x: f32[3,6], %y: f32[3,7]", [
        "%a = concat %x, %y {axis=1} : f32[3,13]",
        "%b = concat %y, %a {axis=1} : f32[3,20]",
        "%c = mul %b, %b : f32[3,20]",
        "%out = reduce %c {op=add, axes=[1]} : f32[3]",
      ]),
    );
  });

  test("paddings: wide, inner, negative", () => {
    for (const n of [1, 3, 4, 9, 33])
      for (const [lo, hi, interior] of [
        [1, 2, 0],
        [4, 4, 0],
        [0, 7, 1],
        [3, 0, 2],
        [-1, 5, 0],
        [5, -1, 0],
      ] as const) {
        const size = n + lo + hi + (n - 1) * interior;
        if (size < 1) continue;
        checkText(
          graphText(`%x: f32[${n}], %v: f32[]`, [
            `%out = pad %x, %v {lo=[${lo}], hi=[${hi}], interior=[${interior}]} : f32[${size}]`,
          ]),
          whole,
          alone,
        );
        checkText(
          graphText(`%x: f32[2,${n}], %v: f32[], %y: f32[5,${size}]`, [
            `%p = pad %x, %v {lo=[1,${lo}], hi=[2,${hi}], interior=[0,${interior}]} : f32[5,${size}]`,
            `%e = sub %p, %y : f32[5,${size}]`,
            `%out = reduce %e {op=add, axes=[0]} : f32[${size}]`,
          ]),
        );
      }
  });

  test("windows that reach over the edge", () => {
    checkText(
      graphText("%x: f32[12,9]", [
        "%z = const {dtype=f32, shape=[], data=[0]} : f32[]",
        "%l = pad %x, %z {lo=[0,1], hi=[0,-1], interior=[0,0]} : f32[12,9]",
        "%r = pad %x, %z {lo=[0,-1], hi=[0,1], interior=[0,0]} : f32[12,9]",
        "%u = pad %x, %z {lo=[1,0], hi=[-1,0], interior=[0,0]} : f32[12,9]",
        "%a = add %l, %r : f32[12,9]",
        "%b = sub %a, %u : f32[12,9]",
        "%out = mul %b, %x : f32[12,9]",
      ]),
    );
  });
});

describe("tensors without elements, and scalars", () => {
  test("elementwise, moved, joined and reduced", () => {
    checkText(
      `graph @empty(%x: f32[0,3], %y: f32[3], %s: f32[]) {
  %0 = exp %x : f32[0,3]
  %1 = broadcast %y {shape=[0,3], dims=[1]} : f32[0,3]
  %2 = add %0, %1 : f32[0,3]
  %3 = mul %2, %s : f32[0,3]
  %4 = transpose %3 {perm=[1,0]} : f32[3,0]
  %5 = reduce %4 {op=add, axes=[1]} : f32[3]
  %6 = reduce %4 {op=max, axes=[0]} : f32[0]
  %7 = concat %y, %6 {axis=0} : f32[3]
  %8 = add %5, %7 : f32[3]
  %9 = pad %6, %s {lo=[2], hi=[3], interior=[0]} : f32[5]
  %10 = cumulate %3 {op=add, axis=0, reverse=false, exclusive=false} : f32[0,3]
  return %3, %4, %5, %6, %8, %9, %10
}
`,
      {},
    );
  });

  test("scattered and gathered with no positions", () => {
    checkText(`graph @empty(%x: f32[4,3], %u: f32[0,3], %i: i32[0]) {
  %0 = scatter %x, %u, %i {axes=[0], combine=set} : f32[4,3]
  %1 = gather %x, %i {axes=[0]} : f32[0,3]
  return %0, %1
}
`);
  });

  test("scalars of every dtype", () => {
    for (const dtype of ["f32", "f64", "i32", "u32"])
      checkText(
        graphText(`%x: ${dtype}[], %y: ${dtype}[]`, [
          `%a = add %x, %y : ${dtype}[]`,
          `%b = mul %a, %x : ${dtype}[]`,
          `%c = broadcast %b {shape=[5,3], dims=[]} : ${dtype}[5,3]`,
          `%d = reduce %c {op=add, axes=[0,1]} : ${dtype}[]`,
          `%out = max %d, %y : ${dtype}[]`,
        ]),
      );
    expect(() => checkText(graphText("%x: bool[], %y: bool[]", ["%out = xor %x, %y : bool[]"]))).not.toThrow();
  });
});
