// The stages of the worked example as text. Compiled for a machine with relaxed SIMD whatever this one has, so that the
// text does not depend on where it was made.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { emitWat } from "@sinter/codegen-wasm";
import { printGraph, printNests } from "@sinter/ir";
import { spec } from "sinter";
import { printPlan } from "../../packages/runtime/src/print-plan.ts";
import { kernelTexts, whereIn } from "../../packages/runtime/src/stage-text.ts";
import { lowerToLoops, readNotes } from "../../packages/runtime/src/stages.ts";
import { wasmTarget } from "../../packages/runtime/src/wasm-target.ts";
import { layer } from "./worked-example.ts";

const here = dirname(fileURLToPath(import.meta.url));
const root = `${dirname(dirname(here))}/`;
const features = { relaxedSimd: true };

/** Named texts for the regions of docs/ARCHITECTURE.md. */
export function stageTexts(): ReadonlyMap<string, string> {
  const lowered = layer.lower(spec([32, 64]), spec([64, 16]), spec([16]));
  const source = readFileSync(join(here, "worked-example.ts"), "utf8");
  const traced = printGraph(lowered.graph, { locs: true });
  const made = lowerToLoops(lowered.graph, {}, wasmTarget({}, features), readNotes);
  const { simplified, nests, loops, plan } = made;
  const wat = emitWat(loops, plan, { ...features, memory: "unshared", owner: "import" });
  const kernels = kernelTexts(made);
  const same = printGraph(simplified, { locs: true }) === traced;
  return new Map([
    ["source", fence("ts", source.slice(source.indexOf("export const")).replace("export ", ""))],
    ["trace", fence("text", traced)],
    [
      "simplified",
      same ? "Here it finds nothing left to do: the text is the same." : fence("text", printGraph(simplified)),
    ],
    ["nests", fence("text", printNests(nests, { where: whereIn(simplified) }))],
    ["loops-product", fence("text", excerpt(kernels[0]!, /^ {4}for k/, 1, 8))],
    ["loops-reduce", fence("text", kernels[1]!)],
    ["plan", fence("text", printPlan(loops, plan))],
    ["run", fence("wat", excerpt(wat, /\(func \$run /, 0, 60))],
    ["wat-reduce", fence("wat", excerpt(functionText(wat, "$k1_reduce_mul"), /^ *\(loop /, 0, 26))],
  ]);
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text.replaceAll(root, "").trimEnd()}\n\`\`\``;
}

/** `count` lines from the first that matches on, with the `lead` lines before it; dots stand for what is left out. */
function excerpt(text: string, from: RegExp, lead: number, count: number): string {
  const lines = text.trimEnd().split("\n");
  const at = lines.findIndex((line) => from.test(line));
  if (at < 0) throw new Error(`no line matches ${from}`);
  const start = Math.max(0, at - lead);
  const end = Math.min(lines.length, start + lead + count);
  const indent = (line: string): string => /^ */.exec(line)![0];
  return [
    ...(start > 0 ? [`${indent(lines[start]!)}...`] : []),
    ...lines.slice(start, end),
    ...(end < lines.length ? [`${indent(lines[end]!)}...`] : []),
  ].join("\n");
}

/** One function of a wasm text. */
function functionText(wat: string, name: string): string {
  const start = wat.indexOf(`(func ${name} `);
  const end = wat.indexOf("\n (func ", start);
  if (start < 0) throw new Error(`no function ${name}`);
  return wat.slice(start, end < 0 ? undefined : end);
}
