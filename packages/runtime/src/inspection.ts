/**
 * All that a compilation did, as plain data. Compiles the graph anew: programs are shared by graphs of one text, but
 * positions are those of the graph at hand.
 */
import {
  type BufferDecl,
  bytesOfBuffer,
  type Graph,
  hostCallText,
  type LoopProgram,
  type LoopStep,
  locsAt,
  type NodePath,
  nodeText,
  type Plan,
  pathText,
  printGraph,
  printNestKernel,
  printNests,
  typeText,
  typicalDim,
  type Value,
  visitNodes,
  workSteps,
} from "@sinter/ir";
import { costOf } from "./cost.ts";
import type {
  BufferPicture,
  Decision,
  Inspection,
  KernelPicture,
  NodePicture,
  PassDump,
  StepPicture,
} from "./inspection-types.ts";
import { printPlan } from "./print-plan.ts";
import { codeOf, kernelNodes, kernelTexts, locsOfNodes, loopsText, whereIn } from "./stage-text.ts";
import { type CompileOptions, compileFor, type PassRecord, readNotes } from "./stages.ts";
import type { CodeText, LoopStages, Made, Target } from "./target.ts";
import { targetOf } from "./targets.ts";
import type { DeviceKind } from "./webgpu/target.ts";

/**
 * Compiles a graph for the backend that the options name and tells how. `device`: what it is compiled for on webgpu;
 * without one it is every device.
 */
export function inspect(graph: Graph, options: CompileOptions, device?: DeviceKind): Inspection {
  const target = targetOf(options, device);
  const records: PassRecord[] = [];
  const made = compileFor(target, graph, options, (record) => {
    readNotes(record);
    records.push(record);
  });
  const code = codeOf(made);
  const cost = costOf(made);
  const { steps, count } = stepPictures(made.loops);
  return {
    name: graph.name,
    signature: signatureOf(graph),
    target: target.name,
    backend: target.backend,
    fastMath: options.fastMath ?? false,
    precision: options.precision ?? "f32",
    passes: records.map((record) => dumpOf(record, made, code.module)),
    nodes: nodePictures(made),
    params: graph.params.map(({ kind, name, value }) => ({ kind, name, type: typeText(value.type) })),
    results: resultsOf(made.simplified),
    decisions: made.nests.notes.map(decisionOf),
    kernels: kernelPictures(made, cost.byKernel, code),
    steps,
    buffers: made.loops.buffers.map((_, id) => bufferPicture(made, id, Math.max(0, count - 1))),
    run: code.run,
    arenaBytes: cost.arenaBytes,
    cost,
  };
}

function signatureOf(graph: Graph): string {
  const params = graph.params.map(
    ({ kind, name, value }) => `${kind === "arg" ? "" : `${kind} `}${name}: ${typeText(value.type)}`,
  );
  const results = graph.results.map(({ kind, value }) => `${kind === "out" ? "" : `${kind} `}${typeText(value.type)}`);
  return `${graph.name}(${params.join(", ")}) -> ${results.length === 1 ? results[0] : `(${results.join(", ")})`}`;
}

function dumpOf(record: PassRecord, made: Made, code: string): PassDump {
  const { name, milliseconds } = record;
  switch (record.name) {
    case "fuse":
      return { name, level: "nests", text: printNests(record.made, { where: whereIn(made.simplified) }), milliseconds };
    case "schedule":
      return { name, level: "loops", text: loopsText(made), milliseconds };
    case "plan":
      return { name, level: "plan", text: printPlan(made.loops, record.made), milliseconds };
    case "emit":
      return { name, level: made.target.language, text: code, milliseconds };
    default:
      return { name, level: "graph", text: printGraph(record.made, { locs: true }), milliseconds };
  }
}

/** What values are called where they are used, by their ids in one graph or region. */
function valueNames(graph: Graph, before: NodePath): ReadonlyMap<number, string> {
  const names = new Map(graph.params.map(({ name, value }) => [value.id, `param ${name}`]));
  graph.nodes.forEach((node, i) => {
    const path = pathText([...before, i]);
    for (const [k, value] of node.results.entries()) names.set(value.id, k === 0 ? path : `${path}#${k}`);
  });
  return names;
}

function nodePictures({ simplified, loops }: LoopStages): NodePicture[] {
  const kernels = new Map<string, number[]>();
  for (const [k, nodes] of kernelNodes(loops).entries())
    for (const path of nodes.map(pathText)) kernels.set(path, [...(kernels.get(path) ?? []), k]);
  const names = new Map<Graph, ReadonlyMap<number, string>>();
  const out: NodePicture[] = [];
  visitNodes(simplified, (node, path, graph) => {
    let inside = names.get(graph);
    if (inside === undefined) names.set(graph, (inside = valueNames(graph, path.slice(0, -1))));
    const nameOf = (value: Value): string => inside.get(value.id)!;
    out.push({
      path: pathText(path),
      op: node.op,
      text: nodeText(graph, node),
      type: node.results.map((value) => typeText(value.type)).join(", "),
      operands: node.operands.map(nameOf),
      locs: locsAt(simplified, path),
      kernels: kernels.get(pathText(path)) ?? [],
    });
  });
  return out;
}

