// Graphs that were once compiled wrongly, as small as shrinking made them.
import { parseGraph } from "@sinter/ir";
import { grad, type Tensor, tensor } from "sinter";
import { describe, expect, test } from "vitest";
import { checkSameBits } from "./support/check-forms.ts";
import { checkText, checkTextOn, graphText, scheduledFused, whole } from "./support/check-text.ts";
import { forms } from "./support/compiled.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("What once went wrong");

describe("graphs that were compiled wrongly", () => {
  test("a running sum over an axis of one step has a carry though it has no loop", () => {
    checkText(
      graphText("%x: f32[3,1]", ["%out = cumulate %x {op=add, axis=1, reverse=false, exclusive=true} : f32[3,1]"]),
    );
  });

  test("lanes that are apart stay apart when a further axis is added to their offset", () => {
    checkText(
      graphText("%x: f32[9,7,2,3,3], %y: f32[3,9,2]", [
        "%out = dot %x, %y {batch=[[0],[1]], contract=[[4,2],[0,2]]} : f32[9,7,3]",
      ]),
    );
  });

  test("both factors of a product go through what is summed over in one order, however they are packed", () => {
    checkText(
      graphText("%x: i32[7,7,2,33,1], %y: i32[9,7,33,2]", [
        "%out = dot %x, %y {batch=[[1],[1]], contract=[[3,2],[2,3]]} : i32[7,7,1,9]",
      ]),
    );
  });

  test("positions that a gather in one part of a concatenation takes out of data are read for that part only", () => {
    checkText(
      graphText("%x: f32[1,2], %y: f32[3,11], %i: i32[3,2], %j: i32[3,2]", [
        "%g = gather %x, %i, %j {axes=[0,1]} : f32[3,2]",
        "%out = concat %y, %g {axis=1} : f32[3,13]",
      ]),
    );
  });

  test("a convolution without results takes no memory of a group", () => {
    const at = "batch=0, strides=[1,2,1], lo=[0,0,-1], hi=[-1,-1,3], xDilation=[1,2,1], wDilation=[1,2,1]";
    checkText(graphText("%x: i32[3,1,3,4,3], %w: i32[3,3,3,3,4]", [`%out = conv %x, %w {${at}} : i32[3,0,0,4,4]`]));
  });

  test("a part without elements is not read, not even its element 0", () => {
    checkText(
      graphText("%x: f32[5], %y: f32[0], %z: f32[5]", [
        "%c = concat %y, %x, %y, %z {axis=0} : f32[10]",
        "%out = neg %c : f32[10]",
      ]),
    );
  });

  test("what is picked out of a window is the very element, -0 too; outside is +0", () => {
    const text = graphText("%x: f32[5], %at: i32[3]", [
      "%out = pickWindow %x, %at {window=[3], strides=[2], lo=[1], hi=[1], dilation=[1]} : f32[3]",
    ]);
    for (const at of [
      [1, 1, 1],
      [0, 2, 0],
      [2, 3, -1],
    ])
      checkTextOn(text, [
        { dtype: "f32", shape: [5], data: Float32Array.of(-0, -0, 7, -0, Number.NaN) },
        { dtype: "i32", shape: [3], data: Int32Array.from(at) },
      ]);
  });

  test("the guard of a read holds for a row's scalar, which is a local, too", () => {
    checkText(
      graphText("%x: f32[17,1,13], %a: f32[17,1,1], %s: f32[]", [
        "%r = sqrt %x : f32[17,1,13]",
        "%p = slice %r {start=[0,0,3], limit=[17,1,4], step=[1,1,1]} : f32[17,1,1]",
        "%m = max %p, %s : f32[17,1,1]",
        "%c = const {dtype=f32, shape=[], data=[0]} : f32[]",
        "%z = broadcast %c {shape=[17,1,2], dims=[]} : f32[17,1,2]",
        "%out = concat %a, %m, %z {axis=2} : f32[17,1,4]",
      ]),
      { whole: true, lo: 0, hi: 9 },
    );
  });

  test("a position made of a fold's result differs from lane to lane", () => {
    checkText(
      graphText("%x: f32[3,8,2], %y: f32[3,8,2]", [
        "%i = argReduce %x {op=min, axis=2} : i32[3,8]",
        "%out = gather %y, %i, %i, %i {axes=[1,2,0]} : f32[3,8]",
      ]),
    );
  });

  test("a guard on data at the remainder of a position differs from lane to lane", () => {
    checkText(
      graphText("%x: f32[8], %v: f32[], %i: i32[22]", [
        "%p = pad %x, %v {lo=[0], hi=[0], interior=[2]} : f32[22]",
        "%n = neg %p : f32[22]",
        "%out = gather %n, %i {axes=[0]} : f32[22]",
      ]),
      { ...whole, ranges: { i: [-2, 23] } },
    );
  });

  test("functions of constants are computed as those of other values are, fused or not", () => {
    const graph = parseGraph(
      graphText("", [
        "%c = const {dtype=f32, shape=[], data=[2]} : f32[]",
        "%b = broadcast %c {shape=[4], dims=[]} : f32[4]",
        "%g = log1p %b : f32[4]",
        "%l = logistic %g : f32[4]",
        "%d = const {dtype=f32, shape=[], data=[8]} : f32[]",
        "%m = mul %l, %d : f32[4]",
        "%e = const {dtype=f32, shape=[], data=[-4]} : f32[]",
        "%a = add %m, %e : f32[4]",
        "%out = cosh %a : f32[4]",
      ]),
    );
    for (const form of forms) checkSameBits(graph, [], [form, scheduledFused]);
  });

  test("an update of which nothing is read in the end has a place all the same", () => {
    checkText(
      graphText("%x: f32[4,13], %u: f32[1,4], %i: i32[], %j: i32[], %y: f32[5,13]", [
        "%d = dynamicUpdateSlice %x, %u, %i, %j : f32[4,13]",
        "%f = floor %d : f32[4,13]",
        "%s = slice %f {start=[2,0], limit=[2,13], step=[1,1]} : f32[0,13]",
        "%out = concat %s, %y {axis=0} : f32[5,13]",
      ]),
    );
  });

  test("a chain of updates in one buffer begins with the value under the first", () => {
    const updates = (from: string): string[] => [
      `%a = scatter ${from}, %u, %i {axes=[0], combine=add} : f32[3,2]`,
      "%b = scatter %a, %v, %i {axes=[0], combine=set} : f32[3,2]",
      "%c = dynamicUpdateSlice %b, %w, %k, %k : f32[3,2]",
    ];
    const params = "%x: f32[3,2], %u: f32[2,2], %v: f32[2,2], %w: f32[1,1], %i: i32[2], %k: i32[]";
    const last = "%out = scatter %c, %u, %i {axes=[0], combine=add} : f32[3,2]";
    checkText(graphText(params, [...updates("%x"), last]));
    checkText(graphText(params, ["%n = neg %x : f32[3,2]", ...updates("%n"), last]));
  });

  test("a chain of updates over a state waits, from its first link on, for what reads the old state", () => {
    const params = "%x: state f32[3,2], %y: f32[3,2], %u: f32[2,2], %i: i32[2]";
    for (const base of ["%x", "%y"])
      checkText(
        `graph @g(${params}) {
  %a = scatter ${base}, %u, %i {axes=[0], combine=add} : f32[3,2]
  %b = scatter %a, %u, %i {axes=[0], combine=set} : f32[3,2]
  %c = scatter %b, %u, %i {axes=[0], combine=add} : f32[3,2]
  %s = cumulate %x {op=add, axis=0, reverse=true, exclusive=false} : f32[3,2]
  return %s, state[0] %c
}
`,
      );
    // The first link takes its updates out of the state.
    checkText(
      `graph @g(%x: state f32[3,2], %y: f32[3,2], %u: f32[3,2], %i: i32[3]) {
  %a = scatter %y, %x, %i {axes=[0], combine=set} : f32[3,2]
  %b = scatter %a, %u, %i {axes=[0], combine=add} : f32[3,2]
  %c = scatter %b, %u, %i {axes=[0], combine=add} : f32[3,2]
  return state[0] %c
}
`,
    );
  });
});

test("the slope of x to the power of 0 is 0 at x = 0 too", () => {
  const slope = grad((x: Tensor) => x.pow(tensor([0, 0, 2, 1])).sum());
  expect([...slope(tensor([0, 3, 3, 0])).dataSync()]).toEqual([0, 0, 6, 1]);
});
