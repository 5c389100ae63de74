/**
 * `dispatch.json` of a bundle for WebGPU: how the shaders of `kernels.wgsl` are run, as plain data. It is what the compiler
 * made (`WebgpuProgram`) but for the code and for contents, which are in files of their own.
 */
import type { Dim, WebgpuProgram } from "@sinter/ir/program";
import type { SizeEntry } from "./manifest.ts";

export const dispatchFile = "dispatch.json";
export const kernelsFile = "kernels.wgsl";

/** What stands in front of the code of each shader, with its number behind it, on a line of its own. */
export const shaderHead = "// shader ";

/** A number, or how it is computed of the sizes of a call. */
export type PlanSize = number | { readonly size: SizeEntry };

/** Plain data with sizes as the file has them. */
export type WithSizes<T> =
  T extends Exclude<Dim, number>
    ? { readonly size: SizeEntry }
    : T extends readonly (infer U)[]
      ? readonly WithSizes<U>[]
      : T extends object
        ? { readonly [K in keyof T]: WithSizes<T[K]> }
        : T;

export interface DispatchPlan {
  /** The checksum of the manifest, but for `builds` and `crc32`: what a module has in its section. */
  readonly manifest: string;
  /** In the order of kernels.wgsl. */
  readonly shaders: readonly ShaderEntry[];
  /** In the order of the manifest's. */
  readonly functions: readonly DispatchFunction[];
}

/** One pipeline. Its entry point is `main`. */
export interface ShaderEntry {
  /** The kernel that it is, or is a part of. */
  readonly label: string;
  /**
   * Its bindings in group 0: binding 0 is a uniform buffer with a dynamic offset where it has `params`; from binding 1 on
   * come the gate where it is `gated`, and `buffers`.
   */
  readonly buffers: readonly ("read" | "read_write")[];
  readonly params: boolean;
  readonly gated: boolean;
}

/** A function's program: the fields of the compiler's own. */
export interface DispatchFunction
  extends WithSizes<Pick<WebgpuProgram, "name" | "steps" | "slots" | "arenaBytes" | "buffers" | "kernels" | "calls">> {
  /** By the number that steps give a shader: its position in `shaders` of the plan. */
  readonly shaders: readonly number[];
  /** By `index` of slots of kind const: the manifest's constant. */
  readonly constants: readonly number[];
}
