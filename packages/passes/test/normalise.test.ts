// Control flow in normal form: what is dropped, moved out and moved in, and that nothing else changes.
import { evalGraph, parseGraph, printGraph, verifyGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { seededRng } from "../../../test/support/random.ts";
import { normaliseRegions, simplify } from "../src/index.ts";
import { randomRegions } from "./support/random-regions.ts";

test("random control flow gives the same bits, and normal form is normal", () => {
  for (let seed = 1; seed <= fuzzRuns(300); seed++) {
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
