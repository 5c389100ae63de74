/**
 * Which elements of a value anybody uses: what `where` leaves out on every way on counts for nothing, so that the far
 * side of a guard, `where(x > 0, log(x), 0)`, is no mistake.
 */
import { type Builder, emit, type Graph, getOp, type Node, type Value } from "@sinter/ir";
import { reduceAll } from "./sites.ts";

/** All elements, or those where a bool value of the value's shape holds. */
export type Demand = "all" | Value;

interface Use {
  readonly node: Node;
  readonly operand: number;
}

export class Demands {
  private readonly b: Builder;
  private readonly uses = new Map<Value, Use[]>();
  private readonly results: ReadonlySet<Value>;
  /** The new value of an old one. */
  private readonly read: (value: Value) => Value;
  private readonly known = new Map<Value, Demand>();
  /** Values that nobody needs whole. */
  private readonly partial = new Set<Value>();

  /** Of one graph, whose nodes are copied into `b`; masks are made there when asked for, behind all that they read. */
  constructor(b: Builder, graph: Graph, read: (value: Value) => Value) {
    this.b = b;
    this.read = read;
    this.results = new Set(graph.results.map((result) => result.value));
    for (const node of graph.nodes)
      node.operands.forEach((value, operand) => {
        const uses = this.uses.get(value);
        if (uses === undefined) this.uses.set(value, [{ node, operand }]);
        else uses.push({ node, operand });
      });
    // Uses come behind what they use.
    for (const node of graph.nodes.toReversed()) for (const value of node.results) this.settle(value);
  }

  /** Whether all elements are used, or it cannot be told. */
  isWhole(value: Value): boolean {
    return !this.partial.has(value);
  }

  private settle(value: Value): void {
    const uses = this.uses.get(value) ?? [];
    if (this.results.has(value) || uses.length === 0 || uses.some((use) => this.takesAll(use))) return;
    this.partial.add(value);
  }

  private takesAll({ node, operand }: Use): boolean {
    const { demand } = getOp(node.op);
    if (demand.kind === "all") return true;
    // Where no operand decides what is taken, everything is.
    if (demand.kind === "same" || demand.whole.length === 0) return this.isWhole(node.results[0]!);
    return demand.whole.includes(operand);
  }

  /** The elements that are used. Only once every node of the graph has been copied. */
  of(value: Value): Demand {
    if (this.isWhole(value)) return "all";
    let mask = this.known.get(value);
    if (mask === undefined) {
      const masks = this.uses.get(value)!.map((use) => this.through(use, value));
      mask = masks.reduce((a, c) => this.b.emit("or", [a, c]));
      this.known.set(value, mask);
    }
    return mask;
  }

  private through({ node, operand }: Use, value: Value): Value {
    const { b } = this;
    const demand = this.of(node.results[0]!);
    const mask = demand === "all" ? b.scalar("bool", 1) : demand;
    const rule = getOp(node.op).demand;
    const operands = node.operands.map(this.read);
    const used = rule.kind === "pick" ? rule.used(b, mask, { operands, attrs: node.attrs }, operand) : mask;
    const shape = emit.shapeOf(value);
    if (emit.rankOf(used) === 0) return emit.expandScalar(b, used, shape);
    return shape.length === 0 ? reduceAll(b, "or", used) : used;
  }
}
