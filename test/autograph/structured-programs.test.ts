// Random structured programs: original JavaScript against transformed eager and transformed compiled.
// `npm run fuzz:autograph` tries thousands of them.
import { Autograph } from "@sinter/autograph";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../support/fuzz.ts";
import { seededRng } from "../support/random.ts";
import { caseOf, fuzz } from "./fuzz.ts";
import { generateProgram } from "./generate.ts";
import { Num, nativeModule, Vec } from "./native.ts";
import { countStatements, printProgram } from "./program.ts";
import { load } from "./run.ts";
import { shrink } from "./shrink.ts";

test("transformed programs compute what they compute as JavaScript", () => {
  const autograph = new Autograph();
  const report = fuzz(autograph, { seed: 1, programs: fuzzRuns(60, 600) });
  autograph.dispose();
  expect(report.failures.join("\n\n")).toBe("");
  expect(report.refused.length, report.refused.join("\n")).toBeLessThanOrEqual(report.programs / 20);
});

describe("the generator", () => {
  test("makes programs that load and end, with every construct among them", () => {
    const seen = new Set<string>();
    const constructs = /\b(if|else|while|do|for|of|break|continue|return|throw|try|finally|switch)\b|\?|&&|\|\||!/g;
    for (let seed = 0; seed < 200; seed++) {
      const source = printProgram(caseOf(seed).program);
      for (const [construct] of source.matchAll(constructs)) seen.add(construct);
      const { f } = load(source, { sinter: nativeModule });
      const one = new Num(1);
      try {
        f(one, one, new Vec([one, one, one]), 1, true);
      } catch (error) {
        expect(String(error)).toMatch(/^Error: e\d$/);
      }
    }
    expect([...seen].sort()).toEqual(
      [..."!?", "&&", "||"]
        .concat("if else while do for of break continue return throw try finally switch".split(" "))
        .sort(),
    );
  });

  test("makes the same program of the same seed", () => {
    expect(printProgram(generateProgram(seededRng(5)))).toBe(printProgram(generateProgram(seededRng(5))));
  });
});

test("the shrinker leaves what is needed for the failure", () => {
  const one = Array.from({ length: 100 }, (_, seed) => caseOf(seed)).find(({ program }) =>
    /while [\s\S]*break/.test(printProgram(program)),
  )!;
  const small = shrink(one, ({ program }) => /while [\s\S]*break/.test(printProgram(program)));
  expect(small.inputs).toHaveLength(1);
  expect(countStatements(small.program.statements)).toBeLessThan(countStatements(one.program.statements));
});
