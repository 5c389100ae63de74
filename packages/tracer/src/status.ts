/**
 * Checks as data: a hidden number that is 0 while all is well, and else says which check failed first, or that a call of the
 * host did. It is threaded through a program like a variable; after a call whoever ran the program looks at it.
 */
import type { DType } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { eager, force } from "./eager.ts";
import type { HostRun } from "./effects/run.ts";
import { type TraceFrame, VariableCell } from "./frame.ts";
import { isOnGpu } from "./gpu/place.ts";
import { type Lazy, readLazy } from "./lazy.ts";

class StatusCell extends VariableCell {
  readonly name = "status";
  readonly named = true;
  readonly dtype: DType = "i32";
  readonly shape: readonly number[] = [];
  readonly trainable = false;
  override readonly initial = 0;

  current(): Lazy {
    return eager.scalar("i32", 0);
  }
  held(): Lazy {
    return this.current();
  }
  rebind(): void {
    throw new Error("the status of a program was assigned outside it");
  }
}

/** The status of whatever program is being traced. */
export const status: VariableCell = new StatusCell();

/** What a status means: a check that failed, or below 0 what a call of the host threw; undefined where all is well. */
export function failureOf(checks: readonly Error[], code: number, host: HostRun | undefined): unknown {
  return code === 0 ? undefined : (host?.failure(code) ?? checks[code - 1] ?? new Error(`check ${code} failed`));
}

/** What an eager status means. */
export function failureAt(frame: TraceFrame, code: Lazy): unknown {
  force(code);
  return failureOf(frame.checks, readLazy(theMachine().heap, code)[0]!, frame.host);
}

/** Throws where a program that ran eagerly says that something failed. */
export function throwFailure(frame: TraceFrame, code: Lazy): void {
  // On a GPU the call is still in flight: its results fail, and variables go back, when that is known.
  if (isOnGpu(code)) return;
  const failure = failureAt(frame, code);
  if (failure !== undefined) throw failure;
}
