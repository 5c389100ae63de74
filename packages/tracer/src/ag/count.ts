/** How often a counted loop goes round: found by running its head alone, since that is known to do nothing but count. */
import type { State } from "./arm.ts";

/** Rounds there are at most. */
const mostRounds = 2 ** 31 - 1;
/** Rounds that are counted by running the loop's head. */
const countedOneByOne = 100_000;

export type Own = unknown[];

export interface Counted {
  readonly rounds: number;
  /** How much each variable grows in a round; undefined for what stays the same. */
  readonly steps: readonly (number | undefined)[];
}

/** Runs the head of the loop without its body. Undefined where it does not count in equal whole steps. */
export function countRounds(
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

export function isWhole(value: number): boolean {
  return (value | 0) === value;
}
