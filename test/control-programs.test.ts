// Random nests of cond, switchCase, whileLoop, fori and scan: values and derivatives, compiled, against plain JavaScript.
import * as sinter from "sinter";
import { describe, expect, test } from "vitest";
import { Num, Vec } from "./autograph/native.ts";
import { functionalProgram, nativeApi } from "./support/functional-program.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { seededRng } from "./support/random.ts";

type Scalar = sinter.Tensor;

/** `api` on tensors. i32 counters mix with f32 carries by a cast, since JavaScript has one type of number. */
const api = {
  where: sinter.where,
  and: (a: Scalar, b: Scalar): Scalar => a.and(b),
  cond: sinter.cond,
  switchCase: (shift: number, index: Scalar, arms: readonly (() => Scalar)[]): Scalar =>
    sinter.switchCase(index.cast("i32").add(shift), arms),
  whileLoop: <C>(test: (c: C) => Scalar, body: (c: C) => C, init: C, bound?: number): unknown =>
    sinter.whileLoop(test as never, body as never, init, bound === undefined ? {} : { maxIterations: bound }),
  fori: <C>(lower: number, upper: number, body: (i: Scalar, c: C) => C, init: C): unknown =>
    sinter.fori(lower, upper, ((i: Scalar, c: C) => body(i.cast("f32"), c)) as never, init),
  scan: <C>(step: (c: C, x: Scalar) => [C, Scalar], init: C, xs: Scalar, reverse: boolean): unknown =>
    sinter.scan(step as never, init, xs, { reverse }),
};

type Evaluate = (...args: unknown[]) => unknown;

function load(text: string): Evaluate {
  return new Function("api", "x", "y", "v", `return ${text};`) as Evaluate;
}

const f32 = { dtype: "f32" } as const;

function values(text: string, [x, y, ...v]: readonly number[]): { expected: number; actual: number } {
  const evaluate = load(text);
  const row = new Vec(v.map((value) => new Num(value)));
  const expected = (evaluate(nativeApi, new Num(x!), new Num(y!), row) as Num).value;
  const compiled = sinter.compile((...args: Scalar[]) => evaluate(api, ...args) as Scalar, { autograph: false });
  const actual = sinter.scope(() =>
    compiled(sinter.tensor(x!, f32), sinter.tensor(y!, f32), sinter.tensor(v, f32)).item(),
  );
  return { expected, actual: Number(actual) };
}

function derivatives(text: string, [x, y, ...v]: readonly number[]): { expected: number[]; actual: number[] } {
  const evaluate = load(text);
  const numbers = [x!, y!, ...v];
  const expected = numbers.map((_, wrt) => {
    const [a, b, ...row] = numbers.map((value, i) => new Num(value, i === wrt ? 1 : 0));
    return (evaluate(nativeApi, a, b, new Vec(row)) as Num).tangent;
  });
  const f = (...args: Scalar[]): Scalar => evaluate(api, ...args) as Scalar;
  const gradient = sinter.compile(sinter.grad(f, { argnums: [0, 1, 2] }) as (...args: Scalar[]) => unknown, {
    autograph: false,
  });
  const actual = sinter.scope(() => {
    const found = gradient(sinter.tensor(x!, f32), sinter.tensor(y!, f32), sinter.tensor(v, f32)) as Scalar[];
    return found.flatMap((each) => [...each.dataSync()].map(Number));
  });
  return { expected, actual };
}

describe("nests of control flow", () => {
  test("compute what plain JavaScript computes", () => {
    for (let seed = 0; seed < fuzzRuns(60, 600); seed++) {
      const rng = seededRng(seed);
      const text = functionalProgram(rng, rng.int(4, 24));
      for (let i = 0; i < 2; i++) {
        const inputs = Array.from({ length: 5 }, () => rng.int(-8, 8) / 2);
        const { expected, actual } = values(text, inputs);
        expect(actual, `seed ${seed}: ${text}\non ${inputs}`).toBe(expected === 0 ? actual * 0 : expected);
      }
    }
  });

  test("have the derivatives of what ran", () => {
    for (let seed = 5000; seed < 5000 + fuzzRuns(40, 200); seed++) {
      const rng = seededRng(seed);
      const text = functionalProgram(rng, rng.int(4, 20));
      // Off the ties, where either side's derivative would do.
      const inputs = Array.from({ length: 5 }, () => rng.real(-4, 4));
      const { expected, actual } = derivatives(text, inputs);
      for (const [i, slope] of expected.entries()) {
        const off = Math.abs(actual[i]! - slope);
        expect(off, `seed ${seed}: ${text}\non ${inputs}\n${actual} for ${expected}`).toBeLessThanOrEqual(
          1e-3 * (1 + Math.abs(slope)),
        );
      }
    }
  });
});
