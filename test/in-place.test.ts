// Programs whose new states are written over the old ones give what they give with memory apart: updates, exchanges,
// reads of an old state after its replacement is known. checkForms runs both ways.
import { describe, test } from "vitest";
import { checkText, whole } from "./support/check-text.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";

await alsoOnWebgpu("States");

const sizes = [1, 5, 33, 70_001];

describe("states in place and apart", () => {
  test("a counter, and an update by itself", () => {
    for (const n of sizes)
      checkText(`graph @update(%s: state f32[${n}], %g: f32[${n}]) {
  %0 = mul %s, %g : f32[${n}]
  %1 = add %0, %s : f32[${n}]
  return %1, state[0] %1
}
`);
  });

  test("two states that change places", () => {
    for (const n of sizes)
      checkText(`graph @exchange(%a: state f32[${n}], %b: state f32[${n}]) {
  return state[0] %b, state[1] %a
}
`);
  });

  test("a rotation of three with work between", () => {
    for (const n of sizes)
      checkText(`graph @rotate(%a: state f32[${n}], %b: state f32[${n}], %c: state f32[${n}]) {
  %0 = add %a, %b : f32[${n}]
  %1 = sub %b, %c : f32[${n}]
  %2 = mul %c, %a : f32[${n}]
  return state[0] %2, state[1] %0, state[2] %1
}
`);
  });

  test("elements that move: a reversed, shifted or transposed state", () => {
    for (const n of [2, 5, 64, 33]) {
      checkText(`graph @reversed(%s: state f32[${n}]) {
  %0 = reverse %s {axes=[0]} : f32[${n}]
  return state[0] %0
}
`);
      checkText(`graph @shifted(%s: state f32[${n}]) {
  %z = const {dtype=f32, shape=[], data=[7]} : f32[]
  %0 = pad %s, %z {lo=[1], hi=[-1], interior=[0]} : f32[${n}]
  %1 = add %0, %s : f32[${n}]
  return state[0] %1
}
`);
      checkText(`graph @turned(%s: state f32[${n},${n}]) {
  %0 = transpose %s {perm=[1,0]} : f32[${n},${n}]
  %1 = add %0, %s : f32[${n},${n}]
  return state[0] %1
}
`);
      checkText(`graph @concatenated(%s: state f32[${n}], %x: f32[1]) {
  %0 = slice %s {start=[1], limit=[${n}], step=[1]} : f32[${n - 1}]
  %1 = concat %0, %x {axis=0} : f32[${n}]
  return state[0] %1
}
`);
    }
  });

  test("a state replaced by its rows' softmax, and by a running sum", () => {
    for (const [rows, n] of [
      [1, 5],
      [7, 33],
      [64, 100],
    ] as const) {
      checkText(
        `graph @normalised(%s: state f32[${rows},${n}]) {
  %0 = reduce %s {op=max, axes=[1]} : f32[${rows}]
  %1 = broadcast %0 {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]
  %2 = sub %s, %1 : f32[${rows},${n}]
  %3 = exp %2 : f32[${rows},${n}]
  %4 = reduce %3 {op=add, axes=[1]} : f32[${rows}]
  %5 = broadcast %4 {shape=[${rows},${n}], dims=[0]} : f32[${rows},${n}]
  %6 = div %3, %5 : f32[${rows},${n}]
  return state[0] %6
}
`,
        {},
        { tolerance: { relative: 2e-6, absolute: 2e-6 } },
      );
      checkText(`graph @running(%s: state f32[${rows},${n}]) {
  %0 = cumulate %s {op=add, axis=1, reverse=false, exclusive=true} : f32[${rows},${n}]
  %1 = cumulate %0 {op=max, axis=0, reverse=true, exclusive=false} : f32[${rows},${n}]
  return state[0] %1
}
`);
    }
  });

  test("a state centred by the mean of all of it", () => {
    for (const n of [5, 33, 100_003])
      checkText(`graph @centred(%s: state f32[${n}]) {
  %0 = reduce %s {op=add, axes=[0]} : f32[]
  %1 = sub %s, %0 : f32[${n}]
  return state[0] %1, %0
}
`);
  });

  test("a state multiplied by a matrix, or updated by a product with itself", () => {
    for (const n of [3, 8, 17, 33]) {
      checkText(`graph @turned(%s: state f32[${n},${n}], %w: f32[${n},${n}]) {
  %0 = dot %s, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${n},${n}]
  return state[0] %0
}
`);
      checkText(`graph @descended(%s: state f32[${n},${n}], %w: f32[${n},${n}]) {
  %0 = dot %w, %s {batch=[[],[]], contract=[[1],[0]]} : f32[${n},${n}]
  %1 = sub %s, %0 : f32[${n},${n}]
  return state[0] %1
}
`);
      checkText(`graph @ranked(%s: state f32[${n},${n}], %x: f32[64,${n}], %y: f32[64,${n}]) {
  %0 = dot %x, %y {batch=[[],[]], contract=[[0],[0]]} : f32[${n},${n}]
  %1 = sub %s, %0 : f32[${n},${n}]
  return state[0] %1
}
`);
    }
  });

  test("partial updates: scatter and dynamicUpdateSlice into a state", () => {
    checkText(
      `graph @scattered(%s: state f32[9,4], %u: f32[5,4], %i: i32[5]) {
  %0 = scatter %s, %u, %i {axes=[0], combine=add} : f32[9,4]
  return state[0] %0
}
`,
      { ...whole, ranges: { i: [-2, 10] } },
    );
    checkText(
      `graph @windowed(%s: state f32[9,4], %u: f32[2,3], %i: i32[], %j: i32[]) {
  %0 = dynamicUpdateSlice %s, %u, %i, %j : f32[9,4]
  %1 = reduce %s {op=add, axes=[0]} : f32[4]
  return state[0] %0, %1
}
`,
      { ...whole, ranges: { i: [-2, 10], j: [-2, 10] } },
    );
    checkText(`graph @rewritten(%s: state f32[6], %i: i32[6]) {
  %0 = scatter %s, %s, %i {axes=[0], combine=set} : f32[6]
  return state[0] %0
}
`);
  });

  test("an old state that is a result as well", () => {
    for (const n of sizes)
      checkText(`graph @returned(%s: state i32[${n}]) {
  %c = const {dtype=i32, shape=[], data=[1]} : i32[]
  %0 = add %s, %c : i32[${n}]
  return %s, state[0] %0
}
`);
  });
});
