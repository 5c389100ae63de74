// Arithmetic of numbers that become tensors, and counted loops that are rolled into one operation.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { compile, concat, type Tensor, tensor } from "../src/index.ts";
import { $ag, $l, backends, compiled, same, state, type Value } from "./ag-support.ts";

await programsOnWebgpu("Numbers of transformed sources");

const l = $l[1]!;
type Binary = (a: unknown, b: unknown) => unknown;
const operators: Readonly<Record<string, readonly [Binary, (a: number, b: number) => number | boolean]>> = {
  add: [$ag.add, (a, b) => a + b],
  sub: [$ag.sub, (a, b) => a - b],
  mul: [$ag.mul, (a, b) => a * b],
  div: [$ag.div, (a, b) => a / b],
  mod: [$ag.mod, (a, b) => a % b],
  pow: [$ag.pow, (a, b) => a ** b],
  lt: [$ag.lt, (a, b) => a < b],
  le: [$ag.le, (a, b) => a <= b],
  gt: [$ag.gt, (a, b) => a > b],
  ge: [$ag.ge, (a, b) => a >= b],
  eq: [$ag.eq, (a, b) => a === b],
  ne: [$ag.ne, (a, b) => a !== b],
};

/** The number as a tensor that stands for a number: i32 where it is whole. */
function lifted(x: Value, value: number): unknown {
  return $ag.cond_(
    l,
    x.gt(0),
    () => value,
    () => $ag.add(value, 0.25),
    ...state(
      () => [],
      () => {},
      "",
    ),
  );
}

describe("operators", () => {
  const pairs = [
    [7, 2],
    [-7, 2],
    [7, -3],
    [0.5, 2],
    [2, 2],
    [3, 0.5],
  ] as const;
  for (const [name, [staged, plain]] of Object.entries(operators))
    test(name, () => {
      for (const [a, b] of pairs) {
        expect(staged(a, b)).toBe(plain(a, b));
        const expected = Number(plain(a, b));
        const f = compiled(
          (x) => [staged(lifted(x, a), b), staged(a, lifted(x, b)), staged(lifted(x, a), lifted(x, b))],
          {
            backend: "reference",
          },
        );
        for (const out of f(tensor(1)) as Tensor[]) {
          const value = Number(out.item());
          if (Number.isNaN(expected)) expect(value).toBeNaN();
          else expect(value, `${name}(${a}, ${b})`).toBeCloseTo(expected, 4);
        }
      }
    });

  test("unary", () => {
    expect([$ag.neg(3), $ag.plus("4"), $ag.inc(1), $ag.dec(1)]).toEqual([-3, 4, 2, 0]);
    const f = compiled((x) => {
      const n = lifted(x, 3);
      const flag = x.gt(0);
      return [$ag.neg(n), $ag.plus(n), $ag.inc(n), $ag.dec(n), $ag.plus(flag), $ag.add(flag, 1)];
    });
    expect((f(tensor(1)) as Tensor[]).map((out) => out.item())).toEqual([-3, 3, 4, 2, 1, 2]);
  });

  test("what is no number is JavaScript's", () => {
    expect($ag.add("a", 1)).toBe("a1");
    expect($ag.eq(undefined, null)).toBe(false);
    expect($ag.lt("a", "b")).toBe(true);
    expect($ag.eq(tensor(1), undefined)).toBe(false);
    expect($ag.ne(tensor(1), null)).toBe(true);
  });

  test("whole numbers stay i32, others are f32, and numbers give way to tensors", () => {
    const f = compiled((x) => {
      const n = $ag.cond_(
        l,
        x.gt(0),
        () => 1,
        () => 2,
        ...state(
          () => [],
          () => {},
          "",
        ),
      ) as unknown as Tensor;
      const types = [n, $ag.mul(n, 3), $ag.div(n, 2), $ag.mul(n, 0.5), $ag.add(n, 2 ** 40), $ag.add(n, x)] as Tensor[];
      return types.map((t) => t.dtype);
    });
    expect(f(tensor(1))).toEqual(["i32", "i32", "f32", "f32", "f32", "f32"]);
  });

  test("a number that became a tensor is true where it is not 0 nor NaN", () => {
    const f = compiled((x) => {
      const n = lifted(x, 0);
      const none = state(
        () => [],
        () => {},
        "",
      );
      return [
        $ag.cond_(
          l,
          n,
          () => 1,
          () => 0,
          ...none,
        ),
        $ag.cond_(
          l,
          $ag.div(n, n),
          () => 1,
          () => 0,
          ...none,
        ),
        $ag.not(l, n),
      ];
    });
    expect((f(tensor(1)) as Tensor[]).map((t) => Number(t.item()))).toEqual([0, 0, 1]);
    expect((f(tensor(-1)) as Tensor[]).map((t) => Number(t.item()))).toEqual([1, 1, 0]);
  });
});

