// Random structured programs: original JavaScript against transformed eager and transformed compiled.
// `npm run fuzz:autograph` tries thousands of them.
import { join } from "node:path";
import { Autograph } from "@sinter/autograph";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../support/fuzz.ts";
import { programsOnWebgpu } from "../support/programs-on-webgpu.ts";
import { seededRng } from "../support/random.ts";
import { caseOf, fuzz } from "./fuzz.ts";
import { generateProgram } from "./generate.ts";
import { Num, nativeModule, Vec } from "./native.ts";
import { countStatements, line, printProgram } from "./program.ts";
import { type How, judge, load } from "./run.ts";
import { shrink } from "./shrink.ts";

await programsOnWebgpu("Structured programs", { sample: 2, full: 60 });

test("transformed programs compute what they compute as JavaScript", () => {
  const autograph = new Autograph();
  const report = fuzz(autograph, { seed: 1, programs: fuzzRuns(60, 600) });
  autograph.dispose();
  expect(report.failures.join("\n\n")).toBe("");
  expect(report.refused.length, report.refused.join("\n")).toBeLessThanOrEqual(report.programs / 20);
});

test("derivatives of transformed programs are those of their JavaScript on dual numbers", () => {
  const autograph = new Autograph();
  const report = fuzz(autograph, { seed: 9000, programs: fuzzRuns(15, 150), inputs: 2, gradients: true });
  autograph.dispose();
  expect(report.failures.join("\n\n")).toBe("");
});

describe("programs that once went wrong", () => {
  const input = { x: -2.5, y: -1, v: [0.5, -3, 2.5], p: 2, flag: true };
  const check = (text: string, hows: readonly How[]): void => {
    const autograph = new Autograph();
    const program = {
      statements: text
        .trim()
        .split("\n")
        .map((each) => line(each)),
    };
    const file = join(import.meta.dirname, "generated.ts");
    const verdict = judge(autograph, { program, inputs: [input] }, file, hows);
    autograph.dispose();
    expect(verdict).toEqual({ kind: "same" });
  };

  test("a tensor in the arm where its truth has failed, which the checker takes for false", () => {
    const text = `
      let n = 0;
      const above: Tensor | boolean = x.gt(2);
      for (let i = 0; i < 3 && !above; i++) {
        if (!above) n++;
        else n--;
      }
      return n;`;
    check(text, ["eager", "compiled"]);
  });

  test("folds of one kernel whose results are used alike", () => {
    const text = `
      const start = x.add(1);
      for (let i = 1; i < 4; i++) {
        if (x.add(i).clip(-64, 64).ne(0) && x.abs().eq(1)) throw new Error("e1");
        x = v.add(x).clip(-64, 64).sum().clip(-64, 64);
      }
      return x.add(y.neg().clip(-64, 64).mul(3)).add(start.mul(4));`;
    check(text, ["compiled", "gradients"]);
  });
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
