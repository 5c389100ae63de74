// `node --import sinter/register`: on every Node this machine has, with and without tsx beside it.
import { createRequire } from "node:module";
import { afterAll, describe, expect, test } from "vitest";
import { type Ran, runIn, type TestProject, testProject } from "../support/built-package.ts";
import { findNodes } from "../support/nodes.ts";
import { appFiles, expectedOutput, thrownAt, withSwitch } from "./app.ts";

const nodes = findNodes([20, 22, 24]);
const projects: TestProject[] = [];
afterAll(() => {
  for (const project of projects) project.remove();
});

function project(files: Readonly<Record<string, string>>): TestProject {
  const made = testProject(files);
  projects.push(made);
  return made;
}

for (const node of nodes) {
  const run = (app: TestProject, args: readonly string[], env?: NodeJS.ProcessEnv): Ran =>
    runIn(app, [node.path, ...args], env);

  describe(`Node ${node.version}`, () => {
    test("an application of several files runs as it is written", () => {
      const app = project(appFiles);
      const ran = run(app, ["--import", "sinter/register", "src/main.ts"]);
      expect(ran).toEqual({ status: 0, out: expectedOutput, err: "" });
    });

    test("a stack trace names the lines and columns that the user wrote", () => {
      const app = project(appFiles);
      const ran = run(app, ["--import", "sinter/register", "src/throws.ts"]);
      expect(ran.status).toBe(1);
      for (const place of thrownAt) expect(ran.err).toContain(place);
    });

    test("tsx may be beside it, before or after", () => {
      const app = project(appFiles);
      const tsx = createRequire(import.meta.url).resolve("tsx");
      const orders = [
        ["--import", tsx, "--import", "sinter/register"],
        ["--import", "sinter/register", "--import", tsx],
      ];
      for (const order of orders) {
        expect(run(app, [...order, "src/main.ts"])).toEqual({ status: 0, out: expectedOutput, err: "" });
        const thrown = run(app, [...order, "src/throws.ts"]).err;
        for (const place of thrownAt) expect(thrown).toContain(place);
      }
    });

    test("JavaScript files are transformed by syntax", () => {
      const app = project({
        "src/main.js":
          'import { tensor } from "sinter";\n' +
          "const sign = (x) => {\n  if (x.item() > 0) return 1;\n  return -1;\n};\n" +
          "console.log(sign(tensor(3)), sign(tensor(-3)), new Error().stack.includes('main.js:6:'));\n",
      });
      const ran = run(app, ["--import", "sinter/register", "src/main.js"]);
      expect(ran).toEqual({ status: 0, out: "1 -1 true\n", err: "" });
    });

    test("a CommonJS file that imports Sinter is an error that says what to do", () => {
      const app = project({
        "package.json": JSON.stringify({ name: "old" }),
        "src/main.ts": 'import { tensor } from "sinter";\nconsole.log(tensor(1).item());\n',
      });
      const ran = run(app, ["--import", "sinter/register", "src/main.ts"]);
      expect(ran.status).toBe(1);
      expect(ran.err).toContain("main.ts is not an ES module");
      expect(ran.err).toContain('Add "type": "module" to package.json, or rename the file to .mts.');
    });

    test("an error of the transform names the place and shows the line", () => {
      const app = project({ "src/main.ts": withSwitch });
      const ran = run(app, ["--import", "sinter/register", "src/main.ts"]);
      expect(ran.status).toBe(1);
      expect(ran.err).toContain("src/main.ts:3:");
      expect(ran.err).toContain("AG1007");
      expect(ran.err).toContain("> 3 |   switch (x) {");
    });
  });
}
