/** The sinter command: the list of its verbs, and how their results become an exit code. */
import { Command, CommanderError } from "commander";
import { type Output, terminal, UsageError, type Verb } from "./context.ts";
import { autograph } from "./verbs/autograph/index.ts";
import { exportVerb } from "./verbs/export.ts";
import { inspect } from "./verbs/inspect.ts";

const verbs: readonly Verb[] = [autograph, exportVerb, inspect];

/** Runs the command with `args` (without node and script) and returns the exit code: 0 fine, 1 findings, 2 misuse. */
export async function run(args: readonly string[], output: Output = terminal): Promise<number> {
  let code = 0;
  const exit = (value: number): void => {
    code = value;
  };
  const program = new Command("sinter")
    .description("Tools of the Sinter graph compiler")
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  for (const verb of verbs) verb(program, { output, exit });
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    output.err(`sinter: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
