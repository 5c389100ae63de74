/**
 * Rewrites of a nest before it becomes loops: positions become element offsets, axes that always move together merge,
 * and axes split where a guard changes its mind. No memory, no lanes.
 */
import type { Atom, Axis, BufferDecl, Dim, IndexExpr, Nest, Range, ScalarExpr, Store } from "../index.ts";
import {
  addIndex,
  axis,
  axisIndex,
  divIndex,
  indexData,
  linearize,
  modIndex,
  rewriteScalar,
  scalarRead,
  sizeOf,
  subIndex,
  substituteIndex,
  toDim,
  toIndex,
  typicalDim,
  visitAtoms,
  visitScalar,
} from "../index.ts";

type AxisMap = ReadonlyMap<number, IndexExpr>;
export const noAxes: AxisMap = new Map();

/** Applies a substitution of axes (and of leaves) to all expressions of a nest; the axes themselves are given anew. */
export function rewriteNest(
  nest: Nest,
  axes: readonly Axis[],
  map: AxisMap,
  leaf: (node: ScalarExpr) => ScalarExpr = (node) => node,
): Nest {
  const scalar = (e: ScalarExpr): ScalarExpr => rewriteScalar(e, map, leaf);
  const index = (e: IndexExpr): IndexExpr => substituteIndex(e, map, scalar);
  const ranges = (guard: readonly Range[]): Range[] => guard.map((r) => ({ ...r, index: index(r.index) }));
  const store = (s: Store): Store => ({
    ...s,
    index: s.index.map(index),
    value: scalar(s.value),
    ...(s.guard ? { guard: ranges(s.guard) } : {}),
  });
  return {
    axes,
    accumulators: nest.accumulators.map((a) => ({ ...a, values: a.values.map(scalar) })),
    carries: nest.carries.map((c) => ({ ...c, init: scalar(c.init), next: scalar(c.next) })),
    stores: nest.stores.map(store),
  };
}

/** Every scalar expression of a nest, those inside its other expressions aside. */
export function nestScalars(nest: Nest): ScalarExpr[] {
  return [
    ...nest.accumulators.flatMap((a) => a.values),
    ...nest.carries.flatMap((c) => [c.init, c.next]),
    ...nest.stores.flatMap(storeScalars),
  ];
}

/** What is stored, and what says where and whether. */
export function storeScalars({ value, index, guard }: Store): ScalarExpr[] {
  return [value, ...indexData(index, guard ?? [])];
}

/** Calls `visit` for each index of a nest: read and store positions, guards, iotas, those inside dyn values too. */
export function visitIndices(nest: Nest, visit: (index: IndexExpr) => void): void {
  const seen = new Set<ScalarExpr>();
  const scalar = (node: ScalarExpr): void => {
    if (node.kind === "index") visit(node.index);
    if (node.kind === "read") node.index.forEach(visit);
    if (node.kind === "read" || node.kind === "guard") for (const range of node.guard) visit(range.index);
  };
  for (const root of nestScalars(nest)) visitScalar(root, scalar, seen);
  for (const { index, guard = [] } of nest.stores) for (const ix of [...index, ...guard.map((r) => r.index)]) visit(ix);
}

/** Flat forms of nests whose buffers have not changed: the choice of a schedule and the schedule both ask. */
const flattened = new WeakMap<Nest, { readonly buffers: readonly BufferDecl[]; readonly flat: Nest }>();

/** Positions become one row-major element offset; axes of one iteration go. */
export function flattenNest(nest: Nest, buffers: readonly BufferDecl[]): Nest {
  let known = flattened.get(nest);
  if (known?.buffers !== buffers) flattened.set(nest, (known = { buffers, flat: flatten(nest, buffers) }));
  return known.flat;
}

function flatten(nest: Nest, buffers: readonly BufferDecl[]): Nest {
  const shape = (id: number): BufferDecl["shape"] => buffers[id]!.shape;
  const flat = rewriteNest(
    nest,
    nest.axes.filter((a) => a.extent !== 1),
    noAxes,
    (node) =>
      node.kind === "read"
        ? scalarRead(node.dtype, node.buffer, [linearize(node.index, shape(node.buffer))], node.guard, node.fill)
        : node,
  );
  return { ...flat, stores: flat.stores.map((s) => ({ ...s, index: [linearize(s.index, shape(s.buffer))] })) };
}

