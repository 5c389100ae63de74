/** What a GPU is asked for, on programs written by hand: order, counts, errors and the loss of the device. */
import { spawnSync } from "node:child_process";
import type { DeviceBuffer, DeviceStep, Shader, Slot, WebgpuProgram } from "@sinter/ir/program";
import { GpuMachine, instantiateOnGpu } from "@sinter/runtime/webgpu";
import { afterAll, describe, expect, test } from "vitest";
import { gpuMachine } from "../../../test/support/gpu.ts";

const machine = await gpuMachine("packages/runtime/test/webgpu.test.ts");
afterAll(() => machine?.destroy());

const count = 257;

/** `b[i] = value` of `a[i]` for 257 elements. */
function shader(label: string, value: string): Shader {
  const code = `@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i < ${count}u) { b[i] = ${value}; }
}
`;
  return { label, code, buffers: ["read", "read_write"], params: false, gated: false };
}

const slotOf = (kind: Slot["kind"], bytes = 4 * count): Slot => {
  return { kind, index: 0, dtype: "f32", shape: [bytes / 4], bytes };
};
const bufferOf = (id: number, slot: number): DeviceBuffer => {
  return { id, place: { kind: "slot", slot, bytes: 4 * count }, elements: count, dtype: "f32" };
};

function programOf(
  shaders: readonly Shader[],
  steps: readonly DeviceStep[],
  slots: readonly Slot[] = [],
): WebgpuProgram {
  return {
    kind: "webgpu",
    name: "program",
    shaders,
    steps,
    slots: [slotOf("arena", 0), slotOf("arg"), slotOf("result"), ...slots],
    arenaBytes: 0,
    buffers: [bufferOf(0, 1), bufferOf(1, 2), bufferOf(2, 3)],
    kernels: shaders.length,
    calls: [],
    constants: [],
  };
}

const dispatch = (from = 0, to = 1): DeviceStep => {
  const ranges = [from, to].map((buffer) => ({ kind: "buffer", buffer }) as const);
  return { kind: "dispatch", shader: 0, ranges, params: [], groups: 5, kernel: 0 };
};
const numbers = Float32Array.from({ length: count }, (_, i) => i);

