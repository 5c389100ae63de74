/** Whether a number that some staged block makes a tensor may be one at a place: before the block it is a number. */
import { isFunctionBoundary, isLoop, type Node, startOf, ts } from "../syntax.ts";
import { type Classifier, isTainted } from "./classify.ts";
import type { FileModel, Place } from "./model.ts";
import type { Modified } from "./modified.ts";

/** What is asked of the plan. */
interface Staging {
  readonly model: FileModel;
  readonly modified: Modified;
  readonly exact: Classifier;
  stagedRegions(): readonly { readonly start: number; readonly end: number; readonly exact: boolean }[];
}

export function isReached(plan: Staging, node: ts.Expression, seen: ReadonlySet<Place | string> = new Set()): boolean {
  const places: { readonly at: Node; readonly place: Place }[] = [];
  let always = false;
  const visit = (at: Node): void => {
    if (isFunctionBoundary(at)) return;
    if (ts.isCallExpression(at) && plan.exact.isHidden(at)) always = true;
    const place = ts.isExpression(at) ? plan.model.placeOf(at) : undefined;
    if (place !== undefined && isTainted(plan.exact.tainted, place)) places.push({ at, place });
    else ts.forEachChild(at, visit);
  };
  visit(node);
  return always || places.length === 0 || places.some(({ at, place }) => isPlaceReached(plan, at, place, seen));
}

function isPlaceReached(plan: Staging, at: Node, place: Place, seen: ReadonlySet<Place | string>): boolean {
  const target = place.kind === "variable" ? place : place.key;
  const names = (other: Place | undefined): boolean =>
    other !== undefined && (other === target || (other.kind === "path" && other.key === target));
  const p = startOf(at);
  let sources = 0;
  for (const { start, end, exact } of plan.stagedRegions()) {
    if (!exact || !plan.modified.writes(start, end).some((w) => names(w.place))) continue;
    sources++;
    if (p >= end || sharesLoop(at, place, start, end)) return true;
    if (p < start && unitNode(at) !== undefined && !isIn(unitNode(at)!, start, end)) return true;
  }
  if (seen.has(target)) return false;
  const next = new Set([...seen, target]);
  for (const { place: written, value, at: from } of plan.model.writes) {
    if (!names(written) || value === undefined || !plan.exact.hasHidden(value)) continue;
    sources++;
    const after = p >= from || sharesLoop(at, place, from, value.end) || !isIn(unitNode(at) ?? at, from, value.end);
    if (after && isReached(plan, value, next)) return true;
  }
  // Parameters, and the items of loops, are tensors from the beginning.
  return sources === 0;
}

/** A loop around both, of which the place is not a part: what one round leaves, the next one finds. */
function sharesLoop(node: Node, place: Place, start: number, end: number): boolean {
  for (let n = node.parent; n !== undefined && !isFunctionBoundary(n); n = n.parent) {
    if (!isLoop(n) || startOf(n) > start || n.end < end) continue;
    if (place.kind !== "variable" || place.start < startOf(n.statement)) return true;
  }
  return false;
}

function unitNode(node: Node): Node | undefined {
  return ts.findAncestor(node, isFunctionBoundary);
}

function isIn(outer: Node, start: number, end: number): boolean {
  return startOf(outer) <= start && end <= outer.end;
}
