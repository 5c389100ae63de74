/**
 * Errors of staged control flow. Each says where in the source it is, as "(a.ts:10:3)" and never as a line of a stack,
 * which test runners would take for one; errors from inside a construct tell which one was being traced.
 */
import type { Loc } from "@sinter/ir";
import { SinterError, withoutOwnFrames } from "../errors.ts";

/** Control flow that cannot become part of the program as it is written. */
export class StagingError extends SinterError {
  override readonly name = "StagingError";

  constructor(message: string, loc: Loc, options: { readonly cause?: unknown } = {}) {
    super(`${message} ${placeText(loc)}`, { place: plainText(loc) });
    if (options.cause !== undefined) this.cause = options.cause;
    // Ours would come first, many to each level of nesting, and what shows the first line would show one of ours.
    if (this.stack !== undefined) this.stack = withoutOwnFrames(this.stack);
  }
}

function plainText(loc: Loc): string {
  return `${loc.file}:${loc.line}:${loc.column}`;
}

/** `(src/a.ts:10:3)` */
export function placeText(loc: Loc): string {
  return `(${plainText(loc)})`;
}

/** Runs `body`; a Sinter error from inside tells that `what` was being traced. `what`: "the then-branch of the if". */
export function within<T>(what: string, loc: Loc, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof SinterError) tell(error, `${what} at ${placeText(loc)}`);
    throw error;
  }
}

/** How many constructs around an error it tells of. */
const mostTold = 8;
const lineStart = "\n  while tracing ";
const more = "\n  and others around it";

function tell(error: Error, line: string): void {
  const { message, stack } = error;
  if (message.endsWith(more)) return;
  const told = message.split(lineStart).length > mostTold ? `${message}${more}` : `${message}${lineStart}${line}`;
  error.message = told;
  // The stack begins with the message as it was when the error was made.
  if (stack?.includes(message)) error.stack = stack.replace(message, () => told);
}
