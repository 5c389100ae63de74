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
  isScalarOp,
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

/** A value outside the loop, or one element of a value inside: as it is, and given what is known. */
export type Seen = { readonly outer: Value } | { readonly element: Value; readonly given: Value };

type Known = ReadonlyMap<Value, Value>;
const nothing: Known = new Map();

/** One value that a loop carries. */
export interface Carry {
  readonly position: number;
  readonly init: Value;
  /** One element of it. */
  readonly param: Value;
  /** Rank 0 beside values that are not: the same for all elements, each of which counts it on its own. */
  readonly scalar: boolean;
}

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
    known: Known = nothing,
  ): (root: Value) => Seen {
    const needed = new Set<Value>(roots);
    for (const node of [...graph.nodes].reverse())
      if (node.results.some((v) => needed.has(v))) for (const v of node.operands) needed.add(v);
    const seen = new Map<Value, Seen>();
    graph.params.forEach((p, i) => {
      const param = params[i]!;
      seen.set(p.value, "outer" in param ? param : { ...param, given: known.get(param.element) ?? param.given });
    });
    for (const [i, node] of graph.nodes.entries()) {
      if (!node.results.some((v) => needed.has(v))) continue;
      this.outer.at(graph.debug.locs[i]);
      this.inner.at(graph.debug.locs[i]);
      const results = this.node(
        node,
        node.operands.map((v) => seen.get(v)!),
        known,
      );
      for (const [k, result] of node.results.entries()) seen.set(result, results[k]!);
    }
    return (root) => seen.get(root)!;
  }

  private node(node: Node, operands: readonly Seen[], known: Known): Seen[] {
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
    const [source] = operands;
    const moves = node.op === "broadcast" || node.op === "reshape";
    if (moves && source !== undefined && this.fits(typeOf(node.operands[0]!).shape)) return [source];
    if (!isElementOp(node.op)) refuse(`${node.op} is no operation on single elements`);
    const attrs = node.regions.length > 0 ? { ...node.attrs, shape: [] } : node.attrs;
    const apply = (elements: readonly Value[]): readonly Value[] =>
      this.inner.emitNode(node.op, elements, attrs, node.regions, node.groups);
    const plain = apply(operands.map((x) => this.element(x)));
    // By the value as it is: once a part of it has been replaced it might not be found again.
    if (known.size === 0) return plain.map((element) => ({ element, given: element }));
    const given = apply(operands.map((x) => this.given(x, known)));
    return plain.map((element, k) => ({ element, given: known.get(element) ?? given[k]! }));
  }

  private fits(shape: readonly Dim[]): boolean {
    return shape.length === 0 || sameElements(shape, this.shape);
  }

  /** The element of a value. */
  element(value: Seen): Value {
    return "element" in value ? value.element : this.fromOutside(value.outer, nothing);
  }

  /** The element of a value, given what is known. */
  given(value: Seen, known: Known): Value {
    return "element" in value ? value.given : this.fromOutside(value.outer, known);
  }

  /** A value from outside becomes a constant or is captured. */
  private fromOutside(value: Value, known: Known): Value {
    const made = this.fits(typeOf(value).shape) ? this.outer.definition(value) : undefined;
    if (made?.op === "reshape" && this.fits(typeOf(made.operands[0]!).shape))
      return this.fromOutside(made.operands[0]!, known);
    // Conditions are put together inside, so that what is known of a part is known of the whole.
    const logical = made?.operands.every((operand) => typeOf(operand).dtype === "bool") === true && isScalarOp(made.op);
    const apply = (facts: Known): Value =>
      this.inner.emit(
        made!.op,
        made!.operands.map((operand) => this.fromOutside(operand, facts)),
      );
    const element = logical ? apply(nothing) : this.captured(value);
    const found = known.get(element);
    return found ?? (logical && known.size > 0 ? apply(known) : element);
  }

  private captured(value: Value): Value {
    const from = uniformOf(this.outer, value) ?? value;
    const { dtype, shape } = typeOf(from);
    const constant = shape.length === 0 ? this.outer.constantOf(from) : undefined;
    if (constant !== undefined) return this.inner.emit("const", [], { dtype, shape: [], data: constant.data });
    if (!this.fits(shape)) refuse(`${typeText(from.type)} is used in a loop over ${shapeText(this.shape)}`);
    const operand = this.operand(value);
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

/** What was found of one element, as a graph whose parameters are all that the builder of elements has. */
export function graphOf(elements: Elements, results: readonly Value[]): Graph {
  return elements.inner.finish(results.map((value) => ({ kind: "out", value })));
}

/** The names of the parameters that a graph uses. */
export function usedParams(graph: Graph): string[] {
  const used = new Set<Value>(graph.results.map((r) => r.value));
  for (const node of graph.nodes) for (const operand of node.operands) used.add(operand);
  return graph.params.filter((p) => used.has(p.value)).map((p) => p.name);
}
