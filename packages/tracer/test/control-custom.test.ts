// Functions with a derivative of their own, and functions that are computed again on the way back: values, gradients,
// batches, inside loops, and what they refuse.
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { expectClose, onBackends } from "./support.ts";

await programsOnWebgpu("Custom derivatives");

const t = s.tensor;
const staged = <A extends readonly unknown[], R>(fn: (...args: A) => R) => s.compile(fn, { autograph: false });

onBackends("customVjp", () => {
  /** x * y whose derivative is clipped to [-1, 1]. */
  const clipped = s.customVjp(
    (x: s.Tensor, y: s.Tensor) => x.mul(y),
    (x: s.Tensor, y: s.Tensor) => [x.mul(y), { x, y }] as const,
    ({ x, y }, ct) => [ct.mul(y).clip(-1, 1), ct.mul(x).clip(-1, 1)],
  );

  test("runs the function, and what the user wrote on the way back", () => {
    expect(clipped(t([2, 3]), t([4, 0.5])).arraySync()).toEqual([8, 1.5]);
    const loss = (x: s.Tensor, y: s.Tensor) => clipped(x, y).sum();
    const g = s.grad(loss, { argnums: [0, 1] }) as unknown as (x: s.Tensor, y: s.Tensor) => s.Tensor[];
    for (const call of [g, staged(g)]) {
      const [gx, gy] = call(t([2, 0.25]), t([4, 0.5]));
      expect(gx!.arraySync()).toEqual([1, 0.5]);
      expect(gy!.arraySync()).toEqual([1, 0.25]);
    }
    expect(staged(clipped)(t([2]), t([3])).arraySync()).toEqual([6]);
  });

  test("under vmap, where a shared argument gets the sum", () => {
    const losses = s.vmap(clipped, { inAxes: [0, null] });
    const loss = (x: s.Tensor, y: s.Tensor) => losses(x, y).sum();
    const g = s.grad(loss, { argnums: [0, 1] }) as unknown as (x: s.Tensor, y: s.Tensor) => s.Tensor[];
    for (const call of [g, staged(g)]) {
      const [gx, gy] = call(t([2, 0.25, 0.5]), t(3));
      expect(gx!.arraySync()).toEqual([1, 1, 1]);
      expect(gy!.item()).toBe(1 + 0.25 + 0.5);
    }
    expectClose(
      s
        .vmap(s.grad((x: s.Tensor) => clipped(x, t(0.5))))(t([1, 2]))
        .arraySync(),
      [0.5, 0.5],
    );
  });

  test("inside loops and branches, with trees and integers", () => {
    const double = s.customVjp(
      ({ x }: { x: s.Tensor }, k: s.Tensor) => ({ y: x.mul(2), k }),
      ({ x }: { x: s.Tensor }, k: s.Tensor) => [{ y: x.mul(2), k }, null] as const,
      (_, ct) => [{ x: ct.y.mul(10) }, null],
    );
    const f = (x: s.Tensor) =>
      s.fori(
        0,
        2,
        (i, c) =>
          s.cond(
            c.gt(0),
            () => double({ x: c }, i).y,
            () => c,
          ),
        x,
      );
    for (const g of [s.grad(f), staged(s.grad(f))]) {
      expect(g(t(1)).item()).toBe(100);
      expect(g(t(-1)).item()).toBe(1);
    }
  });

  test("in a branch that some examples take: its loops do not run for the others, for which they would never end", () => {
    const steps = (x: s.Tensor) =>
      s.whileLoop(
        (y: s.Tensor) => y.lt(10),
        (y) => y.add(x),
        t(0),
      );
    const custom = s.customVjp(
      steps,
      (x) => [steps(x), x] as const,
      (x, ct) => [ct.mul(steps(x))],
    );
    for (const fn of [custom, s.checkpoint(steps)]) {
      const each = s.vmap((x: s.Tensor) =>
        s.cond(
          x.gt(0),
          () => fn(x),
          () => t(-1),
        ),
      );
      expect(staged(each)(t([0, 3, 4])).arraySync()).toEqual([-1, 12, 12]);
    }
    const each = s.vmap((x: s.Tensor) =>
      s.cond(
        x.gt(0),
        () => custom(x),
        () => t(-1),
      ),
    );
    expect(staged(s.grad((x: s.Tensor) => each(x).sum()))(t([0, 3, 4])).arraySync()).toEqual([0, 12, 12]);
  });

  test("refuses what has no meaning", () => {
    const w = s.variable(1, { name: "w" });
    const id = (x: s.Tensor) => x;
    expect(() => s.customVjp(id, 3 as never, id as never)).toThrow(/customVjp: fwd must be a function, not 3/);
    const bad = (fwd: unknown, bwd: unknown) => () => s.grad(s.customVjp(id, fwd as never, bwd as never))(t(1));
    expect(bad(id, id)).toThrow(/fwd must return \[result, residuals\]/);
    expect(bad((x: s.Tensor) => [x.gt(0), x], id)).toThrow(/fwd: result is bool\[\], that of fn is f32\[\]/);
    expect(
      bad(
        (x: s.Tensor) => [x, x],
        () => [],
      ),
    ).toThrow(/array of 1 cotangents/);
    expect(
      bad(
        (x: s.Tensor) => [x, x],
        () => [t([1, 2])],
      ),
    ).toThrow(/the cotangent of argument 0 is f32\[2\], that of the argument is f32\[\]/);
    const assigning = s.customVjp(
      (x: s.Tensor) => w.assign(x).value,
      (x: s.Tensor) => [x, null] as const,
      (_, ct) => [ct],
    );
    expect(() => staged(assigning)(t(1))).toThrow(/assigns the variable w, which would happen twice/);
    const scaled = s.customVjp(
      (x: s.Tensor) => x.mul(w.value),
      (x: s.Tensor) => [x.mul(w.value), null] as const,
      (_, ct) => [ct.mul(w.value)],
    );
    expect(s.grad(scaled)(t(3)).item()).toBe(1);
    expect(() => s.gradients(() => scaled(t(3)), [w])).toThrow(
      /customVjp.*is no argument of it.*Pass it as an argument/,
    );
    expect(() => s.jvp(scaled, [t(1)], [t(1)])).toThrow(/customVjp, checkpoint.*forward mode/);
  });
});

