/** How modules find their variables, and the layers that need no kernels of their own. */
import { compile, gradients, random, relu, spec, type Tensor, tensor, variable } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import { type CallOptions, losses, metrics, nn, optim } from "../src/index.ts";

const numbers = (x: { dataSync(): ArrayLike<number> }): number[] => Array.from(x.dataSync());

class Tower extends nn.Module {
  readonly scale = variable(tensor(2), { name: "scale" });
  readonly parts = { first: new nn.Dense(3, { inputs: 2 }), rest: [new nn.Dense(1, { inputs: 3 })] };
  readonly again = this.parts.first;
  readonly named = new Map([["left", variable(tensor([1]), { name: "left", trainable: false })]]);

  call(x: Tensor, _options?: CallOptions): Tensor {
    return this.parts.rest[0]!.call(this.parts.first.call(x).relu()).mul(this.scale);
  }
}

describe("modules", () => {
  test("variables are found in fields, arrays, objects and maps, each once, by their ways", () => {
    const tower = new Tower();
    const ways = ["scale", "parts.first.kernel", "parts.first.bias", "parts.rest.0.kernel", "parts.rest.0.bias"];
    expect(Object.keys(tower.stateDict())).toEqual([...ways, "named.left"]);
    expect(tower.trainableVariables).toEqual(ways.map((way) => tower.stateDict()[way]));
    tower.parts.first.freeze();
    expect(tower.trainableVariables).toHaveLength(3);
    expect(tower.submodules).toHaveLength(2);
  });

  test("a state is taken whole or not at all, and everything that does not fit is listed", () => {
    const [from, to] = [new Tower(), new Tower()];
    to.loadStateDict(from.stateDict());
    expect(Object.values(to.stateDict()).map(numbers)).toEqual(Object.values(from.stateDict()).map(numbers));
    const { scale, "parts.first.bias": _, ...others } = from.stateDict();
    const wrong = { ...others, "parts.first.kernel": tensor([1]), extra: tensor(1) };
    to.scale.assign(7);
    expect(() => to.loadStateDict(wrong)).toThrow(
      /scale, f32\[\], is missing\n {2}parts.first.kernel is f32\[1\], but the model has f32\[2,3\]\n {2}parts.first.bias, f32\[3\], is missing\n {2}extra is in no part of the model/,
    );
    to.loadStateDict({ scale: 5, extra: 1 }, { strict: false });
    expect(to.scale.item()).toBe(5);
  });

  test("a layer that was never called says so instead of training nothing", () => {
    const model = new nn.Sequential([new nn.Dense(2), relu, new nn.Dense(1)]);
    expect(() => model.variables).toThrow("layers.0, a Dense, has no variables yet");
    expect(model.build(spec([null, 4])).variables.map(({ shape }) => shape)).toEqual([[4, 2], [2], [2, 1], [1]]);
    expect(() => model.call(tensor([[1, 2]]))).toThrow("x is f32[1,2], but the layer takes 4 inputs");
  });

  test("the same seed gives the same weights, in another layer others", () => {
    const weights = (): number[][] => {
      nn.setSeed(5);
      return new nn.Sequential([new nn.Dense(3, { inputs: 3 }), new nn.Dense(3, { inputs: 3 })]).variables.map(numbers);
    };
    const [a, b] = [weights(), weights()];
    expect(a).toEqual(b);
    expect(a[0]).not.toEqual(a[2]);
  });
});

