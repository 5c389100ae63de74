/** The stages from a graph to a program of WGSL dispatches. The compiler is here, so that it is loaded with the device. */
import { emit, KernelError, schedule } from "@sinter/codegen-wgsl";
import {
  expressionScope,
  type Graph,
  type LoopProgram,
  type Plan,
  type WebgpuFeatures,
  type WebgpuProgram,
} from "@sinter/ir";
import { lower, planMemory, verifyPlan } from "@sinter/passes";
import type { LoopStages } from "../cost.ts";
import { kernelNodes, whereIn } from "../stage-text.ts";
import { type CompileOptions, type Observe, pass, simplifyGraph } from "../stages.ts";

/** What a program for a GPU is made from. */
export interface WebgpuMade extends LoopStages {
  readonly program: WebgpuProgram;
}

/** What a schedule for GPUs may be asked for. */
export interface WebgpuCompileOptions extends Pick<CompileOptions, "fastMath"> {
  /** The simplest schedule of each kernel: what the others are tested against. */
  readonly generic?: boolean;
}

/** Where bindings may begin on every device, and what an element takes there. */
const deviceMemory = { alignment: 256, bytesPerElement: () => 4 };

/**
 * Compiles a graph for a GPU with these features. Throws for what it does not have, such as f64. `observe` is told of all
 * passes before the shaders.
 */
export function compileToWebgpu(
  graph: Graph,
  options: WebgpuCompileOptions,
  features: WebgpuFeatures,
  observe?: Observe,
): WebgpuMade {
  const simplified = simplifyGraph(graph, options, observe);
  const { generic = false } = options;
  return expressionScope(() => {
    const nests = pass("fuse", observe, () => lower(simplified, { buffers: buffersOf(features) }));
    const loops = pass("schedule", observe, () => schedule(nests, features, { generic }));
    const plan = pass("plan", observe, () => planMemory(loops, deviceMemory));
    verifyPlan(loops, plan);
    return { simplified, nests, loops, plan, program: emitLocated(simplified, loops, plan, features) };
  });
}

/** Buffers that fusion may give to a kernel: beside them there may be a gate, and scratch. */
export function buffersOf({ limits }: WebgpuFeatures): number {
  return limits.maxStorageBuffersPerShaderStage - 2;
}

/** The program. An error about a kernel says where that was written. */
function emitLocated(graph: Graph, loops: LoopProgram, plan: Plan, features: WebgpuFeatures): WebgpuProgram {
  try {
    return emit(loops, plan, features);
  } catch (error) {
    if (!(error instanceof KernelError) || error.kernel === undefined) throw error;
    const where = whereIn(graph)(kernelNodes(loops)[error.kernel]!);
    if (where !== "") error.message += ` (${where})`;
    throw error;
  }
}
