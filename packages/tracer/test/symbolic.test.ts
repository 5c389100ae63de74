// Signatures with sizes that are null or names: one trace and one program for all of them, which gives what a program for
// each size gives.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";

await programsOnWebgpu("Symbolic sizes", { sample: 1 });

type T = s.Tensor;
const t = s.tensor;

function filled(shape: readonly number[], seed: number): T {
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  for (let i = 0; i < data.length; i++) data[i] = Math.sin((i + seed) * 12.9898) * 1.2;
  return s.tensor(data, { shape });
}

const w1 = filled([13, 12], 3);
const b1 = filled([12], 5);
const w2 = filled([12, 5], 7);

function tensorsIn(value: unknown): T[] {
  if (value instanceof s.Tensor) return [value];
  return Object.values(value as object).flatMap(tensorsIn);
}

const network = (x: T, w: T): T => x.matmul(w).add(b1).relu().matmul(w2);
const loss = (x: T, y: T, w: T): T => network(x, w).logSoftmax().mul(y).sum(1).neg().mean();

interface Case {
  readonly run: (...args: T[]) => unknown;
  readonly signature: readonly s.Spec[];
  readonly shapes: (n: number) => readonly (readonly number[])[];
}

const batch = s.spec(["batch", 13]);
const rows = s.spec([null, 5]);
const cases: Record<string, Case> = {
  layers: { run: (x) => network(x!, w1).softmax(), signature: [s.spec([null, 13])], shapes: (n) => [[n, 13]] },
  "a loss": {
    run: (x, y) => loss(x!, y!, w1),
    signature: [batch, s.spec(["batch", 5])],
    shapes: (n) => [
      [n, 13],
      [n, 5],
    ],
  },
  "gradients of weights and inputs": {
    run: (x, y) => [s.grad((w: T) => loss(x!, y!, w))(w1), s.grad((z: T) => loss(z, y!, w1))(x!)],
    signature: [batch, s.spec(["batch", 5])],
    shapes: (n) => [
      [n, 13],
      [n, 5],
    ],
  },
  "folds along the symbolic axis": {
    run: (x) => [x!.mean(), x!.mean(0), x!.variance(0), x!.max(0), x!.argMax(0), x!.softmax(0), x!.cumsum(0)],
    signature: [rows],
    shapes: (n) => [[n, 5]],
  },
  "layer norm": {
    run: (x) => {
      const centred = x!.sub(x!.mean(-1, true));
      return centred.div(centred.square().mean(-1, true).add(1e-5).sqrt());
    },
    signature: [rows],
    shapes: (n) => [[n, 5]],
  },
  "sums and products of sizes": {
    run: (x, y) => [
      s.concat([x!, y!], 0),
      s.concat([x!, x!], 1).sum(0),
      x!.flatten(),
      x!.reshape([-1]).reshape([x!.dims[0]!, -1]),
      x!.tile([2, 1]),
      x!.pad([
        [1, 2],
        [0, 1],
      ]),
    ],
    signature: [s.spec(["n", 5]), s.spec(["m", 5])],
    shapes: (n) => [
      [n, 5],
      [n + 2, 5],
    ],
  },
  attention: {
    run: (x) => {
      const scores = x!
        .matmul(x!.transpose([0, 2, 1]))
        .mul(0.3)
        .softmax();
      return [
        scores.matmul(x!),
        s.grad((z: T) =>
          z
            .matmul(z.transpose([0, 2, 1]))
            .softmax()
            .square()
            .mean(),
        )(x!),
      ];
    },
    signature: [s.spec(["b", "t", 8])],
    shapes: (n) => [[2, Math.min(n, 19), 8]],
  },
  "rows by position": {
    run: (x) => [w1.gather(x!.abs().mul(3).cast("i32")), x!.cast("i32").oneHot(3), s.where(x!.gt(0), x!, x!.neg())],
    signature: [s.spec([null])],
    shapes: (n) => [[n]],
  },
  "branches and loops that carry it": {
    run: (x) => [
      s.cond(
        x!.sum().gt(0),
        () => x!.mul(2),
        () => x!.neg(),
      ),
      s.whileLoop(
        (v: T) => v.abs().max().lt(100),
        (v: T) => v.mul(1.5).add(0.1),
        x!,
      ),
      s.scan((c: T, k: T) => [c.mul(0.5).add(k), c.sum()] as const, x!, filled([4, 5], 2)),
      s.grad((z: T) =>
        s.scan((c: T, k: T) => [c.mul(z).add(k).tanh(), c.sum()] as const, z, filled([4, 5], 2))[0].sum(),
      )(x!),
    ],
    signature: [rows],
    shapes: (n) => [[n, 5]],
  },
  "a batch of examples": {
    run: (x) => s.vmap((r: T) => r.mul(r.sum()).softmax())(x!),
    signature: [rows],
    shapes: (n) => [[n, 5]],
  },
};

