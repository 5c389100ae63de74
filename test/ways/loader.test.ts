// `node --import sinter/register`: on every Node this machine has, with and without tsx beside it.
import { createRequire } from "node:module";
import { afterAll, describe, expect, test, vi } from "vitest";
import { patience, type Ran, runIn, testProject } from "../support/built-package.ts";
import { fullRun } from "../support/fuzz.ts";
import { findNodes } from "../support/nodes.ts";
import { appFiles, expectedOutput, thrownAt, withSwitch } from "./app.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

const nodes = findNodes([20, 22, 24]);
if (!fullRun) console.log("With SINTER_FULL=1 tsx, JavaScript files and errors are tried on each of them.");
const tsx = createRequire(import.meta.url).resolve("tsx");
// One project for all, so that they share its cache: the first run of a file pays for the type checker.
const app = testProject({
  ...appFiles,
  "src/wrong.ts": withSwitch,
  "src/plain.js":
    'import { tensor } from "sinter";\n' +
    "const sign = (x) => {\n  if (x.item() > 0) return 1;\n  return -1;\n};\n" +
    "console.log(sign(tensor(3)), sign(tensor(-3)), new Error().stack.includes('plain.js:6:'));\n",
  "common/package.json": JSON.stringify({ name: "old" }),
  "common/main.ts": 'import { tensor } from "sinter";\nconsole.log(tensor(1).item());\n',
});
afterAll(() => app.remove());

for (const node of nodes) {
  const run = (...args: string[]): Ran => runIn(app, [node.path, "--import", "sinter/register", ...args]);

  // The versions differ in how hooks are installed; what does not hang on that runs on all of them in the full run only.
  const more = test.runIf(fullRun || node.version === process.version);

  describe(`Node ${node.version}`, () => {
    test("an application of several files runs as it is written", () => {
      expect(run("src/main.ts")).toEqual({ status: 0, out: expectedOutput, err: "" });
    });

    test("a stack trace names the lines and columns that the user wrote", () => {
      const ran = run("src/throws.ts");
      expect(ran.status).toBe(1);
      for (const place of thrownAt) expect(ran.err).toContain(place);
    });

    more.each([
      ["before", ["--import", tsx, "--import", "sinter/register"]],
      ["after", ["--import", "sinter/register", "--import", tsx]],
    ])("tsx may be beside it, %s", (_, options) => {
      const ran = runIn(app, [node.path, ...options, "src/main.ts"]);
      expect(ran).toEqual({ status: 0, out: expectedOutput, err: "" });
      const thrown = runIn(app, [node.path, ...options, "src/throws.ts"]).err;
      for (const place of thrownAt) expect(thrown).toContain(place);
    });

    more("JavaScript files are transformed by syntax", () => {
      expect(run("src/plain.js")).toEqual({ status: 0, out: "1 -1 true\n", err: "" });
    });

    more("a CommonJS file that imports Sinter is an error that says what to do", () => {
      const ran = run("common/main.ts");
      expect(ran.status).toBe(1);
      expect(ran.err).toContain("common/main.ts is not an ES module");
      expect(ran.err).toContain('Add "type": "module" to package.json, or rename the file to .mts.');
    });

    more("an error of the transform names the place and shows the line", () => {
      const ran = run("src/wrong.ts");
      expect(ran.status).toBe(1);
      expect(ran.err).toContain("src/wrong.ts:3:");
      expect(ran.err).toContain("AG1007");
      expect(ran.err).toContain("> 3 |   switch (x) {");
    });
  });
}
