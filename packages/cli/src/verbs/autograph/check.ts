// `sinter autograph check`: everything the transform has to say about a project, for continuous integration.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Configuration, type Diagnostic, type Engine, type Host, loadEngine } from "@sinter/autograph/host";
import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { type ProjectOptions, select } from "./files.ts";
import { summary } from "./summary.ts";

interface CheckOptions extends ProjectOptions {
  readonly untransformed?: boolean;
}

export function check(group: Command, { output, exit }: Context): void {
  group
    .command("check")
    .description("print every diagnostic; exits with 1 where there is an error")
    .argument("[files...]", "files to check; those of the tsconfig.json where none is named")
    .option("-p, --project <tsconfig>", "the tsconfig.json, or its folder")
    .option("--untransformed", "report every tensor used as a condition, as for code that no transform sees")
    .option("--mode <mode>", '"types" (default) or "syntax"')
    .action(async (named: string[], options: CheckOptions) => {
      const engine = await loadEngine();
      const { host, files } = select(engine, named, options);
      const found = [...byConfiguration(host, files)].flatMap(([configuration, part]) =>
        host.autograph(engine, configuration).check(part, { transformed: !options.untransformed }),
      );
      for (const diagnostic of inOrder(found)) output.out(`${described(engine, host.root, diagnostic)}\n\n`);
      output.out(`${summary(found, files.length)}\n`);
      host.dispose();
      if (found.some((diagnostic) => diagnostic.severity === "error")) exit(1);
    });
}

function byConfiguration(host: Host, files: readonly string[]): Map<Configuration | null, string[]> {
  const parts = new Map<Configuration | null, string[]>();
  for (const file of files) {
    const configuration = host.configuration(file);
    const part = parts.get(configuration);
    if (part === undefined) parts.set(configuration, [file]);
    else part.push(file);
  }
  return parts;
}

function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort((a, b) => {
    const byFile = a.file < b.file ? -1 : a.file > b.file ? 1 : 0;
    return byFile || a.line - b.line || a.column - b.column;
  });
}

function described(engine: Engine, root: string, diagnostic: Diagnostic): string {
  return engine.formatDiagnostic(diagnostic, readFileSync(resolve(root, diagnostic.file), "utf8"));
}
