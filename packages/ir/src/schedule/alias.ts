/** Which buffers of a kernel may share memory: every element is read before the same element is written. */
import type { BufferDecl, BufferId, IndexExpr, Nest, NestKernel, ScalarExpr } from "../index.ts";
import { sameIndex, sizeOf, subIndex, visitScalar } from "../index.ts";
import { flattenNest, nestScalars } from "./flat.ts";

interface Access {
  readonly nest: number;
  readonly offset: IndexExpr;
  readonly guarded: boolean;
}

/**
 * Pairs (read, written). In one nest every read must be at the very offset that the same point stores. Across the nests
 * of a row kernel both must stay inside the row of the outer axes, and no read may come after the store.
 */
export function aliasablePairs(kernel: NestKernel, decls: readonly BufferDecl[]): [BufferId, BufferId][] {
  const reads = new Map<BufferId, Access[]>();
  const stores = new Map<BufferId, Access[]>();
  const add = (map: Map<BufferId, Access[]>, buffer: BufferId, access: Access): void => {
    map.set(buffer, [...(map.get(buffer) ?? []), access]);
  };
  const sequential = kernel.nests.some((n) => n.axes.some((a) => a.kind === "seq"));
  if (sequential) return [];
  const flat = kernel.nests.map((nest) => flattenNest(nest, decls));
  flat.forEach((nest, position) => {
    collectReads(nest, (buffer, offset) => add(reads, buffer, { nest: position, offset, guarded: false }));
    for (const s of nest.stores)
      add(stores, s.buffer, {
        nest: position,
        offset: s.index[0]!,
        guarded: s.guard !== undefined || s.combine !== undefined,
      });
  });
  const pairs: [BufferId, BufferId][] = [];
  for (const [written, writes] of stores) {
    const w = decls[written]!;
    if (w.kind === "row" || reads.has(written) || writes.length !== 1 || writes[0]!.guarded) continue;
    for (const [read, accesses] of reads) {
      const r = decls[read]!;
      if (read === written || r.kind === "row" || r.dtype !== w.dtype) continue;
      if (!sameIndex(sizeOf(r.shape), sizeOf(w.shape))) continue;
      if (accesses.every((a) => readsFirst(a, writes[0]!, kernel))) pairs.push([read, written]);
    }
  }
  return pairs;
}

function collectReads(nest: Nest, visit: (buffer: BufferId, offset: IndexExpr) => void): void {
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(root, (node) => node.kind === "read" && visit(node.buffer, node.index[0]!), seen);
}

function readsFirst(read: Access, store: Access, kernel: NestKernel): boolean {
  if (read.nest > store.nest) return false;
  if (read.nest === store.nest) return read.offset.key === store.offset.key;
  return (
    sameRow(read.offset, kernel) &&
    sameRow(store.offset, kernel) &&
    rowKey(read.offset, kernel) === rowKey(store.offset, kernel)
  );
}

/** The part of an offset that the outer axes decide. */
function outerPart(offset: IndexExpr, kernel: NestKernel): IndexExpr["terms"] {
  const outer = new Set(kernel.outer.map((a) => a.id));
  return offset.terms.filter((t) => t.atom.kind === "axis" && outer.has(t.atom.axis.id));
}
function rowKey(offset: IndexExpr, kernel: NestKernel): string {
  return outerPart(offset, kernel)
    .map((t) => `${t.coef}*${t.atom.key}`)
    .join("+");
}

/** Whether what remains without the outer axes stays within one step of the innermost of them. */
function sameRow(offset: IndexExpr, kernel: NestKernel): boolean {
  const outer = outerPart(offset, kernel);
  const size = Math.min(...outer.map((t) => Math.abs(t.coef)));
  if (outer.length !== kernel.outer.filter((a) => a.extent !== 1).length || outer.length === 0) return false;
  const rest = outer.reduce<IndexExpr>(
    (e, t) => subIndex(e, { constant: 0, terms: [t], key: "", lo: 0, hi: 0 }),
    offset,
  );
  return rest.lo >= 0 && rest.hi < size;
}
