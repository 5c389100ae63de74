// Random control flow and its gradients, in normal form and compiled, against the reference evaluator.
import { printGraph } from "@sinter/ir";
import { normaliseRegions, simplify } from "@sinter/passes";
import { test } from "vitest";
import { vjpGraph } from "../packages/passes/test/support/check.ts";
import { randomRegions } from "../packages/passes/test/support/random-regions.ts";
import { randomLike } from "../packages/passes/test/support/sampled.ts";
import { checkForms } from "./support/check-forms.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { seededRng } from "./support/random.ts";

// Elementary functions differ in the last place, and what is chaotic makes more of it.
const options = {
  tolerance: { relative: 1e-7, absolute: 1e-9 },
  forms: [{ fuse: true, generic: false }],
  interpretUpTo: 0,
};

test("random control flow and its gradients, compiled", () => {
  for (let seed = 1; seed <= fuzzRuns(20); seed++) {
    const rng = seededRng(seed);
    const { graph, args } = randomRegions(rng, { depth: 2 });
    const gradient = vjpGraph(graph);
    const cotangents = gradient.params.slice(graph.params.length).map((param) => {
      if (param.value.type.kind !== "tensor") throw new Error("a cotangent is a tensor");
      return randomLike(param.value.type, rng);
    });
    try {
      checkForms(normaliseRegions(simplify(graph)), args, options);
      checkForms(normaliseRegions(simplify(gradient)), [...args, ...cotangents], options);
    } catch (error) {
      const message = (error as Error).message.slice(0, 4000);
      throw new Error(`seed ${seed}: ${message}\nfrom\n${printGraph(graph)}`, { cause: error });
    }
  }
});
