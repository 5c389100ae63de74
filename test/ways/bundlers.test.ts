// The plugin in each bundler: the application is bundled, run, and gives what plain JavaScript gives, with stack traces
// that lead through the bundler's source map to what the user wrote.
import { existsSync } from "node:fs";
import { afterAll, describe, expect, test, vi } from "vitest";
import { patience, type Ran, runIn, testProject } from "../support/built-package.ts";
import { fullRun } from "../support/fuzz.ts";
import { appFiles, expectedOutput, thrownAt, withSwitch } from "./app.ts";
import { type BundlerName, bundlers } from "./bundlers.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

// One project for all, so that they share its cache: the first file pays for the type checker.
const app = testProject({
  ...appFiles,
  "src/wrong.ts": withSwitch,
  "src/shape.ts": "export interface Shape {\n  sides: number;\n}\n",
  "src/types.ts": 'export type { Shape } from "./shape.ts";\n',
  "src/typed.ts":
    'import "sinter";\nimport type { Shape } from "./types.ts";\n' +
    "const square: Shape = { sides: 4 };\nconsole.log(square.sides);\n",
});
afterAll(() => app.remove());

/** Runs a bundler in a process of its own, as a user's build script does, perhaps with more to do at the end. */
function bundle(name: BundlerName, entry: string, more = ""): Ran {
  const script = `build-${name}.mjs`;
  app.write(script, bundlers[name].replaceAll("ENTRY", entry).replaceAll("OUT", `out-${name}`) + more);
  return runIn(app, [process.execPath, script]);
}

if (!fullRun) console.log("With SINTER_FULL=1 errors of the transform are tried in every bundler, otherwise in vite.");
const names = Object.keys(bundlers) as BundlerName[];

for (const name of names) {
  describe(name, () => {
    test("bundles an application that runs as it is written", () => {
      expect(bundle(name, "main")).toMatchObject({ status: 0, err: "" });
      expect(runIn(app, [process.execPath, `out-${name}/main.mjs`])).toEqual({
        status: 0,
        out: expectedOutput,
        err: "",
      });
      expect(app.read(`out-${name}/main.mjs`)).toMatch(/\bwhile_\(/);
    });

    test("leads stack traces to what the user wrote", () => {
      expect(bundle(name, "throws")).toMatchObject({ status: 0, err: "" });
      const ran = runIn(app, [process.execPath, "--enable-source-maps", `out-${name}/throws.mjs`]);
      expect(ran.status).toBe(1);
      // webpack turns the call of an import, fail(), into (0, model.fail)(): its columns differ.
      for (const place of thrownAt) expect(ran.err).toContain(name === "webpack" ? place.replace(/\d+$/, "") : place);
    });

    // Errors are not kept, so that each of these loads the compiler: all of them in the full run only.
    test.runIf(fullRun || name === "vite")(
      "fails the build where the transform reports an error, with the line",
      () => {
        const ran = bundle(name, "wrong");
        const printed = ran.out + ran.err;
        expect(ran.status).not.toBe(0);
        expect(printed).toContain("AG1007");
        expect(printed).toMatch(/src\/wrong\.ts:3:/);
        expect(printed).toContain("switch (x) {");
        expect(existsSync(app.path(`out-${name}/wrong.mjs`))).toBe(false);
      },
    );
  });
}

test("a file is watched for what its types depend on, though nothing of it is bundled", () => {
  const watched = bundle("rollup", "typed", "console.log(bundle.watchFiles.join());").out.trim().split(",");
  expect(watched.sort()).toEqual(["src/shape.ts", "src/typed.ts", "src/types.ts"].map(app.path));
});
