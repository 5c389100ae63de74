/**
 * A kernel of nests as functions: the entry takes the kernel's buffers, splits the outermost loop into chunks (each one
 * call, since engines replace code only between calls) and leaves the loops to nests.ts.
 */

import type { Axis, BufferDecl, LoopExpr, LoopKernel, LoopPointer, NestKernel, ScratchDecl } from "@sinter/ir";
import { bytesOf, flopsOf, loop, scaleIndex, sizeOf, toDim, typicalDim } from "@sinter/ir";
import {
  aliasablePairs,
  ceilDiv,
  currentValues,
  emitNest,
  finishScalar,
  foldIn,
  isPair,
  isScalarRow,
  type KernelBuffers,
  KernelFunc,
  type KernelScope,
  kernelBuffers,
  Levels,
  overwrites,
  type PreparedNest,
  type PrepareOptions,
  prepareNest,
  type Running,
  startRunning,
} from "@sinter/ir/schedule";

/** Work of one chunk, in multiplications: some tens of microseconds, so that a call costs nothing beside it. */
const usualChunkWork = 1 << 16;

export function scheduleNests(kernel: NestKernel, decls: readonly BufferDecl[], options: PrepareOptions): LoopKernel {
  const chunkWork = options.chunkWork ?? usualChunkWork;
  const used = kernelBuffers(kernel, decls);
  const prepared = kernel.nests.map((nest) => prepareNest(nest, decls, options));
  const scratch = rowScratch(used, decls);
  const outerPoints = kernel.outer.reduce((n, a) => n * typicalDim(a.extent), 1);
  const work = prepared.reduce((sum, p) => sum + p.work * p.points, 0) * outerPoints;
  const common = {
    name: kernel.name,
    buffers: used.buffers,
    writes: used.writes,
    ...(used.syms.length > 0 ? { syms: used.syms } : {}),
    aliasable: aliasablePairs(kernel, decls),
    flops: flopsOf(kernel),
  };
  const only = prepared.length === 1 && kernel.outer.length === 0 ? prepared[0] : undefined;
  const long = only && !options.generic ? longReduction(only, chunkWork) : undefined;
  if (only && long)
    return {
      ...common,
      ...chunkedReduction(kernel.name, decls, used, only, long, chunkWork),
      schedule: "two-pass reduction",
    };
  const schedule = options.generic ? "generic" : kernel.outer.length > 0 ? "rows" : (only?.vector?.kind ?? "scalar");
  const cut = options.generic ? undefined : cutAxis(kernel.outer, prepared, work, chunkWork);
  const entry = new KernelFunc(kernel.name, decls, used);
  if (!cut) {
    emitBody(entry, kernel, prepared, used);
    return { ...common, funcs: [entry.func.finish()], scratch: scratch(entry), schedule };
  }
  const { extent } = cut.axis;
  const body = new KernelFunc(`${kernel.name}_chunk`, decls, used, ["chunk"]);
  const [chunk] = body.params as readonly [LoopExpr];
  const from = body.func.let("from", loop.mul(chunk, loop.i32(cut.size)));
  const to = body.func.let("to", loop.min(loop.add(from, loop.i32(cut.size)), body.size(extent)));
  emitBody(body, kernel, prepared, used, { axis: cut.axis, from, to });
  const func = body.func.finish();
  entry.func.par(entry.size(ceilDiv(extent, cut.size)), func, entry.pointers, entry.sizeArgs);
  return { ...common, funcs: [entry.func.finish(), func], scratch: scratch(entry), schedule };
}

function rowScratch(used: KernelBuffers, decls: readonly BufferDecl[]): (of: KernelFunc) => ScratchDecl[] {
  return (of) =>
    used.rows
      .filter((id) => !isScalarRow(decls[id]!))
      .map((id) => ({
        pointer: of.memory.pointer(id),
        bytes: toDim(scaleIndex(sizeOf(decls[id]!.shape), bytesOf(decls[id]!.dtype))),
      }));
}

function emitBody(
  of: KernelFunc,
  kernel: NestKernel,
  nests: readonly PreparedNest[],
  used: KernelBuffers,
  chunk?: KernelScope["chunk"],
): void {
  of.openRows(used);
  const levels = new Levels(of.func, of.syms);
  const overwriting = overwrites(kernel);
  const run = (axes: readonly Axis[]): void => {
    const [axis, ...rest] = axes;
    if (axis) {
      const inChunk = chunk?.axis.id === axis.id;
      const [from, to] = inChunk ? [chunk.from, chunk.to] : [loop.i32(0), levels.size(axis.extent)];
      levels.loop(axis, from, to, 1, () => run(rest));
      return;
    }
    const scope = { levels, memory: of.memory, rowLevel: levels.innermost, ...(chunk ? { chunk } : {}) };
    for (const [i, nest] of nests.entries()) {
      emitNest(scope, nest);
      if (overwriting[i]) levels.forget();
    }
  };
  run(kernel.outer);
}

