/** Convolutions and pooling as layers, against plain loops. */
import { compile, gradients, relu, spec, type Tensor, tensor } from "@sinter/tracer";
import { describe, expect, test } from "vitest";
import { type ConvCase, convLoops } from "../../../test/support/conv-loops.ts";
import { losses, nn, optim } from "../src/index.ts";
import { expectClose, expectSlopes, fill, numbers, wave, waves } from "./support/slopes.ts";

const one = [1, 1] as const;
const none = [
  [0, 0],
  [0, 0],
] as const;

/** With a bias for each filter and the square root of 1 + y^2 after it. */
function after(y: Float64Array, bias: ArrayLike<number>): Float64Array {
  return y.map((value, i) => Math.hypot(1, value + bias[i % bias.length]!));
}
const activation = (x: Tensor): Tensor => x.square().add(1).sqrt();

describe("convolutions", () => {
  test("of images in groups, with strides and dilation", () => {
    const c: ConvCase = {
      ...{ n: 2, size: [7, 6], window: [3, 2], channels: 4, filters: 6, groups: 2 },
      ...{ strides: [2, 1], dilation: [1, 2], padding: [[1, 1], [0, 2]] as const }, // biome-ignore format: as the loops say it
    };
    const layer = new nn.Conv2d(6, [3, 2], {
      ...{ strides: [2, 1], dilationRate: [1, 2], padding: [1, [0, 2]], groups: 2, activation },
    });
    const x = waves([2, 7, 6, 4]);
    layer.call(x);
    expect(Object.entries(layer.stateDict()).map(([name, { shape }]) => [name, shape])).toEqual([
      ["kernel", [3, 2, 2, 6]],
      ["bias", [6]],
    ]);
    expect(layer.kernel!.name).toMatch(/^conv2d_\d+\.kernel$/);
    const [kernel, bias] = fill(layer.variables);
    expectClose(layer.call(x), after(convLoops(c, numbers(x), kernel!, []).y, bias!), 4);
    expectSlopes(() => layer.call(x), layer.variables);
  });

  test("channels first are the same numbers elsewhere, the bias too", () => {
    const last = new nn.Conv2d(3, 2, { inputs: 2 });
    const first = new nn.Conv2d(3, 2, { inputs: 2, layout: "NCHW" });
    fill(last.variables);
    fill(first.variables);
    const x = waves([2, 4, 3, 2]);
    const turned = first.call(x.transpose([0, 3, 1, 2]));
    expect(turned.shape).toEqual([2, 3, 3, 2]);
    expectClose(turned.transpose([0, 2, 3, 1]), numbers(last.call(x)));
  });

  test("along one axis; causal ones see nothing that comes later", () => {
    const layer = new nn.Conv1d(2, 3, { padding: "causal", dilationRate: 2 });
    const x = waves([1, 6, 3]);
    layer.call(x);
    const [kernel, bias] = fill(layer.variables);
    const data = numbers(x);
    const wanted = new Float64Array(12);
    for (let t = 0; t < 6; t++)
      for (let o = 0; o < 2; o++) {
        let sum = bias![o]!;
        for (let k = 0; k < 3; k++) {
          const from = t - 2 * (2 - k);
          for (let i = 0; i < 3 && from >= 0; i++) sum += data[from * 3 + i]! * kernel![(k * 3 + i) * 2 + o]!;
        }
        wanted[t * 2 + o] = sum;
      }
    expectClose(layer.call(x), wanted);
    expectSlopes(() => layer.call(x).tanh(), layer.variables);
  });

  test("transposed, each element adds a window", () => {
    const layer = new nn.ConvTranspose2d(3, 3, { strides: 2, useBias: false });
    const x = waves([2, 2, 3, 2]);
    layer.call(x);
    const [kernel] = fill(layer.variables);
    expect(layer.kernel!.shape).toEqual([3, 3, 2, 3]);
    const data = numbers(x);
    const wanted = new Float64Array(2 * 5 * 7 * 3);
    for (let n = 0; n < 2; n++)
      for (let r = 0; r < 2; r++)
        for (let c = 0; c < 3; c++)
          for (let i = 0; i < 3; i++)
            for (let j = 0; j < 3; j++)
              for (let from = 0; from < 2; from++)
                for (let to = 0; to < 3; to++)
                  wanted[((n * 5 + 2 * r + i) * 7 + 2 * c + j) * 3 + to]! +=
                    data[((n * 2 + r) * 3 + c) * 2 + from]! * kernel![((i * 3 + j) * 2 + from) * 3 + to]!;
    const out = layer.call(x);
    expect(out.shape).toEqual([2, 5, 7, 3]);
    expectClose(out, wanted);
    expect(new nn.ConvTranspose2d(3, 3, { strides: 2, padding: "same" }).call(x).shape).toEqual([2, 4, 6, 3]);
    expectSlopes(() => layer.call(x).tanh(), layer.variables);
  });

  test("channel by channel", () => {
    const c: ConvCase = {
      ...{ n: 1, size: [4, 5], window: [2, 3], channels: 3, filters: 6, groups: 3, strides: one, dilation: one },
      padding: none,
    };
    const layer = new nn.DepthwiseConv2d([2, 3], { depthMultiplier: 2, activation });
    const x = waves([1, 4, 5, 3]);
    layer.call(x);
    const [kernel, bias] = fill(layer.variables);
    expect(layer.variables.map(({ shape }) => shape)).toEqual([[2, 3, 3, 2], [6]]);
    expectClose(layer.call(x), after(convLoops(c, numbers(x), kernel!, []).y, bias!));
    expectSlopes(() => layer.call(x), layer.variables);
  });

  test("what does not fit is said with the layer's name", () => {
    const layer = new nn.Conv2d(4, 3, { name: "edges", inputs: 1 });
    expect(() => layer.call(waves([1, 2, 8, 1]))).toThrow(
      /^edges: conv2d: a window of 3 does not fit the 2 elements of spatial axis 0 of x, f32\[1,2,8,1\]\n {4}at .*image-layers/,
    );
    expect(() => layer.call(waves([1, 8, 8, 3]))).toThrow(
      "edges: x is f32[1,8,8,3] and has 3 channels, but the layer takes 1",
    );
    expect(() => layer.call(waves([8, 8, 1]))).toThrow(
      "must have 4 axes: samples, rows, columns and channels; x.expandDims(0)",
    );
    const strided = new nn.Conv1d(2, 3, { name: "strided", strides: 0, inputs: 1 });
    expect(() => strided.call(waves([1, 8, 1]))).toThrow(
      "strided: conv1d: strides must be integers of 1 or more, not 0",
    );
    const padded = new nn.MaxPool2d(2, { name: "padded", padding: [1, 2, 3] });
    expect(() => padded.call(waves([1, 8, 8, 1]))).toThrow("padded: maxPool: padding must be");
    expect(() => new nn.Conv2d(4, [3, 3, 3])).toThrow(
      "nn.Conv2d: kernelSize must be a number or 2 of them, not an array of length 3",
    );
    expect(() => new nn.Conv2d(4, 0)).toThrow("nn.Conv2d: kernelSize must be a whole number above 0, not 0");
    expect(() => new nn.Conv2d(4, 3, { groups: 3 })).toThrow("4 filters do not fall into 3 equal groups");
    expect(() => new nn.Conv2d(4, 3, { groups: 2 }).call(waves([1, 4, 4, 3]))).toThrow("3 channels do not fall into 2");
    const misspelt = { dilation: 2 } as nn.Conv2dOptions;
    expect(() => new nn.Conv2d(4, 3, misspelt)).toThrow(
      "nn.Conv2d: there is no option dilation; there are name, strides",
    );
    expect(() => new nn.Conv2d(4, 3).variables).toThrow("how many channels it takes is known when it is called");
  });
});

