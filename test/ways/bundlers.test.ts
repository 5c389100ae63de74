// The plugin in each bundler: the application is bundled, run, and gives what plain JavaScript gives, with stack traces
// that lead through the bundler's source map to what the user wrote.
import { existsSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { runIn, type TestProject, testProject } from "../support/built-package.ts";
import { appFiles, expectedOutput, thrownAt, withSwitch } from "./app.ts";
import { bundlers } from "./bundlers.ts";

const projects: TestProject[] = [];
afterAll(() => {
  for (const project of projects) project.remove();
});

function project(files: Readonly<Record<string, string>>): TestProject {
  const made = testProject(files);
  projects.push(made);
  return made;
}

/** Runs a bundler in a process of its own, as a user's build script does. */
function bundle(app: TestProject, name: keyof typeof bundlers, entry: string): ReturnType<typeof runIn> {
  app.write("build.mjs", bundlers[name].replaceAll("ENTRY", entry));
  return runIn(app, [process.execPath, "build.mjs"]);
}

for (const name of Object.keys(bundlers) as (keyof typeof bundlers)[]) {
  describe(name, () => {
    test("bundles an application that runs as it is written", () => {
      const app = project(appFiles);
      expect(bundle(app, name, "main")).toMatchObject({ status: 0, err: "" });
      expect(runIn(app, [process.execPath, "out/main.mjs"])).toEqual({ status: 0, out: expectedOutput, err: "" });
      expect(app.read("out/main.mjs")).toMatch(/\bwhile_\(/);
    });

    test("leads stack traces to what the user wrote", () => {
      const app = project(appFiles);
      expect(bundle(app, name, "throws")).toMatchObject({ status: 0, err: "" });
      const ran = runIn(app, [process.execPath, "--enable-source-maps", "out/throws.mjs"]);
      expect(ran.status).toBe(1);
      // webpack turns the call of an import, fail(), into (0, model.fail)(): its columns differ.
      for (const place of thrownAt) expect(ran.err).toContain(name === "webpack" ? place.replace(/\d+$/, "") : place);
    });

    test("fails the build where the transform reports an error, with the place and the line", () => {
      const app = project({ "src/main.ts": withSwitch });
      const ran = bundle(app, name, "main");
      const printed = ran.out + ran.err;
      expect(ran.status).not.toBe(0);
      expect(printed).toContain("AG1007");
      expect(printed).toMatch(/src\/main\.ts:3:/);
      expect(printed).toContain("switch (x) {");
      expect(existsSync(app.path("out/main.mjs"))).toBe(false);
    });
  });
}