describe.each(Object.entries(cases))("%s", (_, { run, signature, shapes }) => {
  test("is traced once and agrees with a program for each size", () => {
    const any = s.compile(run, { signature });
    for (const n of [1, 2, 3, 7, 64, 65, 257]) {
      const args = shapes(n).map((shape, i) => filled(shape, i + n));
      const got = tensorsIn(any(...args));
      tensorsIn(s.compile(run)(...args)).forEach((want, i) => {
        expect(got[i]!.shape).toEqual(want.shape);
        const [a, b] = [want.dataSync(), got[i]!.dataSync()];
        expect(
          a.every((x, k) => Math.abs(x - b[k]!) <= 2e-5 * (1 + Math.abs(x))),
          `result ${i} of size ${n}`,
        ).toBe(true);
      });
    }
    expect(any.traces).toBe(1);
  });
});

test("a training step with variables runs for every batch", () => {
  const make = (signature?: readonly s.Spec[]) => {
    const w = s.variable(filled([13, 12], 1));
    const step = (x: T, y: T): T => {
      const { value, grads } = s.gradients(() => loss(x, y, w.value), [w]);
      w.assignSub(grads[0]!.mul(0.1));
      return value;
    };
    return { w, step: s.compile(step, signature === undefined ? {} : { signature }) };
  };
  const any = make([batch, s.spec(["batch", 5])]);
  const each = make();
  for (const n of [64, 7, 64, 1, 33]) {
    const [x, y] = [filled([n, 13], n), filled([n, 5], n + 1)];
    expect(any.step(x, y).item()).toBeCloseTo(each.step(x, y).item() as number, 4);
  }
  expect(any.step.traces).toBe(1);
  expect(each.step.traces).toBe(4);
  const [a, b] = [any.w.value.dataSync(), each.w.value.dataSync()];
  expect(a.every((v, i) => Math.abs(v - b[i]!) < 1e-4)).toBe(true);
});

test("the reference backend takes them too", () => {
  const f = s.compile((x: T) => [x.mean(0), x.mul(2)], { signature: [s.spec([null, 2])], backend: "reference" });
  expect(f(t([[1, 2]])).map((r) => r.arraySync())).toEqual([[1, 2], [[2, 4]]]);
  const two = t([
    [1, 2],
    [3, 6],
  ]);
  expect(f(two)[0]!.arraySync()).toEqual([2, 4]);
  expect(f.traces).toBe(1);
});

