/**
 * Carries that follow from others: `alive = alive.and(test(next))` is `test(z)` from the first round on where it is so at
 * the start. Computed at the start of a round instead of carried out of the one before, it shares what the body makes of z.
 */
import { type Builder, type Graph, inlineGraph, isScalarOp, typeOf, type Value } from "@sinter/ir";
import { type Carry, type Elements, graphOf } from "./elements.ts";

/** How some carries follow from the others, as graphs on elements. `isUsed`: whether one is used after the loop. */
export function findDerived(
  b: Builder,
  elements: Elements,
  carries: readonly Carry[],
  next: readonly Value[],
  isUsed: (position: number) => boolean,
): Map<Carry, Graph> {
  const derived = new Map<Carry, Graph>();
  for (const [i, carry] of carries.entries()) {
    if (carry.scalar || isUsed(carry.position)) continue;
    const sources = carries.map((source, j) => (j === i || derived.has(source) ? undefined : source));
    // What carries are after a round stands for what they are before the next.
    const known = new Map<Value, Value>();
    for (const [j, source] of sources.entries()) if (source !== undefined) known.set(next[j]!, source.param);
    const barred = new Set(carries.map((source) => source.param));
    const value = rewrite(elements.inner, next[i]!, known, barred);
    if (value === undefined || elements.inner.constantOf(value) !== undefined) continue;
    const graph = graphOf(elements, [value]);
    if (startsAs(b, elements, carries, graph, carry.init)) derived.set(carry, graph);
  }
  return derived;
}

/** The value in terms of what is known; undefined where it needs more. */
function rewrite(b: Builder, root: Value, known: Map<Value, Value>, barred: ReadonlySet<Value>): Value | undefined {
  const found = known.get(root);
  if (found !== undefined) return found;
  if (barred.has(root)) return undefined;
  const made = b.definition(root);
  if (made === undefined || made.operands.length === 0) return root;
  if (!isScalarOp(made.op) && made.op !== "cast" && made.op !== "bitcast") return undefined;
  const operands: Value[] = [];
  for (const operand of made.operands) {
    const value = rewrite(b, operand, known, barred);
    if (value === undefined) return undefined;
    operands.push(value);
  }
  const value = b.emit(made.op, operands, made.attrs);
  known.set(root, value);
  return value;
}

/** Whether the graph gives `init` of what the loop starts from. */
function startsAs(b: Builder, elements: Elements, carries: readonly Carry[], graph: Graph, init: Value): boolean {
  const given = new Map<string, Value>();
  for (const [i, captured] of [...elements.captures.keys()].entries()) given.set(`c${i}`, captured);
  for (const carry of carries) given.set(`x${carry.position}`, carry.init);
  const args = graph.params.map((p) => given.get(p.name) ?? b.scalar(typeOf(p.value).dtype, 0));
  return inlineGraph(b, graph, args)[0] === init;
}
