// Bundles with symbolic sizes: one program, which gives for every size what the compiled function gives, bit for bit;
// sizes come from the arguments, and those that do not fit are named.
import {
  assert,
  bundleFiles,
  type CompiledFunction,
  compile,
  ExportError,
  gradients,
  loadBundle,
  modelToFiles,
  type Program,
  random,
  spec,
  type Tensor,
  tensor,
  variable,
} from "sinter";
import { beforeAll, describe, expect, test } from "vitest";

type Result = { readonly data: Float32Array; readonly shape: readonly number[]; readonly dtype: string };
const normal = (seed: number, ...shape: readonly number[]): Tensor => random.normal(random.key(seed), shape);
const plain = (x: Tensor) => ({ data: x.dataSync(), shape: [...x.shape], dtype: x.dtype });
const given = (x: Tensor) => ({ data: x.dataSync(), shape: [...x.shape] });

function manifestOf(files: ReadonlyMap<string, Uint8Array>) {
  return JSON.parse(new TextDecoder().decode(files.get("manifest.json")));
}
const textOf = (files: ReadonlyMap<string, Uint8Array>, name: string): string =>
  new TextDecoder().decode(files.get(name));

describe("inference", () => {
  const layers = [normal(1, 20, 30), normal(2, 30, 10)].map((start, i) => variable(start, { name: `w${i}` }));
  const predict = compile((x: Tensor) => x.matmul(layers[0]!).tanh().matmul(layers[1]!).softmax(-1), {
    name: "predict",
    signature: [spec([null, 20])],
  });
  test.each(["file", "embed"] as const)("weights: %s", async (weights) => {
    for (const build of [undefined, "simd"] as const) {
      const program = await loadBundle(bundleFiles(predict, { weights }), build === undefined ? {} : { build });
      expect(await program.selfTest()).toMatchObject({ ok: true, calls: 2, tensors: 2 });
      for (const n of [1, 3, 64, 257, 3, 20_000, 1]) {
        const x = normal(n, n, 20);
        const expected = plain(predict(x));
        const got = program.run(x.dataSync()) as Result;
        if (build === undefined) expect(got).toEqual(expected);
        else expect(got.shape).toEqual(expected.shape);
      }
    }
  });

  test("the manifest and the types say which sizes there are; nothing of it is in bundles without", () => {
    const files = bundleFiles(predict);
    const [f] = manifestOf(files).functions;
    expect(f.sizes).toEqual([{ name: "x_0", lo: 1, hi: 2 ** 31 - 1 }]);
    expect(f.params[0].tree.shape).toEqual(["x_0", 20]);
    expect(f.result.shape).toEqual(["x_0", 10]);
    expect(f.slots.at(-1)).toEqual({ kind: "sym", index: 0, dtype: "u32", shape: [] });
    expect(textOf(files, "index.d.ts")).toContain(
      'readonly predict: (x: Input<"f32", Float32Array, readonly [number, 20]>) => Result<"f32", readonly [number, 10]>;',
    );
    expect(textOf(files, "index.d.ts")).toContain("x_0: 1 or more");
    const known = bundleFiles(predict, { inputs: [spec([4, 20])] });
    expect(textOf(known, "index.js")).toContain("SINTER_SIZES = {}");
    expect(files.get("index.js")!.length - known.get("index.js")!.length).toBeGreaterThan(2000);
    expect(manifestOf(known).functions[0].sizes).toBeUndefined();
    expect(bundleFiles(predict)).toEqual(files);
  });
});

