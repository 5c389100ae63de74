/**
 * The tiled product of one group of threads: tiles of both operands in the group's memory, a block of results in each
 * thread's registers. All threads stage and meet at barriers; what lies beyond an edge is staged from the last
 * position that exists, or as 0 along the summed axis, and is left out when results are stored.
 */
import type { Axis, Dim, LoopExpr, LoopVar, ScalarExpr, WebgpuFeatures } from "@sinter/ir";
import { loop, sizeOf } from "@sinter/ir";
import { ceilDiv, type KernelFunc, type Product } from "@sinter/ir/schedule";
import { four, type Layout, layoutOf, type Side, type Staging, slotsOf, stagedAt, stagedElements } from "./staging.ts";

/** Results of a group, the summed positions staged at once, and vectors of four rows and columns for each thread. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly rowVectors: number;
  readonly columnVectors: number;
  /** Whether operands are rounded to f16 where they are staged. */
  readonly half?: boolean;
}

export function threadsOf(tile: Tile): number {
  return threadColumns(tile) * (tile.rows / (four * tile.rowVectors));
}

function threadColumns(tile: Tile): number {
  return tile.columns / (four * tile.columnVectors);
}

/** Bytes of group memory at most, however the operands lie in it. */
export function groupBytes({ rows, columns, depth }: Tile): number {
  const a = Math.max(stagedElements("rows", rows, depth), stagedElements("positions", rows, depth));
  return 4 * (a + stagedElements("positions", columns, depth));
}

/** Why groups of a device cannot work on a tile; undefined where they can. */
export function tileProblem(tile: Tile, { limits }: Pick<WebgpuFeatures, "limits">): string | undefined {
  const { rows, columns, depth } = tile;
  const threads = threadsOf(tile);
  if (!Number.isInteger(threads) || !Number.isInteger(threadColumns(tile)))
    return "the blocks of its threads do not fill it";
  if (depth % four !== 0 || [rows, columns].some((width) => !Number.isInteger((width * depth) / four / threads)))
    return "its threads cannot share the staging evenly";
  const mostThreads = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  if (threads > mostThreads) return `it takes ${threads} threads, and a group has ${mostThreads}`;
  const bytes = groupBytes(tile);
  if (bytes > limits.maxComputeWorkgroupStorageSize)
    return `it takes ${bytes} bytes of a group's memory, which has ${limits.maxComputeWorkgroupStorageSize}`;
  return undefined;
}

/** Where a group is. */
export interface GroupPlace {
  readonly firstRow: LoopExpr;
  readonly firstColumn: LoopExpr;
  /** Number of the part of the summed axis. */
  readonly part: LoopExpr;
  /** The batch axes as one number, and each alone. */
  readonly batchNumber: LoopExpr;
  readonly batch: readonly LoopExpr[];
}

/** A number counted down into its parts, the innermost first; the last part needs no remainder. */
export function digits(func: loop.FuncBuilder, number: LoopExpr, by: readonly (readonly [string, LoopExpr])[]) {
  let rest = number;
  const parts = by.map(([name, size]) => {
    if (loop.constValue(size) === 1) return loop.i32(0);
    const part = func.let(name, loop.floorMod(rest, size, true));
    rest = func.let("rest", loop.floorDiv(rest, size, true));
    return part;
  });
  return { parts, rest };
}

/** The numbers of the batch axes. */
export function batchOf(of: KernelFunc, batch: readonly Axis[], number: LoopExpr): LoopExpr[] {
  const inner = batch.slice(1).reverse();
  const { parts, rest } = digits(
    of.func,
    number,
    inner.map((a) => [a.name, of.size(a.extent)]),
  );
  return batch.length === 0 ? [] : [rest, ...parts.reverse()];
}

/** Neighbouring groups share rows: they run at about the same time, and find them in the cache. */
export function groupPlace(of: KernelFunc, p: Product, tile: Tile, parts: number): GroupPlace {
  const { func } = of;
  const { parts: place, rest } = digits(func, of.params[0]!, [
    ["columnTile", of.size(ceilDiv(p.n.extent, tile.columns))],
    ["rowTile", of.size(ceilDiv(p.m.extent, tile.rows))],
    ["part", loop.i32(parts)],
  ]);
  const [column, row, part] = place as [LoopExpr, LoopExpr, LoopExpr];
  return {
    firstRow: func.let("firstRow", loop.mul(row, loop.i32(tile.rows))),
    firstColumn: func.let("firstColumn", loop.mul(column, loop.i32(tile.columns))),
    part,
    batchNumber: rest,
    batch: batchOf(of, p.batch, rest),
  };
}

export function groupsOf(p: Product, tile: Tile, parts: number): Dim {
  return sizeOf([
    ...p.batch.map((a) => a.extent),
    parts,
    ceilDiv(p.m.extent, tile.rows),
    ceilDiv(p.n.extent, tile.columns),
  ]);
}

/** A block of results: where it is, and its vectors along the columns. */
export interface Block {
  /** By row of the thread: the row of the result. */
  readonly row: (r: LoopExpr | number) => LoopExpr;
  /** By vector: its first column. */
  readonly column: (v: LoopExpr | number) => LoopExpr;
  readonly sums: readonly (readonly LoopVar[])[];
}

