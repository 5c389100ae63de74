// The builder: merging, folding, dead code, effects, names; and rebuilding graphs with it.
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { resultsDifference, type Tolerance } from "../../../test/support/random.ts";
import { checkRandomGraphs, type GraphCase } from "../../../test/support/random-graph.ts";
import {
  Builder,
  evalGraph,
  hostScalar,
  inlineGraph,
  type OpDef,
  parseGraph,
  printGraph,
  rebuild,
  symIndex,
  tensorType,
  verifyGraph,
} from "../src/index.ts";

const f32 = (...shape: number[]) => tensorType("f32", shape);

describe("builder", () => {
  test("equal nodes are one node, whatever the order of commutative operands", () => {
    const b = new Builder("f");
    const [x, y] = [b.param("arg", f32(3), "x"), b.param("arg", f32(3), "y")];
    expect(b.emit("add", [x, y])).toBe(b.emit("add", [y, x]));
    expect(b.emit("sub", [x, y])).not.toBe(b.emit("sub", [y, x]));
    expect(b.emit("cast", [x], { dtype: "f64" })).not.toBe(b.emit("cast", [x], { dtype: "i32" }));
    expect(b.scalar("f32", 0)).not.toBe(b.scalar("f32", -0));
  });

  test("constants fold up to 64 elements, and equal elements become a broadcast", () => {
    const b = new Builder("f");
    const row = b.emit("const", [], { dtype: "f32", shape: [2], data: Float32Array.of(1, 3) });
    const sum = b.emit("add", [row, b.scalar("f32", 0.5)]);
    expect(b.constantOf(sum)).toEqual({ dtype: "f32", shape: [2], data: Float32Array.of(1.5, 3.5) });
    const same = b.emit("sub", [row, row]);
    expect(b.definition(same)?.op).toBe("broadcast");
    expect(b.constantOf(same)?.data).toEqual(Float32Array.of(0, 0));
    const big = b.emit("const", [], {
      dtype: "f32",
      shape: [65],
      data: Float32Array.from({ length: 65 }, (_, i) => i),
    });
    expect(b.definition(b.emit("exp", [big]))?.op).toBe("exp");
  });

  test("unused nodes go, unused parameters stay in order, ids are dense", () => {
    const b = new Builder("f");
    const x = b.param("arg", f32(3), "x");
    b.emit("exp", [x]);
    const y = b.param("state", f32(3), "y");
    const z = b.emit("mul", [x, x]);
    b.param("const", f32(), "c");
    const graph = b.finish([{ kind: "state", value: z, param: 1 }]);
    verifyGraph(graph);
    expect(printGraph(graph)).toBe(
      "graph @f(%x: f32[3], %y: state f32[3], %c: const f32[]) {\n  %0 = mul %x, %x : f32[3]\n  return state[1] %0\n}\n",
    );
    expect(graph.nodes[0]!.results[0]!.id).toBe(3);
    expect(y.id).toBe(2);
  });

  test("parameter names become distinct identifiers", () => {
    const b = new Builder("step fn");
    for (const name of ["w", "w", "layers[0].w", "", "0"]) b.param("arg", f32(), name);
    const graph = b.finish([]);
    verifyGraph(graph);
    expect(graph.params.map((p) => p.name)).toEqual(["w", "w_1", "layers_0_.w", "p", "p0"]);
    expect(graph.name).toBe("step_fn");
  });

  test("values of another graph are refused", () => {
    const x = new Builder("f").param("arg", f32(3), "x");
    const b = new Builder("g");
    b.param("arg", f32(3), "y");
    expect(() => b.emit("exp", [x])).toThrow("operand 0 of exp is not a value of graph g");
    expect(() => b.finish([{ kind: "out", value: x }])).toThrow("a result of graph g is not one of its values");
  });

  test("one symbolic size has one pair of bounds", () => {
    const b = new Builder("f");
    b.param("arg", tensorType("f32", [symIndex({ name: "N", lo: 1, hi: 8 })]), "x");
    expect(() => b.param("arg", tensorType("f32", [symIndex({ name: "N", lo: 1, hi: 9 })]), "y")).toThrow(
      "symbolic size N is in [1, 8] in one type and in [1, 9] in another",
    );
  });
});

describe("rebuild", () => {
  const expectSameResults =
    (tolerance: Tolerance) =>
    ({ graph, args }: GraphCase): void => {
      verifyGraph(graph);
      const simple = rebuild(graph);
      verifyGraph(simple);
      const difference = resultsDifference(evalGraph(simple, args), evalGraph(graph, args), tolerance);
      if (difference !== undefined) throw new Error(`${difference}\nsimplified:\n${printGraph(simple)}`);
    };

  test("a random graph of exact ops keeps its results bit for bit", () => {
    const accept = (def: OpDef): boolean => def.nest.kind === "map" && def.ulp === 0;
    checkRandomGraphs(expectSameResults({}), { runs: fuzzRuns(100), accept });
  });

  test("a random graph keeps its results", () => {
    // Folds of reductions may reassociate, and those of inexact ops stay within the op's accuracy.
    checkRandomGraphs(expectSameResults({ relative: 1e-4, absolute: 1e-4 }), { runs: fuzzRuns(50), seed: 100_000 });
  });

  test("a random graph with branches and loops keeps its results", () => {
    const loose = { relative: 1e-4, absolute: 1e-4 };
    checkRandomGraphs(expectSameResults(loose), { runs: fuzzRuns(50), seed: 200_000, regions: true });
  });

  test("rebuilding twice changes nothing more", () => {
    checkRandomGraphs(
      ({ graph }) => {
        const once = rebuild(graph);
        expect(printGraph(rebuild(once))).toBe(printGraph(once));
      },
      { runs: fuzzRuns(60), seed: 1000 },
    );
  });

  test("a visitor replaces nodes", () => {
    const graph = parseGraph("graph @f(%x: f32[2]) {\n  %0 = exp %x : f32[2]\n  %1 = neg %0 : f32[2]\n  return %1\n}");
    const replaced = rebuild(graph, (node, b, operands) => (node.op === "exp" ? [b.emit("abs", operands)] : undefined));
    expect(replaced.nodes.map((n) => n.op)).toEqual(["abs", "neg"]);
  });

  test("inlining puts a graph's nodes into another", () => {
    const square = parseGraph("graph @square(%x: f32[]) {\n  %0 = mul %x, %x : f32[]\n  return %0\n}");
    const b = new Builder("f");
    const x = b.param("arg", f32(), "x");
    const [y] = inlineGraph(b, square, [x]);
    const [z] = inlineGraph(b, square, [y!]);
    expect(evalGraph(b.finish([{ kind: "out", value: z! }]), [hostScalar("f32", 3)])[0]!.data[0]).toBe(81);
  });
});
