/** From a graph to a program of WGSL dispatches. The compiler is here, so that it is loaded with the device. */
import type { Graph, WebgpuFeatures, WebgpuProgram } from "@sinter/ir";
import { type CompileOptions, compileFor, type Observe } from "../stages.ts";
import type { Made } from "../target.ts";
import { everyDevice, type WebgpuTargetOptions, webgpuTarget } from "./target.ts";

/** What a program for a GPU is made from. */
export type WebgpuMade = Made<WebgpuProgram>;

export interface WebgpuCompileOptions extends Pick<CompileOptions, "fastMath">, WebgpuTargetOptions {}

/** Compiles a graph for a GPU with these features. Throws for what it does not have, such as f64. */
export function compileToWebgpu(
  graph: Graph,
  options: WebgpuCompileOptions,
  features: WebgpuFeatures,
  observe?: Observe,
): WebgpuMade {
  return compileFor(webgpuTarget({ ...everyDevice, features }, options), graph, options, observe);
}
