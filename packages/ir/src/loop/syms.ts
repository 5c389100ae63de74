/** The symbolic sizes of a scheduled program: what its call table holds behind the pointers. */
import type { Sym } from "../nest/expr.ts";
import { symsIn } from "../nest/index-algebra.ts";
import type { LoopProgram } from "../program.ts";
import type { LoopStep } from "./loop.ts";

/** In the order of their names. */
export function symsOfProgram(program: LoopProgram): readonly Sym[] {
  const found = new Map<string, Sym>();
  for (const { shape } of program.buffers) for (const dim of shape) symsIn(dim, found);
  for (const { scratch } of program.kernels) for (const { bytes } of scratch) symsIn(bytes, found);
  const visit = (steps: readonly LoopStep[]): void => {
    for (const step of steps) {
      if (step.kind === "for") symsIn(step.count, found);
      if (step.kind === "for" || step.kind === "while") visit(step.body);
      if (step.kind === "while") visit(step.test);
      if (step.kind === "if") step.branches.forEach(visit);
    }
  };
  visit(program.steps);
  return [...found.keys()].sort().map((name) => found.get(name)!);
}
