/**
 * The body of a staged loop: traced until it is known what it carries, then once with only that. What it carried is
 * remembered by the place of the loop, so that loops in loops are not traced anew for each attempt of those around them.
 */
import type { Loc } from "@sinter/ir";
import { type Block, type BlockType, emitScan, emitWhile, traceBlock } from "../control/blocks.ts";
import { currentTrace } from "../frame.ts";
import type { Ref } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { type State, traceArm } from "./arm.ts";
import {
  blockTypes,
  carriesOf,
  type Guesses,
  initsIn,
  Joiner,
  outsIn,
  type Slot,
  slotValue,
  startSlot,
  valuesOf,
  WrongGuess,
} from "./header.ts";
import { handle, type LeafType } from "./leaf.ts";
import { placeText, within } from "./staging-error.ts";
import { truthOf, truthRef } from "./truth.ts";

/** A value that the loop itself keeps, beside the variables: a counter, or a slice of what is iterated. */
export interface Extra {
  readonly type: BlockType;
  /** It stands for a number. */
  readonly weak: boolean;
  /** Whether a round gives its next value. */
  readonly carried: boolean;
}

/** What a loop carries, and its body. */
export interface TracedLoop {
  readonly loc: Loc;
  /** "while loop" */
  readonly what: string;
  readonly slots: readonly Slot[];
  readonly types: readonly BlockType[];
  readonly block: Block;
  /** Next carries, then what the body gave for the extras. */
  readonly outs: readonly Ref[];
  readonly state: State;
  readonly before: readonly unknown[];
}

const remembered = new WeakMap<Loc, Guesses>();
/** Each attempt carries more or wider values than the last; values are few. */
const mostAttempts = 100;

/** Traces the body of a loop. `body` gets the extras and gives what follows the carries. Leaves the state as it was. */
export function traceLoop(
  loc: Loc,
  what: string,
  state: State,
  extras: readonly Extra[],
  body: (extras: readonly Tensor[]) => readonly Ref[],
): TracedLoop {
  const before = state.get();
  const guesses = remembered.get(loc);
  try {
    if (guesses !== undefined) {
      try {
        const loop = settle(loc, what, state, before, extras, body, guesses);
        if (loop !== undefined) return loop;
      } catch {
        // Whatever went wrong with the guesses, without them it is right or the user's.
      }
    }
    const loop = settle(loc, what, state, before, extras, body, undefined)!;
    remembered.set(loc, guessesOf(loop.slots, state.names));
    return loop;
  } finally {
    state.set([...before]);
  }
}

function guessesOf(slots: readonly Slot[], names: readonly string[]): Guesses {
  const guesses = new Map<string, LeafType>();
  slots.forEach((slot, i) => {
    for (const carried of carriesOf(slot, names[i]!)) guesses.set(carried.path, carried.slot.type);
  });
  return guesses;
}

/** Generated names of flags: the loop ends where one that the loop's body sets is true, so that a round begins with none. */
function isExitFlag(name: string): boolean {
  return /^\$(?:r|[bc]\d+)$/.test(name);
}

/** Undefined where the guesses do not hold. */
function settle(
  loc: Loc,
  what: string,
  state: State,
  before: readonly unknown[],
  extras: readonly Extra[],
  body: (extras: readonly Tensor[]) => readonly Ref[],
  guesses: Guesses | undefined,
): TracedLoop | undefined {
  const { names, live } = state;
  let slots: readonly Slot[] = before.slice(0, live).map((value, i) => startSlot(value, names[i]!, guesses));
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const types = blockTypes(slots, names);
    let start: readonly unknown[] = [];
    const { block, ended } = traceArm(
      `the body of the ${what}`,
      loc,
      state,
      [...types, ...extras.map(({ type }) => type)],
      (params) => {
        const values = valuesOf(slots, params.slice(0, types.length).map(refOf));
        start = values.map((value, i) => (isExitFlag(names[i]!) ? false : value));
        return [...start, ...before.slice(live)];
      },
      (params) => body(params.slice(types.length).map((param, i) => handle(refOf(param), extras[i]!.weak))),
    );
    // A body that always throws changes nothing.
    const after = ended?.values ?? start;
    const joiner = new Joiner(loc, block.frame);
    const next = slots.map((slot, i) => joinGuess(joiner, slot, start[i], after[i], names[i]!));
    if (next.includes(undefined)) return undefined;
    if (next.every((slot, i) => slot === slots[i])) {
      const outs = slots.flatMap((slot, i) => outsIn(block.frame, slot, after[i]));
      const own = block.params.slice(types.length);
      const more = ended?.result ?? own.filter((_, i) => extras[i]!.carried);
      return { loc, what, slots, types, block, outs: [...outs, ...more], state, before };
    }
    if (guesses !== undefined) return undefined;
    slots = next as readonly Slot[];
  }
  throw new Error(`the types of a loop at ${placeText(loc)} do not settle`);
}

