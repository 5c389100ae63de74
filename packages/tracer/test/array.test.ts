// Every array function against what NumPy gives, eagerly and compiled, on both backends.
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { expectClose, onBackends } from "./support.ts";

await programsOnWebgpu("Array functions");

const { tensor: t } = s;
type Case = readonly [name: string, make: () => s.Tensor, expected: unknown, dtype?: string];

const inf = Number.POSITIVE_INFINITY;
const v = (): s.Tensor => t([-2, -0.5, 0, 0.5, 2]);
const m = (): s.Tensor =>
  t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
const each = (f: (x: number) => number): number[] => [-2, -0.5, 0, 0.5, 2].map(f);
const erf = [-0.995322265, -0.520499878, 0, 0.520499878, 0.995322265];

const cases: Case[] = [
  [
    "add",
    () => m().add([10, 20, 30]),
    [
      [11, 22, 33],
      [14, 25, 36],
    ],
  ],
  [
    "sub",
    () => s.sub(1, m()),
    [
      [0, -1, -2],
      [-3, -4, -5],
    ],
  ],
  [
    "mul",
    () => m().mul(t([[2], [3]])),
    [
      [2, 4, 6],
      [12, 15, 18],
    ],
  ],
  ["div of integers is f32", () => t([1, 2], { dtype: "i32" }).div(4), [0.25, 0.5], "f32"],
  ["integers and a whole number stay i32", () => t([1, 2], { dtype: "i32" }).add(1), [2, 3], "i32"],
  ["integers and a fraction are f32", () => t([1, 2], { dtype: "i32" }).mul(0.5), [0.5, 1], "f32"],
  ["bool and a whole number are i32", () => t([true, false]).mul(3), [3, 0], "i32"],
  ["f32 with f64 is f64", () => t([1]).add(t([2], { dtype: "f64" })), [3], "f64"],
  ["f64 with a number stays f64", () => t([0.1], { dtype: "f64" }).mul(3), [0.30000000000000004], "f64"],
  ["mod", () => t([-3, 3, 7]).mod(t([2, -2, 4])), [1, -1, 3]],
  ["mod of integers", () => t([-1, 5], { dtype: "i32" }).mod(3), [2, 2], "i32"],
  ["pow whole", () => v().pow(3), each((x) => x ** 3)],
  ["pow integers", () => t([2, 3], { dtype: "i32" }).pow(4), [16, 81], "i32"],
  ["pow negative", () => t([2, 4]).pow(-2), [0.25, 0.0625]],
  ["pow tensor", () => t([2, 3]).pow(t([0.5, 2])), [Math.SQRT2, 9]],
  ["pow zero", () => t([2, 3]).pow(0), [1, 1]],
  ["neg", () => v().neg(), [2, 0.5, -0, -0.5, -2]],
  ["abs", () => v().abs(), each(Math.abs)],
  ["sign", () => v().sign(), each(Math.sign)],
  ["square", () => v().square(), each((x) => x * x)],
  ["sqrt", () => t([4, 9]).sqrt(), [2, 3]],
  ["rsqrt", () => t([4, 16]).rsqrt(), [0.5, 0.25]],
  ["reciprocal", () => t([4, 8]).reciprocal(), [0.25, 0.125]],
  ["exp", () => v().exp(), each(Math.exp)],
  ["exp of integers", () => t([0, 1], { dtype: "i32" }).exp(), [1, Math.E], "f32"],
  ["expm1", () => v().expm1(), each(Math.expm1)],
  ["log", () => t([1, Math.E]).log(), [0, 1]],
  ["log1p", () => t([0, 1]).log1p(), [0, Math.LN2]],
  ["log2", () => t([1, 8]).log2(), [0, 3]],
  ["sin", () => v().sin(), each(Math.sin)],
  ["cos", () => v().cos(), each(Math.cos)],
  ["tan", () => v().tan(), each(Math.tan)],
  ["asin", () => t([-0.5, 0.5]).asin(), [Math.asin(-0.5), Math.asin(0.5)]],
  ["acos", () => t([-0.5, 0.5]).acos(), [Math.acos(-0.5), Math.acos(0.5)]],
  ["atan", () => v().atan(), each(Math.atan)],
  ["atan2", () => t([1, -1]).atan2(t([-1, 1])), [Math.atan2(1, -1), Math.atan2(-1, 1)]],
  ["sinh", () => v().sinh(), each(Math.sinh)],
  ["cosh", () => v().cosh(), each(Math.cosh)],
  ["tanh", () => v().tanh(), each(Math.tanh)],
  ["erf", () => v().erf(), erf],
  ["sigmoid", () => v().sigmoid(), each((x) => 1 / (1 + Math.exp(-x)))],
  ["softplus", () => t([-100, 0, 100]).softplus(), [0, Math.LN2, 100]],
  ["relu", () => v().relu(), [0, 0, 0, 0.5, 2]],
  ["leakyRelu", () => v().leakyRelu(0.1), [-0.2, -0.05, 0, 0.5, 2]],
  ["elu", () => v().elu(), each((x) => (x > 0 ? x : Math.expm1(x)))],
  ["selu", () => v().selu(), each((x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)))],
  ["gelu", () => t([-1, 0, 1]).gelu(), [-0.158655254, 0, 0.841344746]],
  ["gelu by tanh", () => t([-1, 0, 1]).gelu({ approximate: true }), [-0.158808, 0, 0.841192]],
  ["silu", () => v().silu(), each((x) => x / (1 + Math.exp(-x)))],
  ["floor", () => t([-1.5, 1.5]).floor(), [-2, 1]],
  ["ceil", () => t([-1.5, 1.5]).ceil(), [-1, 2]],
  ["round halves to even", () => t([0.5, 1.5, 2.5, -1.5]).round(), [0, 2, 2, -2]],
  ["trunc", () => t([-1.5, 1.5]).trunc(), [-1, 1]],
  ["clip", () => v().clip(-1, 1), [-1, -0.5, 0, 0.5, 1]],
  ["clip one side", () => v().clip(undefined, 0), [-2, -0.5, 0, 0, 0]],
  ["minimum", () => v().minimum(0), [-2, -0.5, 0, 0, 0]],
  ["maximum", () => v().maximum([0]), [0, 0, 0, 0.5, 2]],
  ["eq", () => v().eq(0), [false, false, true, false, false], "bool"],
  ["ne", () => v().ne(0), [true, true, false, true, true]],
  ["lt", () => v().lt(0), [true, true, false, false, false]],
  ["le", () => v().le(0), [true, true, true, false, false]],
  ["gt", () => v().gt(0), [false, false, false, true, true]],
  ["ge", () => v().ge(0), [false, false, true, true, true]],
  ["and", () => v().gt(-1).and(v().lt(1)), [false, true, true, true, false]],
  ["or", () => v().lt(-1).or(v().gt(1)), [true, false, false, false, true]],
  ["not", () => v().lt(0).not(), [false, false, true, true, true]],
  ["xor of integers", () => t([5, 3], { dtype: "i32" }).xor(1), [4, 2], "i32"],
  ["where", () => s.where(v().gt(0), v(), 0), [0, 0, 0, 0.5, 2]],
  [
    "where broadcasts",
    () => s.where(t([true, false]), t([[1], [2]]), t([10, 20])),
    [
      [1, 20],
      [2, 20],
    ],
  ],
  ["isNaN", () => t([Number.NaN, 1, inf]).isNaN(), [true, false, false]],
  ["isFinite", () => t([Number.NaN, 1, inf]).isFinite(), [false, true, false]],
  ["allClose", () => s.allClose(t([1, 2]), t([1, 2.000001])), true],
  ["sum", () => m().sum(), 21],
  ["sum over an axis", () => m().sum(0), [5, 7, 9]],
  ["sum over a negative axis kept", () => m().sum(-1, true), [[6], [15]]],
  ["sum over both axes", () => m().sum([0, 1]), 21],
  ["sum of bools", () => t([true, true, false]).sum(), 2, "i32"],
  ["prod", () => m().prod(1), [6, 120]],
  ["mean", () => m().mean(0), [2.5, 3.5, 4.5]],
  ["mean of integers", () => t([1, 2], { dtype: "i32" }).mean(), 1.5, "f32"],
  ["variance", () => m().variance(1), [2 / 3, 2 / 3]],
  ["std corrected", () => m().std(1, false, 1), [1, 1]],
  ["max", () => m().max(1), [3, 6]],
  ["min", () => m().min(0, true), [[1, 2, 3]]],
  [
    "argMax",
    () =>
      t([
        [1, 3, 3],
        [9, 0, 1],
      ]).argMax(1),
    [1, 0],
    "i32",
  ],
  [
    "argMax of all",
    () =>
      t([
        [1, 3],
        [9, 0],
      ]).argMax(),
    2,
  ],
  [
    "argMin kept",
    () =>
      t([
        [1, 3],
        [9, 0],
      ]).argMin(1, true),
    [[0], [1]],
  ],
  ["all", () => m().gt(1).all(0), [false, true, true]],
  ["any", () => m().gt(5).any(), true],
  ["logSumExp", () => t([1000, 1000]).logSumExp(), 1000 + Math.LN2],
  ["logSumExp of nothing likely", () => t([-inf, -inf]).logSumExp(), -inf],
  ["norm", () => t([3, 4]).norm(), 5],
  ["norm 1", () => t([3, -4]).norm(undefined, false, 1), 7],
  ["norm infinite", () => t([3, -4]).norm(undefined, false, inf), 4],
  [
    "cumsum",
    () => m().cumsum(1),
    [
      [1, 3, 6],
      [4, 9, 15],
    ],
  ],
  ["cumsum exclusive reverse", () => t([1, 2, 3]).cumsum(0, { exclusive: true, reverse: true }), [5, 3, 0]],
  ["cumprod flat", () => m().cumprod(), [1, 2, 6, 24, 120, 720]],
  ["cummax", () => t([1, 3, 2]).cummax(), [1, 3, 3]],
  ["cummin", () => t([3, 1, 2]).cummin(), [3, 1, 1]],
  [
    "softmax",
    () =>
      t([
        [1, 2, 3],
        [1000, 1000, -inf],
      ]).softmax(),
    [
      [0.09003057, 0.24472847, 0.66524096],
      [0.5, 0.5, 0],
    ],
  ],
  [
    "softmax over axis 0",
    () =>
      t([
        [0, 1],
        [0, 1],
      ]).softmax(0),
    [
      [0.5, 0.5],
      [0.5, 0.5],
    ],
  ],
  ["logSoftmax", () => t([1, 2, 3]).logSoftmax(), [-2.40760596, -1.40760596, -0.40760596]],
  ["conv1d", () => t([[[1], [2], [4]]]).conv1d([[[1]], [[-1]]]), [[[-1], [-2]]]],
  [
    "conv2d",
    () => s.ones([1, 3, 3, 2]).conv2d(s.ones([3, 3, 2, 1]), { padding: "same", strides: 2 }),
    [
      [
        [[8], [8]],
        [[8], [8]],
      ],
    ],
  ],
  [
    "convTranspose2d",
    () => t([[[[1], [2]]]]).convTranspose2d([[[[1]], [[10]]]], { strides: 2 }),
    [[[[1], [10], [2], [20]]]],
  ],
  [
    "depthwiseConv2d",
    () =>
      t([[[[1, 2]], [[3, 4]]]]).depthwiseConv2d([
        [
          [
            [1, 10],
            [100, 0],
          ],
        ],
      ]),
    [[[[1, 10, 200, 0]], [[3, 30, 400, 0]]]],
  ],
  ["maxPool", () => t([[[1], [5], [4], [2], [9]]]).maxPool(2), [[[5], [4]]]],
  ["maxPool with padding", () => t([[[-1], [-5], [-4]]]).maxPool(2, { padding: 1 }), [[[-1], [-4]]]],
  ["avgPool", () => t([[[1], [5], [4]]]).avgPool(2, { strides: 1 }), [[[3], [4.5]]]],
  ["avgPool counts what is inside", () => t([[[1], [5], [4]]]).avgPool(2, { padding: "same" }), [[[3], [4]]]],
  [
    "matmul",
    () => m().matmul(m().transpose()),
    [
      [14, 32],
      [32, 77],
    ],
  ],
  ["matmul with a vector", () => m().matmul([1, 1, 1]), [6, 15]],
  ["vector matmul", () => t([1, 1]).matmul(m()), [5, 7, 9]],
  ["matmul of vectors", () => t([1, 2]).matmul([3, 4]), 11],
  [
    "batched matmul",
    () =>
      t([
        [
          [1, 0],
          [0, 1],
        ],
        [
          [2, 0],
          [0, 2],
        ],
      ]).matmul([[[1], [2]]]),
    [
      [[1], [2]],
      [[2], [4]],
    ],
  ],
  [
    "batch on the left only",
    () => s.ones([2, 2, 3]).matmul(s.ones([3, 1])),
    [
      [[3], [3]],
      [[3], [3]],
    ],
  ],
  ["vector with batch", () => t([1, 2]).matmul(s.ones([3, 2, 1])), [[3], [3], [3]]],
  ["dot", () => m().dot([[1], [1], [1]]), [[6], [15]]],
  [
    "outer",
    () => t([1, 2]).outer([3, 4]),
    [
      [3, 4],
      [6, 8],
    ],
  ],
  [
    "tensordot",
    () => m().tensordot(m(), [[1], [1]]),
    [
      [14, 32],
      [32, 77],
    ],
  ],
  [
    "einsum product",
    () => s.einsum("ij,kj->ik", m(), m()),
    [
      [14, 32],
      [32, 77],
    ],
  ],
  ["einsum batch", () => s.einsum("bij,bjk->bik", s.ones([2, 1, 3]), s.ones([2, 3, 1])), [[[3]], [[3]]]],
  [
    "einsum trace",
    () =>
      s.einsum(
        "ii",
        t([
          [1, 2],
          [3, 4],
        ]),
      ),
    5,
  ],
  [
    "einsum diagonal",
    () =>
      s.einsum(
        "ii->i",
        t([
          [1, 2],
          [3, 4],
        ]),
      ),
    [1, 4],
  ],
  [
    "einsum transpose",
    () => s.einsum("ij->ji", m()),
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
  ],
  ["einsum sum", () => s.einsum("ij->j", m()), [5, 7, 9]],
  [
    "einsum outer",
    () => s.einsum("i,j->ij", t([1, 2]), t([3, 4])),
    [
      [3, 4],
      [6, 8],
    ],
  ],
  ["einsum three", () => s.einsum("ij,j,i->", m(), t([1, 1, 1]), t([1, 2])), 36],
  [
    "einsum dots",
    () => s.einsum("...ij,...j->...i", s.ones([2, 2, 3]), t([1, 2, 3])),
    [
      [6, 6],
      [6, 6],
    ],
  ],
  ["einsum without an arrow", () => s.einsum("ij,jk", m(), t([[1], [1], [1]])), [[6], [15]]],
  [
    "reshape",
    () => m().reshape([3, -1]),
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  ],
  ["flatten", () => m().flatten(), [1, 2, 3, 4, 5, 6]],
  ["squeeze", () => t([[[1], [2]]]).squeeze(), [1, 2]],
  ["squeeze one", () => t([[[1], [2]]]).squeeze(-1), [[1, 2]]],
  ["expandDims", () => t([1, 2]).expandDims(-1), [[1], [2]]],
  [
    "transpose",
    () => m().transpose(),
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
  ],
  ["transpose by perm", () => t([[[1, 2]]]).transpose([2, 0, 1]), [[[1]], [[2]]]],
  [
    "swapAxes",
    () => m().swapAxes(0, -1),
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
  ],
  [
    "broadcastTo",
    () => t([[1], [2]]).broadcastTo([2, 2, 2]),
    [
      [
        [1, 1],
        [2, 2],
      ],
      [
        [1, 1],
        [2, 2],
      ],
    ],
  ],
  [
    "concat",
    () => s.concat([m(), m().mul(10)], 0),
    [
      [1, 2, 3],
      [4, 5, 6],
      [10, 20, 30],
      [40, 50, 60],
    ],
  ],
  ["concat method", () => t([1]).concat(t([2])), [1, 2]],
  [
    "stack",
    () => s.stack([t([1, 2]), t([3, 4])], -1),
    [
      [1, 3],
      [2, 4],
    ],
  ],
  [
    "split",
    () => s.stack(m().split(3, 1)),
    [
      [[1], [4]],
      [[2], [5]],
      [[3], [6]],
    ],
  ],
  [
    "split by sizes",
    () => m().split([1, 2], -1)[1]!,
    [
      [2, 3],
      [5, 6],
    ],
  ],
  [
    "tile",
    () => t([1, 2]).tile([2, 2]),
    [
      [1, 2, 1, 2],
      [1, 2, 1, 2],
    ],
  ],
  [
    "repeat",
    () =>
      t([
        [1, 2],
        [3, 4],
      ]).repeat(2, 1),
    [
      [1, 1, 2, 2],
      [3, 3, 4, 4],
    ],
  ],
  ["repeat flat", () => t([1, 2]).repeat(2), [1, 1, 2, 2]],
  [
    "flip",
    () => m().flip(1),
    [
      [3, 2, 1],
      [6, 5, 4],
    ],
  ],
  ["roll", () => t([1, 2, 3]).roll(1), [3, 1, 2]],
  [
    "roll along an axis",
    () => m().roll(-1, 1),
    [
      [2, 3, 1],
      [5, 6, 4],
    ],
  ],
  ["pad", () => t([1, 2]).pad([1, 2], 9), [9, 1, 2, 9, 9]],
  [
    "pad by axis",
    () =>
      t([[1]]).pad([
        [1, 0],
        [0, 1],
      ]),
    [
      [0, 0],
      [1, 0],
    ],
  ],
  [
    "slice",
    () => m().slice([0, 1], [-1, 2]),
    [
      [2, 3],
      [5, 6],
    ],
  ],
  ["at", () => m().at(-1, 0), 4],
  ["at a row", () => m().at(1), [4, 5, 6]],
  [
    "at ranges",
    () => m().at(null, [0, null, 2]),
    [
      [1, 3],
      [4, 6],
    ],
  ],
  [
    "at a tensor",
    () => m().at(null, t([2, 0], { dtype: "i32" })),
    [
      [3, 1],
      [6, 4],
    ],
  ],
  ["at tensors", () => m().at(t([0, 1], { dtype: "i32" }), t([2, 0], { dtype: "i32" })), [3, 4]],
  [
    "gather",
    () => m().gather([1, 0, 1], 0),
    [
      [4, 5, 6],
      [1, 2, 3],
      [4, 5, 6],
    ],
  ],
  [
    "gather along the last axis clamps",
    () => m().gather([0, 9], 1),
    [
      [1, 3],
      [4, 6],
    ],
  ],
  ["sort", () => s.tensor([[3, 1, 2]]).sort(-1, { descending: true }), [[3, 2, 1]]],
  ["argSort", () => s.tensor([[3, 1, 2]]).argSort(), [[1, 2, 0]]],
  ["topK", () => s.tensor([[3, 1, 2]]).topK(2).values, [[3, 2]]],
  [
    "scatter",
    () =>
      m().scatter(
        [2, 0],
        [
          [10, 20],
          [30, 40],
        ],
        1,
      ),
    [
      [20, 2, 10],
      [40, 5, 30],
    ],
  ],
  ["scatter with add", () => t([1, 2, 3]).scatter([0, 0, 2], 10, 0, "add"), [21, 2, 13]],
  [
    "scatter of rows",
    () => m().scatter([1], [7, 8, 9]),
    [
      [1, 2, 3],
      [7, 8, 9],
    ],
  ],
  ["takeAlongAxis", () => m().takeAlongAxis([[2], [0]], 1), [[3], [4]]],
  [
    "set a row",
    () => m().set(0, 0),
    [
      [0, 0, 0],
      [4, 5, 6],
    ],
  ],
  [
    "set an element",
    () => m().set([1, 2], 9),
    [
      [1, 2, 3],
      [4, 5, 9],
    ],
  ],
  [
    "set a range",
    () =>
      m().set(
        [null, [1, 3]],
        [
          [7, 8],
          [9, 9],
        ],
      ),
    [
      [1, 7, 8],
      [4, 9, 9],
    ],
  ],
  [
    "set with a step",
    () => m().set([0, [0, null, 2]], 0),
    [
      [0, 2, 0],
      [4, 5, 6],
    ],
  ],
  ["set by a tensor", () => t([1, 2, 3]).set(t([2, 0], { dtype: "i32" }), [8, 9]), [9, 2, 8]],
  [
    "addAt",
    () => m().addAt([0, 1], 5),
    [
      [1, 7, 3],
      [4, 5, 6],
    ],
  ],
  ["addAt repeats", () => t([0, 0]).addAt(t([0, 0, 1], { dtype: "i32" }), 1), [2, 1]],
  [
    "addAt columns",
    () => m().addAt([null, t([0, 0], { dtype: "i32" })], 1),
    [
      [3, 2, 3],
      [6, 5, 6],
    ],
  ],
  [
    "oneHot",
    () => s.oneHot([1, 0, 5], 3),
    [
      [0, 1, 0],
      [1, 0, 0],
      [0, 0, 0],
    ],
  ],
  ["cast", () => t([1.9, -1.9, Number.NaN]).cast("i32"), [1, -1, 0], "i32"],
  ["cast to bool", () => t([0, 2]).cast("bool"), [false, true], "bool"],
  [
    "triu",
    () => s.ones([2, 3]).triu(1),
    [
      [0, 1, 1],
      [0, 0, 1],
    ],
  ],
  [
    "tril",
    () => s.ones([2, 3]).tril(),
    [
      [1, 0, 0],
      [1, 1, 0],
    ],
  ],
  [
    "diag of a vector",
    () => t([1, 2]).diag(-1),
    [
      [0, 0, 0],
      [1, 0, 0],
      [0, 2, 0],
    ],
  ],
  ["diag of a matrix", () => m().diag(1), [2, 6]],
  [
    "trace",
    () =>
      t([
        [1, 2],
        [3, 4],
      ]).trace(),
    5,
  ],
  ["zeros", () => s.zeros([2, 1], "i32"), [[0], [0]], "i32"],
  ["ones", () => s.ones(2), [1, 1], "f32"],
  ["full", () => s.full([2], 2.5), [2.5, 2.5]],
  ["full bool", () => s.full([1], true), [true], "bool"],
  ["zerosLike", () => t([1], { dtype: "f64" }).zerosLike(), [0], "f64"],
  [
    "onesLike",
    () => m().onesLike("i32"),
    [
      [1, 1, 1],
      [1, 1, 1],
    ],
    "i32",
  ],
  [
    "eye",
    () => s.eye(2, 3, 1),
    [
      [0, 1, 0],
      [0, 0, 1],
    ],
    "f32",
  ],
  ["arange", () => s.arange(3), [0, 1, 2], "i32"],
  ["arange down", () => s.arange(3, 0, -1), [3, 2, 1]],
  ["arange of fractions", () => s.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75], "f32"],
  ["linspace", () => s.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]],
  [
    "tensor of a typed array",
    () => t(new Float64Array([1, 2, 3, 4]), { shape: [2, 2] }),
    [
      [1, 2],
      [3, 4],
    ],
    "f64",
  ],
  ["tensor of a scalar", () => t(3), 3, "f32"],
  ["tensor of bytes", () => t(new Uint8Array([1, 255])), [1, 255], "i32"],
  ["sum of nothing", () => s.zeros([0, 3]).sum(0), [0, 0, 0]],
  ["stopGradient", () => v().stopGradient(), each((x) => x)],
];

