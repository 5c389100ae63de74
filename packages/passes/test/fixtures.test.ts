// Graphs of whole models, kept as text so that fusion and kernel counts are tested without building them again.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseGraph, printGraph, verifyGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { mlpStep } from "./support/models.ts";

const folder = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));

const fixtures = [
  {
    file: "mlp-step.ir",
    comment: "One training step of a 784-256-128-10 perceptron on 64 rows: relu, softmax cross entropy, Adam.",
    build: () => mlpStep(64, [784, 256, 128, 10]),
  },
];

describe("model fixtures", () => {
  for (const { file, comment, build } of fixtures)
    test(`${file} is what its builder makes (BLESS=1 rewrites it)`, () => {
      const graph = build();
      verifyGraph(graph);
      const text = `# ${comment} Made by packages/passes/test/fixtures.test.ts.\n${printGraph(graph)}`;
      if (process.env["BLESS"] === "1") writeFileSync(folder + file, text);
      expect(readFileSync(folder + file, "utf8")).toBe(text);
      expect(printGraph(parseGraph(text))).toBe(printGraph(graph));
    });
});