describe("pools", () => {
  const x = tensor(Float32Array.from([1, 5, 2, 8, 3, 4, 7, 6, 9, 0, 1, 2]), { shape: [1, 3, 4, 1] });

  test("of windows", () => {
    expect(numbers(new nn.MaxPool2d().call(x))).toEqual([5, 8]);
    expect(numbers(new nn.MaxPool2d(2, { padding: "same" }).call(x))).toEqual([5, 8, 9, 2]);
    expect(numbers(new nn.MaxPool2d([1, 2], { strides: 1 }).call(x))).toEqual([5, 5, 8, 4, 7, 7, 9, 1, 2]);
    expect(numbers(new nn.AvgPool2d(2).call(x))).toEqual([3.25, 5.75]);
    // What lies outside is no element: the last row is averaged over two.
    expect(numbers(new nn.AvgPool2d(2, { padding: "same" }).call(x))).toEqual([3.25, 5.75, 4.5, 1.5]);
    const row = x.reshape([1, 4, 3]);
    expect(numbers(new nn.MaxPool1d().call(row))).toEqual([8, 5, 4, 7, 6, 9]);
    expect(numbers(new nn.AvgPool1d(2).call(row))).toEqual([4.5, 4, 3, 3.5, 3.5, 5.5]);
  });

  test("of whole images", () => {
    expect(numbers(new nn.GlobalAveragePool().call(x))).toEqual([4]);
    const channels = waves([2, 3, 4, 5]);
    const first = new nn.GlobalAveragePool({ layout: "NCHW", keepDims: true }).call(channels.transpose([0, 3, 1, 2]));
    expect(first.shape).toEqual([2, 5, 1, 1]);
    expectClose(first.reshape([2, 5]), numbers(channels.mean([1, 2])));
    expect(() => new nn.GlobalAveragePool().call(waves([2, 3]))).toThrow(
      "must have samples, channels, and axes to average",
    );
  });
});