describe("what is not known", () => {
  const any = (fn: (...args: T[]) => unknown, ...signature: s.Spec[]) => s.compile(fn, { name: "f", signature });

  test("shape throws and names the size; dims has it", () => {
    expect(() => any((x) => x!.mul(x!.shape[0]!), s.spec(["rows", 2]))(t([[1, 2]]))).toThrow(
      /^shape: axis 0 of the tensor f32\[rows,2\] is the symbolic size rows/,
    );
    const f = any((x) => s.zeros([x!.dims[0]!, 2]).add(x!), s.spec(["rows", 2]));
    expect((f(t([[1, 2]])) as T).arraySync()).toEqual([[1, 2]]);
  });

  test("sizes of different names do not broadcast", () => {
    const f = any((x, y) => x!.add(y!), s.spec(["a", 2]), s.spec(["b", 2]));
    expect(() => f(t([[1, 2]]), t([[1, 2]]))).toThrow(/add: shapes do not broadcast: a is f32\[a,2\], b is f32\[b,2\]/);
  });

  test("equal names are equal sizes", () => {
    const f = any((x, y) => x!.add(y!), s.spec(["n"]), s.spec(["n"]));
    expect((f(t([1]), t([2])) as T).arraySync()).toEqual([3]);
    expect(() => f(t([1]), t([2, 3]))).toThrow(/f: n is 1 in x, f32\[1\] and 2 in y, f32\[2\]/);
  });

  test("functions that need a number say so", () => {
    expect(() => any((x) => x!.split(2)[0]!, s.spec(["n"]))(t([1, 2]))).toThrow(
      /split: axis 0 of f32\[n\] is the symbolic size n/,
    );
    expect(() => any((x) => x!.reshape([3, -1]), s.spec(["n"]))(t([1, 2, 3]))).toThrow(
      /reshape: f32\[n\] has n elements/,
    );
    expect(() => any((x) => x!.roll(1), s.spec(["n"]))(t([1, 2, 3]))).toThrow(/symbolic size n/);
    const text = "axis 0 of [n,2] is the symbolic size n, and must be a number here";
    const orders: Record<string, (x: T) => unknown> = {
      sort: (x) => x.sort(),
      argSort: (x) => x.argSort(),
      topK: (x) => s.topK(x, 1).values,
    };
    for (const [name, order] of Object.entries(orders)) {
      const call = (): unknown => any((x) => order(x!), s.spec(["n", 2]))(t([[2, 1]]));
      expect(call).toThrow(s.ShapeError);
      expect(call).toThrow(`${name}: ${text}`);
      expect(call).toThrow(/at .*symbolic\.test\.ts/);
    }
  });

  test("debug, verify and profile work with sizes that are known", () => {
    const x = t([[1, 2]]);
    const y = t([
      [1, 2],
      [3, 4],
    ]);
    const body = (a: T): T => a.log().sum(1);
    for (const options of [{ debug: true }, { verify: true }]) {
      const inner = s.compile(body, options);
      const signature = [s.spec(["n", 2])];
      const all = [
        s.compile(body, { ...options, signature }),
        s.compile((a: T) => inner(a), { signature }),
        s.compile((a: T) => inner(a), { reduceRetracing: true }),
      ];
      for (const f of all) {
        const sums = [x, y, x, y].map((a) => f(a).arraySync() as number[]);
        expect(sums.map((sum) => sum.map((v) => v.toFixed(3)))).toEqual(
          [1, 2, 1, 2].map((n) => ["0.693", "2.485"].slice(0, n)),
        );
        expect(f.traces).toBe(2);
        if (options.debug === true) expect(() => f(t([[0, 1]]))).toThrow("log gives -Infinity at [0, 0], of 0");
      }
      const open = all[1]!.lower(s.spec(["n", 2])) as s.Lowered;
      expect(() => open.compile()).toThrow("debug and verify look into programs of known sizes");
    }
    const f = s.compile(body, { signature: [s.spec([null, 2])] });
    expect(s.profile({ repeats: 1, peaks: { gflops: 1, gbs: 1 } }, f, y).kernels).toHaveLength(1);
  });

  test("a size of 0 has a trace of its own", () => {
    const f = any((x) => x!.sum(0), s.spec([null, 2]));
    expect((f(t([[1, 2]])) as T).arraySync()).toEqual([1, 2]);
    expect((f(s.zeros([0, 2])) as T).arraySync()).toEqual([0, 0]);
    expect((f(t([[3, 4]])) as T).arraySync()).toEqual([3, 4]);
    expect(f.traces).toBe(2);
    expect(f.explain()).toContain("f32[x_0,2]");
  });
});

describe("reduceRetracing", () => {
  test("the second size makes it symbolic, the third finds the program", () => {
    const f = s.compile((x: T, y: T) => x.mul(y).sum(), { name: "f", reduceRetracing: true });
    for (const n of [4, 3, 7, 1, 4]) expect(f(s.ones([n, 2]), s.ones([n, 2])).item()).toBe(2 * n);
    expect(f.traces).toBe(2);
    expect(f.explain()).toContain("f32[x_0,2], f32[x_0,2]");
    expect(f(s.ones([3, 5]), s.ones([3, 5])).item()).toBe(15);
    expect(f.traces).toBe(3);
    expect(f(s.ones([9, 8]), s.ones([9, 8])).item()).toBe(72);
    expect(f.traces).toBe(3);
  });

  test("what needs its numbers keeps a trace for each", () => {
    const f = s.compile((x: T) => x.mul(x.shape[0]!).sum(), { reduceRetracing: true });
    for (const n of [4, 3, 7]) expect(f(s.ones([n])).item()).toBe(n * n);
    expect(f.traces).toBe(3);
  });
});
