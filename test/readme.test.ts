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

/** Between the outputs of programs that run in one process. */
const separator = "\u0001";

/**
 * Runs programs one after the other as files of the repository, so that `import "sinter"` finds the sources, and returns
 * what each printed. In one process: the source transform takes seconds to start.
 */
function runInRepository(programs: readonly string[], options: readonly string[]): string[] {
  const parent = join(root, ".tmp");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, "example-"));
  try {
    const names = programs.map((code, i) => {
      writeFileSync(join(folder, `example${i}.ts`), code);
      return `./example${i}.ts`;
    });
    const main = join(folder, "main.mjs");
    writeFileSync(main, names.map((name) => `await import("${name}");\nconsole.log("${separator}");\n`).join(""));
    const printed = execFileSync(process.execPath, [...options, main], {
      cwd: folder,
      encoding: "utf8",
      timeout: 60_000,
    });
    return printed.split(`${separator}\n`).slice(0, programs.length);
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
  const examples = docExamples(readFileSync(join(root, document), "utf8"));
  // Those with options, such as the transform, share a process; each of the others has its own.
  const together = new Map<string, typeof examples>();
  for (const example of examples) {
    const options = nodeOptions(example.code).join(" ");
    const key = options === "" ? String(example.line) : options;
    together.set(key, [...(together.get(key) ?? []), example]);
  }
  for (const group of together.values()) {
    const lines = group.map(({ line }) => line).join(", ");
    test(`${document}:${lines} prints what it says`, { timeout: 60_000 }, () => {
      const codes = group.map(({ code }) => code);
      expect(runInRepository(codes, nodeOptions(codes[0]!)).map(normalizeOutput)).toEqual(
        group.map(({ output }) => normalizeOutput(output)),
      );
    });
  }
}
