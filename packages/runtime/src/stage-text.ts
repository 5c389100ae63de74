/** The stages of a compilation as text for people, beside the lines that the kernels come from. */
import {
  type Graph,
  type Loc,
  type LoopProgram,
  type LoopStep,
  locsAt,
  locText,
  type NestProgram,
  type NestStep,
  type NodePath,
  nodeAt,
  nodeText,
  pathText,
  printGraph,
  printLoopKernel,
  printNestSteps,
  printNests,
  regionAt,
  visitSteps,
} from "@sinter/ir";
import { printPlan } from "./print-plan.ts";
import type { CodeText, LoopStages, Made } from "./target.ts";

export type StageName = "trace" | "simplified" | "fused" | "nests" | "loops" | "plan" | "wat" | "wgsl";
export const stageNames: readonly StageName[] = [
  "trace",
  "simplified",
  "fused",
  "nests",
  "loops",
  "plan",
  "wat",
  "wgsl",
];

/** `made` is called for stages behind the trace only. Throws for a name that is no stage. */
export function stageText(stage: StageName, graph: Graph, made: () => Made): string {
  switch (stage) {
    case "trace":
      return printGraph(graph, { locs: true });
    case "simplified":
      return printGraph(made().simplified, { locs: true });
    case "fused":
      return fusionText(made());
    case "nests":
      return printNests(made().nests, { notes: false, where: whereIn(made().simplified) });
    case "loops":
      return loopsText(made());
    case "plan":
      return printPlan(made().loops, made().plan);
    case "wat":
    case "wgsl":
      return codeOf(made()).module;
    default:
      throw new RangeError(
        `there is no stage ${JSON.stringify(stage satisfies never)}; there are ${stageNames.join(", ")}`,
      );
  }
}

/** Which operations share a kernel, and why others do not. */
export function fusionText({ nests, simplified }: LoopStages): string {
  const where = whereIn(simplified);
  const steps = printNestSteps(nests.steps, ({ kernel, nodes }) => {
    const places = where(nodes);
    const paths = nodes.map(pathText);
    const width = Math.max(0, ...paths.map((path) => path.length));
    return [
      `kernel ${kernel.name}${places === "" ? "" : `  // ${places}`}`,
      ...nodes.map(
        (path, i) => `  ${paths[i]!.padEnd(width)}  ${nodeText(regionAt(simplified, path), nodeAt(simplified, path))}`,
      ),
    ];
  });
  const notes = nests.notes.map((n) => `${n.fused ? "fused" : "kept "} ${n.producer} -> ${n.consumer}: ${n.reason}\n`);
  return `${nests.name}: ${count(kernelNodes(nests).length)}\n${steps}${notes.join("")}`;
}

export function loopsText(made: LoopStages): string {
  const kernels = kernelTexts(made);
  return kernels.length === 0 ? `// ${made.loops.name}: no kernels\n` : kernels.join("\n");
}

/** The loops of each kernel. */
export function kernelTexts({ loops, simplified }: LoopStages): string[] {
  const places = placesOfKernels(loops, simplified);
  return loops.kernels.map((kernel, k) => printLoopKernel(kernel, places[k]));
}

const count = (kernels: number): string =>
  kernels === 0 ? "no kernels" : `${kernels} ${kernels === 1 ? "kernel" : "kernels"}`;

/** The code of a program, each kernel under its name and its lines. */
export function codeOf(made: Made): CodeText {
  const { loops, simplified, target } = made;
  const places = placesOfKernels(loops, simplified);
  const comments = loops.kernels.map(({ name }, k) => (places[k] === "" ? name : `${name}: ${places[k]}`));
  return target.text(made, comments);
}

/** By kernel: the nodes whose work it does. */
export function kernelNodes({ steps }: LoopProgram | NestProgram): (readonly NodePath[])[] {
  const out: (readonly NodePath[])[] = [];
  visitSteps<NestStep | LoopStep>(steps, (step) => {
    if (step.kind === "kernel") out.push(step.nodes);
  });
  return out;
}

/** By kernel: where the nodes whose work it does were written, as text; empty where nobody knows. */
export function placesOfKernels(loops: LoopProgram, graph: Graph): string[] {
  return kernelNodes(loops).map(whereIn(graph));
}

/** Where nodes of a graph were written, as text. */
export function whereIn(graph: Graph): (nodes: readonly NodePath[]) => string {
  return (nodes) => placesText(locsOfNodes(graph, nodes));
}

/** Where nodes were written, each place once, in order. */
export function locsOfNodes(graph: Graph, nodes: readonly NodePath[]): Loc[] {
  return [...new Map(nodes.flatMap((path) => locsAt(graph, path)).map((loc) => [locText(loc), loc])).values()];
}

const mostPlaces = 12;

/** `app.ts:6 matmul, add; :7 mean`: lines with what is called there, the file where it is another. */
export function placesText(locs: readonly Loc[]): string {
  const lines = new Map<string, { readonly loc: Loc; readonly names: Set<string> }>();
  for (const loc of locs) {
    const key = `${loc.file}:${loc.line}`;
    const line = lines.get(key) ?? { loc, names: new Set() };
    lines.set(key, line);
    if (loc.name !== undefined) line.names.add(loc.name);
  }
  const sorted = [...lines.values()].sort((a, b) => (a.loc.file === b.loc.file ? a.loc.line - b.loc.line : 0));
  let file = "";
  const parts = sorted.slice(0, mostPlaces).map(({ loc, names }) => {
    const place = `${loc.file === file ? "" : loc.file}:${loc.line}`;
    file = loc.file;
    return names.size === 0 ? place : `${place} ${[...names].join(", ")}`;
  });
  const left = sorted.length - parts.length;
  return [...parts, ...(left > 0 ? [`${left} more`] : [])].join("; ");
}