/** Merges neighbouring axes of one kind wherever every position then stays linear in the merged axis. */
export function collapseAxes(nest: Nest): Nest {
  let current = nest;
  for (let i = 0; i + 1 < current.axes.length; ) {
    const [outer, inner] = [current.axes[i]!, current.axes[i + 1]!];
    const merged = outer.kind === inner.kind ? mergePair(current, i, outer, inner) : undefined;
    if (merged) current = merged;
    else i++;
  }
  return current;
}

/** Positions that a merged axis may have: they are i32, which loops over them leave by a step. */
export const mostPositions = 2 ** 30;

function mergePair(nest: Nest, position: number, outer: Axis, inner: Axis): Nest | undefined {
  const size = inner.extent;
  if (typeof size === "number" && typeof outer.extent === "number" && size * outer.extent > mostPositions)
    return undefined;
  const merged = axis(`${outer.name}${inner.name}`, sizeOf([outer.extent, size]), outer.kind);
  if (typeof size === "number" && certainlyUneven(nest, outer, inner, size)) return undefined;
  const at = axisIndex(merged);
  const map = new Map([
    [outer.id, divIndex(at, size)],
    [inner.id, modIndex(at, size)],
  ]);
  const axes = [...nest.axes.slice(0, position), merged, ...nest.axes.slice(position + 2)];
  const candidate = rewriteNest(nest, axes, map);
  let linear = true;
  visitIndices(candidate, (index) => {
    for (const { atom } of index.terms)
      if (atom.kind !== "axis" && atom.kind !== "dyn" && mentions(index, merged)) {
        const direct = index.terms.some((t) => t.atom.kind === "axis" && t.atom.axis.id === merged.id);
        if (!direct || atomMentions(atom, merged)) linear = false;
      }
  });
  return linear ? candidate : undefined;
}

/** Whether some position plainly moves by other strides than a merged axis would: found without rewriting the nest. */
function certainlyUneven(nest: Nest, outer: Axis, inner: Axis, size: number): boolean {
  let uneven = false;
  visitIndices(nest, (index) => {
    const [far, near] = [strideOf(index, outer), strideOf(index, inner)];
    if (far !== undefined && near !== undefined && far !== near * size) uneven = true;
  });
  return uneven;
}

/** All points of several axes (outermost first) as one axis, by div and mod where positions are not linear in it. */
export function mergeAxes(
  nest: Nest,
  axes: readonly Axis[],
): { readonly nest: Nest; readonly merged: Axis | undefined } {
  const [first] = axes;
  if (axes.length < 2 || first === undefined) return { nest, merged: first };
  const total = sizeOf(axes.map((a) => a.extent));
  const merged = axis(axes.map((a) => a.name).join(""), total, first.kind);
  const map = new Map<number, IndexExpr>();
  let rest = axisIndex(merged);
  for (const a of [...axes].reverse()) {
    map.set(a.id, a === first ? rest : modIndex(rest, a.extent));
    rest = divIndex(rest, a.extent);
  }
  const others = nest.axes.filter((a) => !axes.includes(a));
  const at = nest.axes.filter((a) => !axes.includes(a) || a === first).indexOf(first);
  return { nest: rewriteNest(nest, [...others.slice(0, at), merged, ...others.slice(at)], map), merged };
}

function atomMentions(atom: IndexExpr["terms"][number]["atom"], of: Axis): boolean {
  if (atom.kind === "axis") return atom.axis.id === of.id;
  if (atom.kind === "div" || atom.kind === "mod") return mentions(atom.value, of) || mentions(atom.by, of);
  if (atom.kind === "mul") return atom.factors.some((f) => mentions(f, of));
  if (atom.kind === "min" || atom.kind === "max") return atom.args.some((f) => mentions(f, of));
  return false;
}

/** Whether an index varies with an axis, data positions aside. */
export function mentions(index: IndexExpr, of: Axis): boolean {
  return index.terms.some(({ atom }) => atomMentions(atom, of));
}

