/**
 * What a program can be compiled for, as one value: all that differs between wasm and WebGPU on the way from a graph to
 * a program. The stages are the same for every target; they ask it.
 */
import type { Graph, LoopProgram, NestProgram, Plan, WasmProgram, WebgpuProgram } from "@sinter/ir";
import type { LowerOptions, PlanOptions } from "@sinter/passes";

export type Program = WasmProgram | WebgpuProgram;

/** Everything that was made before the program. */
export interface LoopStages {
  readonly simplified: Graph;
  readonly nests: NestProgram;
  readonly loops: LoopProgram;
  readonly plan: Plan;
}

/** Everything that was made on the way to a program. */
export interface Made<P extends Program = Program> extends LoopStages {
  readonly target: Target<P>;
  readonly program: P;
}

/** The code of a program for people. */
export interface CodeText {
  readonly module: string;
  /** Of each kernel. */
  readonly kernels: readonly string[];
  /** What runs the kernels, in order. */
  readonly run: string;
}

export interface Target<P extends Program = Program> {
  readonly backend: P["kind"];
  /** As people read it: `wasm relaxed-simd`. */
  readonly name: string;
  /** What its code is written in. */
  readonly language: "wat" | "wgsl";
  readonly fusion: LowerOptions;
  readonly memory: PlanOptions;
  schedule(nests: NestProgram): LoopProgram;
  emit(stages: LoopStages): P;
  /** The code of what `emit` made, under comments by kernel. */
  text(made: Omit<Made<P>, "target">, comments: readonly string[]): CodeText;
}
