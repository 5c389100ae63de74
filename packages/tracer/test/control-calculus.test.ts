// Derivatives and batching of functions with control flow: vjp, jvp, linearize, jacobians and vmap agree with each
// other, with grad, and with plain JavaScript.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { expectClose, onBackends } from "./support.ts";

await programsOnWebgpu("Derivatives of control flow", { sample: 1 });

const t = s.tensor;
const i32 = (x: number | number[]) => t(x, { dtype: "i32" });

function both<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): R[] {
  return [fn(...args), s.compile(fn, { autograph: false })(...args)];
}

onBackends("derivatives as functions", () => {
  const f = (x: s.Tensor, y: s.Tensor) => ({ a: x.mul(y).sin(), b: y.sum() });

  test("vjp pulls cotangents back, as often as one likes", () => {
    const g = (x: s.Tensor, y: s.Tensor) => {
      const [out, pull] = s.vjp(f, x, y);
      const [gx, gy] = pull({ a: s.onesLike(x), b: t(0) });
      const [hx, hy] = pull({ a: s.zerosLike(x), b: t(2) });
      return [out.a, gx, gy, hx, hy] as const;
    };
    for (const result of both(g, t([1, 2]), t([3, -1]))) {
      const [a, gx, gy, hx, hy] = result.map((x) => x.arraySync());
      expectClose(a, [Math.sin(3), Math.sin(-2)]);
      expectClose(gx, [3 * Math.cos(3), -Math.cos(-2)]);
      expectClose(gy, [Math.cos(3), 2 * Math.cos(-2)]);
      expectClose(hx, [0, 0]);
      expect(hy).toEqual([2, 2]);
    }
  });

  test("jvp and linearize push tangents forward", () => {
    const g = (x: s.Tensor, y: s.Tensor) => {
      const [, tangent] = s.jvp(f, [x, y], [s.onesLike(x), s.zerosLike(y)]);
      const [, push] = s.linearize(f, x, y);
      return [
        tangent.a,
        tangent.b,
        push(s.onesLike(x), s.zerosLike(y)).a,
        push(s.zerosLike(x), s.onesLike(y)).b,
      ] as const;
    };
    for (const result of both(g, t([1, 2]), t([3, -1]))) {
      const [a, b, again, other] = result.map((x) => x.arraySync());
      expectClose(a, [3 * Math.cos(3), -Math.cos(-2)]);
      expect(b).toBe(0);
      expectClose(again, a);
      expect(other).toBe(2);
    }
  });

  test("a pull outlives a scope, and assignments happen once", () => {
    const w = s.variable(1, { name: "w" });
    const square = (x: s.Tensor) => {
      w.assignAdd(1);
      return x.mul(x).mul(w.value);
    };
    const pull = s.scope(() => s.vjp(square, t(3))[1]);
    expect(w.item()).toBe(2);
    expect(pull(t(1))[0].item()).toBe(12);
    expect(pull(t(2))[0].item()).toBe(24);
    expect(w.item()).toBe(2);
    expect(s.jvp(square, [t(1)], [t(1)])[1].item()).toBe(6);
    expect(w.item()).toBe(3);
  });

  test("jacobians by both modes, and second derivatives", () => {
    const g = (x: s.Tensor) => s.stack([x.mul(x).sum(), x.at(0).mul(x.at(1)), x.at(1).exp()]);
    const want = [
      [2, 4],
      [2, 1],
      [0, Math.exp(2)],
    ];
    for (const j of [s.jacrev(g), s.jacfwd(g)])
      for (const m of both((x: s.Tensor) => j(x), t([1, 2]))) expectClose(m.arraySync(), want);
    const h = s.hessian((x) => x.at(0).mul(x.at(0)).mul(x.at(1)));
    for (const m of both((x: s.Tensor) => h(x), t([3, 5])))
      expectClose(m.arraySync(), [
        [10, 6],
        [6, 0],
      ]);
  });

  test("derivatives pass through loops and branches", () => {
    const power = (x: s.Tensor) =>
      s.cond(
        x.gt(0),
        () => s.fori(0, 3, (_i, c) => c.mul(x), x),
        () => x.mul(x),
      );
    for (const [at, want] of [
      [2, 32],
      [-3, -6],
    ] as const) {
      expect(s.grad(power)(t(at)).item()).toBe(want);
      expect(s.jvp(power, [t(at)], [t(1)])[1].item()).toBe(want);
      const [, pull] = s.vjp(power, t(at));
      expect(pull(t(1))[0].item()).toBe(want);
      expect(s.linearize(power, t(at))[1](t(1)).item()).toBe(want);
    }
    expect(s.grad(s.grad(power))(t(2)).item()).toBe(48);
  });

  test("derivatives pass through whileLoop, with and without a bound", () => {
    const w = s.variable(0.5, { name: "w" });
    for (const options of [{}, { maxIterations: 20 }]) {
      // Doubles until 100 is passed: x * 2^n, and w is added in each round.
      const grow = (x: s.Tensor) =>
        s.whileLoop(
          (c) => c.lt(100),
          (c) => c.mul(2).add(w.value),
          x,
          options,
        );
      const at = t(3);
      for (const [value, g] of both((x: s.Tensor) => s.valueAndGrad(grow)(x), at)) {
        expect(value.item()).toBe(3 * 32 + 0.5 * 31);
        expect(g.item()).toBe(32);
      }
      for (const { grads } of both(() => s.gradients(() => grow(at), [w]))) expect(grads[0]!.item()).toBe(31);
      expect(s.jvp(grow, [at], [t(1)])[1].item()).toBe(32);
    }
    const assigned = (x: s.Tensor) => {
      s.whileLoop(
        (c) => c.n.lt(4),
        (c) => {
          w.assign(w.value.mul(x));
          return { n: c.n.add(1) };
        },
        { n: 0 },
      );
      return w.value;
    };
    for (const g of [s.grad(assigned), s.compile(s.grad(assigned), { autograph: false })]) {
      w.assign(0.5);
      expect(g(t(2)).item()).toBe(0.5 * 4 * 8);
      expect(w.item()).toBe(8);
    }
  });
});

