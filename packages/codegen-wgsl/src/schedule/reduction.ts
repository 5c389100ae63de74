/** What a reduction is to a GPU: its results, its terms, and how many threads and groups take part in each. */
import type { Axis, BufferDecl, Dim, IndexExpr, Nest, ScalarExpr, WebgpuFeatures } from "@sinter/ir";
import { isMultiple, scaleIndex, toDim, typicalDim, visitScalar } from "@sinter/ir";
import {
  ceilDiv,
  collapseAxes,
  flattenNest,
  isPair,
  mergeAxes,
  mostPositions,
  nestScalars,
  strideOf,
  vectorLanes,
} from "@sinter/ir/schedule";
import { mostThreads, powerAbove, powerBelow } from "./stage.ts";

/** A reduction with one axis of results and one of terms (undefined: a single one), and who computes what. */
export interface Reduction {
  readonly nest: Nest;
  readonly par: Axis | undefined;
  /** The terms that threads share. What other axes of terms `nest` has, each thread goes through in loops around. */
  readonly red: Axis | undefined;
  readonly points: Dim;
  readonly terms: Dim;
  /** Results of a group, and threads of each of them: powers of two. */
  readonly results: number;
  readonly lanes: number;
  /** Whether neighbouring threads have neighbouring terms, else neighbouring results. */
  readonly along: boolean;
  /** Whether the threads of a result, which lie side by side, exchange what they have without the memory of the group. */
  readonly neighbours: boolean;
  /** Whether a thread takes four terms at once. */
  readonly vector: boolean;
  /** Whether a thread takes four results at once; `results` counts such fours then. */
  readonly wide: boolean;
  /** Parts that the terms are cut into, and terms of a part. */
  readonly slices: number;
  readonly sliceTerms: Dim;
}

/** Groups that keep a large GPU busy; more are of no use to a reduction. */
const enoughGroups = 512;

/** Terms that each thread of a slice has at least, and slices that pay for the second grid. */
const sliceOwnTerms = 16;
const leastSlices = 4;

/** Terms that a thread should have to itself before others help it. */
const ownTerms = 8;

/** Results, and terms of them all, from which on it does not matter that there are fewer threads. */
const leastWide = 32;
const wideWork = 1 << 16;

/** What a symbolic size may be, where several are merged. */
const symbolicPositions = 2 ** 16;

/** A nest that folds, without sequences and without folding into memory. */
export function isReduction(nest: Nest): boolean {
  return (
    nest.accumulators.length > 0 &&
    nest.carries.length === 0 &&
    nest.axes.every((a) => a.kind !== "seq" && a.extent !== 0) &&
    nest.stores.every((s) => s.combine === undefined)
  );
}

/** How a nest is folded, where it is a reduction. */
export function reductionOf(
  original: Nest,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
): Reduction | undefined {
  if (!isReduction(original)) return undefined;
  const collapsed = collapseAxes(flattenNest(original, decls));
  const along = readsAlong(collapsed);
  const { nest, par, red } = oneOfEach(collapsed);
  const points = par?.extent ?? 1;
  const terms = red?.extent ?? 1;
  const most = mostThreads(features);
  const vector = along && red !== undefined && takesVectors(nest, red);
  const [many, long] = [typicalDim(points), typicalDim(terms)];
  const wide = !along && par !== undefined && many >= leastWide && many * long >= wideWork && takesVectors(nest, par);
  const { results, lanes } = wide
    ? wideTileOf(many / vectorLanes, long, most)
    : tileOf(many, long, along, vector, most);
  const tiles = Math.ceil(many / (wide ? vectorLanes * results : results));
  const wanted = Math.min(
    Math.ceil(enoughGroups / Math.max(1, tiles)),
    Math.floor(typicalDim(terms) / (lanes * sliceOwnTerms)),
  );
  const slices = tiles < enoughGroups / 4 && wanted >= leastSlices ? wanted : 1;
  const sliceTerms = slices === 1 ? terms : toDim(scaleIndex(ceilDiv(terms, slices * vectorLanes), vectorLanes));
  const neighbours = along && features.subgroups;
  return { nest, par, red, points, terms, results, lanes, along, neighbours, vector, wide, slices, sliceTerms };
}

/** The nest with one axis of each kind, where that has one; of terms the inner ones that can be one, given as `red`. */
export function oneOfEach(nest: Nest): { nest: Nest; par: Axis | undefined; red: Axis | undefined } {
  const par = mergeAxes(
    nest,
    nest.axes.filter((a) => a.kind === "par"),
  );
  const red = mergeAxes(par.nest, innerTerms(par.nest));
  return { nest: red.nest, par: par.merged, red: red.merged };
}

