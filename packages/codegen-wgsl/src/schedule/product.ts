/**
 * Matrix products, and all that has their form (convolutions and their gradients), as tiles of results. Where there are
 * few tiles and a long sum, several groups share one tile: each sums a part, and a second grid folds the parts in order.
 */
import type {
  Axis,
  BufferDecl,
  LoopExpr,
  LoopFunc,
  LoopKernel,
  LoopPointer,
  NestKernel,
  WebgpuFeatures,
} from "@sinter/ir";
import { flopsOf, loop, mulIndex, scaleIndex, sizeOf, toDim, typicalDim } from "@sinter/ir";
import {
  aliasablePairs,
  ceilDiv,
  flattenNest,
  type KernelBuffers,
  KernelFunc,
  kernelBuffers,
  type Product,
  productOf,
  vectorLanes,
} from "@sinter/ir/schedule";
import { endStores, finishResult, lanesOf } from "./end-stores.ts";
import { matvecKernel } from "./matvec.ts";
import { stepAlong } from "./staging.ts";
import {
  type Block,
  batchOf,
  digits,
  type GroupPlace,
  groupPlace,
  groupsOf,
  type Tile,
  threadsOf,
  tileProblem,
  tileSums,
} from "./tiles.ts";

/** Groups that keep a large GPU busy; with fewer, a long sum is divided among several. */
const enoughGroups = 64;
/** Summed positions that are worth a group of their own. */
const shortestPart = 128;
/** Bytes of partial sums at most: they are written and read once more. */
const mostPartials = 1 << 26;
/** Threads of a group that folds partial sums. */
const foldThreads = 64;

/** How products are cut, where that is not left to the schedule. */
export interface ProductChoice {
  readonly tile: Tile;
  /** Groups that share one tile's sums. */
  readonly parts: number;
}

/** The kernel as a tiled product; undefined where it is none, or so small that tiles would mostly lie beyond its edges. */
export function productKernel(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
  choice?: ProductChoice,
): LoopKernel | undefined {
  // Results that meet in memory have an owner each, which is another schedule's business.
  if (kernel.nests.some((nest) => nest.stores.some((s) => s.combine !== undefined))) return undefined;
  const p = productOf(inMemoryOrder(kernel, decls), decls);
  if (p === undefined) return matvecKernel(kernel, decls, features);
  const [m, n] = [typicalDim(p.m.extent), typicalDim(p.n.extent)];
  if (m * n < 64) return undefined;
  const plan = planOf(kernel, p, decls, features, choice);
  const { tile, parts, used } = plan;
  const shape = `${tile.half ? "f16 " : ""}tiles ${tile.rows}x${tile.columns}x${tile.depth}`;
  const common = {
    name: kernel.name,
    buffers: used.buffers,
    writes: used.writes,
    ...(used.syms.length > 0 ? { syms: used.syms } : {}),
    flops: flopsOf(kernel),
  };
  const grid = { func: kernel.name, groups: groupsOf(p, tile, parts), threads: threadsOf(tile) };
  if (parts === 1)
    return {
      ...common,
      funcs: [tiles(plan, kernel.name).func],
      grids: [grid],
      scratch: [],
      aliasable: aliasablePairs(kernel, decls),
      schedule: shape,
    };
  const first = tiles(plan, kernel.name);
  const second = foldParts(plan, `${kernel.name}_fold`);
  const points = sizeOf([...p.batch.map((a) => a.extent), p.m.extent, ceilDiv(p.n.extent, lanesOf(p))]);
  return {
    ...common,
    funcs: [first.func, second.func],
    grids: [grid, { func: second.func.name, groups: ceilDiv(points, foldThreads), threads: foldThreads }],
    scratch: [{ pointer: first.partials!, bytes: toDim(scaleIndex(partSize(p), 4 * parts)) }],
    aliasable: aliasablePairs(kernel, decls),
    schedule: `split ${parts} ${shape}`,
  };
}

