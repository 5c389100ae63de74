/** Whether threads of a group hand values to each other through storage: what barriers then have to cover beside group memory. */
import { type LoopExpr, type LoopFunc, type LoopStmt, loopExprsOf, loopOperands } from "@sinter/ir";

/**
 * Whether a function both reads and writes one binding (several pointers may lead into it). One that calls others counts
 * as doing so.
 */
export function exchangesThroughStorage(func: LoopFunc, bindingOf: (pointer: number) => number | undefined): boolean {
  const binding = new Map(func.pointers.map((p, i) => [p.id, bindingOf(i)]));
  const read = new Set<number | undefined>();
  const written = new Set<number | undefined>();
  const seen = new Set<LoopExpr>();
  let calls = false;
  const expr = (e: LoopExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "load") read.add(binding.get(e.pointer.id));
    loopOperands(e).forEach(expr);
  };
  const list = (statements: readonly LoopStmt[]): void => {
    for (const s of statements) {
      loopExprsOf(s).forEach(expr);
      if (s.kind === "store") written.add(binding.get(s.pointer.id));
      else if (s.kind === "for" || s.kind === "while") list(s.body);
      else if (s.kind === "if") for (const branch of [s.then, s.else]) list(branch);
      else if (s.kind === "call" || s.kind === "par") calls = true;
    }
  };
  list(func.body);
  return calls || [...written].some((b) => b !== undefined && read.has(b));
}
