// Bundles as they are written and run: results, variables, checks, arguments, self-tests, sizes.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { probeFeatures } from "@sinter/codegen-wasm";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { loaderModule } from "../../../scripts/loader.ts";
import type { Program, ResultTensor } from "../src/bundle/loader/index.ts";
import { loaderSource, targetsSource, webgpuSource } from "../src/bundle/loader-source.ts";
import { loadBundle, openBundle } from "../src/bundle/open.ts";
import { dataOf, readSafetensors, writeSafetensors } from "../src/bundle/safetensors.ts";
import type { FunctionSpec } from "../src/bundle/spec.ts";
import { writeBundle } from "../src/bundle/write.ts";
import { exampleSpec, weights } from "./support/bundles.ts";

const here = dirname(fileURLToPath(import.meta.url));
const files = writeBundle(exampleSpec());
const x = Float32Array.of(1, 0, 0, 0, 1, 0);
const bias = Float32Array.of(0.5, 0.25);
const builds = probeFeatures().relaxedSimd ? (["relaxed-simd", "simd"] as const) : (["simd"] as const);
const dataIn = (result: unknown): unknown => (result as ResultTensor).data;

describe.each(builds)("%s", (build) => {
  describe.each(["file", "embed"] as const)("weights: %s", (mode) => {
    const own = mode === "file" ? files : writeBundle(exampleSpec({ weights: "embed" }));
    let program: Program;
    let printed: string[];
    beforeAll(async () => {
      printed = [];
      program = await loadBundle(own, { build, log: (text) => printed.push(text) });
    });

    test("results are trees of tensors and static values", () => {
      expect(program.build).toBe(build);
      expect(program.run(x, { bias })).toEqual({
        y: { data: Float32Array.of(11.5, 22.25, 13.5, 24.25), shape: [2, 2], dtype: "f32" },
        parts: [{ data: Float32Array.of(71.5), shape: [], dtype: "f32" }, undefined, Number.NaN, true],
        __proto__x: null,
      });
    });

    test("what is recorded is found again, bit for bit, and variables stay as they are", async () => {
      program.variables["n"]!.write(100);
      const report = await program.selfTest();
      expect(report).toMatchObject({ ok: true, calls: 2, tensors: 6, worst: undefined });
      expect(report.rule).toBe(build === builds[0] ? "bits" : "tolerance");
      expect(await program.selfTest("predict")).toMatchObject({ ok: true, calls: 1, tensors: 2 });
      expect(program.variables["n"]!.read()).toEqual(Int32Array.of(100));
      program.variables["n"]!.write(7);
    });

    test("a variable changes; its old value leaves whole; two instances know nothing of each other", async () => {
      const other = await loadBundle(own, { build });
      const [old, count] = program.functions["step"]!(2) as ResultTensor[];
      expect([old!.data, count!.data]).toEqual([weights, Int32Array.of(8)]);
      program.functions["step"]!(Float32Array.of(3));
      expect(program.variables["w"]!.read()).toEqual(weights.map((w) => 6 * w));
      expect(program.variables["n"]!.read()).toEqual(Int32Array.of(9));
      expect(old!.data).toEqual(weights);
      expect(other.variables["w"]!.read()).toEqual(weights);
      other.dispose();
    });

    test("a check that fails says its message and changes nothing", () => {
      const before = program.variables["n"]!.read();
      const failing = (): unknown => program.functions["guarded"]!([1, 1, -2]);
      expect(failing).toThrow("the sum must be positive");
      expect(failing).toThrow(expect.objectContaining({ name: "AssertionError" }));
      expect(program.variables["n"]!.read()).toEqual(before);
      expect(dataIn(program.functions["guarded"]!([1, 1, 2]))).toEqual(Float32Array.of(4));
      expect(program.variables["n"]!.read()[0]).toBe(before[0]! + 1);
    });

    test("variables that exchange their values; arguments that come out", () => {
      const [negated, given, old] = program.functions["swap"]!([true, false, 1]) as ResultTensor[];
      expect([negated!.data, given!.data]).toEqual([Uint8Array.of(0, 1, 0), Uint8Array.of(1, 0, 1)]);
      expect(old!.data).toEqual(Float64Array.of(0.1, 0.2));
      expect(program.variables["a"]!.read()).toEqual(Float64Array.of(3, 4));
      expect(Object.getOwnPropertyDescriptor(program.variables, "__proto__")!.value.read()).toEqual(
        Float64Array.of(0.1, 0.2),
      );
    });

    test("large constants of the code, and what is printed", () => {
      const result = program.functions["shown"]!(new Uint32Array(40).fill(1));
      expect(dataIn(result)).toEqual(Uint32Array.from({ length: 40 }, (_, i) => i * i + 1));
      expect(printed).toEqual(["largest 1522"]);
    });

    test("state is saved as safetensors and loaded, all or nothing", async () => {
      const saved = program.saveState();
      expect([...readSafetensors(saved).tensors.keys()].sort()).toEqual(["__proto__", "a", "n", "w"]);
      const other = await loadBundle(own, { build });
      other.loadState(saved);
      expect(other.saveState()).toEqual(saved);
      const wrong = [...readSafetensors(saved).tensors].map(([name, tensor]) => ({
        ...tensor,
        name,
        data: dataOf(tensor).fill(0),
      }));
      expect(() => other.loadState(writeSafetensors(wrong.slice(1)))).toThrow(/state: ".*" must be .*, but is missing/);
      const extra = [...wrong, { name: "x", dtype: "f32", shape: [0], data: new Float32Array(0) } as const];
      expect(() => other.loadState(writeSafetensors(extra))).toThrow('state: nothing is called "x"');
      expect(() => other.loadState(saved.subarray(1))).toThrow(expect.objectContaining({ name: "BundleError" }));
      expect(other.saveState()).toEqual(saved);
    });
  });
});

