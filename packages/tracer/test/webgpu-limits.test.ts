// A device with no more than every WebGPU device has: kernels of many buffers, tensors that no binding holds, dispatches of
// more groups than one dimension may have, and values that WGSL has no constants for.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fullRun } from "../../../test/support/fuzz.ts";
import { theGpu } from "../src/gpu/session.ts";
import {
  type CompiledFunction,
  compile,
  cond,
  DeviceLostError,
  gpuDevice,
  ones,
  ready,
  scan,
  setBackend,
  stack,
  type Tensor,
  tensor,
  variable,
  where,
} from "../src/index.ts";
import { failure, missingGpu, numbers } from "./support-gpu.ts";

/** It stays: an implementation that is collected takes its devices with it. */
let implementation: GPU | undefined;

/** A device as `requestDevice()` gives it where nothing is asked for. */
async function leastDevice(): Promise<GPUDevice> {
  const { create } = (await import("webgpu")) as { create(flags: readonly string[]): GPU };
  implementation ??= create([]);
  const adapter = await implementation.requestAdapter();
  if (adapter === null) throw new Error("no adapter");
  return adapter.requestDevice();
}

const given = await leastDevice().catch(() => undefined);
const missing = await missingGpu("a device of least limits", given);

const sequence = (length: number, from = 0): Tensor =>
  tensor(Float32Array.from({ length }, (_, i) => (((i * 37) % 101) + from) / 8));

