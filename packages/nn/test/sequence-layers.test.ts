/** Recurrent layers and attention, against plain loops. */
import { compile, evalShape, gradients, type Spec, spec, type Tensor, tensor } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import { nn, optim } from "../src/index.ts";
import { expectClose, expectSlopes, fill, numbers, waves } from "./support/slopes.ts";

type Row = readonly number[];
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** A row times columns from..from + count of a matrix of `width` columns. */
function times(row: Row, matrix: ArrayLike<number>, width: number, from = 0, count = width): number[] {
  return Array.from({ length: count }, (_, j) => row.reduce((sum, x, i) => sum + x * matrix[i * width + from + j]!, 0));
}

/** The outputs of all steps for one sample. `state` is changed by `step`, which returns the output. */
function steps(x: Tensor, sample: number, step: (row: Row) => Row): number[][] {
  const [, length, width] = x.shape as [number, number, number];
  const data = numbers(x);
  return Array.from({ length }, (_, t) => {
    const at = (sample * length + t) * width;
    return [...step(data.slice(at, at + width))];
  });
}

const [samples, length, inputs, units] = [2, 5, 3, 4];
const x = waves([samples, length, inputs], 9);

/** Loops over samples: what `start` makes of the state's first rows is the step. */
function looped(given: Tensor, start: (sample: number) => (row: Row) => Row): number[][][] {
  return Array.from({ length: given.shape[0]! }, (_, n) => steps(given, n, start(n)));
}

