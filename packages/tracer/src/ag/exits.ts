/** Ways out of staged code: `return`, jumps out of loops that are unrolled, `throw`, and conditions that must be plain. */
import type { Loc } from "@sinter/ir";
import { currentTrace } from "../frame.ts";
import { diverge, inArm, U } from "./arm.ts";
import { noReturn } from "./merge.ts";
import { StagingError } from "./staging-error.ts";
import { isSymbolic, isTensorLike, truthOf } from "./truth.ts";
import { unrollLimit } from "./unroll.ts";

/** The result of a function some of whose returns are staged. `returned` is the flag, `value` what was returned. */
export function ret(loc: Loc, returned: unknown, value: unknown, endReachable: boolean): unknown {
  if (returned === false) {
    if (endReachable || value === U) return undefined;
    return value;
  }
  if (value === U || value === undefined) return undefined;
  if (returned !== true && endReachable && isSymbolic(returned)) throw noReturn(loc);
  return value;
}

/** Whether a native loop ends here, because all its staged jumps are plain and one was taken. `none`: no jump was taken. */
export function exit(loc: Loc, none: unknown, rounds: number): boolean {
  if (typeof none === "boolean") return !none;
  const going = truthOf(loc, "the flag of a jump", none);
  if (typeof going === "boolean") return !going;
  if (rounds > unrollLimit)
    throw new StagingError(
      `loop unrolled more than ${unrollLimit} iterations while tracing: its exit depends on a Tensor but its condition is a JS value; ` +
        "write 'for (const i of range(n))', or make the condition a tensor",
      loc,
    );
  return false;
}

/** `throw error()`. In a staged arm the program fails when it gets there, and the other arm's values go on. */
export function throw_(_loc: Loc, error: () => unknown): void {
  const thrown = error();
  if (currentTrace() === undefined || !inArm()) throw thrown;
  diverge(thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown }));
}

/** A condition of a statement that stays as it is. A symbolic tensor would be true without a word: an error, with `why`. */
export function bool(loc: Loc, why: string, value: unknown): unknown {
  if (!isTensorLike(value)) return value;
  if (isSymbolic(value))
    throw new StagingError(`the condition is a symbolic Tensor, but this statement is not staged: ${why}`, loc);
  return truthOf(loc, "the condition", value);
}