describe.skipIf(missing)("a device of least limits", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  /** What a function gives on both backends. */
  async function both(fn: (...args: Tensor[]) => Tensor, args: readonly Tensor[]): Promise<[number[], number[]]> {
    const on = (backend: "wasm" | "webgpu"): CompiledFunction<Tensor[], Tensor> => compile(fn, { backend });
    return [await numbers(on("webgpu")(...args)), await numbers(on("wasm")(...args))];
  }

  test("kernels of more buffers than a stage may have come apart", async () => {
    const xs = Array.from({ length: 14 }, (_, i) => sequence(300, i));
    const total = (...all: Tensor[]) => all.reduce((a, b) => a.add(b));
    const functions: ((...all: Tensor[]) => Tensor)[] = [
      total,
      (...all) => stack(all.map((x) => x.sum())),
      (...all) => stack(all).softmax(0),
      (...all) => stack(all.slice(1).map((x, i) => x.mul(all[i]!).mean())),
      (...all) =>
        cond(
          all[0]!.sum().gt(1e6),
          () => total(...all),
          () => all.reduce((a, b) => a.maximum(b)),
        ),
      (...all) => scan((c: Tensor, rows: Tensor[]) => [total(c, ...rows), c], tensor(0), all)[0],
    ];
    for (const fn of fullRun ? functions : functions.slice(0, 3)) {
      const [found, expected] = await both(fn, xs);
      for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 2);
    }
    const many = compile((x: Tensor) => Array.from({ length: 12 }, (_, i) => x.mul(i)));
    const results = await Promise.all(many(xs[0]!).map(numbers));
    expect(results.map((values) => values[7]! / results[1]![7]!)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    const ws = Array.from({ length: 10 }, (_, i) => variable(new Float32Array(50).fill(i)));
    compile((x: Tensor) => {
      for (const w of ws) w.assignSub(x);
    })(tensor(1));
    expect(await Promise.all(ws.map(async (w) => (await w.data())[49]))).toEqual(ws.map((_, i) => i - 1));
  });

  test("tensors that no binding holds are named with the limit and the line", async () => {
    const most = gpuDevice().limits.maxStorageBufferBindingSize;
    expect(most).toBe(128 * 1024 * 1024);
    const size = most / 4 + 256;
    // What is fused away takes no memory.
    if (fullRun) expect(await numbers(ones([size]).sum())).toEqual([size]);
    const bound = new RegExp(`takes ${4 * size} bytes.*maxStorageBufferBindingSize is ${most}`);
    expect(await failure(() => compile(() => ones([size]), { name: "f" })())).toMatch(bound);
    if (!fullRun) return;
    const inner = compile(
      (n: Tensor) => {
        const sums = ones([size]).add(n).cumsum(0);
        return sums.sum().add(sums.max());
      },
      { name: "inner" },
    );
    const message = await failure(() => inner(tensor(1)).data());
    expect(message).toMatch(bound);
    expect(message).toMatch(/^inner: .*kernel "[^"]*cumulate"[\s\S]*webgpu-limits\.test\.ts/);
  });

  test("dispatches of more groups than a dimension may have are folded", async () => {
    const { machine } = theGpu();
    const { limits } = machine.features as { limits: { maxComputeWorkgroupsPerDimension: number } };
    const before = limits.maxComputeWorkgroupsPerDimension;
    let folded = 0;
    const { createCommandEncoder } = machine.device;
    machine.device.createCommandEncoder = (of) => {
      const encoder = createCommandEncoder.call(machine.device, of);
      const { beginComputePass } = encoder;
      encoder.beginComputePass = (how) => {
        const pass = beginComputePass.call(encoder, how);
        const { dispatchWorkgroups } = pass;
        pass.dispatchWorkgroups = (x, y = 1, z = 1) => {
          expect(x).toBeLessThanOrEqual(23);
          if (y > 1) folded++;
          dispatchWorkgroups.call(pass, x, y, z);
        };
        return pass;
      };
      return encoder;
    };
    limits.maxComputeWorkgroupsPerDimension = 23;
    try {
      const x = sequence(3700);
      const wide = (v: Tensor): Tensor => v.reshape([37, 100]);
      const indices = tensor(Int32Array.from({ length: 1000 }, (_, i) => (i * 7) % 3700));
      const cases: [string, (...all: Tensor[]) => Tensor, Tensor[]][] = [
        ["map", (v) => v.mul(2).add(1), [sequence(100_003)]],
        ["reversed", (v) => v.flip(0), [x]],
        ["rows", (v) => wide(v).softmax(1), [x]],
        ["sums", (v) => wide(v).sum(1), [x]],
        ["columns", (v) => v.reshape([300, 900]).sum(0), [sequence(300 * 900)]],
        [
          "product",
          (a, b) => a.reshape([300, 40]).matmul(b.reshape([40, 200])),
          [sequence(300 * 40), sequence(40 * 200)],
        ],
        ["gather", (v, i) => v.gather(i), [x, indices]],
        ["sort", (v) => v.sort(), [x]],
        ["cumulate", (v) => wide(v).cumsum(1), [x]],
      ];
      for (const [name, fn, args] of fullRun ? cases : cases.slice(0, 3)) {
        const [found, expected] = await both(fn, args);
        expect(found.length, name).toBe(expected.length);
        const wrong = found.findIndex(
          (value, i) => Math.abs(value - expected[i]!) > 1e-4 * Math.max(1, Math.abs(expected[i]!)),
        );
        expect(wrong, `${name}: the first element that differs`).toBe(-1);
      }
      expect(folded).toBeGreaterThanOrEqual(fullRun ? 5 : 1);
      // More than two dimensions hold.
      expect(await failure(() => compile((v: Tensor) => v.flip(0))(sequence(200_003)).data())).toMatch(
        /needs \d+ workgroups; a dispatch has at most 529/,
      );
    } finally {
      limits.maxComputeWorkgroupsPerDimension = before;
      machine.device.createCommandEncoder = createCommandEncoder;
    }
  });

  test("infinities and NaN in the code", async () => {
    const x = tensor([1, -1, 0, 5]);
    const inf = Number.POSITIVE_INFINITY;
    const cases: [(v: Tensor) => Tensor, number[]][] = [
      [(v) => v.mul(0).add(inf), [inf, inf, inf, inf]],
      [(v) => where(v.gt(0), Number.NaN, v.maximum(-inf)), [Number.NaN, -1, 0, Number.NaN]],
      [(v) => v.add(tensor([inf, -inf, Number.NaN, 1])), [inf, -inf, Number.NaN, 6]],
      [(v) => v.minimum(inf).maximum(-inf), [1, -1, 0, 5]],
      [(v) => where(v.eq(0), -inf, v).max(), [5]],
    ];
    for (const [fn, expected] of cases) expect(await numbers(compile(fn)(x))).toEqual(expected);
  });

  test("a device that was given and is lost has to be replaced by whoever gave it", async () => {
    const w = variable([1, 2], { name: "w" });
    const f = compile((x: Tensor) => w.assignAdd(x).value.sum());
    const x = tensor([1, 1]);
    await f(x).data();
    await w.data();
    const { lost } = gpuDevice();
    gpuDevice().destroy();
    await lost;
    const error: unknown = await (async () => f(x))().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(String(error)).toContain('give another one, await ready("webgpu", { device })');
    const device = await leastDevice();
    await ready("webgpu", { device });
    expect(gpuDevice()).toBe(device);
    expect(await numbers(f(x))).toEqual([7]);
    expect(await failure(() => ready("webgpu", { device: given! }))).toContain("another device");
  });
});