/**
 * Sums over positions `from`..`to` of the summed axis (`from` a multiple of the depth, `to` too or the end of the axis).
 * Every thread of the group comes here.
 */
export function tileSums(
  of: KernelFunc,
  p: Product,
  tile: Tile,
  place: GroupPlace,
  from: LoopExpr,
  to: LoopExpr,
): Block {
  const { func } = of;
  const { dtype } = p.nest.accumulators[0]!;
  const side = (name: string, value: ScalarExpr, axis: Axis, first: LoopExpr, width: number, layout: Layout): Side => {
    const staged = func.array(`${name}Tile`, dtype, stagedElements(layout, width, tile.depth), "workgroup", tile.half);
    return { name, value, axis, first, width, layout, staged };
  };
  const a = side("a", p.lhs, p.m, place.firstRow, tile.rows, layoutOf(p.lhs, p.k));
  const b = side("b", p.rhs, p.n, place.firstColumn, tile.columns, "positions");
  const staging: Staging = { of, p, depth: tile.depth, threads: threadsOf(tile), batch: place.batch };
  const slots = [...slotsOf(staging, a), ...slotsOf(staging, b)];
  const block = blockOf(of, p, tile, place);
  const rounds = (): void =>
    func.for("k", from, to, tile.depth, (k) => {
      // Read before the barrier: memory answers while other threads still multiply.
      const values = slots.map((slot) => slot.value(k));
      func.barrier();
      for (const [i, { side, to }] of slots.entries()) func.store(side.staged, to, values[i]!);
      func.barrier();
      multiply(func, tile, a, b, block);
    });
  slots.reduceRight<() => void>((inner, slot) => () => slot.open(inner), rounds)();
  return block;
}

function blockOf(of: KernelFunc, p: Product, tile: Tile, place: GroupPlace): Block & { readonly inTile: InTile } {
  const { func } = of;
  const across = threadColumns(tile);
  const thread = of.params[1]!;
  const row = func.let("threadRow", loop.mul(loop.floorDiv(thread, loop.i32(across), true), loop.i32(four)));
  const column = func.let("threadColumn", loop.mul(loop.floorMod(thread, loop.i32(across), true), loop.i32(four)));
  const [rowStep, columnStep] = [tile.rows / tile.rowVectors, tile.columns / tile.columnVectors];
  const sums = Array.from({ length: four * tile.rowVectors }, (_, r) =>
    Array.from({ length: tile.columnVectors }, (_, v) =>
      func.local(`c${r}_${v}`, loop.constant(p.nest.accumulators[0]!.dtype, 0, four)),
    ),
  );
  const position = (n: LoopExpr | number): LoopExpr => (typeof n === "number" ? loop.i32(n) : n);
  return {
    inTile: { row, column, rowStep, columnStep },
    sums,
    row: (r) => {
      const [u, rest] = [
        loop.floorDiv(position(r), loop.i32(four), true),
        loop.floorMod(position(r), loop.i32(four), true),
      ];
      return loop.sum(place.firstRow, row, loop.mul(u, loop.i32(rowStep)), rest);
    },
    column: (v) => loop.sum(place.firstColumn, column, loop.mul(position(v), loop.i32(columnStep))),
  };
}

interface InTile {
  readonly row: LoopExpr;
  readonly column: LoopExpr;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** The staged tiles into a thread's sums. */
function multiply(
  func: loop.FuncBuilder,
  tile: Tile,
  a: Side,
  b: Side,
  { inTile, sums }: { readonly inTile: InTile; readonly sums: Block["sums"] },
): void {
  const { depth } = tile;
  const across = (side: Side, name: string, at: LoopExpr, step: number, count: number, k: LoopExpr): LoopExpr[] =>
    Array.from({ length: count }, (_, i) => {
      const from = stagedAt(side, depth, loop.add(at, loop.i32(i * step)), k);
      return func.let(name, loop.load(side.staged, from, four));
    });
  const columns = (k: LoopExpr): LoopExpr[] => across(b, "bv", inTile.column, inTile.columnStep, tile.columnVectors, k);
  const rows = (k: LoopExpr): LoopExpr[] => across(a, "av", inTile.row, inTile.rowStep, tile.rowVectors, k);
  const add = (elements: (r: number) => LoopExpr, bv: readonly LoopExpr[]): void => {
    for (const [r, row] of sums.entries()) {
      const element = loop.splat(elements(r), four);
      for (const [v, sum] of row.entries()) func.assign(sum, loop.fma(element, bv[v]!, loop.use(sum)));
    }
  };
  if (a.layout === "positions") {
    func.for("kk", loop.i32(0), loop.i32(depth), 1, (kk) => {
      const av = rows(kk);
      add((r) => loop.lane(av[Math.floor(r / four)]!, r % four), columns(kk));
    });
    return;
  }
  // A vector holds four summed positions of a row.
  func.for("kk", loop.i32(0), loop.i32(depth), four, (kk) => {
    const av = sums.map((_, r) => {
      const at = loop.sum(inTile.row, loop.i32(Math.floor(r / four) * inTile.rowStep + (r % four)));
      return func.let("av", loop.load(a.staged, stagedAt(a, depth, at, kk), four));
    });
    for (let i = 0; i < four; i++) add((r) => loop.lane(av[r]!, i), columns(loop.add(kk, loop.i32(i))));
  });
}
