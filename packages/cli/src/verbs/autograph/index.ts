// `sinter autograph`: the source transform from the command line.
import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { build } from "./build.ts";
import { check } from "./check.ts";
import { show } from "./show.ts";

export function autograph(program: Command, context: Context): void {
  const group = program
    .command("autograph")
    .description("the source transform of control flow on tensors")
    .copyInheritedSettings(program);
  for (const verb of [build, check, show]) verb(group, context);
}