test("flatten keeps the samples, known or not; an activation may be a layer", () => {
  const flatten = new nn.Flatten();
  expect(flatten.call(waves([2, 3, 4])).shape).toEqual([2, 12]);
  expect(flatten.call(waves([0, 3, 4])).shape).toEqual([0, 12]);
  expect(flatten.call(waves([3])).shape).toEqual([3, 1]);
  const open = compile((x: Tensor) => flatten.call(x), { signature: [spec([null, 3, 2])] });
  expect([2, 5].map((n) => open(waves([n, 3, 2])).shape)).toEqual([2, 5].map((n) => [n, 6]));
  expect(open.traces).toBe(1);
  expect(numbers(new nn.Activation("relu").call(tensor([-1, 2])))).toEqual([0, 2]);
  expect(() => new nn.Activation("relux" as "relu")).toThrow("nn.Activation: there is no activation the string");
});

test("a convolutional classifier trains in one program for batches of every size", () => {
  nn.setSeed(3);
  const model = new nn.Sequential([
    new nn.Conv2d(4, 3, { padding: "same", activation: "relu" }),
    new nn.MaxPool2d(),
    new nn.DepthwiseConv2d(2, { depthMultiplier: 2 }),
    relu,
    new nn.Flatten(),
    new nn.Dense(2),
  ]).build(spec([null, 6, 6, 1]));
  const optimizer = optim.adam({ learningRate: 0.02 });
  const step = compile(
    (x: Tensor, labels: Tensor) => {
      const { value, grads } = gradients(
        () => losses.sparseCategoricalCrossentropy(labels, model.call(x, { training: true }), { fromLogits: true }),
        model.trainableVariables,
      );
      optimizer.apply(grads, model.trainableVariables);
      return value;
    },
    { signature: [spec(["batch", 6, 6, 1]), spec(["batch"], "i32")] },
  );
  // Horizontal and vertical stripes.
  const images = (n: number): [Tensor, Tensor] => {
    const labels = Int32Array.from({ length: n }, (_, i) => i % 2);
    const pixels = Float32Array.from({ length: n * 36 }, (_, i) => {
      const [image, row, column] = [Math.floor(i / 36), Math.floor(i / 6) % 6, i % 6];
      return ((labels[image] === 0 ? row : column) + Math.floor(image / 2)) % 2;
    });
    return [
      tensor(
        pixels.map((p, i) => p + 0.3 * wave(n * 36, n)[i]!),
        { shape: [n, 6, 6, 1] },
      ),
      tensor(labels),
    ];
  };
  const [large, small] = [images(8), images(4)];
  const history: number[] = [];
  for (let i = 0; i < 20; i++) history.push(...[large, small].map(([x, y]) => step(x, y).item() as number));
  expect(history.at(-1)!).toBeLessThan(0.2 * history[0]!);
  expect(step.traces).toBe(1);
});
