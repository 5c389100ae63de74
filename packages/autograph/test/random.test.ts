// Random programs: transformed and run so that both branches of every staged block happen, against plain JavaScript.
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { randomProgram } from "./support/programs.ts";
import * as runtime from "./support/selecting-runtime.ts";
import { project } from "./support/transform.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

type Program = (x: runtime.Value, p: number) => unknown;

function load(text: string, parameter: string, value: unknown): Program {
  return new Function(parameter, "range", `${text}\nreturn f;`)(value, range) as Program;
}

describe.each(["types", "syntax"] as const)("mode %s", (mode) => {
  test.each(range(process.env["SINTER_FULL"] === "1" ? 1000 : 60))("seed %i", (seed) => {
    const { source, reference } = randomProgram(seed);
    const { code, diagnostics } = project({ mode, checks: true }).transform(source, "src/case.ts");
    expect(diagnostics).toEqual([]);
    const text = stripTypeScriptTypes(code.replace(/import [^;]*;/g, "").replace("export ", ""));
    const native = load(reference, "$t", runtime.raw);
    const staged = load(text, "$ag", runtime);
    for (const x of [-1.5, 0.5, 3]) {
      for (const p of [0, 2]) {
        expect(runtime.raw(staged(new runtime.Value(x), p))).toBe(runtime.raw(native(new runtime.Value(x), p)));
      }
    }
  });
});
