// A small shared heap: programs run on shared memory, and running out of it is an error that helps and breaks nothing.
import { configureHeap, theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import * as s from "../src/index.ts";

configureHeap({ kind: "shared", maximumBytes: 64 * 1024 * 1024 });

const mebibyte = 2 ** 18;

test("programs run on shared memory", () => {
  expect(theMachine().heap.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
  const w = s.variable([1, 2]);
  const f = s.compile((x: s.Tensor) => {
    w.assignAdd(x);
    return w.value.softmax();
  });
  using out = f(s.tensor([1, 1]));
  expect(out.dataSync()[1]).toBeCloseTo(0.7310586, 5);
  expect(out.dataSync().buffer).toBeInstanceOf(ArrayBuffer);
  expect(w.arraySync()).toEqual([2, 3]);
});

function errorOf(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}

test("running out of memory names the lines that hold it, and leaves variables as they were", () => {
  const f = s.compile((x: s.Tensor) => x.add(1));
  const w = s.variable(s.zeros([mebibyte]));
  const step = s.compile((x: s.Tensor) => {
    w.assignAdd(1);
    return [x.mul(2), w.value];
  });
  const x = s.zeros([mebibyte]);
  const kept: s.Tensor[] = [];
  const fill = (): void => {
    for (let i = 0; i < 200; i++) kept.push(f(x));
  };
  expect(fill).toThrow(
    /out of memory: asked for 1\.0 MiB.*Most is held by\n.*MiB in \d+ tensors made at .*heap-limits\.test\.ts/s,
  );
  expect(fill).toThrow(/`using x = \.\.\.`, x\.dispose\(\), or scope/);
  expect(() => step(x)).toThrow(/out of memory/);
  expect(errorOf(() => step(x))).toMatchObject({ bytes: 2 ** 20, maximumBytes: 2 ** 26, where: expect.anything() });
  for (const attempt of [
    () => step(x),
    () => s.ones([mebibyte]).add(x).dataSync(),
    () => s.tensor(new Float32Array(2 * mebibyte)),
    () => f(new Float32Array(mebibyte) as unknown as s.Tensor),
    () => s.compile((y: s.Tensor) => y.matmul(y.add(1)).sum())(x.reshape([512, 512])),
  ])
    expect(errorOf(attempt)).toBeInstanceOf(s.OutOfMemoryError);
  expect(() => s.ones([mebibyte]).add(x).dataSync()).toThrow(/out of memory/);
  for (const tensor of kept) tensor.dispose();
  expect(w.value.max().item()).toBe(0);
  const [twice, value] = step(x);
  expect([twice!.max().item(), value!.max().item(), w.value.min().item()]).toEqual([0, 1, 1]);
});

test("the arena is reused from program to program", () => {
  const big = s.compile((x: s.Tensor) => x.matmul(x).matmul(x).sum());
  const x = s.zeros([256, 256]);
  big(x).dispose();
  const before = theMachine().heap.liveBytes;
  for (let i = 0; i < 5; i++) big(x).dispose();
  expect(theMachine().heap.liveBytes).toBe(before);
});
