/** The stages from a graph to a wasm program, one readable list, each kept so that it can be looked at. */
import { emit, emitWat, probeFeatures, schedule } from "@sinter/codegen-wasm";
import {
  expressionScope,
  type Graph,
  type NestProgram,
  printGraph,
  printLoopKernel,
  printNests,
  type WasmFeatures,
} from "@sinter/ir";
import { findElementLoops, lower, normaliseRegions, planMemory, simplify, verifyPlan } from "@sinter/passes";
import { type Cost, costOf, type Made } from "./cost.ts";
import { printPlan } from "./print-plan.ts";
import { theMachine } from "./session.ts";

export type Backend = "wasm" | "reference";

export interface CompileOptions {
  readonly backend: Backend;
  /** Allows rewrites that can change a float result. */
  readonly fastMath?: boolean;
}

export type StageName = "trace" | "simplified" | "fused" | "nests" | "loops" | "plan" | "wat";
export const stageNames: readonly StageName[] = ["trace", "simplified", "fused", "nests", "loops", "plan", "wat"];

/** Scheduled loops in planned memory, and what they were made of. */
export type LoopStages = Omit<Made, "program">;

/** Compiles a graph for wasm. */
export function compileToWasm(graph: Graph, options: CompileOptions): Made {
  const features = probeFeatures();
  const made = lowerToLoops(graph, options, features);
  const memory = theMachine().heap.kind;
  return { ...made, program: emit(made.loops, made.plan, { ...features, memory, owner: "import" }) };
}

/** All that comes before a module, for an engine with these features. */
export function lowerToLoops(graph: Graph, options: CompileOptions, features: WasmFeatures): LoopStages {
  const algebra = { fastMath: options.fastMath ?? false };
  const simplified = findElementLoops(normaliseRegions(simplify(graph, algebra), algebra), algebra);
  return expressionScope(() => {
    const nests = lower(simplified, {});
    const loops = schedule(nests, features);
    const plan = planMemory(loops, { alignment: 64 });
    verifyPlan(loops, plan);
    return { simplified, nests, loops, plan };
  });
}

/** The stages of one compilation as text and numbers, made when first asked for. */
export interface Stages {
  /** Throws for a name that is no stage. */
  text(stage: StageName): string;
  cost(): Cost;
}

export function stagesOf(graph: Graph, options: CompileOptions): Stages {
  let made: Made | undefined;
  const all = (): Made => {
    made ??= compileToWasm(graph, options);
    return made;
  };
  return {
    text(stage) {
      switch (stage) {
        case "trace":
          return printGraph(graph, { locs: true });
        case "simplified":
          return printGraph(all().simplified, { locs: true });
        case "fused":
          return fusionText(all().nests);
        case "nests":
          return printNests(all().nests, { notes: false });
        case "loops":
          return all()
            .loops.kernels.map((kernel) => printLoopKernel(kernel))
            .join("\n");
        case "plan":
          return printPlan(all().loops, all().plan);
        case "wat": {
          const { loops, plan } = all();
          return emitWat(loops, plan, { ...probeFeatures(), memory: theMachine().heap.kind, owner: "import" });
        }
        default:
          throw new RangeError(
            `there is no stage ${JSON.stringify(stage satisfies never)}; there are ${stageNames.join(", ")}`,
          );
      }
    },
    cost: () => costOf(all()),
  };
}

/** Which operations share a kernel, and why others do not. */
function fusionText(nests: NestProgram): string {
  const kernels: string[] = [];
  const visit = (steps: NestProgram["steps"]): void => {
    for (const step of steps) {
      if (step.kind === "kernel") kernels.push(step.kernel.name);
      else if (step.kind === "if") for (const branch of step.branches) visit(branch);
      else if (step.kind === "for") visit(step.body);
      else if (step.kind === "while") {
        visit(step.test);
        visit(step.body);
      }
    }
  };
  visit(nests.steps);
  const notes = nests.notes.map((n) => `  ${n.fused ? "fused" : "kept "} ${n.producer} -> ${n.consumer}: ${n.reason}`);
  return `${kernels.length} kernels: ${kernels.join(", ")}\n${notes.join("\n")}\n`;
}
