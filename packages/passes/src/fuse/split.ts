/**
 * Splits axes of a nest of points so that divisions and remainders disappear from its positions: what reshapes that
 * join or cut axes leave behind. An axis becomes `size * outer + inner`; order is kept.
 */
import {
  type Axis,
  addIndex,
  axis,
  axisIndex,
  type IndexExpr,
  isConst,
  type Nest,
  ownIndices,
  type Range,
  rewriteScalar,
  type ScalarExpr,
  type Store,
  scaleIndex,
  substituteIndex,
  visitAtoms,
  visitScalar,
} from "@sinter/ir";

/** Splits tried on one nest; each removes at least one division. */
const mostSplits = 8;

export function splitAxes(nest: Nest): Nest {
  if (nest.accumulators.length > 0 || nest.carries.length > 0) return nest;
  let current = nest;
  for (let i = 0; i < mostSplits; i++) {
    const before = divisions(current).length;
    const better = candidates(current)
      .map((c) => splitOne(current, c.axis, c.size))
      .find((tried) => divisions(tried).length < before);
    if (better === undefined) return current;
    current = better;
  }
  return current;
}

interface Candidate {
  readonly axis: Axis;
  /** Size of the new inner axis. */
  readonly size: number;
}

/** Splits that could settle some division: by what its divisor is in steps of the axis. Largest first. */
function candidates(nest: Nest): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { value, by } of divisions(nest)) {
    if (!isConst(by)) continue;
    for (const { coef, atom } of value.terms) {
      if (atom.kind !== "axis" || !nest.axes.includes(atom.axis)) continue;
      const { extent } = atom.axis;
      const size = by.constant / greatestCommonDivisor(Math.abs(coef), by.constant);
      if (typeof extent !== "number" || size <= 1 || size >= extent || extent % size !== 0) continue;
      found.set(`${atom.axis.id}/${size}`, { axis: atom.axis, size });
    }
  }
  return [...found.values()].sort((a, b) => b.size - a.size || a.axis.id - b.axis.id);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

interface Division {
  readonly value: IndexExpr;
  readonly by: IndexExpr;
}

/** The distinct divisions and remainders in a nest's positions. */
function divisions(nest: Nest): Division[] {
  const out = new Map<string, Division>();
  const look = (ix: IndexExpr): void =>
    visitAtoms(ix, (atom) => {
      if (atom.kind === "div" || atom.kind === "mod") out.set(atom.key, atom);
    });
  const seen = new Set<ScalarExpr>();
  const inside = (value: ScalarExpr): void => visitScalar(value, (e) => ownIndices(e).forEach(look), seen);
  for (const store of nest.stores) {
    for (const ix of [...store.index, ...(store.guard ?? []).map((g) => g.index)]) {
      look(ix);
      visitAtoms(ix, (atom) => {
        if (atom.kind === "dyn") inside(atom.value);
      });
    }
    inside(store.value);
  }
  return [...out.values()];
}

function splitOne(nest: Nest, split: Axis, size: number): Nest {
  const outer = axis(split.name, (split.extent as number) / size, split.kind);
  const inner = axis(split.name, size, split.kind);
  const axes = new Map([[split.id, addIndex(scaleIndex(axisIndex(outer), size), axisIndex(inner))]]);
  const rewrite = (e: ScalarExpr): ScalarExpr => rewriteScalar(e, axes);
  const index = (ix: IndexExpr): IndexExpr => substituteIndex(ix, axes, rewrite);
  const range = (r: Range): Range => ({ ...r, index: index(r.index) });
  const stores = nest.stores.map(
    (s): Store => ({
      ...s,
      index: s.index.map(index),
      value: rewrite(s.value),
      ...(s.guard === undefined ? {} : { guard: s.guard.map(range) }),
    }),
  );
  return { ...nest, axes: nest.axes.flatMap((a) => (a === split ? [outer, inner] : [a])), stores };
}
