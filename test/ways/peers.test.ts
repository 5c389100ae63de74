// What happens where ts-morph and unplugin are not installed: Sinter itself needs neither, and every way in to the
// source transform says what to install.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { builtPackage, patience, type Ran, runIn, type TestProject } from "../support/built-package.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

// Outside of the repository, where nothing above has them.
const folder = realpathSync(mkdtempSync(join(tmpdir(), "sinter-peers-")));
const app: Pick<TestProject, "folder"> = { folder };
const advice = "which is not installed: npm install -D ts-morph unplugin";

beforeAll(() => {
  cpSync(join(builtPackage(), "node_modules/sinter"), join(folder, "node_modules/sinter"), { recursive: true });
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder, "tsconfig.json"), "{}");
  writeFileSync(
    join(folder, "src/app.ts"),
    'import { tensor } from "sinter";\nconsole.log(tensor(2).item() as number);\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (...args: string[]): Ran => runIn(app as TestProject, [process.execPath, ...args]);

test("the core runs without them", () => {
  const ran = node("--input-type=module", "-e", 'import { tensor } from "sinter"; console.log(tensor(2).item());');
  expect(ran).toEqual({ status: 0, out: "2\n", err: "" });
});

test.each([
  ["the loader", ["--import", "sinter/register", "src/app.ts"]],
  ["the command", ["node_modules/sinter/lib/cli/main.js", "autograph", "check"]],
])("%s names ts-morph and what to run", (_, args) => {
  const ran = node(...args);
  expect(ran.status).toBe(1);
  expect(ran.err).toContain(`Sinter's source transform needs ts-morph, ${advice}`);
});

test.each(["vite", "rollup", "rolldown", "esbuild", "webpack"])("sinter/%s names unplugin and what to run", (name) => {
  const ran = node("--input-type=module", "-e", `import "sinter/${name}";`);
  expect(ran.status).toBe(1);
  expect(ran.err).toContain(`Sinter's source transform needs unplugin, ${advice}`);
});
