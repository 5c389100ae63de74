// `sinter export FILE#EXPORT`: writes a compiled function, or an object of them, as a folder that runs without Sinter.
import { gzipSync } from "node:zlib";
import type { Command } from "commander";
import { type Context, UsageError } from "../context.ts";
import { chosen, isCompiled, type LoadedModule, loadModule, targetOf } from "../target.ts";

interface ExportFlags {
  readonly out: string;
  readonly target: string;
  readonly input?: readonly string[];
  readonly weights: string;
  readonly license?: string;
  readonly name?: string;
}

/** What is read of a manifest. */
interface Manifest {
  readonly functions: readonly {
    readonly name: string;
    readonly params: readonly { readonly name: string; readonly tree: TreeEntry }[];
    readonly result: TreeEntry;
  }[];
  readonly variables: readonly TensorEntry[];
  readonly constants: readonly TensorEntry[];
  readonly selfTest?: { readonly calls: readonly unknown[] };
}
interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}
type TreeEntry =
  | ({ readonly kind: "tensor" } & TensorEntry)
  | { readonly kind: "static" | "special"; readonly value: unknown }
  | { readonly kind: "array"; readonly items: readonly TreeEntry[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly TreeEntry[] };

export function exportVerb(program: Command, { output, exit }: Context): void {
  program
    .command("export")
    .description("write a compiled function as a folder that runs without Sinter")
    .argument("<target>", "FILE#EXPORT; without #EXPORT the only compiled function that the file exports")
    .requiredOption("-o, --out <folder>", "the folder to write")
    .option("--target <target>", "what it is to run on", "wasm")
    .option(
      "-i, --input <spec>",
      'what an argument is, one after the other: f32[1,784] for a tensor, or JSON: 3, true, {"x": "f32[2]"}',
      (spec: string, before: readonly string[] = []) => [...before, spec],
    )
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
          weights: flags.weights as "file" | "embed",
          ...(flags.license === undefined ? {} : { license: flags.license }),
        });
        output.out(summary(flags.out, files));
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        const { problems } = error;
        output.err(`${problems.join("\n")}\n\n${count(problems.length, "thing")} cannot be exported\n`);
        exit(1);
      }
    });
}

function checkFlags({ target, weights }: ExportFlags): void {
  if (target === "webgpu" || target === "both")
    throw new UsageError(`--target ${target}: there is no backend for WebGPU in this version; there is wasm`);
  if (target !== "wasm") throw new UsageError(`--target ${target}: there is no such target; there is wasm`);
  if (weights !== "file" && weights !== "embed")
    throw new UsageError(`--weights is "file" or "embed", not "${weights}"`);
}

/** What is exported, and for which arguments: a function, or an object of functions that know theirs. */
function subject(loaded: LoadedModule, { input, name }: ExportFlags) {
  const found = chosen(loaded);
  const { value } = found;
  const own = name ?? found.name.split(".").at(-1)!;
  if (isCompiled(value)) {
    const { fn, args } = targetOf(loaded, input);
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
    .map(([path, bytes]) => [path, size(bytes.length), size(gzipSync(bytes).length)]);
  const total = [...files.values()].reduce((n, bytes) => n + bytes.length, 0);
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map(
    ([path, bytes, gzip]) =>
      `  ${path!.padEnd(widths[0]!)}  ${bytes!.padStart(widths[1]!)}  ${gzip!.padStart(widths[2]!)} gzip`,
  );
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Manifest;
  const signatures = manifest.functions.map(
    ({ name, params, result }) =>
      `  ${name}(${params.map((param) => `${param.name}: ${treeText(param.tree)}`).join(", ")}) -> ${treeText(result)}`,
  );
  const { variables, constants, selfTest } = manifest;
  const held = (tensors: readonly TensorEntry[], what: string): string =>
    tensors.length === 0 ? `no ${what}s` : `${count(tensors.length, what)} (${size(bytesOf(tensors))})`;
  const tested = selfTest === undefined ? "no self-test" : `a self-test of ${count(selfTest.calls.length, "call")}`;
  const parts = [held(variables, "variable"), held(constants, "constant"), tested];
  return `${folder}: ${count(files.size, "file")}, ${size(total)}\n${lines.join("\n")}\n${signatures.join("\n")}\n  ${parts.join(", ")}\n`;
}

function treeText(tree: TreeEntry): string {
  switch (tree.kind) {
    case "tensor":
      return `${tree.dtype}[${tree.shape.join(",")}]`;
    case "static":
      return JSON.stringify(tree.value);
    case "special":
      return String(tree.value);
    case "array":
      return `[${tree.items.map(treeText).join(", ")}]`;
    case "object":
      return `{${tree.keys.map((key, i) => ` ${key}: ${treeText(tree.items[i]!)}`).join()} }`;
    default:
      return tree satisfies never;
  }
}

function bytesOf(tensors: readonly TensorEntry[]): number {
  const width = (dtype: string): number => (dtype === "f64" ? 8 : dtype === "bool" ? 1 : 4);
  return tensors.reduce((n, { dtype, shape }) => n + shape.reduce<number>((m, d) => m * Number(d), width(dtype)), 0);
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function size(bytes: number): string {
  return bytes < 1000
    ? `${bytes} B`
    : bytes < 1e6
      ? `${(bytes / 1e3).toFixed(1)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`;
}
