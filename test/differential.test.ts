// Every op of the registry, compiled in every form, against its reference evaluation. Sizes are those around a vector.
import { expect, test } from "vitest";
import { checkForms } from "./support/check-forms.ts";
import { ready } from "./support/compiled.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { opCases, plainOps } from "./support/op-cases.ts";

await ready();

test.each(plainOps.map((op) => [op.name, op] as const))("%s", (_, op) => {
  let first = true;
  for (const { graph, args, tolerance, text } of opCases(op, fuzzRuns(10))) {
    try {
      checkForms(graph, args, { tolerance, memories: first ? ["unshared", "shared"] : ["unshared"] });
    } catch (error) {
      expect.fail(`${text}: ${error instanceof Error ? error.message : error}`);
    }
    first = false;
  }
});
