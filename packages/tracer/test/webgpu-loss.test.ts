// A GPU that is lost in the middle of work: who is told what, what is restored, and that work goes on on another device.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  DeviceLostError,
  fromGPUBuffer,
  gpuDevice,
  loadWeights,
  ready,
  saveWeights,
  setBackend,
  spec,
  type Tensor,
  tensor,
  variable,
  weightsToBytes,
} from "../src/index.ts";
import { failure, missingGpu, numbers } from "./support-gpu.ts";

const missing = await missingGpu("the tests of lost devices");

/** Lets the device say that it is lost, and another one come. */
async function lose(): Promise<void> {
  gpuDevice().destroy();
  await ready("webgpu");
}

describe.skipIf(missing)("a lost device", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  test("variables that were read since they were assigned are restored, others are named", async () => {
    const [w, b] = [variable([1, 2], { name: "w" }), variable([0, 0], { name: "b" })];
    const step = compile(
      (x: Tensor) => {
        w.assignAdd(x);
        b.assignSub(x);
        return w.sum();
      },
      { name: "step" },
    );
    const x = tensor([1, 1]);
    const kept = step(x);
    expect(await numbers(kept)).toEqual([5]);
    const read = await w.data();
    // What is read is the reader's.
    read.fill(77);
    const before = gpuDevice();
    await lose();
    expect(gpuDevice()).not.toBe(before);
    expect(await numbers(w)).toEqual([2, 3]);
    const message = await failure(() => step(x));
    expect(message).toMatch(/^step: the value of variable b is lost: webgpu: the device is lost \(destroyed\)/);
    expect(message).toMatch(/b\.assign\(x\), or load a checkpoint\s+at .*webgpu-loss\.test\.ts/);
    expect(await failure(() => b.data())).toMatch(/^b: the value of variable b is lost/);
    expect(await failure(() => kept.data())).toMatch(/the tensor f32\[\], made at .*webgpu-loss\.test\.ts.*is lost/);
    expect(await failure(() => kept.add(1).data())).toMatch(/the tensor f32\[\], made at .* is lost/);
    // Assigned as a whole, also by a program.
    const reset = compile(() => void b.assign(w.value.mul(0)), { name: "reset" });
    reset();
    expect(await numbers(step(x))).toEqual([7]);
    expect([await numbers(w), await numbers(b)]).toEqual([
      [3, 4],
      [-1, -1],
    ]);
    expect(step.traces).toBe(1);
  });

  test("what came from the host, and constants of programs, go to the next device", async () => {
    const [w, c] = [variable([1, 2, 3], { name: "w" }), tensor(Float32Array.from({ length: 300 }, (_, i) => i))];
    const f = compile((x: Tensor) =>
      x
        .add(w)
        .sum()
        .add(c.sum())
        .add(tensor([1, 2, 3, 4]).mean()),
    );
    const x = tensor([1, 1, 1]);
    const sum = 9 + (299 * 300) / 2 + 2.5;
    expect(await numbers(f(x))).toEqual([sum]);
    await lose();
    expect(await numbers(f(x))).toEqual([sum]);
    const pending = x.mul(2);
    await lose();
    expect(await numbers(pending)).toEqual([2, 2, 2]);
  });

  test("while pipelines are made, and with a read pending", async () => {
    const w = variable([1], { name: "w" });
    const f = compile(
      (x: Tensor) => {
        w.assignAdd(1);
        return x.matmul(x).exp().sin().sum();
      },
      { name: "f" },
    );
    const m = tensor([
      [1, 2],
      [3, 4],
    ]);
    const early = f(m);
    gpuDevice().destroy();
    const error: unknown = await early.data().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(String(error)).toMatch(/f: webgpu: the device is lost[\s\S]*webgpu-loss\.test\.ts/);
    // Whoever was told goes on at once; the call that failed changed nothing.
    expect(await numbers(w)).toEqual([1]);
    const again = f(m);
    await again.data();
    const reads = [again.data(), again.add(1).data()];
    gpuDevice().destroy();
    const outcomes = await Promise.allSettled(reads);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(DeviceLostError) as unknown });
    await ready("webgpu");
    expect(await failure(() => w.data())).toContain("variable w is lost");
    expect(await numbers(m.add(1))).toEqual([2, 3, 4, 5]);
  });

  test("weights that were saved are loaded into variables that were lost, and restored where nothing changed since", async () => {
    const model = { w: variable([1, 2], { name: "w" }), b: variable([3], { name: "b" }) };
    const step = compile(() => {
      model.w.assignAdd(1);
      model.b.assignAdd(1);
    });
    step();
    expect(await failure(() => weightsToBytes(model))).toMatch(/variable w, f32\[2\], is on webgpu.*await w\.data\(\)/);
    const folder = mkdtempSync(join(tmpdir(), "sinter-loss-"));
    const file = join(folder, "weights.safetensors");
    try {
      await saveWeights(model, file);
      await lose();
      step();
      expect([await numbers(model.w), await numbers(model.b)]).toEqual([[3, 4], [5]]);
      const bytes = weightsToBytes(model);
      step();
      await ready("webgpu");
      await lose();
      expect(await failure(step)).toContain("the values of variables w, b are lost");
      expect(await failure(() => saveWeights(model, file))).toContain("variable w is lost");
      await loadWeights(model, file);
      step();
      expect([await numbers(model.w), await numbers(model.b)]).toEqual([[3, 4], [5]]);
      await loadWeights(model, bytes);
      expect(await numbers(model.b)).toEqual([5]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("calls that come before another device is there say what to await", async () => {
    const f = compile((x: Tensor) => x.add(1));
    const x = tensor([1]);
    await f(x).data();
    const lost = gpuDevice().lost;
    gpuDevice().destroy();
    await lost;
    await Promise.resolve();
    expect(await failure(() => f(x))).toMatch(/the device is lost.*await ready\("webgpu"\) waits for another one/);
    await ready("webgpu");
    expect(await numbers(f(x))).toEqual([2]);
  });

  test("buffers of somebody else are lost with their device; recorded commands too", async () => {
    const y = tensor([1, 2, 3]).add(1);
    await y.data();
    const shared = fromGPUBuffer(y.gpuBuffer(), spec([3]));
    await lose();
    expect(await failure(() => shared.data())).toContain("the tensor f32[3]");
    expect(await failure(() => shared.gpuBuffer())).toContain("is lost");
    const f = compile((x: Tensor) => x.mul(3));
    const x = tensor([1, 2]);
    await f(x).data();
    await lose();
    await f(x).data();
    const encoder = gpuDevice().createCommandEncoder();
    const out = f.record(encoder, x);
    gpuDevice().queue.submit([encoder.finish()]);
    expect(await numbers(out)).toEqual([3, 6]);
  });
});