describe("layers", () => {
  test("dense is activation(X W + b), for a sample and a batch", () => {
    const dense = new nn.Dense(2, { inputs: 3, activation: "relu", biasInitializer: nn.init.constant(0.5) });
    dense.kernel!.assign([
      [1, -1],
      [2, -2],
      [3, -3],
    ]);
    expect(numbers(dense.call(tensor([1, 1, 1])))).toEqual([6.5, 0]);
    expect(
      numbers(
        dense.call(
          tensor([
            [1, 0, 0],
            [0, -1, 0],
          ]),
        ),
      ),
    ).toEqual([1.5, 0, 0, 2.5]);
  });

  test("dropout drops while training only, others each time, also in a compiled step, and keeps the mean", () => {
    const dropout = new nn.Dropout(0.25, { seed: 1 });
    const ones = tensor(new Float32Array(4000).fill(1));
    expect(numbers(dropout.call(ones))).toEqual(numbers(ones));
    const step = compile((x: Tensor) => dropout.call(x, { training: true }));
    const [a, b] = [numbers(step(ones)), numbers(step(ones))];
    expect(a).not.toEqual(b);
    expect(step.traces).toBe(1);
    const kept = a.filter((x) => x !== 0);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.75)]));
    expect(Math.abs(kept.length / 4000 - 0.75)).toBeLessThan(0.03);
  });

  test("batch normalisation uses the batch while training, and what it remembers of batches else", () => {
    const norm = new nn.BatchNorm({ momentum: 0.5, epsilon: 0 });
    const x = tensor([
      [1, 10],
      [3, 30],
    ]);
    expect(numbers(norm.call(x, { training: true }))).toEqual([-1, -1, 1, 1]);
    expect(numbers(norm.movingMean!)).toEqual([1, 10]);
    expect(numbers(norm.movingVariance!)).toEqual([1, 50.5]);
    expect(numbers(norm.call(tensor([[2, 10]])))[0]).toBeCloseTo(1);
    expect(norm.trainableVariables).toHaveLength(2);
  });

  test("layer normalisation normalises each row", () => {
    const [low, middle, high] = numbers(new nn.LayerNorm({ epsilon: 0 }).call(tensor([[0, 1, 2]])));
    expect([low, middle, high]).toEqual([-1.2247449, 0, 1.2247449].map((x) => expect.closeTo(x, 5)));
  });

  test("an embedding takes rows, and a number outside of it fails, also in a compiled function", () => {
    const embedding = new nn.Embedding(3, 2);
    embedding.embeddings.assign([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const ids = (...all: number[]): Tensor => tensor(Int32Array.from(all));
    expect(numbers(embedding.call(ids(2, 0)))).toEqual([5, 6, 1, 2]);
    const compiled = compile((x: Tensor) => embedding.call(x));
    expect(() => compiled(ids(0, 3))).toThrow("a number is outside 0..2");
    expect(numbers(compiled(ids(1)))).toEqual([3, 4]);
  });

  test("penalties are sums over the weights, and reach the gradient", () => {
    const dense = new nn.Dense(1, { inputs: 2, kernelRegularizer: nn.l1l2(0.5, 0.25) });
    dense.kernel!.assign([[2], [-4]]);
    expect(dense.penalty().item()).toBe(0.5 * 6 + 0.25 * 20);
    const { grads } = gradients(() => dense.penalty(), [dense.kernel!]);
    expect(numbers(grads[0]!)).toEqual([0.5 + 0.5 * 2, -0.5 - 0.5 * 4]);
  });

  test("initialisers have the variance of their papers, and orthogonal ones orthonormal columns or rows", () => {
    const key = random.key(3);
    const deviation = (init: nn.init.Initializer): number => init(key, [3, 3, 20, 50]).std().item() as number;
    expect(deviation(nn.init.glorotUniform)).toBeCloseTo(Math.sqrt(2 / (9 * 70)), 2);
    expect(deviation(nn.init.heNormal)).toBeCloseTo(Math.sqrt(2 / 180), 2);
    expect(deviation(nn.init.lecunNormal)).toBeCloseTo(Math.sqrt(1 / 180), 2);
    for (const shape of [
      [5, 3],
      [3, 5],
      [2, 3, 4],
    ]) {
      const q = nn.init
        .orthogonal(2)(key, shape)
        .reshape([-1, shape.at(-1)!]);
      const square = q.dims[0]! >= q.dims[1]! ? q.transpose().matmul(q) : q.matmul(q.transpose());
      const size = square.shape[0]!;
      expect(numbers(square)).toEqual(
        Array.from({ length: size * size }, (_, i) => expect.closeTo(i % (size + 1) === 0 ? 4 : 0, 4)),
      );
    }
  });
});