describe("arguments that do not fit are named", () => {
  let program: Program;
  beforeAll(async () => {
    program = await loadBundle(files);
  });
  const wrong: readonly (readonly [string, readonly unknown[], string])[] = [
    ["predict", [x, { bias }, 1], "predict takes 2 arguments, but was given 3"],
    ["predict", [], "predict: x must be f32[2,3], but is missing"],
    ["predict", [x], "predict: options must be an object with bias, mode, scale, but is missing"],
    ["predict", [new Float32Array(5), { bias }], "predict: x must be f32[2,3], but has 1 elements less"],
    ["predict", [new Float32Array(8), { bias }], "predict: x must be f32[2,3], but has 2 elements more"],
    ["predict", [new Float64Array(6), { bias }], "x must be f32[2,3] in a Float32Array, but is a Float64Array"],
    ["predict", [{ data: x, shape: [3, 2] }, { bias }], "x must be f32[2,3], but is f32[3,2]"],
    ["predict", [{ data: x, dtype: "f64" }, { bias }], "x must be f32[2,3], but is f64[?]"],
    ["predict", [{ values: x }, { bias }], "x must be f32[2,3], but is an object with values"],
    ["predict", [[[1, 2, 3]], { bias }], "x must be an array of 2, but is an array of 1"],
    [
      "predict",
      [
        [
          [1, 2, 3],
          [1, 2],
        ],
        { bias },
      ],
      "x[1] must be an array of 3, but is an array of 2",
    ],
    [
      "predict",
      [
        [
          [1, 2, 3],
          [1, 2, "3"],
        ],
        { bias },
      ],
      'x[1][2] must be f32, but is "3"',
    ],
    ["predict", [x, { bias: 1 }], "options.bias must be f32[2], but is 1"],
    ["predict", [x, {}], "options.bias must be f32[2], but is missing"],
    ["predict", [x, { bias, mode: "slow" }], 'options.mode must be "fast", as when the function was exported'],
    ["predict", [x, { bias, scale: 0 }], "options.scale must be -0"],
    ["predict", [x, { bias, mod: 1 }], 'options has "mod", but takes only bias, mode, scale'],
    ["step", [[2]], "step: by must be f32, but is an array of 1"],
    ["swap", [[1, 0, 2]], "swap: x[2] must be bool, but is 2"],
    ["swap", [Uint8Array.of(0, 1, 2)], "swap: x must hold 0 and 1 only"],
    ["shown", [new Array(40).fill(-1)], "shown: x[0] must be u32, but is -1"],
  ];
  test.each(wrong)("%s %#", (name, args, message) => {
    const call = (): unknown => program.functions[name]!(...args);
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });

  test("what is fixed may be given, and arrays of a shape too", () => {
    const given = program.run({ data: x, shape: [2, 3], dtype: "f32" }, { bias: [0.5, 0.25], mode: "fast", scale: -0 });
    expect(given).toEqual(
      program.run(
        [
          [1, 0, 0],
          [0, 1, 0],
        ],
        { bias },
      ),
    );
  });
});

