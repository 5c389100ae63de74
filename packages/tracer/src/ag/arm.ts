/**
 * Arms: the pieces of staged constructs, each traced in a block of its own. Here is what they share: the variables they
 * assign, where a `throw` in one goes, and what stands for a value that does not exist.
 */
import type { Loc } from "@sinter/ir";
import { type Block, type BlockType, emitCheck, traceBlock } from "../control/blocks.ts";
import { SinterError } from "../errors.ts";
import { currentTrace, type TraceFrame } from "../frame.ts";
import type { Tensor } from "../tensor.ts";
import { placeText, StagingError, within } from "./staging-error.ts";

/** The variables and paths that a construct assigns; the first `live` are used after it. */
export interface State {
  readonly get: () => unknown[];
  readonly set: (values: unknown[]) => void;
  readonly names: readonly string[];
  readonly live: number;
}

/** Whether a variable that is used later has no value yet: the first round of a loop may give it one. */
export function startsUnset({ get, live }: State): boolean {
  return get()
    .slice(0, live)
    .some((value) => value === undefined);
}

class Unset {
  toString(): string {
    return "no value yet";
  }
}
/** The value of a function's result before it returns: never read, because a flag guards it. */
export const U: unknown = new Unset();

/** Ends an arm that throws. Its check is made where the arm ends; there is none where others hold it already. */
class Divergence {
  readonly error: Error | undefined;
  constructor(error: Error | undefined) {
    this.error = error;
  }
}

const armFrames = new WeakSet<TraceFrame>();

/** Whether what happens now happens only if a staged condition says so. */
export function inArm(): boolean {
  const frame = currentTrace();
  return frame !== undefined && armFrames.has(frame);
}

/** Leaves the arm that is being traced. */
export function diverge(error: Error | undefined): never {
  throw new Divergence(error);
}

export interface Arm<T> {
  readonly block: Block;
  /** Undefined where the arm always throws. */
  readonly ended: { readonly result: T; readonly values: readonly unknown[] } | undefined;
}

/** Arms within arms; more are a recursion. */
const deepest = 200;
let depth = 0;

function tooDeep(loc: Loc): StagingError {
  return new StagingError(
    `staged code is nested more than ${deepest} deep: a function that calls itself until a tensor says so does not end while it is traced; write a loop`,
    loc,
  );
}

/** Whether code that the transform has not converted threw it: not we, and not the engine. */
function isUsers(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof SinterError) return false;
  if (error instanceof TypeError || error instanceof ReferenceError) return false;
  return !/^(Maximum call stack|Invalid array length)/.test(error.message);
}

function misplaced(what: string, loc: Loc, error: Error): StagingError {
  return new StagingError(
    `${what} threw ${error.name}: ${error.message.split("\n")[0]} while it was traced, where it is not known whether it will run. ` +
      "Write the throw in it, not in a function that it calls, or use assert(condition, message)",
    loc,
    { cause: error },
  );
}

/** Traces an arm from `start` (values of the state). `what` and `loc` name it: "the then-branch of the if". */
export function traceArm<T>(
  what: string,
  loc: Loc,
  state: State,
  types: readonly BlockType[],
  start: (params: readonly Tensor[]) => readonly unknown[],
  body: (params: readonly Tensor[]) => T,
): Arm<T> {
  if (depth >= deepest) throw tooDeep(loc);
  depth++;
  try {
    return traceIn(what, loc, state, types, start, body);
  } catch (error) {
    throw isUsers(error) ? misplaced(what, loc, error) : error;
  } finally {
    depth--;
  }
}

function traceIn<T>(
  what: string,
  loc: Loc,
  state: State,
  types: readonly BlockType[],
  start: (params: readonly Tensor[]) => readonly unknown[],
  body: (params: readonly Tensor[]) => T,
): Arm<T> {
  return within(what, loc, () => {
    const { block, result } = traceBlock(`${what.replace(/^the /, "")} at ${placeText(loc)}`, types, (params) => {
      const frame = currentTrace()!;
      armFrames.add(frame);
      state.set([...start(params)]);
      try {
        const result = body(params);
        return { result, values: state.get() };
      } catch (error) {
        if (!(error instanceof Divergence)) throw error;
        if (error.error !== undefined) emitCheck(frame.scalar("bool", 0), error.error);
        return undefined;
      } finally {
        frame.tag(loc);
      }
    });
    return { block, ended: result };
  });
}
