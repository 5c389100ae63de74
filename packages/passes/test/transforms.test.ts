// What derivatives and batching promise beyond the rules of single ops: zeros, errors, state, calls, higher orders.
import {
  Builder,
  evalGraph,
  type Graph,
  type HostTensor,
  hostScalar,
  printGraph,
  tensorType,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { gradGraph, inlineCalls, jvpInto, simplify, vjpInto, vmapInto } from "../src/index.ts";

const f64 = tensorType("f64", []);
const vector = tensorType("f64", [3]);
const out = (value: Value) => ({ kind: "out", value }) as const;
const host = (...data: number[]): HostTensor => ({ dtype: "f64", shape: [data.length], data: new Float64Array(data) });

function build(make: (b: Builder) => Value): Graph {
  const b = new Builder("f");
  const value = make(b);
  return b.finish([out(value)]);
}

/** sum(exp(x) * y) of vectors x, y and an integer n that nothing uses. */
const sample = build((b) => {
  const [x, y] = [b.param("arg", vector, "x"), b.param("arg", vector, "y")];
  b.param("arg", tensorType("i32", []), "n");
  const product = b.emit("mul", [b.emit("exp", [x]), y]);
  return b.emit("reduce", [product], { op: "add", axes: [0] });
});

describe("gradients", () => {
  test("come in the order asked for, after the results that are kept", () => {
    const args = [host(0, 1, 2), host(3, 4, 5), hostScalar("i32", 7)];
    const [dy, dx] = evalGraph(gradGraph(sample, { wrt: [1, 0], of: 0, keepResults: false }), args);
    expect([...dy!.data]).toEqual([1, Math.exp(1), Math.exp(2)]);
    expect([...dx!.data]).toEqual([3, Math.exp(1) * 4, Math.exp(2) * 5]);
    expect(gradGraph(sample, { wrt: [0], of: 0, keepResults: true }).results).toHaveLength(2);
  });

  test("of a value used many times add up", () => {
    const cube = build((b) => {
      const x = b.param("arg", f64, "x");
      return b.emit("mul", [b.emit("mul", [x, x]), x]);
    });
    let graph = cube;
    for (const expected of [27, 18, 6, 0]) {
      graph = gradGraph(graph, { wrt: [0], of: 0, keepResults: false });
      verifyGraph(graph);
      expect(evalGraph(graph, [hostScalar("f64", 3)])[0]!.data[0]).toBe(expected);
    }
  });

  test("of an untaken side do not leak infinities", () => {
    const guarded = build((b) => {
      const x = b.param("arg", f64, "x");
      const zero = b.scalar("f64", 0);
      return b.emit("select", [b.emit("gt", [x, zero]), b.emit("log", [x]), zero]);
    });
    const graph = gradGraph(guarded, { wrt: [0], of: 0, keepResults: false });
    expect(evalGraph(graph, [hostScalar("f64", 4)])[0]!.data[0]).toBe(0.25);
    const relu = build((b) => b.emit("relu", [b.param("arg", vector, "x")]));
    const drelu = gradGraph(relu, { wrt: [0], of: 0, keepResults: false });
    const [dx] = evalGraph(drelu, [host(-1, 0, 2), host(Infinity, Number.NaN, Infinity)]);
    expect([...dx!.data]).toEqual([0, 0, Infinity]);
  });

  test("that nothing reaches are zeros, or an error that says where dependence ended", () => {
    const floored = build((b) => b.emit("floor", [b.param("arg", vector, "x")]));
    const graph = gradGraph(floored, { wrt: [0], of: 0, keepResults: false });
    expect([...evalGraph(graph, [host(1, 2, 3), host(1, 1, 1)])[0]!.data]).toEqual([0, 0, 0]);
    const stopped = build((b) => b.emit("stopGradient", [b.param("arg", vector, "x")]));
    expect(() => gradGraph(stopped, { wrt: [0], of: 0, keepResults: false, unused: "error" })).toThrow(
      "the gradient of f does not reach parameter x; dependence ends at stopGradient (stopGradient was asked for)",
    );
  });

  test("exist for float parameters and float results only", () => {
    expect(() => gradGraph(sample, { wrt: [2], of: 0, keepResults: false })).toThrow(
      "parameter n of f is i32[]: a gradient exists only for float parameters",
    );
    const compared = build((b) => b.emit("isNaN", [b.param("arg", f64, "x")]));
    expect(() => gradGraph(compared, { wrt: [0], of: 0, keepResults: false })).toThrow("result 0 of f is bool[]");
    expect(() => gradGraph(sample, { wrt: [0], of: 3, keepResults: false })).toThrow("result 3 of f does not exist");
  });

  test("check the types of arguments and cotangents", () => {
    const b = new Builder("g");
    const x = b.param("arg", f64, "x");
    expect(() => vjpInto(b, sample, [x], () => [null], [])).toThrow("3 parameters, 1 arguments given");
    expect(() => vjpInto(b, sample, [x, x, x], () => [null], [])).toThrow("argument x has type f64[] where f64[3]");
    const square = build((c) => c.emit("exp", [c.param("arg", f64, "x")]));
    expect(() => vjpInto(b, square, [x], () => [b.scalar("f32", 1)], [0])).toThrow("cotangent 0 of f has type f32[]");
    expect(() => vjpInto(b, square, [x], () => [], [0])).toThrow("0 cotangents for 1 results");
  });

  test("are differentiated through state, which is written once", () => {
    const b = new Builder("counted");
    const x = b.param("arg", f64, "x");
    const total = b.param("state", f64, "total");
    const next = b.emit("add", [total, b.emit("mul", [x, x])]);
    const graph = b.finish([out(b.emit("mul", [next, x])), { kind: "state", value: next, param: 1 }]);
    const gradient = gradGraph(graph, { wrt: [0], of: 0, keepResults: false });
    expect(gradient.results.map((result) => result.kind)).toEqual(["state", "out"]);
    // d (total + x^2) x = total + 3 x^2
    expect(evalGraph(gradient, [hostScalar("f64", 2), hostScalar("f64", 10)]).map((r) => r.data[0])).toEqual([14, 22]);
  });
});

describe("calls", () => {
  const nested = (): Graph => {
    const inner = build((b) => b.emit("exp", [b.param("arg", f64, "x")]));
    const middle = build((b) => b.emitRegion("call", { args: [b.param("arg", f64, "x")] }, {}, [inner])[0]!);
    return build((b) => b.emitRegion("call", { args: [b.param("arg", f64, "x")] }, {}, [middle])[0]!);
  };
  test("are inlined to any depth", () => {
    expect(inlineCalls(nested()).nodes.map((node) => node.op)).toEqual(["exp"]);
    expect(printGraph(simplify(nested()))).toContain("exp %x");
    expect(inlineCalls(sample)).toBe(sample);
  });
  test("are differentiated and batched like their bodies", () => {
    const graph = gradGraph(nested(), { wrt: [0], of: 0, keepResults: false });
    expect(evalGraph(graph, [hostScalar("f64", 1)])[0]!.data[0]).toBe(Math.E);
    const b = new Builder("mapped");
    const { results } = vmapInto(b, nested(), [b.param("arg", vector, "x")], [0], 3);
    expect([...evalGraph(b.finish(results.map(out)), [host(0, 1, 2)])[0]!.data]).toEqual([0, 1, 2].map(Math.exp));
  });
});

describe("jvp", () => {
  test("leaves out what is zero", () => {
    const b = new Builder("j");
    const [x, y, n] = [
      b.param("arg", vector, "x"),
      b.param("arg", vector, "y"),
      b.param("arg", tensorType("i32", []), "n"),
    ];
    expect(jvpInto(b, sample, [x, y, n], [null, null, null]).tangents).toEqual([null]);
    expect(jvpInto(b, sample, [x, y, n], [null, x, null]).tangents[0]).not.toBeNull();
    expect(() => jvpInto(b, sample, [x, y, n], [null, null, x])).toThrow("parameter n of f is not float");
  });
});

describe("vmap", () => {
  test("keeps results that no example changes as they are", () => {
    const b = new Builder("m");
    const made = vmapInto(
      b,
      sample,
      [b.param("arg", vector, "x"), b.param("arg", vector, "y"), b.param("arg", tensorType("i32", [2]), "n")],
      [null, null, 0],
      2,
    );
    expect(made.batched).toEqual([false]);
  });
  test("refuses to write a variable with a value of one example, and arguments that do not fit", () => {
    const b = new Builder("m");
    const counter = new Builder("counter");
    const x = counter.param("arg", f64, "x");
    counter.param("state", f64, "total");
    const graph = counter.finish([{ kind: "state", value: x, param: 1 }]);
    const [xs, total] = [b.param("arg", vector, "xs"), b.param("state", f64, "total")];
    expect(() => vmapInto(b, graph, [xs, total], [0, null], 3)).toThrow("variable total is written with a value");
    expect(() => vmapInto(b, graph, [xs, total], [0, null], 4)).toThrow("x has 3 examples where 4 are expected");
    expect(() => vmapInto(b, graph, [xs, total], [1, null], 3)).toThrow("axis 1 does not exist in f64[3]");
  });
});
