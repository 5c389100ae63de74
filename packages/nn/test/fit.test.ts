/** Training: what a step does, how often it is traced, how training ends, and what goes wrong. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory, random, relu, scope, type Tensor, tensor } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import {
  type Callback,
  csvLog,
  data,
  earlyStopping,
  evaluate,
  fit,
  jsonlLog,
  learningRateSchedule,
  losses,
  metrics,
  NonFiniteLossError,
  nn,
  optim,
  predict,
  progress,
  reduceOnPlateau,
} from "../src/index.ts";

const crossEntropy = (y: Tensor, p: Tensor): Tensor => losses.sparseCategoricalCrossentropy(y, p, { fromLogits: true });

/** Points whose class is the sign of their sum. */
function points(count: number): { readonly x: Float32Array; readonly y: Int32Array } {
  const x = scope(() => random.normal(random.key(3), [count * 2]).dataSync() as Float32Array);
  return { x, y: Int32Array.from({ length: count }, (_, i) => (x[2 * i]! + x[2 * i + 1]! > 0 ? 1 : 0)) };
}
function dataset(count: number, batch = 16) {
  const { x, y } = points(count);
  return data.fromArrays({ x: { data: x, shape: [count, 2] }, y }).batch(batch);
}
function classifier(): nn.Sequential {
  nn.setSeed(1);
  return new nn.Sequential([new nn.Dense(8, { inputs: 2 }), relu, new nn.Dense(2, { inputs: 8 })]);
}
const line = (): nn.Dense => new nn.Dense(1, { inputs: 1, kernelInitializer: nn.init.zeros });
const values = (model: nn.Module): number[][] => model.variables.map((each) => Array.from(each.dataSync()));

