// Convolutions as the library offers them, forward and gradients, against plain loops that share nothing with it:
// random windows, strides, dilations, uneven padding, groups, odd sizes, nothing at all.
import { beforeAll, describe, expect, test } from "vitest";
import * as s from "../packages/tracer/src/index.ts";
import { type ConvCase, convLoops, eachProduct, type PoolCase, poolLoops, resultSize } from "./support/conv-loops.ts";
import { fullRun } from "./support/fuzz.ts";
import { seededRng } from "./support/random.ts";

beforeAll(() => s.setBackend("wasm"));

const rng = seededRng(5);
const pick = <T>(...items: readonly T[]): T => rng.pick(items);
const floats = (count: number): Float32Array => Float32Array.from({ length: count }, () => rng.real(-1, 1));
const volume = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

function expectNear(actual: s.Tensor, shape: readonly number[], expected: ArrayLike<number>): void {
  expect(actual.shape).toEqual(shape);
  const got = actual.dataSync();
  let worst = 0;
  for (let i = 0; i < got.length; i++)
    worst = Math.max(worst, Math.abs(Number(got[i]) - expected[i]!) / Math.max(1, Math.abs(expected[i]!)));
  expect(worst).toBeLessThan(2e-5);
}

function randomCase(): ConvCase {
  const groups = pick(1, 1, 1, 2, 3);
  for (;;) {
    const c: ConvCase = {
      n: pick(1, 2, 3),
      size: [pick(1, 3, 5, 7, 8, 12), pick(1, 2, 4, 6, 9, 17)],
      window: [pick(1, 2, 3, 5), pick(1, 2, 3, 4)],
      channels: groups * pick(1, 2, 3, 8),
      filters: groups * pick(1, 2, 4, 7, 16),
      groups,
      strides: [pick(1, 1, 2, 3), pick(1, 1, 2)],
      dilation: [pick(1, 1, 2), pick(1, 1, 3)],
      padding: [
        [pick(0, 0, 1, 2), pick(0, 0, 1, 3)],
        [pick(0, 0, 1, 2), pick(0, 1, 1, 4)],
      ],
    };
    if (resultSize(c).every((size) => size > 0)) return c;
  }
}

describe("conv2d", () => {
  test("and its gradients are those of plain loops, compiled and at once, in both layouts", () => {
    for (let i = 0; i < (fullRun ? 120 : 16); i++) {
      const c = randomCase();
      const [xShape, wShape] = [
        [c.n, ...c.size, c.channels],
        [...c.window, c.channels / c.groups, c.filters],
      ];
      const yShape = [c.n, ...resultSize(c), c.filters];
      const [x, w, ct] = [floats(volume(xShape)), floats(volume(wShape)), floats(volume(yShape))];
      const { strides, padding, dilation, groups } = c;
      const options = { strides, padding, dilation, groups };
      const expected = convLoops(c, x, w, ct);
      const [xs, ws, cts] = [s.tensor(x).reshape(xShape), s.tensor(w).reshape(wShape), s.tensor(ct).reshape(yShape)];
      const first = [0, 3, 1, 2];
      const last = [0, 2, 3, 1];
      const layout = i % 2 === 0 ? "NHWC" : "NCHW";
      const f = (a: s.Tensor, b: s.Tensor): s.Tensor =>
        layout === "NHWC"
          ? s.conv2d(a, b, options)
          : s.conv2d(a.transpose(first), b, { ...options, layout }).transpose(last);
      expectNear(i % 3 === 0 ? f(xs, ws) : s.compile(f)(xs, ws), yShape, expected.y);
      const gradients = s.compile(s.grad((a: s.Tensor, b: s.Tensor) => f(a, b).mul(cts).sum(), { argnums: [0, 1] }));
      const [dx, dw] = gradients(xs, ws) as unknown as [s.Tensor, s.Tensor];
      expectNear(dx, xShape, expected.dx);
      expectNear(dw, wShape, expected.dw);
    }
  });

  test("pads by the rule of same: as many places as elements over strides", () => {
    for (const [size, window, stride] of [
      [7, 3, 1],
      [7, 3, 2],
      [8, 3, 2],
      [6, 2, 1],
      [5, 4, 3],
      [9, 1, 4],
    ] as const) {
      const out = Math.ceil(size / stride);
      const total = Math.max((out - 1) * stride + window - size, 0);
      const lo = Math.floor(total / 2);
      const [x, w] = [floats(2 * size * size * 3), floats(window * window * 3 * 4)];
      const c: ConvCase = {
        ...{ n: 2, size: [size, size], window: [window, window], channels: 3, filters: 4, groups: 1 },
        ...{ strides: [stride, stride], dilation: [1, 1] },
        padding: [
          [lo, total - lo],
          [lo, total - lo],
        ],
      };
      const y = s.conv2d(s.tensor(x).reshape([2, size, size, 3]), s.tensor(w).reshape([window, window, 3, 4]), {
        padding: "same",
        strides: stride,
      });
      expectNear(y, [2, out, out, 4], convLoops(c, x, w, new Float32Array(2 * out * out * 4)).y);
    }
  });

  test("of nothing: no images, no channels, no filters", () => {
    const shape = (n: number, c: number, o: number): readonly number[] => {
      const f = s.compile((x: s.Tensor, w: s.Tensor) => s.conv2d(x, w));
      const y = f(s.ones([n, 4, 5, c]), s.ones([2, 2, c, o]));
      expect(y.dataSync().every((value) => value === 0)).toBe(true);
      const dw = s.grad((w: s.Tensor) => s.conv2d(s.ones([n, 4, 5, c]), w).sum())(s.ones([2, 2, c, o])) as s.Tensor;
      expect(dw.shape).toEqual([2, 2, c, o]);
      return y.shape;
    };
    expect(shape(0, 2, 3)).toEqual([0, 3, 4, 3]);
    expect(shape(2, 0, 3)).toEqual([2, 3, 4, 3]);
    expect(shape(2, 2, 0)).toEqual([2, 3, 4, 0]);
  });

  test("of whole numbers is exact, of doubles precise", () => {
    const x = s.arange(2 * 5 * 5 * 2).reshape([2, 5, 5, 2]);
    const w = s.arange(3 * 3 * 2 * 3).reshape([3, 3, 2, 3]);
    const doubles = s.conv2d(x.cast("f64"), w.cast("f64"));
    const whole = s.conv2d(x.cast("i32"), w.cast("i32"));
    expect([doubles.dtype, whole.dtype]).toEqual(["f64", "i32"]);
    expect([...whole.dataSync()]).toEqual([...doubles.dataSync()]);
  });

  test("of any number of images", () => {
    const f = s.compile((x: s.Tensor, w: s.Tensor) => s.conv2d(x, w, { padding: 1 }).relu().sum([1, 2]), {
      signature: [s.spec([null, 6, 7, 3]), s.spec([3, 3, 3, 8])],
    });
    const w = s.tensor(floats(3 * 3 * 3 * 8)).reshape([3, 3, 3, 8]);
    for (const n of [1, 2, 5, 33]) {
      const x = s.tensor(floats(n * 6 * 7 * 3)).reshape([n, 6, 7, 3]);
      expectNear(f(x, w), [n, 8], s.conv2d(x, w, { padding: 1 }).relu().sum([1, 2]).dataSync() as Float32Array);
    }
    expect(f.traces).toBe(1);
  });
});

