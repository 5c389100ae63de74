// Derivatives and batching through cond, while and scan, with the same checks as any other graph.
import {
  Builder,
  emit,
  evalGraph,
  type Graph,
  type HostTensor,
  hostScalar,
  tensorType,
  typeOf,
  typeText,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { seededRng } from "../../../test/support/random.ts";
import { vmapInto } from "../src/index.ts";
import { checkBatching, checkDerivatives } from "./support/check.ts";
import type { Instance } from "./support/sampled.ts";

const scalar = tensorType("f64", []);
const i32 = tensorType("i32", []);
const out = (value: Value) => ({ kind: "out", value }) as const;
const numbers = (...data: number[]): HostTensor => ({
  dtype: "f64",
  shape: [data.length],
  data: new Float64Array(data),
});

function region(make: (b: Builder) => readonly Value[]): Graph {
  const b = new Builder("region");
  return b.finish(make(b).map(out));
}
const params = (b: Builder, ...names: string[]): Value[] => names.map((name) => b.param("arg", scalar, name));

/** carry <- tanh(w * carry + x), stacking carry * x; n counts steps as an integer carry. */
function recurrence(reverse: boolean): Graph {
  const body = region((b) => {
    const [w, h] = params(b, "w", "h") as [Value, Value];
    const n = b.param("arg", i32, "n");
    const [x] = params(b, "x") as [Value];
    const next = b.emit("tanh", [emit.add(b, emit.mul(b, w, h), x)]);
    const counted = emit.add(b, n, b.scalar("i32", 1));
    return [next, counted, emit.mul(b, next, x), emit.mul(b, x, emit.cast(b, counted, "f64"))];
  });
  const b = new Builder("recurrence");
  const [w, h] = params(b, "w", "h") as [Value, Value];
  const xs = b.param("arg", tensorType("f64", [5]), "xs");
  const results = b.emitRegion(
    "scan",
    { captures: [w], init: [h, b.scalar("i32", 0)], xs: [xs] },
    { length: 5, reverse },
    [body],
  );
  return b.finish(results.map(out));
}
const recurrenceArgs = (shift: number): HostTensor[] => [
  hostScalar("f64", 0.7 + shift),
  hostScalar("f64", -0.2),
  numbers(0.1, 0.5, -0.3 + shift, 0.8, 0.2),
];

/** Several branches of x and y, the index clamping. */
function branches(): Graph {
  const two = (make: (b: Builder, x: Value, y: Value) => Value): Graph =>
    region((b) => {
      const [x, y] = params(b, "x", "y") as [Value, Value];
      return [make(b, x, y), x];
    });
  const b = new Builder("branches");
  const index = b.param("arg", i32, "index");
  const captures = params(b, "x", "y");
  const results = b.emitRegion("cond", { index: [index], captures }, {}, [
    two((c, x, y) => emit.mul(c, x, y)),
    two((c, x) => c.emit("sin", [x])),
    two((c, _, y) => c.emit("exp", [y])),
  ]);
  return b.finish(results.map(out));
}

/** Doubles x until it is past a limit. */
function doubling(attrs: { readonly maxIterations?: number } = {}): Graph {
  const test = region((b) => {
    const [limit, x] = params(b, "limit", "x") as [Value, Value];
    return [emit.less(b, x, limit)];
  });
  const body = region((b) => {
    const [, x] = params(b, "limit", "x") as [Value, Value];
    return [emit.mul(b, x, b.scalar("f64", 2))];
  });
  const b = new Builder("doubling");
  const [limit, x] = params(b, "limit", "x") as [Value, Value];
  return b.finish(b.emitRegion("while", { captures: [limit], init: [x] }, attrs, [test, body]).map(out));
}

const branchArgs = (index: number): HostTensor[] => [
  hostScalar("i32", index),
  hostScalar("f64", 0.6),
  hostScalar("f64", 1.3 + index),
];

describe("derivatives", () => {
  const doublingArgs = (limit: number): HostTensor[] => [hostScalar("f64", limit), hostScalar("f64", 0.9)];
  const cases: readonly (readonly [string, Instance])[] = [
    ["while", { graph: doubling(), args: doublingArgs(10) }],
    ["while of no round", { graph: doubling(), args: doublingArgs(0.5) }],
    ["bounded while", { graph: doubling({ maxIterations: 5 }), args: doublingArgs(10) }],
    ["bounded while that reaches its bound", { graph: doubling({ maxIterations: 4 }), args: doublingArgs(10) }],
    ["scan", { graph: recurrence(false), args: recurrenceArgs(0) }],
    ["reversed scan", { graph: recurrence(true), args: recurrenceArgs(0) }],
    ...[-1, 0, 1, 2, 9].map((index): readonly [string, Instance] => [
      `cond at ${index}`,
      { graph: branches(), args: branchArgs(index) },
    ]),
  ];
  for (const [name, instance] of cases)
    test(`through ${name}, to second order`, () => {
      const rng = seededRng(1);
      checkDerivatives(checkDerivatives(instance, rng), rng);
    });
});

describe("vmap", () => {
  const cases: readonly (readonly [string, Graph, readonly (readonly HostTensor[])[]])[] = [
    ["scan", recurrence(true), [recurrenceArgs(0), recurrenceArgs(0.1), recurrenceArgs(0.3)]],
    ["cond", branches(), [branchArgs(0), branchArgs(2), branchArgs(1), branchArgs(7)]],
    ["while", doubling(), [1, 3, 100].map((limit) => [hostScalar("f64", limit), hostScalar("f64", 0.9 + limit / 100)])],
  ];
  for (const [name, graph, [first, ...others]] of cases)
    test(`over ${name}`, () => {
      // Each seed batches another subset of the parameters.
      for (let seed = 1; seed <= 8; seed++) checkBatching({ graph, args: first! }, others, seededRng(seed));
    });

  const batch = (graph: Graph, batched: readonly boolean[]): Graph => {
    const b = new Builder("batched");
    const args = graph.params.map(({ value, name }, i) => {
      const { dtype, shape } = typeOf(value);
      return b.param("arg", tensorType(dtype, batched[i] ? [3, ...shape] : shape), name);
    });
    const axes = batched.map((is) => (is ? 0 : null));
    const made = vmapInto(b, graph, args, axes, 3);
    const mapped = b.finish(made.results.map(out));
    verifyGraph(mapped);
    return mapped;
  };

  test("keeps what is the same for all examples out of the batch", () => {
    const scanned = batch(recurrence(false), [false, true, false]).nodes.find((node) => node.regions.length > 0)!;
    // The carry differs; the counter, and what is stacked of it, does not.
    expect(scanned.results.map((result) => typeText(result.type))).toEqual(["f64[3]", "i32[]", "f64[5,3]", "f64[5]"]);
    const counted = region((b) => {
      const [n, x] = [b.param("arg", i32, "n"), b.param("arg", scalar, "x")];
      const test = region((c) => {
        const [n, i] = [c.param("arg", i32, "n"), c.param("arg", i32, "i"), c.param("arg", scalar, "x")];
        return [emit.less(c, i!, n!)];
      });
      const body = region((c) => {
        const [, i, x] = [c.param("arg", i32, "n"), c.param("arg", i32, "i"), c.param("arg", scalar, "x")];
        return [emit.add(c, i!, c.scalar("i32", 1)), c.emit("sin", [x!])];
      });
      const init = [b.scalar("i32", 0), x];
      return b.emitRegion("while", { captures: [n], init }, { maxIterations: 9 }, [test, body]);
    });
    const loop = batch(counted, [false, true]).nodes.find((node) => node.regions.length > 0)!;
    expect(loop.results.map((result) => typeText(result.type))).toEqual(["i32[]", "f64[3]"]);
    expect(loop.attrs).toEqual({ maxIterations: 9 });
    expect(loop.regions[1]!.nodes.map((node) => node.op)).not.toContain("select");
  });

  test("runs no loop of a branch for examples that take another: it may never end for them", () => {
    // Doubling from 0 never gets past a limit.
    const graph = region((b) => {
      const [x] = params(b, "x") as [Value];
      const branches = [doubling(), region((c) => [params(c, "limit", "x")[1]!])];
      const captures = [b.scalar("f64", 10), x];
      return b.emitRegion("cond", { index: [emit.equal(b, x, b.scalar("f64", 0))], captures }, {}, branches);
    });
    expect([...evalGraph(batch(graph, [true]), [numbers(1, 0, 3)])[0]!.data]).toEqual([16, 0, 12]);
  });
});
