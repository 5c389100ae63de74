/** What the stages of a graph show, for whatever target they are asked for. */
import type { Graph } from "@sinter/ir";
import { type Cost, costOf } from "./cost.ts";
import { type StageName, stageText } from "./stage-text.ts";
import { type Backend, type CompileOptions, compileFor, readNotes } from "./stages.ts";
import type { Made, Target } from "./target.ts";
import { targetOf } from "./targets.ts";
import type { DeviceKind } from "./webgpu/target.ts";

/** The stages of compilation as text and numbers, each made when it is first asked for. */
export interface Stages {
  /** Throws for a name that is no stage. */
  text(stage: StageName): string;
  cost(): Cost;
}

/**
 * The stages of a graph for the backend that the options name; code in the language of another backend is that of the
 * program for it. `device`: what stages for webgpu are made for, where there is one.
 */
export function stagesOf(graph: Graph, options: CompileOptions, device?: DeviceKind): Stages {
  const made = new Map<Target["backend"], Made>();
  const madeFor = (backend: Backend): Made => {
    const target = targetOf({ ...options, backend }, device);
    let stages = made.get(target.backend);
    if (stages === undefined) made.set(target.backend, (stages = compileFor(target, graph, options, readNotes)));
    return stages;
  };
  const { backend } = options;
  return {
    text: (stage) =>
      stageText(stage, graph, () => madeFor(stage === "wat" ? "wasm" : stage === "wgsl" ? "webgpu" : backend)),
    cost: () => costOf(madeFor(backend)),
  };
}
