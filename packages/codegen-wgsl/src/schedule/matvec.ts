/**
 * Products of a matrix with two or three rows: one sweep over the matrix serves all of them, and there is nothing to stage,
 * since no element is needed twice. (With one row it is a reduction like any other.)
 */
import type { BufferDecl, LoopExpr, LoopKernel, LoopVar, NestKernel, ScalarExpr, WebgpuFeatures } from "@sinter/ir";
import { contractionOf, flopsOf, isMultiple, loop, sizeOf, typicalDim } from "@sinter/ir";
import {
  aliasablePairs,
  ceilDiv,
  collapseAxes,
  flattenNest,
  KernelFunc,
  kernelBuffers,
  Levels,
  mergeAxes,
  minRows,
  Payload,
  type Product,
  turned,
  vectorLanes,
} from "@sinter/ir/schedule";
import { finishResult } from "./end-stores.ts";
import { insideAll, stepAlong } from "./staging.ts";
import { batchOf, digits } from "./tiles.ts";

/** Columns of a group where threads lie along them, and groups of a column's threads where they lie along the sum. */
const columnsOfGroup = 32;
const mostThreads = 256;
/** Summed positions that a thread has to itself. */
const ownTerms = 8;

/** The kernel as a product of few rows, where it is one. */
export function matvecKernel(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  { limits }: WebgpuFeatures,
): LoopKernel | undefined {
  const p = fewRows(kernel, decls);
  if (p === undefined || limits.maxComputeInvocationsPerWorkgroup < mostThreads) return undefined;
  const used = kernelBuffers(kernel, decls);
  const of = new KernelFunc(kernel.name, decls, used, ["group", "thread"]);
  const along = stepAlong(p.rhs, p.k) <= stepAlong(p.rhs, p.n);
  const useful = 2 ** Math.floor(Math.log2(Math.max(1, typicalDim(p.k.extent) / ownTerms)));
  const slices = along ? Math.max(32, Math.min(mostThreads, useful)) : Math.min(mostThreads / columnsOfGroup, useful);
  const columns = along ? 1 : columnsOfGroup;
  const tiles = ceilDiv(p.n.extent, columns);
  const { parts, rest } = digits(of.func, of.params[0]!, [["tile", of.size(tiles)]]);
  const place: Place = { of, p, batch: batchOf(of, p.batch, rest), slices };
  if (along) sumAlong(place, parts[0]!);
  else sumAcross(place, parts[0]!);
  return {
    name: kernel.name,
    funcs: [of.func.finish()],
    grids: [
      {
        func: kernel.name,
        groups: sizeOf([...p.batch.map((a) => a.extent), tiles]),
        threads: columns * slices,
      },
    ],
    buffers: used.buffers,
    scratch: [],
    writes: used.writes,
    ...(used.syms.length > 0 ? { syms: used.syms } : {}),
    aliasable: aliasablePairs(kernel, decls),
    flops: flopsOf(kernel),
    schedule: `matvec ${rowsOf(p)} rows`,
  };
}

const rowsOf = (p: Product): number => p.m.extent as number;

/** A contraction with so few rows (or columns) that tiles would be mostly empty. */
function fewRows(kernel: NestKernel, decls: readonly BufferDecl[]): Product | undefined {
  const [only, second] = kernel.nests;
  if (!only || second || kernel.outer.length > 0 || only.stores.some((s) => s.when === "body")) return undefined;
  let nest = collapseAxes(flattenNest(only, decls));
  for (const role of ["m", "n", "k"] as const) {
    const axes = contractionOf(nest)?.[role] ?? [];
    if (axes.length === 0) return undefined;
    nest = mergeAxes(nest, axes).nest;
  }
  const c = contractionOf(nest);
  const [m, n, k] = [c?.m[0], c?.n[0], c?.k[0]];
  if (!c || !m || !n || !k || typicalDim(k.extent) < 4 * ownTerms) return undefined;
  const few = (extent: Product["m"]["extent"]): boolean => typeof extent === "number" && extent < minRows;
  if (few(m.extent) && !few(n.extent)) return { nest, batch: c.batch, m, n, k, lhs: c.lhs, rhs: c.rhs, parts: c };
  if (few(n.extent) && !few(m.extent))
    return { nest, batch: c.batch, m: n, n: m, k, lhs: c.rhs, rhs: c.lhs, parts: turned(c) };
  return undefined;
}