function resultsOf(graph: Graph): Inspection["results"] {
  const names = valueNames(graph, []);
  return graph.results.map(({ kind, value }) => ({ kind, value: names.get(value.id)!, type: typeText(value.type) }));
}

function decisionOf({ producerNodes, consumerNodes, ...note }: Made["nests"]["notes"][number]): Decision {
  return { ...note, producerNodes: producerNodes.map(pathText), consumerNodes: consumerNodes.map(pathText) };
}

function kernelPictures(made: Made, costs: Inspection["cost"]["byKernel"], { kernels }: CodeText): KernelPicture[] {
  const { nests, loops, plan, simplified, target } = made;
  const loopsOf = kernelTexts(made);
  const steps = workSteps(nests.steps).filter((step) => step.kind === "kernel");
  return loops.kernels.map((kernel, index): KernelPicture => {
    const step = steps[index]!;
    return {
      ...costs[index]!,
      index,
      nodes: step.nodes.map(pathText),
      locs: locsOfNodes(simplified, step.nodes),
      buffers: [...new Set(kernel.buffers)].map((buffer) => ({ buffer, writes: kernel.writes.includes(buffer) })),
      scratch: kernel.scratch.map(({ pointer, bytes }, i) => ({
        name: pointer.name,
        offset: typicalDim(plan.scratch[index]![i]!),
        bytes: typicalDim(bytes),
      })),
      nest: printNestKernel(step, whereIn(simplified)),
      loops: loopsOf[index]!,
      [target.language]: kernels[index]!,
    };
  });
}

/** The control tree, and how many steps it counts. */
function stepPictures(program: LoopProgram): { readonly steps: readonly StepPicture[]; readonly count: number } {
  let next = 0;
  const all = (list: readonly LoopStep[]): StepPicture[] => list.map(picture);
  const picture = (step: LoopStep): StepPicture => {
    const number = next++;
    switch (step.kind) {
      case "kernel":
        return { kind: "kernel", number, kernel: step.kernel };
      case "host": {
        const { operands, results } = step;
        return { kind: "host", number, text: hostCallText(program.calls[step.call]!), operands, results };
      }
      case "copy":
        return { kind: "copy", number, from: step.from, to: step.to };
      case "swap":
        return { kind: "swap", number, a: step.a, b: step.b };
      case "if":
        return { kind: "if", number, index: step.index, branches: step.branches.map(all) };
      case "for": {
        const body = all(step.body);
        return { kind: "for", number, end: next++, count: typicalDim(step.count), body };
      }
      case "while": {
        const [test, body] = [all(step.test), all(step.body)];
        return { kind: "while", number, end: next++, predicate: step.predicate, test, body };
      }
      default:
        return step satisfies never;
    }
  };
  return { steps: all(program.steps), count: next };
}

/** `last`: the number of the last step. */
function bufferPicture(
  {
    loops,
    plan,
    target,
  }: { readonly loops: Pick<LoopProgram, "buffers">; readonly plan: Pick<Plan, "places">; readonly target: Target },
  id: number,
  last: number,
): BufferPicture {
  const { buffers } = loops;
  const { places } = plan;
  const buffer = buffers[id]!;
  const shape = buffer.shape.map((d) => (typeof d === "number" ? d : d.key)).join(",");
  const bytes = bytesOfBuffer(buffer, target.memory.bytesPerElement);
  const common = { id, name: buffer.name, dtype: buffer.dtype, shape: `[${shape}]`, bytes };
  const nowhere = { offset: 0, firstStep: 0, lastStep: last } as const;
  if (buffer.slice !== undefined) return { ...common, place: "slice", ...nowhere, of: buffer.slice.of };
  const place = places[id]!;
  switch (place.kind) {
    case "arena": {
      const { firstStep, lastStep } = place;
      return { ...common, place: "arena", offset: typicalDim(place.offset), firstStep, lastStep };
    }
    case "slot":
      return { ...common, place: isOutside(buffer.kind) ? buffer.kind : "none", ...nowhere };
    case "same": {
      const { of, ...shared } = bufferPicture({ loops, plan, target }, place.as, last);
      return { ...shared, ...common, of: of ?? place.as };
    }
    case "none":
      return { ...common, place: "none", ...nowhere };
    default:
      return place satisfies never;
  }
}

function isOutside(kind: BufferDecl["kind"]): kind is "arg" | "const" | "state" | "stateOut" | "result" {
  return kind !== "temp" && kind !== "row" && kind !== "slice";
}
