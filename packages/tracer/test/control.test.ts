// Control flow by hand: cond, switchCase, whileLoop, fori, scan give what plain JavaScript gives, eagerly, compiled and
// under grad; variables are threaded; the program does not grow with the number of rounds.
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

await programsOnWebgpu("Control flow by hand");

const t = s.tensor;
const i32 = (x: number) => t(x, { dtype: "i32" });

/** The same call eagerly and compiled. */
function both<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): R[] {
  return [fn(...args), s.compile(fn, { autograph: false })(...args)];
}
const num = (x: s.Tensor): number => Number(x.item());

onBackends("control flow", () => {
  test("cond takes one of two arms, as JavaScript does", () => {
    const f = (x: s.Tensor) =>
      s.cond(
        x.sum().gt(0),
        () => ({ y: x.mul(2), n: 1 }),
        () => ({ y: x.neg(), n: 2 }),
      );
    for (const result of both(f, t([1, 2]))) {
      expect(result.y.arraySync()).toEqual([2, 4]);
      expect(result.n.item()).toBe(1);
    }
    for (const result of both(f, t([1, -2]))) {
      expect(result.y.arraySync()).toEqual([-1, 2]);
      expect(result.n.item()).toBe(2);
    }
  });

  test("switchCase clamps its index", () => {
    const f = (i: s.Tensor, x: s.Tensor) => s.switchCase(i, [() => x, () => x.mul(10), () => x.add(0.5)]);
    for (const [index, want] of [
      [-3, 2],
      [0, 2],
      [1, 20],
      [2, 2.5],
      [9, 2.5],
    ] as const)
      for (const result of both(f, i32(index), t(2))) expect(result.item()).toBe(want);
  });

  test("whileLoop runs as long as its test holds", () => {
    const collatz = (start: s.Tensor) =>
      s.whileLoop(
        (c) => c.n.ne(1),
        ({ n, steps }) => ({
          n: s.where(n.mod(2).eq(0), n.sub(n.mod(2)).mul(0.5).cast("i32"), n.mul(3).add(1)),
          steps: steps.add(1),
        }),
        { n: start, steps: 0 },
      ).steps;
    for (const steps of both(collatz, i32(27))) expect(steps.item()).toBe(111);
    for (const steps of both(collatz, i32(1))) expect(steps.item()).toBe(0);
  });

  test("whileLoop stops at maxIterations", () => {
    const f = (x: s.Tensor) =>
      s.whileLoop(
        (c) => c.lt(1e9),
        (c) => c.mul(2),
        x,
        { maxIterations: 5 },
      );
    for (const y of both(f, t(1))) expect(y.item()).toBe(32);
  });

  test("fori counts, with numbers and with tensors as bounds", () => {
    const f = (x: s.Tensor) => s.fori(2, 5, (i, c) => c.add(i.mul(x)), 0);
    for (const y of both(f, t(0.5))) expect(y.item()).toBe(4.5);
    const g = (n: s.Tensor) => s.fori(1, n, (i, c) => ({ fact: c.fact.mul(i.add(1)) }), { fact: 1 }).fact;
    for (const y of both(g, i32(6))) expect(y.item()).toBe(720);
    for (const y of both(g, i32(-6))) expect(y.item()).toBe(1);
    const none = (x: s.Tensor) => s.fori(3, 3, (i, c) => c.add(i), x);
    for (const y of both(none, t(7))) expect(y.item()).toBe(7);
  });

  test("scan carries and stacks, both ways, with trees and without xs", () => {
    const rows = [
      [1, 2],
      [3, 4],
      [5, 6],
    ];
    const f = (x: s.Tensor) =>
      s.scan(
        (c, row) => [c.add(row), { before: c, sum: row.sum() }],
        [0, 0].map(Number).length ? s.zeros([2]) : s.zeros([2]),
        x,
      );
    for (const [last, ys] of both(f, t(rows))) {
      expect(last.arraySync()).toEqual([9, 12]);
      expect(ys.before.arraySync()).toEqual([
        [0, 0],
        [1, 2],
        [4, 6],
      ]);
      expect(ys.sum.arraySync()).toEqual([3, 7, 11]);
    }
    const back = (x: s.Tensor) => s.scan((c, v) => [c.mul(2).add(v), c], 0, x, { reverse: true });
    for (const [last, ys] of both(back, t([1, 2, 3]))) {
      expect(last.item()).toBe(17);
      expect(ys.arraySync()).toEqual([8, 3, 0]);
    }
    const free = () => s.scan((c) => [c.add(1), c.mul(c)], 0, null, { length: 4 });
    for (const [last, ys] of both(free)) {
      expect(last.item()).toBe(4);
      expect(ys.arraySync()).toEqual([0, 1, 4, 9]);
    }
  });

  test("variables are read and written inside, in one branch only and in each round", () => {
    const w = s.variable(1, { name: "w" });
    const v = s.variable([1, 2], { name: "v" });
    const f = (x: s.Tensor) => {
      s.cond(
        x.gt(0),
        () => {
          w.assign(x.mul(10));
        },
        () => {},
      );
      const out = s.fori(
        0,
        3,
        (_i, c) => {
          v.assign(v.mul(2));
          return c.add(v.sum()).add(w.value);
        },
        0,
      );
      return [out, w.value, v.value] as const;
    };
    const run = (call: (x: s.Tensor) => readonly [s.Tensor, s.Tensor, s.Tensor], x: number) => {
      w.assign(1);
      v.assign([1, 2]);
      const result = call(t(x)).map((y) => y.arraySync());
      return [...result, w.item(), v.arraySync()];
    };
    for (const call of [f, s.compile(f, { autograph: false })]) {
      expect(run(call, -1)).toEqual([6 + 12 + 24 + 3, 1, [8, 16], 1, [8, 16]]);
      expect(run(call, 2)).toEqual([6 + 12 + 24 + 60, 20, [8, 16], 20, [8, 16]]);
    }
    const scanned = () => s.scan((c) => [c.add(w.assignAdd(1).value), w.value], 0, null, { length: 3 });
    w.assign(0);
    expect(scanned()[1].arraySync()).toEqual([1, 2, 3]);
    expect(w.item()).toBe(3);
    expect(s.compile(scanned, { autograph: false })()[1].arraySync()).toEqual([4, 5, 6]);
    expect(w.item()).toBe(6);
  });

  test("the test of a loop sees what its body assigned, through every level", () => {
    const w = s.variable(1, { name: "w" });
    const rounds = s.variable(0, { name: "rounds" });
    const f = (x: s.Tensor) => {
      s.whileLoop(
        () => w.value.lt(100),
        (c) => {
          rounds.assignAdd(1);
          s.whileLoop(
            (d) => d.lt(rounds.value).and(w.value.lt(50)),
            (d) => {
              s.cond(
                w.value.gt(x),
                () => {
                  w.assign(w.value.mul(2));
                },
                () => {
                  w.assignAdd(1);
                },
              );
              return d.add(1);
            },
            c,
          );
          w.assignAdd(x);
          return c;
        },
        0,
      );
      return [w.value, rounds.value] as const;
    };
    const plain = (x: number) => {
      let [v, count] = [1, 0];
      while (v < 100) {
        count++;
        for (let d = 0; d < count && v < 50; d++) v = v > x ? v * 2 : v + 1;
        v += x;
      }
      return [v, count];
    };
    for (const x of [1, 3, 7])
      for (const call of [f, s.compile(f, { autograph: false })]) {
        w.assign(1);
        rounds.assign(0);
        expect(call(t(x)).map((y) => y.item())).toEqual(plain(x));
        expect([w.item(), rounds.item()]).toEqual(plain(x));
      }
  });

  test("nests to any depth, with captures of every level", () => {
    const f = (x: s.Tensor, n: s.Tensor) => {
      const a = x.mul(2);
      return s.fori(
        0,
        n,
        (i, c) => {
          const b = a.add(i);
          return s.whileLoop(
            (d) => d.lt(b.mul(10)),
            (d) =>
              s.cond(
                d.gt(a),
                () => d.add(b),
                () => s.scan((e, r) => [e.add(r).add(a), null], d, s.tensor([1, 2]))[0],
              ),
            c,
          );
        },
        0.5,
      );
    };
    const plain = (x: number, n: number) => {
      const a = x * 2;
      let c = 0.5;
      for (let i = 0; i < n; i++) {
        const b = a + i;
        while (c < b * 10) {
          if (c > a) c += b;
          else for (const r of [1, 2]) c = c + r + a;
        }
      }
      return c;
    };
    for (const y of both(f, t(1.5), i32(4))) expect(y.item()).toBe(plain(1.5, 4));
  });

  test("gradients flow through cond, fori and scan, and into variables", () => {
    const w = s.variable(3, { name: "w" });
    const loss = (x: s.Tensor) => {
      const y = s.cond(
        x.gt(0),
        () => x.mul(w.value),
        () => x.mul(x),
      );
      const z = s.fori(0, 3, (_i, c) => c.mul(x), y);
      return s.scan((c, k) => [c.add(z.mul(k)), null], 0, t([1, 2]))[0];
    };
    // y * x^3 * 3: 9 x^4 where x > 0, 3 x^5 otherwise.
    for (const g of both(s.grad(loss), t(2))) expect(g.item()).toBe(9 * 4 * 8);
    for (const g of both(s.grad(loss), t(-2))) expect(g.item()).toBe(3 * 5 * 16);
    const at = t(2);
    for (const { grads } of both(() => s.gradients(() => loss(at), [w]))) expect(grads[0]!.item()).toBe(3 * 16);
  });

  test("the program does not grow with the number of rounds", () => {
    const size = (n: number) => {
      const f = s.compile((x: s.Tensor) => s.fori(0, n, (i, c) => c.mul(x).add(i), x), { autograph: false });
      return f.lower(t(1)).text("trace").length;
    };
    expect(size(1000) - size(10)).toBeLessThan(10);
  });
});

test("a predicate that is known when traced leaves the other arm out", () => {
  let traced = 0;
  const f = s.compile(
    (x: s.Tensor) =>
      s.cond(
        t(x.shape[0]! > 2),
        () => x.slice([2], [1]),
        () => {
          traced++;
          return x.at(0);
        },
      ),
    { autograph: false, backend: "reference" },
  );
  expect(f(t([1, 2, 3])).arraySync()).toEqual([3]);
  expect(traced).toBe(0);
  expect(f.lower(t([1, 2, 3])).text("trace")).not.toContain("cond");
  expect(
    num(
      s.cond(
        true,
        () => 1,
        () => 2,
      ),
    ),
  ).toBe(1);
});
