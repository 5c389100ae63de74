/** What a nest is, read off its structure: which axes a value depends on, and whether a nest is a contraction. */
import type { Axis, IndexExpr, ScalarExpr } from "./expr.ts";
import { visitAtoms } from "./index-algebra.ts";
import type { Accumulator, Combine, Nest } from "./nest.ts";
import { visitScalar } from "./scalar-expr.ts";

/** Adds the ids of the axes that an index depends on, through data too. */
export function indexAxes(index: IndexExpr, into: Set<number> = new Set()): Set<number> {
  visitAtoms(index, (atom) => {
    if (atom.kind === "axis") into.add(atom.axis.id);
    else if (atom.kind === "dyn") for (const id of scalarAxes(atom.value)) into.add(id);
  });
  return into;
}

/** The positions that the nodes of a value hold directly: those of reads, of guards, and indices used as values. */
export function ownIndices(node: ScalarExpr): readonly IndexExpr[] {
  switch (node.kind) {
    case "read":
      return [...node.index, ...node.guard.map((g) => g.index)];
    case "guard":
      return node.guard.map((g) => g.index);
    case "index":
      return [node.index];
    default:
      return [];
  }
}

/** Ids of the axes that a value depends on. */
export function scalarAxes(value: ScalarExpr): Set<number> {
  const out = new Set<number>();
  visitScalar(value, (node) => {
    for (const index of ownIndices(node)) indexAxes(index, out);
  });
  return out;
}

/**
 * `sum over k of lhs * rhs`. `batch` axes move both factors, `m` only lhs, `n` only rhs; each list keeps the nest's
 * order. lhs is the factor whose own axes come first. A matrix product has both m and n; with n empty it is a matrix
 * times a vector (or, with m empty too, a batch of inner products).
 */
export interface Contraction {
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  readonly lhs: ScalarExpr;
  readonly rhs: ScalarExpr;
}

/** The contraction that a nest with one accumulator computes, or undefined. Stores are not looked at. */
export function contractionOf(nest: Nest): Contraction | undefined {
  return contractionOfAccumulators(nest.axes, nest.accumulators);
}

export function contractionOfAccumulators(
  axes: readonly Axis[],
  accumulators: readonly Accumulator[],
): Contraction | undefined {
  const [only, second] = accumulators;
  const product = only?.values[0];
  if (only === undefined || second !== undefined || only.combine !== "add") return undefined;
  if (product?.kind !== "op" || product.op !== "mul") return undefined;
  const [x, y] = product.args;
  if (x === undefined || y === undefined || axes.some((a) => a.kind === "seq")) return undefined;
  const [inX, inY] = [scalarAxes(x), scalarAxes(y)];
  const live = axes.filter((a) => a.extent !== 1);
  const par = live.filter((a) => a.kind === "par");
  const k = live.filter((a) => a.kind === "red");
  if (!k.every((a) => inX.has(a.id) && inY.has(a.id))) return undefined;
  if (!par.every((a) => inX.has(a.id) || inY.has(a.id))) return undefined;
  const batch = par.filter((a) => inX.has(a.id) && inY.has(a.id));
  const onlyX = par.filter((a) => !inY.has(a.id));
  const onlyY = par.filter((a) => !inX.has(a.id));
  const first = par.find((a) => onlyX.includes(a) || onlyY.includes(a));
  return first !== undefined && onlyY.includes(first)
    ? { batch, m: onlyY, n: onlyX, k, lhs: y, rhs: x }
    : { batch, m: onlyX, n: onlyY, k, lhs: x, rhs: y };
}

/** Whether the fold picks one of the values it is given (a maximum), rather than making a new one (a sum). */
export function picksOne(combine: Combine): boolean {
  return combine === "max" || combine === "min" || combine === "argMax" || combine === "argMin";
}
