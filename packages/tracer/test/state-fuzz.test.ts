// Random programs over variables, aliases of them and handles on their old values: compiled, operation by operation and
// evaluated by the reference, all must agree in results, in the variables, and in what old handles still show.
import { expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import * as s from "../src/index.ts";
import { expectClose } from "./support.ts";
import { missingGpu } from "./support-gpu.ts";

const missing = await missingGpu("random programs over variables on webgpu");

class Random {
  private seed: number;
  constructor(seed: number) {
    this.seed = seed >>> 0;
  }
  next(): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return this.seed / 2 ** 32;
  }
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }
}

const rows = s.tensor([0, 1, 1], { dtype: "i32" });

/** One random operation on square matrices. */
function operation(random: Random, a: s.Tensor, b: s.Tensor, n: number): s.Tensor {
  const axis = random.int(0, 1);
  return random.pick<() => s.Tensor>([
    () => a.add(b).mul(0.5),
    () => a.transpose(),
    () => a.tanh(),
    () => a.matmul(b).mul(0.1).tanh(),
    () => a.softmax(axis),
    () => a.sub(a.mean(axis, true)),
    () => a.addAt(rows, 1),
    () => a.set([[0, 2]], b.slice([0, 0], [2, n])),
    () => a.roll(1, axis),
    () => a.cumsum(axis).tanh(),
    () => a.flip(0),
    () => a,
    () => a.gather(rows, 0).sum(0, true).tanh().add(b),
    () => s.where(a.gt(b), a, b),
  ])();
}

/** The body of a random function: operations, assignments, results that may be variables' values. */
function program(seed: number, n: number, variables: readonly s.Variable[], captured: s.Tensor) {
  return (x: s.Tensor): s.Tensor[] => {
    const random = new Random(seed);
    const pool: s.Tensor[] = [x, captured, ...variables.map((v) => v.value)];
    const outs: s.Tensor[] = [];
    const count = random.int(2, 10);
    for (let i = 0; i < count; i++) {
      const made = operation(random, random.pick(pool), random.pick(pool), n);
      pool.push(made);
      if (random.next() < 0.4) {
        const variable = random.pick(variables).assign(made);
        pool.push(variable.value);
      }
      if (random.next() < 0.2) outs.push(random.pick(pool));
      if (random.next() < 0.1) outs.push(random.pick(variables).value);
    }
    return outs;
  };
}

interface Mode {
  readonly backend: "reference" | "wasm" | "webgpu";
  /** Operation by operation. */
  readonly eager?: boolean;
}

async function run(seed: number, { backend, eager = false }: Mode): Promise<unknown[]> {
  const random = new Random(seed);
  const n = random.pick([3, 5, 9, 17]);
  const init = Array.from({ length: random.int(1, 4) }, () =>
    Float32Array.from({ length: n * n }, () => Math.round(random.next() * 8 - 4) / 4),
  );
  const square = (data: Float32Array): s.Tensor => s.tensor(data, { shape: [n, n] });
  const before = s.currentBackend();
  s.setBackend(backend === "webgpu" ? backend : before);
  const values: Promise<unknown>[] = [];
  const made: s.Variable[] = [];
  s.scope(() => {
    const variables = init.map((data) => s.variable(square(data)));
    const f = s.compile(program(seed + 1, n, variables, square(init[0]!)), {
      autograph: false,
      backend,
    });
    let x = square(init.at(-1)!);
    const old: s.Tensor[] = [];
    for (let call = 0; call < 4; call++) {
      if (call === 1) old.push(variables[0]!.value);
      if (call === 2 && variables.length > 1) variables[0]!.assign(variables[1]!);
      if (call === 3) x = variables[0]!.value;
      const results = eager ? s.withEager(() => f(x)) : f(x);
      old.push(...results);
      if (call === 1 && results[0] !== undefined) x = results[0];
      for (const variable of variables) values.push(variable.array());
    }
    for (const handle of old) values.push(handle.array());
    made.push(...variables);
  });
  s.setBackend(before);
  const log = await Promise.all(values);
  for (const variable of made) variable.dispose();
  return log;
}

/** Runs the program of a seed in several ways, each of which must agree with the reference. */
async function check(seed: number, modes: readonly Mode[]): Promise<void> {
  const expected = await run(seed, { backend: "reference" });
  for (const mode of modes)
    try {
      expectClose(await run(seed, mode), expected, 2e-3);
    } catch (error) {
      expect.fail(`seed ${seed}, ${JSON.stringify(mode)}: ${String(error)}`);
    }
}

const seedOf = (i: number): number => 1 + i * 7919;

test("random programs over variables", async () => {
  for (let i = 0; i < fuzzRuns(40, 1500); i++)
    await check(seedOf(i), [{ backend: "wasm" }, { backend: "wasm", eager: true }]);
});

test.skipIf(missing)("random programs over variables on webgpu", async () => {
  for (let i = 0; i < fuzzRuns(3, 60); i++)
    await check(seedOf(i), [{ backend: "webgpu" }, { backend: "webgpu", eager: true }]);
});
