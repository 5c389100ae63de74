/**
 * Counted loops over plain numbers whose body is pure: instead of as many copies of the body as there are rounds, one
 * operation with the counter as a tensor, where the body can do with that. Where it needs the number, it is unrolled.
 */
import type { Loc } from "@sinter/ir";
import { currentTrace, type TraceFrame } from "../frame.ts";
import { add, emit, scalar } from "../kit.ts";
import type { Tensor } from "../tensor.ts";
import { type State, startsUnset } from "./arm.ts";
import { type Counted, countRounds, isWhole, type Own } from "./count.ts";
import { handle } from "./leaf.ts";
import {
  type Extra,
  emitStagedScan,
  emitStagedWhile,
  isNumbersOnly,
  type TracedLoop,
  traceLoop,
} from "./staged-loop.ts";
import { StagingError } from "./staging-error.ts";
import { truthOf, truthRef } from "./truth.ts";
import { unrollLimit } from "./unroll.ts";

/** Loops of at most this many rounds are unrolled. */
const rollThreshold = 16;
/**
 * The same for loops that may end early. Unrolled, each round but the first is an `if` that the next one depends on: no
 * kernel reaches over it, and derivatives save and replay every one of them, so that a loop costs less from three on.
 */
const exitThreshold = 2;

/** A `for` loop, as the functions that the transform has made of its parts. */
export interface ForLoop {
  readonly loc: Loc;
  /** The loop's own variables. */
  readonly vars: readonly string[];
  readonly test: (...own: Own) => unknown;
  readonly update: (...own: Own) => Own;
  readonly body: (...own: Own) => Own;
  /** Goes on while true; null where nothing leaves the loop early. */
  readonly exits: (() => unknown) | null;
  /** Whether the loop may be one operation though nothing leaves it early. */
  readonly rollable: boolean;
  readonly state: State;
}

type Attempt = { readonly done: true } | { readonly done: false; readonly reason: unknown };
/** What is left to do of the loop: from `own` on, because it could not be rolled. */
export type Rolled =
  | { readonly done: true }
  | {
      readonly done: false;
      readonly own: Own;
      readonly reason: unknown;
      /** Undefined where the head does more than count. */
      readonly rounds: number | undefined;
    };

/** Loops that could not be rolled: in the same frame they need not try again, when a loop around them is unrolled. */
const failed = new WeakMap<Loc, { readonly frame: TraceFrame; readonly reason: unknown }>();

/** Does the loop where it can be one operation; else says where to go on, and why it is none. */
export function tryRoll(loop: ForLoop, first: Own): Rolled {
  const { loc, test, update, body, exits, state } = loop;
  const frame = currentTrace()!;
  const counted = countRounds(first, test, update, state);
  let own = first;
  let rounds = counted?.rounds;
  const unrolled = (reason?: unknown): Rolled => ({ done: false, own, reason, rounds });
  if (counted === undefined || counted.rounds <= (exits === null ? rollThreshold : exitThreshold)) return unrolled();
  const known = failed.get(loc);
  if (known?.frame === frame) return unrolled(known.reason);
  rounds = counted.rounds;
  // What the first round initialises has a value in all others.
  if (startsUnset(state)) {
    own = update(...body(...first));
    rounds--;
    if (noneTaken(loop) === false) return { done: true };
  }
  const attempt = roll(loop, own, { ...counted, rounds });
  if (attempt.done) return attempt;
  if (attempt.reason === undefined) return unrolled();
  failed.set(loc, { frame, reason: attempt.reason });
  if (exits === null && counted.rounds > unrollLimit) throw tooLong(loc, counted.rounds, attempt.reason);
  return unrolled(attempt.reason);
}

/** Whether no jump was taken. */
export function noneTaken({ loc, exits }: ForLoop): ReturnType<typeof truthOf> {
  return exits === null ? true : truthOf(loc, "the flag of a jump", exits());
}

/** A reason of undefined: the loop is better left as it is. */
function roll(loop: ForLoop, first: Own, { rounds, steps }: Counted): Attempt {
  const { loc, vars, test, body, state } = loop;
  const counters = steps.flatMap((step, i) => (step === undefined ? [] : [{ step, at: i }]));
  const extras = counters.map(
    ({ at }): Extra => ({ type: { dtype: "i32", shape: [], name: vars[at]! }, weak: true, carried: true }),
  );
  const entered = noneTaken(loop);
  let none = entered;
  try {
    const traced = traceLoop(loc, "for loop", state, extras, (now: readonly Tensor[]) => {
      const own = [...first];
      counters.forEach(({ at }, i) => {
        own[at] = now[i];
      });
      const after = body(...own);
      if (after.some((value, i) => value !== own[i]))
        throw new StagingError("the body changes the variables that the loop counts with", loc);
      if (test(...first) !== true) throw new StagingError("the body changes what the loop's condition depends on", loc);
      none = noneTaken(loop);
      return counters.map(({ step }, i) => add(now[i]!.ref("a counter"), scalar("i32", step)));
    });
    // It always ends after one round, or never early and leaves numbers behind.
    if (none === false || (none === true && entered === true && !loop.rollable)) return leave;
    if (isNumbersOnly(traced)) return leave;
    const inits = counters.map(({ at }) => scalar("i32", first[at] as number));
    if (none === true && entered === true) {
      if (loop.exits !== null && rounds <= rollThreshold) return leave;
      emitStagedScan(traced, inits, [], rounds);
      return { done: true };
    }
    const { step, at } = counters[0]!;
    const stop = (first[at] as number) + step * rounds;
    if (!isWhole(stop)) throw new StagingError("its counter leaves the range of i32", loc);
    stageExits(loop, traced, extras, inits, { step, stop, rounds });
    return { done: true };
  } catch (error) {
    return { done: false, reason: error };
  }
}

const leave: Attempt = { done: false, reason: undefined };

/** A loop that ends where its first counter reaches `stop`, or a jump was taken. */
function stageExits(
  loop: ForLoop,
  traced: TracedLoop,
  extras: readonly Extra[],
  inits: ReturnType<typeof scalar>[],
  { step, stop, rounds }: { readonly step: number; readonly stop: number; readonly rounds: number },
): void {
  const test = ([now]: readonly Tensor[]): unknown => {
    const counting = emit(step > 0 ? "lt" : "gt", [now!.ref("a counter"), scalar("i32", stop)]);
    return handle(emit("and", [truthRef(noneTaken(loop)), counting]), true);
  };
  emitStagedWhile(traced, extras, inits, test, rounds);
}

export function tooLong(loc: Loc, rounds: number, reason: unknown): StagingError {
  const why = reason instanceof Error ? reason.message.split("\n")[0]!.replace(/\.$/, "") : String(reason);
  return new StagingError(
    `a loop of ${rounds} iterations is too long to unroll while tracing (the most is ${unrollLimit}), and cannot be one loop of the program because: ${why}. ` +
      "Write 'for (const i of range(n))' and keep the counter a tensor in the body",
    loc,
    { cause: reason },
  );
}
