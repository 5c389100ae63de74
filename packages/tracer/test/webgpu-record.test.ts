// Calls with variables and checks, recorded into the commands of somebody else.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  assert,
  compile,
  gpuDevice,
  memory,
  print,
  ready,
  setBackend,
  type Tensor,
  tensor,
  variable,
} from "../src/index.ts";
import { failure, missingGpu, numbers } from "./support-gpu.ts";

const missing = await missingGpu("recorded calls with variables");

/** Records what `body` records, and submits it. */
function recorded<T>(body: (encoder: GPUCommandEncoder) => T): T {
  const device = gpuDevice();
  const encoder = device.createCommandEncoder();
  const result = body(encoder);
  device.queue.submit([encoder.finish()]);
  return result;
}

describe.skipIf(missing)("recorded calls", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  test("variables have their new values when the commands have run", async () => {
    const w = variable([1, 2], { name: "w" });
    const step = compile((x: Tensor) => {
      const before = w.value;
      w.assign(w.mul(2).add(x));
      return { before, sum: w.sum() };
    });
    const x = tensor([1, 1]).add(0);
    await numbers(step(x).sum);
    expect(await numbers(w)).toEqual([3, 5]);
    // Somebody else has the value too; it stays.
    const held = w.value;
    await ready("webgpu");
    const encoder = gpuDevice().createCommandEncoder();
    const results = [step.record(encoder, x), step.record(encoder, x), step.record(encoder, x)];
    expect(await numbers(w)).toEqual([3, 5]);
    gpuDevice().queue.submit([encoder.finish()]);
    expect(await numbers(w)).toEqual([31, 47]);
    expect(await Promise.all(results.map(({ sum }) => numbers(sum)))).toEqual([[18], [38], [78]]);
    expect(await Promise.all(results.map(({ before }) => numbers(before)))).toEqual([
      [3, 5],
      [7, 11],
      [15, 23],
    ]);
    expect(await numbers(held)).toEqual([3, 5]);
    // Calls, assignments and recordings mix.
    await numbers(step(x).sum);
    expect(await numbers(w)).toEqual([63, 95]);
    w.assign([0, 1]);
    recorded((commands) => step.record(commands, x));
    expect(await numbers(w)).toEqual([1, 3]);
    expect(step.traces).toBe(1);
  });

  test("variables exchange values, and take over those of arguments", async () => {
    const [a, b, c] = [variable([1]), variable([2]), variable([3])];
    const turn = compile((x: Tensor) => {
      const before = a.value;
      a.assign(b);
      b.assign(before);
      c.assign(x);
      return before;
    });
    const x = tensor([7]).add(0);
    await numbers(turn(x));
    expect([await numbers(a), await numbers(b)]).toEqual([[2], [1]]);
    await ready("webgpu");
    const before = recorded((encoder) => turn.record(encoder, x));
    expect([await numbers(a), await numbers(b), await numbers(c), await numbers(before)]).toEqual([[1], [2], [7], [2]]);
    // The argument is not the variable's.
    const add = compile(() => void c.assignAdd(1));
    add();
    await ready("webgpu");
    recorded((encoder) => add.record(encoder));
    expect([await numbers(c), await numbers(x)]).toEqual([[9], [7]]);
  });

  test("what is missing at the first recording is there when the device is ready", async () => {
    // Nothing has asked for the variable's first value yet, and nothing has called the function.
    const w = variable(tensor([1, 2]).mul(3));
    const add = compile((x: Tensor) => {
      w.assignAdd(x);
      return w.sum();
    });
    const x = await tensor([1, 1]).to("webgpu");
    const refused = await failure(() => add.record(gpuDevice().createCommandEncoder(), x));
    expect(refused).toContain('write await ready("webgpu"), then record');
    await ready("webgpu");
    const sum = recorded((commands) => add.record(commands, x));
    expect([await numbers(sum), await numbers(w)]).toEqual([[11], [4, 7]]);
  });

  test("memory does not grow with recordings", async () => {
    const w = variable(new Float32Array(5000));
    const step = compile((x: Tensor) => void w.assign(w.add(x)));
    const x = tensor(new Float32Array(5000).fill(1)).add(0);
    step(x);
    await ready("webgpu");
    recorded((encoder) => step.record(encoder, x));
    const { gpuBytes } = memory();
    for (let i = 0; i < 20; i++) recorded((encoder) => step.record(encoder, x));
    expect(memory().gpuBytes).toBe(gpuBytes);
    expect((await w.data())[4999]).toBe(22);
  });

  test("a check that fails is told by what the call returns", async () => {
    const f = compile((x: Tensor) => {
      assert(x.gt(0).all(), "x must be positive");
      return x.add(1);
    });
    const [good, bad] = [tensor([1, 2]).add(0), tensor([1, -2]).add(0)];
    await numbers(f(good));
    await bad.data();
    await ready("webgpu");
    const [first, second] = recorded((encoder) => [f.record(encoder, good), f.record(encoder, bad)]);
    expect(await numbers(first!)).toEqual([2, 3]);
    expect(await failure(() => second!.data())).toMatch(/x must be positive[\s\S]*webgpu-record\.test\.ts/);
    const encoder = gpuDevice().createCommandEncoder();
    const silent = compile((x: Tensor) => assert(x.gt(0).all()));
    silent(good);
    const told = compile((x: Tensor) => {
      print("{}", x);
      return x.add(1);
    });
    expect(await failure(() => silent.record(encoder, good))).toContain("returns nothing that it computes");
    expect(await failure(() => told.record(encoder, good))).toContain("it prints or calls the host");
    await ready("webgpu");
  });
});
