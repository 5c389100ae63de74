// Lifetimes: exact freeing, leaks by line, many calls in bounded memory, the pending graph of eager loops.
import { compilerStats, theMachine } from "@sinter/runtime";
import { expect, test } from "vitest";
import * as s from "../src/index.ts";
import { full, onBackends } from "./support.ts";

const { compile, tensor: t } = s;
const live = (): number => theMachine().heap.liveBytes;

onBackends("memory", (backend) => {
  test("dispose, using and scope give back exactly what was made", () => {
    const f = compile((x: s.Tensor) => x.mul(2));
    const x = t(new Float32Array(1000));
    f(x).dispose();
    const before = live();
    {
      using y = f(x);
      expect(y.size).toBe(1000);
      using both = y.add(x);
      using z = both.sum();
      z.item();
    }
    const kept = s.scope(() => {
      const a = x.add(1);
      const b = f(a.mul(3));
      return { sum: b.sum().add(a.sum()) };
    });
    kept.sum.item();
    expect(live()).toBe(before + 64);
    kept.sum.dispose();
    expect(live()).toBe(before);
    expect(() =>
      s.scope(() => {
        x.add(1).dataSync();
        throw new Error("mine");
      }),
    ).toThrow("mine");
    expect(live()).toBe(before);
  });

  test("a failed function leaves nothing pending", () => {
    const x = t(new Float32Array(1000));
    const before = live();
    const pending = s.eagerStats().pending;
    using square = x.reshape([10, 100]);
    for (let i = 0; i < 10; i++) expect(() => s.einsum("ij,jk->ik", square, x)).toThrow();
    x.exp().dispose();
    expect(s.eagerStats().pending).toBeLessThanOrEqual(pending + 2);
    square.dispose();
    x.dispose();
    expect(live()).toBe(before - 4032);
  });

  test("the report names the line that holds most", () => {
    const made: s.Tensor[] = [];
    for (let i = 0; i < 3; i++) made.push(t(new Float32Array(1_000_000)));
    const [most] = s.memory().byLine;
    expect(most!.line).toContain("memory.test.ts:");
    expect(most!.bytes).toBe(12_000_000);
    for (const x of made) x.dispose();
    expect(s.memory().byLine[0]?.bytes ?? 0).toBeLessThan(12_000_000);
  });

  const calls = full && backend === "wasm" ? 100_000 : 2_000;
  test(`${calls} calls returning 400 KB with using stay flat`, () => {
    const f = compile((x: s.Tensor) => x.add(1));
    const x = s.zeros([100_000]);
    f(x).dispose();
    const before = theMachine().heap.capacityBytes;
    for (let i = 0; i < (backend === "wasm" ? calls : 20); i++) {
      using y = f(x);
      expect(y.size).toBe(100_000);
    }
    expect(theMachine().heap.capacityBytes).toBe(before);
  });

  test(`${calls} asynchronous calls returning 400 KB peak under 1 GiB`, async () => {
    if (backend !== "wasm") return;
    const f = compile((x: s.Tensor) => x.add(1));
    const x = s.zeros([100_000]);
    let last = 0;
    for (let i = 0; i < calls; i++) last = (await f(x).data())[0]!;
    expect(last).toBe(1);
    expect(theMachine().heap.capacityBytes).toBeLessThan(2 ** 30);
  });

  test("an eager loop holds one budget of nodes and compiles few programs", () => {
    const rounds = backend === "wasm" ? 10_000 : 500;
    for (const body of [
      (x: s.Tensor) => x.mul(0.5).add(1),
      (x: s.Tensor) => x.mul(0.5).add(1).sub(0.25).neg().neg().abs().add(0.25),
    ]) {
      const before = compilerStats().compilations;
      let x = s.zeros([10]);
      for (let i = 0; i < rounds; i++) x = body(x);
      expect(x.at(0).item()).toBeCloseTo(2, 4);
      expect(compilerStats().compilations - before).toBeLessThanOrEqual(5);
      expect(s.eagerStats().peakPending).toBeLessThanOrEqual(256);
    }
  });

  test("an eager training loop compiles few programs", () => {
    const w = s.variable([5, 5]);
    const target = t([1, 2]);
    const before = compilerStats().compilations;
    for (let i = 0; i < 300; i++) {
      const { grads } = s.gradients(() => w.sub(target).square().sum(), [w]);
      w.assignSub(grads[0]!.mul(0.1));
    }
    expect(w.arraySync()[0 as never]).toBeCloseTo(1, 4);
    expect(compilerStats().compilations - before).toBeLessThanOrEqual(5);
  });

  test("what was not computed in a flush is computed when read", () => {
    const x = t([1, 2, 3]);
    const y = x.mul(2);
    const z = y.add(1);
    const losses: s.Tensor[] = [];
    expect(z.arraySync()).toEqual([3, 5, 7]);
    expect(y.arraySync()).toEqual([2, 4, 6]);
    let state = x;
    for (let i = 0; i < 300; i++) {
      state = state.mul(1);
      losses.push(state.sum().add(i));
    }
    expect(losses[7]!.item()).toBe(13);
    expect(losses[299]!.item()).toBe(305);
  });
});
