/** Finds the repetition in a run of pending operations, so that a loop is always cut at the same place. */
import type { Lazy } from "./lazy.ts";

/** Length of the repeating unit at the end of `nodes`, or all of it where nothing repeats. */
export function periodOf(nodes: readonly Lazy[], order: readonly Lazy[]): number {
  const at = new Map(order.map((lazy, i) => [lazy, i]));
  const ids = new Map<string, number>();
  const codes = nodes.map((lazy, i) => {
    const text = textOf(lazy, i, at);
    let id = ids.get(text);
    if (id === undefined) ids.set(text, (id = ids.size));
    return id;
  });
  const count = codes.length;
  for (let period = 1; period <= count / 2; period++) {
    let same = 0;
    while (same + period < count && codes[count - 1 - same] === codes[count - 1 - same - period]) same++;
    // Most of the run must repeat: a stray pair of equal operations at the end is no loop.
    if (same >= period && same + period >= count / 2) return period;
  }
  return count;
}

/** What an operation is, and how far back its operands lie. */
function textOf(lazy: Lazy, position: number, at: ReadonlyMap<Lazy, number>): string {
  const { pending } = lazy;
  const parts = [lazy.dtype, lazy.shape.join(",")];
  if (pending === undefined) return parts.join("|");
  parts.push(pending.op);
  for (const operand of pending.operands) {
    const index = at.get(operand);
    // The first round of a loop reads inputs where later rounds read the round before.
    parts.push(index === undefined ? "in" : String(position - index));
  }
  return parts.join("|");
}
