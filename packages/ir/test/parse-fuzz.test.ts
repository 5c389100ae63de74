// Texts that are nearly graphs: each is a ParseError, a VerifyError, or a graph that prints and reads as itself.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ParseError, parseGraph, printGraphWithData, VerifyError, verifyGraph } from "@sinter/ir";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const full = process.env["SINTER_FULL"] === "1";
const golden = join(dirname(fileURLToPath(import.meta.url)), "../../../test/golden");
const texts = readdirSync(golden, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ir"))
  .sort()
  .map((name) => readFileSync(join(golden, name), "utf8").split("// ----\n")[0]!)
  .filter((text) => outcome(text) === "graph");

function outcome(text: string): "graph" | "error" {
  try {
    const graph = parseGraph(text);
    verifyGraph(graph);
    const printed = printGraphWithData(graph);
    expect(printGraphWithData(parseGraph(printed.text, { data: printed.data })).text).toBe(printed.text);
    return "graph";
  } catch (error) {
    if (error instanceof ParseError || error instanceof VerifyError) return "error";
    throw error;
  }
}

const pieces = (text: string): string[] => text.match(/%?\w+|\s+|[^\s\w]/g) ?? [];
const odd = ["1e300", "-1", "0.5", "99999999999", "nan:0x7fffffff", "inf", "__proto__", "constructor", "toString", '"'];
const vocabulary = [...new Set([...texts.flatMap(pieces), ...odd])];

type Change = readonly [how: string, at: number, other: number];
const change = fc.tuple(fc.constantFrom("remove", "replace", "insert", "double", "exchange"), fc.nat(), fc.nat());

function changed(text: string, changes: readonly Change[]): string {
  const parts = pieces(text);
  for (const [how, a, b] of changes) {
    const at = a % parts.length;
    const word = vocabulary[b % vocabulary.length]!;
    if (how === "remove") parts.splice(at, 1 + (b % 3));
    else if (how === "replace") parts[at] = word;
    else if (how === "insert") parts.splice(at, 0, word);
    else if (how === "double") parts.splice(at, 0, ...parts.slice(at, at + (b % 12)));
    else [parts[at], parts[b % parts.length]] = [parts[b % parts.length]!, parts[at]!];
    if (parts.length === 0) return "";
  }
  return parts.join("");
}

test("texts with a few words changed", () => {
  expect(texts.length).toBeGreaterThan(30);
  let graphs = 0;
  let all = 0;
  fc.assert(
    fc.property(fc.nat(texts.length - 1), fc.array(change, { minLength: 1, maxLength: 4 }), (which, changes) => {
      all++;
      if (outcome(changed(texts[which]!, changes)) === "graph") graphs++;
    }),
    { numRuns: full ? 30_000 : 1_500 },
  );
  // Both sides are reached.
  expect(graphs).toBeGreaterThan(0);
  expect(graphs).toBeLessThan(all);
});

describe("texts without end", () => {
  const many = 100_000;
  const cases: readonly (readonly [string, string])[] = [
    ["parentheses in a shape", `graph @g(%x: f32[${"(".repeat(many)}`],
    [
      "parentheses in an attribute",
      `graph @g(%x: f32[n]) where n in [1,2] {\n %0 = broadcast %x {shape=[${"(".repeat(many)}`,
    ],
    ["regions", `graph @g(%x: f32[]) {\n${" %0 = cond index(%x), captures() graph @a() {\n".repeat(5_000)}`],
    ["one word", "a".repeat(many)],
    ["signs", "@".repeat(many)],
    ["an open text", `graph @g(%x: i32[]) {\n %0 = print %x {format=["${"\\\\".repeat(many)}`],
    [
      "an attribute that all objects have",
      "graph @g(%x: f32[]) {\n %0 = neg %x {constructor=1} : f32[]\n return %0\n}",
    ],
    ["an op that all objects have", "graph @g(%x: f32[]) {\n %0 = toString %x : f32[]\n return %0\n}"],
  ];
  test.each(cases)("%s", (_name, text) => {
    expect(outcome(text)).toBe("error");
  });
});
