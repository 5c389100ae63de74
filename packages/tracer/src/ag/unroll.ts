/** How many rounds of a native loop may add operations to a program before that is an error. */
import type { Loc } from "@sinter/ir";
import { currentTrace } from "../frame.ts";
import { StagingError } from "./staging-error.ts";

export const unrollLimit = 10_000;

/** Counts the rounds of a native loop that add operations to the program being traced. */
export class Unrolling {
  private readonly frame = currentTrace();
  private size = 0;
  private rounds = 0;
  private readonly loc: Loc;
  /** Why the loop is not one operation, if somebody tried. */
  private readonly reason: unknown;

  constructor(loc: Loc, reason?: unknown) {
    this.loc = loc;
    this.reason = reason;
    this.size = this.frame?.builder.size ?? 0;
  }

  /** Ends a round. */
  round(): void {
    const { frame } = this;
    if (frame === undefined) return;
    const { size } = frame.builder;
    if (size === this.size) return;
    this.size = size;
    if (++this.rounds <= unrollLimit) return;
    const because =
      this.reason instanceof Error ? ` It cannot be one loop of the program because: ${firstLine(this.reason)}.` : "";
    throw new StagingError(
      `loop unrolled more than ${unrollLimit} iterations while tracing: its condition is a JS value, so that each round adds its operations to the program.${because} ` +
        "Write 'for (const i of range(n))', or make the condition a tensor",
      this.loc,
      { cause: this.reason },
    );
  }
}

function firstLine(error: Error): string {
  return error.message.split("\n")[0]!.replace(/\.$/, "");
}
