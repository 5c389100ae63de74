/**
 * Which values get memory. Goes backwards from the results: a value knows at which positions its materialised
 * consumers pull it, so recomputation is counted before it happens. Asks costs and structure, never which op it is.
 */
import { axisIndex, type FusionNote, type IndexExpr, picksOne, typicalDim } from "@sinter/ir";
import { dependsOn } from "./dependence.ts";
import { cheapCost, type Estimate, estimate, isMap } from "./estimate.ts";
import { deepest, largest, mostSources, tooDeep, tooLarge, tooMany, weightOf } from "./limits.ts";
import { bytesPer, type GraphModel, infoOf, isLeaf, maxPoints, readValue, type ValueInfo } from "./model.ts";
import { fusionNote } from "./provenance.ts";
import { findSinks } from "./sinks.ts";
import { applyMap, dataInside, type Element, makeTemplate, newAxes, type Template } from "./template.ts";

export interface Decisions {
  readonly materialised: ReadonlySet<number>;
  readonly notes: () => readonly FusionNote[];
}

/** One position at which a materialised value pulls another. */
interface Pull {
  readonly root: Template;
  readonly index: readonly IndexExpr[];
  /** Work on the way there from the root. */
  readonly depth: number;
}

/** Every op that does any work is kept: one kernel per op. */
export function decideUnfused(model: GraphModel): Decisions {
  return decide(model, (info) => (info.cost > 0 ? "one kernel per op" : undefined), new Map());
}

/** `replaced`: parameters whose memory results may take over. */
export function decideFused(model: GraphModel, replaced: ReadonlySet<number>): Decisions {
  const sinks = findSinks(model);
  const estimates = estimate(model, sinks);
  return decide(
    model,
    (info, pulls, note) =>
      standsInTheWay(model, info, pulls, replaced) ??
      reasonToKeep(model, info, pulls, estimates[info.id]!, sinks, note),
    sinks,
  );
}

/** `consumer`: the value that takes the one at hand. */
type Note = (fused: boolean, consumer: number, reason: string) => void;
type Rule = (info: ValueInfo, pulls: readonly Pull[], note: Note) => string | undefined;

function decide(model: GraphModel, rule: Rule, sinks: ReadonlyMap<number, number>): Decisions {
  const materialised = new Set<number>();
  const notes: [fused: boolean, producer: number, consumer: number, reason: string][] = [];
  const pulls: Map<string, Pull>[] = [];
  const pullsOf = (id: number): Map<string, Pull> => (pulls[id] ??= new Map());
  let pulled: [number, readonly IndexExpr[]][] = [];
  const element: Element = (id, index) => {
    pulled.push([id, index]);
    return readValue(infoOf(model, id), index);
  };
  /** Work in each root's expression so far. */
  const sizes = new Map<number, number>();
  /** What each root's expression reads so far. */
  const sources = new Map<number, Set<number>>();
  const credit = (root: Template, by: ValueInfo, above: number): void => {
    const depth = above + weightOf(by);
    sizes.set(root.id, (sizes.get(root.id) ?? 0) + weightOf(by));
    const reads = sources.get(root.id) ?? new Set();
    sources.set(root.id, reads);
    reads.delete(by.id);
    for (const [id, index] of pulled) {
      reads.add(id);
      const key = `${root.id}@${index.map((ix) => ix.key).join(",")}`;
      const known = pullsOf(id).get(key);
      if (known === undefined || known.depth < depth) pullsOf(id).set(key, { root, index, depth });
    }
    pulled = [];
  };
  const bases = new Set<number>();
  const keep = (info: ValueInfo): void => {
    materialised.add(info.id);
    credit(makeTemplate(info, element), info, 0);
    // An update starts from its first operand as it lies in memory; library kernels and regions take and give whole
    // tensors.
    if (info.rule?.kind === "update") bases.add(info.operands[0]!);
    if (info.rule?.kind !== "library" && info.rule?.kind !== "host" && info.rule?.kind !== "control") return;
    for (const id of info.operands) bases.add(id);
    for (const value of model.graph.nodes[info.node]!.results) materialised.add(value.id);
  };
  for (let id = model.values.length - 1; id >= 0; id--) {
    const info = model.values[id];
    if (info === undefined || isLeaf(info) || materialised.has(id)) continue;
    const at = [...pullsOf(id).values()];
    const needed = model.resultUses[id]! > 0 || bases.has(id);
    if (!needed && at.length === 0) continue;
    if (needed || !isMap(info)) {
      keep(info);
      continue;
    }
    const note: Note = (fused, consumer, reason) => notes.push([fused, id, consumer, reason]);
    const sunk = sinks.get(id);
    const reason =
      sunk === undefined
        ? (loopOfSeveral(model, info) ??
          tooManyPositions(at) ??
          outgrows(info, at, sizes, sources) ??
          rule(info, at, note))
        : `stored in the epilogue of ${infoOf(model, sunk).label}`;
    if (reason !== undefined) {
      if (sunk === undefined) for (const consumer of new Set(at.map((p) => p.root.id))) note(false, consumer, reason);
      keep(info);
      continue;
    }
    for (const { root, index, depth } of at) {
      applyMap(info, index, element);
      credit(root, info, depth);
    }
  }
  return { materialised, notes: () => notes.map((note) => fusionNote(model, ...note)) };
}

/** A loop runs once for all its results, so where several are used none is computed inside a consumer. */
function loopOfSeveral(model: GraphModel, info: ValueInfo): string | undefined {
  const { regions, results } = model.graph.nodes[info.node]!;
  if (regions.length === 0) return undefined;
  const used = results.filter(({ id }) => model.users[id]!.length + model.resultUses[id]! > 0);
  return used.length > 1 ? "one of several results of a loop" : undefined;
}