describe.skipIf(machine === undefined)("programs on a GPU", () => {
  test("calls before the pipelines are there run in order, and keep what they use", async () => {
    const gpu = machine!;
    const twice = instantiateOnGpu(gpu, programOf([shader("twice", "2.0 * a[i]")], [dispatch()]));
    const more = instantiateOnGpu(gpu, programOf([shader("more", "a[i] + 1.0")], [dispatch()]));
    expect(twice.isReady).toBe(false);
    const [a, b, c] = [gpu.upload("f32", numbers), gpu.allocate(4 * count), gpu.allocate(4 * count)];
    const before = gpu.stats;
    const calls = [
      twice.enqueue([undefined, a.buffer, b.buffer], []),
      more.enqueue([undefined, b.buffer, c.buffer], []),
    ];
    gpu.release(a);
    // Not the memory that was just given back, which a call still reads.
    const other = gpu.upload("f32", new Float32Array(count).fill(7));
    const found = await gpu.download(c, "f32", count);
    await Promise.all(calls);
    expect(found).toEqual(numbers.map((x) => 2 * x + 1));
    expect(gpu.stats.dispatches - before.dispatches).toBe(2);
    // Two calls, and the reading.
    expect(gpu.stats.submits - before.submits).toBe(3);
    expect(twice.isReady && more.isReady).toBe(true);
    for (const block of [b, c, other]) gpu.release(block);
    // Now within the call, with the same pipelines.
    const [from, to] = [gpu.upload("f32", numbers), gpu.allocate(4 * count)];
    const { submits, pipelines } = gpu.stats;
    void twice.enqueue([undefined, from.buffer, to.buffer], []);
    expect(gpu.stats.submits - submits).toBe(1);
    expect(gpu.stats.pipelines).toBe(pipelines);
    expect((await gpu.download(to, "f32", count))[256]).toBe(512);
    twice.dispose();
    more.dispose();
    for (const block of [from, to]) gpu.release(block);
  });

  test("loops whose length no list holds run in parts", async () => {
    const gpu = machine!;
    const copies: DeviceStep[] = [
      { kind: "copy", from: 0, to: 1 },
      { kind: "copy", from: 1, to: 0 },
    ];
    const step: DeviceStep = { kind: "for", count: 10_000, counter: 9, body: copies };
    const long = instantiateOnGpu(gpu, programOf([], [step]));
    await long.ready;
    const [a, b] = [gpu.upload("f32", numbers), gpu.allocate(4 * count)];
    const { submits } = gpu.stats;
    await long.enqueue([undefined, a.buffer, b.buffer], []);
    expect(gpu.stats.submits - submits).toBe(2);
    expect(await gpu.download(b, "f32", count)).toEqual(numbers);
    long.dispose();
    for (const block of [a, b]) gpu.release(block);
  });

  test("what the compiler rejects is told by kernel and line, and other programs go on", async () => {
    const gpu = machine!;
    const wrong = instantiateOnGpu(gpu, programOf([shader("wrong", "nothing[i]")], [dispatch()]));
    const right = instantiateOnGpu(gpu, programOf([shader("right", "-a[i]")], [dispatch()]));
    const [a, b] = [gpu.upload("f32", numbers), gpu.allocate(4 * count)];
    const calls = [wrong, right].map((each) => each.enqueue([undefined, a.buffer, b.buffer], []));
    await expect(calls[0]).rejects.toThrow(
      /kernel "wrong" does not compile: line 5:\d+: .*nothing[\s\S]*b\[i\] = nothing/,
    );
    await expect(wrong.ready).rejects.toThrow('kernel "wrong"');
    await calls[1];
    expect((await gpu.download(b, "f32", count))[256]).toBe(-256);
  });

  test("tensors and buffers that do not fit are named with the limit", async () => {
    const gpu = machine!;
    const { maxBufferSize } = gpu.features.limits;
    const kernel = shader("right", "-a[i]");
    const large = programOf([kernel], [dispatch()], [slotOf("state", maxBufferSize + 4)]);
    await expect(instantiateOnGpu(gpu, large).enqueue([], [])).rejects.toThrow(
      `program: state 0 (f32[${maxBufferSize / 4 + 1}]) takes ${maxBufferSize + 4} bytes, more than one buffer of this device may have (maxBufferSize is ${maxBufferSize})`,
    );
    const arena = { ...programOf([kernel], [dispatch()]), arenaBytes: maxBufferSize + 4 };
    await expect(instantiateOnGpu(gpu, arena).enqueue([], [])).rejects.toThrow(
      /intermediate tensors takes .*maxBufferSize/,
    );
    expect(() => gpu.allocate(maxBufferSize + 4)).toThrow(`maxBufferSize is ${maxBufferSize}`);
    const small = instantiateOnGpu(gpu, programOf([kernel], [dispatch()]));
    const block = gpu.allocate(16);
    await expect(small.enqueue([undefined, block.buffer], [])).rejects.toThrow(
      "program: arg 0 (f32[257]) has a buffer of 256 bytes, and needs 1040",
    );
    expect(() => gpu.upload("f64", [1])).toThrow("f64 is not available on webgpu; cast to f32");
  });

  test("a lost device ends all calls, and another can be had", async () => {
    const lost = await GpuMachine.acquire();
    const kernel = instantiateOnGpu(lost, programOf([shader("twice", "2.0 * a[i]")], [dispatch()]));
    const [a, b] = [lost.upload("f32", numbers), lost.allocate(4 * count)];
    const buffers = [undefined, a.buffer, b.buffer];
    await kernel.enqueue(buffers, []);
    const pending = lost.download(b, "f32", count);
    lost.destroy();
    const message = "webgpu: the device is lost (destroyed)";
    await expect(pending).rejects.toThrow(message);
    await expect(kernel.enqueue(buffers, [])).rejects.toThrow(message);
    await expect(lost.download(b, "f32", count)).rejects.toThrow(message);
    expect(() => lost.allocate(4)).toThrow(message);
    const again = await GpuMachine.acquire();
    expect(await again.download(again.upload("bool", [1, 0, 5]), "bool", 3)).toEqual(Uint8Array.of(1, 0, 1));
    again.destroy();
  });
});

test("without an adapter, the error says what is missing", () => {
  const script =
    'import("@sinter/runtime/webgpu").then(({ GpuMachine }) => GpuMachine.acquire()).then(() => console.log("one"), (error) => console.log(error.message))';
  const env = { ...process.env, VK_ICD_FILENAMES: "/nowhere/icd.json", VK_DRIVER_FILES: "/nowhere/icd.json" };
  const { stdout } = spawnSync(process.execPath, ["-e", script], { env, encoding: "utf8", cwd: import.meta.dirname });
  if (process.platform === "linux") expect(stdout).toMatch(/^webgpu: there is no adapter/);
});
