/** What dumps call the tensors that go through the slots of a program. */
import type { Graph, Slot } from "@sinter/ir";

/**
 * `arg x`, `const x` and `state x` by parameter of the graph, `next x` for the new value of a state, `result 0` by place.
 * Undefined for what is no tensor of the caller: the arena, the constants of the code, symbolic sizes.
 */
export function slotNames(graph: Graph, slots: readonly Slot[]): readonly (string | undefined)[] {
  const ofKind = (kind: string): readonly string[] => graph.params.filter((p) => p.kind === kind).map((p) => p.name);
  const params = { arg: ofKind("arg"), const: ofKind("const"), state: ofKind("state") };
  const states = graph.results.flatMap((result) => (result.kind === "state" ? [graph.params[result.param]!.name] : []));
  return slots.map(({ kind, index }) => {
    if (kind === "arena" || kind === "sym") return undefined;
    if (kind === "result") return `result ${index}`;
    if (kind === "stateOut") return `next ${states[index]}`;
    const name = params[kind][index];
    return name === undefined ? undefined : `${kind} ${name}`;
  });
}
