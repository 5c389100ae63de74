// Counted loops that a tensor may end early: one `while` that really stops, whatever the number of rounds.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { compile, concat, grad, range, type Tensor, tensor, variable } from "../src/index.ts";
import { $ag, $l, backends, compiled, same, state, type Value } from "./ag-support.ts";

await programsOnWebgpu("Exits of transformed sources");

const l = $l[30]!;

interface Counted {
  readonly count: number;
  readonly step?: number;
  readonly rollable?: boolean;
}

/** `for (let i = 0; i < count; i += step) { y = next(y, i); if (stop(y, i)) break; }`, as the transform emits it. */
function until(
  x: Value,
  { count, step = 1, rollable = true }: Counted,
  next: (y: Value, i: unknown) => Value,
  stop: (y: Value, i: unknown) => unknown,
): Value {
  let y = x;
  let $b1: unknown = false;
  const how = state(
    () => [y, $b1],
    (s) => {
      [y, $b1] = s as [Value, unknown];
    },
    "y $b1",
  );
  $ag.for_(
    l,
    () => [0],
    (i) => $ag.lt(i, count),
    (i) => [$ag.add(i, step)],
    (i) => {
      y = next(y, i);
      $ag.if_(
        l,
        stop(y, i),
        () => {
          $b1 = true;
        },
        null,
        ...how,
      );
      return [i];
    },
    ...how,
    ["i"],
    rollable,
    () => $ag.none($b1),
  );
  return y;
}

/** Newton's square root with `return next` in the loop. */
function newton(x: Value, count: number): unknown {
  let guess = x;
  let $r: unknown = false;
  let $v: unknown = $ag.U;
  const how = state(
    () => [guess, $r, $v],
    (s) => {
      [guess, $r, $v] = s as [Value, unknown, unknown];
    },
    "guess $r $v",
  );
  $ag.for_(
    l,
    () => [0],
    (i) => $ag.lt(i, count),
    (i) => [$ag.inc(i)],
    (i) => {
      const next = guess.add(x.div(guess)).div(2);
      $ag.if_(
        l,
        next.sub(guess).abs().lt(1e-6),
        () => {
          $v = next;
          $r = true;
        },
        () => {
          guess = next;
        },
        ...how,
      );
      return [i];
    },
    ...how,
    ["i"],
    true,
    () => $ag.none($r),
  );
  $ag.if_(
    l,
    $ag.none($r),
    () => {
      $v = guess;
      $r = true;
    },
    null,
    ...how,
  );
  return $ag.ret(l, $r, $v, false);
}

function textOf(program: (x: Tensor) => unknown): string {
  return compile(program, { autograph: false }).lower(tensor(2.5)).text("trace");
}
const count = (text: string, op: string): number => text.split(` ${op} `).length - 1;
const nodes = (text: string): number => text.split("\n").filter((line) => line.includes(" = ")).length;

describe("values", () => {
  for (const rounds of [0, 1, 2, 3, 40, 1000])
    same(
      `at most ${rounds} rounds`,
      (x) => {
        let y = x;
        for (let i = 0; i < rounds; i++) {
          y = y.add(i);
          if (y.gt(20)) break;
        }
        return y;
      },
      (x) =>
        until(
          x,
          { count: rounds },
          (y, i) => y.add(i as number),
          (y) => y.gt(20),
        ),
    );

  test("rounds after the exit do not run", () => {
    for (const backend of backends) {
      const runs = variable(0);
      const f = compiled(
        (x) =>
          until(
            x,
            { count: 1_000_000 },
            (y) => {
              runs.assign(runs.add(1));
              return y.mul(2);
            },
            (y) => y.gt(100),
          ),
        { backend },
      );
      expect((f(tensor(1)) as Tensor).item(), backend).toBe(128);
      expect(runs.item(), backend).toBe(7);
    }
  });

  test("derivatives are those of the rounds written out", () => {
    const written = (x: Tensor): Tensor => {
      let guess = x;
      for (let i = 0; i < 6; i++) guess = guess.add(x.div(guess)).div(2);
      return guess;
    };
    for (const backend of backends) {
      const slope = compile(
        grad((x: Tensor) => newton(x, 50) as Tensor),
        { autograph: false, backend },
      );
      for (const at of [0.5, 2, 2.5]) {
        expect(Number(slope(tensor(at)).item()), backend).toBeCloseTo(Number(grad(written)(tensor(at)).item()), 5);
      }
    }
  });
});

