/**
 * What a value starts from: an update from its first operand, a loop's carry from its initial value, the result of a
 * branch from what another branch passes through. Both may live in one buffer.
 */
import type { Graph, Node } from "@sinter/ir";
import { operandGroup } from "@sinter/ir";
import { type GraphModel, infoOf, isLeaf, ruleOf } from "./model.ts";
import type { Unit } from "./units.ts";

/** The operand that a value starts from. */
export function baseOf(model: GraphModel, id: number): number | undefined {
  const info = infoOf(model, id);
  return info.node < 0 ? undefined : baseOfResult(model.graph.nodes[info.node]!, info.result);
}

function baseOfResult(node: Node, result: number): number | undefined {
  const rule = ruleOf(node);
  if (rule.kind === "update") return node.operands[0]!.id;
  if (rule.kind !== "control") return undefined;
  if (rule.form === "cond") {
    const captures = operandGroup(node, "captures");
    for (const region of node.regions) {
      const at = paramBehind(region, region.results[result]!.value.id);
      if (at !== undefined) return captures[at]!.id;
    }
    return undefined;
  }
  return rule.form === "call" ? undefined : operandGroup(node, "init")[result]?.id;
}

/** The position of the parameter that a chain of bases starts from. */
function paramBehind(graph: Graph, id: number): number | undefined {
  let at: number | undefined = id;
  for (let position = graph.nodes.length - 1; at !== undefined && at >= graph.params.length; position--) {
    const node: Node | undefined = graph.nodes[position];
    if (node === undefined) return undefined;
    const result = node.results.findIndex((v) => v.id === at);
    if (result >= 0) at = baseOfResult(node, result);
  }
  return at === undefined ? undefined : graph.params.findIndex((p) => p.value.id === at);
}

/** The values that are made in the memory of `value` before it: what it starts from, what that starts from, and so on. */
export function basesOf(value: number, sharedBase: ReadonlyMap<number, number>): number[] {
  const out: number[] = [];
  for (let base = sharedBase.get(value); base !== undefined; base = sharedBase.get(base)) out.push(base);
  return out;
}

/** Values whose base is kept only for them: both live in one buffer. From value to base. */
export function findSharedBases(model: GraphModel, units: readonly Unit[]): Map<number, number> {
  const out = new Map<number, number>();
  const taken = new Set<number>();
  const templates = units.flatMap((unit) => unit.templates);
  const read = new Set(templates.flatMap((t) => (t.kind === "control" ? [] : t.reads.map((r) => r.id))));
  for (const { id } of templates) {
    const base = baseOf(model, id);
    if (base === undefined || taken.has(base) || read.has(base) || isLeaf(infoOf(model, base))) continue;
    if (model.users[base]!.length !== 1 || model.resultUses[base] !== 0) continue;
    const { operands, rule } = infoOf(model, id);
    const once = operands.filter((operand) => operand === base).length === 1;
    const picks = rule?.kind === "control" && rule.form === "cond" && operands[0] === base;
    if (!once || picks) continue;
    out.set(id, base);
    taken.add(base);
  }
  return out;
}
