// The lint rule in ESLint, with a parser that knows nothing of TypeScript: the rule reads the text itself.
import { ESLint, type Linter } from "eslint";
import { afterAll, describe, expect, test, vi } from "vitest";
import sinter from "../../packages/sinter/src/eslint.ts";
import { patience, type TestProject, testProject } from "../support/built-package.ts";
import { appFiles, withSwitch } from "./app.ts";

vi.setConfig({ testTimeout: patience, hookTimeout: patience });

/** Makes an empty program of any text. */
const parser: Linter.Parser = {
  parseForESLint(text: string) {
    const lines = text.split("\n");
    const loc = { start: { line: 1, column: 0 }, end: { line: lines.length, column: lines.at(-1)!.length } };
    const range: [number, number] = [0, text.length];
    return { ast: { type: "Program", sourceType: "module", body: [], tokens: [], comments: [], loc, range } };
  },
};

const projects: TestProject[] = [];
afterAll(() => {
  for (const project of projects) project.remove();
});

async function lint(
  files: Readonly<Record<string, string>>,
  name: string,
  text?: string,
  rules: Linter.RulesRecord = {},
): Promise<Linter.LintMessage[]> {
  const app = testProject(files);
  projects.push(app);
  const eslint = new ESLint({
    cwd: app.folder,
    overrideConfigFile: true,
    overrideConfig: [{ files: ["**/*.ts"], languageOptions: { parser } }, sinter.configs.recommended, { rules }],
  });
  const [result] = await eslint.lintText(text ?? files[name]!, { filePath: app.path(name) });
  return result!.messages;
}

describe("sinter/no-tensor-condition", () => {
  test("reports what the transform refuses, where it stands", async () => {
    const found = await lint({ "src/a.ts": withSwitch }, "src/a.ts");
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ ruleId: "sinter/no-tensor-condition", severity: 2, line: 3, endLine: 3 });
    expect(found[0]!.message).toMatch(/^AG1007: /);
  });

  test("reads the text that ESLint gives it, not the file", async () => {
    expect(await lint({ "src/a.ts": withSwitch }, "src/a.ts", 'import "sinter";\n')).toEqual([]);
    expect(await lint({ "src/a.ts": "" }, "src/a.ts", withSwitch)).toHaveLength(1);
  });

  test("reports a tensor as a condition where nothing is transformed", async () => {
    const text = `// @ag-ignore
import { tensor } from "sinter";
const x = tensor([1, 2]).sum();
if (x.gt(2)) console.log("positive");
`;
    const found = await lint({ "src/a.ts": text }, "src/a.ts");
    expect(found.map(({ line, column }) => [line, column])).toEqual([[4, 5]]);
    expect(found[0]!.message).toMatch(/^AG1001: /);
  });

  test("reports every tensor as a condition with transformed: false", async () => {
    const text = 'import { tensor } from "sinter";\nif (tensor(1).gt(0)) console.log(1);\n';
    expect(await lint({ "src/a.ts": text }, "src/a.ts")).toEqual([]);
    const rules: Linter.RulesRecord = { "sinter/no-tensor-condition": ["error", { transformed: false }] };
    const found = await lint({ "src/a.ts": text }, "src/a.ts", undefined, rules);
    expect(found.map(({ line, column, endColumn }) => [line, column, endColumn])).toEqual([[2, 5, 20]]);
    expect(found[0]!.message).toMatch(/^AG1001: tensor\(1\)\.gt\(0\) is a tensor, used as a condition/);
  });

  test("says nothing of ordinary control flow", async () => {
    for (const name of ["src/model.ts", "src/kinds.ts"]) expect(await lint(appFiles, name)).toEqual([]);
  });
});
