/**
 * Loops of a map in the order of the reduction it reads: where a map reads a reduction's result through a reshape or a
 * permutation, its loops may run over the reduction's axes and store through the inverse map, so that it can be an
 * epilogue (heads put side by side by the product that makes them).
 */
import { axisIndex, type IndexExpr, rewriteScalar, sameIndex, substituteIndex } from "@sinter/ir";
import { isIdentity } from "./form.ts";
import type { GraphModel } from "./model.ts";
import { splitAxes } from "./split.ts";
import { newAxes, readsOf, type Template } from "./template.ts";

/** Replaces map templates by ones over the axes of the only reduction they read displaced. */
export function alignToReductions(model: GraphModel, templates: Map<number, Template>): void {
  const readers = new Map<number, Set<number>>();
  for (const t of templates.values())
    for (const read of t.reads) readers.set(read.id, (readers.get(read.id) ?? new Set()).add(t.id));
  for (const t of [...templates.values()]) {
    if (t.kind !== "map") continue;
    const sources = t.reads.filter((r) => templates.get(r.id)?.kind === "reduce" && !isIdentity(r.index, t.par));
    const [read, second] = sources;
    // Other readers find the value where its type says; only loops of its own would have to change with it.
    if (read === undefined || second !== undefined || readers.get(read.id)!.size > 1) continue;
    if (model.resultUses[read.id]! > 0) continue;
    const aligned = align(t, read.index, templates.get(read.id)!);
    if (aligned !== undefined) templates.set(t.id, aligned);
  }
}

function align(t: Template, at: readonly IndexExpr[], source: Template): Template | undefined {
  const store = { buffer: t.id, index: t.index, value: t.value, when: "body" } as const;
  const split = splitAxes({ axes: t.par, accumulators: [], carries: [], stores: [store] });
  const [done] = split.stores;
  if (done === undefined) return undefined;
  const found = readsOf({ ...t, par: split.axes, value: done.value, index: done.index }).filter(
    (r) => r.id === source.id,
  );
  const [read, second] = found;
  if (read === undefined || second !== undefined || read.index.length !== at.length) return undefined;
  const par = newAxes(
    source.par.map((a) => a.extent),
    "par",
  );
  const axes = new Map<number, IndexExpr>();
  for (const [i, ix] of read.index.entries()) {
    if (source.par[i]!.extent === 1) continue;
    const own = split.axes.find((a) => axisIndex(a).key === ix.key);
    if (own === undefined || axes.has(own.id) || !sameIndex(own.extent, source.par[i]!.extent)) return undefined;
    axes.set(own.id, axisIndex(par[i]!));
  }
  if (split.axes.some((a) => a.extent !== 1 && !axes.has(a.id))) return undefined;
  const value = rewriteScalar(done.value, axes);
  const index = done.index.map((ix) => substituteIndex(ix, axes, (e) => rewriteScalar(e, axes)));
  // Memory stays contiguous: the innermost axis of the reduction moves the last position by one.
  const innermost = par.findLast((a) => a.extent !== 1);
  const last = index.at(-1);
  const runs = last?.terms.some((x) => x.coef === 1 && x.atom.kind === "axis" && x.atom.axis === innermost);
  if (innermost !== undefined && runs !== true) return undefined;
  const parts = { ...t, par, value, index };
  return { ...parts, reads: readsOf(parts) };
}
