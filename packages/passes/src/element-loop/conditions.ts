/**
 * What the test of a loop says: conditions that must all hold, of which one may ask whether any element of a mask is set.
 * Looks through the ways in which people and the tracer write `a && b`; nothing here knows about loops.
 */
import { type Graph, inlineGraph, type Node, rebuild, typeOf, type Value } from "@sinter/ir";

/** A condition: `value`, or its opposite. */
export interface Condition {
  readonly value: Value;
  readonly holds: boolean;
}

export interface Conditions {
  /** Rank 0. */
  readonly scalars: readonly Condition[];
  /** The loop goes on while some element of each holds. */
  readonly masks: readonly Condition[];
}

/** What made a value of a graph or of a builder. */
export type Definition = (
  value: Value,
) => { readonly op: string; readonly operands: readonly Value[]; readonly attrs: Node["attrs"] } | undefined;

/** The conditions that make up the only result of a graph. */
export function conditionsOf(test: Graph): Conditions {
  const makers = new Map<Value, Node>();
  for (const node of test.nodes) for (const result of node.results) makers.set(result, node);
  const scalars: Condition[] = [];
  const masks: Condition[] = [];
  for (const condition of conjuncts({ value: test.results[0]!.value, holds: true }, (value) => makers.get(value))) {
    const mask = anyOf(condition, (value) => makers.get(value));
    if (mask === undefined) scalars.push(condition);
    else masks.push(mask);
  }
  return { scalars, masks };
}

/** The parts of a condition that must all hold. */
export function conjuncts(condition: Condition, made: Definition): Condition[] {
  const { value, holds } = condition;
  const node = made(value);
  const part = (operand: number, as = holds): Condition[] =>
    conjuncts({ value: node!.operands[operand]!, holds: as }, made);
  if (node?.op === "not") return part(0, !holds);
  if (node?.op === (holds ? "and" : "or") && typeOf(value).dtype === "bool") return [...part(0), ...part(1)];
  if (
    node?.op === "select" &&
    typeOf(value).dtype === "bool" &&
    typeOf(node.operands[0]!).shape.length === typeOf(value).shape.length
  ) {
    // c ? x : false is c && x; c ? false : x is !c && x. Of what must not hold, the same with true.
    const stops = (arm: number): boolean => constantBool(node.operands[arm]!, made) === !holds;
    if (stops(2)) return [...part(0, true), ...part(1)];
    if (stops(1)) return [...part(0, false), ...part(2)];
  }
  return [condition];
}

function constantBool(value: Value, made: Definition): boolean | undefined {
  const node = made(value);
  if (node?.op === "broadcast") return constantBool(node.operands[0]!, made);
  const data = node?.op === "const" ? (node.attrs["data"] as ArrayLike<number>) : undefined;
  return data?.length === 1 ? data[0] !== 0 : undefined;
}

/** The mask of which a condition says that some element holds: by `or` over all axes, or by `and` over its opposite. */
function anyOf({ value, holds }: Condition, made: Definition): Condition | undefined {
  const node = made(value);
  if (node?.op !== "reduce" || node.attrs["op"] !== (holds ? "or" : "and")) return undefined;
  const [from] = node.operands as readonly [Value];
  if (typeOf(from).dtype !== "bool") return undefined;
  // Axes may go one after the other.
  return anyOf({ value: from, holds }, made) ?? (typeOf(value).shape.length === 0 ? { value: from, holds } : undefined);
}

/** The graph with branches on a scalar condition that are no more than a few values written as choices between them. */
export function withoutSmallConds(graph: Graph): Graph {
  const small = ({ op, regions, operands }: Node): boolean =>
    op === "cond" &&
    typeOf(operands[0]!).dtype === "bool" &&
    regions.every((r) =>
      r.nodes.every((n) => n.regions.length === 0 && n.results.every((v) => v.type.kind === "tensor")),
    );
  if (!graph.nodes.some(small)) return graph;
  return rebuild(graph, (node, b, operands) => {
    if (!small(node)) return undefined;
    const [condition, ...captures] = operands as readonly [Value, ...Value[]];
    const [no, yes] = node.regions.map((region) => inlineGraph(b, region, captures)) as [Value[], Value[]];
    return node.results.map((_, i) => b.emit("select", [condition, yes[i]!, no[i]!]));
  });
}
