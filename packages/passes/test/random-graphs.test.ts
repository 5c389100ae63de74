// Derivatives and batching of random graphs: what single ops cannot show, such as cotangents that meet, dead branches,
// and rules that fold into each other.
import { type Graph, isFloat, type OpDef, parseGraph, printGraph, typeOf } from "@sinter/ir";
import { test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { randomTensor, seededRng } from "../../../test/support/random.ts";
import { checkRandomGraphs, type GraphCase } from "../../../test/support/random-graph.ts";
import { simplify } from "../src/index.ts";
import { checkBatching, checkDerivatives } from "./support/check.ts";

/** Ops with a kink or a jump, which computed values may hit exactly. */
const rough = "abs sign relu floor ceil trunc round max min rem pow reduce cumulate scatter sort select".split(" ");

const smooth = (op: OpDef): boolean => op.derivative.kind !== "none" && !rough.includes(op.name);

/** The same graph with f64 in place of f32, so that finite differences have digits. */
function inDouble(graph: Graph): Graph {
  return parseGraph(printGraph(graph).replaceAll("f32", "f64"));
}

function doubleCase({ graph, args }: GraphCase): GraphCase {
  return {
    graph: inDouble(graph),
    args: args.map((arg) => (arg.dtype === "f32" ? { ...arg, dtype: "f64", data: new Float64Array(arg.data) } : arg)),
  };
}

test("derivatives of random graphs", () => {
  checkRandomGraphs(
    (one, rng) => {
      const instance = doubleCase(one);
      if (!instance.graph.params.some((param) => isFloat(typeOf(param.value).dtype))) return;
      checkDerivatives(instance, rng, { wildBeyond: 1e3 });
    },
    { runs: fuzzRuns(60), accept: smooth },
  );
});

test("derivatives of random graphs do not depend on simplification", () => {
  checkRandomGraphs(
    (one, rng) => {
      const { graph, args } = doubleCase(one);
      if (!graph.params.some((param) => isFloat(typeOf(param.value).dtype))) return;
      checkDerivatives({ graph: simplify(graph), args }, rng, { wildBeyond: 1e3 });
    },
    { runs: fuzzRuns(20), accept: smooth, seed: 1000 },
  );
});

test("random graphs under vmap", () => {
  checkRandomGraphs(
    ({ graph, args }) => {
      // A state must not be written per example: here every result is an ordinary one.
      const pure: Graph = { ...graph, results: graph.results.map(({ value }) => ({ kind: "out", value })) };
      if (args.length === 0) return;
      const rng = seededRng(args.length);
      const example = () =>
        args.map((arg) =>
          randomTensor(rng, { type: { kind: "tensor", dtype: arg.dtype, shape: arg.shape }, ...rangeOf(arg.data) }),
        );
      checkBatching({ graph: pure, args }, [example(), example()], rng);
    },
    // A power whose exponent is known becomes products, which batching can make or undo: another last digit.
    { runs: fuzzRuns(40), seed: 2000, accept: (op) => op.name !== "pow" },
  );
});

function rangeOf(data: Iterable<number>): { readonly lo: number; readonly hi: number } {
  let [lo, hi] = [0, 0];
  for (const x of data) [lo, hi] = [Math.min(lo, x), Math.max(hi, x)];
  return { lo, hi };
}