test("conv1d is conv2d of images that are one pixel high", () => {
  const [x, w] = [s.tensor(floats(2 * 9 * 3)).reshape([2, 9, 3]), s.tensor(floats(4 * 3 * 5)).reshape([4, 3, 5])];
  const options = { strides: 2, dilation: 2, padding: [[3, 1]] as [number, number][] };
  const wide = s
    .conv2d(x.expandDims(1), w.expandDims(0), {
      strides: [1, 2],
      dilation: [1, 2],
      padding: [0, [3, 1]],
    })
    .squeeze(1);
  expectNear(s.conv1d(x, w, options), wide.shape, wide.dataSync() as Float32Array);
  const turned = s.conv1d(x.transpose([0, 2, 1]), w, { ...options, layout: "NCW" }).transpose([0, 2, 1]);
  expectNear(turned, wide.shape, wide.dataSync() as Float32Array);
});

test("depthwiseConv2d is a convolution with a group for each channel", () => {
  for (const [channels, multiplier] of [
    [3, 1],
    [4, 2],
    [17, 1],
  ] as const) {
    const c: ConvCase = {
      ...{ n: 2, size: [7, 6], window: [3, 2], channels, filters: channels * multiplier, groups: channels },
      ...{ strides: [2, 1], dilation: [1, 2] },
      padding: [
        [1, 0],
        [2, 1],
      ],
    };
    const yShape = [2, ...resultSize(c), c.filters];
    const [x, w, ct] = [floats(2 * 7 * 6 * channels), floats(6 * c.filters), floats(volume(yShape))];
    const expected = convLoops(c, x, w, ct);
    const { strides, dilation, padding } = c;
    const f = (a: s.Tensor, b: s.Tensor): s.Tensor => s.depthwiseConv2d(a, b, { strides, dilation, padding });
    const [xs, ws] = [s.tensor(x).reshape([2, 7, 6, channels]), s.tensor(w).reshape([3, 2, channels, multiplier])];
    expectNear(s.compile(f)(xs, ws), yShape, expected.y);
    const cts = s.tensor(ct).reshape(yShape);
    const [dx, dw] = s.compile(s.grad((a: s.Tensor, b: s.Tensor) => f(a, b).mul(cts).sum(), { argnums: [0, 1] }))(
      xs,
      ws,
    ) as unknown as [s.Tensor, s.Tensor];
    expectNear(dx, xs.shape, expected.dx);
    expectNear(dw, ws.shape, expected.dw);
  }
});

