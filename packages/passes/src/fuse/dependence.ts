/** Whether one value is computed from another, through any number of nodes. */
import { type GraphModel, infoOf } from "./model.ts";

export function dependsOn(model: GraphModel, value: number, on: number): boolean {
  const seen = new Set<number>();
  const stack = [value];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (at === on) return true;
    // Operands have smaller numbers: what comes before `on` cannot lead to it.
    if (at < on || seen.has(at)) continue;
    seen.add(at);
    stack.push(...infoOf(model, at).operands);
  }
  return false;
}
