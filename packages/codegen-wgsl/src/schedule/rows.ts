/**
 * Kernels of several nests. A group for each point of the outer axes, or a share of one where rows are short, barriers
 * where memory flows between the nests; row scalars are locals that all threads of a row agree on, row buffers lie in
 * memory of the group where they fit. Very short rows get one thread each.
 */
import {
  axis,
  type BufferDecl,
  type BufferId,
  type Dim,
  flopsOf,
  type LoopExpr,
  type LoopKernel,
  loop,
  type NestKernel,
  sizeOf,
  typicalDim,
  type WebgpuFeatures,
} from "@sinter/ir";
import {
  aliasablePairs,
  ceilDiv,
  emitNest,
  isScalarRow,
  kernelBuffers,
  overwrites,
  prepareNest,
} from "@sinter/ir/schedule";
import { emitRowNest, isUniform, lengthOf, type RowNest, rowNest, touched } from "./row-nest.ts";
import { rowsAlong } from "./sequence.ts";
import { finishKernel, mostThreads, openContext, powerAbove, type RowPlace, Stage } from "./stage.ts";
import { atPoint, elementBytes, usualThreads } from "./threads.ts";

/** Longest row that one thread runs through, and elements of row buffers that it then keeps. */
const shortRow = 32;
const threadElements = 128;

/** Work of one group, in flops, from which on more groups pay for more dispatches, where there are few rows. */
const longRow = 1 << 17;
const fewRows = 64;

/** Bytes of a group's memory that folds over it may take. */
const foldBytes = 4096;

/** A group or a thread for each row; undefined for few long rows, which need more than a group each. */
export function rowsKernel(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
): LoopKernel | undefined {
  const axes = [...kernel.outer, ...kernel.nests.flatMap((nest) => nest.axes)];
  if (axes.some((a) => a.extent === 0)) return undefined;
  const rows = sizeOf(kernel.outer.map((a) => a.extent));
  const length = Math.max(...kernel.nests.map(lengthOf));
  const many = typicalDim(rows);
  if (many < fewRows && flopsOf(kernel) / many > longRow) return undefined;
  if (many >= usualThreads && length <= shortRow) {
    const short = threadPerRow(kernel, decls, rows);
    if (short) return short;
  }
  return groupPerRow(kernel, decls, features, rows, length);
}

function threadPerRow(kernel: NestKernel, decls: readonly BufferDecl[], rows: Dim): LoopKernel | undefined {
  const used = kernelBuffers(kernel, decls);
  const places = new Map<BufferId, RowPlace>();
  let elements = 0;
  for (const id of used.rows) {
    const size = sizeOf(decls[id]!.shape);
    if (typeof size !== "number") return undefined;
    elements += size;
    places.set(id, isScalarRow(decls[id]!) ? "local" : "private");
  }
  if (elements > threadElements) return undefined;
  const context = openContext(kernel, decls, places);
  const stage = new Stage(context, kernel.name);
  const { func, levels, group, thread } = stage;
  const overwriting = overwrites(kernel);
  const row = func.let("row", loop.add(loop.mul(group, loop.i32(usualThreads)), thread));
  stage.when(loop.lt(row, levels.size(rows)), () => {
    atPoint(levels, kernel.outer, row, () => {
      stage.rowLevel = levels.innermost;
      for (const [i, nest] of kernel.nests.entries()) {
        emitNest(stage.scope, prepareNest(nest, decls, { generic: true }));
        if (overwriting[i]) levels.forget();
      }
    });
  });
  const grid = { stage, groups: ceilDiv(rows, usualThreads), threads: usualThreads };
  return finishKernel(context, { kernel, decls }, [grid], "rows per thread");
}

/** Threads for each row, and rows for each group: short rows share one, so that it has as many threads as others do. */
function shareOf(features: WebgpuFeatures, many: number, length: number): { threads: number; rows: number } {
  // Four elements for each thread: fewer threads would wait for memory, more for each other.
  const wanted = powerAbove(length / 4);
  const most = mostThreads(features);
  if (many < fewRows || wanted >= usualThreads) return { threads: Math.min(most, Math.max(32, wanted)), rows: 1 };
  const threads = Math.min(most, wanted);
  return { threads, rows: Math.max(1, Math.min(usualThreads, most) / threads) };
}

