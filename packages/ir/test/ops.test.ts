// Every op of the registry, by its own sampler: the type rule, the reference evaluation and the nest form agree, and
// folding changes nothing. Derivatives and batch rules are checked where the passes are that use them.
import { describe, expect, test } from "vitest";
import { randomTensor, resultsDifference, seededRng, type Tolerance } from "../../../test/support/random.ts";
import {
  type Attrs,
  allOps,
  Builder,
  type EvalRegions,
  evalGraph,
  findOp,
  getOp,
  type HostTensor,
  type OpDef,
  type SampledOp,
  scalarOpNames,
  type TensorType,
  typeText,
} from "../src/index.ts";
import { evalNestRule } from "./support/nest-rule.ts";

const runs = process.env["SINTER_FULL"] === "1" ? 300 : 25;
const noRegions: EvalRegions = {
  graphs: [],
  groups: [],
  run: () => {
    throw new Error("no regions");
  },
};
const plainOps = allOps.filter((op) => op.groups.length === 0);

interface Case {
  readonly sample: SampledOp<Attrs>;
  readonly operands: readonly HostTensor[];
  readonly types: readonly TensorType[];
  readonly results: readonly HostTensor[];
  readonly text: string;
}

function makeCase(op: OpDef, seed: number): Case {
  const rng = seededRng(seed);
  const sample = op.sample(rng);
  const operands = sample.operands.map((operand) => randomTensor(rng, operand));
  const given = sample.operands.map((operand) => operand.type);
  const text = `${op.name}(${given.map(typeText).join(", ")}) ${JSON.stringify(sample.attrs)} seed ${seed}`;
  const types = op.type(given, sample.attrs, [], []) as readonly TensorType[];
  return { sample, operands, types, results: op.eval(operands, sample.attrs, types, noRegions), text };
}

/** Nests carry and multiply in the dtype, the reference in float64: sums may differ by their terms' rounding. */
function nestTolerance(op: OpDef, { operands, types }: Case): Tolerance {
  if (op.nest.kind !== "reduce" && op.nest.kind !== "cumulate") return {};
  const terms = Math.max(1, ...operands.flatMap((x) => x.shape)) ** 2;
  const epsilon = types[0]!.dtype === "f64" ? 2 ** -52 : 2 ** -23;
  return { absolute: 16 * terms * epsilon, relative: terms * epsilon };
}

function expectSame(actual: readonly HostTensor[], expected: Case, tolerance: Tolerance = {}): void {
  const difference = resultsDifference(actual, expected.results, tolerance);
  if (difference !== undefined) expect.fail(`${expected.text}: ${difference}`);
}

describe.each(plainOps.map((op) => [op.name, op] as const))("%s", (_, op) => {
  test("the type rule agrees with what evaluation makes", () => {
    expect(op.doc).toMatch(/^[A-Zx].*\.$/);
    for (let seed = 0; seed < runs; seed++) {
      const { types, results, sample, text } = makeCase(op, seed);
      expect(
        results.map((r) => typeText({ kind: "tensor", ...r })),
        text,
      ).toEqual(types.map(typeText));
      for (const { data, shape } of results) expect(data.length, text).toBe(shape.reduce((n, d) => n * d, 1));
      expect(Object.keys(sample.attrs).sort(), text).toEqual(Object.keys(op.attrs).sort());
      const given = sample.operands.map((operand) => operand.type);
      expect(op.cost({ attrs: sample.attrs, operands: given, results: types }), text).toBeGreaterThanOrEqual(0);
    }
  });

  test("the nest form, point by point, agrees with evaluation", () => {
    for (let seed = 0; seed < runs; seed++) {
      const c = makeCase(op, seed);
      expectSame(evalNestRule(op.nest, c.sample.attrs, c.operands, c.types), c, nestTolerance(op, c));
    }
  });

  test("folding changes nothing", () => {
    for (let seed = 0; seed < runs; seed++) {
      const c = makeCase(op, seed);
      const b = new Builder(op.name);
      const params = c.sample.operands.map((operand, i) => b.param("arg", operand.type, `x${i}`));
      const values = b.emitAll(op.name, params, c.sample.attrs);
      expectSame(evalGraph(b.finish(values.map((value) => ({ kind: "out", value }))), c.operands), c);
    }
  });
});

describe("the registry", () => {
  test("has each name once, and an op for every row of the scalar table", () => {
    const names = allOps.map((op) => op.name);
    expect(new Set(names).size).toBe(names.length);
    expect(scalarOpNames.filter((name) => findOp(name) === undefined)).toEqual([]);
  });

  test("names an op that does not exist", () => {
    expect(findOp("softmax")).toBeUndefined();
    expect(() => getOp("softmax")).toThrow("no op softmax");
  });

  test("keeps rules that can change a float result behind fast math", () => {
    const fast = allOps.flatMap((op) => op.fold.filter((rule) => rule.fast).map((rule) => `${op.name}: ${rule.name}`));
    expect(fast).toContain("mul: multiply by zero");
    expect(fast).toContain("add: reassociate add");
  });
});
