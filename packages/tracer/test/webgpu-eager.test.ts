// Control flow, prints and checks outside compiled functions on values that are on the GPU: pieces of their own run there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  assert,
  compile,
  cond,
  fori,
  hostCall,
  print,
  ready,
  scan,
  setBackend,
  setPrintSink,
  spec,
  switchCase,
  type Tensor,
  tensor,
  variable,
  whileLoop,
} from "../src/index.ts";
import { failure, missingGpu, numbers } from "./support-gpu.ts";

const missing = await missingGpu("control flow outside compiled functions on webgpu");

describe.skipIf(missing)("outside compiled functions", () => {
  beforeAll(() => {
    setBackend("webgpu");
  });
  afterAll(() => {
    setBackend("wasm");
  });

  test("branches", async () => {
    const x = tensor([1, 2, 3]).add(1);
    const w = variable([0, 0, 0], { name: "w" });
    const pick = (limit: number) =>
      cond(
        x.sum().gt(limit),
        () => {
          w.assign(x);
          return { y: x.mul(2), n: 1 };
        },
        () => ({ y: x, n: 2.5 }),
      );
    const low = pick(100);
    expect([await numbers(low.y), await numbers(low.n), await numbers(w)]).toEqual([[2, 3, 4], [2.5], [0, 0, 0]]);
    const high = pick(5);
    expect([await numbers(high.y), await numbers(high.n), await numbers(w)]).toEqual([[4, 6, 8], [1], [2, 3, 4]]);
    const arms = [() => x, () => x.mul(10), () => x.mul(100)];
    const at = (i: number) => numbers(switchCase(x.sum().cast("i32").add(i), arms));
    expect([await at(-20), await at(-8), await at(20)]).toEqual([
      [2, 3, 4],
      [20, 30, 40],
      [200, 300, 400],
    ]);
    expect(
      await failure(() =>
        cond(
          x.sum().gt(5),
          () => x,
          () => x.sum() as typeof x,
        ),
      ),
    ).toMatch(
      /the branches return different shapes: result is f32\[3\] in onTrue, f32\[\] in onFalse\s+at .*eager\.test/,
    );
  });

  test("loops", async () => {
    const x = tensor([1, 2, 3]).add(1);
    const grown = whileLoop(
      (c) => c.sum().lt(100),
      (c) => c.mul(2),
      x,
    );
    expect(await numbers(grown)).toEqual([32, 48, 64]);
    const counted = whileLoop(
      ({ i }) => i.lt(10),
      ({ i, y }) => ({ i: i.add(1), y: y.add(x) }),
      { i: 0, y: x },
    );
    expect([await numbers(counted.i), await numbers(counted.y)]).toEqual([[10], [22, 33, 44]]);
    const w = variable(0, { name: "w" });
    const bounded = fori(
      0,
      x.sum().cast("i32"),
      (i, c) => {
        w.assignAdd(1);
        return c.add(i);
      },
      x,
    );
    expect([await numbers(bounded), await numbers(w)]).toEqual([[38, 39, 40], [9]]);
    const [last, all] = scan((c: Tensor, v: Tensor) => [c.add(v), c.mul(v)] as const, tensor(0), x);
    expect([await numbers(last), await numbers(all)]).toEqual([[9], [0, 6, 20]]);
  });

  test("prints and calls of the host happen in order", async () => {
    const told: string[] = [];
    const before = setPrintSink((text) => told.push(text));
    try {
      const x = tensor([1, 2]).add(1);
      print("x is {}", x);
      const y = hostCall((v: Tensor) => v.mul(10).dataSync(), spec([2]), x);
      hostCall((v: Tensor) => void told.push(`host ${v.item()}`), null, y.sum());
      print("y is {} of {}", y, { x });
      expect(await numbers(y)).toEqual([20, 30]);
      await ready("webgpu");
      expect(told).toEqual(["x is [2, 3]", "host 50", "y is [20, 30] of {x: [2, 3]}"]);
      expect(await failure(() => hostCall((_: Tensor) => x, spec([2]), x).data())).toContain(
        "hostCall: the result of the function, f32[2], is on webgpu",
      );
      const fail = (_: Tensor): never => {
        throw new RangeError("no luck");
      };
      expect(await failure(() => hostCall(fail, spec([]), x).data())).toBe("no luck");
      hostCall(fail, null, x);
      expect(await failure(() => ready("webgpu"))).toBe("no luck");
      await ready("webgpu");
    } finally {
      setPrintSink(before);
    }
  });

  test("a check that fails is told by the next read, once", async () => {
    const x = tensor([1, 2, 3]).add(1);
    assert(x.gt(1), "all is well");
    expect(await numbers(x)).toEqual([2, 3, 4]);
    assert(x.gt(2), "x must be above 2");
    expect(await failure(() => x.data())).toMatch(/^x must be above 2\s+at .*webgpu-eager\.test\.ts/);
    expect(await numbers(x)).toEqual([2, 3, 4]);
    // So is that of a call that returns nothing; its variables keep what they had.
    const w = variable([0, 0, 0], { name: "w" });
    const step = compile((v: Tensor) => {
      assert(v.gt(2).all(), "too small");
      w.assign(v);
    });
    step(x);
    expect(await failure(() => w.data())).toContain("too small");
    expect(await numbers(w)).toEqual([0, 0, 0]);
    step(x);
    expect(await failure(() => ready("webgpu"))).toContain("too small");
    step(x.add(1));
    expect(await numbers(w)).toEqual([3, 4, 5]);
  });
});
