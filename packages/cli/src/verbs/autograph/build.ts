// `sinter autograph build`: TypeScript with ordinary control flow to plain JavaScript with source maps, for pipelines
// without a bundler. Writes nothing when a file has an error.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { type Engine, type Host, isError, loadEngine, type Outcome } from "@sinter/autograph/host";
import type { Command } from "commander";
import { type Context, UsageError } from "../../context.ts";
import { display } from "../../text.ts";
import { type ProjectOptions, select } from "./files.ts";
import { summary } from "./summary.ts";

interface BuildOptions extends ProjectOptions {
  readonly outDir: string;
}

interface Written {
  readonly path: string;
  readonly text: string;
}

export function build(group: Command, { output, exit }: Context): void {
  group
    .command("build")
    .description("transform files, strip their types and write JavaScript with source maps")
    .argument("[files...]", "files to build; those of the tsconfig.json where none is named")
    .option("-p, --project <tsconfig>", "the tsconfig.json, or its folder")
    .requiredOption("-o, --out-dir <folder>", "where to write")
    .option("--production", "without checks and tags of operations")
    .option("--mode <mode>", '"types" (default) or "syntax"')
    .action(async (named: string[], options: BuildOptions) => {
      const engine = await loadEngine();
      const { host, files, rootDir } = select(engine, named, options);
      const outDir = resolve(options.outDir);
      const written: Written[] = [];
      const reports = files.flatMap((file) => {
        const place = outputFile(file, rootDir, outDir);
        if (place === file) throw new UsageError(`--out-dir ${options.outDir} would overwrite ${display(file)}`);
        const { outputs, outcome } = buildFile(engine, host, file, place);
        written.push(...outputs);
        return outcome.reports;
      });
      for (const report of reports) output.err(`${report.text}\n\n`);
      if (reports.some(isError)) {
        output.err(`${summary(reports, files.length)}; nothing was written\n`);
        exit(1);
        return;
      }
      for (const { path, text } of written) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
      output.out(`${files.length} ${files.length === 1 ? "file" : "files"} built into ${display(outDir)}\n`);
    });
}

function buildFile(engine: Engine, host: Host, file: string, place: string): { outputs: Written[]; outcome: Outcome } {
  const code = readFileSync(file, "utf8");
  const pending = host.transform(code, file);
  const outcome = "done" in pending ? pending.done : pending.run(engine);
  if (!/\.[cm]?tsx?$/.test(file) && !outcome.changed) return { outputs: [{ path: place, text: code }], outcome };
  const options = host.configuration(file)?.options ?? {};
  const program = engine.transpile(outcome.code, outcome.map, file, { options, rewriteImports: true });
  const source = relative(dirname(place), file).split(sep).join("/");
  const map = { ...program.map, file: basename(place), sources: [source], sourcesContent: [code] };
  const text = `${program.code.trimEnd()}\n//# sourceMappingURL=${basename(place)}.map\n`;
  return {
    outputs: [
      { path: place, text },
      { path: `${place}.map`, text: JSON.stringify(map) },
    ],
    outcome,
  };
}

function outputFile(file: string, rootDir: string, outDir: string): string {
  const path = relative(rootDir, file);
  if (path.startsWith("..")) throw new UsageError(`${display(file)} lies outside of ${display(rootDir)}, the rootDir`);
  return join(outDir, path.replace(/\.([cm]?)tsx?$/, ".$1js").replace(/\.jsx$/, ".js"));
}
