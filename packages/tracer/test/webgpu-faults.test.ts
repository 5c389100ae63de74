// What a GPU finds wrong with a call: which call is told, and what else is; tensors that it has no room for.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { theGpu } from "../src/gpu/session.ts";
import {
  compile,
  fromGPUBuffer,
  gpuDevice,
  OutOfMemoryError,
  ones,
  ready,
  ShapeError,
  setBackend,
  spec,
  type Tensor,
  tensor,
  variable,
  zeros,
} from "../src/index.ts";
import { failure, missingGpu, numbers } from "./support-gpu.ts";

const missing = await missingGpu("faults of the GPU");
/** STORAGE, COPY_SRC, COPY_DST */
const usage = 0x80 | 0x04 | 0x08;

describe.skipIf(missing)("faults of the GPU", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  test("a call that the device refuses fails with its line, and so does what reads its results", async () => {
    const f = compile((x: Tensor) => x.mul(2).sum(), { name: "f" });
    const g = compile((x: Tensor) => x.add(1), { name: "g" });
    const w = variable(0, { name: "w" });
    const store = compile((x: Tensor) => void w.assign(x.add(0)), { name: "store" });
    const buffer = gpuDevice().createBuffer({ size: 1024, usage });
    const given = fromGPUBuffer(buffer, spec([256]));
    expect(await numbers(f(given))).toEqual([0]);
    await g(tensor(1)).data();
    store(tensor(1));
    await ready("webgpu");
    buffer.destroy();
    // All are submitted before anything is known.
    const y = f(given);
    const z = g(y);
    const other = g(tensor(5));
    const line = Number(/test\.ts:(\d+)/.exec(new Error().stack!)![1]) - 3;
    store(z);
    for (const result of [y, z])
      expect(await failure(() => result.data())).toMatch(
        new RegExp(`^f: webgpu: \\[Buffer.*used in submit while destroyed[\\s\\S]*webgpu-faults\\.test\\.ts:${line}:`),
      );
    expect(await numbers(other)).toEqual([6]);
    expect(await failure(() => w.data())).toContain("used in submit while destroyed");
    expect(await failure(() => store(w.value))).toContain("f: webgpu");
    w.assign(3);
    expect(await numbers(w)).toEqual([3]);
    expect(await failure(() => given.data())).toMatch(/^data: the tensor f32\[256\]: webgpu: .*destroyed/);
    expect(await numbers(g(tensor(5)))).toEqual([6]);
  });

  test("a kernel that the device does not compile is named with its lines", async () => {
    const device = gpuDevice();
    const { createShaderModule } = device;
    device.createShaderModule = (of) =>
      createShaderModule.call(device, { ...of, code: `${of.code}\nlet no: nothing;` });
    const f = compile((x: Tensor) => x.mul(17).sin().sum(), { name: "f" });
    const w = variable([1, 2], { name: "w" });
    const step = compile(() => void w.assign(w.mul(18).cos()), { name: "step" });
    try {
      expect(await failure(() => f(tensor([1, 2])).data())).toMatch(
        /^f: webgpu: kernel "k0_\w+" \(\S*webgpu-faults\.test\.ts:\d+ mul, sin, sum\) does not compile: line \d+:\d+: [\s\S]*\n {4}at .*webgpu-faults/,
      );
      step();
      expect(await failure(() => w.data())).toMatch(/^step: webgpu: kernel/);
      expect(await numbers(w)).toEqual([1, 2]);
    } finally {
      device.createShaderModule = createShaderModule;
    }
  });

  test("errors of the user's own work are not those of calls", async () => {
    const device = gpuDevice();
    device.pushErrorScope("validation");
    device.createBuffer({ size: 16, usage: 0x01 | 0x80 });
    expect(await device.popErrorScope()).not.toBeNull();
    expect(await numbers(tensor([1]).add(1))).toEqual([2]);
  });

  test("a device without room says how much was asked for", async () => {
    const { maxBufferSize } = gpuDevice().limits;
    if (!/SwiftShader/i.test(theGpu().machine.description)) {
      console.log("not run: memory of a GPU that is full: only SwiftShader is known to refuse its largest buffer");
      return;
    }
    const large = compile(() => ones([maxBufferSize / 4]), { name: "large" });
    const error: unknown = await large()
      .data()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(String(error)).toMatch(
      /large: webgpu: the device is out of memory: .*room for \d+ bytes.*dispose[\s\S]*webgpu-faults\.test\.ts/,
    );
    expect((error as OutOfMemoryError).bytes).toBe(maxBufferSize);
    expect(await failure(() => large().sum().data())).toContain("out of memory");
    // What was refused is not kept for somebody else.
    expect(await failure(() => large().data())).toContain("out of memory");
    expect(await numbers(zeros([3]).add(1))).toEqual([1, 1, 1]);
  });

  test("tensors that no buffer holds are refused at once", async () => {
    const { maxBufferSize, maxStorageBufferBindingSize } = gpuDevice().limits;
    const size = Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4 + 1;
    const f = compile(() => ones([size]), { name: "f" });
    expect(f).toThrow(ShapeError);
    const message = await failure(() => f());
    expect(message).toMatch(new RegExp(`a tensor f32\\[${size}\\] takes \\d+ bytes on the GPU, .*max\\w+ is \\d+`));
    expect(message).toMatch(/at .*webgpu-faults\.test\.ts/);
    expect(await failure(() => zeros([size]).add(1).data())).toContain(`f32[${size}]`);
    // So are those in between, where they cannot be fused away.
    const inner = compile(
      () => {
        const sums = ones([size]).cumsum(0);
        return sums.sum().add(sums.slice([0], [1]));
      },
      { name: "inner" },
    );
    expect(await failure(() => inner().data())).toMatch(/^inner: webgpu: .*intermediate.* takes \d+ bytes.*is \d+\)/);
  });
});
