// Text of graphs: what prints parses back to the same text, for every op, random graphs and awkward numbers; and what
// does not parse says where.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { seededRng } from "../../../test/support/random.ts";
import { isSampled, randomGraph } from "../../../test/support/random-graph.ts";
import {
  allOps,
  Builder,
  type Graph,
  numberText,
  parseGraph,
  printGraph,
  printGraphWithData,
  sameData,
  type TypedArray,
  tensorType,
  verifyGraph,
} from "../src/index.ts";

function expectRoundTrip(graph: Graph): void {
  const { text, data } = printGraphWithData(graph);
  const back = parseGraph(text, { data });
  expect(printGraphWithData(back).text).toBe(text);
  verifyGraph(back);
}

describe("round trip", () => {
  for (const def of allOps.filter(isSampled))
    test(def.name, () => {
      const rng = seededRng(7);
      for (let i = 0; i < fuzzRuns(5); i++) {
        const sample = def.sample(rng);
        const b = new Builder(`sample_${def.name}`, { raw: true });
        const operands = sample.operands.map((o, k) => b.param("arg", o.type, `x${k}`));
        const results = b.emitAll(def.name, operands, sample.attrs);
        const graph = b.finish(results.map((value) => ({ kind: "out", value })));
        verifyGraph(graph);
        expectRoundTrip(graph);
      }
    });

  test("random graphs", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 15 }), (seed, size) => {
        expectRoundTrip(randomGraph(seededRng(seed), { size, regions: true }).graph);
      }),
      { numRuns: fuzzRuns(40) },
    );
  });

  test("floats keep their bits", () => {
    const bitsOf = (data: TypedArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const check = (data: TypedArray, dtype: "f32" | "f64"): void => {
      const b = new Builder("floats", { raw: true });
      const value = b.emit("const", [], { dtype, shape: [data.length], data });
      const graph = b.finish([{ kind: "out", value }]);
      const back = parseGraph(printGraph(graph)).nodes[0]!.attrs["data"] as TypedArray;
      expect([...bitsOf(back)]).toEqual([...bitsOf(data)]);
    };
    const words = fc.array(fc.nat(0xffffffff), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(words, (bits) => check(new Float32Array(Uint32Array.from(bits).buffer), "f32")),
      { numRuns: fuzzRuns(100) },
    );
    fc.assert(
      fc.property(words, (bits) =>
        check(new Float64Array(Uint32Array.from(bits).slice(0, bits.length & ~1).buffer), "f64"),
      ),
      { numRuns: fuzzRuns(100) },
    );
    check(Float32Array.of(0, -0, 1 / 0, -1 / 0, 0 / 0, 0.1, 1e-45, 3.4028234663852886e38), "f32");
  });

  test("large constants are named, with their contents beside the text", () => {
    const large = Float32Array.from({ length: 100 }, (_, i) => i / 7);
    const other = Float32Array.from({ length: 100 }, (_, i) => i / 9);
    const b = new Builder("large");
    const values = [large, other, large.slice()].map((data) =>
      b.emit("const", [], { dtype: "f32", shape: [100], data }),
    );
    expect(values[0]).toBe(values[2]);
    expect(values[0]).not.toBe(values[1]);
    const graph = b.finish(values.slice(0, 2).map((value) => ({ kind: "out", value })));
    const { text, data } = printGraphWithData(graph);
    expect(text).toMatch(/data=hash:[0-9a-f]{16}/);
    expect([...data.values()].some((d) => sameData(d, large))).toBe(true);
    expect(printGraph(parseGraph(text, { data }))).toBe(text);
    expect(() => parseGraph(text)).toThrow(/the contents of hash:[0-9a-f]{16} are not given/);
  });

  test("symbolic sizes", () => {
    const text = `graph @sizes(%x: f32[N,4], %y: f32[2*N+1,(N+3)div(4)], %z: f32[min(M,N)]) where M in [1,inf], N in [1,256] {
  return %x, %y, %z
}
`;
    expect(printGraph(parseGraph(text))).toBe(text);
  });

  test("source positions are comments", () => {
    const b = new Builder("located");
    const x = b.param("arg", tensorType("f32", [3]), "x");
    b.at({ file: "model.ts", line: 4, column: 7, name: "relu" });
    const y = b.emit("relu", [x]);
    b.at({ file: "model.ts", line: 9, column: 2 });
    expect(b.emit("relu", [x])).toBe(y);
    const graph = b.finish([{ kind: "out", value: y }]);
    const text = printGraph(graph, { locs: true });
    expect(text).toContain("  %0 = relu %x : f32[3]  # model.ts:4:7 relu; model.ts:9:2\n");
    expect(printGraph(parseGraph(text))).toBe(printGraph(graph));
  });
});

test("numbers print in the shortest form that reads back", () => {
  const f32 = (x: number): string => numberText(Math.fround(x), "f32");
  expect([0.1, -0, 1e-45, 16777217, 3.4e38, 1 / 3].map(f32)).toEqual([
    "0.1",
    "-0",
    "1e-45",
    "16777216",
    "3.4e+38",
    "0.33333334",
  ]);
  expect([0.1, 1 / 3, -1 / 0].map((x) => numberText(x))).toEqual(["0.1", "0.3333333333333333", "-inf"]);
});

describe("errors", () => {
  const errorOf = (text: string): string => {
    try {
      parseGraph(text);
      return "no error";
    } catch (error) {
      return (error as Error).message;
    }
  };

  test("point at the place with line and column", () => {
    expect(errorOf("graph @f(%x: f32[2]) {\n  %0 = add %x, %y : f32[2]\n  return %0\n}\n")).toBe(
      "2:16: %y is not defined\n    %0 = add %x, %y : f32[2]\n                 ^",
    );
    expect(errorOf("graph @f(%x: f32[2]) {\n  return %x\n")).toMatch(/^3:1: expected "}", found the end of the text/);
    expect(errorOf("graph @f(%x: f33[2]) {\n  return %x\n}")).toMatch(/^1:14: f33 is not a dtype/);
    expect(errorOf("graph @f() {\n  return ?\n}")).toMatch(/^2:10: unexpected "\?"/);
    expect(errorOf("graph @f() {\n  return\n} graph")).toMatch(/^3:3: expected the end of the text, found "graph"/);
  });
});
