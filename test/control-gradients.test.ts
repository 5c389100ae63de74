// Random control flow and its gradients, in normal form and compiled, against the reference evaluator.
import { Builder, emit, type Graph, printGraph, tensorType, type Value } from "@sinter/ir";
import { gradGraph, normaliseRegions, simplify } from "@sinter/passes";
import { expect, test } from "vitest";
import { vjpGraph } from "../packages/passes/test/support/check.ts";
import { randomRegions } from "../packages/passes/test/support/random-regions.ts";
import { randomLike } from "../packages/passes/test/support/sampled.ts";
import { stagesOf } from "../packages/runtime/src/stages-of.ts";
import { forOtherBackend } from "./support/asked-checks.ts";
import { checkForms } from "./support/check-forms.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";
import { seededRng } from "./support/random.ts";

await alsoOnWebgpu("Gradients of control flow");

// Elementary functions differ in the last place, and what is chaotic makes more of it.
const options = {
  tolerance: { relative: 1e-7, absolute: 1e-9 },
  forms: [{ fuse: true, generic: false }],
  interpretUpTo: 0,
};

/** Checks a random graph and its gradient. */
function checkDrawn(seed: number, float: "f64" | "f32"): void {
  const rng = seededRng(seed);
  const { graph, args } = randomRegions(rng, { depth: 2, float });
  const gradient = vjpGraph(graph);
  const cotangents = gradient.params.slice(graph.params.length).map((param) => {
    if (param.value.type.kind !== "tensor") throw new Error("a cotangent is a tensor");
    return randomLike(param.value.type, rng);
  });
  try {
    checkForms(normaliseRegions(simplify(graph)), args, options);
    checkForms(normaliseRegions(simplify(gradient)), [...args, ...cotangents], options);
  } catch (error) {
    const message = (error as Error).message.slice(0, 4000);
    throw new Error(`seed ${seed}: ${message}\nfrom\n${printGraph(graph)}`, { cause: error });
  }
}

test("random control flow and its gradients, compiled", () => {
  for (let seed = 1; seed <= fuzzRuns(20); seed++) checkDrawn(seed, "f64");
  for (let seed = 1; seed <= fuzzRuns(2, 40); seed++) forOtherBackend(`seed ${seed}`, () => checkDrawn(seed, "f32"));
});

/** h <- tanh(w * h) over a vector, and the sum of the last h: by scan of a length, or by while. */
function recurrence(size: number, length: number | undefined, maxIterations = 0): Graph {
  const vector = tensorType("f32", [size]);
  const i32 = tensorType("i32", []);
  const out = (value: Value) => ({ kind: "out", value }) as const;
  const b = new Builder("recurrence");
  const [w, h, n] = [b.param("arg", vector, "w"), b.param("arg", vector, "h"), b.param("arg", i32, "n")];
  const types = length === undefined ? [i32, vector, i32, vector] : [vector, vector];
  const region = (make: (c: Builder, params: readonly Value[]) => readonly Value[]): Graph => {
    const c = new Builder("region");
    const params = types.map((type, i) => c.param("arg", type, `p${i}`));
    return c.finish(make(c, params).map(out));
  };
  const next = (c: Builder, w: Value, h: Value): Value => c.emit("tanh", [emit.mul(c, w, h)]);
  const last =
    length === undefined
      ? b.emitRegion("while", { captures: [n, w], init: [b.scalar("i32", 0), h] }, { maxIterations }, [
          region((c, [n, , i]) => [emit.less(c, i!, n!)]),
          region((c, [, w, i, h]) => [emit.add(c, i!, c.scalar("i32", 1)), next(c, w!, h!)]),
        ])[1]!
      : b.emitRegion("scan", { captures: [w], init: [h] }, { length, reverse: false }, [
          region((c, [w, h]) => [next(c, w!, h!)]),
        ])[0]!;
  return b.finish([out(emit.reduceSum(b, last, [0]))]);
}

test("memory of a gradient: the length times what the way back reads, or a constant number of carries", () => {
  const carryBytes = 4000;
  const arena = (length: number | undefined, maxIterations = 0): number => {
    const gradient = gradGraph(recurrence(1000, length, maxIterations), { wrt: [0, 1], of: 0, keepResults: false });
    return stagesOf(gradient, { backend: "wasm" }).cost().arenaBytes / carryBytes;
  };
  // Besides the stack: the carry, its cotangent, the sum of cotangents, and the like.
  const others = 8;
  for (const length of [10, 100, 1000]) {
    for (const bytes of [arena(length), arena(undefined, length)]) {
      expect(bytes).toBeGreaterThanOrEqual(length);
      expect(bytes).toBeLessThanOrEqual(length + others);
    }
  }
  expect(arena(undefined)).toBeLessThanOrEqual(32 + others);
});
