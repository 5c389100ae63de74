// Golden tests of passes: each `golden/**/*.ir` file holds `// run: <pass>`, a graph, `// ----` and the text that the
// pass makes of it. BLESS=1 rewrites the expectations. Under `// run: verify` the graph is broken instead, and
// `// error: ...` stands on the line that is to blame.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import {
  expressionScope,
  type Graph,
  ParseError,
  parseGraph,
  printGraph,
  printNests,
  rebuild,
  VerifyError,
  verifyGraph,
  verifyNests,
} from "@sinter/ir";
import { gradGraph, lower } from "@sinter/passes";
import { describe, expect, test } from "vitest";

/** A pass from graph to text, by the name after `// run:`; words behind the name are its options. */
type Pass = (graph: Graph, options: readonly string[]) => string;

const passes: Readonly<Record<string, Pass>> = {
  parse: (graph) => printGraph(graph),
  simplify: (graph, options) => {
    const simplified = rebuild(graph, undefined, { fastMath: options.includes("fast") });
    verifyGraph(simplified);
    return printGraph(simplified);
  },
  // Of the first result, with respect to the parameters named.
  grad: (graph, names) => {
    const wrt = names.map((name) => graph.params.findIndex((param) => param.name === name));
    const gradients = gradGraph(graph, { wrt, of: 0, keepResults: true });
    verifyGraph(gradients);
    return printGraph(gradients);
  },
  fuse: (graph, options) =>
    expressionScope(() => {
      const program = lower(graph);
      verifyNests(program);
      return printNests(program, { notes: !options.includes("quiet") });
    }),
};

const root = join(dirname(fileURLToPath(import.meta.url)), "golden");
const bless = process.env["BLESS"] === "1";
const separator = "// ----\n";

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ir"))
  .sort();

describe("golden", () => {
  for (const file of files) test(relative(".", file), () => runGolden(join(root, file)));
});

function runGolden(path: string): void {
  const text = readFileSync(path, "utf8");
  const header = /^\/\/ run: (.+)$/m.exec(text)?.[1]?.trim().split(/\s+/);
  if (header === undefined) throw new Error(`${path} does not say "// run: <pass>"`);
  const [name = "", ...options] = header;
  if (name === "verify") {
    checkErrors(text);
    return;
  }
  const pass = passes[name];
  if (pass === undefined) throw new Error(`${path}: there is no pass ${name}, only ${Object.keys(passes).join(", ")}`);
  const [input = "", expected = ""] = text.split(separator);
  const graph = parseGraph(input);
  verifyGraph(graph);
  const actual = `${pass(graph, options).trimEnd()}\n`;
  if (bless) writeFileSync(path, `${input.trimEnd()}\n${separator}${actual}`);
  else expect(actual).toBe(expected);
}

/** Several broken graphs may share a file, each with one error. */
function checkErrors(text: string): void {
  const graphs = text.split(/^(?=graph )/m).filter((part) => part.startsWith("graph "));
  expect(graphs.length).toBeGreaterThan(0);
  for (const source of graphs) {
    const lines = source.split("\n");
    const line = lines.findIndex((l) => l.includes("// error: "));
    if (line < 0) throw new Error(`no "// error: ..." in\n${source}`);
    const expected = lines[line]!.split("// error: ")[1]!.trim();
    const found = errorOf(source);
    if (found === undefined) throw new Error(`no error, expected "${expected}" in\n${source}`);
    expect(found.reason).toContain(expected);
    // Errors in the header and the results name no node; their lines begin with `graph` and `return`.
    if (found.line === undefined) expect(lines[line]!.trim()).toMatch(/^(graph|return)/);
    else expect(found.line).toBe(line + 1);
  }
}

function errorOf(source: string): { reason: string; line: number | undefined } | undefined {
  try {
    verifyGraph(parseGraph(source, { file: "source" }));
    return undefined;
  } catch (error) {
    if (error instanceof ParseError) return { reason: error.reason, line: error.line };
    if (!(error instanceof VerifyError)) throw error;
    const loc = error.node === undefined ? undefined : error.graph.debug.locs[error.node]?.[0];
    return { reason: error.reason, line: loc?.line };
  }
}