onBackends("vmap", () => {
  test("adds an axis to arguments and results", () => {
    const dot = (x: s.Tensor, y: s.Tensor) => x.mul(y).sum();
    for (const out of both(
      s.vmap(dot),
      t([
        [1, 2],
        [3, 4],
      ]),
      t([
        [1, 1],
        [0, 2],
      ]),
    ))
      expect(out.arraySync()).toEqual([3, 8]);
    for (const out of both(
      s.vmap(dot, { inAxes: [1, null] }),
      t([
        [1, 2],
        [3, 4],
      ]),
      t([1, 10]),
    ))
      expect(out.arraySync()).toEqual([31, 42]);
    const pair = s.vmap((x: s.Tensor) => [x.mul(2), { k: x.sum() }] as const, { outAxes: [1, 0] });
    for (const [a, { k }] of both(
      pair,
      t([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    )) {
      expect(a.arraySync()).toEqual([
        [2, 8],
        [4, 10],
        [6, 12],
      ]);
      expect(k.arraySync()).toEqual([6, 15]);
    }
  });

  test("of a scalar loop runs each example for as many rounds as it needs", () => {
    const halvings = (x: s.Tensor) =>
      s.whileLoop(
        (c) => c.x.gt(1),
        (c) => ({ x: c.x.div(2), n: c.n.add(1) }),
        { x, n: 0 },
      ).n;
    for (const out of both(s.vmap(halvings), t([1, 2, 3, 1000]))) expect(out.arraySync()).toEqual([0, 1, 2, 10]);
  });

  test("of branches, scans and gradients", () => {
    const f = (x: s.Tensor) =>
      s.cond(
        x.gt(0),
        () => x.mul(x),
        () => s.scan((c, k) => [c.add(k.mul(x)), null], 0, t([1, 2]))[0],
      );
    for (const out of both(s.vmap(f), t([2, -3]))) expect(out.arraySync()).toEqual([4, -9]);
    for (const out of both(s.vmap(s.grad(f)), t([2, -3]))) expect(out.arraySync()).toEqual([4, 3]);
    for (const out of both(
      s.grad((x: s.Tensor) => s.vmap(f)(x).sum()),
      t([2, -3]),
    ))
      expect(out.arraySync()).toEqual([4, 3]);
  });
});

describe("mistakes", () => {
  const message = (body: () => unknown): string => {
    try {
      body();
    } catch (error) {
      return (error as Error).message;
    }
    return "no error";
  };
  test("name the argument and what is wrong with it", () => {
    const w = s.variable(0, { name: "w" });
    expect(message(() => s.vmap((x: s.Tensor) => x)(t(1)))).toMatch(/argument 0 is f32\[\], which has no axis/);
    expect(message(() => s.vmap((x: s.Tensor, y: s.Tensor) => x.add(y))(t([1, 2]), t([1, 2, 3])))).toMatch(
      /argument 0 has 2 examples, argument 1 has 3/,
    );
    expect(message(() => s.vmap((x: s.Tensor) => x, { inAxes: null })(t([1])))).toMatch(/no argument has an axis/);
    expect(message(() => s.vmap((x: s.Tensor) => x, { inAxes: 2 })(t([1])))).toMatch(/inAxes\[0\] 2 is out of/);
    expect(message(() => s.vmap((x: s.Tensor) => w.assign(x))(t([1, 2])))).toMatch(
      /variable w is written with a value/,
    );
    expect(w.item()).toBe(0);
    expect(message(() => s.vjp((x: s.Tensor) => x, i32(1)))).toMatch(/no argument has a float tensor/);
    const [, pull] = s.vjp((x: s.Tensor) => ({ y: x.mul(2) }), t([1, 2]));
    expect(message(() => pull({ y: t([1]) }))).toMatch(/cotangent\.y is f32\[1\], the result is f32\[2\]/);
    expect(message(() => pull({} as { y: s.Tensor }))).toMatch(/cotangent\.y is undefined, the result is f32\[2\]/);
    expect(message(() => s.jvp((x: s.Tensor) => x, [t([1, 2])], [t(1)]))).toMatch(
      /tangents\[0\] is f32\[\], the argument is f32\[2\]/,
    );
    expect(message(() => s.jvp((x: s.Tensor) => x, [t(1)], [] as never))).toMatch(/1 primals, but 0 tangents/);
    expect(message(() => s.jacrev((x) => [x] as never)(t(1)))).toMatch(/must return one float tensor/);
  });
});