/** `for (let i = from; i < to; i += by) y = step(y, i)` as the transform emits it. */
function counted(
  x: Value,
  [from, to, by]: readonly [number, number, number],
  step: (y: Value, i: unknown) => Value,
): Value {
  let y = x;
  $ag.for_(
    $l[20]!,
    () => [from],
    (i) => $ag.lt(i, to),
    (i) => [$ag.add(i, by)],
    (i) => {
      y = step(y, i);
      return [i];
    },
    ...state(
      () => [y],
      (s) => {
        [y] = s as [Value];
      },
      "y",
    ),
    ["i"],
    true,
  );
  return y;
}

function nodes(program: (x: Tensor) => unknown): number {
  const text = compile(program, { autograph: false }).lower(tensor(1)).text("trace");
  return text.split("\n").filter((line) => line.includes(" = ")).length;
}

describe("counted loops", () => {
  for (const count of [10, 40, 1000])
    same(
      `${count} rounds`,
      (x) => {
        let y = x;
        for (let i = 3; i < 3 + 2 * count; i += 2) y = y.sub(y.mul(0.1)).add(i * 0.001);
        return y;
      },
      (x) => counted(x, [3, 3 + 2 * count, 2], (y, i) => y.sub(y.mul(0.1)).add($ag.mul(i, 0.001) as Value)),
    );

  test("more than 16 rounds are one operation, of a size that does not depend on them", () => {
    const size = (count: number): number =>
      nodes((x) => counted(x, [0, count, 1], (y, i) => y.add(i as number).mul(2)));
    expect(size(1000)).toBe(size(17));
    expect(size(17)).toBeLessThan(size(16));
    expect(size(2e9)).toBe(size(17));
  });

  test("numbers that only numbers change stay numbers", () => {
    const f = compiled((x) => {
      let n: unknown = 1;
      $ag.for_(
        l,
        () => [0],
        (i) => $ag.lt(i, 40),
        (i) => [$ag.inc(i)],
        (i) => {
          n = $ag.mul(n, 2);
          return [i];
        },
        ...state(
          () => [n],
          (s) => {
            [n] = s;
          },
          "n",
        ),
        ["i"],
        true,
      );
      return [x, n];
    });
    expect((f(tensor(1)) as unknown[])[1]).toBe(2 ** 40);
  });

  test("a body that needs the number is unrolled", () => {
    const weights = Array.from({ length: 20 }, (_, i) => i);
    for (const backend of backends) {
      const f = compiled((x) => counted(x, [0, 20, 1], (y, i) => y.add(weights[i as number]!)), { backend });
      expect((f(tensor(1)) as Tensor).item(), backend).toBe(191);
    }
    const grown = compiled((x) => counted(x.reshape([1]), [0, 20, 1], (y) => concat([y, y.at([0, 1])])));
    expect((grown(tensor(1)) as Tensor).shape).toEqual([21]);
  });

  test("what the first round initialises", () => {
    const program = (x: Tensor): unknown => {
      let last: unknown;
      $ag.for_(
        l,
        () => [0],
        (i) => $ag.lt(i, 100),
        (i) => [$ag.inc(i)],
        (i) => {
          last = x.add(i as number);
          return [i];
        },
        ...state(
          () => [last],
          (s) => {
            [last] = s;
          },
          "last",
        ),
        ["i"],
        true,
      );
      return last;
    };
    for (const backend of backends) expect((compiled(program, { backend })(tensor(1)) as Tensor).item()).toBe(100);
    expect(nodes(program)).toBeLessThan(12);
  });

  test("a body that changes the counter is unrolled", () => {
    const f = compiled((x) => {
      let y = x;
      $ag.for_(
        l,
        () => [0],
        (i) => $ag.lt(i, 40),
        (i) => [$ag.inc(i)],
        (i) => {
          y = y.add(1);
          return [$ag.add(i, 1)];
        },
        ...state(
          () => [y],
          (s) => {
            [y] = s as [Value];
          },
          "y",
        ),
        ["i"],
        true,
      );
      return y;
    });
    expect((f(tensor(0)) as Tensor).item()).toBe(20);
  });

  test("loops in loops: each is one operation", () => {
    const program = (x: Tensor): Tensor =>
      counted(x, [0, 100, 1], (y, i) => {
        let z = y;
        $ag.for_(
          $l[21]!,
          () => [0],
          (j) => $ag.lt(j, 50),
          (j) => [$ag.inc(j)],
          (j) => {
            z = z.mul(0.5).add($ag.add(i, j) as Value);
            return [j];
          },
          ...state(
            () => [z],
            (s) => {
              [z] = s as [Value];
            },
            "z",
          ),
          ["j"],
          true,
        );
        return z;
      });
    expect(nodes(program)).toBeLessThan(20);
    expect((compile(program, { autograph: false })(tensor(1)) as Tensor).item()).toBeCloseTo(294, 3);
  });
});
