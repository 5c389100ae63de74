/**
 * A graph on tensors seen from one element: elementwise nodes become operations on rank-0 values of a builder, and what
 * does not change from round to round is computed outside, as tensors, and captured. Refuses what mixes elements.
 */
import {
  type Builder,
  type Dim,
  dimText,
  emit,
  type Graph,
  getOp,
  isEffectful,
  isElementOp,
  type Node,
  tensorType,
  typeOf,
  typeText,
  uniformOf,
  type Value,
} from "@sinter/ir";

/** Why a loop stays as it is. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
export function refuse(reason: string): never {
  throw new Refusal(reason);
}

/** A value outside the loop, or one element of a value inside. */
export type Seen = { readonly outer: Value } | { readonly element: Value };

export class Elements {
  /** Of the graph around the loop. */
  private readonly outer: Builder;
  /** Of single elements. */
  readonly inner: Builder;
  private readonly shape: readonly Dim[];
  /** From captured values to the parameters that stand for their elements. */
  readonly captures = new Map<Value, Value>();

  constructor(outer: Builder, inner: Builder, shape: readonly Dim[]) {
    this.outer = outer;
    this.inner = inner;
    this.shape = shape;
  }

  /** Evaluates what the roots need. Elements that `known` has are replaced wherever they are used. */
  evaluate(
    graph: Graph,
    params: readonly Seen[],
    roots: readonly Value[],
    known: ReadonlyMap<Value, Value> = new Map(),
  ): (root: Value) => Seen {
    const needed = new Set<Value>(roots);
    for (const node of [...graph.nodes].reverse())
      if (node.results.some((v) => needed.has(v))) for (const v of node.operands) needed.add(v);
    const seen = new Map<Value, Seen>();
    const settle = (value: Seen): Seen =>
      "outer" in value ? value : { element: known.get(value.element) ?? value.element };
    graph.params.forEach((p, i) => {
      seen.set(p.value, settle(params[i]!));
    });
    for (const [i, node] of graph.nodes.entries()) {
      if (!node.results.some((v) => needed.has(v))) continue;
      this.outer.at(graph.debug.locs[i]);
      const results = this.node(
        node,
        node.operands.map((v) => seen.get(v)!),
        known,
      );
      for (const [k, result] of node.results.entries()) seen.set(result, settle(results[k]!));
    }
    return (root) => seen.get(root)!;
  }

  private node(node: Node, operands: readonly Seen[], known: ReadonlyMap<Value, Value>): Seen[] {
    const def = getOp(node.op);
    if (
      isEffectful(
        def,
        node.operands,
        node.results.map((v) => v.type),
      )
    )
      refuse(`${node.op} has an effect`);
    const fixed = operands.flatMap((x) => ("outer" in x ? [x.outer] : []));
    if (fixed.length === operands.length) {
      // It would run where the loop around it does not.
      if (node.regions.length > 0) refuse(`${node.op} inside it does not depend on what the loop carries`);
      return this.outer.emitNode(node.op, fixed, node.attrs).map((outer) => ({ outer }));
    }
    for (const { type } of node.results)
      if (type.kind !== "tensor" || !this.fits(type.shape))
        refuse(`${node.op} makes ${typeText(type)} in a loop over ${shapeText(this.shape)}`);
    const elements = (): Value[] =>
      operands.map((x) => {
        const element = this.element(x);
        return known.get(element) ?? element;
      });
    const [source] = node.operands;
    const moves = node.op === "broadcast" || node.op === "reshape";
    if (moves && this.fits(typeOf(source!).shape)) return [{ element: elements()[0]! }];
    if (!isElementOp(node.op)) refuse(`${node.op} is no operation on single elements`);
    const attrs = node.regions.length > 0 ? { ...node.attrs, shape: [] } : node.attrs;
    return this.inner.emitNode(node.op, elements(), attrs, node.regions, node.groups).map((element) => ({ element }));
  }

  private fits(shape: readonly Dim[]): boolean {
    return shape.length === 0 || sameElements(shape, this.shape);
  }

  /** The element of a value; one from outside becomes a constant or is captured. */
  element(value: Seen): Value {
    if ("element" in value) return value.element;
    const from = uniformOf(this.outer, value.outer) ?? value.outer;
    const { dtype, shape } = typeOf(from);
    const constant = shape.length === 0 ? this.outer.constantOf(from) : undefined;
    if (constant !== undefined) return this.inner.emit("const", [], { dtype, shape: [], data: constant.data });
    if (!this.fits(shape)) refuse(`${typeText(from.type)} is used in a loop over ${shapeText(this.shape)}`);
    const operand = this.operand(value.outer);
    let param = this.captures.get(operand);
    if (param === undefined) {
      param = this.inner.param("arg", tensorType(dtype, []), `c${this.captures.size}`);
      this.captures.set(operand, param);
    }
    return param;
  }

  /** A value from outside as an operand of the loop: rank 0 where all elements are alike, else of the loop's shape. */
  operand(value: Value): Value {
    const from = uniformOf(this.outer, value) ?? value;
    return typeOf(from).shape.length === 0 ? from : emit.reshape(this.outer, from, this.shape);
  }
}

export const shapeText = (shape: readonly Dim[]): string => `[${shape.map(dimText).join(",")}]`;

/** Whether shapes differ in axes of one element at most. */
export function sameElements(a: readonly Dim[], b: readonly Dim[]): boolean {
  return shapeText(withoutOnes(a)) === shapeText(withoutOnes(b));
}
export function withoutOnes(shape: readonly Dim[]): Dim[] {
  return shape.filter((dim) => dim !== 1);
}
