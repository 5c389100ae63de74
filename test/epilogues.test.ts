// Contractions with work at their stores: bias and gelu, Adam, several results, guards and moved stores.
import { describe, expect, test } from "vitest";
import { checkText, graphText, schedulesOf, whole } from "./support/check-text.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("Epilogues");

const shapes = [
  [4, 4, 4],
  [5, 9, 7],
  [6, 8, 16],
  [13, 17, 33],
  [64, 10, 24],
  [7, 65, 12],
] as const;
const tolerance = { relative: 1e-5, absolute: 2e-5 };

const linearGelu = (m: number, n: number, k: number, dtype = "f32"): string =>
  graphText(`%x: ${dtype}[${m},${k}], %w: ${dtype}[${k},${n}], %bias: ${dtype}[${n}]`, [
    `%p = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : ${dtype}[${m},${n}]`,
    `%b = broadcast %bias {shape=[${m},${n}], dims=[1]} : ${dtype}[${m},${n}]`,
    `%s = add %p, %b : ${dtype}[${m},${n}]`,
    `%c = const {dtype=${dtype}, shape=[], data=[0.70710677]} : ${dtype}[]`,
    `%h = const {dtype=${dtype}, shape=[], data=[0.5]} : ${dtype}[]`,
    `%one = const {dtype=${dtype}, shape=[], data=[1]} : ${dtype}[]`,
    `%e = mul %s, %c : ${dtype}[${m},${n}]`,
    `%f = erf %e : ${dtype}[${m},${n}]`,
    `%g = add %f, %one : ${dtype}[${m},${n}]`,
    `%q = mul %s, %h : ${dtype}[${m},${n}]`,
    `%out = mul %q, %g : ${dtype}[${m},${n}]`,
  ]);

describe("epilogues", () => {
  test("bias and gelu", () => {
    for (const [m, n, k] of shapes) checkText(linearGelu(m, n, k), { lo: -1, hi: 1 }, { tolerance });
    checkText(linearGelu(13, 17, 33, "f64"), { lo: -1, hi: 1 }, { tolerance: { relative: 1e-12, absolute: 1e-12 } });
    expect(schedulesOf(linearGelu(64, 64, 64))).toEqual([expect.stringContaining("matmul")]);
  });

  test("bias along the rows, a residual and relu", () => {
    for (const [m, n, k] of shapes)
      checkText(
        graphText(`%x: f32[${k},${m}], %w: f32[${n},${k}], %bias: f32[${m}], %r: f32[${m},${n}]`, [
          `%p = dot %x, %w {batch=[[],[]], contract=[[0],[1]]} : f32[${m},${n}]`,
          `%b = broadcast %bias {shape=[${m},${n}], dims=[0]} : f32[${m},${n}]`,
          `%s = add %p, %b : f32[${m},${n}]`,
          `%t = relu %s : f32[${m},${n}]`,
          `%out = add %t, %r : f32[${m},${n}]`,
        ]),
      );
  });

  test("Adam behind the gradient of a matrix", () => {
    for (const [m, n, k] of shapes) {
      const t = `f32[${m},${n}]`;
      checkText(
        `graph @adam(%x: f32[${k},${m}], %y: f32[${k},${n}], %p: state ${t}, %m: state ${t}, %v: state ${t}) {
  %g = dot %x, %y {batch=[[],[]], contract=[[0],[0]]} : ${t}
  %a = const {dtype=f32, shape=[], data=[0.9]} : f32[]
  %b = const {dtype=f32, shape=[], data=[0.1]} : f32[]
  %c = const {dtype=f32, shape=[], data=[0.001]} : f32[]
  %d = const {dtype=f32, shape=[], data=[0.0001]} : f32[]
  %0 = mul %m, %a : ${t}
  %1 = mul %g, %b : ${t}
  %2 = add %0, %1 : ${t}
  %3 = mul %v, %a : ${t}
  %4 = mul %g, %g : ${t}
  %5 = mul %4, %b : ${t}
  %6 = add %3, %5 : ${t}
  %7 = sqrt %6 : ${t}
  %8 = add %7, %d : ${t}
  %9 = div %2, %8 : ${t}
  %10 = mul %9, %c : ${t}
  %11 = sub %p, %10 : ${t}
  return state[2] %11, state[3] %2, state[4] %6
}
`,
        { lo: -1, hi: 1, ranges: { v: [0, 1] } },
        { tolerance },
      );
    }
  });

  test("a product that is a result and goes on as well", () => {
    for (const [m, n, k] of shapes)
      checkText(`graph @both(%x: f32[${m},${k}], %w: f32[${k},${n}]) {
  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]
  %1 = relu %0 : f32[${m},${n}]
  %2 = reduce %1 {op=add, axes=[1]} : f32[${m}]
  return %0, %1, %2
}
`);
  });

  test("stores that move: a transposed, reshaped or padded product", () => {
    for (const [m, n, k] of shapes) {
      const dot = `%p = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]`;
      const params = `%x: f32[${m},${k}], %w: f32[${k},${n}]`;
      checkText(graphText(params, [dot, `%out = transpose %p {perm=[1,0]} : f32[${n},${m}]`]));
      checkText(graphText(params, [dot, `%out = reshape %p {shape=[${m * n}]} : f32[${m * n}]`]));
      checkText(
        graphText(`${params}, %z: f32[]`, [
          dot,
          `%out = pad %p, %z {lo=[1,2], hi=[0,3], interior=[0,0]} : f32[${m + 1},${n + 5}]`,
        ]),
      );
      checkText(
        graphText(params, [dot, `%out = slice %p {start=[1,0], limit=[${m},${n}], step=[2,1]} : f32[${m >> 1},${n}]`]),
      );
    }
  });

  test("heads of attention, split and joined", () => {
    checkText(
      graphText("%x: f32[2,9,24], %w: f32[24,24]", [
        "%p = dot %x, %w {batch=[[],[]], contract=[[2],[0]]} : f32[2,9,24]",
        "%r = reshape %p {shape=[2,9,3,8]} : f32[2,9,3,8]",
        "%t = transpose %r {perm=[0,2,1,3]} : f32[2,3,9,8]",
        "%s = dot %t, %t {batch=[[0,1],[0,1]], contract=[[3],[3]]} : f32[2,3,9,9]",
        "%o = dot %s, %t {batch=[[0,1],[0,1]], contract=[[3],[2]]} : f32[2,3,9,8]",
        "%u = transpose %o {perm=[0,2,1,3]} : f32[2,9,3,8]",
        "%out = reshape %u {shape=[2,9,24]} : f32[2,9,24]",
      ]),
      { whole: true, lo: -1, hi: 1 },
    );
  });

  test("two products of one operand, added", () => {
    for (const [m, n, k] of shapes)
      checkText(
        graphText(`%x: f32[${m},${k}], %v: f32[${k},${n}], %w: f32[${k},${n}]`, [
          `%p = dot %x, %v {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]`,
          `%q = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]`,
          `%out = mul %p, %q : f32[${m},${n}]`,
        ]),
        { whole: true, lo: -5, hi: 5 },
      );
  });

  test("rows of a product: scores normalised", () => {
    checkText(
      graphText("%q: f32[17,8], %k: f32[13,8]", [
        "%s = dot %q, %k {batch=[[],[]], contract=[[1],[1]]} : f32[17,13]",
        "%m = reduce %s {op=max, axes=[1]} : f32[17]",
        "%b = broadcast %m {shape=[17,13], dims=[0]} : f32[17,13]",
        "%out = sub %s, %b : f32[17,13]",
      ]),
      whole,
    );
  });
});
