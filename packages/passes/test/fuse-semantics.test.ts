// Nest programs compute what their graphs compute: random graphs, fused and unfused, with states in place and apart.
import { evalGraph, evalNests, expressionScope, type HostTensor, printNests, verifyNests } from "@sinter/ir";
import { describe, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { isExact, isSmooth } from "../../../test/support/op-kinds.ts";
import { resultsDifference } from "../../../test/support/random.ts";
import { checkRandomGraphs, type GraphCase } from "../../../test/support/random-graph.ts";
import { lower } from "../src/index.ts";

// Sums are taken in another order: what cancels afterwards is only as near as what it came from.
const tolerance = { ulp: 8, relative: 1e-4, absolute: 2e-5 };

function checkNests({ graph, args }: GraphCase, fuse: boolean): void {
  const expected = evalGraph(graph, args);
  expressionScope(() => {
    const program = lower(graph, { fuse });
    try {
      verifyNests(program);
      for (const statesInPlace of [false, true]) {
        const found = evalNests(
          program,
          args.map((a) => a.data),
          { statesInPlace },
        );
        const actual = expected.map((e, i): HostTensor => ({ ...e, data: found[i]! }));
        const difference = resultsDifference(actual, expected, tolerance);
        if (difference !== undefined) throw new Error(`${difference}${statesInPlace ? " (states in place)" : ""}`);
      }
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${printNests(program)}`, { cause: error });
    }
  });
}

describe("nests agree with the reference evaluator", () => {
  for (const fuse of [false, true]) {
    const how = fuse ? "fused" : "one kernel per op";
    test(`${how}, where every op is exact`, () => {
      const options = { runs: fuzzRuns(40), seed: 5000, accept: isExact, exact: true };
      checkRandomGraphs((one) => checkNests(one, fuse), options);
    });
    test(`${how}, nearly`, () => {
      checkRandomGraphs((one) => checkNests(one, fuse), { runs: fuzzRuns(40), seed: 6000, accept: isSmooth });
    });
  }
  test("fused, larger graphs", () => {
    const options = { runs: fuzzRuns(10), seed: 7000, size: 30, simplify: true, accept: isSmooth };
    checkRandomGraphs((one) => checkNests(one, true), options);
  });
});
