/** Functions of loops looked at from outside: what they bind, and what else they could be handed. */
import { type LoopFunc, type LoopPointer, type LoopStmt, type LoopVar, loop } from "@sinter/ir";

/**
 * The function with all these pointers and symbolic sizes: its own pointers come to stand at `places`, those in between it does not use.
 */
export function widen(
  func: LoopFunc,
  all: readonly LoopPointer[],
  places: readonly number[],
  ownSyms: readonly string[],
  syms: readonly string[],
): LoopFunc {
  let pointerId = Math.max(-1, ...[...func.pointers, ...(func.locals ?? []).map((l) => l.pointer)].map((p) => p.id));
  const pointers = all.map((p): LoopPointer => ({ ...p, id: ++pointerId }));
  for (const [i, place] of places.entries()) pointers[place] = func.pointers[i]!;
  let variableId = Math.max(-1, ...func.params.map((v) => v.id), ...variableIds(func.body));
  const [group, thread, ...sizes] = func.params as readonly [LoopVar, LoopVar, ...LoopVar[]];
  const params = syms.map((name) => {
    const own = ownSyms.indexOf(name);
    return own >= 0 ? sizes[own]! : { id: ++variableId, name, type: loop.type("i32"), mutable: false };
  });
  return { ...func, pointers, params: [group, thread, ...params] };
}

/** Numbers of the variables that statements bind, however deep. */
export function variableIds(list: readonly LoopStmt[]): number[] {
  return list.flatMap((s): number[] => {
    switch (s.kind) {
      case "let":
      case "groupFold":
        return [s.variable.id];
      case "for":
        return [s.variable.id, ...variableIds(s.body)];
      case "while":
        return variableIds(s.body);
      case "if":
        return [...variableIds(s.then), ...variableIds(s.else)];
      default:
        return [];
    }
  });
}
