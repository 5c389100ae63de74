// Bundles that carry a program for WebGPU: they answer on a device what the compiled functions answer, within the
// tolerance of their self-tests, with one submit a call; what is missing, altered or not enough is told.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { crc32, type Manifest } from "@sinter/runtime";
import {
  type AsyncProgram,
  assert,
  bundleFiles,
  compile,
  cond,
  exportBundle,
  fori,
  loadBundle,
  ones,
  type Program,
  print,
  random,
  ready,
  scan,
  spec,
  Tensor,
  tensor,
  variable,
  whileLoop,
  zeros,
} from "sinter";
import { afterAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import type { DispatchPlan } from "../packages/runtime/src/bundle/dispatch.ts";
import { manifestBytes } from "../packages/runtime/src/bundle/write.ts";
import { fullRun } from "./support/fuzz.ts";
import { gpuMachine } from "./support/gpu.ts";
import { SmallModel, smallBatch } from "./support/small-model.ts";

type Files = Map<string, Uint8Array>;
type Fn = (...args: never[]) => unknown;
type Options = Parameters<typeof bundleFiles>[1] & object;

interface Loader {
  load(options?: object): Promise<AsyncProgram>;
}

if (!fullRun)
  console.log("With SINTER_FULL=1 bundles for WebGPU are tried with loops, states that move and lost devices too.");

/** SwiftShader compiles kernels much faster where the threads of a group clear its memory. */
const flags = ["disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension"];
const folder = mkdtempSync(join(tmpdir(), "sinter-export-webgpu-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const machine = await gpuMachine("test/export-webgpu.test.ts");
const device = machine?.device;
afterAll(() => machine?.destroy());

const written = (f: object, options: object = {}): Promise<Files> =>
  bundleFiles(f, { target: "both", ...options } as Options & { target: "both" });
const onGpu = (files: Files, options: object = {}): Promise<AsyncProgram> =>
  loadBundle(files, { device: device!, ...options });

/** Tensors, at any depth, as a bundle gives them. */
function plain(value: unknown): unknown {
  if (value instanceof Tensor) return { data: value.dataSync(), shape: [...value.shape], dtype: value.dtype };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The arguments as a bundle takes them. */
function given(value: unknown): unknown {
  if (value instanceof Tensor) return { data: value.dataSync(), shape: value.shape };
  if (Array.isArray(value)) return value.map(given);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, given(item)]));
}

/** Expects equal trees, floats within 1e-5 of the largest in their tensor. */
function expectClose(found: unknown, wanted: unknown, at = "result"): void {
  if (ArrayBuffer.isView(wanted)) {
    const [a, b] = [found, wanted] as [Float32Array, Float32Array];
    expect({ at, kind: a?.constructor, length: a?.length }).toEqual({ at, kind: b.constructor, length: b.length });
    const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    const allowed = b instanceof Float32Array ? 1e-5 * largest : 0;
    b.forEach((value, i) => {
      if (!Object.is(a[i], value) && !(Math.abs(a[i]! - value) <= allowed))
        expect(`${at}[${i}] = ${a[i]}`).toBe(`${at}[${i}] = ${value}`);
    });
  } else if (typeof wanted === "object" && wanted !== null) {
    expect(Object.keys(found as object)).toEqual(Object.keys(wanted));
    for (const [key, item] of Object.entries(wanted))
      expectClose((found as Record<string, unknown>)[key], item, `${at}.${key}`);
  } else expect({ at, found }).toEqual({ at, found: wanted });
}

const x = tensor([1, -2, 3]);
const numbers = (shape: readonly number[], seed: number): Tensor => random.normal(random.key(seed), shape);

/** Exports for both targets, and expects of both what the compiled function gives, `times` times, states included. */
async function same(f: Fn, args: readonly unknown[], times = 1, options: object = {}): Promise<void> {
  const files = await written(f, { inputs: args, ...options });
  const gpu = await onGpu(files);
  const wasm = await loadBundle<AsyncProgram>(files, { target: "wasm" });
  expect([gpu.target, gpu.build, wasm.target]).toEqual(["webgpu", "webgpu", "wasm"]);
  expect(await gpu.selfTest()).toMatchObject({ ok: true, rule: "tolerance" });
  expect(await wasm.selfTest()).toMatchObject({ ok: true, rule: "bits" });
  for (let i = 0; i < times; i++) {
    const wanted = plain((f as (...args: readonly unknown[]) => unknown)(...args));
    // All are asked before any has answered.
    const [first, second] = [gpu.run(...args.map(given)), wasm.run(...args.map(given))];
    expect(second).toBeInstanceOf(Promise);
    expectClose(await first, wanted);
    expect(await second).toEqual(wanted);
    for (const [name, cell] of Object.entries(gpu.variables))
      expectClose(await cell.read(), await wasm.variables[name]!.read(), name);
  }
  gpu.dispose();
  wasm.dispose();
}

describe.runIf(machine !== undefined)("on a device", () => {
  test("inference and training steps: results, states, one submit a call, states that move between targets", async () => {
    const model = new SmallModel();
    const [images, labels] = smallBatch(1) as [Tensor, Tensor];
    const inputs = { train: [images, labels], predict: [images] };
    const outDir = join(folder, "trains");
    const { files } = await exportBundle({ train: model.train, predict: model.predict } as object, {
      ...{ inputs, outDir, target: "both" as const },
    });
    // The bundle's own loader, on a device with the limits that every device has.
    const { load } = (await import(pathToFileURL(join(outDir, "index.js")).href)) as Loader;
    const gpu = await load({ gpu: create(flags) });
    expect([gpu.target, await gpu.selfTest()]).toMatchObject(["webgpu", { ok: true, calls: 3 }]);
    const args = [images, labels].map(given);
    // Of all devices.
    const queue = Object.getPrototypeOf(device!.queue) as GPUQueue;
    const { submit } = queue;
    let submits = 0;
    queue.submit = function (this: GPUQueue, ...rest: Parameters<typeof submit>) {
      submits++;
      return submit.apply(this, rest);
    };
    try {
      const losses = await Promise.all([1, 2, 3, 4, 5].map(() => gpu.functions["train"]!(...args)));
      expect(submits).toBe(5);
      expectClose(
        losses,
        [1, 2, 3, 4, 5].map(() => plain(model.train(images, labels))),
      );
      expectClose(await gpu.functions["predict"]!(args[0]), plain(model.predict(images)));
      expect(submits).toBe(6);
    } finally {
      queue.submit = submit;
    }
    const wasm = await loadBundle<AsyncProgram>(files, { target: "wasm" });
    await wasm.loadState(await gpu.saveState());
    expect(await wasm.saveState()).toEqual(await gpu.saveState());
    const saved = await wasm.saveState();
    await Promise.all([gpu, wasm].map((program) => program.functions["train"]!(...args)));
    await gpu.loadState(saved);
    expect(await gpu.saveState()).toEqual(saved);
    await expect(gpu.loadState(saved.subarray(8))).rejects.toThrow("state: ");
    gpu.dispose();
  });

  test("trees, element types, scalars, empty tensors, constants and arguments that come back", async () => {
    const types = ["f32", "i32", "u32", "bool"] as const;
    const all = Object.fromEntries(types.map((t) => [t, tensor([1, 0, 1], { dtype: t })]));
    const large = tensor(Array.from({ length: 100 }, (_, i) => i / 7));
    await same(
      compile((a: Record<string, Tensor>, [y, mode]: readonly [Tensor, string]) => ({
        all: [a, types.map((t) => a[t]!.eq(a[t]!)), mode, undefined, -0],
        y: y.sum(),
        empty: a["f32"]!.slice([0], [0]),
        large,
        sum: large.add(1).sum(),
        table: tensor([10, 20, 30, 40, 50, 60, 70, 80, 90]).gather(a["i32"]!),
        one: tensor(1),
      })),
      [all, [tensor(2), "twice"]],
    );
    await same(
      compile((a: Tensor) => [a, a]),
      [x],
    );
  });

  test.runIf(fullRun)("control flow, a while loop among it", async () => {
    const f = compile((a: Tensor, n: Tensor) => {
      const [carry, ys] = scan((c: Tensor, row: Tensor) => [c.add(row), c.mul(row)] as const, a, ones([4, 3]));
      const halved = whileLoop(
        (c: Tensor) => c.gt(1),
        (c: Tensor) => c.mul(0.5),
        a.abs().max(),
      );
      const many = fori(0, n, (i: Tensor, c: Tensor) => c.add(i.cast("f32")), a);
      const sign = cond(
        a.sum().gt(0),
        () => a,
        () => a.neg(),
      );
      return [carry, ys, halved, many, sign];
    });
    await same(f, [x, tensor(5, { dtype: "i32" })]);
  });

  test.runIf(fullRun)("states that are exchanged, set, and stand for results; random bits", async () => {
    const a = variable([1, 2], { name: "a" });
    const b = variable([3, 4], { name: "b" });
    const source = new random.Generator(7);
    const f = compile((v: Tensor) => {
      const old = a.value;
      a.assign(b);
      b.assign(old);
      const bits = source.uniform([5]);
      return { a, old, v, bits };
    });
    await same(f, [x], 3);
    const set = compile((v: Tensor) => {
      a.assign(v);
      b.assign(v);
    });
    await same(set, [tensor([9, 8])], 2);
  });

  test("checks and prints, in the order of the calls", async () => {
    const w = variable([1, 1, 1], { name: "w" });
    const f = compile((v: Tensor) => {
      print("v is {}", v);
      w.assignAdd(v);
      assert(v.gt(0).all(), "v must be positive");
      return w.sum();
    });
    const shown: string[] = [];
    const program = await onGpu(await written(f, { inputs: [tensor([1, 2, 3])] }), {
      log: (text: string) => void shown.push(text),
    });
    const calls = [
      [1, 1, 1],
      [1, -1, 1],
      [2, 2, 2],
    ].map((v) => program.run(v));
    const [first, second, third] = await Promise.allSettled(calls);
    expect(first).toMatchObject({ value: { data: Float32Array.of(6) } });
    expect(second).toMatchObject({ reason: { name: "AssertionError" } });
    expect((second as PromiseRejectedResult).reason.message).toMatch(
      /^v must be positive\n\s+at export-webgpu\.test\.ts:\d+/,
    );
    expect(third).toMatchObject({ value: { data: Float32Array.of(12) } });
    expect(shown).toEqual(["v is [1, 1, 1]", "v is [1, -1, 1]", "v is [2, 2, 2]"]);
    await program.variables["w"]!.write([5, 5, 5]);
    expect(await program.variables["w"]!.read()).toEqual(Float32Array.of(5, 5, 5));
  });

  test.runIf(fullRun)("batches of any size, and arguments that change after the call", async () => {
    const weights = variable(numbers([5, 3], 2), { name: "weights" });
    const [a, b] = [spec(["batch", 5]), spec(["batch", 3])];
    const step = compile(
      (v: Tensor, y: Tensor) => {
        const error = v.matmul(weights).sub(y);
        weights.assignSub(v.transpose().matmul(error).mul(0.001));
        return { loss: error.square().mean(), error };
      },
      { signature: [a, b] },
    );
    const program = await onGpu(await written(step));
    expect(await program.selfTest()).toMatchObject({ ok: true, calls: 2 });
    for (const n of [1, 7, 300, 2]) {
      const data = numbers([n, 5], n).dataSync();
      const args = [
        { data, shape: [n, 5] },
        { data: numbers([n, 3], n + 1).dataSync(), shape: [n, 3] },
      ];
      const answer = program.run(...args);
      const wanted = plain(step(tensor(data, { shape: [n, 5] }), numbers([n, 3], n + 1)));
      data.fill(0);
      expectClose(await answer, wanted);
      expectClose(await program.variables["weights"]!.read(), weights.dataSync());
    }
    await expect(program.run(new Float32Array(10), new Float32Array(3))).rejects.toThrow("batch is 2");
  });

  test("functions of the backend webgpu, with variables and captured tensors on the GPU", async () => {
    await ready("webgpu");
    const w = variable(zeros([3]), { name: "w" });
    const set = compile((v: Tensor) => void w.assign(v.mul(2)), { backend: "webgpu" });
    set(x);
    const captured = await x.to("webgpu");
    const f = compile((v: Tensor) => w.assignAdd(v).mul(captured), { backend: "webgpu", signature: [spec([3])] });
    expect(() => bundleFiles(f)).toThrow(/the variable w: is on webgpu[\s\S]*await exportBundle/);
    for (const program of [await onGpu(await written(f)), await onGpu(await written(f), { target: "wasm" })]) {
      expect(await program.selfTest()).toMatchObject({ ok: true });
      expectClose(await program.run([1, 1, 1]), { data: Float32Array.of(3, 6, 21), shape: [3], dtype: "f32" });
    }
    // It is where it was.
    expect(await w.data()).toEqual(Float32Array.of(2, -4, 6));
    expect(() => w.dataSync()).toThrow("webgpu");
  });

  test("what cannot run rejects, and what comes after it runs", async () => {
    const w = variable([1, 2, 3], { name: "w" });
    const program = await onGpu(await written(compile((v: Tensor) => w.assignAdd(v), { signature: [spec([3])] })));
    const cell = program.variables["w"]!;
    const calls = await Promise.allSettled([
      program.run([1, 2]),
      program.run([1, 1, 1], 2),
      cell.write(new Float64Array(3)),
      program.run([1, 1, 1]),
      program.loadState(undefined as unknown as Uint8Array),
    ]);
    expect(calls.map((call) => (call.status === "rejected" ? (call.reason as Error).name : "done"))).toEqual([
      "TypeError",
      "TypeError",
      "TypeError",
      "done",
      "TypeError",
    ]);
    expect(await cell.read()).toEqual(Float32Array.of(2, 3, 4));
    await expect(program.selfTest("other")).rejects.toThrow("there is no function other");
    program.dispose();
    program.dispose();
    await expect(program.run([1, 1, 1])).rejects.toThrow("the program was disposed");
    await expect(cell.read()).rejects.toThrow("w: the program was disposed");
  });

  test.runIf(fullRun)("a lost device is told, by calls on their way and by all that follow", async () => {
    const own = (await gpuMachine("test/export-webgpu.test.ts"))!.device;
    const files = await written(
      compile((v: Tensor) => v.mul(2), { signature: [spec([300])] }),
      { selfTest: false },
    );
    const program = await loadBundle(files, { device: own });
    const before = program.run(new Float32Array(300));
    own.destroy();
    await expect(before.then(() => program.run(new Float32Array(300)))).rejects.toMatchObject({
      name: "BundleError",
      message: expect.stringMatching(/lost/),
    });
    await expect(program.run(new Float32Array(300))).rejects.toMatchObject({
      name: "BundleError",
      message: expect.stringMatching(/lost.*load\(\) the bundle again/),
    });
  });
});

/** What a device is asked for, on adapters that are none. */
describe("picking a target", () => {
  const f = compile((v: Tensor) => v.add(1), { signature: [spec([3])] });
  const limits = { maxBufferSize: 256 * 2 ** 20, maxStorageBufferBindingSize: 128 * 2 ** 20 };
  const none = { requestAdapter: async () => null } as unknown as GPU;
  const without = new Error("no device here");
  const adapter = (has: object, asked: unknown[] = []): GPU =>
    ({
      requestAdapter: async () => ({
        limits: has,
        requestDevice: async (wanted: unknown) => {
          asked.push(wanted);
          throw without;
        },
      }),
    }) as unknown as GPU;
  const why = (files: Files, options: object): Promise<string> =>
    loadBundle(files, options).then(
      () => "it loaded",
      (error: Error) => error.message,
    );

  test("without a GPU wasm is taken where it is there and nothing else was asked for", async () => {
    const [both, shaders, modules] = [await written(f), await written(f, { target: "webgpu" }), bundleFiles(f)];
    expect(await why(both, { target: "webgpu" })).toBe(
      'manifest.json: webgpu cannot be used: there is no navigator.gpu. In Node, give { gpu: create([]) } with import { create } from "webgpu"; in a browser that has WebGPU, the page must come from https or localhost',
    );
    expect(await why(shaders, {})).toContain("there is no navigator.gpu");
    for (const options of [{ gpu: none }, { target: "webgpu", gpu: none }])
      expect(await why(both, options)).toContain("webgpu cannot be used: there is no adapter");
    expect(await why(shaders, { target: "wasm" })).toBe(
      "manifest.json: this bundle has no program for wasm, only for webgpu",
    );
    expect(await why(shaders, { build: "simd" })).toContain("no program for wasm");
    expect(await why(modules, { target: "webgpu" })).toContain("this bundle has no program for webgpu, only for wasm");
    expect(await why(both, { target: "gpu" })).toContain('target must be "wasm" or "webgpu", not "gpu"');
    expect(await why(both, { target: "wasm", build: "webgpu" })).toContain("webgpu is not for the target wasm");
    const program = await loadBundle<AsyncProgram>(both);
    expect([program.target, (await program.run([1, 2, 3])) as object]).toMatchObject([
      "wasm",
      { data: Float32Array.of(2, 3, 4) },
    ]);
    expect((await loadBundle<AsyncProgram>(both, { build: "simd" })).build).toBe("simd");
    // A program for wasm alone answers at once, whatever is said of targets.
    expect((await loadBundle<Program>(modules, { target: "wasm" } as object)).run([1, 2, 3])).toMatchObject({
      data: Float32Array.of(2, 3, 4),
    });
    const { navigator } = globalThis;
    Object.defineProperty(globalThis, "navigator", { value: { gpu: none }, configurable: true });
    try {
      expect((await loadBundle<AsyncProgram>(both)).target).toBe("wasm");
    } finally {
      Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
    }
  });

  test("limits that a program needs are asked for, and told where they are not there", async () => {
    const large = compile((v: Tensor) => v.add(1), { signature: [spec([80_000_000])] });
    const files = await written(large, { selfTest: false, target: "webgpu" });
    const needed = { maxBufferSize: 320_000_000, maxStorageBufferBindingSize: 320_000_000 };
    expect(manifestOf(files)).toMatchObject({ builds: [{ build: "webgpu", limits: needed }] });
    expect(await why(files, { gpu: adapter(limits) })).toBe(
      "manifest.json: webgpu cannot be used: it needs a maxBufferSize of 320000000, and the adapter has 268435456",
    );
    expect(await why(files, { device: { limits: { ...limits, maxBufferSize: 2 ** 30 } } })).toContain(
      "it needs a maxStorageBufferBindingSize of 320000000, and the device has 134217728",
    );
    const asked: unknown[] = [];
    const enough = { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 };
    expect(await why(files, { gpu: adapter(enough, asked) })).toContain("no device here");
    expect(await why(await written(f), { gpu: adapter(enough, asked) })).toContain("no device here");
    const sized = compile((v: Tensor) => v.add(1), { signature: [spec(["n"])] });
    expect(await why(await written(sized), { gpu: adapter(enough, asked) })).toContain("no device here");
    // For batches of any size: as much as there is.
    expect(asked).toMatchObject([{ requiredLimits: needed }, { requiredLimits: {} }, { requiredLimits: enough }]);
  });

  test("f64 cannot be exported, with its line; weights are in the file for shaders", async () => {
    const wide = compile((v: Tensor) => v.cast("f64").exp(), { signature: [spec([3])] });
    await expect(written(wide)).rejects.toThrow(
      /a result of cast is f64\[3\]: f64 is not available on webgpu; cast to f32\n\s+at .*export-webgpu\.test\.ts:\d+/,
    );
    const weights = variable([1, 2, 3], { name: "w" });
    const g = compile((v: Tensor) => v.add(weights), { signature: [spec([3])] });
    const both = await written(g, { weights: "embed" });
    expect([...both.keys()]).toEqual([
      "dispatch.json",
      "index.d.ts",
      "index.js",
      "kernels.wgsl",
      "manifest.json",
      "program.relaxed.wasm",
      "program.wasm",
      "selftest.js",
      "selftest.safetensors",
      "webgpu.js",
      "weights.safetensors",
    ]);
    const program = await loadBundle<AsyncProgram>(both, { target: "wasm" });
    expect(await program.run([1, 1, 1])).toMatchObject({ data: Float32Array.of(2, 3, 4) });
    expect(await written(g, { weights: "embed" })).toEqual(both);
  });

  test("files that are missing, altered or made up are named", async () => {
    const w = variable([1, 2, 3], { name: "w" });
    const files = await written(
      compile((v: Tensor) => v.add(w), { signature: [spec([3])] }),
      { target: "webgpu" },
    );
    const options = { device: device ?? { limits } };
    for (const name of ["kernels.wgsl", "dispatch.json", "weights.safetensors"]) {
      const bytes = files.get(name)!;
      const rest = new Map([...files].filter(([other]) => other !== name));
      expect(await why(rest, options)).toBe(`${name}: is missing from the files`);
      for (const other of [bytes.subarray(1), new Uint8Array(0), bytes.map((byte, i) => (i === 40 ? byte ^ 1 : byte))])
        expect(await why(new Map([...files, [name, other]]), options)).toContain(`${name}: is incomplete or altered`);
    }
    const other = await written(compile((v: Tensor) => v.sub(w), { name: "other", signature: [spec([3])] }));
    const manifest = manifestOf(files);
    const mixed = (name: string, bytes: Uint8Array): Files => {
      const build = (manifest["builds"] as { dispatch: object }[])[0]!;
      const entry = { file: name, bytes: bytes.length, crc32: crc32(bytes) };
      const builds = [name === "dispatch.json" ? { ...build, dispatch: entry } : { ...build, ...entry }];
      const { crc32: _, ...rest } = { ...manifest, builds } as unknown as Manifest;
      return new Map([...files, [name, bytes], ["manifest.json", manifestBytes(rest)]]);
    };
    expect(await why(mixed("dispatch.json", other.get("dispatch.json")!), options)).toBe(
      "dispatch.json: was not written with this manifest.json",
    );
    const plan = JSON.parse(new TextDecoder().decode(files.get("dispatch.json"))) as DispatchPlan;
    const made = (change: (f: Record<string, unknown>) => void): Promise<string> => {
      const copy = structuredClone(plan);
      change(copy.functions[0] as unknown as Record<string, unknown>);
      return why(mixed("dispatch.json", new TextEncoder().encode(JSON.stringify(copy))), options);
    };
    const step = plan.functions[0]!.steps[0] as object;
    expect(await made((g) => delete g["steps"])).toBe(
      "dispatch.json: functions[0].steps must be a list, but is missing",
    );
    expect(await made((g) => (g["shaders"] = [7]))).toContain("functions[0].shaders[0] must be a whole number below 1");
    expect(await made((g) => (g["slots"] = []))).toContain("dispatch.json: functions[0]");
    expect(await made((g) => (g["steps"] = [{ ...step, ranges: [] }]))).toContain(
      "steps[0].ranges must be a list of 3",
    );
    expect(await made((g) => (g["steps"] = [{ ...step, ranges: [{ kind: "buffer", buffer: 99 }] }]))).toContain(
      "steps[0].ranges[0].buffer must be the id of a buffer",
    );
    expect(await made((g) => (g["steps"] = [{ ...step, kind: "eval" }]))).toContain(
      "steps[0].kind must be dispatch or host",
    );
    expect(await made((g) => (g["buffers"] = 5))).toContain("functions[0].buffers must be a list, but is 5");
    if (device !== undefined)
      expect(
        await why(mixed("kernels.wgsl", new TextEncoder().encode("// shader 0\nfn main() { nothing(); }\n")), options),
      ).toMatch(/^kernels\.wgsl: .*does not compile: line 1/);
  });
});

function manifestOf(files: Files): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Record<string, unknown>;
}