function joinGuess(joiner: Joiner, slot: Slot, start: unknown, after: unknown, path: string): Slot | undefined {
  try {
    return joiner.join(slot, start, after, path);
  } catch (error) {
    if (error instanceof WrongGuess) return undefined;
    throw error;
  }
}

function refOf(param: Tensor): Ref {
  return param.ref("a loop");
}

/** Gives the variables their values after the loop. */
function finish({ state, slots, before, loc }: TracedLoop, results: readonly Ref[]): void {
  currentTrace()!.tag(loc);
  state.set([...valuesOf(slots, results), ...before.slice(state.live)]);
}

/**
 * Emits a loop that goes on while `test` says so; it gets the extras. `inits`: of the extras. `atMost`: rounds after which
 * the test is known to say no.
 */
export function emitStagedWhile(
  loop: TracedLoop,
  extras: readonly Extra[],
  inits: readonly Ref[],
  test: (extras: readonly Tensor[]) => unknown,
  atMost?: number,
): void {
  const { loc, what, slots, types, block, outs, state, before } = loop;
  const frame = currentTrace()!;
  const name = `test of the ${what}`;
  try {
    const asked = within(`the ${name}`, loc, () =>
      traceBlock(`${name} at ${placeText(loc)}`, [...types, ...extras.map(({ type }) => type)], (params) => {
        const values = valuesOf(slots, params.slice(0, types.length).map(refOf));
        state.set([...values, ...before.slice(state.live)]);
        const given = params.slice(types.length).map((param, i) => handle(refOf(param), extras[i]!.weak));
        const truth = truthRef(truthOf(loc, `the condition of the ${what}`, test(given)));
        currentTrace()!.tag(loc);
        return currentTrace()!.lift(truth);
      }),
    );
    frame.at({ ...loc, name: what });
    const init = [...initsIn(frame, slots), ...inits];
    const options = atMost === undefined ? {} : { atMost };
    finish(loop, emitWhile(asked.block, asked.result, block, outs, init, options));
  } catch (error) {
    state.set([...before]);
    throw error;
  }
}

/** Emits a loop of as many rounds as are known. `inits`: of the extras that are carried; `xs`: what is iterated. */
export function emitStagedScan(loop: TracedLoop, inits: readonly Ref[], xs: readonly Ref[], length: number): void {
  const frame = currentTrace()!;
  frame.at({ ...loop.loc, name: loop.what });
  const init = [...initsIn(frame, loop.slots), ...inits];
  finish(loop, emitScan(loop.block, loop.outs, init, xs, { length }));
}

/** Whether a loop carries numbers only and computes them from nothing but numbers. */
export function isNumbersOnly({ slots, block }: TracedLoop): boolean {
  const carried = slots.flatMap((slot) => carriesOf(slot, ""));
  return (
    carried.every(({ slot }) => slot.type.weak && !(slot.init instanceof Tensor)) &&
    block.frame.captures.length === 0 &&
    block.frame.states.size === 0
  );
}

/** The values of the variables as the body sees them, for asking about the next round. */
export function startValues({ slots }: TracedLoop, refs: readonly Ref[]): unknown[] {
  let at = 0;
  return slots.map((slot) => slotValue(slot, () => refs[at++]));
}
