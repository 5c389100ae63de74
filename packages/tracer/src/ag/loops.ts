/**
 * Loops on conditions: `while`, `do while`, `for`. Rounds run as they are while the condition is a JavaScript value; as
 * soon as it is a tensor, the rest becomes one operation.
 */
import type { Loc } from "@sinter/ir";
import { currentTrace, type TraceFrame, type VariableCell } from "../frame.ts";
import type { Traced } from "../lazy.ts";
import type { State } from "./arm.ts";
import { and, if_ } from "./branch.ts";
import { type ForLoop, noneTaken, tooLong, tryRoll } from "./roll.ts";
import { type Extra, emitStagedWhile, traceLoop } from "./staged-loop.ts";
import { truthOf, truthRef } from "./truth.ts";
import { Unrolling, unrollLimit } from "./unroll.ts";

type Get = () => unknown[];
type Set = (values: unknown[]) => void;

/** `while (test()) body()` */
export function while_(
  loc: Loc,
  test: () => unknown,
  body: () => void,
  get: Get,
  set: Set,
  names: readonly string[],
  live: number,
): void {
  if (currentTrace() === undefined) while (truthOf(loc, "the condition of the while loop", test())) body();
  else runWhile(loc, "while loop", test, body, { get, set, names, live }, new Unrolling(loc));
}

/** `do body(); while (test())` */
export function doWhile_(
  loc: Loc,
  body: () => void,
  test: () => unknown,
  get: Get,
  set: Set,
  names: readonly string[],
  live: number,
): void {
  if (currentTrace() === undefined) {
    do body();
    while (truthOf(loc, "the condition of the do-while loop", test()));
    return;
  }
  const unrolling = new Unrolling(loc);
  body();
  unrolling.round();
  // The test may read what the body assigned, also what nobody reads after the loop: all of it goes round.
  const state = { get, set, names, live: Math.max(live, names.length) };
  runWhile(loc, "do-while loop", test, body, state, unrolling);
}

/**
 * `for (init; test; update) body`. The loop's own variables are parameters, so that each round has its own, as in
 * JavaScript; `init`, `update` and `body` give their values. `rollable`: it counts, and its body is known to be pure.
 * `exits`: of a loop that counts and is pure, whether no jump out of it was taken; null where none can be, or where
 * `test` asks it.
 */
export function for_(
  loc: Loc,
  init: () => unknown[],
  test: (...own: unknown[]) => unknown,
  update: (...own: unknown[]) => unknown[],
  body: (...own: unknown[]) => unknown[],
  get: Get,
  set: Set,
  names: readonly string[],
  live: number,
  vars: readonly string[],
  rollable: boolean,
  exits: (() => unknown) | null = null,
): void {
  let own = init();
  const asked = (): unknown => (exits === null ? test(...own) : and(loc, exits(), () => test(...own)));
  if (currentTrace() === undefined) {
    while (truthOf(loc, "the condition of the for loop", asked())) own = update(...body(...own));
    return;
  }
  const loop: ForLoop = { loc, vars, test, update, body, exits, rollable, state: { get, set, names, live } };
  const rolled = rollable || exits !== null ? tryRoll(loop, own) : undefined;
  if (rolled?.done === true) return;
  own = rolled?.own ?? own;
  if (exits !== null && rolled?.rounds !== undefined) {
    unrollGuarded(loop, own, rolled.rounds, rolled.reason);
    return;
  }
  const count = vars.length;
  runWhile(
    loc,
    "for loop",
    asked,
    () => {
      own = update(...body(...own));
    },
    {
      get: () => [...own, ...get()],
      set: (values) => {
        own = values.slice(0, count);
        set(values.slice(count));
      },
      names: [...vars, ...names],
      live: count + live,
    },
    new Unrolling(loc, rolled?.reason),
  );
}

/** The rounds of a loop that is no single operation, each of which runs only where no jump was taken before it. */
function unrollGuarded(loop: ForLoop, first: unknown[], rounds: number, reason: unknown): void {
  const { loc, test, update, body, state } = loop;
  const unrolling = new Unrolling(loc, reason);
  for (let own = first; test(...own) === true; own = update(...own)) {
    const none = noneTaken(loop);
    if (none === false) return;
    // From here on every round will be guarded.
    if (none !== true && rounds > unrollLimit) throw tooLong(loc, rounds, reason);
    // Of its own variables the body changes none.
    const round = (): void => {
      body(...own);
    };
    if_(loc, loop.exits!(), round, null, state.get, state.set, state.names, state.live);
    unrolling.round();
  }
}

/** Rounds in JavaScript until the condition is a value of the trace; the rest is staged. */
function runWhile(
  loc: Loc,
  what: string,
  test: () => unknown,
  body: () => void,
  state: State,
  unrolling: Unrolling,
): void {
  const frame = currentTrace()!;
  for (;;) {
    const before = state.get();
    const written = new Writes(frame);
    const truth = truthOf(loc, `the condition of the ${what}`, test());
    frame.tag(loc);
    if (truth === false) return;
    if (truth !== true) {
      const assigned = assignedBetween(before, state.get());
      if (assigned.length > 0) {
        stageRotated(loc, what, test, body, reordered(state, assigned), truth);
        return;
      }
      written.undo();
      state.set(before);
      const loop = traceLoop(loc, what, state, [], () => {
        body();
        return [];
      });
      emitStagedWhile(loop, [], [], test);
      return;
    }
    body();
    unrolling.round();
  }
}

/** What the variables of the program are at one point, to undo what a trial assigned. */
class Writes {
  private readonly frame: TraceFrame;
  private readonly now: ReadonlyMap<VariableCell, Traced>;

  constructor(frame: TraceFrame) {
    this.frame = frame;
    this.now = new Map([...frame.states].map(([variable, use]) => [variable, use.now]));
  }

  undo(): void {
    for (const [variable, use] of this.frame.states) use.now = this.now.get(variable) ?? use.entry;
  }
}

/** Positions of variables that a test assigned. */
function assignedBetween(before: readonly unknown[], after: readonly unknown[]): readonly number[] {
  return after.flatMap((value, i) => (Object.is(value, before[i]) ? [] : [i]));
}

/** The state with what the test assigns among the live variables: the body may use it. */
function reordered(state: State, assigned: readonly number[]): State {
  const moved = assigned.filter((i) => i >= state.live);
  const all = state.names.map((_, i) => i);
  const order = [...all.slice(0, state.live), ...moved, ...all.slice(state.live).filter((i) => !moved.includes(i))];
  const place = all.map((i) => order.indexOf(i));
  return {
    get: () => {
      const values = state.get();
      return order.map((i) => values[i]);
    },
    set: (values) => {
      state.set(place.map((i) => values[i]));
    },
    names: order.map((i) => state.names[i]!),
    live: state.live + moved.length,
  };
}

const goesOn: readonly Extra[] = [{ type: { dtype: "bool", shape: [], name: "more" }, weak: true, carried: true }];

/** A loop whose test assigns variables: it runs before the loop and at the end of each round, and its answer is carried. */
function stageRotated(
  loc: Loc,
  what: string,
  test: () => unknown,
  body: () => void,
  state: State,
  first: Traced,
): void {
  const loop = traceLoop(loc, what, state, goesOn, () => {
    body();
    return [truthRef(truthOf(loc, `the condition of the ${what}`, test()))];
  });
  emitStagedWhile(loop, goesOn, [first], ([more]) => more);
}
