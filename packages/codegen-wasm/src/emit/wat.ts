/** The WebAssembly text of a program, for dumps and golden tests. */
import type { LoopProgram, Plan } from "@sinter/ir";
import { assemble, type EmitOptions } from "./program.ts";

export function emitWat(program: LoopProgram, plan: Plan, options: EmitOptions): string {
  const asm = assemble(program, plan, options);
  try {
    return asm.text();
  } finally {
    asm.dispose();
  }
}
