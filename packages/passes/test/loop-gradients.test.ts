// Gradients through control flow: against finite differences and forward mode, nested, to second order, and what they keep.
import {
  Builder,
  emit,
  evalGraph,
  type Graph,
  type HostTensor,
  hostScalar,
  parseGraph,
  printGraph,
  tensorType,
  typeOf,
  typeText,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { randomTensor, seededRng } from "../../../test/support/random.ts";
import { snapshotCount } from "../src/control/snapshots.ts";
import { gradGraph, normaliseRegions, simplify } from "../src/index.ts";
import { checkBatching, checkDerivatives } from "./support/check.ts";
import { type RandomRegionsOptions, randomRegions } from "./support/random-regions.ts";
import type { Instance } from "./support/sampled.ts";

const f64 = tensorType("f64", []);
const i32 = tensorType("i32", []);
const out = (value: Value) => ({ kind: "out", value }) as const;
const normal = (graph: Graph): Graph => normaliseRegions(simplify(graph));

describe("random control flow", () => {
  const each = (runs: number, options: RandomRegionsOptions, check: (one: Instance, seed: number) => void): void => {
    for (let seed = 1; seed <= fuzzRuns(runs); seed++) {
      const one = randomRegions(seededRng(seed), options);
      try {
        check(one, seed);
      } catch (error) {
        const message = (error as Error).message.slice(0, 10_000);
        throw new Error(`seed ${seed}: ${message}\nfrom\n${printGraph(one.graph)}`, { cause: error });
      }
    }
  };
  test("has derivatives, before and after normal form", () => {
    each(40, { depth: 2 }, ({ graph, args }, seed) => {
      const rng = seededRng(seed);
      const { graph: backward, args: given } = checkDerivatives({ graph, args }, rng);
      const after = normal(backward);
      verifyGraph(after);
      expect(evalGraph(after, given)).toEqual(evalGraph(backward, given));
      checkDerivatives({ graph: normal(graph), args }, rng);
    });
  });
  test("has second derivatives", () => {
    each(25, { depth: 1 }, (one, seed) => {
      const rng = seededRng(seed);
      const { graph, args } = checkDerivatives(one, rng);
      checkDerivatives({ graph: normal(graph), args }, rng);
    });
  });
  test("is batched", () => {
    each(40, { depth: 2 }, ({ graph, args }, seed) => {
      const others = [1, 2].map((k) => randomRegions(seededRng(seed), { depth: 2 }).args.map((arg) => changed(arg, k)));
      checkBatching({ graph, args }, others, seededRng(seed));
    });
  });
});

/** Another argument of the same type. */
function changed(arg: HostTensor, k: number): HostTensor {
  const data = arg.data.slice();
  for (let i = 0; i < data.length; i++) data[i] = arg.dtype === "i32" ? (data[i]! + k) % 4 : data[i]! * (1 - 0.3 * k);
  return { ...arg, data };
}

/** `rounds` times h <- tanh(w * h + 0.01 * round), by while or by scan. */
function recurrence(form: "while" | "scan", length: number, maxIterations = 0): Graph {
  const b = new Builder("recurrence");
  const [w, h] = [b.param("arg", f64, "w"), b.param("arg", f64, "h")];
  const rounds = b.param("arg", i32, "rounds");
  const region = (name: string, types: readonly (typeof f64)[], make: (c: Builder, p: Value[]) => Value[]): Graph => {
    const c = new Builder(name);
    const params = types.map((type, i) => c.param("arg", type, `p${i}`));
    return c.finish(make(c, params).map(out));
  };
  const next = (c: Builder, w: Value, h: Value, i: Value): Value[] => [
    emit.add(c, i, c.scalar("i32", 1)),
    c.emit("tanh", [emit.add(c, emit.mul(c, w, h), emit.mul(c, emit.cast(c, i, "f64"), c.scalar("f64", 0.01)))]),
  ];
  const init = [b.scalar("i32", 0), h];
  const results =
    form === "scan"
      ? b.emitRegion("scan", { captures: [w], init }, { length, reverse: false }, [
          region("body", [f64, i32, f64], (c, [w, i, h]) => next(c, w!, h!, i!)),
        ])
      : b.emitRegion("while", { captures: [rounds, w], init }, { maxIterations }, [
          region("test", [i32, f64, i32, f64], (c, [rounds, , i]) => [emit.less(c, i!, rounds!)]),
          region("body", [i32, f64, i32, f64], (c, [, w, i, h]) => next(c, w!, h!, i!)),
        ]);
  return b.finish([out(results[1]!)]);
}

const gradientOf = (graph: Graph, rounds: number): readonly number[] => {
  const gradient = normal(gradGraph(graph, { wrt: [0, 1], of: 0, keepResults: true }));
  verifyGraph(gradient);
  const args = [hostScalar("f64", 0.9), hostScalar("f64", 0.5), hostScalar("i32", rounds)];
  return evalGraph(gradient, args).map((result) => Number(result.data[0]));
};

test("a loop has the gradient of the same rounds written out", () => {
  for (const rounds of [0, 1, 5, 40]) {
    const b = new Builder("unrolled");
    const [w, start] = [b.param("arg", f64, "w"), b.param("arg", f64, "h")];
    b.param("arg", i32, "rounds");
    let h = start;
    for (let i = 0; i < rounds; i++)
      h = b.emit("tanh", [emit.add(b, emit.mul(b, w, h), emit.mul(b, b.scalar("f64", i), b.scalar("f64", 0.01)))]);
    const expected = gradientOf(b.finish([out(h)]), rounds);
    for (const graph of [recurrence("scan", rounds), recurrence("while", 0), recurrence("while", 0, 40)])
      for (const [i, value] of gradientOf(graph, rounds).entries()) expect(value).toBeCloseTo(expected[i]!, 14);
  }
});

test("a while of any number of rounds has the gradient of the scan, bounded or not", () => {
  for (const rounds of [0, 1, 2, 31, 32, 33, 34, 64, 200, 561, 562, 1000]) {
    const expected = gradientOf(recurrence("scan", rounds), rounds);
    expect(gradientOf(recurrence("while", 0), rounds), `${rounds} rounds`).toEqual(expected);
    expect(gradientOf(recurrence("while", 0, rounds + 3), rounds), `${rounds} bounded`).toEqual(expected);
  }
});

/** How often the body of a loop runs: evaluations of its tanh. */
function runsOfBody(graph: Graph, rounds: number): number {
  let count = 0;
  const args = [hostScalar("f64", 0.9), hostScalar("f64", 0.5), hostScalar("i32", rounds)];
  evalGraph(graph, args, {
    trace: (node) => {
      if (node.op === "tanh") count++;
    },
  });
  return count;
}

/** The types of the results of the loops of a graph, at the top. */
function loopResults(graph: Graph): string[][] {
  return graph.nodes.filter((node) => node.regions.length > 0).map((node) => node.results.map((r) => typeText(r.type)));
}

describe("what a gradient costs", () => {
  const gradient = (graph: Graph): Graph => normal(gradGraph(graph, { wrt: [0, 1], of: 0, keepResults: false }));

  test("of a while without a bound: a constant number of carries, and a few runs of the body for each round", () => {
    const graph = gradient(recurrence("while", 0));
    const text = printGraph(graph);
    expect(text).toContain(`f64[${snapshotCount}]`);
    const most = [10, 30, 100, 500, 2000].map((rounds) => Math.ceil(runsOfBody(graph, rounds) / rounds));
    expect(most).toEqual([2, 2, 3, 3, 4]);
  });

  test("of a bounded while: what the way back reads of each round, and one more run", () => {
    const graph = gradient(recurrence("while", 0, 50));
    expect(loopResults(graph)).toEqual([
      ["i32[]", "f64[]", "i32[50]", "f64[50]"],
      ["i32[]", "f64[]", "f64[]"],
    ]);
    expect(runsOfBody(graph, 40)).toBe(80);
  });

  /** A recurrent network: h <- tanh(h W + x[t] U) for each row of xs. */
  function network(form: "scan" | "while"): Instance {
    const [steps, batch, inputs, hidden] = [4, 2, 16, 18];
    const matrix = (rows: number, columns: number) => tensorType("f64", [rows, columns]);
    const types = [matrix(hidden, hidden), matrix(inputs, hidden), matrix(batch, hidden)];
    const times = (c: Builder, x: Value, y: Value): Value => emit.dot(c, x, y, { batch: [], contract: [[1], [0]] });
    const cell = (c: Builder, [w, u, h, x]: readonly Value[]): Value =>
      c.emit("tanh", [emit.add(c, times(c, h!, w!), times(c, x!, u!))]);
    const b = new Builder("network");
    const [w, u, h] = types.map((type, i) => b.param("arg", type, "wuh"[i]!)) as [Value, Value, Value];
    const xs = b.param("arg", tensorType("f64", [steps, batch, inputs]), "xs");
    const c = new Builder("cell");
    let last: Value;
    if (form === "scan") {
      const params = [...types, matrix(batch, inputs)].map((type, i) => c.param("arg", type, `p${i}`));
      const body = c.finish([out(cell(c, params))]);
      const attrs = { length: steps, reverse: false };
      last = b.emitRegion("scan", { captures: [w, u], init: [h], xs: [xs] }, attrs, [body])[0]!;
    } else {
      const all = [types[0]!, types[1]!, typeOf(xs), i32, types[2]!];
      const [pw, pu, pxs, t, ph] = all.map((type, i) => c.param("arg", type, `p${i}`)) as Value[];
      const zero = c.scalar("i32", 0);
      const row = emit.dynamicSlice(c, pxs!, [t!, zero, zero], [1, batch, inputs]);
      const next = cell(c, [pw!, pu!, ph!, emit.reshape(c, row, [batch, inputs])]);
      const body = c.finish([out(emit.add(c, t!, c.scalar("i32", 1))), out(next)]);
      const d = new Builder("test");
      const given = all.map((type, i) => d.param("arg", type, `p${i}`));
      const test = d.finish([out(emit.less(d, given[3]!, d.scalar("i32", steps)))]);
      const groups = { captures: [w, u, xs], init: [b.scalar("i32", 0), h] };
      last = b.emitRegion("while", groups, { maxIterations: steps }, [test, body])[1]!;
    }
    const graph = b.finish([out(emit.reduceSum(b, last, [0, 1]))]);
    const rng = seededRng(7);
    return {
      graph,
      args: graph.params.map((param) => randomTensor(rng, { type: typeOf(param.value), lo: -0.4, hi: 0.4 })),
    };
  }

  test("of contractions: they are kept, not done again", () => {
    for (const form of ["scan", "while"] as const) {
      const one = network(form);
      const rng = seededRng(3);
      checkDerivatives(checkDerivatives(one, rng), rng);
      const back = normal(gradGraph(one.graph, { wrt: [0, 1], of: 0, keepResults: false }));
      const dots = back.nodes.map((node) => node.regions.at(-1)?.nodes.filter((inner) => inner.op === "dot").length);
      // Forward h W and x U; on the way back what reaches h, W and U.
      expect(dots.filter((count) => count !== undefined)).toEqual([2, 3]);
      // Kept is the result of tanh alone, and the carry.
      const [forward] = loopResults(back);
      expect(forward!.filter((type) => type.startsWith("f64[4,"))).toEqual(["f64[4,2,18]", "f64[4,2,18]"]);
    }
  });

  /** length times h <- h + rate * x[i], a carry that is only added to: its value does not matter to the way back. */
  test("of a carry that the way back does not read: nothing", () => {
    const c = new Builder("body");
    const [rate, h, x] = ["rate", "h", "x"].map((name) => c.param("arg", f64, name)) as [Value, Value, Value];
    const body = c.finish([out(emit.add(c, h, emit.mul(c, rate, c.emit("sin", [x])))), out(emit.mul(c, h, rate))]);
    const b = new Builder("sum");
    const [r, start] = [b.param("arg", f64, "rate"), b.param("arg", f64, "h")];
    const xs = b.param("arg", tensorType("f64", [20]), "xs");
    const attrs = { length: 20, reverse: false };
    const results = b.emitRegion("scan", { captures: [r], init: [start], xs: [xs] }, attrs, [body]);
    const graph = b.finish([out(results[0]!), out(emit.reduceSum(b, results[1]!, [0]))]);
    const linear = normal(gradGraph(graph, { wrt: [0, 1, 2], of: 0, keepResults: false }));
    expect(loopResults(linear)).toEqual([["f64[]", "f64[20]"]]);
    const product = normal(gradGraph(graph, { wrt: [0, 1, 2], of: 1, keepResults: false }));
    expect(loopResults(product)).toEqual([
      ["f64[]", "f64[20]"],
      ["f64[]", "f64[]", "f64[20]"],
    ]);
  });
});

test("loops over values of symbolic size have gradients", () => {
  const body = `graph @body(%w: f64[N], %i: i32[], %h: f64[N]) where N in [1,inf] {
    %0 = const {dtype=i32, shape=[], data=[1]} : i32[]
    %1 = add %i, %0 : i32[]
    %2 = mul %w, %h : f64[N]
    %3 = reduce %h {op=add, axes=[0]} : f64[]
    %4 = tanh %2 : f64[N]
    %5 = mul %4, %3 : f64[N]
    return %1, %5
  }`;
  for (const attrs of ["{maxIterations=4}", ""]) {
    const graph = parseGraph(`graph @f(%w: f64[N], %h: f64[N]) where N in [1,inf] {
      %0 = const {dtype=i32, shape=[], data=[0]} : i32[]
      %1, %2 = while captures(%w), init(%0, %h) ${attrs} : i32[], f64[N]
        graph @test(%w: f64[N], %i: i32[], %h: f64[N]) where N in [1,inf] {
          %0 = const {dtype=i32, shape=[], data=[3]} : i32[]
          %1 = lt %i, %0 : bool[]
          return %1
        }
        ${body}
      %3 = reduce %2 {op=add, axes=[0]} : f64[]
      return %3
    }`);
    const gradient = gradGraph(graph, { wrt: [0, 1], of: 0, keepResults: false });
    verifyGraph(normal(gradient));
    const vector = (...data: number[]): HostTensor => ({ dtype: "f64", shape: [3], data: new Float64Array(data) });
    const args = [vector(0.5, -0.4, 1), vector(0.3, 0.9, -0.2)];
    const [dw, dh] = evalGraph(normal(gradient), args).map((result) => [...result.data]);
    [dw!, dh!].forEach((gradients, p) => {
      gradients.forEach((value, i) => {
        const at = (step: number): number => {
          const moved = args.map((arg) => ({ ...arg, data: arg.data.slice() }));
          moved[p]!.data[i]! += step;
          return Number(evalGraph(graph, moved)[0]!.data[0]);
        };
        expect(value).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 8);
      });
    });
  }
});