describe("losses", () => {
  const logits = tensor([
    [2, 1, 0],
    [0, 3, -1],
  ]);
  const softmax = logits.softmax(-1);
  const entropy = [Math.log(Math.exp(2) + Math.E + 1) - 2, Math.log(1 + Math.exp(3) + Math.exp(-1)) + 1];

  test("cross entropies agree, from logits and probabilities, sparse and as distributions", () => {
    const labels = tensor(Int32Array.of(0, 2));
    const hot = labels.oneHot(3);
    const none = { reduction: "none" } as const;
    for (const loss of [
      losses.sparseCategoricalCrossentropy(labels, logits, { ...none, fromLogits: true }),
      losses.sparseCategoricalCrossentropy(labels, softmax, none),
      losses.categoricalCrossentropy(hot, logits, { ...none, fromLogits: true }),
      losses.categoricalCrossentropy(hot, softmax, none),
    ])
      expect(numbers(loss)).toEqual(entropy.map((x) => expect.closeTo(x, 5)));
    const [p, y] = [tensor([0.5, -2]), tensor([1, 0])];
    const binary = [Math.log(1 + Math.exp(-0.5)), Math.log(1 + Math.exp(-2))];
    expect(losses.binaryCrossentropy(y, p, { fromLogits: true }).item()).toBeCloseTo((binary[0]! + binary[1]!) / 2, 6);
    expect(losses.binaryCrossentropy(y, p.sigmoid()).item()).toBeCloseTo((binary[0]! + binary[1]!) / 2, 5);
  });

  test("the others take the values of their formulas", () => {
    const [y, p] = [
      tensor([
        [1, 2],
        [3, 5],
      ]),
      tensor([
        [1, 4],
        [0, 5],
      ]),
    ];
    expect(losses.meanSquaredError(y, p).item()).toBe((4 / 2 + 9 / 2) / 2);
    expect(numbers(losses.meanAbsoluteError(y, p, { reduction: "none" }))).toEqual([1, 1.5]);
    expect(losses.huber(y, p, { reduction: "sum" }).item()).toBe(1.5 / 2 + 2.5 / 2);
    expect(losses.hinge(tensor([1, 0]), tensor([0.5, 0.5])).item()).toBe((0.5 + 1.5) / 2);
    expect(losses.klDivergence(tensor([[0.5, 0.5]]), tensor([[0.25, 0.75]])).item()).toBeCloseTo(
      0.5 * Math.log(2) + 0.5 * Math.log(0.5 / 0.75),
      6,
    );
  });

  test("a label that is no class fails when the program runs, and shapes that do not fit before", () => {
    const step = compile((labels: Tensor) => losses.sparseCategoricalCrossentropy(labels, logits));
    expect(() => step(tensor(Int32Array.of(0, 3)))).toThrow("a label is outside 0..2, and predictions have 3 classes");
    expect(() => losses.sparseCategoricalCrossentropy(tensor([0, 1]), logits)).toThrow(
      "labels must be i32 or u32, not f32[2]",
    );
    expect(() => losses.meanSquaredError(tensor([1, 2]), tensor([[1], [2]]))).toThrow(
      "labels are f32[2], predictions f32[2,1]; the shapes must be the same",
    );
  });
});

describe("metrics", () => {
  const predictions = tensor([
    [0.7, 0.2, 0.1],
    [0.1, 0.3, 0.6],
    [0.4, 0.5, 0.1],
    [0.2, 0.5, 0.3],
  ]);
  const labels = tensor(Int32Array.of(0, 1, 1, 2));

  test("of classes", () => {
    expect(metrics.accuracy(labels, predictions).item()).toBe(0.5);
    expect(metrics.topK(labels, predictions, { k: 2 }).item()).toBe(1);
    expect(numbers(metrics.confusionMatrix(labels, predictions))).toEqual([1, 0, 0, 0, 1, 1, 0, 1, 0]);
    expect(metrics.precision(labels, predictions).item()).toBeCloseTo((1 + 0.5 + 0) / 3, 6);
    expect(metrics.recall(labels, predictions).item()).toBeCloseTo((1 + 0.5 + 0) / 3, 6);
    expect(metrics.f1(labels, predictions).item()).toBeCloseTo((1 + 0.5 + 0) / 3, 6);
  });

  test("of chances", () => {
    const [y, p] = [tensor([1, 1, 0, 0, 1]), tensor([0.9, 0.4, 0.6, 0.1, 0.8])];
    expect(metrics.accuracy(y, p).item()).toBeCloseTo(0.6, 6);
    expect(metrics.precision(y, p).item()).toBeCloseTo(2 / 3, 6);
    expect(metrics.recall(y, p, { threshold: 0.3 }).item()).toBe(1);
    // Of the six pairs of a true and a false sample, five are in order.
    expect(metrics.auc(y, p).item()).toBeCloseTo(5 / 6, 6);
  });

  test("counts of batches add up to those of all", () => {
    const parts = [0, 2].map((at) => metrics.f1.counts(labels.slice(at, 2), predictions.slice([at, 0], [2, 3])));
    const sums = parts[0]!.map((count, i) => count.add(parts[1]![i]!));
    expect(metrics.f1.result(sums).item()).toBe(metrics.f1(labels, predictions).item());
  });
});

test("a network with everything in it learns, in one program", () => {
  nn.setSeed(1);
  const model = new nn.Sequential([
    new nn.Dense(16, { activation: "tanh" }),
    new nn.BatchNorm(),
    new nn.Dropout(0.1),
    new nn.Dense(1),
  ]);
  model.build(spec([null, 2]));
  const optimizer = optim.adam({ learningRate: 0.05 });
  const [x, y] = [
    tensor([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]),
    tensor([[0], [1], [1], [0]]),
  ];
  const step = compile(() => {
    const { value, grads } = gradients(
      () => losses.binaryCrossentropy(y, model.call(x, { training: true }), { fromLogits: true }),
      model.trainableVariables,
    );
    optimizer.apply(grads, model.trainableVariables);
    return value;
  });
  for (let i = 0; i < 200; i++) step().dispose();
  expect(step.traces).toBe(1);
  expect(metrics.accuracy(y, model.call(x).sigmoid()).item()).toBe(1);
});
