// Kernels say which nodes of the lowered graph they do the work of, whatever was inlined, merged or duplicated.
import {
  expressionScope,
  type Graph,
  getOp,
  locsAt,
  type NodePath,
  nodeAt,
  parseGraph,
  pathText,
  printNests,
  visitNodes,
  visitSteps,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { seededRng } from "../../../test/support/random.ts";
import { findElementLoops, lower, normaliseRegions, simplify } from "../src/index.ts";
import { randomRegions } from "./support/random-regions.ts";

/** The nodes of each kernel as `path op`; kernels without their numbers. */
function kernelsOf(graph: Graph): (readonly [string, readonly string[]])[] {
  const out: (readonly [string, readonly string[]])[] = [];
  expressionScope(() =>
    visitSteps(lower(graph).steps, (step) => {
      if (step.kind !== "kernel") return;
      const nodes = step.nodes.map((path) => `${pathText(path)} ${nodeAt(graph, path).op}`);
      out.push([step.kernel.name.replace(/^k[0-9.]*_/, ""), nodes]);
    }),
  );
  return out;
}

const graphs = {
  epilogue: `graph @epilogue(%x: f32[64,64], %w: f32[64,64], %b: f32[64]) {
  %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[64,64]
  %1 = broadcast %b {shape=[64,64], dims=[1]} : f32[64,64]
  %2 = add %0, %1 : f32[64,64]
  return %2
}
`,
  duplicated: `graph @duplicated(%x: f32[64,64], %y: f32[32]) {
  %0 = neg %x : f32[64,64]
  %1 = slice %0 {start=[0,0], limit=[1,32], step=[1,1]} : f32[1,32]
  %2 = reshape %1 {shape=[32]} : f32[32]
  %3 = mul %2, %y : f32[32]
  %4 = cumulate %0 {op=add, axis=1, reverse=false, exclusive=false} : f32[64,64]
  return %3, %4
}
`,
  nested: `graph @nested(%w: f32[512], %go: bool[]) {
  %0 = exp %w : f32[512]
  %1 = scan captures(%0, %go), init(%w), xs() {length=10, reverse=false} : f32[512]
    graph @body(%e: f32[512], %go: bool[], %c: f32[512]) {
      %0 = mul %c, %e : f32[512]
      %1 = cond index(%go), captures(%0) : f32[512]
        graph @no(%a: f32[512]) {
          %0 = neg %a : f32[512]
          return %0
        }
        graph @yes(%a: f32[512]) {
          %0 = reduce %a {op=add, axes=[0]} : f32[]
          %1 = mul %a, %0 : f32[512]
          return %1
        }
      return %1
    }
  return %1
}
`,
  called: `graph @called(%x: f32[512]) {
  %0 = sin %x : f32[512]
  %1 = call args(%0) : f32[512]
    graph @inner(%a: f32[512]) {
      %0 = cos %a : f32[512]
      return %0
    }
  return %1
}
`,
  escape: `graph @escape(%x: f32[500]) {
  %0 = while captures(), init(%x) {maxIterations=60} : f32[500]
    graph @test(%c: f32[500]) {
      %0 = mul %c, %c : f32[500]
      %1 = const {dtype=f32, shape=[], data=[4]} : f32[]
      %2 = lt %0, %1 : bool[500]
      %3 = reduce %2 {op=or, axes=[0]} : bool[]
      return %3
    }
    graph @body(%c: f32[500]) {
      %0 = mul %c, %c : f32[500]
      %1 = add %c, %c : f32[500]
      %2 = const {dtype=f32, shape=[], data=[4]} : f32[]
      %3 = lt %0, %2 : bool[500]
      %4 = select %3, %1, %c : f32[500]
      return %4
    }
  return %0
}
`,
} as const;

const parse = (name: keyof typeof graphs): Graph => parseGraph(graphs[name], { file: `${name}.ir` });

describe("nodes of kernels", () => {
  test("an epilogue and what is read through maps", () => {
    expect(kernelsOf(parse("epilogue"))).toEqual([["dot_add", ["0 dot", "1 broadcast", "2 add"]]]);
  });

  test("producers that several kernels compute again", () => {
    expect(kernelsOf(parse("duplicated"))).toEqual([
      ["mul", ["0 neg", "1 slice", "2 reshape", "3 mul"]],
      ["cumulate", ["0 neg", "4 cumulate"]],
    ]);
  });

  test("bodies of loops and branches", () => {
    expect(kernelsOf(parse("nested"))).toEqual([
      ["exp", ["0 exp"]],
      ["mul", ["1.0.0 mul"]],
      ["neg", ["1.0.1.0.0 neg"]],
      ["reduce_mul", ["1.0.1.1.0 reduce", "1.0.1.1.1 mul"]],
    ]);
  });

  test("functions that are inlined", () => {
    expect(kernelsOf(parse("called"))).toEqual([["cos", ["0 sin", "1.0.0 cos"]]]);
  });

  test("loops of elements, with what is in them", () => {
    const loop = findElementLoops(normaliseRegions(simplify(parse("escape"))));
    const [kernel] = kernelsOf(loop);
    expect(kernel![0]).toBe("elementLoop");
    expect(kernel![1]).toEqual(expect.arrayContaining(["0 elementLoop", "0.0.0 mul", "0.1.0 add"]));
    const lineOf = (path: NodePath): number => locsAt(loop, path)[0]!.line;
    expect([lineOf([0]), lineOf([0, 0, 0]), lineOf([0, 1, 0])]).toEqual([2, 4, 12]);
  });

  test("are no part of the text", () => {
    const [marked, bare] = [parse("nested"), parseGraph(graphs.nested)];
    expect(expressionScope(() => printNests(lower(marked)))).toBe(expressionScope(() => printNests(lower(bare))));
  });

  test("every node that costs something is in a kernel", () => {
    let seen = 0;
    for (let seed = 0; seed < fuzzRuns(30); seed++) {
      const graph = normaliseRegions(simplify(randomRegions(seededRng(900 + seed)).graph));
      const inKernels = new Set(kernelsOf(graph).flatMap(([, nodes]) => nodes));
      visitNodes(graph, (node, path) => {
        const plain = getOp(node.op).nest.kind !== "control" && node.operands.length > 0;
        if (!plain || movesOnly(node.op)) return;
        seen++;
        expect(inKernels, `${pathText(path)} of seed ${seed}`).toContain(`${pathText(path)} ${node.op}`);
      });
    }
    expect(seen).toBeGreaterThan(100);
  });
});

/** Ops without arithmetic: what they move may turn out to be where it is wanted. */
function movesOnly(op: string): boolean {
  return ["broadcast", "reshape", "transpose", "slice", "pad", "reverse", "concat", "stopGradient"].includes(op);
}

describe("paths", () => {
  const graph = parse("nested");

  test("lead to nodes and to where these were written", () => {
    expect(nodeAt(graph, [1, 0, 1, 1, 0]).op).toBe("reduce");
    expect(locsAt(graph, [1, 0, 1, 1, 0])).toEqual([{ file: "nested.ir", line: 12, column: 11 }]);
  });

  test("without positions, to those of the op around", () => {
    const { debug, ...body } = graph.nodes[1]!.regions[0]!;
    const bare: Graph = { ...body, debug: { locs: debug.locs.map(() => []) } };
    const nodes = graph.nodes.map((node, i) => (i === 1 ? { ...node, regions: [bare] } : node));
    expect(locsAt({ ...graph, nodes }, [1, 0, 0])).toEqual(locsAt(graph, [1]));
  });

  test("that lead nowhere are errors", () => {
    for (const path of [[], [2], [1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1, 2, 0], [-1], [0.5]])
      expect(() => nodeAt(graph, path), path.join()).toThrow(RangeError);
    expect(() => locsAt(graph, [1, 1, 0])).toThrow('graph nested has no node at "1.1.0"');
  });
});