test("convTranspose2d is the transpose of a convolution", () => {
  for (let i = 0; i < (fullRun ? 40 : 8); i++) {
    const c = { ...randomCase(), groups: 1 };
    const [oh, ow] = resultSize(c);
    // The convolution takes images of this size to [oh, ow]; its transpose goes back to the least such size.
    const size = [0, 1].map(
      (axis) =>
        ((axis === 0 ? oh : ow) - 1) * c.strides[axis]! +
        (c.window[axis]! - 1) * c.dilation[axis]! +
        1 -
        c.padding[axis]![0] -
        c.padding[axis]![1],
    ) as [number, number];
    if (size.some((n) => n < 1)) continue;
    const of: ConvCase = { ...c, size };
    const [x, w] = [floats(c.n * oh * ow * c.filters), floats(volume(c.window) * c.channels * c.filters)];
    const expected = new Float64Array(c.n * volume(size) * c.channels);
    eachProduct(of, (at, k, y) => {
      expected[at]! += x[y]! * w[k]!;
    });
    const result = s.compile((a: s.Tensor, b: s.Tensor) =>
      s.convTranspose2d(a, b, { strides: c.strides, dilation: c.dilation, padding: c.padding }),
    )(
      s.tensor(x).reshape([c.n, oh, ow, c.filters]),
      s
        .tensor(w)
        .reshape([...c.window, c.channels, c.filters])
        .transpose([0, 1, 3, 2]),
    );
    expectNear(result, [c.n, ...size, c.channels], expected);
  }
  const doubled = s.convTranspose2d(s.ones([1, 3, 5, 2]), s.ones([3, 3, 2, 4]), { strides: 2, padding: "same" });
  expect(doubled.shape).toEqual([1, 6, 10, 4]);
  expect(s.convTranspose2d(s.ones([1, 3, 5, 2]), s.ones([1, 1, 2, 4]), { strides: 2, padding: "same" }).shape).toEqual([
    1, 6, 10, 4,
  ]);
});

describe("pools", () => {
  test("and their gradients are those of plain loops, where the first of equal elements has it", () => {
    for (let i = 0; i < (fullRun ? 100 : 14); i++) {
      const window: [number, number] = [pick(2, 2, 3), pick(2, 2, 3)];
      const c: PoolCase = {
        ...{ n: pick(1, 2), size: [pick(3, 4, 6, 9), pick(4, 5, 8, 17)], channels: pick(1, 3, 4, 16), window },
        strides: i % 2 === 0 ? window : [pick(1, 2, 3), pick(1, 2)],
        dilation: [pick(1, 1, 2), 1],
        padding: pick(
          [
            [0, 0],
            [0, 0],
          ],
          [
            [0, 1],
            [1, 0],
          ],
        ),
      };
      const result = resultSize(c);
      if (result.includes(0)) continue;
      const [shape, yShape] = [
        [c.n, ...c.size, c.channels],
        [c.n, ...result, c.channels],
      ];
      // Few different values, so that equal ones meet.
      const x = Float32Array.from({ length: volume(shape) }, () => rng.int(-3, 3));
      const ct = floats(volume(yShape));
      const { strides, dilation, padding } = c;
      for (const kind of ["max", "mean"] as const) {
        const f = (a: s.Tensor): s.Tensor =>
          (kind === "max" ? s.maxPool : s.avgPool)(a, window, { strides, dilation, padding });
        const expected = poolLoops(kind, c, x, ct);
        const [xs, cts] = [s.tensor(x).reshape(shape), s.tensor(ct).reshape(yShape)];
        expectNear(i % 3 === 0 ? f(xs) : s.compile(f)(xs), yShape, expected.y);
        expectNear(s.compile(s.grad((a: s.Tensor) => f(a).mul(cts).sum()))(xs), shape, expected.dx);
      }
    }
  });

  test("have second derivatives and directional ones, and act lane by lane", () => {
    const x = s.tensor(floats(3 * 6 * 6 * 2)).reshape([3, 6, 6, 2]);
    for (const pool of [
      (a: s.Tensor) => s.maxPool(a, 2),
      (a: s.Tensor) => s.maxPool(a, 3, { strides: 1, padding: 1 }),
      (a: s.Tensor) => s.avgPool(a, 3, { strides: 2, padding: "same" }),
    ]) {
      const f = (a: s.Tensor): s.Tensor => pool(a).square().sum();
      const ones = s.ones([3, 6, 6, 2]);
      const [, slope] = s.jvp(f, [x], [ones]) as unknown as [s.Tensor, s.Tensor];
      const gradient = s.grad(f)(x) as s.Tensor;
      expectNear(slope, [], [Number(gradient.sum().item())]);
      // Of a square of what is linear near x: the second derivative along x is the gradient.
      const second = s.grad((a: s.Tensor) => (s.grad(f)(a) as s.Tensor).mul(x).sum())(x) as s.Tensor;
      expectNear(second, [3, 6, 6, 2], gradient.dataSync() as Float32Array);
      const lanes = s.vmap((a: s.Tensor) => pool(a.expandDims(0)).squeeze(0))(x) as s.Tensor;
      expectNear(lanes, pool(x).shape, pool(x).dataSync() as Float32Array);
    }
  });
});
