// Branches and loops compiled into one program: values against the reference evaluator in every form, and what each round
// costs in kernels, copies and memory.
import { verifyGraph } from "@sinter/ir";
import { test } from "vitest";
import { checkForms } from "./support/check-forms.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { isExact } from "./support/op-kinds.ts";
import { checkRandomGraphs } from "./support/random-graph.ts";
import { checkRandomRegions } from "./support/random-regions.ts";

test("random graphs with calls, branches and loops", () => {
  checkRandomGraphs(
    ({ graph, args }) => {
      verifyGraph(graph);
      checkForms(graph, args);
    },
    { runs: fuzzRuns(40), accept: isExact, exact: true, regions: true },
  );
});

test("random branches and loops inside each other", () => {
  checkRandomRegions(
    ({ graph, args }) => {
      verifyGraph(graph);
      checkForms(graph, args);
    },
    { runs: fuzzRuns(100, 3000) },
  );
});