onBackends("array functions", () => {
  test.each(cases.map(([name, make, expected, dtype]) => ({ name, make, expected, dtype })))(
    "$name",
    ({ make, expected, dtype }) => {
      const eager = make();
      expectClose(eager.arraySync(), expected);
      if (dtype !== undefined) expect(eager.dtype).toBe(dtype);
      const compiled = s.compile(make)();
      expect(compiled.shape).toEqual(eager.shape);
      expect(compiled.dtype).toBe(eager.dtype);
      expectClose(compiled.arraySync(), expected);
    },
  );

  test("every method is covered here", () => {
    const covered = cases.map(([name, make]) => `${name} ${make.toString()}`).join(" ");
    expect(s.methodNames.filter((name) => !new RegExp(`\\b${name}\\b`).test(covered))).toEqual([]);
  });

  test("random numbers are those of JAX", () => {
    const { random } = s;
    expectClose(random.uniform(random.key(0), [3]).arraySync(), [0.947667, 0.9785799, 0.33229148], 1e-6);
    expect(random.key(0).arraySync()).toEqual([0, 0]);
    const [a, b] = random.split(random.key(0));
    expect(a!.arraySync()).not.toEqual(b!.arraySync());
    const normal = random.normal(random.key(3), [10000]);
    expectClose(normal.mean().item(), 0, 0.03);
    expectClose(normal.std().item(), 1, 0.03);
    expectClose(random.bernoulli(random.key(4), 0.3, [10000]).cast("f32").mean().item(), 0.3, 0.03);
    const cut = random.truncatedNormal(random.key(5), -1, 2, [1000]);
    expect(cut.min().item()).toBeGreaterThanOrEqual(-1);
    expect(cut.max().item()).toBeLessThanOrEqual(2);
    const drawn = random.categorical(random.key(6), t([0, Math.log(3)]).broadcastTo([4000, 2]));
    expectClose(drawn.cast("f32").mean().item(), 0.75, 0.03);
    const order = random.permutation(random.key(7), 50).dataSync();
    expect([...order].sort((x, y) => x - y)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const dice = random.integers(random.key(8), 1, 7, [600]);
    expect([dice.min().item(), dice.max().item()]).toEqual([1, 6]);
    const generator = new random.Generator(1);
    const draw = s.compile(() => generator.uniform([2]));
    expect(draw().arraySync()).not.toEqual(draw().arraySync());
    expect(draw.traces).toBe(1);
  });
});