/** Positions at which one kernel may read a value that is not kept: expressions double at each value read twice. */
const mostPositions = 16;

function tooManyPositions(pulls: readonly Pull[]): string | undefined {
  const counts = new Map<number, number>();
  for (const { root } of pulls) counts.set(root.id, (counts.get(root.id) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  return most > mostPositions ? `read at ${most} positions by one kernel` : undefined;
}

/** Whether some kernel's expression would be too much with this value in it. */
function outgrows(
  info: ValueInfo,
  pulls: readonly Pull[],
  sizes: ReadonlyMap<number, number>,
  sources: ReadonlyMap<number, ReadonlySet<number>>,
): string | undefined {
  const weight = weightOf(info);
  if (pulls.some((p) => p.depth + weight > deepest)) return tooDeep;
  if (pulls.some((p) => sizes.get(p.root.id)! + weight > largest)) return tooLarge;
  const more = new Set(info.operands).size - 1;
  return more > 0 && pulls.some((p) => sources.get(p.root.id)!.size + more > mostSources) ? tooMany : undefined;
}

/**
 * A window that is computed from what it is to replace: kept by itself, the update can happen in place and need not copy
 * all that it leaves as it was.
 */
function standsInTheWay(
  model: GraphModel,
  info: ValueInfo,
  pulls: readonly Pull[],
  replaced: ReadonlySet<number>,
): string | undefined {
  for (const { root } of pulls) {
    if (root.kind !== "update" || root.tail.every((a) => a.extent === 1)) continue;
    const base = infoOf(model, infoOf(model, root.id).operands[0]!);
    if (isLeaf(base) && !replaced.has(base.id)) continue;
    if (smallWindow * pointsOf(root) <= base.points && isPulledFrom(model, info, base.id))
      return `reads ${base.label}, of which ${infoOf(model, root.id).label} updates a small part in place`;
  }
  return undefined;
}

/** How many times a tensor must be larger than a window for which it is not to be copied. */
const smallWindow = 4;

/** Whether elements of one value are computed from elements of another, by map rules alone. */
function isPulledFrom(model: GraphModel, info: ValueInfo, from: number): boolean {
  if (!isMap(info) || isLeaf(info)) return false;
  return info.operands.some((id) => id === from || (id > from && isPulledFrom(model, infoOf(model, id), from)));
}

function reasonToKeep(
  model: GraphModel,
  info: ValueInfo,
  pulls: readonly Pull[],
  found: Estimate,
  sinks: ReadonlyMap<number, number>,
  note: Note,
): string | undefined {
  const throughData = pulls.some((p) => dataInside(p.index).length > 0) || readsThroughData(info);
  const roots = [...new Map(pulls.map((p) => [p.root.id, p.root])).values()];
  const products = roots.filter((r) => r.contraction);
  if (products.length > 0 && throughData) return "contraction operand: read through positions that come out of data";
  if (found.view && !throughData) return undefined;
  if (products.length > 0) {
    const only = pulls.length === 1 ? products[0] : undefined;
    if (only === undefined) return "contraction operand with several uses";
    if (found.cost > cheapCost) return `contraction operand: expensive (${found.cost} flops) and re-read`;
    // What it is made of may then stay inside a row.
    const isComputed = (leaf: ValueInfo): boolean => isMap(leaf) && !isLeaf(leaf) && !sinks.has(leaf.id);
    const computed = [...found.leaves].find((id) => isComputed(infoOf(model, id)));
    if (computed !== undefined) return `contraction operand: kept instead of ${infoOf(model, computed).label}`;
    note(true, only.id, "cheap: computed while packing");
    return undefined;
  }
  const times = pulls.reduce((n, p) => n + pointsOf(p.root), 0);
  const cheap = found.cost <= cheapCost && !(throughData && roots.length > 1);
  for (const extreme of roots.filter(isExtreme))
    for (const other of roots)
      if (other !== extreme && dependsOn(model, other.id, extreme.id))
        return `feeds both ${infoOf(model, extreme.id).label} and ${infoOf(model, other.id).label}, which is shifted by it`;
  // Substitution into the only place that needs it is the rule and leaves no note.
  if (times <= info.points) return undefined;
  if (!cheap) {
    if (roots.length > 1) return `expensive (${found.cost} flops) and used by ${roots.length} kernels`;
    return `expensive and re-read ${Math.round(times / Math.max(1, info.points))} times`;
  }
  const [leaves, uses] = [found.leaves.size, roots.length];
  if (leaves * uses > leaves + 1 + uses)
    return `recomputing in ${uses} kernels would read ${leaves * uses * bytesPer(info.type.dtype)} bytes an element`;
  for (const root of roots) note(true, root.id, "cheap: recomputed");
  return undefined;
}

/** How often the parts of a template's value are computed. */
function pointsOf(root: Template): number {
  return [...root.par, ...root.tail].reduce((n, a) => n * typicalDim(a.extent), 1);
}

/** A reduction to a largest or smallest element. */
function isExtreme(root: Template): boolean {
  return root.accumulators.some((a) => picksOne(a.combine));
}

/** Whether the rule reads an operand at a position that comes out of another. */
function readsThroughData(info: ValueInfo): boolean {
  if (info.rule?.kind !== "map" || info.operands.length < 2) return false;
  let found = false;
  applyMap(info, newAxes(info.type.shape, "par").map(axisIndex), (id, index) => {
    found ||= dataInside(index).length > 0;
    return probe(id, index);
  });
  return found;
  function probe(id: number, index: readonly IndexExpr[]): ReturnType<Element> {
    const position = info.operands.indexOf(id);
    const type = info.ctx!.operands[position]!;
    return readValue({ ...info, id, type, data: undefined, points: maxPoints(type.shape) }, index);
  }
}