describe("fit", () => {
  test("learns, in two traces with a smaller last batch, and frees every handle", async () => {
    const model = classifier();
    const before = memory().tensors;
    let traced = 0;
    const loss = (y: Tensor, p: Tensor): Tensor => {
      traced++;
      return crossEntropy(y, p);
    };
    const train = dataset(100).shuffle(100, 1).prefetch(2);
    const optimizer = optim.adam({ learningRate: 0.05 });
    const history = await fit(model, train, { loss, optimizer, epochs: 6, metrics: [metrics.accuracy] });
    expect(traced).toBe(2);
    expect(history.epochs).toHaveLength(6);
    expect(history).toMatchObject({
      steps: 42,
      interrupted: false,
      stopped: undefined,
      position: { epoch: 6, step: 0 },
    });
    expect(history.epochs[0]).toMatchObject({ epoch: 1, steps: 7 });
    expect(history.epochs[5]!.loss).toBeLessThan(history.epochs[0]!.loss / 2);
    expect(history.epochs[5]!["accuracy"]).toBeGreaterThan(0.9);
    // What earlier tests left may have been collected meanwhile.
    expect(memory().tensors).toBeLessThanOrEqual(before);
  });

  test("does what the step written out does; losses and metrics are those of all samples, with penalties", async () => {
    const { x, y } = { x: [[1], [2], [3]], y: [[2], [4], [7]] };
    const model = new nn.Dense(1, { inputs: 1, kernelInitializer: nn.init.ones, kernelRegularizer: nn.l2(0.5) });
    const optimizer = optim.sgd({ learningRate: 0.1 });
    const batches = data.fromArrays({ x, y }).batch(2);
    const { epochs } = await fit(model, batches, { loss: losses.meanSquaredError, optimizer });
    // In float64: w, b and the mean squared error of each batch plus w^2 / 2.
    let [w, b, total] = [1, 0, 0];
    for (const rows of [[0, 1], [2]]) {
      const errors = rows.map((i) => w * x[i]![0]! + b - y[i]![0]!);
      const mean = (f: (e: number, i: number) => number): number =>
        errors.reduce((s, e, k) => s + f(e, rows[k]!), 0) / rows.length;
      total += (mean((e) => e * e) + w * w * 0.5) * rows.length;
      const [dw, db] = [mean((e, i) => 2 * e * x[i]![0]!) + w, mean((e) => 2 * e)];
      w -= 0.1 * dw;
      b -= 0.1 * db;
    }
    expect(values(model).flat()).toEqual([expect.closeTo(w, 5), expect.closeTo(b, 5)]);
    expect(epochs[0]!.loss).toBeCloseTo(total / 3, 5);
    expect((await evaluate(model, batches, { loss: losses.meanSquaredError }))["loss"]).toBeCloseTo(
      x.reduce((s, [at], i) => s + (w * at! + b - y[i]![0]!) ** 2, 0) / 3 + (w * w) / 2,
      4,
    );
  });

  test("goes on in the middle of an epoch as though it had never stopped", async () => {
    const train = dataset(60).shuffle(60, 4);
    const run = async (
      parts: readonly { initialEpoch?: number; initialStep?: number; epochs: number; stop?: number }[],
    ) => {
      const model = classifier();
      const optimizer = optim.adam({ learningRate: 0.05 });
      for (const { stop, ...options } of parts) {
        const onBatchEnd: Callback["onBatchEnd"] = (at) => {
          if (at.epoch === 2 && at.step === stop) at.stop("for now");
        };
        const { position } = await fit(model, train, {
          loss: crossEntropy,
          optimizer,
          callbacks: [{ onBatchEnd }],
          ...options,
        });
        if (stop !== undefined) expect(position).toEqual({ epoch: 1, step: stop });
      }
      return values(model);
    };
    const whole = await run([{ epochs: 3 }]);
    expect(
      await run([
        { epochs: 3, stop: 2 },
        { epochs: 3, initialEpoch: 1, initialStep: 2 },
      ]),
    ).toEqual(whole);
  });

  test("many shapes of batches share programs of symbolic sizes", async () => {
    let traced = 0;
    const loss = (y: Tensor, p: Tensor): Tensor => {
      traced++;
      return losses.meanSquaredError(y, p);
    };
    function* batches(): Generator<[Tensor, Tensor]> {
      for (let rows = 1; rows < 12; rows++)
        yield [
          tensor(new Float32Array(rows).fill(1), { shape: [rows, 1] }),
          tensor(new Float32Array(rows).fill(3), { shape: [rows, 1] }),
        ];
    }
    const history = await fit(line(), () => batches(), {
      loss,
      optimizer: optim.sgd(),
      epochs: 2,
      metrics: { right: metrics.accuracy },
    });
    expect(history.epochs.map(({ steps }) => steps)).toEqual([11, 11]);
    expect(traced).toBeLessThanOrEqual(4);
  });

  test("a dataset without end has epochs of stepsPerEpoch, one after another", async () => {
    const seen: number[] = [];
    const { x, y } = points(6);
    const all = data
      .fromArrays({ x: { data: x, shape: [6, 2] }, y })
      .batch(2)
      .repeat()
      .map((batch, { index }) => {
        seen.push(index);
        return batch;
      });
    await expect(fit(classifier(), all, { loss: crossEntropy, optimizer: optim.sgd() })).rejects.toThrow(
      "stepsPerEpoch",
    );
    await fit(classifier(), all, { loss: crossEntropy, optimizer: optim.sgd(), epochs: 2, stepsPerEpoch: 4 });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("gradients are clipped by their common norm", async () => {
    const model = line();
    const batch = [[tensor([[3]]), tensor([[100]])]];
    await fit(model, batch, {
      loss: losses.meanSquaredError,
      optimizer: optim.sgd({ learningRate: 1 }),
      clipNorm: 0.5,
    });
    const [[w], [b]] = values(model) as [number[], number[]];
    expect(Math.hypot(w!, b!)).toBeCloseTo(0.5, 5);
  });
});

describe("callbacks", () => {
  test("validation, and early stopping that gives the best weights back", async () => {
    const model = line();
    const one = (y: number) => [{ x: tensor([[0]]), y: tensor([[y]]) }];
    const biases: number[] = [];
    // Trained towards 10, while the validation is best at 3.
    const history = await fit(model, one(10), {
      loss: losses.meanSquaredError,
      optimizer: optim.sgd({ learningRate: 0.1 }),
      epochs: 30,
      validation: one(3),
      callbacks: [
        earlyStopping({ monitor: "valLoss", patience: 2 }),
        { onEpochEnd: () => void biases.push(values(model)[1]![0]!) },
      ],
    });
    const best = history.epochs.findIndex(
      ({ valLoss }) => valLoss === Math.min(...history.epochs.map((each) => each["valLoss"]!)),
    );
    expect(history.epochs).toHaveLength(best + 3);
    expect(values(model)[1]![0]).toBe(biases[best]);
    expect(history.stopped).toMatch(/valLoss got no better than .* in 2 epochs/);
    const wrong = {
      loss: losses.meanSquaredError,
      optimizer: optim.sgd(),
      callbacks: [earlyStopping({ monitor: "valAccuracy" })],
    };
    await expect(fit(line(), one(1), wrong)).rejects.toThrow('monitor is "valAccuracy", but there are only loss');
  });

  test("learning rates that follow the epoch, or a plateau", async () => {
    const [model, optimizer] = [line(), optim.sgd({ learningRate: 1 })];
    const rates: number[] = [];
    const note: Callback = { onEpochEnd: () => void rates.push(optimizer.learningRate.item() as number) };
    const still = [[tensor([[0]]), tensor([[0]])]];
    const loss = losses.meanSquaredError;
    await fit(model, still, {
      loss,
      optimizer,
      epochs: 3,
      callbacks: [learningRateSchedule((epoch, now) => now / epoch), note],
    });
    await fit(model, still, {
      loss,
      optimizer,
      epochs: 5,
      callbacks: [reduceOnPlateau({ patience: 2, factor: 0.5, minRate: 0.05 }), note],
    });
    const sixth = Math.fround(1 / 6);
    expect(rates).toEqual(
      [1, 0.5, sixth, sixth, sixth, sixth / 2, sixth / 2, Math.fround(0.05)].map((x) => expect.closeTo(x, 6)),
    );
    const scheduled = optim.sgd({ learningRate: optim.schedules.constant(1) });
    await expect(
      fit(line(), still, { loss, optimizer: scheduled, callbacks: [learningRateSchedule(() => 1)] }),
    ).rejects.toThrow("follows a schedule");
  });

  test("logs in files, and lines where there is no terminal", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sinter-fit-"));
    try {
      const lines: string[] = [];
      const [csv, json] = [join(folder, "inner", "log.csv"), join(folder, "log.jsonl")];
      const loss = losses.meanSquaredError;
      const batches = [[tensor([[1]]), tensor([[2]])]];
      for (const [append, initialEpoch] of [
        [false, 0],
        [true, 2],
      ] as const)
        await fit(line(), batches, {
          loss,
          optimizer: optim.sgd(),
          initialEpoch,
          epochs: initialEpoch + 2,
          callbacks: [
            csvLog(csv, { append }),
            jsonlLog(json, { append }),
            progress({ style: "lines", log: (text) => void lines.push(text) }),
          ],
        });
      const rows = readFileSync(csv, "utf8")
        .trim()
        .split("\n")
        .map((text) => text.split(","));
      expect(rows.map(([epoch]) => epoch)).toEqual(["epoch", "1", "2", "3", "4"]);
      expect(rows[0]).toEqual(["epoch", "steps", "seconds", "loss"]);
      const objects = readFileSync(json, "utf8")
        .trim()
        .split("\n")
        .map((text) => JSON.parse(text) as { epoch: number; loss: number });
      expect(objects.map(({ epoch, loss: value }) => [String(epoch), String(value)])).toEqual(
        rows.slice(1).map((row) => [row[0], row[3]]),
      );
      expect(lines[0]).toMatch(/^epoch 1\/2 1 steps loss 4\.0000 /);
      expect(existsSync(csv)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("Ctrl-C ends it after the step, and tells callbacks", async () => {
    const told: string[] = [];
    const listeners = process.listenerCount("SIGINT");
    const endless = dataset(32).repeat();
    const history = await fit(classifier(), endless, {
      loss: crossEntropy,
      optimizer: optim.sgd(),
      stepsPerEpoch: 1e6,
      callbacks: [
        {
          onBatchEnd: ({ step }) => void (step === 3 && process.emit("SIGINT")),
          onInterrupt: ({ step }) => void told.push(`interrupt ${step > 2}`),
          onTrainEnd: ({ history: { interrupted } }) => void told.push(`end ${interrupted}`),
        },
      ],
    });
    expect(told).toEqual(["interrupt true", "end true"]);
    expect(history).toMatchObject({ interrupted: true, epochs: [], position: { epoch: 0, step: history.steps } });
    expect(process.listenerCount("SIGINT")).toBe(listeners);
  });
});

describe("what goes wrong", () => {
  const loss = losses.meanSquaredError;
  const options = () => ({ loss, optimizer: optim.sgd({ learningRate: 0.1 }) });

  test("a loss that is not finite: epoch and step are named, and the last good weights are back", async () => {
    const batches = (epoch: number) =>
      [1, 2, epoch === 1 ? Number.NaN : 3, 4].map((x) => ({ x: tensor([[x]]), y: tensor([[x]]) }));
    const model = line();
    const optimizer = optim.adam({ learningRate: 0.01 });
    const good: number[][][] = [];
    const before = memory().tensors;
    const ended: unknown[] = [];
    const callbacks: Callback[] = [
      { onEpochEnd: () => void good.push(values(model)), onTrainEnd: ({ error }) => void ended.push(error) },
    ];
    const failed: unknown = await fit(model, batches, { loss, optimizer, epochs: 5, callbacks }).catch(
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(NonFiniteLossError);
    expect(failed).toMatchObject({ epoch: 2, step: 3 });
    expect((failed as Error).message).toMatch(
      "in epoch 2, step 3, the loss is NaN; model and optimiser are again what they were after epoch 1",
    );
    expect(values(model)).toEqual(good[0]);
    expect(optimizer.step.item()).toBe(4);
    expect(ended).toEqual([failed]);
    expect(memory().tensors).toBe(before + 0);
    const history = await fit(model, batches, { loss, optimizer, epochs: 5, onNaN: "stop" });
    expect(history.epochs).toHaveLength(1);
    expect(history.stopped).toMatch("step 3");
  });

  test("weights that are not finite after the last step", async () => {
    const model = line();
    const batch = [{ x: tensor([[1e20]]), y: tensor([[1e18]]) }];
    const optimizer = optim.sgd({ learningRate: 1e10 });
    const absolute = (y: Tensor, p: Tensor): Tensor => losses.meanAbsoluteError(y, p).mul(1e10);
    await expect(fit(model, batch, { loss: absolute, optimizer })).rejects.toThrow(
      "step 1, weights became NaN or infinite; model and optimiser are again what they were at the beginning",
    );
    expect(values(model)).toEqual([[0], [0]]);
  });

  test("labels out of range: the check's message, with epoch and step", async () => {
    const model = classifier();
    const batches = [1, 2].map((label) => ({ x: tensor([[1, 2]]), y: tensor([label], { dtype: "i32" }) }));
    const kept = values(model);
    const failed = fit(model, batches, { loss: crossEntropy, optimizer: optim.sgd({ learningRate: 0 }) });
    await expect(failed).rejects.toThrow(
      "fit: epoch 1, step 2: losses.sparseCategoricalCrossentropy: a label is outside 0..1",
    );
    expect(values(model)).toEqual(kept);
    await expect(evaluate(model, batches, { loss: crossEntropy })).rejects.toThrow("evaluate: dataset, batch 2: ");
  });

  test("datasets that are empty or of something else", async () => {
    const rows = data.fromArrays({ x: [[1]], y: [[1]] });
    const empty = rows.take(0).batch(2);
    await expect(fit(line(), empty, options())).rejects.toThrow("fit: the dataset is empty");
    await expect(fit(line(), [], options())).rejects.toThrow("fit: the dataset is empty");
    await expect(fit(line(), () => [], options())).rejects.toThrow(
      "fit: the dataset gave no batches in epoch 1: it is empty",
    );
    await expect(fit(line(), rows.batch(1), { ...options(), validation: empty })).rejects.toThrow(
      "fit: validation is empty",
    );
    await expect(evaluate(line(), empty, { loss })).rejects.toThrow("evaluate: dataset is empty");
    const once = [[tensor([[1]]), tensor([[1]])]][Symbol.iterator]();
    await expect(fit(line(), once, { ...options(), epochs: 2 })).rejects.toThrow(
      "no batches in epoch 2; what can be gone through only once",
    );
    await expect(fit(line(), rows, options())).rejects.toThrow(
      "fit: x is a row, { data, shape [1] }, and no batch: the dataset must end with .batch(32)",
    );
    const named = data.fromArrays({ images: [[1]], labels: [[1]] }).batch(1);
    await expect(fit(line(), named, options())).rejects.toThrow(
      "fit: a batch must be { x, y } or [x, y], the inputs and the labels, but is an object ({ images, labels })",
    );
    await expect(fit(line(), [{ x: tensor([[1], [2]]), y: tensor([[1]]) }], options())).rejects.toThrow(
      "the same number of rows, but the arrays are f32[2,1], f32[1,1]",
    );
    await expect(fit(line(), 3 as never, options())).rejects.toThrow("dataset must be a dataset");
  });

  test("options that are none", async () => {
    const batch = [[tensor([[1]]), tensor([[1]])]];
    const attempt = (more: object) => fit(line(), batch, { ...options(), ...more });
    await expect(attempt({ loss: "mse" })).rejects.toThrow("loss must be a function of labels and predictions");
    await expect(attempt({ optimizer: "adam" })).rejects.toThrow("optimizer must be one, such as optim.adam");
    await expect(attempt({ epoch: 3 })).rejects.toThrow("there is no option epoch");
    await expect(attempt({ epochs: 1.5 })).rejects.toThrow("epochs must be a whole number");
    await expect(attempt({ callbacks: [earlyStopping] })).rejects.toThrow("call what makes them");
    await expect(attempt({ metrics: [metrics.accuracy, metrics.accuracy] })).rejects.toThrow(
      "two metrics are called accuracy",
    );
    await expect(fit(line().freeze() as nn.Dense, batch, options())).rejects.toThrow("no trainable variables");
    const matrix = [{ x: tensor([[1, 2]]), y: tensor([1], { dtype: "i32" }) }];
    await expect(evaluate(classifier(), matrix, { metrics: [metrics.confusionMatrix] })).rejects.toThrow(
      "the metric confusionMatrix gives f32[2,2]",
    );
  });
});

describe("predict", () => {
  test("gives the predictions of all rows, whatever the batch", async () => {
    const model = classifier();
    const x = tensor(points(10).x, { shape: [10, 2] });
    const expected = Array.from(model.call(x).dataSync());
    for (const batch of [3, 10, 64]) {
      const before = memory().tensors;
      const got = await predict(model, x, { batch });
      expect(memory().tensors).toBe(before + 1);
      expect(got.shape).toEqual([10, 2]);
      expect(Array.from(got.dataSync())).toEqual(expected.map((value) => expect.closeTo(value, 5)));
    }
    await expect(predict(model, tensor(new Float32Array(0), { shape: [0, 2] }))).rejects.toThrow("predict: x is empty");
  });
});