describe("sizes that come of others", () => {
  const mix = compile(
    ({ x, y }: { readonly x: Tensor; readonly y: Tensor }, [z]: readonly [Tensor]) => ({
      both: x.matmul(y),
      flat: x.reshape([-1]),
      longer: z.concat([z], 0).sum(0),
      rows: z.concat([x.sum(1)], 0),
    }),
    { name: "mix" },
  );
  const inputs = [{ x: spec(["n", "m"]), y: spec(["m", 3]) }, [spec(["k"])]] as const;
  const open = mix.lower(...(inputs as unknown as Parameters<typeof mix.lower>)).compile();
  let program: Program;
  let names: readonly string[] = [];
  beforeAll(async () => {
    const files = bundleFiles(mix, { inputs } as object);
    names = manifestOf(files).functions[0].params.map((param: { readonly name: string }) => param.name);
    program = await loadBundle(files);
  });

  test("three symbols, by name, in trees", async () => {
    expect(await program.selfTest()).toMatchObject({ ok: true, calls: 2, tensors: 8 });
    for (const [n, m, k] of [
      [1, 1, 1],
      [2, 5, 3],
      [7, 4, 2],
      [1, 33, 100],
    ] as const) {
      const [x, y, z] = [normal(n, n, m), normal(m, m, 3), normal(k, k)] as const;
      const expected = Object.fromEntries(
        Object.entries(open({ x, y }, [z]) as Record<string, Tensor>).map(([key, value]) => [key, plain(value)]),
      );
      expect(program.run({ x: given(x), y: given(y) }, [given(z)])).toEqual(expected);
      // The length of y tells m, and so that of x n.
      expect(program.run({ x: x.dataSync(), y: y.dataSync() }, [z.dataSync()])).toEqual(expected);
    }
    const { flat } = program.run(
      {
        x: [[1, 2]],
        y: [
          [1, 0, 0],
          [0, 1, 0],
        ],
      },
      [[4]],
    ) as { flat: Result };
    expect(flat).toEqual({ data: Float32Array.of(1, 2), shape: [2], dtype: "f32" });
  });

  const x = { data: new Float32Array(6), shape: [2, 3] };
  const y = { data: new Float32Array(9), shape: [3, 3] };
  const z = new Float32Array(4);
  const floats = (n: number): Float32Array => new Float32Array(n);
  test.each([
    [{ x, y: { data: floats(6), shape: [2, 3] } }, z, "mix: axis 0 of _x.y is 2, but m is 3, as axis 1 of _x.x"],
    [{ x, y: floats(6) }, z, "axis 0 of _x.y is 2, but m is 3, as axis 1 of _x.x"],
    [{ x, y }, floats(0), "axis 0 of [0] is 0, but k must be a whole number from 1 to 2147483647"],
    [{ x: { data: floats(0), shape: [0, 3] }, y }, z, "axis 0 of _x.x is 0, but n must be a whole number"],
    [{ x: { data: floats(6), shape: [-2, -3] }, y }, z, "axis 0 of _x.x is -2, but n must be"],
    [{ x: { data: floats(6), shape: [1.5, 4] }, y }, z, "axis 0 of _x.x is 1.5, but n must be"],
    [{ x: { data: floats(6), shape: ["2", "3"] }, y }, z, "axis 0 of _x.x is 2, but n must be a whole number"],
    [{ x: { data: floats(6), shape: [2 ** 40, 3] }, y }, z, "is 1099511627776, but n must be"],
    [{ x: { data: floats(6), shape: [2 ** 30, 3] }, y }, z, "_x.x has the shape [1073741824,3], but 6 elements"],
    [{ x: { data: floats(6), shape: [6] }, y }, z, "_x.x must be f32[n,m], but is f32[6]"],
    [{ x: floats(7), y }, z, "_x.x must be f32[n,m], but has 7 elements, no multiple of 3"],
    [{ x, y: floats(10) }, z, "_x.y must be f32[m,3], but has 10 elements, no multiple of 3"],
    [
      {
        x: [
          [1, 2, 3],
          [1, 2],
        ],
        y,
      },
      z,
      "_x.x[1] must be an array of 3, but is an array of 2",
    ],
    [{ x: [], y }, z, "axis 0 of _x.x is 0, but n must be"],
    [{ x: 5, y }, z, "_x.x must be f32[n,m], but is 5"],
    [{ y }, z, "_x.x must be f32[n,m], but is missing"],
    [undefined, z, "_x.x must be f32[n,m], but is missing"],
    [{ x, y: new Float64Array(9) }, z, "in a Float32Array, but is a Float64Array"],
  ])("what does not fit is named: %#", (first, second, message) => {
    // Patterns have no names.
    const [a, b] = names;
    const wanted = message.replaceAll("_x", a!).replace("of [0]", `of ${b}[0]`);
    expect(() => program.run(first, [second])).toThrow(TypeError);
    expect(() => program.run(first, [second])).toThrow(wanted);
    expect((program.run({ x, y }, [z]) as { both: Result }).both.shape).toEqual([2, 3]);
  });
  test("two sizes that no length tells need a shape", async () => {
    const sum = compile((x: Tensor) => x.sum(0), { name: "sum" });
    const own = await loadBundle(bundleFiles(sum, { inputs: [spec([null, null])] }));
    expect(() => own.run(new Float32Array(6))).toThrow(
      "sum: x must be f32[x_0,x_1] with its shape, as { data, shape }: 6 elements do not tell x_0 and x_1",
    );
    expect(own.run({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] })).toEqual({
      data: Float32Array.of(5, 7, 9),
      shape: [3],
      dtype: "f32",
    });
    // More elements than there can be, and more memory: before anything has run.
    const wide = compile((x: Tensor, y: Tensor) => x.reshape([-1, 1]).add(y).sin().cumsum(0), { name: "wide" });
    const outer = await loadBundle(bundleFiles(wide, { inputs: [spec(["a"]), spec(["b"])] }));
    expect(() => outer.run(new Float32Array(70_000), new Float32Array(70_000))).toThrow(
      "wide: with a = 70000, b = 70000 a tensor of the program has 4900000000 elements, more than the 2147483647 that there can be",
    );
    expect(() => outer.run(new Float32Array(40_000), new Float32Array(40_000))).toThrow(
      /needs \d+ MiB of memory, more than 4096/,
    );
    expect((outer.run([0], [0, 0]) as Result).shape).toEqual([1, 2]);
  });
});

