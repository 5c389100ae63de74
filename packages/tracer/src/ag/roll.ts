/**
 * Counted loops over plain numbers whose body is pure: instead of as many copies of the body as there are rounds, one
 * operation with the counter as a tensor, where the body can do with that. Where it needs the number, it is unrolled.
 */
import type { Loc } from "@sinter/ir";
import { currentTrace, type TraceFrame } from "../frame.ts";
import { add, scalar } from "../kit.ts";
import type { Tensor } from "../tensor.ts";
import { type State, startsUnset } from "./arm.ts";
import { type Extra, emitStagedScan, isNumbersOnly, traceLoop } from "./staged-loop.ts";
import { StagingError } from "./staging-error.ts";
import { unrollLimit } from "./unroll.ts";

/** Loops of at most this many rounds are unrolled. */
const rollThreshold = 16;
/** Rounds there are at most. */
const mostRounds = 2 ** 31 - 1;
/** Rounds that are counted by running the loop's head. */
const countedOneByOne = 100_000;

interface Counted {
  readonly rounds: number;
  /** How much each variable grows in a round; undefined for what stays the same. */
  readonly steps: readonly (number | undefined)[];
}

type Own = unknown[];
type Attempt = { readonly done: true } | { readonly done: false; readonly reason: unknown };
/** What is left to do of the loop: from `own` on, because it could not be rolled. */
export type Rolled = { readonly done: true } | { readonly done: false; readonly own: Own; readonly reason: unknown };

/** Loops that could not be rolled: in the same frame they need not try again, when a loop around them is unrolled. */
const failed = new WeakMap<Loc, { readonly frame: TraceFrame; readonly reason: unknown }>();

/** Does the loop where it can be one operation; else says where to go on, and why it is none. */
export function tryRoll(
  loc: Loc,
  first: Own,
  names: readonly string[],
  test: (...own: Own) => unknown,
  update: (...own: Own) => Own,
  body: (...own: Own) => Own,
  state: State,
): Rolled {
  const frame = currentTrace()!;
  const counted = countRounds(first, test, update, state);
  const unrolled = (own: Own, reason?: unknown): Rolled => ({ done: false, own, reason });
  if (counted === undefined || counted.rounds <= rollThreshold) return unrolled(first);
  const known = failed.get(loc);
  if (known?.frame === frame) return unrolled(first, known.reason);
  let own = first;
  let { rounds } = counted;
  // What the first round initialises has a value in all others.
  if (startsUnset(state)) {
    own = update(...body(...first));
    rounds--;
  }
  const attempt = roll(loc, own, names, { ...counted, rounds }, test, body, state);
  if (attempt.done) return attempt;
  if (attempt.reason === undefined) return unrolled(own);
  failed.set(loc, { frame, reason: attempt.reason });
  if (counted.rounds > unrollLimit) throw tooLong(loc, counted.rounds, attempt.reason);
  return unrolled(own, attempt.reason);
}

/** Runs the head of the loop without its body. Undefined where it does not count in equal whole steps. */
function countRounds(
  first: Own,
  test: (...own: Own) => unknown,
  update: (...own: Own) => Own,
  state: State,
): Counted | undefined {
  const before = state.get();
  let steps: readonly (number | undefined)[] | undefined;
  let rounds = 0;
  let own = first;
  for (;;) {
    const more = test(...own);
    if (more === false) break;
    if (more !== true) return undefined;
    rounds++;
    const next = update(...own);
    const found = next.map((value, i) => stepOf(own[i], value));
    if (found.includes(null)) return undefined;
    steps ??= found as readonly (number | undefined)[];
    if (found.some((step, i) => step !== steps![i])) return undefined;
    own = next;
    if (rounds < countedOneByOne) continue;
    const rest = roundsLeft(own, steps, test);
    if (rest === undefined) return undefined;
    rounds += rest;
    break;
  }
  if (state.get().some((value, i) => !Object.is(value, before[i]))) {
    state.set(before);
    return undefined;
  }
  return steps === undefined ? undefined : { rounds, steps };
}

/** How many rounds follow, where a condition that fails once fails for ever: by doubling, then halving. */
function roundsLeft(
  own: Own,
  steps: readonly (number | undefined)[],
  test: (...own: Own) => unknown,
): number | undefined {
  const holds = (rounds: number): boolean =>
    test(...own.map((value, i) => (steps[i] === undefined ? value : (value as number) + rounds * steps[i]))) === true;
  let [low, high] = [-1, 1];
  while (holds(high)) {
    if (high > mostRounds) return undefined;
    [low, high] = [high, high * 2];
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return high;
}

/** Null where a variable changes in another way than by a whole number. */
function stepOf(from: unknown, to: unknown): number | undefined | null {
  if (Object.is(from, to)) return undefined;
  return typeof from === "number" && typeof to === "number" && isWhole(from) && isWhole(to) ? to - from : null;
}

function isWhole(value: number): boolean {
  return (value | 0) === value;
}

/** A reason of undefined: the loop is better left as it is. */
function roll(
  loc: Loc,
  first: Own,
  names: readonly string[],
  { rounds, steps }: Counted,
  test: (...own: Own) => unknown,
  body: (...own: Own) => Own,
  state: State,
): Attempt {
  const counters = steps.flatMap((step, i) => (step === undefined ? [] : [{ step, at: i }]));
  const extras = counters.map(
    ({ at }): Extra => ({ type: { dtype: "i32", shape: [], name: names[at]! }, weak: true, carried: true }),
  );
  try {
    const loop = traceLoop(loc, "for loop", state, extras, (now: readonly Tensor[]) => {
      const own = [...first];
      counters.forEach(({ at }, i) => {
        own[at] = now[i];
      });
      const after = body(...own);
      if (after.some((value, i) => value !== own[i]))
        throw new StagingError("the body changes the variables that the loop counts with", loc);
      if (test(...first) !== true) throw new StagingError("the body changes what the loop's condition depends on", loc);
      return counters.map(({ step }, i) => add(now[i]!.ref("a counter"), scalar("i32", step)));
    });
    if (isNumbersOnly(loop)) return { done: false, reason: undefined };
    const inits = counters.map(({ at }) => scalar("i32", first[at] as number));
    emitStagedScan(loop, inits, [], rounds);
    return { done: true };
  } catch (error) {
    return { done: false, reason: error };
  }
}

function tooLong(loc: Loc, rounds: number, reason: unknown): StagingError {
  const why = reason instanceof Error ? reason.message.split("\n")[0]!.replace(/\.$/, "") : String(reason);
  return new StagingError(
    `a loop of ${rounds} iterations is too long to unroll while tracing (the most is ${unrollLimit}), and cannot be one loop of the program because: ${why}. ` +
      "Write 'for (const i of range(n))' and keep the counter a tensor in the body",
    loc,
    { cause: reason },
  );
}