test("the log may not call the program; what it throws comes out, and the program goes on", async () => {
  let log: (text: string) => void = () => program.functions["step"]!(1);
  const program = await loadBundle(files, { log: (text) => log(text) });
  const call = (): unknown => program.functions["shown"]!(new Uint32Array(40));
  expect(call).toThrow("step was called while shown runs");
  log = () => {
    throw new Error("no");
  };
  expect(call).toThrow("no");
  log = () => {};
  expect(call).not.toThrow();
  program.dispose();
  expect(call).toThrow("shown: the program was disposed");
  expect(() => program.variables["w"]!.read()).toThrow("w: the program was disposed");
});

test("disposing again does nothing, and what is no state is told", async () => {
  const program = await loadBundle(files);
  expect(() => program.loadState(undefined as unknown as Uint8Array)).toThrow(
    new TypeError("loadState: bytes must be those of saveState"),
  );
  program.dispose();
  program.dispose();
  expect(() => program.loadState(new Uint8Array(8))).toThrow("the program was disposed");
});

test("tensors of the library are taken as arguments and values of variables", async () => {
  const program = await loadBundle(files);
  const like = (data: Float32Array, shape: readonly number[], dtype = "f32"): object => ({
    shape,
    dtype,
    dataSync: () => data,
  });
  const given = program.run(like(x, [2, 3]), { bias: like(bias, [2]) });
  expect(given).toEqual(program.run(x, { bias }));
  program.variables["w"]!.write(like(x, [3, 2]));
  expect(program.variables["w"]!.read()).toEqual(x);
  expect(() => program.run(like(x, [3, 2]), { bias })).toThrow("predict: x must be f32[2,3], but is f32[3,2]");
  expect(() => program.run(like(x, [2, 3], "f64"), { bias })).toThrow("predict: x must be f32[2,3], but is f64[2,3]");
});

test("a description whose positions lead nowhere is an error", () => {
  const changed = (change: Partial<FunctionSpec>): (() => unknown) => {
    const { functions, ...spec } = exampleSpec({ recorded: [] });
    return () => writeBundle({ ...spec, functions: [{ ...functions[0]!, ...change }] });
  };
  expect(changed({ states: [{ variable: 9, out: -1 }] })).toThrow(
    "functions[0].slots, state 0 must be missing, but is",
  );
  expect(changed({ constants: [7] })).toThrow("functions[0].slots, const 0 must be missing, but is");
  expect(changed({ outs: [{ kind: "result", index: 0 }] })).toThrow("functions[0].outs must be a list of 2");
});

test("a program that was disposed holds no memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { instantiate } = WebAssembly;
  let memory: WeakRef<WebAssembly.Memory> | undefined;
  const watched = async (module: WebAssembly.Module, imports: WebAssembly.Imports): Promise<WebAssembly.Instance> => {
    const instance = await instantiate(module, imports);
    memory = new WeakRef(instance.exports["memory"] as WebAssembly.Memory);
    return instance;
  };
  Object.assign(WebAssembly, { instantiate: watched });
  const program = await loadBundle(files).finally(() => Object.assign(WebAssembly, { instantiate }));
  program.dispose();
  await vi.waitFor(
    () => {
      collect();
      // An assertion that fails would hold what it is about.
      expect(memory!.deref() === undefined).toBe(true);
    },
    { interval: 10, timeout: 10_000 },
  );
  expect(() => program.run(x, { bias })).toThrow("disposed");
});

