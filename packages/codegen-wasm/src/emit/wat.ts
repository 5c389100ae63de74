/** The WebAssembly text of a program, for dumps and golden tests. Needs Binaryen loaded. */
import type { LoopProgram, Plan } from "@sinter/ir";
import { type EmitOptions, withBinaryen } from "./program.ts";

export function emitWat(program: LoopProgram, plan: Plan, options: EmitOptions): string {
  return withBinaryen(program, plan, options, (asm) => asm.text());
}