/**
 * The axes of each kind in the order in which operands lie in memory, far strides first: what is merged of them then runs
 * through memory in order, as in the gradient of a convolution's filters.
 */
function inMemoryOrder(kernel: NestKernel, decls: readonly BufferDecl[]): NestKernel {
  const [only] = kernel.nests;
  if (only === undefined) return kernel;
  const value = flattenNest(only, decls).accumulators[0]?.values[0];
  if (value === undefined) return kernel;
  const steps = new Map(only.axes.map((a) => [a, stepAlong(value, a)]));
  const sorted = (kind: Axis["kind"]): Axis[] =>
    only.axes.filter((a) => a.kind === kind).sort((a, b) => steps.get(b)! - steps.get(a)!);
  const order = { par: sorted("par"), red: sorted("red"), seq: sorted("seq") };
  const next = { par: 0, red: 0, seq: 0 };
  const axes = only.axes.map((a) => order[a.kind][next[a.kind]++]!);
  return { ...kernel, nests: [{ ...only, axes }, ...kernel.nests.slice(1)] };
}

interface ProductPlan extends ProductChoice {
  readonly p: Product;
  readonly decls: readonly BufferDecl[];
  readonly used: KernelBuffers;
}

function planOf(
  kernel: NestKernel,
  p: Product,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
  choice: ProductChoice | undefined,
): ProductPlan {
  const used = kernelBuffers(kernel, decls);
  if (choice !== undefined) {
    const problem = tileProblem(choice.tile, features);
    if (problem !== undefined) throw new Error(`${kernel.name}: the tile asked for cannot be: ${problem}`);
    return { p, decls, used, ...choice };
  }
  const half = features.f16 && p.nest.accumulators[0]!.dtype === "f32";
  const tile = { ...chooseTile(p, features), half };
  const groups = typicalDim(groupsOf(p, tile, 1));
  const k = typicalDim(p.k.extent);
  const wanted = groups >= enoughGroups ? 1 : Math.ceil((2 * enoughGroups) / groups);
  const room = Math.floor(mostPartials / (4 * typicalDim(partSize(p))));
  const parts = Math.max(1, Math.min(wanted, Math.floor(k / shortestPart), room));
  return { p, decls, used, tile, parts };
}

/**
 * Larger tiles read each operand less often; smaller ones waste less at the edges and make more groups. Four rows and four
 * columns for each thread, eight where the result is so large that there are groups enough.
 */
function chooseTile(p: Product, features: WebgpuFeatures): Tile {
  const [m, n] = [typicalDim(p.m.extent), typicalDim(p.n.extent)];
  const small = (rows: number, columns: number): Tile => ({
    rows,
    columns,
    depth: 16,
    rowVectors: 1,
    columnVectors: 1,
  });
  const large: Tile = { rows: 128, columns: 128, depth: 8, rowVectors: 2, columnVectors: 2 };
  const fits = (tile: Tile): boolean => tileProblem(tile, features) === undefined;
  const groups = (tile: Tile): number => typicalDim(groupsOf(p, tile, 1));
  if (fits(large) && Math.min(m, n) >= 512 && groups(large) >= 2 * enoughGroups) return large;
  const side = (extent: number): number => (extent <= 16 ? 16 : extent <= 32 ? 32 : 64);
  const [rows, columns] = [side(m), side(n)];
  if (rows === 16 && columns === 16) return small(16, 32);
  const tile = small(rows, columns);
  const few = rows === 64 && columns === 64 && groups(tile) < enoughGroups;
  return few || !fits(tile) ? small(Math.min(rows, 32), Math.min(columns, 32)) : tile;
}

/** Columns of partial sums from one row to the next: whole vectors. */
const partPitch = (p: Product) => toDim(scaleIndex(ceilDiv(p.n.extent, vectorLanes), vectorLanes));
const partSize = (p: Product) => sizeOf([...p.batch.map((a) => a.extent), toDim(mulIndex(p.m.extent, partPitch(p)))]);

interface Opened {
  readonly of: KernelFunc;
  readonly partials: LoopPointer | undefined;
}