onBackends("checkpoint", () => {
  const w = s.variable(
    [
      [0.5, -1],
      [0.25, 0.75],
    ],
    { name: "w" },
  );
  const layer = (x: s.Tensor) => x.matmul(w.value).tanh().mul(x.sigmoid());

  test("has the gradients of the function, also of variables, and under vmap", () => {
    const f = (wrap: typeof layer) => (x: s.Tensor) => wrap(wrap(wrap(x))).sum();
    const x = t([
      [1, -2],
      [0.5, 0.1],
    ]);
    const want = s.grad(f(layer))(x).arraySync();
    expectClose(
      s
        .grad(f(s.checkpoint(layer)))(x)
        .arraySync(),
      want,
    );
    expectClose(staged(s.grad(f(s.checkpoint(layer))))(x).arraySync(), want);
    const of = (wrap: typeof layer) => s.gradients(() => f(wrap)(x), [w]).grads[0]!.arraySync();
    expectClose(of(s.checkpoint(layer)), of(layer));
    const batched = (wrap: typeof layer) => s.grad((z: s.Tensor) => s.vmap(f(wrap))(z).sum())(s.stack([x, x.neg()]));
    expectClose(batched(s.checkpoint(layer)).arraySync(), batched(layer).arraySync());
  });

  test("computes again instead of keeping", () => {
    const wide = s.variable(s.full([64, 64], 0.01), { name: "wide" });
    const block = (x: s.Tensor) => x.matmul(wide.value).tanh().matmul(wide.value).exp();
    const loss = (wrap: typeof block) => (x: s.Tensor) => {
      let y = x;
      for (let i = 0; i < 8; i++) y = wrap(y);
      return y.sum();
    };
    const cost = (wrap: typeof block) =>
      staged(s.grad(loss(wrap)))
        .lower(s.ones([64, 64]))
        .cost();
    const [kept, again] = [cost(block), cost(s.checkpoint(block))];
    expect(again.flops).toBeGreaterThan(kept.flops * 1.2);
    expect(again.arenaBytes).toBeLessThan(kept.arenaBytes);
  });

  test("refuses assignments", () => {
    expect(() =>
      staged(s.checkpoint((x: s.Tensor) => w.assign(x).value))(
        t([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toThrow(/checkpoint: the function assigns the variable w/);
    expect(() => s.checkpoint(3 as never)).toThrow(/checkpoint: fn must be a function/);
  });
});

test("a function with a derivative of its own is plain in the program that has no gradients", () => {
  const f = staged(
    s.customVjp(
      (x: s.Tensor) => x.exp(),
      (x: s.Tensor) => [x.exp(), x] as const,
      (_, ct) => [ct],
    ),
  );
  expect(f.lower(t(1)).text("trace")).toContain("customVjp");
  expect(f.lower(t(1)).text("simplified")).not.toContain("customVjp");
});
