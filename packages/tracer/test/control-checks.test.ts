// Checks inside programs: the first that fails is thrown, nothing has changed then, and the next call works.
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

await programsOnWebgpu("Checks in control flow");

const t = s.tensor;

onBackends("assert", () => {
  const staged = <A extends readonly unknown[], R>(fn: (...args: A) => R) => s.compile(fn, { autograph: false });

  test("throws at once outside a trace", () => {
    s.assert(true, "fine");
    s.assert(t([1, 2]).gt(0), "fine");
    expect(() => s.assert(t([1, -2]).gt(0), "all must be positive")).toThrow(
      /all must be positive\n +at .*control-checks/,
    );
    expect(() => s.assert(false, "never")).toThrow(s.AssertionError);
    const own = new RangeError("mine");
    expect(() => s.assert(false, own)).toThrow(own);
  });

  test("throws after a compiled call, the first that failed, and changes nothing", () => {
    const w = s.variable(1, { name: "w" });
    const own = new RangeError("too large");
    const f = staged((x: s.Tensor) => {
      w.assignAdd(x);
      s.assert(w.value.gt(0), "w must stay positive");
      const y = x.mul(2);
      s.assert(y.lt(100), own);
      return y;
    });
    expect(f(t(1)).item()).toBe(2);
    expect(w.item()).toBe(2);
    const before = s.memory().tensors;
    const live = s.memory().liveBytes;
    for (let i = 0; i < 3; i++) {
      const [low, high] = [t(-10), t(60)];
      expect(() => f(low)).toThrow(/w must stay positive/);
      expect(() => f(high)).toThrow(own);
      low.dispose();
      high.dispose();
    }
    expect(s.memory().tensors).toBe(before);
    expect(s.memory().liveBytes).toBe(live);
    expect(w.item()).toBe(2);
    expect(f(t(3)).item()).toBe(6);
    expect(w.item()).toBe(5);
    expect(f.traces).toBe(1);
  });

  test("in one branch only, and in loops, which then stop", () => {
    const f = staged((x: s.Tensor) =>
      s.cond(
        x.gt(0),
        () => {
          s.assert(x.lt(10), "x is large");
          return x;
        },
        () => x.neg(),
      ),
    );
    expect(f(t(-20)).item()).toBe(20);
    expect(f(t(5)).item()).toBe(5);
    expect(() => f(t(20))).toThrow("x is large");
    const rounds = s.variable(0, { name: "rounds" });
    const g = staged((x: s.Tensor) =>
      s.whileLoop(
        (c) => c.ge(0),
        (c) => {
          rounds.assignAdd(1);
          s.assert(c.lt(50), "diverged");
          return c.mul(x);
        },
        1,
      ),
    );
    // Without the check it would never end.
    expect(() => g(t(2))).toThrow("diverged");
    expect(rounds.item()).toBe(0);
    expect(g(t(-2)).item()).toBe(-2);
    expect(rounds.item()).toBe(1);
    const h = staged((x: s.Tensor) =>
      s.scan(
        (c, row) => {
          s.assert(row.ne(3), "three");
          return [c.add(row), c];
        },
        0,
        x,
      ),
    );
    expect(h(t([1, 2, 4]))[0].item()).toBe(7);
    expect(() => h(t([1, 3, 4]))).toThrow("three");
  });

  test("in the test of a loop", () => {
    const f = staged((x: s.Tensor) =>
      s.whileLoop(
        (c) => {
          s.assert(c.lt(100), "overshot");
          return c.ne(64);
        },
        (c) => c.mul(x),
        1,
      ),
    );
    expect(f(t(2)).item()).toBe(64);
    expect(f(t(4)).item()).toBe(64);
    expect(() => f(t(3))).toThrow("overshot");
    expect(f(t(8)).item()).toBe(64);
  });

  test("in the test of a loop with a limit: not asked again after the last round", () => {
    const f = (x: s.Tensor) =>
      s.whileLoop(
        (c) => {
          s.assert(c.lt(3), "too far");
          return c.ge(0);
        },
        (c) => c.add(1),
        x,
        { maxIterations: 3 },
      );
    for (const call of [f, staged(f)]) {
      expect(call(t(0)).item()).toBe(3);
      expect(() => call(t(1))).toThrow("too far");
    }
  });

  test("before a loop that would never end on what they do not let through", () => {
    const upTo = (step: s.Tensor) =>
      s.whileLoop(
        (y: s.Tensor) => y.lt(10),
        (y) => y.add(step),
        t(0),
      );
    const checked = (x: s.Tensor) => {
      s.assert(x.gt(0), "must be positive");
      return upTo(x);
    };
    const inBranch = (x: s.Tensor) =>
      s.cond(
        x.lt(5),
        () => checked(x),
        () => x,
      );
    const inRound = (x: s.Tensor) => s.fori(0, 3, (_, c: s.Tensor) => checked(c).sub(12), x);
    for (const fn of [checked, inBranch, inRound, s.grad(checked)])
      expect(() => staged(fn)(t(0))).toThrow("must be positive");
    expect(() => staged(s.vmap(checked))(t([1, 0]))).toThrow("must be positive");
    expect(staged(s.vmap(checked))(t([3, 4])).arraySync()).toEqual([12, 12]);
    expect(() => staged(inRound)(t(4))).toThrow("must be positive");
  });

  test("in a step behind a loop that would never end in the next one", () => {
    const f = staged((x: s.Tensor) =>
      s.scan(
        (step: s.Tensor, next) => {
          const y = s.whileLoop(
            (y: s.Tensor) => y.lt(10),
            (y) => y.add(step),
            t(0),
          );
          s.assert(next.gt(0), "must be positive");
          return [next, y];
        },
        t(5),
        x,
      ),
    );
    const [last, all] = f(t([3, 4, 1]));
    expect(last.item()).toBe(1);
    expect(all.arraySync()).toEqual([10, 12, 12]);
    expect(() => f(t([3, 0, 1]))).toThrow("must be positive");
  });

  test("once under grad, for any example under vmap", () => {
    const loss = (x: s.Tensor) => {
      const root = s.fori(
        0,
        2,
        (_i, c) => {
          s.assert(c.gt(0), "not positive");
          return c.mul(x);
        },
        x,
      );
      return root.sum();
    };
    for (const g of [s.grad(loss), staged(s.grad(loss))]) {
      expect(g(t(2)).item()).toBe(12);
      expect(() => g(t(-2))).toThrow("not positive");
      expect(g(t(1)).item()).toBe(3);
    }
    const positive = (x: s.Tensor) => {
      s.assert(x.gt(0), "first");
      s.assert(x.lt(10), "second");
      return x.mul(2);
    };
    for (const m of [s.vmap(positive), staged(s.vmap(positive))]) {
      expect(m(t([1, 2])).arraySync()).toEqual([2, 4]);
      expect(() => m(t([1, 20]))).toThrow("second");
      expect(() => m(t([-1, 20]))).toThrow("first");
      expect(m(t([3])).arraySync()).toEqual([6]);
    }
    for (const m of [(x: s.Tensor) => s.vjp(positive, x)[0], (x: s.Tensor) => s.jvp(positive, [x], [t(1)])[0]]) {
      expect(m(t(2)).item()).toBe(4);
      expect(() => m(t(20))).toThrow("second");
      expect(() => staged(m)(t(20))).toThrow("second");
    }
  });

  test("with known conditions: none where it holds, always where it does not", () => {
    const f = staged((x: s.Tensor) => {
      s.assert(x.shape.length === 1, "rank 1");
      return x.mul(2);
    });
    expect(f(t([1])).arraySync()).toEqual([2]);
    expect(f.lower(t([1])).text("trace")).not.toContain("select");
    expect(() => f(t(1))).toThrow("rank 1");
    expect(f(t([2])).arraySync()).toEqual([4]);
  });
});

test("a program with checks runs eagerly in eager code that scans", () => {
  const w = s.variable(0, { name: "w" });
  const run = (limit: number) =>
    s.scan(
      (c) => {
        w.assignAdd(1);
        s.assert(w.value.le(limit), "over the limit");
        return [c.add(1), null];
      },
      0,
      null,
      { length: 3 },
    )[0];
  expect(() => run(2)).toThrow("over the limit");
  expect(w.item()).toBe(0);
  expect(run(3).item()).toBe(3);
  expect(w.item()).toBe(3);
});
