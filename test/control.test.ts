// Branches and loops compiled into one program: values against the reference evaluator in every form, and what each round
// costs in kernels, copies and memory.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  Builder,
  type Graph,
  type GraphResult,
  inlineGraph,
  type LoopStep,
  parseGraph,
  printNests,
  type Value,
  verifyGraph,
} from "@sinter/ir";
import { simplify } from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { type ArgumentOptions, randomArguments } from "./support/arguments.ts";
import { checkForms } from "./support/check-forms.ts";
import { scheduledFused } from "./support/check-text.ts";
import { withCompiled } from "./support/compiled.ts";
import {
  bubble,
  fibonacci,
  newton,
  pick,
  recurrent,
  regression,
  stencil,
  turning,
  walk,
} from "./support/control-graphs.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";
import { isExact } from "./support/op-kinds.ts";
import type { Tolerance } from "./support/random.ts";
import { checkRandomGraphs } from "./support/random-graph.ts";
import { checkRandomRegions } from "./support/random-regions.ts";

await alsoOnWebgpu("Control flow");

const near: Tolerance = { ulp: 16, relative: 1e-4, absolute: 1e-4 };

/** Checks the graph's values in every form. */
function check(text: string, args: ArgumentOptions = {}, tolerance?: Tolerance): void {
  const graph = parseGraph(text);
  verifyGraph(graph);
  checkForms(graph, randomArguments(graph, args), tolerance === undefined ? {} : { tolerance });
}

interface Profile {
  /** Steps of all loops together, one round of each, and what is outside of them. */
  readonly inside: Readonly<Record<string, number>>;
  readonly outside: Readonly<Record<string, number>>;
  readonly arena: number;
}

const profile = (text: string): Profile => profileOf(parseGraph(text));

function profileOf(graph: Graph): Profile {
  return withCompiled(simplify(graph), scheduledFused, ({ loops, plan }) => {
    const found = { inside: {} as Record<string, number>, outside: {} as Record<string, number> };
    const walk = (steps: readonly LoopStep[], where: Record<string, number>): void => {
      for (const step of steps) {
        where[step.kind] = (where[step.kind] ?? 0) + 1;
        if (step.kind === "if") for (const branch of step.branches) walk(branch, where);
        if (step.kind === "for" || step.kind === "while") walk(step.body, found.inside);
        if (step.kind === "while") walk(step.test, found.inside);
      }
    };
    walk(loops.steps, found.outside);
    return { ...found, arena: plan.arenaBytes as number };
  });
}

const nestsOf = (text: string): string =>
  withCompiled(simplify(parseGraph(text)), scheduledFused, ({ nests }) => printNests(nests, { notes: false }));

test("linear regression by gradient descent: one kernel a round, carries in place, nothing copied", () => {
  check(regression(20), {}, near);
  expect(profile(regression(20))).toEqual({ inside: { kernel: 1 }, outside: { copy: 2, for: 1 }, arena: 0 });
  expect(nestsOf(regression(10_000))).toMatchInlineSnapshot(`
    "nests fit
      b0 arg x: f32[100]
      b1 arg y: f32[100]
      b2 result out0: f32[]
      b3 result out1: f32[]
      b4 temp counter: i32[]
      b5 const c0: f32[] = [0]
      copy b5 to b2
      copy b5 to b3
      for b4 below 10000
        kernel k2.0_reduce_reduce_sub_sub
          nest red r<100
            t0 = sub(add(b3[], mul(b0[r], b2[])), b1[r])
            acc0: f32 = add mul(b0[r], t0)
            acc1: f32 = add t0
            end b2[] = sub(b2[], mul(0.0010000000474974513, acc0))
            end b3[] = sub(b3[], mul(0.0010000000474974513, acc1))
    "
  `);
});

test("a stencil: one kernel a round and an exchange, in two buffers of which one is the result", () => {
  for (const steps of [0, 1, 2, 5]) check(stencil(steps));
  const two = profile(stencil(2));
  expect(two.inside).toEqual({ kernel: 1, swap: 1 });
  // The start, the edge of the second buffer, and the result where it is not in its place already.
  expect(two.outside).toEqual({ copy: 3, for: 1 });
  expect(two.arena).toBe(Math.ceil((18 * 18 * 4) / 64) * 64);
  expect(profile(stencil(1000))).toEqual(two);
});

test("a recurrent network: two products a round with all else in their epilogues, states stacked where they are made", () => {
  check(recurrent, {}, near);
  expect(profile(recurrent).inside).toEqual({ kernel: 2, swap: 1 });
});

test("carries that exchange their values exchange their memory", () => {
  check(fibonacci);
  expect(profile(fibonacci).inside).toEqual({ kernel: 1, swap: 2 });
  check(turning);
  expect(profile(turning).inside).toEqual({ swap: 2 });
});

