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
import { fuzzRuns } from "./support/fuzz.ts";
import { isExact } from "./support/op-kinds.ts";
import type { Tolerance } from "./support/random.ts";
import { checkRandomGraphs } from "./support/random-graph.ts";
import { checkRandomRegions } from "./support/random-regions.ts";

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

const regression = (steps: number): string => `graph @fit(%x: f32[100], %y: f32[100]) {
  %z = const {dtype=f32, shape=[], data=[0]} : f32[]
  %0, %1 = scan captures(%x, %y), init(%z, %z), xs() {length=${steps}, reverse=false} : f32[], f32[]
    graph @step(%x: f32[100], %y: f32[100], %a: f32[], %b: f32[]) {
      %0 = mul %x, %a : f32[100]
      %1 = add %0, %b : f32[100]
      %2 = sub %1, %y : f32[100]
      %3 = mul %2, %x : f32[100]
      %4 = reduce %3 {op=add, axes=[0]} : f32[]
      %5 = reduce %2 {op=add, axes=[0]} : f32[]
      %rate = const {dtype=f32, shape=[], data=[0.001]} : f32[]
      %6 = mul %4, %rate : f32[]
      %7 = mul %5, %rate : f32[]
      %8 = sub %a, %6 : f32[]
      %9 = sub %b, %7 : f32[]
      return %8, %9
    }
  return %0, %1
}
`;

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

const stencil = (steps: number): string => `graph @jacobi(%u: f32[18,18]) {
  %0 = scan captures(), init(%u), xs() {length=${steps}, reverse=false} : f32[18,18]
    graph @step(%u: f32[18,18]) {
      %n = slice %u {start=[0,1], limit=[16,17], step=[1,1]} : f32[16,16]
      %s = slice %u {start=[2,1], limit=[18,17], step=[1,1]} : f32[16,16]
      %w = slice %u {start=[1,0], limit=[17,16], step=[1,1]} : f32[16,16]
      %e = slice %u {start=[1,2], limit=[17,18], step=[1,1]} : f32[16,16]
      %1 = add %n, %s : f32[16,16]
      %2 = add %1, %w : f32[16,16]
      %3 = add %2, %e : f32[16,16]
      %q = const {dtype=f32, shape=[], data=[0.25]} : f32[]
      %4 = mul %3, %q : f32[16,16]
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %5 = dynamicUpdateSlice %u, %4, %one, %one : f32[18,18]
      return %5
    }
  return %0
}
`;

test("a stencil: one kernel a round and an exchange, in two buffers of which one is the result", () => {
  for (const steps of [0, 1, 2, 5]) check(stencil(steps));
  const two = profile(stencil(2));
  expect(two.inside).toEqual({ kernel: 1, swap: 1 });
  // The start, the edge of the second buffer, and the result where it is not in its place already.
  expect(two.outside).toEqual({ copy: 3, for: 1 });
  expect(two.arena).toBe(Math.ceil((18 * 18 * 4) / 64) * 64);
  expect(profile(stencil(1000))).toEqual(two);
});

const recurrent = `graph @rnn(%x: f32[6,4,8], %w: f32[8,8], %u: f32[8,8], %b: f32[8], %h: f32[4,8]) {
  %0, %1 = scan captures(%w, %u, %b), init(%h), xs(%x) {length=6, reverse=true} : f32[4,8], f32[6,4,8]
    graph @step(%w: f32[8,8], %u: f32[8,8], %b: f32[8], %h: f32[4,8], %x: f32[4,8]) {
      %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[4,8]
      %1 = dot %h, %u {batch=[[],[]], contract=[[1],[0]]} : f32[4,8]
      %2 = add %0, %1 : f32[4,8]
      %3 = broadcast %b {shape=[4,8], dims=[1]} : f32[4,8]
      %4 = add %2, %3 : f32[4,8]
      %5 = tanh %4 : f32[4,8]
      return %5, %5
    }
  return %0, %1
}
`;

test("a recurrent network: two products a round with all else in their epilogues, states stacked where they are made", () => {
  check(recurrent, {}, near);
  expect(profile(recurrent).inside).toEqual({ kernel: 2, swap: 1 });
});

test("carries that exchange their values exchange their memory", () => {
  const fibonacci = `graph @fibonacci(%a: f32[], %b: f32[]) {
  %0, %1 = scan captures(), init(%a, %b), xs() {length=7, reverse=false} : f32[], f32[]
    graph @step(%x: f32[], %y: f32[]) {
      %0 = add %x, %y : f32[]
      return %y, %0
    }
  return %0, %1
}
`;
  check(fibonacci);
  expect(profile(fibonacci).inside).toEqual({ kernel: 1, swap: 2 });
  const turning = `graph @turning(%a: f32[3], %b: f32[3], %c: f32[3]) {
  %0, %1, %2 = scan captures(), init(%a, %b, %c), xs() {length=4, reverse=false} : f32[3], f32[3], f32[3]
    graph @step(%x: f32[3], %y: f32[3], %z: f32[3]) {
      return %y, %z, %x
    }
  return %0, %1, %2
}
`;
  check(turning);
  expect(profile(turning).inside).toEqual({ swap: 2 });
});

