// Runs the examples of README.md and docs/*.md: what a document says a program prints is what it prints.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { docExamples, nodeOptions, normalizeOutput } from "../scripts/doc-examples.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const docs = join(root, "docs");
const documents = [
  "README.md",
  ...(existsSync(docs) ? readdirSync(docs) : []).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];

/**
 * Runs `code` as a file of the repository, so that `import "sinter"` finds the sources, and returns what it printed. A
 * first line `// node --import sinter/register ...` is followed.
 */
function runInRepository(code: string): string {
  const parent = join(root, ".tmp");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, "example-"));
  try {
    const file = join(folder, "example.ts");
    writeFileSync(file, code);
    return execFileSync(process.execPath, [...nodeOptions(code), file], {
      cwd: folder,
      encoding: "utf8",
      timeout: 60_000,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("finding examples", () => {
  test("a ts block and the text block after it make an example", () => {
    const markdown = "# A\n```ts\nlet a;\n```\nprints\n```text\nx\ny\n```\n```text\nz\n```\n";
    expect(docExamples(markdown)).toEqual([{ line: 2, code: "let a;", output: "x\ny" }]);
  });

  test("a heading or another block in between makes none", () => {
    expect(docExamples("```ts\na\n```\n## B\n```text\nx\n```\n")).toEqual([]);
    expect(docExamples("```ts\na\n```\n```sh\nb\n```\n```text\nx\n```\n")).toEqual([]);
  });
});

for (const document of documents) {
  for (const example of docExamples(readFileSync(join(root, document), "utf8"))) {
    test(`${document}:${example.line} prints what it says`, () => {
      expect(normalizeOutput(runInRepository(example.code))).toBe(normalizeOutput(example.output));
    });
  }
}
