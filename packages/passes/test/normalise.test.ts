// Control flow in normal form: what is dropped, moved out and moved in, and that nothing else changes.
import { evalGraph, parseGraph, printGraph, verifyGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { seededRng } from "../../../test/support/random.ts";
import { checkRandomGraphs } from "../../../test/support/random-graph.ts";
import { normaliseRegions, simplify } from "../src/index.ts";
import { randomRegions } from "./support/random-regions.ts";

test("random control flow gives the same bits, and normal form is normal", () => {
  for (let seed = 1; seed <= fuzzRuns(200); seed++) {
    const { graph, args } = randomRegions(seededRng(seed), { depth: 3 });
    const expected = evalGraph(graph, args);
    for (const before of [graph, simplify(graph)]) {
      const after = normaliseRegions(before);
      try {
        verifyGraph(after);
        expect(evalGraph(after, args)).toEqual(expected);
        expect(printGraph(normaliseRegions(after))).toBe(printGraph(after));
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}\n${printGraph(before)}became\n${printGraph(after)}`);
      }
    }
  }
});

test("random graphs of all ops with control flow give the same bits", () => {
  checkRandomGraphs(
    ({ graph, args }) => {
      const before = simplify(graph);
      const after = normaliseRegions(before);
      verifyGraph(after);
      expect(evalGraph(after, args)).toEqual(evalGraph(before, args));
      expect(printGraph(normaliseRegions(after))).toBe(printGraph(after));
    },
    { runs: fuzzRuns(60), regions: true },
  );
});

/** The normal form of a graph that is written as text, as text. */
function normal(text: string): string[] {
  const graph = parseGraph(`graph @f${text.trim()}`);
  verifyGraph(graph);
  const after = normaliseRegions(simplify(graph));
  verifyGraph(after);
  const lines = printGraph(after).trimEnd().split("\n");
  return lines.map((line) => line.replace(/ : [^:()]*$/, "").replace("graph @", "@"));
}

describe("what is dropped", () => {
  test("a carry that comes back as it was, and what only such carries feed", () => {
    expect(
      normal(`(%x: f32[4], %w: f32[4], %n: i32[]) {
        %0 = const {dtype=i32, shape=[], data=[0]} : i32[]
        %1, %2, %3, %4 = while captures(%n), init(%0, %w, %x, %x) : i32[], f32[4], f32[4], f32[4]
          graph @test(%n: i32[], %i: i32[], %w: f32[4], %a: f32[4], %dead: f32[4]) {
            %0 = lt %i, %n : bool[]
            return %0
          }
          graph @body(%n: i32[], %i: i32[], %w: f32[4], %a: f32[4], %dead: f32[4]) {
            %0 = const {dtype=i32, shape=[], data=[1]} : i32[]
            %1 = add %i, %0 : i32[]
            %2 = mul %a, %w : f32[4]
            %3 = exp %dead : f32[4]
            return %1, %w, %2, %3
          }
        return %2, %3
      }`),
    ).toMatchInlineSnapshot(`
      [
        "@f(%x: f32[4], %w: f32[4], %n: i32[]) {",
        "  %0 = const {dtype=i32, shape=[], data=[0]}",
        "  %1, %2 = while captures(%n, %w), init(%0, %x)",
        "    @test(%n: i32[], %w: f32[4], %i: i32[], %a: f32[4]) {",
        "      %0 = lt %i, %n",
        "      return %0",
        "    }",
        "    @body(%n: i32[], %w: f32[4], %i: i32[], %a: f32[4]) {",
        "      %0 = const {dtype=i32, shape=[], data=[1]}",
        "      %1 = add %i, %0",
        "      %2 = mul %a, %w",
        "      return %1, %2",
        "    }",
        "  return %w, %2",
        "}",
      ]
    `);
  });

  test("carries that start equal and change alike, stacked inputs and the like", () => {
    expect(
      normal(`(%x: f32[], %xs: f32[5], %y: f32[3]) {
        %0 = broadcast %y {shape=[5,3], dims=[1]} : f32[5,3]
        %1, %2, %3, %4, %5, %6 = scan captures(%y), init(%x, %x), xs(%xs, %0) {length=5, reverse=false} : f32[], f32[], f32[5,3], f32[5], f32[5], f32[5]
          graph @body(%y: f32[3], %a: f32[], %b: f32[], %x: f32[], %row: f32[3]) {
            %0 = reduce %row {op=add, axes=[0]} : f32[]
            %1 = add %a, %x : f32[]
            %2 = add %b, %x : f32[]
            %3 = mul %1, %0 : f32[]
            %4 = mul %2, %0 : f32[]
            return %3, %4, %y, %x, %1, %2
          }
        return %1, %2, %3, %4, %5, %6
      }`),
    ).toMatchInlineSnapshot(`
      [
        "@f(%x: f32[], %xs: f32[5], %y: f32[3]) {",
        "  %0 = broadcast %y {shape=[5,3], dims=[1]}",
        "  %1 = reduce %y {op=add, axes=[0]}",
        "  %2, %3 = scan captures(%1), init(%x), xs(%xs) {length=5, reverse=false}",
        "    @body(%invariant: f32[], %a: f32[], %x: f32[]) {",
        "      %0 = add %a, %x",
        "      %1 = mul %0, %invariant",
        "      return %1, %0",
        "    }",
        "  return %2, %2, %0, %xs, %3, %3",
        "}",
      ]
    `);
  });

  test("what every branch of a cond returns", () => {
    expect(
      normal(`(%p: bool[], %x: f32[4], %y: f32[4]) {
        %0, %1, %2, %3 = cond index(%p), captures(%x, %y, %x) : f32[4], f32[4], f32[4], f32[4]
          graph @no(%x: f32[4], %y: f32[4], %z: f32[4]) {
            %0 = const {dtype=f32, shape=[], data=[0]} : f32[]
            %1 = broadcast %0 {shape=[4], dims=[]} : f32[4]
            %2 = sin %x : f32[4]
            return %x, %2, %1, %2
          }
          graph @yes(%x: f32[4], %y: f32[4], %z: f32[4]) {
            %0 = const {dtype=f32, shape=[], data=[0]} : f32[]
            %1 = broadcast %0 {shape=[4], dims=[]} : f32[4]
            %2 = exp %y : f32[4]
            return %z, %2, %1, %2
          }
        return %0, %1, %2, %3
      }`),
    ).toMatchInlineSnapshot(`
      [
        "@f(%p: bool[], %x: f32[4], %y: f32[4]) {",
        "  %0 = const {dtype=f32, shape=[], data=[0]}",
        "  %1 = broadcast %0 {shape=[4], dims=[]}",
        "  %2 = cond index(%p), captures(%x, %y)",
        "    @no(%x: f32[4], %y: f32[4]) {",
        "      %0 = sin %x",
        "      return %0",
        "    }",
        "    @yes(%x: f32[4], %y: f32[4]) {",
        "      %0 = exp %y",
        "      return %0",
        "    }",
        "  return %x, %2, %1, %2",
        "}",
      ]
    `);
  });

  test("control flow whose way is known", () => {
    expect(
      normal(`(%x: f32[4], %w: f32[1,4]) {
        %0 = const {dtype=i32, shape=[], data=[7]} : i32[]
        %1 = cond index(%0), captures(%x) : f32[4]
          graph @a(%x: f32[4]) {
            return %x
          }
          graph @b(%x: f32[4]) {
            %0 = exp %x : f32[4]
            return %0
          }
        %2, %3 = scan captures(), init(%1), xs(%w) {length=1, reverse=false} : f32[4], f32[1,4]
          graph @body(%a: f32[4], %row: f32[4]) {
            %0 = mul %a, %row : f32[4]
            return %0, %row
          }
        %4, %5 = while captures(%0), init(%0, %2) : i32[], f32[4]
          graph @test(%n: i32[], %i: i32[], %x: f32[4]) {
            %0 = lt %i, %n : bool[]
            return %0
          }
          graph @body(%n: i32[], %i: i32[], %x: f32[4]) {
            %0 = sin %x : f32[4]
            return %i, %0
          }
        return %5, %3
      }`),
    ).toMatchInlineSnapshot(`
      [
        "@f(%x: f32[4], %w: f32[1,4]) {",
        "  %0 = exp %x",
        "  %1 = reshape %w {shape=[4]}",
        "  %2 = mul %0, %1",
        "  return %2, %w",
        "}",
      ]
    `);
  });
});

describe("what moves", () => {
  const loop = (body: string, captures = "%A: f32[8,8], %v: f32[8], %s: f32[]"): string => {
    const names = captures.replace(/: [^%]*?(, |$)/g, "$1");
    return `(${captures}, %x: f32[8]) {
      %0 = scan captures(${names}), init(%x), xs() {length=9, reverse=false} : f32[8]
        graph @body(${captures}, %c: f32[8]) {
${body}
        }
      return %0
    }`;
  };

  test("a contraction and the elementwise work on it move out, as one value", () => {
    expect(
      normal(
        loop(`%0 = dot %A, %v {batch=[], contract=[[1],[0]]} : f32[8]
          %1 = exp %0 : f32[8]
          %2 = mul %1, %v : f32[8]
          %3 = add %c, %2 : f32[8]
          return %3`),
      ),
    ).toMatchInlineSnapshot(`
      [
        "@f(%A: f32[8,8], %v: f32[8], %s: f32[], %x: f32[8]) {",
        "  %0 = dot %A, %v {batch=[], contract=[[1],[0]]}",
        "  %1 = exp %0",
        "  %2 = mul %1, %v",
        "  %3 = scan captures(%2), init(%x), xs() {length=9, reverse=false}",
        "    @body(%invariant: f32[8], %c: f32[8]) {",
        "      %0 = add %c, %invariant",
        "      return %0",
        "    }",
        "  return %3",
        "}",
      ]
    `);
  });

  test("below a broadcast, not the broadcast; and nothing cheap that is larger than what it reads", () => {
    expect(
      normal(
        loop(
          `%0 = mul %s, %s : f32[]
          %1 = broadcast %0 {shape=[8], dims=[]} : f32[8]
          %2 = add %c, %1 : f32[8]
          %3 = broadcast %v {shape=[8,8], dims=[0]} : f32[8,8]
          %4 = broadcast %w {shape=[8,8], dims=[1]} : f32[8,8]
          %5 = add %3, %4 : f32[8,8]
          %6 = broadcast %2 {shape=[8,8], dims=[0]} : f32[8,8]
          %7 = mul %5, %6 : f32[8,8]
          %8 = reduce %7 {op=add, axes=[1]} : f32[8]
          return %8`,
          "%w: f32[8], %v: f32[8], %s: f32[]",
        ),
      ),
    ).toMatchInlineSnapshot(`
      [
        "@f(%w: f32[8], %v: f32[8], %s: f32[], %x: f32[8]) {",
        "  %0 = mul %s, %s",
        "  %1 = scan captures(%w, %v, %0), init(%x), xs() {length=9, reverse=false}",
        "    @body(%w: f32[8], %v: f32[8], %invariant: f32[], %c: f32[8]) {",
        "      %0 = add %c, %invariant",
        "      %1 = broadcast %v {shape=[8,8], dims=[0]}",
        "      %2 = broadcast %w {shape=[8,8], dims=[1]}",
        "      %3 = add %1, %2",
        "      %4 = broadcast %0 {shape=[8,8], dims=[0]}",
        "      %5 = mul %3, %4",
        "      %6 = reduce %5 {op=add, axes=[1]}",
        "      return %6",
        "    }",
        "  return %1",
        "}",
      ]
    `);
  });

  test("not where the loop reads the source at each round anyway and the work is cheap", () => {
    const body = (op: string): string =>
      loop(
        `%0 = ${op} %v : f32[32]
          %1 = mul %0, %v : f32[32]
          %2 = mul %1, %c : f32[32]
          %3 = add %2, %v : f32[32]
          return %3`,
        "%v: f32[8]",
      ).replaceAll("f32[8]", "f32[32]");
    expect(normal(body("neg")).join()).not.toContain("invariant");
    expect(normal(body("exp")).join()).toContain("invariant");
  });

  test("out of all loops around it, but not out of a while that may not run where it may not end", () => {
    const nested = (outer: (body: string) => string): string[] =>
      normal(
        outer(`%0 = const {dtype=f32, shape=[], data=[1]} : f32[]
              %1 = while captures(%0), init(%s) : f32[]
                graph @test(%one: f32[], %s: f32[]) {
                  %0 = gt %s, %one : bool[]
                  return %0
                }
                graph @body(%one: f32[], %s: f32[]) {
                  %0 = sin %s : f32[]
                  return %0
                }
              %2 = scan captures(%A, %v, %1), init(%c), xs() {length=3, reverse=false} : f32[8]
                graph @body(%A: f32[8,8], %v: f32[8], %s: f32[], %c: f32[8]) {
                  %0 = dot %A, %v {batch=[], contract=[[1],[0]]} : f32[8]
                  %1 = mul %0, %s : f32[8]
                  %2 = add %c, %1 : f32[8]
                  return %2
                }
              return %2`),
      );
    expect(nested(loop)).toMatchInlineSnapshot(`
      [
        "@f(%A: f32[8,8], %v: f32[8], %s: f32[], %x: f32[8]) {",
        "  %0 = while captures(), init(%s)",
        "    @test(%s: f32[]) {",
        "      %0 = const {dtype=f32, shape=[], data=[1]}",
        "      %1 = gt %s, %0",
        "      return %1",
        "    }",
        "    @body(%s: f32[]) {",
        "      %0 = sin %s",
        "      return %0",
        "    }",
        "  %1 = dot %A, %v {batch=[], contract=[[1],[0]]}",
        "  %2 = mul %1, %0",
        "  %3 = scan captures(%2), init(%x), xs() {length=9, reverse=false}",
        "    @body(%invariant_1: f32[8], %c: f32[8]) {",
        "      %0 = scan captures(%invariant_1), init(%c), xs() {length=3, reverse=false}",
        "        @body(%invariant: f32[8], %c: f32[8]) {",
        "          %0 = add %c, %invariant",
        "          return %0",
        "        }",
        "      return %0",
        "    }",
        "  return %3",
        "}",
      ]
    `);
    const asWhile = nested((body) =>
      loop(body)
        .replace(", xs() {length=9, reverse=false}", "")
        .replace("scan captures", "while captures")
        .replace(
          "graph @body",
          `graph @test(%A: f32[8,8], %v: f32[8], %s: f32[], %c: f32[8]) {
            %0 = reduce %c {op=add, axes=[0]} : f32[]
            %1 = lt %0, %s : bool[]
            return %1
          }
          graph @body`,
        ),
    );
    expect(asWhile.filter((line) => /^ {2}%/.test(line))).toMatchInlineSnapshot(`
      [
        "  %0 = dot %A, %v {batch=[], contract=[[1],[0]]}",
        "  %1 = while captures(%s, %0), init(%x)",
      ]
    `);
  });

  test("into regions: constants, positions and index maps of what is not larger", () => {
    expect(
      normal(`(%p: bool[], %x: f32[4], %big: f32[100]) {
        %0 = const {dtype=f32, shape=[], data=[2]} : f32[]
        %1 = broadcast %x {shape=[3,4], dims=[1]} : f32[3,4]
        %2 = transpose %1 {perm=[1,0]} : f32[4,3]
        %3 = exp %big : f32[100]
        %4 = slice %3 {start=[0], limit=[12], step=[1]} : f32[12]
        %5 = slice %big {start=[0], limit=[12], step=[1]} : f32[12]
        %6 = iota {dtype=f32, shape=[12], axis=0} : f32[12]
        %7 = cond index(%p), captures(%0, %2, %4, %5, %6) : f32[12]
          graph @no(%s: f32[], %t: f32[4,3], %a: f32[12], %b: f32[12], %i: f32[12]) {
            %0 = reshape %t {shape=[12]} : f32[12]
            %1 = mul %0, %s : f32[12]
            return %1
          }
          graph @yes(%s: f32[], %t: f32[4,3], %a: f32[12], %b: f32[12], %i: f32[12]) {
            %0 = mul %a, %b : f32[12]
            %1 = add %0, %i : f32[12]
            return %1
          }
        return %7
      }`),
    ).toMatchInlineSnapshot(`
      [
        "@f(%p: bool[], %x: f32[4], %big: f32[100]) {",
        "  %0 = exp %big",
        "  %1 = slice %0 {start=[0], limit=[12], step=[1]}",
        "  %2 = cond index(%p), captures(%x, %1, %big)",
        "    @no(%t: f32[4], %a: f32[12], %b: f32[100]) {",
        "      %0 = const {dtype=f32, shape=[], data=[2]}",
        "      %1 = broadcast %t {shape=[3,4], dims=[1]}",
        "      %2 = transpose %1 {perm=[1,0]}",
        "      %3 = reshape %2 {shape=[12]}",
        "      %4 = mul %3, %0",
        "      return %4",
        "    }",
        "    @yes(%t: f32[4], %a: f32[12], %b: f32[100]) {",
        "      %0 = slice %b {start=[0], limit=[12], step=[1]}",
        "      %1 = iota {dtype=f32, shape=[12], axis=0}",
        "      %2 = mul %a, %0",
        "      %3 = add %2, %1",
        "      return %3",
        "    }",
        "  return %2",
        "}",
      ]
    `);
  });
});