/** How far a position moves per step of an axis; undefined where it does not move evenly (div, mod, data). */
export function strideOf(index: IndexExpr, of: Axis): number | undefined {
  let stride = 0;
  for (const { coef, atom } of index.terms) {
    if (atom.kind === "axis") stride += atom.axis.id === of.id ? coef : 0;
    else if (atomMentions(atom, of) || dataMentions(atom, of)) return undefined;
  }
  return stride;
}

/** Whether data positions in an atom, however deep, vary with an axis. */
function dataMentions(atom: Atom, of: Axis): boolean {
  let found = false;
  visitAtoms({ constant: 0, terms: [{ coef: 1, atom }], key: atom.key, lo: atom.lo, hi: atom.hi }, (inner) => {
    found ||= inner.kind === "dyn" && scalarMentions(inner.value, of);
  });
  return found;
}

/** Whether a node itself, its operands aside, varies with an axis. Accumulators and carries are of one par point. */
export function nodeMentions(node: ScalarExpr, of: Axis): boolean {
  switch (node.kind) {
    case "acc":
    case "carry":
      return of.kind === "par";
    case "index":
      return mentions(node.index, of);
    case "read":
      return node.index.some((ix) => mentions(ix, of)) || node.guard.some((r) => mentions(r.index, of));
    case "guard":
      return node.guard.some((r) => mentions(r.index, of));
    default:
      return false;
  }
}

/** Whether a scalar varies with an axis. */
export function scalarMentions(root: ScalarExpr, of: Axis): boolean {
  let found = false;
  visitScalar(root, (node) => {
    found ||= nodeMentions(node, of);
  });
  return found;
}

/** Part of a nest; `along` is what is left of the axis that was cut, if more than one iteration. */
export interface Piece {
  readonly nest: Nest;
  readonly along: Axis | undefined;
}

/** Most pieces an axis is cut into for the sake of guards: padding and concatenation of a few parts. */
const maxPieces = 9;

/** Sizes in ascending order; undefined where symbolic ones leave it open. */
function inOrder(sizes: readonly Dim[]): readonly Dim[] | undefined {
  const sorted = [...sizes].sort((a, b) => typicalDim(a) - typicalDim(b));
  return sorted.every((size, i) => i === 0 || subIndex(size, sorted[i - 1]!).lo >= 0) ? sorted : undefined;
}

/**
 * The nest cut along `of` where a guard of the form lo <= axis + c < hi begins or ceases to hold, so that inside each
 * piece it is decided. One piece where nothing is gained.
 */
export function splitAtGuards(nest: Nest, of: Axis): Piece[] {
  const cuts = new Map<string, Dim>();
  const cut = (at: Dim): void => void cuts.set(toIndex(at).key, at);
  cut(0);
  cut(of.extent);
  const consider = (guard: readonly Range[]): void => {
    for (const { index, lo, hi } of guard) {
      const only = index.terms.length === 1 ? index.terms[0] : undefined;
      if (only?.coef !== 1 || only.atom.kind !== "axis" || only.atom.axis.id !== of.id) continue;
      for (const bound of [subIndex(lo, index.constant), subIndex(hi, index.constant)])
        if (bound.hi > 0 && subIndex(of.extent, bound).hi > 0) cut(toDim(bound));
    }
  };
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(root, (node) => (node.kind === "read" || node.kind === "guard") && consider(node.guard), seen);
  for (const store of nest.stores) consider(store.guard ?? []);
  const bounds = inOrder([...cuts.values()]);
  if (bounds === undefined || bounds.length === 2 || bounds.length > maxPieces + 1) return [{ nest, along: of }];
  const pieces: Piece[] = [];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const piece = axis(of.name, toDim(subIndex(bounds[i + 1]!, bounds[i]!)), of.kind);
    const axes = nest.axes.map((a) => (a.id === of.id ? piece : a)).filter((a) => a.extent !== 1);
    const part = rewriteNest(nest, axes, new Map([[of.id, addIndex(axisIndex(piece), bounds[i]!)]]));
    pieces.push({ nest: part, along: axes.includes(piece) ? piece : undefined });
  }
  return pieces;
}
