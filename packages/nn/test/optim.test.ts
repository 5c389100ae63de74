/** Each optimiser against its paper's recurrence, written anew in float64. */

import { compile, random, type Tensor, tensor, variable } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import {
  adabound,
  adagrad,
  adam,
  adamw,
  clipByGlobalNorm,
  clipByValue,
  lion,
  momentum,
  nesterov,
  type Optimizer,
  rmsprop,
  schedules,
  sgd,
} from "../src/optim/index.ts";

type Row = number[];
/** One step for one number: the weight, its gradient, what is remembered, the step's number. */
type Recurrence = (w: number, g: number, memory: Row, t: number) => readonly [w: number, memory: Row];

const cases: Readonly<Record<string, readonly [make: () => Optimizer, recurrence: Recurrence]>> = {
  sgd: [() => sgd({ learningRate: 0.1 }), (w, g) => [w - 0.1 * g, []]],
  momentum: [
    () => momentum({ learningRate: 0.1, momentum: 0.8 }),
    (w, g, [v = 0]) => {
      const next = 0.8 * v - 0.1 * g;
      return [w + next, [next]];
    },
  ],
  nesterov: [
    () => nesterov({ learningRate: 0.1, momentum: 0.8 }),
    (w, g, [v = 0]) => {
      const next = 0.8 * v - 0.1 * g;
      return [w + 0.8 * next - 0.1 * g, [next]];
    },
  ],
  adagrad: [
    () => adagrad({ learningRate: 0.1, initialAccumulator: 0.5 }),
    (w, g, [s = 0.5]) => [w - (0.1 * g) / (Math.sqrt(s + g * g) + 1e-7), [s + g * g]],
  ],
  rmsprop: [
    () => rmsprop({ learningRate: 0.01, rho: 0.8 }),
    (w, g, [s = 0]) => {
      const next = 0.8 * s + 0.2 * g * g;
      return [w - (0.01 * g) / (Math.sqrt(next) + 1e-7), [next]];
    },
  ],
  adam: [
    () => adam({ learningRate: 0.01, beta1: 0.8, beta2: 0.95 }),
    (w, g, memory, t) => {
      const [m, v] = means(g, memory, 0.8, 0.95);
      return [w - (0.01 * m) / (1 - 0.8 ** t) / (Math.sqrt(v / (1 - 0.95 ** t)) + 1e-8), [m, v]];
    },
  ],
  adamw: [
    () => adamw({ learningRate: 0.01, weightDecay: 0.1 }),
    (w, g, memory, t) => {
      const [m, v] = means(g, memory, 0.9, 0.999);
      return [w - 0.01 * (m / (1 - 0.9 ** t) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8) + 0.1 * w), [m, v]];
    },
  ],
  adabound: [
    () => adabound({ learningRate: 0.01, finalLearningRate: 0.05, gamma: 0.1 }),
    (w, g, memory, t) => {
      const [m, v] = means(g, memory, 0.9, 0.999);
      const size = (0.01 * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t) / (Math.sqrt(v) + 1e-8);
      const [low, high] = [0.05 * (1 - 1 / (0.1 * t + 1)), 0.05 * (1 + 1 / (0.1 * t))];
      return [w - Math.min(Math.max(size, low), high) * m, [m, v]];
    },
  ],
  lion: [
    () => lion({ learningRate: 0.01, weightDecay: 0.1 }),
    (w, g, [m = 0]) => [w - 0.01 * (Math.sign(0.9 * m + 0.1 * g) + 0.1 * w), [0.99 * m + 0.01 * g]],
  ],
};

function means(g: number, [m = 0, v = 0]: Row, beta1: number, beta2: number): [number, number] {
  return [beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g];
}

describe.each(Object.entries(cases))("%s", (_name, [make, recurrence]) => {
  test("follows its recurrence for 20 steps, in shapes of every rank, eager and compiled alike", () => {
    const shapes = [[], [3], [2, 5], [2, 1, 3]];
    const variables = shapes.map((shape, i) => variable(random.normal(random.key(i), shape)));
    const expected = variables.map((each) => [...each.dataSync()] as Row);
    const memories = expected.map((row) => row.map((): Row => []));
    const optimizer = make();
    const apply = (gradients: readonly Tensor[]): void => optimizer.apply(gradients, variables);
    const compiled = compile(apply);
    for (let t = 1; t <= 20; t++) {
      // Others each step, and none of them 0.
      const gradients = expected.map((row, i) => Float32Array.from(row, (_, j) => Math.sin(t * 7 + i * 3 + j) + 0.01));
      (t <= 5 ? apply : compiled)(gradients.map((data, i) => tensor(data, { shape: shapes[i]! })));
      for (const [i, row] of expected.entries()) {
        for (const [j, g] of gradients[i]!.entries())
          [row[j], memories[i]![j]] = recurrence(row[j]!, g, memories[i]![j]!, t) as [number, Row];
        for (const [j, value] of variables[i]!.dataSync().entries()) expect(value).toBeCloseTo(row[j]!, 4);
      }
    }
    expect([compiled.traces, optimizer.step.item()]).toEqual([1, 20]);
  });
});