function groupPerRow(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
  rows: Dim,
  length: number,
): LoopKernel {
  const share = shareOf(features, typicalDim(rows), length);
  const { threads } = share;
  const ways = kernel.nests.map((nest) => rowNest(nest, decls, threads));
  const places = placeRows(kernel, decls, features, ways, share.rows);
  const placed = (place: RowPlace): Set<BufferId> =>
    new Set([...places.keys()].filter((id) => places.get(id) === place));
  // Scratch holds the buffers of all rows, memory of the group those of the rows that share it.
  const inScratch = rowsAlong(kernel.nests, kernel.outer, decls, placed("scratch"));
  const slot = axis("slot", share.rows, "par");
  const spread =
    share.rows === 1 ? inScratch : rowsAlong(inScratch.nests, [slot], inScratch.decls, placed("workgroup"));
  const context = openContext(kernel, decls, places, spread.decls);
  const stage = new Stage(context, kernel.name);
  const { func, levels } = stage;
  const needsBarrier = barriers(kernel, decls, places);
  const overwriting = overwrites(kernel);
  const run = (row: LoopExpr): void =>
    atPoint(levels, kernel.outer, row, () => {
      stage.rowLevel = levels.innermost;
      for (const [i, nest] of spread.nests.entries()) {
        if (needsBarrier[i]) func.barrier();
        emitRowNest(stage, rowNest(nest, spread.decls, threads), threads);
        if (overwriting[i]) levels.forget();
      }
    });
  if (share.rows === 1) run(stage.group);
  else {
    const place = func.let("slot", loop.floorDiv(stage.thread, loop.i32(threads)));
    const row = func.let("row", loop.add(loop.mul(stage.group, loop.i32(share.rows)), place));
    const count = levels.size(rows);
    stage.share = {
      threads,
      lane: func.let("lane", loop.floorMod(stage.thread, loop.i32(threads))),
      valid: func.let("valid", loop.lt(row, count)),
    };
    const safe = func.let("safe", loop.min(row, loop.sub(count, loop.i32(1))));
    levels.inside(slot, place, () => run(safe));
  }
  const grid = { stage, groups: ceilDiv(rows, share.rows), threads: threads * share.rows };
  const schedule = share.rows === 1 ? "rows per group" : `rows per ${threads} threads`;
  return finishKernel(context, { kernel, decls }, [grid], schedule);
}

/** Row scalars that all threads compute are locals; the rest goes to the group while there is room. */
function placeRows(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
  ways: readonly RowNest[],
  /** Rows that share a group. */
  rows: number,
): Map<BufferId, RowPlace> {
  const places = new Map<BufferId, RowPlace>();
  let room = features.limits.maxComputeWorkgroupStorageSize - foldBytes;
  for (const id of kernelBuffers(kernel, decls).rows) {
    const writers = ways.filter((way) => way.nest.stores.some((s) => s.buffer === id));
    if (isScalarRow(decls[id]!) && writers.every(isUniform)) {
      places.set(id, "local");
      continue;
    }
    const size = sizeOf(decls[id]!.shape);
    // A multiple of 16, which vectors take.
    const bytes =
      typeof size === "number" ? Math.ceil((rows * size * elementBytes) / 16) * 16 : Number.POSITIVE_INFINITY;
    places.set(id, bytes <= room ? "workgroup" : "scratch");
    if (bytes <= room) room -= bytes;
  }
  return places;
}

/** Before which nests the threads meet: where one touches memory that another has written since they last met, or the reverse. */
function barriers(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  places: ReadonlyMap<BufferId, RowPlace>,
): boolean[] {
  // Buffers that the plan may put at one place count as one, and so do the parts of a buffer.
  const roots = new Map<BufferId, BufferId>();
  const root = (id: BufferId): BufferId => {
    const next = roots.get(id) ?? decls[id]!.slice?.of ?? decls[id]!.replaces;
    return next === undefined ? id : root(next);
  };
  for (const [read, written] of aliasablePairs(kernel, decls)) {
    const [a, b] = [root(read), root(written)];
    if (a !== b) roots.set(b, a);
  }
  let reads = new Set<BufferId>();
  let writes = new Set<BufferId>();
  return kernel.nests.map((nest) => {
    const own = touched(nest, (id) => places.get(id) === "local");
    const [r, w] = [[...own.reads].map(root), [...own.writes].map(root)];
    const meet = r.some((id) => writes.has(id)) || w.some((id) => writes.has(id) || reads.has(id));
    if (meet) [reads, writes] = [new Set(), new Set()];
    for (const id of r) reads.add(id);
    for (const id of w) writes.add(id);
    return meet;
  });
}