function open({ p, decls, used, parts }: ProductPlan, name: string): Opened {
  const of = new KernelFunc(name, decls, used, ["group", "thread"]);
  const { dtype } = p.nest.accumulators[0]!;
  return { of, partials: parts > 1 ? of.func.pointer("partials", dtype, "scratch") : undefined };
}

function tiles(plan: ProductPlan, name: string): { func: LoopFunc; partials: LoopPointer | undefined } {
  const { p, tile, parts } = plan;
  const { of, partials } = open(plan, name);
  const { func } = of;
  const place = groupPlace(of, p, tile, parts);
  const end = of.size(p.k.extent);
  if (partials === undefined) {
    const block = tileSums(of, p, tile, place, loop.i32(0), end);
    endStores(p, tile, of, place, block);
    return { func: func.finish(), partials };
  }
  const length = of.size(toDim(scaleIndex(ceilDiv(ceilDiv(p.k.extent, tile.depth), parts), tile.depth)));
  const from = func.let("from", loop.mul(place.part, length));
  const to = func.let("to", loop.min(loop.add(from, length), end));
  const block = tileSums(of, p, tile, place, from, to);
  storePart(plan, of, place, block, partials);
  return { func: func.finish(), partials };
}

/** Where a part's sum at a row begins in the partial sums. */
function partRow(plan: ProductPlan, of: KernelFunc, batchNumber: LoopExpr, row: LoopExpr): LoopExpr {
  const number = loop.add(loop.mul(batchNumber, of.size(plan.p.m.extent)), row);
  return loop.mul(number, of.size(partPitch(plan.p)));
}

function storePart(plan: ProductPlan, of: KernelFunc, place: GroupPlace, block: Block, partials: LoopPointer): void {
  const { func } = of;
  const { p } = plan;
  const start = func.let("start", loop.mul(place.part, of.size(partSize(p))));
  const [m, n] = [of.size(p.m.extent), of.size(p.n.extent)];
  for (const [r, vectors] of block.sums.entries()) {
    const row = func.let("row", block.row(r));
    for (const [v, sum] of vectors.entries()) {
      const column = func.let("column", block.column(v));
      func.if(loop.and(loop.lt(row, m), loop.lt(column, n)), () => {
        const at = loop.sum(start, partRow(plan, of, place.batchNumber, row), column);
        func.store(partials, at, loop.use(sum));
      });
    }
  }
}

/** One result, or four side by side, per thread: its parts in order, then the end stores. */
function foldParts(plan: ProductPlan, name: string): { func: LoopFunc } {
  const { p, parts } = plan;
  const { of, partials } = open(plan, name);
  const { func } = of;
  const lanes = lanesOf(p);
  const columns = ceilDiv(p.n.extent, lanes);
  const number = func.let("number", loop.add(loop.mul(of.params[0]!, loop.i32(foldThreads)), of.params[1]!));
  const points = sizeOf([...p.batch.map((a) => a.extent), p.m.extent, columns]);
  func.if(loop.lt(number, of.size(points)), () => {
    const { parts: place, rest } = digits(func, number, [
      ["columnVector", of.size(columns)],
      ["row", of.size(p.m.extent)],
    ]);
    const [vector, row] = place as [LoopExpr, LoopExpr];
    const column = func.let("column", loop.mul(vector, loop.i32(lanes)));
    const start = func.let("start", loop.add(partRow(plan, of, rest, row), column));
    const sum = func.local("sum", loop.constant(p.nest.accumulators[0]!.dtype, 0, lanes));
    const size = of.size(partSize(p));
    func.for("part", loop.i32(0), loop.i32(parts), 1, (part) => {
      const at = loop.add(loop.mul(part, size), start);
      func.assign(sum, loop.op("add", loop.use(sum), loop.load(partials!, at, lanes)));
    });
    finishResult(p, of, batchOf(of, p.batch, rest), row, column, loop.use(sum));
  });
  return { func: func.finish() };
}