test("a new learning rate and a schedule change the steps, and retrace nothing", () => {
  const w = variable(tensor([0, 0]));
  const plain = sgd({ learningRate: 1 });
  const step = compile(() => plain.apply([tensor([1, 2])], [w]));
  step();
  plain.learningRate.assign(0.5);
  step();
  expect([...w.dataSync()]).toEqual([-1.5, -3]);
  expect(step.traces).toBe(1);
  const falling = sgd({ learningRate: schedules.stepDecay(1, { boundaries: [1, 2], factor: 0.5 }) });
  const scheduled = compile(() => falling.apply([tensor([1, 1])], [w]));
  w.assign([0, 0]);
  for (let i = 0; i < 3; i++) scheduled();
  expect([...w.dataSync()]).toEqual([-1.75, -1.75]);
  expect(scheduled.traces).toBe(1);
});

test("schedules take the values of their formulas", () => {
  const at = (schedule: schedules.Schedule, step: number): number =>
    schedule(tensor(step, { dtype: "f32" })).item() as number;
  const decay = schedules.exponentialDecay(0.5, { steps: 10, factor: 0.1 });
  expect([1, 6, 11].map((step) => at(decay, step) / (0.5 * 0.1 ** ((step - 1) / 10)))).toEqual(
    [1, 1, 1].map((x) => expect.closeTo(x, 5)),
  );
  const stairs = schedules.exponentialDecay(0.5, { steps: 10, factor: 0.1, staircase: true });
  expect([10, 11].map((step) => at(stairs, step))).toEqual([0.5, 0.05].map((x) => expect.closeTo(x, 5)));
  const wave = schedules.cosine(2, { steps: 10, end: 1 });
  expect([1, 6, 11, 99].map((step) => at(wave, step))).toEqual([2, 1.5, 1, 1].map((x) => expect.closeTo(x, 5)));
  const warm = schedules.warmupCosine(2, { steps: 14, warmup: 4 });
  expect([1, 4, 9, 14].map((step) => at(warm, step))).toEqual([0.5, 2, 1, 0].map((x) => expect.closeTo(x, 5)));
  const cycle = schedules.oneCycle(1, { steps: 100 });
  expect([1, 31, 101].map((step) => at(cycle, step))).toEqual([0.04, 1, 0.000004].map((x) => expect.closeTo(x, 5)));
});

test("gradients are clipped by element, and by the length of all", () => {
  const grads = [tensor([3, 0]), tensor([[-4]])];
  expect(clipByValue(grads, 1).map((g) => [...g.dataSync()])).toEqual([[1, 0], [-1]]);
  const clipped = clipByGlobalNorm(grads, 1);
  expect(clipped.norm.item()).toBe(5);
  expect(clipped.grads.map((g) => [...g.dataSync()])).toEqual([[expect.closeTo(0.6, 6), 0], [expect.closeTo(-0.8, 6)]]);
  expect(clipByGlobalNorm(grads, 10).grads.map((g) => [...g.dataSync()])).toEqual([
    [expect.closeTo(3, 6), 0],
    [expect.closeTo(-4, 6)],
  ]);
});

test("what does not fit is said", () => {
  const [a, b] = [variable(tensor([1, 2]), { name: "a" }), variable(tensor(1), { name: "b" })];
  const adamOfA = adam();
  expect(() => adamOfA.apply([tensor([1, 2, 3])], [a])).toThrow(
    "optim.adam: apply: the gradient of a is f32[3], the variable f32[2]",
  );
  adamOfA.apply([tensor([1, 2])], [a]);
  expect(() => adamOfA.apply([tensor(1)], [b])).toThrow("the variables are not those of the first call (a), but b");
  expect(() => adamOfA.apply([], [a])).toThrow("there are 0 gradients for 1 variables");
  expect(() => sgd({ learningRate: -1 })).toThrow("learningRate must be a number from 0 on or a schedule, not -1");
  expect(() => adam({ beta1: 2 })).toThrow("optim.adam: beta1 must be from 0 to 1, not 2");
  expect(() => adam({ beta: 0.9 } as object)).toThrow("there is no option beta");
});
