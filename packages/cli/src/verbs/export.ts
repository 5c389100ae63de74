/** `sinter export FILE#EXPORT`: writes a compiled function, or an object of them, as a folder that runs without Sinter. */
import { gzipSync } from "node:zlib";
import { format } from "@sinter/inspect";
import { bytesOf } from "@sinter/ir";
import { functionText, type Manifest, type TensorEntry } from "@sinter/runtime";
import type { Command } from "commander";
import { type Context, UsageError } from "../context.ts";
import { chosen, inputOption, isCompiled, type LoadedModule, loadModule, targetOf } from "../target.ts";
import { table } from "../text.ts";

const { bytes, plural } = format;

interface ExportFlags {
  readonly out: string;
  readonly target: string;
  readonly input?: readonly string[];
  readonly weights: string;
  readonly license?: string;
  readonly name?: string;
}

export function exportVerb(program: Command, { output, exit }: Context): void {
  program
    .command("export")
    .description("write a compiled function as a folder that runs without Sinter")
    .argument("<target>", "FILE#EXPORT; without #EXPORT the only compiled function that the file exports")
    .requiredOption("-o, --out <folder>", "the folder to write")
    .option("--target <target>", '"wasm", "webgpu", or "both": the program picks when it is loaded', "wasm")
    .addOption(inputOption())
    .option("--weights <place>", '"file": weights.safetensors beside the program; "embed": inside it', "file")
    .option("--license <text>", "an SPDX expression or a sentence, for the manifest")
    .option("--name <name>", "of the bundle; the name of the export by default")
    .action(async (target: string, flags: ExportFlags) => {
      checkFlags(flags);
      const loaded = await loadModule(target);
      const { value, options } = subject(loaded, flags);
      const { exportBundle, ExportError } = loaded.sinter;
      try {
        const { files } = await exportBundle(value, {
          ...options,
          outDir: flags.out,
          target: flags.target as "wasm" | "webgpu" | "both",
          weights: flags.weights as "file" | "embed",
          ...(flags.license === undefined ? {} : { license: flags.license }),
        });
        output.out(summary(flags.out, files));
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        const { problems } = error;
        output.err(`${problems.join("\n")}\n\n${plural(problems.length, "thing")} cannot be exported\n`);
        exit(1);
      }
    });
}

function checkFlags({ target, weights }: ExportFlags): void {
  if (!["wasm", "webgpu", "both"].includes(target))
    throw new UsageError(`--target ${target}: there is no such target; there are wasm, webgpu and both`);
  if (weights !== "file" && weights !== "embed")
    throw new UsageError(`--weights is "file" or "embed", not "${weights}"`);
}

/** What is exported, and for which arguments: a function, or an object of functions that know theirs. */
function subject(loaded: LoadedModule, { input, name }: ExportFlags) {
  const found = chosen(loaded);
  const { value } = found;
  const own = name ?? found.name.split(".").at(-1)!;
  if (isCompiled(value)) {
    const { fn, args } = targetOf(loaded, input, { open: true });
    return { value: fn as object, options: { name: own, inputs: args } };
  }
  const holds = typeof value === "object" && value !== null && Object.values(value).some(isCompiled);
  if (holds && input !== undefined)
    throw new UsageError(
      `${loaded.file}#${found.name} holds several functions: --input is for one, so give them signatures, or call each once in the file`,
    );
  // What is no compiled function is told from one in the same words everywhere.
  if (!holds) targetOf(loaded, input);
  return { value: value as object, options: { name: own } };
}

function summary(folder: string, files: ReadonlyMap<string, Uint8Array>): string {
  const rows = [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, content]) => [path, bytes(content.length), `${bytes(gzipSync(content).length)} gzip`]);
  const total = [...files.values()].reduce((n, content) => n + content.length, 0);
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Manifest;
  const signatures = manifest.functions.map((f) => `  ${functionText(f)}`);
  const { variables, constants, selfTest } = manifest;
  const held = (tensors: readonly TensorEntry[], what: string): string =>
    tensors.length === 0
      ? `no ${what}s`
      : `${plural(tensors.length, what)} (${bytes(tensors.reduce((n, each) => n + sizeOf(each), 0))})`;
  const tested = selfTest === undefined ? "no self-test" : `a self-test of ${plural(selfTest.calls.length, "call")}`;
  const parts = [held(variables, "variable"), held(constants, "constant"), tested];
  return `${folder}: ${plural(files.size, "file")}, ${bytes(total)}\n${table(rows, [1, 2])}\n${signatures.join("\n")}\n  ${parts.join(", ")}\n`;
}

function sizeOf({ dtype, shape }: TensorEntry): number {
  return shape.reduce((n, d) => n * d, bytesOf(dtype));
}
