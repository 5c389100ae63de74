/** From a graph to a program of WGSL dispatches. The compiler is here, so that it is loaded with the device. */
import type { Graph, WebgpuFeatures, WebgpuProgram } from "@sinter/ir";
import { placesOfKernels } from "../stage-text.ts";
import { type CompileOptions, compileFor, type Observe } from "../stages.ts";
import type { Made } from "../target.ts";
import { everyDevice, type WebgpuTargetOptions, webgpuTarget } from "./target.ts";

/** What a program for a GPU is made from. */
export type WebgpuMade = Made<WebgpuProgram>;

export interface WebgpuCompileOptions extends Pick<CompileOptions, "fastMath">, WebgpuTargetOptions {}

/** Where kernels were written, by their names; for what the device says of them. */
export function kernelPlaces({ loops, simplified }: WebgpuMade): ReadonlyMap<string, string> {
  const places = placesOfKernels(loops, simplified);
  return new Map(loops.kernels.flatMap(({ name }, k) => (places[k] === "" ? [] : [[name, places[k]!] as const])));
}

/** Compiles a graph for a GPU with these features. Throws for what it does not have, such as f64. */
export function compileToWebgpu(
  graph: Graph,
  options: WebgpuCompileOptions,
  features: WebgpuFeatures,
  observe?: Observe,
): WebgpuMade {
  return compileFor(webgpuTarget({ ...everyDevice, features }, options), graph, options, observe);
}
