/** Symbolic sizes in kernels: which ones a kernel needs, and their values as loop expressions. */
import type { BufferDecl, BufferId, Dim, IndexExpr, LoopExpr, NestKernel, Range, Sym } from "../index.ts";
import { addIndex, divIndex, loop, ownIndices, symsIn, toDim, visitAtoms, visitScalar } from "../index.ts";
import { nestScalars } from "./flat.ts";

/** The values of symbolic sizes, by name. */
export type SymValues = ReadonlyMap<string, LoopExpr>;

/** A size as an i32. */
export function sizeExpr(dim: Dim, syms: SymValues): LoopExpr {
  if (typeof dim === "number") return loop.i32(dim);
  let sum: LoopExpr = loop.i32(0);
  for (const { coef, atom } of dim.terms) sum = loop.add(sum, loop.mul(atomExpr(atom, syms), loop.i32(coef)));
  return loop.add(sum, loop.i32(dim.constant));
}

function atomExpr(atom: IndexExpr["terms"][number]["atom"], syms: SymValues): LoopExpr {
  const go = (e: IndexExpr): LoopExpr => sizeExpr(e, syms);
  switch (atom.kind) {
    case "sym": {
      const value = syms.get(atom.sym.name);
      if (value === undefined) throw new Error(`symbolic size ${atom.sym.name} is no parameter of the kernel`);
      return value;
    }
    case "div":
      return loop.floorDiv(go(atom.value), go(atom.by), atom.value.lo >= 0);
    case "mod":
      return loop.floorMod(go(atom.value), go(atom.by), atom.value.lo >= 0);
    case "mul":
      return loop.mul(go(atom.factors[0]), go(atom.factors[1]));
    case "min":
      return loop.min(go(atom.args[0]), go(atom.args[1]));
    case "max":
      return loop.max(go(atom.args[0]), go(atom.args[1]));
    default:
      throw new Error(`${atom.key} is no size`);
  }
}

/** size / by, rounded up. */
export function ceilDiv(size: Dim, by: number): Dim {
  return toDim(divIndex(addIndex(size, by - 1), by));
}

/** Names of the symbolic sizes that the loops of a kernel depend on, sorted. */
export function symsOfKernel(
  kernel: NestKernel,
  buffers: readonly BufferId[],
  decls: readonly BufferDecl[],
): readonly string[] {
  const found = new Map<string, Sym>();
  const size = (dim: Dim): void => void symsIn(dim, found);
  const range = (r: Range): void => [r.index, r.lo, r.hi].forEach(index);
  const seen = new Set<unknown>();
  const index = (e: Dim): void => {
    size(e);
    if (typeof e !== "number") visitAtoms(e, (atom) => atom.kind === "dyn" && scalar(atom.value));
  };
  const scalar = (root: Parameters<typeof visitScalar>[0]): void => {
    if (seen.has(root)) return;
    visitScalar(root, (node) => {
      seen.add(node);
      ownIndices(node).forEach(size);
      if (node.kind === "read" || node.kind === "guard") node.guard.forEach(range);
    });
  };
  for (const axis of kernel.outer) size(axis.extent);
  for (const id of buffers) decls[id]!.shape.forEach(size);
  for (const nest of kernel.nests) {
    for (const axis of nest.axes) size(axis.extent);
    nestScalars(nest).forEach(scalar);
    for (const store of nest.stores) {
      store.index.forEach(index);
      store.guard?.forEach(range);
    }
  }
  return [...found.keys()].sort();
}
