// The cache on disk as a user meets it: a second start loads no compiler, and processes may start at once.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterAll, expect, test, vi } from "vitest";
import { patience, runIn, type TestProject, testProject } from "../support/built-package.ts";
import { appFiles, expectedOutput } from "./app.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

const projects: TestProject[] = [];
afterAll(() => {
  for (const project of projects) project.remove();
});

/** The application, which prints last how many files of the compiler were loaded with it. */
function countingApp(): TestProject {
  const app = testProject({
    ...appFiles,
    "src/counted.ts": `import { createRequire } from "node:module";
import "./main.ts";

const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) => /node_modules.@?ts-morph/.test(file));
console.log("compiler files:", loaded.length);
`,
  });
  projects.push(app);
  return app;
}

function compilerFiles(app: TestProject, env: NodeJS.ProcessEnv = {}): number {
  const ran = runIn(app, [process.execPath, "--import", "sinter/register", "src/counted.ts"], env);
  expect(ran).toMatchObject({ status: 0, err: "" });
  const [, output, count] = /^([\s\S]*)compiler files: (\d+)\n$/.exec(ran.out)!;
  expect(output).toBe(expectedOutput);
  return Number(count);
}

test("an unchanged project starts without the compiler, and a changed one with it", () => {
  const app = countingApp();
  expect(compilerFiles(app)).toBeGreaterThan(0);
  expect(compilerFiles(app)).toBe(0);
  app.write("src/main.ts", `${appFiles["src/main.ts"]}// changed\n`);
  expect(compilerFiles(app)).toBeGreaterThan(0);
  expect(compilerFiles(app)).toBe(0);
  expect(compilerFiles(app, { SINTER_AUTOGRAPH_CACHE: "off" })).toBeGreaterThan(0);
});

test("processes that start at once on an empty cache all run right, and leave whole files only", async () => {
  const app = countingApp();
  const outputs = await Promise.all(Array.from({ length: 4 }, () => output(app)));
  for (const text of outputs) expect(text).toMatch(new RegExp(`^${expectedOutput}compiler files: \\d+\n$`));
  const left = readdirSync(app.path("node_modules/.cache/sinter-autograph"));
  expect(left.filter((name) => !name.endsWith(".json"))).toEqual([]);
  expect(compilerFiles(app)).toBe(0);
});

function output(app: TestProject): Promise<string> {
  const { NODE_OPTIONS, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", "sinter/register", "src/counted.ts"], { cwd: app.folder, env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (text += part.toString()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve(text));
  });
}
