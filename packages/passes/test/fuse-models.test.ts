// Known models: how many kernels they become (a fusion regression fails here without timing anything), and that they
// still compute what their graphs say. The graphs are the inputs of the golden files.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  allOps,
  evalGraph,
  evalNests,
  expressionScope,
  type Graph,
  type HostTensor,
  type NestProgram,
  parseGraph,
  printGraph,
  staticDim,
  typeOf,
  verifyNests,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { randomTensor, resultsDifference, seededRng } from "../../../test/support/random.ts";
import { lower } from "../src/index.ts";

const goldens = join(import.meta.dirname, "../../../test/golden/fuse");

function inputText(name: string): string {
  return readFileSync(join(goldens, `${name}.ir`), "utf8").split("// ----\n")[0]!;
}

function kernels(program: NestProgram): number {
  return program.steps.filter((s) => s.kind === "kernel").length;
}

test("notes name values as the printed graph does", () => {
  let seen = 0;
  for (const file of readdirSync(goldens)) {
    const graph = parseGraph(inputText(file.replace(/\.ir$/, "")));
    const text = printGraph(graph);
    for (const { producer, consumer } of expressionScope(() => lower(graph).notes))
      for (const label of [producer, consumer]) {
        seen++;
        // Inside a region: where that is, a colon, then the value. A body is lowered with the test of its loop behind it.
        if (!label.includes(": ")) expect(text, `${file}: ${label}`).toContain(`${label.replace(" ", " = ")} `);
      }
  }
  expect(seen).toBeGreaterThan(20);
});

describe("kernels", () => {
  const expected: Readonly<Record<string, number>> = {
    softmax: 1,
    "layer-norm": 1,
    "matmul-bias-gelu": 1,
    adam: 1,
    "log-softmax-gradient": 1,
    attention: 3,
    "transposed-weight-gradient": 1,
    siblings: 1,
    // Three products forward, two backward and three for weights with their Adam; three biases; loss rows; scalars.
    "mlp-step": 13,
  };
  for (const [name, count] of Object.entries(expected))
    test(name, () => {
      expressionScope(() => {
        const program = lower(parseGraph(inputText(name)));
        verifyNests(program);
        expect(kernels(program)).toBe(count);
      });
    });
});

describe("golden graphs compute what they say", () => {
  const small = ([from, to]: readonly [string, string], text: string): string =>
    text.replaceAll(new RegExp(`(?<![%.])\\b${from}\\b(?!\\.)`, "g"), to);
  const sizes = [
    ["784", "11"],
    ["256", "7"],
    ["128", "5"],
    ["96", "9"],
    ["100", "13"],
    ["64", "6"],
    ["32", "4"],
  ] as const;
  for (const file of readdirSync(goldens).filter((f) => f.endsWith(".ir"))) {
    const name = file.slice(0, -3);
    // Their sizes are tied to each other in ways that a replacement breaks.
    const fixed = ["attention", "reshape-splits", "refused-long-rows"].includes(name);
    const text = fixed ? inputText(name) : sizes.reduce((t, size) => small(size, t), inputText(name));
    test(name, () => check(parseGraph(text)));
  }
});

function check(graph: Graph): void {
  const rng = seededRng(1);
  const args = graph.params.map((p): HostTensor => {
    const type = typeOf(p.value);
    const positive = p.kind === "state" || type.shape.length === 0;
    return randomTensor(rng, { type, lo: positive ? 0.25 : -1, hi: type.dtype === "i32" ? 3 : 2 });
  });
  const expected = evalGraph(graph, args);
  for (const fuse of [true, false])
    for (const statesInPlace of [true, false])
      expressionScope(() => {
        const program = lower(graph, { fuse });
        const found = evalNests(
          program,
          args.map((a) => a.data),
          { statesInPlace },
        );
        const actual = expected.map((e, i): HostTensor => ({ ...e, data: found[i]! }));
        expect(actual.map((a) => a.shape.map(staticDim))).toEqual(expected.map((e) => e.shape));
        expect(resultsDifference(actual, expected, { relative: 1e-4, absolute: 1e-5, ulp: 8 })).toBeUndefined();
      });
}

test("fusion asks structure, not names: no op is named in its sources", () => {
  const folder = join(import.meta.dirname, "../src/fuse");
  // Kinds of nest rules and of control, index atoms and buffers that happen to be names of ops too.
  const kinds = ["reduce", "cumulate", "div", "const", "slice", "call", "cond", "while", "scan"];
  const names = allOps.map((op) => op.name).filter((name) => !kinds.includes(name));
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const literals = [...text.matchAll(/"([^"\n]*)"/g)].map((m) => m[1]!);
    expect(
      literals.filter((s) => names.includes(s)),
      `op names in fuse/${file}`,
    ).toEqual([]);
    // Names reach people only: labels in notes and kernel names.
    if (file !== "model.ts" && file !== "units.ts") expect(text, `fuse/${file}`).not.toMatch(/\.op\b/);
  }
});
