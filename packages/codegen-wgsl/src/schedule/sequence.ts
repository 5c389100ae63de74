/**
 * Kernels of several nests, one after the other: each nest gets grids of its own, and what flows between them through row
 * buffers goes through scratch that holds all rows. Also how kernels of one nest are put together as one.
 */
import {
  type Axis,
  axisIndex,
  type BufferDecl,
  type BufferId,
  type LoopKernel,
  type LoopPointer,
  type Nest,
  type NestKernel,
  type ScratchDecl,
  scalarRead,
  scaleIndex,
  sizeOf,
  toDim,
} from "@sinter/ir";
import { kernelBuffers, noAxes, rewriteNest } from "@sinter/ir/schedule";
import { widen } from "./functions.ts";
import { elementBytes, kernelFrame } from "./threads.ts";

/** Schedules a kernel of one nest without outer axes. */
export type ScheduleOne = (kernel: NestKernel, decls: readonly BufferDecl[]) => LoopKernel;

/** Each nest as `scheduleOne` schedules it; the outer axes are par axes of every nest. */
export function nestByNest(kernel: NestKernel, decls: readonly BufferDecl[], scheduleOne: ScheduleOne): LoopKernel {
  const used = kernelBuffers(kernel, decls);
  const spread = spreadRows(kernel, decls, new Set(used.rows));
  const parts = spread.nests.map((nest, i) =>
    scheduleOne({ kind: "nests", name: `${kernel.name}_${i}`, outer: [], nests: [nest] }, spread.decls),
  );
  const rows: ScratchDecl[] = used.rows.map((id, i) => {
    const { name, dtype, shape } = spread.decls[id]!;
    const pointer: LoopPointer = { id: used.buffers.length + i, name, element: dtype, space: "scratch" };
    return { pointer, bytes: toDim(scaleIndex(sizeOf(shape), elementBytes)) };
  });
  const buffers = used.buffers.map((id, i): LoopPointer => {
    const { name, dtype } = decls[id]!;
    return { id: i, name, element: dtype, space: "heap" };
  });
  const own = parts.flatMap((part) => part.scratch);
  const all = [...buffers, ...[...rows, ...own].map((s) => s.pointer)];
  const ids = [...used.buffers, ...used.rows];
  let nextScratch = ids.length;
  const funcs = parts.flatMap((part) => {
    const places = [...part.buffers.map((id) => ids.indexOf(id)), ...part.scratch.map(() => nextScratch++)];
    const dispatched = new Set(part.grids!.map((g) => g.func));
    return part.funcs.map((func) =>
      dispatched.has(func.name) ? widen(func, all, places, part.syms ?? [], used.syms) : func,
    );
  });
  return {
    ...kernelFrame(kernel, decls, used),
    funcs: [
      ...funcs.filter((f) => f.pointers.length === all.length),
      ...funcs.filter((f) => f.pointers.length !== all.length),
    ],
    scratch: [...rows, ...own],
    grids: parts.flatMap((part) => part.grids!),
    schedule: [...new Set(parts.map((part) => part.schedule))].join(", "),
  };
}

/** Row buffers with the outer axes as their first axes, as ordinary memory. */
export function spreadRows(
  { outer, nests }: NestKernel,
  decls: readonly BufferDecl[],
  rows: ReadonlySet<BufferId>,
): { readonly nests: readonly Nest[]; readonly decls: readonly BufferDecl[] } {
  const spread = rowsAlong(nests, outer, decls, rows);
  return { ...spread, nests: spread.nests.map((nest) => ({ ...nest, axes: [...outer, ...nest.axes] })) };
}

/** Row buffers with more axes in front, one row for each point of them. The axes are open wherever the nests run. */
export function rowsAlong(
  nests: readonly Nest[],
  axes: readonly Axis[],
  decls: readonly BufferDecl[],
  rows: ReadonlySet<BufferId>,
): { readonly nests: readonly Nest[]; readonly decls: readonly BufferDecl[] } {
  const row = axes.map(axisIndex);
  const moved = nests.map((nest) => {
    const rewritten = rewriteNest(nest, nest.axes, noAxes, (node) =>
      node.kind === "read" && rows.has(node.buffer)
        ? scalarRead(node.dtype, node.buffer, [...row, ...node.index], node.guard, node.fill)
        : node,
    );
    const stores = rewritten.stores.map((s) => (rows.has(s.buffer) ? { ...s, index: [...row, ...s.index] } : s));
    return { ...rewritten, stores };
  });
  const sizes = axes.map((a) => a.extent);
  return {
    nests: moved,
    decls: decls.map((d) => (rows.has(d.id) ? { ...d, kind: "temp", shape: [...sizes, ...d.shape] } : d)),
  };
}
