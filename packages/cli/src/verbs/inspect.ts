/** `sinter inspect`: what the compiler makes of a function, in the terminal, as a page, or as a dump; and dumps run again. */
import { writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { page, readSources, writeDump } from "@sinter/inspect";
import { type Graph, printGraphWithData } from "@sinter/ir";
import {
  type CompileOptions,
  type Inspection,
  inspect as inspectGraph,
  type StageName,
  stageNames,
  stagesOf,
} from "@sinter/runtime";
import type { Command } from "commander";
import { type Context, UsageError } from "../context.ts";
import { gpuMachine, readDump, replay, type Verdict } from "../inspect/replay.ts";
import { summaryText } from "../inspect/summary.ts";
import { inputOption, loadTarget } from "../target.ts";
import { display } from "../text.ts";

interface InspectOptions {
  readonly stage?: string;
  readonly html?: string;
  readonly input?: readonly string[];
  readonly dump?: string;
  readonly fromText?: string;
  readonly data?: string;
  readonly backend?: string;
}

/** What to show, for which backend. */
interface Wanted {
  readonly stage: StageName | undefined;
  readonly backend: "wasm" | "webgpu" | undefined;
  /** Says that there is no GPU. */
  withoutDevice(error: unknown): undefined;
}

/** What is looked at: a function of a file, or a graph that was read. */
interface Subject {
  readonly graph: Graph;
  /** Where its sources are, for names that are not absolute. */
  readonly folders: readonly string[];
  readonly backend: "wasm" | "webgpu";
  text(stage: StageName): string;
  inspect(): Inspection;
}

export function inspect(program: Command, { output, exit }: Context): void {
  program
    .command("inspect")
    .description("what the compiler makes of a function: kernels, cost, memory, every stage")
    .argument("[target]", "FILE#EXPORT, such as model.ts#predict")
    .addOption(inputOption())
    .option("--stage <stage>", `print one stage: ${stageNames.join(", ")}`)
    .option("--html <file>", "write a page that shows everything, for any browser, without a network")
    .option("--dump <dir>", "write a folder with a text for each pass, the page, and the graph to run again")
    .option(
      "--from-text <file>",
      "look at graph text instead, as a dump has it; a call recorded beside it is made again",
    )
    .option("--backend <backend>", "look at the program for wasm or for webgpu; the function's own by default")
    .option("--data <file>", "the safetensors file of the text's constants; data.safetensors beside it by default")
    .action(async (target: string | undefined, options: InspectOptions) => {
      const stage = stageNamed(options.stage);
      const wanted: Wanted = {
        stage,
        backend: backendNamed(options.backend),
        withoutDevice(error) {
          const why = error instanceof Error ? error.message : String(error);
          output.err(`for every device that has WebGPU, since there is none here: ${why}\n`);
          return undefined;
        },
      };
      const subject =
        options.fromText === undefined
          ? await ofTarget(target, options, wanted)
          : await ofText(target, options, wanted);
      if (stage !== undefined) output.out(subject.text(stage));
      const all = options.html !== undefined || options.dump !== undefined || stage === undefined;
      const inspection = all ? subject.inspect() : undefined;
      if (inspection !== undefined) {
        if (stage === undefined) output.out(summaryText(inspection));
        if (options.html !== undefined) {
          write(options.html, page(inspection, readSources(inspection, subject.folders)));
          output.err(`page: ${display(resolve(options.html))}\n`);
        }
        if (options.dump !== undefined) {
          const { text, data } = printGraphWithData(subject.graph, { locs: true });
          const folder = writeDump(options.dump, { inspection, graph: text, constants: data });
          output.err(`dump: ${display(resolve(folder.path))}\n`);
        }
      }
      if (options.fromText === undefined || stage !== undefined) return;
      const dump = readDump(options.fromText, options.data);
      if (!dump.called) {
        output.out("\nNo call was recorded beside it: nothing was run.\n");
        return;
      }
      const verdicts = await replay({ ...dump, backend: subject.backend }, options.fromText);
      output.out(`\n${verdictText(verdicts)}`);
      if (verdicts.some((verdict) => verdict.different > 0)) exit(1);
    });
}

function stageNamed(name: string | undefined): StageName | undefined {
  if (name === undefined) return undefined;
  const stage = stageNames.find((known) => known === name);
  if (stage === undefined)
    throw new UsageError(`--stage ${name}: there is no such stage; there are ${stageNames.join(", ")}`);
  return stage;
}

async function ofTarget(target: string | undefined, options: InspectOptions, wanted: Wanted): Promise<Subject> {
  if (target === undefined)
    throw new UsageError("say what to inspect: FILE#EXPORT, such as model.ts#predict, or --from-text graph.ir");
  if (options.data !== undefined) throw new UsageError("--data belongs to --from-text");
  const { backend, withoutDevice } = wanted;
  const { file, name, fn, args, sinter } = await loadTarget(target, { inputs: options.input });
  const known = fn.lower(...args);
  const lowered = backend === undefined ? known : known.on(backend);
  // The library that the file uses has a device of its own.
  if (needsDevice(lowered.backend, wanted)) await sinter.ready("webgpu").catch(withoutDevice);
  return {
    graph: lowered.graph,
    backend: lowered.backend === "webgpu" ? "webgpu" : "wasm",
    folders: [process.cwd(), ...foldersAbove(resolve(file))],
    text: (stage) => lowered.text(stage),
    inspect: () => named(lowered.inspect(), name),
  };
}

async function ofText(target: string | undefined, options: InspectOptions, wanted: Wanted): Promise<Subject> {
  if (target !== undefined) throw new UsageError(`--from-text takes the place of ${target}: give one of them`);
  if (options.input !== undefined) throw new UsageError("--input belongs to FILE#EXPORT: graph text has its types");
  const { graph, fastMath, precision, backend: known } = readDump(options.fromText!, options.data);
  const backend = wanted.backend ?? known;
  const settings: CompileOptions = { backend, fastMath, precision };
  const device = needsDevice(backend, wanted) ? await gpuMachine().catch(wanted.withoutDevice) : undefined;
  const stages = stagesOf(graph, settings, device);
  return {
    graph,
    backend,
    folders: [process.cwd()],
    text: (stage) => stages.text(stage),
    inspect: () => inspectGraph(graph, settings, device),
  };
}

function backendNamed(name: string | undefined): "wasm" | "webgpu" | undefined {
  if (name === undefined || name === "wasm" || name === "webgpu") return name;
  throw new UsageError(`--backend ${name}: there is no such backend; there are wasm, webgpu`);
}

function needsDevice(backend: string, { stage }: Wanted): boolean {
  return backend === "webgpu" || stage === "wgsl";
}

/** An arrow function that was handed to compile has no name of its own: that of its export says more. */
function named(inspection: Inspection, name: string): Inspection {
  if (inspection.name !== "anonymous") return inspection;
  return { ...inspection, name, signature: inspection.signature.replace(/^anonymous/, () => name) };
}

function foldersAbove(file: string): string[] {
  const folder = dirname(file);
  return folder === file ? [] : [folder, ...foldersAbove(folder)];
}

function verdictText(verdicts: readonly Verdict[]): string {
  const width = Math.max(...verdicts.map(({ name, type }) => name.length + type.length + 2));
  const lines = verdicts.map(({ name, type, known, elements, different, first }) => {
    const label = `${name}  ${type}`.padEnd(width);
    if (!known) return `  ${label}  was not recorded: the call did not come to its end then`;
    if (first === undefined) return `  ${label}  same bits`;
    const where = `element ${first.at} was ${first.recorded}, is ${first.now}`;
    return `  ${label}  DIFFERENT: ${different} of ${elements} elements; ${where}`;
  });
  const wrong = verdicts.filter((verdict) => verdict.different > 0).length;
  if (verdicts.some((verdict) => !verdict.known)) return `The recorded call, made again:\n${lines.join("\n")}\n`;
  const end =
    wrong === 0 ? "as recorded, bit for bit" : `${wrong} of ${verdicts.length} results differ from the record`;
  return `The recorded call, made again:\n${lines.join("\n")}\n${end}\n`;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}