describe("recurrent layers", () => {
  test("a simple one", () => {
    const layer = new nn.SimpleRNN(units, { returnSequences: true });
    layer.call(x);
    const [kernel, recurrent, bias] = fill(layer.variables);
    const wanted = looped(x, () => {
      let h: Row = new Array(units).fill(0);
      return (row) => {
        const [a, b] = [times(row, kernel!, units), times(h, recurrent!, units)];
        h = a.map((value, j) => Math.tanh(value + b[j]! + bias![j]!));
        return h;
      };
    });
    expectClose(layer.call(x), wanted.flat(2), 4);
    expectSlopes(() => layer.call(x), layer.variables);
  });

  test("an LSTM, its gates in Keras's order, from a state of its own", () => {
    const layer = new nn.LSTM(units, { returnSequences: true });
    layer.call(x);
    expect(Object.entries(layer.stateDict()).map(([name, { shape }]) => [name, shape])).toEqual([
      ["kernel", [inputs, 4 * units]],
      ["recurrentKernel", [units, 4 * units]],
      ["bias", [4 * units]],
    ]);
    expect(layer.kernel!.name).toMatch(/^lstm_\d+\.kernel$/);
    expect(numbers(layer.bias!)).toEqual([0, 1, 0, 0].flatMap((b) => new Array(units).fill(b)));
    const square = layer.recurrentKernel!.value.matmul(layer.recurrentKernel!.transpose());
    expectClose(square, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);

    const [kernel, recurrent, bias] = fill(layer.variables);
    const initialState = [waves([samples, units], 20), waves([samples, units], 21)];
    const cells: Row[] = [];
    const wanted = looped(x, (n) => {
      const row = (part: Tensor): Row => numbers(part).slice(n * units, (n + 1) * units);
      let [h, c] = [row(initialState[0]!), row(initialState[1]!)];
      return (given) => {
        const [a, b] = [times(given, kernel!, 4 * units), times(h, recurrent!, 4 * units)];
        const z = a.map((value, j) => value + b[j]! + bias![j]!);
        const gate = (k: number, j: number): number => sigmoid(z[k * units + j]!);
        c = c.map((value, j) => gate(1, j) * value + gate(0, j) * Math.tanh(z[2 * units + j]!));
        h = c.map((value, j) => gate(3, j) * Math.tanh(value));
        cells[n] = c;
        return h;
      };
    });
    const { output, state } = layer.callWithState(x, { initialState });
    expectClose(output, wanted.flat(2), 4);
    expectClose(
      state[0]!,
      wanted.flatMap((rows) => rows.at(-1)!),
      4,
    );
    expectClose(state[1]!, cells.flat(), 4);
    expectSlopes(() => layer.call(x, { initialState }), layer.variables);
  });

  test.each([true, false])("a GRU, its reset gate after the product: %s", (resetAfter) => {
    const layer = new nn.GRU(units, { resetAfter, inputs });
    expect(layer.variables.map(({ shape }) => shape)).toEqual([
      [inputs, 3 * units],
      [units, 3 * units],
      resetAfter ? [2, 3 * units] : [3 * units],
    ]);
    const [kernel, recurrent, bias] = fill(layer.variables);
    const width = 3 * units;
    const wanted = looped(x, () => {
      let h: Row = new Array(units).fill(0);
      return (row) => {
        const a = times(row, kernel!, width).map((value, j) => value + bias![j]!);
        const b = times(h, recurrent!, width).map((value, j) => value + (resetAfter ? bias![width + j]! : 0));
        const z = h.map((_, j) => sigmoid(a[j]! + b[j]!));
        const r = h.map((_, j) => sigmoid(a[units + j]! + b[units + j]!));
        const before = times(
          h.map((value, j) => value * r[j]!),
          recurrent!,
          width,
          2 * units,
          units,
        );
        const g = h.map((_, j) => {
          const from = resetAfter ? r[j]! * b[2 * units + j]! : before[j]!;
          return Math.tanh(a[2 * units + j]! + from);
        });
        h = h.map((value, j) => z[j]! * value + (1 - z[j]!) * g[j]!);
        return h;
      };
    });
    const last = layer.call(x);
    expect(last.shape).toEqual([samples, units]);
    expectClose(
      last,
      wanted.flatMap((rows) => rows.at(-1)!),
      4,
    );
    expectSlopes(() => layer.call(x), layer.variables);
  });

  test("the program is as large for long sequences as for short ones, gradients included", () => {
    const layer = new nn.LSTM(3, { inputs: 2 });
    const step = compile((given: Tensor) => gradients(() => layer.call(given).sum(), layer.variables));
    const [short, long] = [4, 400].map((n) => step.lower(spec([2, n, 2])));
    expect(long!.cost().kernels).toBe(short!.cost().kernels);
    expect(long!.text("simplified").split("\n").length).toBe(short!.text("simplified").split("\n").length);
  });

  test("one program takes batches of every size, and makes the variables when it is traced", () => {
    const layer = new nn.GRU(units);
    const call = compile((given: Tensor) => layer.call(given), { signature: [spec([null, length, inputs])] });
    expectClose(call(x), numbers(layer.call(x)));
    expect(call(waves([5, length, inputs])).shape).toEqual([5, units]);
    expect(call.traces).toBe(1);
  });

  test("what does not fit is said", () => {
    const layer = new nn.LSTM(units, { name: "memory", inputs });
    expect(() => layer.call(waves([2, 3]))).toThrow(
      "memory: x is f32[2,3], and must have 3 axes: samples, steps and features",
    );
    expect(() => layer.call(waves([2, 3, 5]))).toThrow("memory: x is f32[2,3,5], but the layer takes 3 inputs");
    expect(() => layer.call(x, { initialState: [waves([2, 4])] })).toThrow(
      "memory: initialState must be [h, c], not an array of length 1",
    );
    expect(() => layer.call(x, { initialState: [waves([2, 4]), waves([3, 4])] })).toThrow(
      "memory: initialState[1] is f32[3,4]",
    );
    const open = compile((given: Tensor) => layer.call(given), { signature: [spec([2, null, inputs])] });
    expect(() => open(x)).toThrow(/memory: scan: the first axis of xs is the symbolic size/);
    expect(() => new nn.SimpleRNN(2).variables).toThrow("how many inputs it has is known when it is called");
  });

  test("an LSTM learns to remember the first of several elements", () => {
    nn.setSeed(2);
    const model = new nn.Sequential([new nn.LSTM(8), new nn.Dense(1)]).build(spec([null, 6, 1]));
    const optimizer = optim.adam({ learningRate: 0.05 });
    const sequences = waves([32, 6, 1], 77);
    const target = sequences.slice([0, 0, 0], [32, 1, 1]).reshape([32, 1]);
    const step = compile(() => {
      const { value, grads } = gradients(
        () => model.call(sequences).sub(target).square().mean(),
        model.trainableVariables,
      );
      optimizer.apply(grads, model.trainableVariables);
      return value;
    });
    const first = step().item() as number;
    for (let i = 0; i < 80; i++) step().dispose();
    expect(step().item()).toBeLessThan(0.1 * first);
  });
});

