// What every verb of the command is given. A verb is one file (or folder) under verbs/ that adds itself to the program.
import type { Command } from "commander";

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export interface Context {
  readonly output: Output;
  /** Sets the exit code: 0 fine, 1 findings in the user's program, 2 misuse of the command. */
  readonly exit: (code: 0 | 1 | 2) => void;
}

/** Adds a verb's command to the program. */
export type Verb = (program: Command, context: Context) => void;

/** What is wrong with the command line, as opposed to the program: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

export const terminal: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};
