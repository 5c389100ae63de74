// Tensors, compiled functions, variables and failures on the backend "webgpu": what happens when, and where values are.
// What programs compute there is compared op by op elsewhere.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { theGpu } from "../src/gpu/session.ts";
import {
  assert,
  compile,
  fromGPUBuffer,
  gpuDevice,
  grad,
  hostCall,
  memory,
  print,
  profile,
  ready,
  setBackend,
  setPrintSink,
  spec,
  type Tensor,
  tensor,
  valueAndGrad,
  variable,
  zeros,
} from "../src/index.ts";

const early = compile((x: Tensor) => x.add(1), { backend: "webgpu" });
let beforeReady: unknown;
try {
  early(tensor([1]));
} catch (error) {
  beforeReady = error;
}
const missing: unknown = await ready("webgpu").then(
  () => undefined,
  (error: unknown) => error,
);
if (missing !== undefined) {
  if (process.env["SINTER_REQUIRE_WEBGPU"] === "1") throw missing;
  console.log(`not run: the tracer's tests on webgpu: ${missing instanceof Error ? missing.message : String(missing)}`);
}

const numbers = async (x: { data(): Promise<ArrayLike<number>> }): Promise<number[]> => Array.from(await x.data());
/** The message of what `body` throws or rejects with. */
async function failure(body: () => unknown): Promise<string> {
  try {
    await body();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing was thrown";
}

describe.skipIf(missing !== undefined)("webgpu", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  test("before ready, a use is an error that says what to write", () => {
    expect(String(beforeReady)).toContain('await ready("webgpu")');
  });

  test("a compiled function gives at once what can be read later", async () => {
    const f = compile((x: Tensor) => ({ y: x.mul(2).add(1), positive: x.gt(0), x }));
    const x = tensor([[1, -2, 3]]);
    const { y, positive, x: same } = f(x);
    expect(y.shape).toEqual([1, 3]);
    expect(String(y)).toBe("Tensor f32[1,3] (on webgpu)");
    expect(await y.array()).toEqual([[3, -3, 7]]);
    expect(await positive.array()).toEqual([[true, false, true]]);
    expect(await numbers(same)).toEqual([1, -2, 3]);
    // Results go into calls that follow, of any size.
    expect(await numbers(f(y).y)).toEqual([7, -5, 15]);
    expect(f.traces).toBe(1);
    const long = Float32Array.from({ length: 257 }, (_, i) => i);
    expect(await numbers(f(tensor(long)).y)).toEqual(Array.from(long, (v) => 2 * v + 1));
    expect(await numbers(compile((v: Float32Array) => tensor(v).neg())(new Float32Array([1, 2])))).toEqual([-1, -2]);
  });

  test("operations outside a compiled function run there too", async () => {
    const x = tensor([1, 2, 3]);
    let y = x.add(1);
    for (let i = 0; i < 300; i++) y = y.add(x);
    expect(String(y)).toBe("Tensor f32[3] (on webgpu)");
    expect(await numbers(y)).toEqual([302, 603, 904]);
    expect(await numbers(grad((v: typeof x) => v.square().sum())(x))).toEqual([2, 4, 6]);
    const w = variable([1, 2]);
    w.assignAdd(tensor([1, 1]));
    w.assignAdd(w);
    expect(await numbers(w)).toEqual([4, 6]);
  });

  test("what is no device is refused", async () => {
    for (const device of [{}, null, 3])
      expect(await failure(() => ready("webgpu", { device: device as GPUDevice }))).toMatch(
        /^ready: device must be a GPUDevice, not [\s\S]*webgpu\.test\.ts/,
      );
  });

  test("reading at once is an error that says what to await", async () => {
    const y = tensor([2]).mul(3);
    expect(await failure(() => y.dataSync())).toContain("await x.data()");
    expect(await failure(() => y.item())).toContain("(await x.data())[0]");
    expect(await failure(() => y.view())).toContain("await x.data()");
    expect(await failure(() => y.arraySync())).toContain("await x.array()");
    expect(await failure(() => y.item())).toContain("webgpu.test.ts");
  });

  test("a tensor goes from one backend to the other", async () => {
    const onWasm = compile((x: Tensor) => x.add(1), { backend: "wasm" });
    const y = tensor([1, 2]).mul(3);
    expect(await failure(() => onWasm(y))).toMatch(/x, f32\[2\], is on webgpu.*await x\.to\("wasm"\)/);
    const moved = await y.to("wasm");
    expect(onWasm(moved).dataSync()).toEqual(new Float32Array([4, 7]));
    const back = await moved.to("webgpu");
    expect(String(back)).toContain("(on webgpu)");
    expect(await numbers(back)).toEqual([3, 6]);
    const bools = await tensor([true, false, true]).to("webgpu");
    expect(await (await bools.to("wasm")).array()).toEqual([true, false, true]);
    expect(await failure(() => y.to("moon" as "wasm"))).toContain('"wasm" or on "webgpu"');
  });

  test("variables live where they were last written", async () => {
    const w = variable([1, 2], { name: "w" });
    const onWasm = compile(() => void w.assignAdd(1), { backend: "wasm" });
    const onGpu = compile((x: Tensor) => {
      const before = w.value;
      w.assign(w.mul(x));
      return before;
    });
    onWasm();
    expect(await numbers(onGpu(tensor(2)))).toEqual([2, 3]);
    expect(await numbers(onGpu(tensor(3)))).toEqual([4, 6]);
    expect(await numbers(w)).toEqual([12, 18]);
    expect(await failure(() => onWasm())).toContain('w.assign(await w.value.to("wasm"))');
    w.assign(await w.value.to("wasm"));
    onWasm();
    expect(w.dataSync()).toEqual(new Float32Array([13, 19]));
    // The copy on the device is not that of the value before.
    expect(await numbers(onGpu(tensor(1)))).toEqual([13, 19]);
  });

  test("variables exchange their values", async () => {
    const a = variable([1]);
    const b = variable([2]);
    const swap = compile(() => {
      const before = a.value;
      a.assign(b);
      b.assign(before);
    });
    swap();
    expect([await numbers(a), await numbers(b)]).toEqual([[2], [1]]);
  });

  test("a training step learns", async () => {
    const w = variable(zeros([3]));
    const x = tensor([
      [1, 0, 2],
      [0, 1, 1],
      [1, 1, 0],
      [2, 1, 1],
    ]);
    const y = tensor([5, 3, 3, 6]);
    const step = compile(() => {
      const [loss, slope] = valueAndGrad((v: typeof x) => x.matmul(v).sub(y).square().mean())(w.value);
      w.assignSub(slope.mul(0.1));
      return loss;
    });
    const first = step();
    let loss = first;
    for (let i = 0; i < 50; i++) loss = step();
    const [before, now] = [(await first.data())[0]!, (await loss.data())[0]!];
    expect(before).toBeCloseTo(19.75, 3);
    expect(now).toBeLessThan(before / 100);
  });

  test("a failed check rejects what was computed, and variables get their values back", async () => {
    const w = variable([1], { name: "w" });
    const step = compile((x: Tensor) => {
      assert(x.gt(0).all(), "x must be positive");
      w.assign(w.add(x));
      return w.value;
    });
    const good = step(tensor([1]));
    const bad = step(tensor([-1]));
    // Queued before it is known: fails with the one before.
    const after = step(tensor([5]));
    expect(await numbers(good)).toEqual([2]);
    expect(await failure(() => bad.data())).toContain("x must be positive");
    expect(await failure(() => after.data())).toContain("x must be positive");
    expect(await failure(() => bad.add(1).data())).toContain("x must be positive");
    expect(await numbers(w)).toEqual([2]);
    expect(await numbers(step(tensor([2])))).toEqual([4]);
  });

  test("a variable that a failed call gave an argument, or the value of another one, has its old value", async () => {
    const [a, b] = [variable([1], { name: "a" }), variable([2], { name: "b" })];
    const store = compile((x: Tensor) => {
      b.assign(a);
      a.assign(x);
      assert(x.gt(0).all(), "x must be positive");
    });
    const add = compile((x: Tensor) => {
      a.assignAdd(x);
      return a.value;
    });
    for (const x of [tensor([-5]), tensor([-5]).add(0)]) {
      store(x);
      // Queued before it is known that the call failed.
      const sum = add(tensor([1]));
      expect(await failure(() => sum.data())).toContain("x must be positive");
      expect([await numbers(a), await numbers(b), await numbers(x)]).toEqual([[1], [2], [-5]]);
      store(x);
      expect(await failure(() => a.data())).toContain("x must be positive");
      expect([await numbers(a), await numbers(b)]).toEqual([[1], [2]]);
    }
    const { gpuBytes } = memory();
    for (let i = 0; i < 5; i++) {
      const x = tensor([7]).add(i);
      store(x);
      expect(await numbers(add(x))).toEqual([14 + 2 * i]);
      x.dispose();
    }
    expect([await numbers(a), await numbers(b)]).toEqual([[22], [20]]);
    expect(memory().gpuBytes - gpuBytes).toBeLessThan(4096);
  });

  test("host calls and prints happen in order", async () => {
    const told: string[] = [];
    const before = setPrintSink((text) => told.push(text));
    try {
      const f = compile((x: Tensor) => {
        print("x is {}", x);
        const y = hostCall((v: typeof x) => v.mul(10), spec([2]), x);
        return (y as typeof x).add(1);
      });
      expect(await numbers(f(tensor([1, 2])))).toEqual([11, 21]);
      expect(told).toEqual(["x is [1, 2]"]);
    } finally {
      setPrintSink(before);
    }
  });

  test("what a host call throws rejects the results", async () => {
    const w = variable([1]);
    const f = compile((x: Tensor) => {
      w.assignAdd(x);
      return x.add(hostCall((_: Tensor) => fail(), spec([1]), x) as Tensor);
    });
    const fail = (): never => {
      throw new RangeError("no luck");
    };
    const result = f(tensor([1]));
    expect(await failure(() => result.data())).toBe("no luck");
    expect(await numbers(w)).toEqual([1]);
  });

  test("f64, and profiles at once, are errors", async () => {
    const wide = compile((x: Tensor) => x.cast("f64").add(1));
    expect(await failure(() => wide(tensor([1])))).toMatch(
      /f64.*not available on webgpu; cast to f32[\s\S]*webgpu\.test\.ts/,
    );
    expect(await failure(() => tensor([1]).cast("f64"))).toContain("not available on webgpu");
    expect(await failure(() => profile((x: Tensor) => x.add(1), tensor([1])))).toContain("webgpu");
  });

  test("buffers of the device go in and out", async () => {
    const y = tensor([1, 2, 3]).add(1);
    await y.data();
    const same = fromGPUBuffer(y.gpuBuffer(), spec([3], "f32"));
    expect(await numbers(same.mul(10))).toEqual([20, 30, 40]);
    expect(fromGPUBuffer(same.gpuBuffer(), spec([])).gpuBuffer()).toBe(y.gpuBuffer());
    expect(await failure(() => fromGPUBuffer(y.gpuBuffer(), spec([1000])))).toContain("4000 bytes");
    expect(await failure(() => fromGPUBuffer({} as GPUBuffer, spec([1])))).toContain("GPUBuffer");
  });

  test("a call is recorded into the commands of somebody else", async () => {
    const f = compile((x: Tensor) => x.matmul(x).add(1).sum(0));
    const x = tensor([
      [1, 2],
      [3, 4],
    ]).add(0);
    const device = gpuDevice();
    expect(await failure(() => f.record(device.createCommandEncoder(), x))).toContain('await ready("webgpu")');
    await ready("webgpu");
    const encoder = device.createCommandEncoder();
    const sums = f.record(encoder, x);
    // Other calls in between have working memory of their own.
    await f(x).data();
    device.queue.submit([encoder.finish()]);
    expect(await numbers(sums)).toEqual([24, 34]);
    expect(await failure(() => f.record({} as GPUCommandEncoder, x))).toContain("GPUCommandEncoder");
  });

  test("symbolic sizes", async () => {
    const f = compile((x: Tensor) => x.sub(x.mean()), { signature: [spec([null])] });
    expect(await numbers(f(tensor([1, 3])))).toEqual([-1, 1]);
    expect(await numbers(f(tensor([1, 2, 3, 6])))).toEqual([-2, -1, 0, 3]);
    expect(f.traces).toBe(1);
  });

  test("each call is one submit, and memory comes back, in loops that never wait too", async () => {
    const w = variable(zeros([1000]));
    const f = compile((x: Tensor) => {
      w.assignAdd(x);
      return w.sum();
    });
    const x = tensor(new Float32Array(1000).fill(1));
    const first = f(x);
    await ready("webgpu");
    const { stats } = theGpu().machine;
    const { gpuBytes } = memory();
    let last = first;
    for (let i = 1; i < 50; i++) {
      last.dispose();
      last = f(x);
    }
    expect(theGpu().machine.stats.submits - stats.submits).toBe(49);
    expect(memory().gpuBytes).toBeLessThan(gpuBytes + 8000);
    expect(await numbers(last)).toEqual([50_000]);
    last.dispose();
    w.dispose();
    x.dispose();
    // The new value and the sum, the old value's memory, the copy of x.
    expect(memory().gpuBytes).toBeLessThan(gpuBytes - 8000);
  });
});
