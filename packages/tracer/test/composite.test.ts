// Functions made of many operations: they work wherever the budget of pending operations falls, and keep no memory.
import { theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import { fullRun } from "../../../test/support/fuzz.ts";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { expectClose } from "./support.ts";

await programsOnWebgpu("Composite functions", { full: 10 });

type Result = s.Tensor | readonly s.Tensor[];
const composite: Readonly<Record<string, (x: s.Tensor) => Result>> = {
  softmax: (x) => x.softmax(),
  logSoftmax: (x) => x.logSoftmax(0),
  logSumExp: (x) => x.logSumExp(1),
  variance: (x) => x.variance(0),
  std: (x) => x.std(1, true),
  norm: (x) => x.norm(),
  mean: (x) => x.mean(),
  gelu: (x) => x.gelu(),
  selu: (x) => x.selu(),
  silu: (x) => x.silu(),
  softplus: (x) => x.softplus(),
  erf: (x) => x.erf(),
  allClose: (x) => x.allClose(x),
  clip: (x) => x.clip(-1, 1),
  where: (x) => s.where(x.gt(0), x, [[1], [2], [3]]),
  matmul: (x) => x.matmul(x.transpose()),
  outer: (x) => x.outer(x),
  tensordot: (x) => x.tensordot(x, 2),
  einsum: (x) => s.einsum("ij,kj->ik", x, [[1, 2, 3, 4]]),
  concat: (x) => s.concat([x, x.neg(), [[1, 2, 3, 4]]], 0),
  stack: (x) => s.stack([x, x.neg()], 1),
  split: (x) => x.split(2, 1),
  tile: (x) => x.tile([2, 2]),
  repeat: (x) => x.repeat(2, 0),
  flip: (x) => x.flip(0),
  roll: (x) => x.roll(1, 0),
  pad: (x) =>
    x.pad(
      [
        [1, 0],
        [0, 2],
      ],
      3,
    ),
  tril: (x) => x.tril(),
  diag: (x) => x.diag(),
  trace: (x) => x.trace(),
  gather: (x) => x.gather([0, 2, 1], 0),
  takeAlongAxis: (x) => x.takeAlongAxis([[0], [1], [0]], 1),
  set: (x) => x.set([[0, 1]], 3),
  addAt: (x) => x.addAt(s.tensor([0, 0], { dtype: "i32" }), 1),
  oneHot: (x) => x.cast("i32").oneHot(3),
  sort: (x) => x.sort(1),
  topK: (x) => Object.values(x.topK(2)) as s.Tensor[],
  cummax: (x) => x.cummax(0),
  eye: () => s.eye(3),
  linspace: () => s.linspace(0, 1, 5),
  normal: () => s.random.normal(s.random.key(7), [3]),
  permutation: (x) => s.random.permutation(s.random.key(7), x),
  grad: (x) => s.grad((y: s.Tensor) => y.softmax().square().sum())(x),
};

const list = (result: Result): readonly s.Tensor[] => (result instanceof s.Tensor ? [result] : result);
const values = (result: Result): unknown[] => list(result).map((part) => part.arraySync());
const step = fullRun ? 1 : 51;
const input = (): s.Tensor =>
  s.tensor(
    Float32Array.from({ length: 12 }, (_, i) => (i % 5) - 1.75),
    { shape: [3, 4] },
  );

test.each(Object.entries(composite))("%s wherever the budget falls", (_, apply) => {
  const x = input();
  const expected = s.scope(() => values(apply(x)));
  for (let before = 0; before < 256; before += step) {
    s.scope(() => {
      for (let i = 0; i < before; i++) x.add(1);
      // Several in a row, of which one meets the end of the budget.
      const some = Array.from({ length: Math.min(step, 40) }, () => apply(x));
      for (const result of [some[0]!, some.at(-1)!]) expectClose(values(result), expected);
    });
  }
  x.dispose();
});

test.each(Object.entries(composite))("%s in a long loop", (_, apply) => {
  const x = input();
  for (let i = 0; i < 300; i++) s.scope(() => void apply(x));
  x.dispose();
});

test("what functions make on the way is given back", () => {
  const x = input();
  const wrong: readonly (() => unknown)[] = [
    () => x.add(new Float32Array(1000)),
    () => x.set([[0, 1]], new Float32Array(1000)),
    () => x.matmul(new Float32Array(1000)),
    () => s.concat([x, new Float32Array(1000)], 0),
    () => x.gather(new Float32Array(1000).fill(0.5), 0),
    () => s.einsum("ij,jk", x, new Float32Array(1000)),
    () => s.grad((_: s.Tensor) => new Float32Array(1000))(x),
  ];
  const round = (): void => {
    for (const apply of Object.values(composite)) s.scope(() => void values(apply(x)));
    for (const apply of Object.values(composite)) s.scope(() => void apply(x));
    for (const apply of wrong) expect(() => s.scope(apply)).toThrow();
  };
  round();
  const before = theMachine().heap.liveBytes;
  for (let i = 0; i < 3; i++) round();
  expect(theMachine().heap.liveBytes).toBe(before);
  x.dispose();
});

test("a compiled call leaves later functions as they were", () => {
  const x = input();
  s.compile((y: s.Tensor) => y.softmax().add(1))(x).dispose();
  const before = theMachine().heap.liveBytes;
  for (let i = 0; i < 600; i++) x.softmax().dispose();
  x.gather([0, 1, 2], 0).dispose();
  expect(theMachine().heap.liveBytes).toBe(before);
});
