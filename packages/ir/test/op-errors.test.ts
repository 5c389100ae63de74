// What type rules say to people who pass the wrong thing: the op, the operands with their shapes, and the reason.
import { expect, test } from "vitest";
import { type Attrs, type DType, getOp, TypeRuleError, tensorType } from "../src/index.ts";

const type = (text: string) => {
  const [, dtype, shape] = /^(\w+)\[(.*)\]$/.exec(text)!;
  return tensorType(dtype as DType, shape === "" ? [] : shape!.split(",").map(Number));
};

test.each<[string, readonly string[], Attrs, string]>([
  ["add", ["f32[2,3]", "f32[3,2]"], {}, "add: takes equal shapes or scalars, got f32[2, 3] and f32[3, 2]"],
  [
    "add",
    ["f32[2]", "i32[2]"],
    {},
    "add: takes operands of one dtype out of f32, f64, i32, u32, got f32[2] and i32[2]",
  ],
  ["exp", ["i32[2]"], {}, "exp: takes one of f32, f64, got i32[2]"],
  ["exp", [], {}, "exp: takes 1 operand, got 0"],
  [
    "select",
    ["f32[]", "f32[2]", "f32[2]"],
    {},
    "select: takes a bool condition and two tensors of one dtype, got scalar f32, f32[2] and f32[2]",
  ],
  ["bitcast", ["f64[2]"], { dtype: "f32" }, "bitcast: f64[2] has elements of 8 bytes, f32 has 4"],
  ["reshape", ["f32[2,3]"], { shape: [4, 2] }, "reshape: f32[2, 3] has 6 elements, the shape [4, 2] has 8"],
  ["transpose", ["f32[2,3]"], { perm: [0] }, "transpose: perm has 1 entries, but f32[2, 3] has 2 axes"],
  ["transpose", ["f32[2,3]"], { perm: [0, 0] }, "transpose: axis list [0, 0] names an axis twice"],
  [
    "broadcast",
    ["f32[2]"],
    { shape: [3, 4], dims: [1] },
    "broadcast: axis 0 of f32[2] has 2 elements, but axis 1 of the result [3, 4] has 4",
  ],
  ["slice", ["f32[5]"], { start: [2], limit: [7], step: [1] }, "slice: 2..7 is outside axis 0 of f32[5]"],
  [
    "pad",
    ["f32[5]", "i32[]"],
    { lo: [1], hi: [0], interior: [0] },
    "pad: the value for f32[5] must be a scalar f32, got scalar i32",
  ],
  [
    "concat",
    ["f32[2,3]", "f32[3,3]"],
    { axis: 1 },
    "concat: joins tensors that differ in axis 1 only, got f32[2, 3] and f32[3, 3]",
  ],
  ["reduce", ["f32[2,3]"], { op: "add", axes: [2] }, "reduce: axis 2 is outside f32[2, 3], which has 2 axes"],
  ["reduce", ["f32[2]"], { op: "xor", axes: [0] }, "reduce: xor is not one of add, mul, max, min, and, or"],
  ["reduce", ["bool[2]"], { op: "add", axes: [0] }, "reduce: add does not work on bool[2]"],
  ["argReduce", ["f32[0]"], { op: "max", axis: 0 }, "argReduce: axis 0 of f32[0] has no elements"],
  [
    "dot",
    ["f32[2,3]", "f32[4,5]"],
    { batch: [[], []], contract: [[1], [0]] },
    "dot: contracted axis 1 of f32[2, 3] has 3 elements, axis 0 of f32[4, 5] has 4",
  ],
  [
    "dot",
    ["f32[2]", "f64[2]"],
    { batch: [[], []], contract: [[0], [0]] },
    "dot: takes two operands of one numeric dtype, got f32[2] and f64[2]",
  ],
  ["gather", ["f32[4]", "f32[2]"], { axes: [0] }, "gather: indices are i32, got f32[2]"],
  [
    "gather",
    ["f32[4,4]", "i32[2]"],
    { axes: [0, 1] },
    "gather: needs one index tensor for each of the axes [0, 1], at least one; got 1",
  ],
  [
    "scatter",
    ["f32[4,3]", "f32[2]", "i32[2]"],
    { axes: [0], combine: "add" },
    "scatter: updates of f32[4, 3] must have its dtype and the shape [2, 3], got f32[2]",
  ],
  [
    "dynamicSlice",
    ["f32[4]", "i32[]"],
    { sizes: [5] },
    "dynamicSlice: a window of 5 elements does not fit into axis 0 of f32[4]",
  ],
  [
    "cumulate",
    ["bool[4]"],
    { op: "add", axis: 0, reverse: false, exclusive: false },
    "cumulate: add does not work on bool[4]",
  ],
  [
    "const",
    [],
    { dtype: "f32", shape: [3], data: new Float32Array(2) },
    "const: the shape [3] has 3 elements, the data 2",
  ],
  ["iota", [], { dtype: "i32", shape: [3], axis: 1 }, "iota: axis 1 is outside i32[3], which has 1 axes"],
  ["randomBits", ["u32[3]"], { shape: [2] }, "randomBits: a key is two u32 words along the last axis, got u32[3]"],
])("%s%j", (name, operands, attrs, message) => {
  const check = () => getOp(name).type(operands.map(type), attrs, [], []);
  expect(check).toThrow(TypeRuleError);
  expect(check).toThrow(message);
});