describe("the program", () => {
  test("is one while of a size that does not depend on the rounds, with their number", () => {
    const text = textOf((x) => newton(x, 50));
    expect(count(text, "while")).toBe(1);
    expect(count(text, "cond")).toBe(0);
    expect(text).toContain("maxIterations=50}");
    for (const rounds of [3, 20_000, 2_000_000]) {
      const other = textOf((x) => newton(x, rounds));
      expect(nodes(other)).toBe(nodes(text));
      expect(other).toContain(`maxIterations=${rounds}}`);
    }
  });

  test("two rounds are written out", () => {
    expect(
      count(
        textOf((x) => newton(x, 2)),
        "while",
      ),
    ).toBe(0);
  });

  test("exits that are plain stay JavaScript", () => {
    const program = (x: Tensor, last: number): Tensor => {
      const limits = [5, 6, 7, 8, 9];
      // Only the number can index the list.
      return until(
        x,
        { count: 5 },
        (y, i) => y.add(limits[i as number]!),
        (_, i) => i === last,
      );
    };
    const text = textOf((x) => program(x, 1));
    expect(count(text, "while") + count(text, "cond")).toBe(0);
    expect((compiled((x) => program(x, 1))(tensor(0)) as Tensor).item()).toBe(11);
  });

  test("where no exit is staged it is a scan, unless numbers are read afterwards", () => {
    const program = (rollable: boolean) => (x: Tensor) =>
      until(
        x,
        { count: 40, rollable },
        (y) => y.mul(2),
        () => false,
      );
    expect(count(textOf(program(true)), "scan")).toBe(1);
    expect(count(textOf(program(false)), "scan")).toBe(0);
  });

  test("an exit that is always taken leaves one round", () => {
    const text = textOf((x) =>
      until(
        x,
        { count: 40 },
        (y) => y.mul(2),
        () => true,
      ),
    );
    expect(count(text, "while") + count(text, "scan")).toBe(0);
    expect(count(text, "mul")).toBe(1);
  });

  test("a body that needs the number is unrolled, and says so where that is too much", () => {
    const weights = Array.from({ length: 20 }, (_, i) => i);
    const program = (x: Tensor, rounds: number): Tensor =>
      until(
        x,
        { count: rounds },
        (y, i) => y.add(weights[i as number]!),
        (y) => y.gt(30),
      );
    for (const backend of backends) {
      expect((compiled((x) => program(x, 20), { backend })(tensor(0)) as Tensor).item(), backend).toBe(36);
    }
    expect(
      count(
        textOf((x) => program(x, 20)),
        "while",
      ),
    ).toBe(0);
    expect(() => textOf((x) => program(x, 10_001))).toThrow("a loop of 10001 iterations is too long to unroll");
    expect(() =>
      textOf((x) =>
        until(
          x.reshape([1]),
          { count: 10_001 },
          (y) => concat([y, y.at([0, 1])]),
          (y) => y.sum().gt(100),
        ),
      ),
    ).toThrow("cannot be one loop of the program because");
  });

  test("loops over rows and ranges say how often they go round at most", () => {
    const program = (items: (x: Tensor) => unknown) => (x: Tensor) => {
      let y = x;
      let $b1: unknown = false;
      const how = state(
        () => [y, $b1],
        (s) => {
          [y, $b1] = s as [Value, unknown];
        },
        "y $b1",
      );
      $ag.forOf_(
        l,
        items(x),
        (item) => {
          y = y.add(item as Tensor);
          $ag.if_(
            l,
            y.gt(9),
            () => {
              $b1 = true;
            },
            null,
            ...how,
          );
        },
        () => $ag.none($b1),
        ...how,
      );
      return y;
    };
    expect(textOf(program(() => range(3, 30, 2)))).toContain("maxIterations=14}");
    expect(textOf(program((x) => x.broadcastTo([7])))).toContain("maxIterations=7}");
  });
});