describe("training", () => {
  test("steps of several batch sizes, with states and a check that fails", async () => {
    const w = variable(normal(1, 6, 2), { name: "w" });
    const step = compile(
      (x: Tensor, y: Tensor) => {
        const { value, grads } = gradients(() => x.matmul(w).sub(y).square().mean(), [w]);
        assert(value.lt(1e6), "diverged");
        w.assignSub(grads[0]!.mul(0.1));
        return value;
      },
      { name: "step", signature: [spec(["batch", 6]), spec(["batch", 2])], autograph: false },
    );
    const scores = compile((x: Tensor) => x.matmul(w), { name: "scores" });
    const before = w.dataSync();
    const files = bundleFiles({ step, scores }, { inputs: { scores: [spec([5, 6])] } } as object);
    expect(w.dataSync()).toEqual(before);
    const program = await loadBundle(files);
    expect(await program.selfTest()).toMatchObject({ ok: true, calls: 3 });
    for (const n of [3, 50, 1, 50_000, 8]) {
      const [x, y] = [normal(n, n, 6), normal(n + 1, n, 2)];
      const expected = plain((step as CompiledFunction<[Tensor, Tensor], Tensor>)(x, y));
      expect(program.functions["step"]!(x.dataSync(), y.dataSync())).toEqual(expected);
      expect(program.variables["w"]!.read()).toEqual(w.dataSync());
      const probe = normal(9, 5, 6);
      expect(program.functions["scores"]!(probe.dataSync())).toEqual(plain(scores(probe)));
    }
    expect(() => program.functions["step"]!(new Float32Array(12).fill(1e9), new Float32Array(4))).toThrow("diverged");
    expect(program.variables["w"]!.read()).toEqual(w.dataSync());
    expect(() => program.functions["step"]!(new Float32Array(12), new Float32Array(6))).toThrow(
      "step: axis 0 of y is 3, but batch is 2, as axis 0 of x",
    );
    program.dispose();
    expect(() => program.functions["step"]!(new Float32Array(60), new Float32Array(20))).toThrow("disposed");
  });
});

test("a model with symbolic sizes is not saved; with known ones it is", () => {
  const f = compile((x: Tensor) => x.mul(2), { name: "f", signature: [spec(["n"])] });
  expect(() => modelToFiles({ f })).toThrow(ExportError);
  expect(() => modelToFiles({ f })).toThrow("f: has symbolic sizes, which a saved model cannot have");
  expect(modelToFiles({ f }, { inputs: { f: [spec([3])] } }).has("model.json")).toBe(true);
});

test("what was called with several sizes of one signature is exported for all of them", async () => {
  const f = compile((x: Tensor) => x.mul(2), { name: "f", signature: [spec([null])] });
  f(tensor([1, 2]));
  f(tensor([1, 2, 3]));
  const program = await loadBundle(bundleFiles(f));
  expect((program.run([1, 2, 3, 4]) as Result).data).toEqual(Float32Array.of(2, 4, 6, 8));
});
