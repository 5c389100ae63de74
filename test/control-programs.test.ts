// Random nests of cond, switchCase, whileLoop, fori and scan: values, derivatives and what is printed, compiled, against plain
// JavaScript.
import * as sinter from "sinter";
import { describe, expect, test } from "vitest";
import { Num, Vec } from "./autograph/native.ts";
import { functionalProgram, nativeApi, nativeLog } from "./support/functional-program.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { programsOnWebgpu } from "./support/programs-on-webgpu.ts";
import { seededRng } from "./support/random.ts";

await programsOnWebgpu("Random nests of control flow", { sample: 2, full: 60 });

type Scalar = sinter.Tensor;

/** `api` on tensors. i32 counters mix with f32 carries by a cast, since JavaScript has one type of number. */
const api = {
  say(place: number, x: Scalar): Scalar {
    sinter.print("{}: {}", place, x);
    return x;
  },
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

/** What `run` gives, and what it prints; a place of a program with the number there. */
function printed<T>(run: () => T): { readonly result: T; readonly log: readonly string[] } {
  const log: string[] = [];
  const sink = sinter.setPrintSink((text) => log.push(text));
  try {
    return { result: run(), log: log.map((text) => text.replace(/-0$/, "0")) };
  } finally {
    sinter.setPrintSink(sink);
  }
}

/** As `printed`, of a program on numbers in objects. */
function printedNatively(evaluate: Evaluate, args: readonly unknown[]): { result: Num; log: readonly string[] } {
  const result = evaluate(nativeApi, ...args) as Num;
  return { result, log: nativeLog.splice(0).map((text) => text.replace(/-0$/, "0")) };
}

function values(text: string, [x, y, ...v]: readonly number[]) {
  const evaluate = load(text);
  const row = new Vec(v.map((value) => new Num(value)));
  const expected = printedNatively(evaluate, [new Num(x!), new Num(y!), row]);
  const compiled = sinter.compile((...args: Scalar[]) => evaluate(api, ...args) as Scalar, { autograph: false });
  const actual = printed(() =>
    sinter.scope(() => compiled(sinter.tensor(x!, f32), sinter.tensor(y!, f32), sinter.tensor(v, f32)).item()),
  );
  return {
    expected: expected.result.value,
    actual: Number(actual.result),
    logs: { expected: expected.log, actual: actual.log },
  };
}

function derivatives(text: string, [x, y, ...v]: readonly number[]) {
  const evaluate = load(text);
  const numbers = [x!, y!, ...v];
  const runs = numbers.map((_, wrt) => {
    const [a, b, ...row] = numbers.map((value, i) => new Num(value, i === wrt ? 1 : 0));
    return printedNatively(evaluate, [a, b, new Vec(row)]);
  });
  const f = (...args: Scalar[]): Scalar => evaluate(api, ...args) as Scalar;
  const gradient = sinter.compile(sinter.grad(f, { argnums: [0, 1, 2] }) as (...args: Scalar[]) => unknown, {
    autograph: false,
  });
  const actual = printed(() =>
    sinter.scope(() => {
      const found = gradient(sinter.tensor(x!, f32), sinter.tensor(y!, f32), sinter.tensor(v, f32)) as Scalar[];
      return found.flatMap((each) => [...each.dataSync()].map(Number));
    }),
  );
  const placesIn = (log: readonly string[]): string[] => log.map((entry) => entry.split(":")[0]!);
  return {
    expected: runs.map(({ result }) => result.tangent),
    actual: actual.result,
    logs: { expected: placesIn(runs[0]!.log), actual: placesIn(actual.log) },
  };
}

describe("nests of control flow", () => {
  test("compute and print what plain JavaScript does", () => {
    for (let seed = 0; seed < fuzzRuns(60, 600); seed++) {
      const rng = seededRng(seed);
      const text = functionalProgram(rng, rng.int(4, 24));
      for (let i = 0; i < 2; i++) {
        const inputs = Array.from({ length: 5 }, () => rng.int(-8, 8) / 2);
        const { expected, actual, logs } = values(text, inputs);
        expect(actual, `seed ${seed}: ${text}\non ${inputs}`).toBe(expected === 0 ? actual * 0 : expected);
        expect(logs.actual, `seed ${seed}: ${text}\non ${inputs}`).toEqual(logs.expected);
      }
    }
  });

  test("have the derivatives of what ran", () => {
    for (let seed = 5000; seed < 5000 + fuzzRuns(40, 200); seed++) {
      const rng = seededRng(seed);
      const text = functionalProgram(rng, rng.int(4, 20));
      // Off the ties, where either side's derivative would do.
      const inputs = Array.from({ length: 5 }, () => rng.real(-4, 4));
      const { expected, actual, logs } = derivatives(text, inputs);
      // On the way forward, once.
      expect(logs.actual, `seed ${seed}: ${text}\non ${inputs}`).toEqual(logs.expected);
      for (const [i, slope] of expected.entries()) {
        const off = Math.abs(actual[i]! - slope);
        expect(off, `seed ${seed}: ${text}\non ${inputs}\n${actual} for ${expected}`).toBeLessThanOrEqual(
          1e-3 * (1 + Math.abs(slope)),
        );
      }
    }
  });
});
