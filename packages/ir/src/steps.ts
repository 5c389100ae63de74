/** Walks over the control trees of programs, those of nests and those of loops. */
import type { LoopStep } from "./loop/loop.ts";
import type { NestStep } from "./nest/nest.ts";

/** The lists of steps inside a step, in the order of the text. */
export function bodiesOf<S extends NestStep | LoopStep>(step: S): readonly (readonly S[])[] {
  const of: NestStep | LoopStep = step;
  // What is inside a step is of its level.
  const bodies = (lists: readonly (readonly (NestStep | LoopStep)[])[]): readonly (readonly S[])[] =>
    lists as readonly (readonly S[])[];
  switch (of.kind) {
    case "if":
      return bodies(of.branches);
    case "for":
      return bodies([of.body]);
    case "while":
      return bodies([of.test, of.body]);
    default:
      return [];
  }
}

/** A step that does work itself. */
export type WorkStep<S extends NestStep | LoopStep> = Extract<S, { kind: "kernel" | "copy" | "host" }>;

/** The steps that do work, in the order of the text. Instrumented programs name them by their places in this list. */
export function workSteps<S extends NestStep | LoopStep>(steps: readonly S[]): readonly WorkStep<S>[] {
  const out: WorkStep<S>[] = [];
  visitSteps(steps, (step) => {
    if (step.kind === "kernel" || step.kind === "copy" || step.kind === "host") out.push(step as WorkStep<S>);
  });
  return out;
}

/** All steps, those inside one behind it. */
export function visitSteps<S extends NestStep | LoopStep>(steps: readonly S[], visit: (step: S) => void): void {
  for (const step of steps) {
    visit(step);
    for (const body of bodiesOf(step)) visitSteps(body, visit);
  }
}