/** The loop to cut into chunks and the iterations of each; undefined where one call does it all. */
function cutAxis(
  outer: readonly Axis[],
  nests: readonly PreparedNest[],
  work: number,
  chunkWork: number,
): { axis: Axis; size: number } | undefined {
  const first = outer[0] ?? firstLoop(nests);
  if (first === undefined) return undefined;
  const symbolic = typeof first.extent !== "number";
  if (work < 2 * chunkWork && !symbolic) return undefined;
  const extent = typicalDim(first.extent);
  const perIteration = work / extent;
  // A multiple of every unrolled step, so that only the last chunk has a rest.
  const size = Math.max(32, Math.ceil(chunkWork / perIteration / 32) * 32);
  const rows = outer.length > 0 || first !== nests[0]!.vector;
  const chosen = rows ? Math.max(1, Math.ceil(chunkWork / perIteration)) : size;
  return chosen < extent || symbolic ? { axis: first, size: chosen } : undefined;
}

/** The outermost loop of the only nest, if it is parallel and not cut into pieces. */
function firstLoop(nests: readonly PreparedNest[]): Axis | undefined {
  const only = nests.length === 1 && nests[0]!.pieces.length === 1 ? nests[0]!.pieces[0] : undefined;
  if (!only) return undefined;
  const par = only.nest.axes.filter((a) => a.kind === "par");
  return par.find((a) => a !== only.along) ?? par[0];
}

/** The red axis of a reduction to a single point that is long enough to be cut. */
function longReduction(prepared: PreparedNest, chunkWork: number): Axis | undefined {
  const { nest } = prepared.pieces[0]!;
  if (prepared.pieces.length > 1 || nest.axes.some((a) => a.kind !== "red") || nest.accumulators.length === 0)
    return undefined;
  const first = nest.axes.find((a) => a !== prepared.vector) ?? nest.axes[0];
  const long = typeof first?.extent !== "number" || prepared.points * prepared.work >= 2 * chunkWork;
  return long ? first : undefined;
}

/**
 * Each chunk folds its part of the axis and leaves the result in scratch; the entry folds those in order. So the result
 * does not depend on who ran which chunk, and long float sums lose less.
 */
function chunkedReduction(
  name: string,
  decls: readonly BufferDecl[],
  used: KernelBuffers,
  prepared: PreparedNest,
  axis: Axis,
  chunkWork: number,
): Pick<LoopKernel, "funcs" | "scratch"> {
  const { nest } = prepared.pieces[0]!;
  const { extent } = axis;
  const perIteration = (prepared.work * prepared.points) / typicalDim(extent);
  const size = Math.max(1, Math.ceil(chunkWork / perIteration / 32) * 32);
  const chunks = ceilDiv(extent, size);
  const slots = nest.accumulators.flatMap((acc, a) =>
    (isPair(acc.combine) ? ([acc.dtype, "i32"] as const) : ([acc.dtype] as const)).map((dtype, component) => ({
      a,
      component,
      dtype,
    })),
  );
  const declare = (of: KernelFunc): LoopPointer[] =>
    slots.map((s) => of.func.pointer(`partial${s.a}_${s.component}`, s.dtype, "scratch"));

  const body = new KernelFunc(`${name}_chunk`, decls, used, ["chunk"]);
  const bodyPartials = declare(body);
  const [chunk] = body.params as readonly [LoopExpr];
  const from = body.func.let("from", loop.mul(chunk, loop.i32(size)));
  const to = body.func.let("to", loop.min(loop.add(from, loop.i32(size)), body.size(extent)));
  const scope: KernelScope = {
    levels: new Levels(body.func, body.syms),
    memory: body.memory,
    rowLevel: 0,
    chunk: { axis, from, to },
    onResults: (values) => {
      for (const [i, s] of slots.entries()) body.func.store(bodyPartials[i]!, chunk, values[s.a]![s.component]!);
    },
  };
  emitNest(scope, prepared);
  const func = body.func.finish();

  const entry = new KernelFunc(name, decls, used);
  const partials = declare(entry);
  const count = entry.size(chunks);
  entry.func.par(count, func, [...entry.pointers, ...partials], entry.sizeArgs);
  const running: Running[] = nest.accumulators.map((acc, a) => startRunning(entry.func, acc, `acc${a}`, 1));
  entry.func.for("chunk", loop.i32(0), count, 1, (c) => {
    nest.accumulators.forEach((acc, a) => {
      const values = slots.flatMap((s, i) =>
        s.a === a ? [entry.func.let("partial", loop.load(partials[i]!, c))] : [],
      );
      foldIn(entry.func, acc, running[a]!, values);
    });
  });
  const levels = new Levels(entry.func, entry.syms);
  const finalScope: KernelScope = { levels, memory: entry.memory, rowLevel: 0 };
  finishScalar({ scope: finalScope, nest }, running.map(currentValues));
  return {
    funcs: [entry.func.finish(), func],
    scratch: partials.map((pointer, i) => ({ pointer, bytes: toDim(scaleIndex(chunks, bytesOf(slots[i]!.dtype))) })),
  };
}