/** A while loop over a table: `body` makes %new of the table %t at %i. */
const walk = (body: string): string => `graph @walk(%t: state f32[40], %n: i32[]) {
  %i = const {dtype=i32, shape=[], data=[1]} : i32[]
  %0, %1 = while captures(%n), init(%i, %t) : i32[], f32[40]
    graph @test(%n: i32[], %i: i32[], %t: f32[40]) {
      %0 = lt %i, %n : bool[]
      return %0
    }
    graph @body(%n: i32[], %i: i32[], %t: f32[40]) {
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %next = add %i, %one : i32[]
${body}
      return %next, %new
    }
  return state[0] %1, %0
}
`;

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

const bubble = `graph @bubble(%x: f32[9]) {
  %i = iota {dtype=i32, shape=[8], axis=0} : i32[8]
  %0 = scan captures(%i), init(%x), xs() {length=9, reverse=false} : f32[9]
    graph @outer(%is: i32[8], %x: f32[9]) {
      %0 = scan captures(), init(%x), xs(%is) {length=8, reverse=false} : f32[9]
        graph @inner(%x: f32[9], %j: i32[]) {
          %one = const {dtype=i32, shape=[], data=[1]} : i32[]
          %k = add %j, %one : i32[]
          %a = dynamicSlice %x, %j {sizes=[1]} : f32[1]
          %b = dynamicSlice %x, %k {sizes=[1]} : f32[1]
          %a0 = reshape %a {shape=[]} : f32[]
          %b0 = reshape %b {shape=[]} : f32[]
          %c = gt %a0, %b0 : bool[]
          %r = cond index(%c), captures(%x, %a, %b, %j, %k) : f32[9]
            graph @no(%x: f32[9], %a: f32[1], %b: f32[1], %j: i32[], %k: i32[]) {
              return %x
            }
            graph @yes(%x: f32[9], %a: f32[1], %b: f32[1], %j: i32[], %k: i32[]) {
              %0 = dynamicUpdateSlice %x, %b, %j : f32[9]
              %1 = dynamicUpdateSlice %0, %a, %k : f32[9]
              return %1
            }
          return %r
        }
      return %0
    }
  return %0
}
`;

test("through a branch in a loop in a loop, too: sorting by exchanges works in the result's memory", () => {
  check(bubble);
  const { inside, outside } = profile(bubble);
  expect(inside["copy"]).toBeUndefined();
  expect(inside["swap"]).toBeUndefined();
  expect(outside["copy"]).toBe(1);
});

const newton = `graph @root(%a: f32[]) {
  %one = const {dtype=f32, shape=[], data=[1]} : f32[]
  %0 = while captures(%a), init(%one) : f32[]
    graph @test(%a: f32[], %x: f32[]) {
      %0 = mul %x, %x : f32[]
      %1 = sub %0, %a : f32[]
      %2 = abs %1 : f32[]
      %eps = const {dtype=f32, shape=[], data=[0.001]} : f32[]
      %3 = gt %2, %eps : bool[]
      return %3
    }
    graph @body(%a: f32[], %x: f32[]) {
      %0 = div %a, %x : f32[]
      %1 = add %x, %0 : f32[]
      %h = const {dtype=f32, shape=[], data=[0.5]} : f32[]
      %2 = mul %1, %h : f32[]
      return %2
    }
  return %0
}
`;

test("a while loop takes one kernel a round, which also tests whether there is another", () => {
  check(newton, { lo: 1, hi: 50 });
  expect(profile(newton)).toEqual({ inside: { kernel: 1 }, outside: { copy: 1, kernel: 1, while: 1 }, arena: 64 });
});

test("a branch stores its results where they are wanted, and what it passes through in place stays", () => {
  const text = `graph @pick(%p: bool[], %x: f32[8], %w: state f32[8]) {
  %0, %1 = cond index(%p), captures(%x, %w) : f32[8], f32[8]
    graph @no(%x: f32[8], %w: f32[8]) {
      return %x, %w
    }
    graph @yes(%x: f32[8], %w: f32[8]) {
      %0 = add %x, %w : f32[8]
      %1 = mul %x, %w : f32[8]
      return %0, %1
    }
  return %0, state[2] %1
}
`;
  check(text);
  // Two copies in one branch (that of the state does nothing where it is in place), one kernel in the other.
  expect(profile(text)).toEqual({ inside: {}, outside: { if: 1, copy: 2, kernel: 1 }, arena: 0 });
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
    { runs: fuzzRuns(40, 400), accept: isExact, exact: true, regions: true },
  );
});

test("random branches and loops inside each other", () => {
  checkRandomRegions(
    ({ graph, args }) => {
      verifyGraph(graph);
      checkForms(graph, args);
    },
    { runs: fuzzRuns(100, 1000) },
  );
});
