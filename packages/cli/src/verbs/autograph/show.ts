// `sinter autograph show`: the source as the transform writes it, to see what a construct becomes.
import { readFileSync } from "node:fs";
import { isError, loadEngine } from "@sinter/autograph/host";
import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { display } from "../../text.ts";
import { type ProjectOptions, select } from "./files.ts";

export function show(group: Command, { output, exit }: Context): void {
  group
    .command("show")
    .description("print the transformed source of a file")
    .argument("<file>", "the file")
    .option("-p, --project <tsconfig>", "the tsconfig.json, or its folder; the nearest by default")
    .option("--production", "without checks and tags of operations")
    .option("--mode <mode>", '"types" (default) or "syntax"')
    .action(async (name: string, options: ProjectOptions) => {
      const engine = await loadEngine();
      const { host, files } = select(engine, [name], options);
      const file = files[0]!;
      const code = readFileSync(file, "utf8");
      const pending = host.transform(code, file);
      const outcome = "done" in pending ? pending.done : pending.run(engine);
      for (const report of outcome.reports) output.err(`${report.text}\n\n`);
      if (!outcome.changed) output.err(`${display(file)}: nothing to transform\n`);
      output.out(outcome.code);
      if (outcome.reports.some(isError)) exit(1);
    });
}