interface Place {
  readonly of: KernelFunc;
  readonly p: Product;
  readonly batch: readonly LoopExpr[];
  /** Threads that share a column's sum. */
  readonly slices: number;
}

/** One column per group: neighbouring threads have neighbouring summed positions. */
function sumAlong(place: Place, column: LoopExpr): void {
  const { of, p, slices } = place;
  const lanes = isMultiple(p.k.extent, vectorLanes) ? vectorLanes : 1;
  const first = loop.mul(of.params[1]!, loop.i32(lanes));
  const sums = rowSums(place, column, first, slices * lanes, lanes);
  const totals = sums.map((sum) => of.func.groupFold("total", "add", loop.fold("add", loop.use(sum))));
  of.func.if(loop.eq(of.params[1]!, loop.i32(0)), () => endStores(place, column, totals));
}

/** Neighbouring threads have neighbouring columns; what threads of one column have summed meets in the group's memory. */
function sumAcross(place: Place, tile: LoopExpr): void {
  const { of, p, slices } = place;
  const { func } = of;
  const { dtype } = p.nest.accumulators[0]!;
  const inTile = func.let("inTile", loop.floorMod(of.params[1]!, loop.i32(columnsOfGroup), true));
  const slice = func.let("slice", loop.floorDiv(of.params[1]!, loop.i32(columnsOfGroup), true));
  const column = func.let("column", loop.add(loop.mul(tile, loop.i32(columnsOfGroup)), inTile));
  const n = of.size(p.n.extent);
  const safe = func.let("safe", loop.min(column, loop.sub(n, loop.i32(1))));
  const sums = rowSums(place, safe, slice, slices, 1);
  const size = columnsOfGroup * slices;
  const shared = func.array("slices", dtype, rowsOf(p) * size, "workgroup");
  for (const [r, sum] of sums.entries()) func.store(shared, loop.add(of.params[1]!, loop.i32(r * size)), loop.use(sum));
  func.barrier();
  func.if(loop.and(loop.eq(slice, loop.i32(0)), loop.lt(column, n)), () => {
    const totals = sums.map((_, r) => {
      const total = func.local("total", loop.load(shared, loop.add(inTile, loop.i32(r * size))));
      for (let s = 1; s < slices; s++) {
        const at = loop.add(inTile, loop.i32(r * size + s * columnsOfGroup));
        func.assign(total, loop.op("add", loop.use(total), loop.load(shared, at)));
      }
      return loop.use(total);
    });
    endStores(place, column, totals);
  });
}

/** A thread's own sums, one for each row: from `first` on, every `step`-th position, `lanes` at a time. */
function rowSums(place: Place, column: LoopExpr, first: LoopExpr, step: number, lanes: number): LoopVar[] {
  const { of, p, batch } = place;
  const { func } = of;
  const { dtype } = p.nest.accumulators[0]!;
  const rows = Array.from({ length: rowsOf(p) }, (_, r) => r);
  const sums = rows.map((r) => func.local(`sum${r}`, loop.constant(dtype, 0, lanes)));
  const vector = lanes === 1 ? undefined : p.k;
  const levels = new Levels(func, of.syms);
  const payload = (value: ScalarExpr): Payload => new Payload(levels, of.memory, [value], vector, 0);
  insideAll(levels, [...p.batch, p.n], [...batch, column], () => {
    const matrix = payload(p.rhs);
    levels.loop(p.k, first, levels.size(p.k.extent), step, () => {
      const b = func.let("b", matrix.wide(p.rhs));
      for (const r of rows)
        levels.inside(p.m, loop.i32(r), () => {
          // A payload of its own: the rows' keys are the same, and their levels close one after the other.
          const a = payload(p.lhs).wide(p.lhs);
          func.assign(sums[r]!, loop.fma(a, b, loop.use(sums[r]!)));
        });
    });
  });
  return sums;
}

function endStores({ of, p, batch }: Place, column: LoopExpr, totals: readonly LoopExpr[]): void {
  for (const [r, total] of totals.entries()) finishResult(p, of, batch, loop.i32(r), column, total);
}
