/** Who answers the calls of one run of a program: texts go to the sink, functions are called; what they throw is kept. */
import { type HostFunction, type HostValue, printedText } from "@sinter/ir";
import { describeValue, SinterError } from "../errors.ts";

/** A function of the user's as a program calls it: on values of the types that it was traced for. */
export type Callback = ((values: readonly HostValue[]) => readonly HostValue[]) & {
  /** What the user calls it. */
  readonly label: string;
};

export class HostRun {
  /** By status: -1, -2, ... */
  private readonly failures: unknown[] = [];
  readonly answer: HostFunction;

  /** `calls`: the functions that the program knows by number. */
  constructor(calls: readonly Callback[]) {
    this.answer = (call, values) => {
      try {
        if (call.kind === "call") return calls[call.id]!(values);
        writeText(printedText(call.format, values));
        return [];
      } catch (error) {
        return -this.failures.push(error ?? new SinterError(`a function called by hostCall threw ${error}`));
      }
    };
  }

  /** What was thrown where a status is below 0. */
  failure(status: number): unknown {
    return this.failures[-1 - status];
  }
}

type PrintSink = (text: string) => void;

let sink: PrintSink | undefined;

/**
 * Says where the texts of `print` go: to `write`, one call for each, or to `console.log` where it is undefined. Returns
 * what was said before.
 */
export function setPrintSink(write: ((text: string) => void) | undefined): ((text: string) => void) | undefined {
  if (write !== undefined && typeof write !== "function")
    throw new SinterError(`setPrintSink: write must be a function or undefined, not ${describeValue(write)}`);
  const before = sink;
  sink = write;
  return before;
}

let silent = false;

/** While `body` runs, `print` writes nothing. */
export function silently<T>(body: () => T): T {
  const before = silent;
  silent = true;
  try {
    return body();
  } finally {
    silent = before;
  }
}

export function writeText(text: string): void {
  if (silent) return;
  if (sink === undefined) console.log(text);
  else sink(text);
}
