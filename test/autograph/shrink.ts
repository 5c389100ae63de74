// Shrinking of a structured program that fails, by dropping statements and inputs.
import { smaller } from "./program.ts";
import type { StructuredCase } from "./run.ts";

/** A smaller case for which `fails` still holds, after at most `budget` attempts. */
export function shrink(
  one: StructuredCase,
  fails: (candidate: StructuredCase) => boolean,
  budget = 400,
): StructuredCase {
  let current = one;
  for (const input of one.inputs) {
    const candidate = { program: one.program, inputs: [input] };
    budget--;
    if (fails(candidate)) {
      current = candidate;
      break;
    }
  }
  for (let changed = true; changed && budget > 0; ) {
    changed = false;
    for (const program of smaller(current.program)) {
      if (budget-- <= 0) break;
      const candidate = { ...current, program };
      if (!fails(candidate)) continue;
      current = candidate;
      changed = true;
      break;
    }
  }
  return current;
}
