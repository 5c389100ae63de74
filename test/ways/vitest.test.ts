// Vitest through the Vite plugin: tests written in ordinary control flow, traced and eager, and a failure whose place is
// the one that the user wrote.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { patience, runIn, testProject } from "../support/built-package.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

const app = testProject({
  "vitest.config.ts": `import sinter from "sinter/vite";
import { defineConfig } from "vitest/config";

export default defineConfig({ plugins: [sinter()] });
`,
  "src/shrink.ts": `import { compile, type Tensor } from "sinter";

export function shrink(x: Tensor): Tensor {
  let y = x;
  let rounds = 0;
  while (y.abs().max().gt(1)) {
    if (rounds++ > 100) break;
    if (y.sum().lt(0)) y = y.neg();
    else y = y.div(2);
  }
  return y;
}

export const compiled = compile(shrink);
`,
  "src/shrink.test.ts": `import { tensor } from "sinter";
import { expect, test } from "vitest";
import { compiled, shrink } from "./shrink.ts";

test.each([shrink, compiled])("right", (f) => {
  expect([...f(tensor([3, -8])).dataSync()]).toEqual([-0.375, 1]);
});

test("wrong", () => {
  const x = tensor([1]);
  if (x.sum().gt(0)) {
    const y = x.add(1);
    expect(y.item()).toBe(3);
  }
});
`,
});
afterAll(() => app.remove());

test("tests in ordinary control flow pass and fail as they should, at the places the user wrote", () => {
  const ran = runIn(app, [process.execPath, vitest, "run", "--reporter=json", "--outputFile=results.json"]);
  expect(ran.err + ran.out).not.toContain("Unhandled");
  const results = JSON.parse(app.read("results.json")) as {
    testResults: { assertionResults: { title: string; status: string; failureMessages: string[] }[] }[];
  };
  const cases = results.testResults[0]!.assertionResults;
  expect(cases.map(({ title, status }) => [title, status])).toEqual([
    ["right", "passed"],
    ["right", "passed"],
    ["wrong", "failed"],
  ]);
  expect(cases[2]!.failureMessages.join("\n")).toContain("src/shrink.test.ts:13:22");
});