describe("an update of a carry happens in place", () => {
  const cases = {
    "of what it reads at the same place": [
      { kernel: 2 },
      `      %0 = dynamicSlice %t, %i {sizes=[1]} : f32[1]
      %1 = neg %0 : f32[1]
      %new = dynamicUpdateSlice %t, %1, %i : f32[40]`,
    ],
    "of what lies elsewhere": [
      { kernel: 2 },
      `      %back = sub %i, %one : i32[]
      %0 = dynamicSlice %t, %i {sizes=[1]} : f32[1]
      %1 = dynamicSlice %t, %back {sizes=[1]} : f32[1]
      %2 = add %0, %1 : f32[1]
      %new = dynamicUpdateSlice %t, %2, %i : f32[40]`,
    ],
    // The counter is read again after its next value is stored: it has two places, and they are exchanged.
    "of a window that overlaps what it is made of": [
      { kernel: 2, swap: 1 },
      `      %0 = dynamicSlice %t, %one {sizes=[4]} : f32[4]
      %1 = neg %0 : f32[4]
      %new = dynamicUpdateSlice %t, %1, %i : f32[40]`,
    ],
  } as const;
  test.each(Object.entries(cases))("%s", (_, [steps, body]) => {
    check(walk(body), { whole: true, lo: 0, hi: 9 });
    const { inside, outside, arena } = profile(walk(body));
    expect(inside).toEqual(steps);
    // The start of the counter and of the table (that one where the state is shared), and the last value of a counter
    // that may have changed its place.
    expect(outside).toEqual({ copy: "swap" in steps ? 3 : 2, kernel: 1, while: 1 });
    expect(arena).toBeLessThan(256);
  });
});

test("through a branch in a loop in a loop, too: sorting by exchanges works in the result's memory", () => {
  check(bubble);
  const { inside, outside } = profile(bubble);
  expect(inside["copy"]).toBeUndefined();
  expect(inside["swap"]).toBeUndefined();
  expect(outside["copy"]).toBe(1);
});

test("a while loop takes one kernel a round, which also tests whether there is another", () => {
  check(newton, { lo: 1, hi: 50 });
  expect(profile(newton)).toEqual({ inside: { kernel: 1 }, outside: { copy: 1, kernel: 1, while: 1 }, arena: 64 });
});

test("a branch stores its results where they are wanted, and what it passes through in place stays", () => {
  check(pick);
  // Two copies in one branch (that of the state does nothing where it is in place), one kernel in the other.
  expect(profile(pick)).toEqual({ inside: {}, outside: { if: 1, copy: 2, kernel: 1 }, arena: 0 });
});

/** A training step as the body of a loop: its states are carries, then states again. */
function trainingLoop(step: Graph, length: number): Graph {
  const isState = (i: number): boolean => step.params[i]!.kind === "state";
  const positions = step.params.map((_, i) => i);
  const [given, states] = [positions.filter((i) => !isState(i)), positions.filter(isState)];
  const c = new Builder("step");
  const inner: Value[] = [];
  for (const i of [...given, ...states]) inner[i] = c.param("arg", step.params[i]!.value.type, step.params[i]!.name);
  const made = inlineGraph(c, step, inner);
  const next = states.map((i) => made[step.results.findIndex((r) => r.kind === "state" && r.param === i)]!);
  const losses = made.filter((_, k) => step.results[k]!.kind === "out");
  const body = c.finish([...next, ...losses].map((value): GraphResult => ({ kind: "out", value })));
  const b = new Builder("train");
  const params = step.params.map((p) => b.param(p.kind, p.value.type, p.name));
  const groups = { captures: given.map((i) => params[i]!), init: states.map((i) => params[i]!), xs: [] };
  const results = b.emitRegion("scan", groups, { length, reverse: false }, [body]);
  const after = states.map((param, k): GraphResult => ({ kind: "state", param, value: results[k]! }));
  return b.finish([...after, ...results.slice(states.length).map((value): GraphResult => ({ kind: "out", value }))]);
}

test("an update that is stacked as well as carried begins anew from its base in each round", () => {
  check(`graph @g(%base: f32[3,4], %xs: f32[2,5]) {
  %0, %1 = scan captures(), init(%base), xs(%xs) {length=2, reverse=true} : f32[3,4], f32[2,3,4]
    graph @step(%p0: f32[3,4], %p1: f32[5]) {
      %0 = const {dtype=f32, shape=[], data=[0.5]} : f32[]
      %1 = broadcast %0 {shape=[2,3], dims=[]} : f32[2,3]
      %2 = const {dtype=i32, shape=[], data=[2]} : i32[]
      %3 = dynamicUpdateSlice %p0, %1, %2, %2 : f32[3,4]
      return %3, %3
    }
  return %0, %1
}`);
});

test("a training loop: each round is the training step, all states in place, nothing copied or exchanged", () => {
  const [text = ""] = readFileSync(join(import.meta.dirname, "fixtures/mlp-step.ir"), "utf8").split("// ----\n");
  const step = simplify(parseGraph(text));
  const alone = profileOf(step);
  const loop = profileOf(trainingLoop(step, 1000));
  expect(loop.inside).toEqual(alone.outside);
  // One for each state, which does nothing where the state is updated in place.
  expect(loop.outside).toEqual({ copy: step.params.filter((p) => p.kind === "state").length, for: 1 });
  expect(loop.arena).toBe(alone.arena);
});

test("random graphs with calls, branches and loops", () => {
  checkRandomGraphs(
    ({ graph, args }) => {
      verifyGraph(graph);
      checkForms(graph, args);
    },
    { runs: fuzzRuns(40, 400), webgpu: fuzzRuns(8, 60), accept: isExact, exact: true, regions: true },
  );
});

test("random branches and loops inside each other", () => {
  checkRandomRegions(
    ({ graph, args }) => {
      verifyGraph(graph);
      checkForms(graph, args);
    },
    { runs: fuzzRuns(100, 1000), webgpu: fuzzRuns(25, 300) },
  );
});