describe("attention", () => {
  const [heads, keyDim, valueDim, width] = [2, 3, 2, 5];
  const query = waves([2, 3, width], 30);
  const memory = waves([2, 4, 6], 31);
  const layer = new nn.MultiHeadAttention(heads, keyDim, { valueDim });
  layer.call(query, { value: memory });
  const values = fill(layer.variables);

  /** Of the first sample; `sees` says which source a target looks at. */
  function wanted(n: number, sees: (target: number, source: number) => boolean): number[] {
    const [wq, bq, wk, bk, wv, bv, wo, bo] = values;
    const rows = (of: Tensor): number[][] => {
      const [, count, size] = of.shape as [number, number, number];
      const data = numbers(of);
      return Array.from({ length: count }, (_, i) => data.slice((n * count + i) * size, (n * count + i + 1) * size));
    };
    const dense = (row: Row, w: Float32Array, b: Float32Array): number[] =>
      times(row, w, b.length).map((value, j) => value + b[j]!);
    const k = rows(memory).map((row) => dense(row, wk!, bk!));
    const v = rows(memory).map((row) => dense(row, wv!, bv!));
    return rows(query).flatMap((row, target) => {
      const q = dense(row, wq!, bq!);
      const looked: number[] = [];
      for (let h = 0; h < heads; h++) {
        const weights = k.map((source, s) => {
          if (!sees(target, s)) return 0;
          let score = 0;
          for (let d = 0; d < keyDim; d++) score += q[h * keyDim + d]! * source[h * keyDim + d]!;
          return Math.exp(score / Math.sqrt(keyDim));
        });
        const total = weights.reduce((a, b) => a + b);
        for (let d = 0; d < valueDim; d++)
          looked.push(weights.reduce((sum, w, s) => sum + (w / total) * v[s]![h * valueDim + d]!, 0));
      }
      return dense(looked, wo!, bo!);
    });
  }
  const both = (sees: (n: number, target: number, source: number) => boolean): number[] =>
    [0, 1].flatMap((n) => wanted(n, (target, source) => sees(n, target, source)));

  test("looks values up in several ways at once", () => {
    expect(Object.entries(layer.stateDict()).map(([name, { shape }]) => [name, shape])).toEqual([
      ...[
        ["query.kernel", [5, 6]],
        ["query.bias", [6]],
        ["key.kernel", [6, 6]],
        ["key.bias", [6]],
      ],
      ...[
        ["value.kernel", [6, 4]],
        ["value.bias", [4]],
        ["output.kernel", [4, 5]],
        ["output.bias", [5]],
      ],
    ]);
    expectClose(
      layer.call(query, { value: memory }),
      both(() => true),
      4,
    );
    expectSlopes(() => layer.call(query, { key: memory }), layer.variables);
  });

  test("sees what a mask lets it see, and what came before", () => {
    const present = tensor([
      [true, true, false, true],
      [true, false, false, false],
    ]);
    const flags = [
      [1, 1, 0, 1],
      [1, 0, 0, 0],
    ];
    const seen = layer.call(query, { value: memory, mask: present.expandDims(1) });
    expectClose(
      seen,
      both((n, _, source) => flags[n]![source] === 1),
      4,
    );
    const earlier = layer.call(query, { value: memory, causal: true });
    expectClose(
      earlier,
      both((_n, target, source) => source <= target),
      4,
    );
    const together = layer.call(query, { value: memory, causal: true, mask: present.expandDims(1) });
    expectClose(
      together,
      both((n, target, source) => source <= target && flags[n]![source] === 1),
      4,
    );
    const nothing = layer.call(query, { value: memory, mask: tensor(false).broadcastTo([3, 4]) });
    expect(numbers(nothing).every(Number.isFinite)).toBe(true);
  });

  test("attends to itself for every number of places, and drops weights while training only", () => {
    const self = new nn.MultiHeadAttention(2, 4, { dropout: 0.5, inputs: 5, outputDim: 3 });
    expect(self.variables.map(({ shape }) => shape)).toEqual([[5, 8], [8], [5, 8], [8], [5, 8], [8], [8, 3], [3], [2]]);
    const call = compile((given: Tensor) => self.call(given, { causal: true }), { signature: [spec([null, null, 5])] });
    expectClose(call(query), numbers(self.call(query, { causal: true })));
    expect(call(waves([1, 7, 5])).shape).toEqual([1, 7, 3]);
    expect(call.traces).toBe(1);
    expect(numbers(self.call(query))).toEqual(numbers(self.call(query)));
    const train = { training: true };
    expect(numbers(self.call(query, train))).not.toEqual(numbers(self.call(query, train)));
    const single = evalShape((given: Tensor) => self.call(given), spec([7, 5])) as Spec;
    expect(single.shape).toEqual([7, 3]);
  });

  test("what does not fit is said", () => {
    const named = new nn.MultiHeadAttention(2, 4, { name: "look" });
    expect(() => named.variables).toThrow("has no variables yet");
    const call = (options: nn.AttentionCallOptions) => () => named.call(query, options);
    expect(call({ value: waves([4, 6]) })).toThrow(
      "look: query is f32[2,3,5], key f32[4,6], value f32[4,6]: they must have",
    );
    expect(call({ value: waves([3, 4, 6]) })).toThrow("axes before the last two must agree");
    expect(call({ key: waves([2, 4, 6]), value: waves([2, 3, 6]) })).toThrow("as many places as each other");
    expect(call({ mask: waves([3, 3]) })).toThrow("look: mask must be bool");
    expect(call({ mask: tensor(true).broadcastTo([2, 4, 3]) })).toThrow(/look: where: .*bool\[2,1,4,3\]/);
    expect(() => new nn.MultiHeadAttention(0, 4)).toThrow(
      "nn.MultiHeadAttention: numHeads must be a whole number above 0",
    );
    expect(() => new nn.MultiHeadAttention(2, 4, { dropout: 1 })).toThrow("rate must be from 0 to below 1");
  });
});