test("parameters have names of their own where the source has patterns", async () => {
  const spec = exampleSpec({ recorded: [] });
  const [predict, ...others] = spec.functions;
  const params = ["arg1", "{ bias }"].map((name, i) => ({ ...predict!.params[i]!, name }));
  const made = writeBundle({ ...spec, functions: [{ ...predict!, params }, ...others] });
  expect(new TextDecoder().decode(made.get("index.d.ts"))).toMatch(/readonly predict: \(arg1: .*, arg1_: /);
  const { manifest } = await openBundle(made);
  expect(manifest.functions[0]!.params.map(({ name }) => name)).toEqual(["arg1", "arg1_"]);
});

test("a self-test that fails says by how much", async () => {
  const spec = exampleSpec();
  const [first, second] = spec.recorded!;
  const other = { ...first!, results: [Float32Array.of(11.5, 22.25, 13.5, 25.25), first!.results[1]!] };
  const program = await loadBundle(writeBundle({ ...spec, recorded: [other, second!] }));
  const report = await program.selfTest();
  expect(report).toMatchObject({ ok: false, tensors: 6, worst: { tensor: "0.result.0", allowed: 0 } });
  expect(report.worst!.difference).toBeCloseTo(1 / 25.25);
  await expect(program.selfTest("other")).rejects.toThrow("there is no function other; there are predict, step");
  const without = await loadBundle(writeBundle(exampleSpec({ recorded: [] })));
  await expect(without.selfTest()).rejects.toThrow("has no recorded calls");
});

test("equal descriptions give equal bytes, in another process too", () => {
  const script = `
    import { createHash } from "node:crypto";
    import { writeBundle } from "./packages/runtime/src/bundle/write.ts";
    import { exampleSpec } from "./packages/runtime/test/support/bundles.ts";
    writeBundle(exampleSpec({ weights: "embed" }));
    for (const [name, bytes] of writeBundle(exampleSpec({ graphs: true })))
      console.log(name, createHash("sha256").update(bytes).digest("hex"));`;
  const run = (): string =>
    execFileSync(process.execPath, ["--input-type=module", "--experimental-strip-types", "-e", script], {
      cwd: join(here, "../../.."),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  const first = run();
  const graphs = ["guarded", "predict", "shown", "step", "swap"].map((name) => `graph/${name}.ir`);
  const names = first.trim().split("\n");
  expect(names.map((line) => line.split(" ")[0])).toEqual([...files.keys(), ...graphs].sort());
  expect(run()).toBe(first);
});

test("graphs can be read again by a compiler", async () => {
  const bundle = await openBundle(writeBundle(exampleSpec({ graphs: true })));
  const graph = await bundle.graph("shown");
  expect(graph.name).toBe("shown");
  expect((await bundle.tensors())("c")).toEqual(Float32Array.of(10, 20));
});

test("the loader is compiled from its sources, and small", async () => {
  const isFresh = readFileSync(join(here, "../src/bundle/loader-source.ts"), "utf8") === (await loaderModule());
  expect(isFresh, "loader-source.ts is out of date: run `npm run docs`").toBe(true);
  for (const source of [targetsSource, webgpuSource])
    expect(source).not.toMatch(/\beval\b|\bFunction\(|^import|\bimport\([^"[/]/m);
  expect(gzipSync(targetsSource).length).toBeLessThan(9_000);
  expect(gzipSync(webgpuSource).length).toBeLessThan(14_000);
  expect(loaderSource).not.toMatch(/\beval\b|\bFunction\(|\bimport\s*["{*]|^import/m);
  expect(loaderSource.length).toBeLessThan(15_500);
  expect(gzipSync(loaderSource).length).toBeLessThan(6_800);
});