/** The innermost axes of terms whose positions together are few enough to count: results lie in memory, terms need not. */
function innerTerms(nest: Nest): readonly Axis[] {
  const inner: Axis[] = [];
  let positions = 1;
  for (const a of nest.axes.filter(({ kind }) => kind === "red").reverse()) {
    positions *= typeof a.extent === "number" ? a.extent : Math.min(a.extent.hi, symbolicPositions);
    if (inner.length > 0 && positions > mostPositions) break;
    inner.unshift(a);
  }
  return inner;
}

/** Results of a group and threads of each, for so many results of so many terms. */
function tileOf(
  points: number,
  terms: number,
  along: boolean,
  vector: boolean,
  most: number,
): { results: number; lanes: number } {
  const own = vector ? 2 * vectorLanes : ownTerms;
  const useful = powerBelow(Math.min(most, terms / own));
  const warp = Math.min(32, most);
  if (along) {
    // Results side by side cost memory traffic where each thread walks through terms of its own: few terms only.
    const lanes =
      terms <= 2 * own && points >= warp ? 1 : Math.min(most, powerAbove(Math.max(useful, terms > own ? 2 : 1)));
    const results = Math.min(powerAbove(points), Math.max(1, 64 / lanes));
    return { lanes, results };
  }
  const results = Math.min(powerAbove(points), points >= 1 << 15 ? 64 : warp);
  const lanes = points >= 1 << 16 ? 1 : Math.min(useful, most / results);
  return { lanes, results };
}

/** The same where results go by fours: sixteen threads read four of them each from 256 bytes in a row. */
function wideTileOf(fours: number, terms: number, most: number): { results: number; lanes: number } {
  const results = Math.min(powerAbove(fours), 16, most);
  return { results, lanes: Math.min(powerBelow(terms / ownTerms), most / results) };
}

/** Whether more reads lie side by side along the last red axis than along the last par axis. */
function readsAlong(nest: Nest): boolean {
  const last = (kind: Axis["kind"]): Axis | undefined => nest.axes.filter((a) => a.kind === kind).at(-1);
  const [par, red] = [last("par"), last("red")];
  if (par === undefined) return true;
  if (red === undefined) return false;
  let votes = 0;
  for (const { index } of readsOf(nest)) {
    if (strideOf(index, red) === 1) votes++;
    if (strideOf(index, par) === 1) votes--;
  }
  return votes > 0 || (votes === 0 && typicalDim(red.extent) > typicalDim(par.extent));
}

interface Access {
  readonly index: IndexExpr;
  readonly guards: readonly IndexExpr[];
}

function readsOf(nest: Nest): Access[] {
  const found: Access[] = [];
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(
      root,
      (node) => {
        if (node.kind === "read") found.push({ index: node.index[0]!, guards: node.guard.map((r) => r.index) });
      },
      seen,
    );
  return found;
}

/**
 * Whether four neighbours along an axis can be loaded and stored at once everywhere: each read stays where it is or moves
 * by one, from a multiple of four, each store moves so, and no guard depends on the axis.
 */
export function takesVectors(nest: Nest, along: Axis): boolean {
  if (!isMultiple(along.extent, vectorLanes)) return false;
  if (nest.accumulators.some((acc) => isPair(acc.combine))) return false;
  if (!storesVectors(nest, along)) return false;
  let moving = 0;
  for (const { index, guards } of readsOf(nest)) {
    const stride = strideOf(index, along);
    if (guards.some((g) => strideOf(g, along) !== 0) || (stride !== 0 && stride !== 1)) return false;
    if (stride === 1) {
      moving++;
      if (!alignedBut(index, along)) return false;
    }
  }
  return moving > 0;
}

/** Whether each store along the axis writes four neighbours at once, from a multiple of four, all or none of them. */
function storesVectors(nest: Nest, along: Axis): boolean {
  return nest.stores.every(({ index: [at], guard = [], when }) => {
    if (along.kind === "red" && when === "end") return true;
    const even = strideOf(at!, along) === 1 && alignedBut(at!, along);
    return even && guard.every((r) => strideOf(r.index, along) === 0);
  });
}

/** Whether an index is a multiple of four wherever the axis is at one. */
export function alignedBut(index: IndexExpr, along: Axis): boolean {
  return (
    index.constant % vectorLanes === 0 &&
    index.terms.every(
      ({ coef, atom }) => coef % vectorLanes === 0 || (coef === 1 && atom.kind === "axis" && atom.axis.id === along.id),
    )
  );
}
