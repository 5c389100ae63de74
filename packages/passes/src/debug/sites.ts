/**
 * What a debug build looks at: nodes that can make NaN or infinities, and operands that are positions out of data; and
 * which elements are at fault, as bool values of the program itself.
 */
import {
  type Builder,
  emit,
  type Graph,
  getOp,
  type IndexBound,
  isFloat,
  isScalarOp,
  type Node,
  type NodePath,
  typeOf,
  type Value,
} from "@sinter/ir";
import { controlForm } from "../control/region-op.ts";

/** One thing that can go wrong at one node. */
export type WatchSite =
  | { readonly kind: "nonFinite"; readonly path: NodePath; readonly result: number }
  | { readonly kind: "bounds"; readonly path: NodePath; readonly bound: IndexBound };

/** All sites of a graph in the order of its text, which is the order they run in but for rounds of loops. */
export function sitesOf(graph: Graph): readonly WatchSite[] {
  const sites: WatchSite[] = [];
  const visit = (region: Graph, before: NodePath): void => {
    region.nodes.forEach((node, i) => {
      const path = [...before, i];
      sites.push(...sitesAt(node, path));
      node.regions.forEach((inner, r) => {
        visit(inner, [...path, r]);
      });
    });
  };
  visit(graph, []);
  return sites;
}

function sitesAt(node: Node, path: NodePath): WatchSite[] {
  if (controlForm(node) !== undefined) return [];
  const bounds = boundsOf(node).map((bound): WatchSite => ({ kind: "bounds", path, bound }));
  const results = node.results.flatMap((value, result): WatchSite[] =>
    value.type.kind === "tensor" && isFloat(value.type.dtype) && canMake(node)
      ? [{ kind: "nonFinite", path, result }]
      : [],
  );
  return [...bounds, ...results];
}

function boundsOf(node: Node): readonly IndexBound[] {
  const [operands, results] = [node.operands.map(typeOf), node.results.map(typeOf)];
  return getOp(node.op).bounds({ attrs: node.attrs, operands, results });
}

/** Whether a result can be worse than every operand: not of constants, nor where elements only move. */
function canMake(node: Node): boolean {
  const { derivative, nest, effect, cost, demand } = getOp(node.op);
  if (effect || node.operands.length === 0 || demand.kind === "pick") return false;
  if (isScalarOp(node.op)) return true;
  const [operands, results] = [node.operands.map(typeOf), node.results.map(typeOf)];
  const free = derivative.kind === "linear" || cost({ attrs: node.attrs, operands, results }) === 0;
  return !(free && (nest.kind === "map" || nest.kind === "update"));
}

/** Whether elements of the result depend on the same elements of the operands. */
export function isElementwise(node: Node): boolean {
  return isScalarOp(node.op);
}

/** Bool tests of float values, each made once. */
export class FloatTests {
  private readonly b: Builder;
  private readonly finites = new Map<Value, Value>();
  private readonly numbers = new Map<Value, Value>();
  private readonly whole = new Map<Value, Value>();

  constructor(b: Builder) {
    this.b = b;
  }

  /** Neither NaN nor infinite. */
  finite(x: Value): Value {
    return this.once(this.finites, x, () =>
      emit.less(this.b, this.b.emit("abs", [x]), this.b.scalar(emit.dtypeOf(x), Infinity)),
    );
  }

  /** Not NaN. */
  number(x: Value): Value {
    return this.once(this.numbers, x, () => emit.equal(this.b, x, x));
  }

  /** Whether a bool holds for all elements. */
  all(test: Value): Value {
    return this.once(this.whole, test, () => reduceAll(this.b, "and", test));
  }

  private once(known: Map<Value, Value>, x: Value, make: () => Value): Value {
    let made = known.get(x);
    if (made === undefined) known.set(x, (made = make()));
    return made;
  }
}

/** The elements of a result that are NaN though no operand is, or infinite though every operand is finite. */
export function madeBy(b: Builder, node: Node, operands: readonly Value[], result: Value, tests: FloatTests): Value {
  const inner = isElementwise(node);
  const floats = operands.filter((x) => isFloat(typeOf(x).dtype));
  const every = (test: (x: Value) => Value): Value =>
    floats.map(test).reduce((a, c) => emit.and(b, a, c), b.scalar("bool", 1));
  const fine = every((x) => (inner ? tests.finite(x) : tests.all(tests.finite(x))));
  const numbers = every((x) => (inner ? tests.number(x) : tests.all(tests.number(x))));
  const worse = b.emit("or", [fine, emit.and(b, emit.not(b, tests.number(result)), numbers)]);
  return emit.and(b, emit.not(b, tests.finite(result)), worse);
}

/** The elements of an index operand that lie outside. */
export function outside(b: Builder, bound: IndexBound, operands: readonly Value[]): Value {
  const index = operands[bound.operand]!;
  const low = emit.less(b, index, b.scalar("i32", 0));
  return b.emit("or", [low, emit.greater(b, index, emit.sizeValue(b, bound.last))]);
}

export function reduceAll(b: Builder, op: "and" | "or", test: Value): Value {
  return emit.rankOf(test) === 0 ? test : emit.reduce(b, op, test, emit.range(emit.rankOf(test)));
}
