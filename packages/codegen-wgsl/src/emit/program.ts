/** A scheduled program and its memory plan as shaders and the steps that dispatch them. */
import type { LoopProgram, Plan, WebgpuFeatures, WebgpuProgram } from "@sinter/ir";

export function emit(_program: LoopProgram, _plan: Plan, _target: WebgpuFeatures): WebgpuProgram {
  throw new Error("not there yet");
}
