/**
 * The tiled product of one group of threads: tiles of both operands in the group's memory, a block of results in each
 * thread's registers. Operands are any expressions (a convolution reads through its window here), so what is staged is a
 * value and not a copy of memory. All threads stage and meet at barriers; what lies beyond an edge is staged from the last
 * position that exists, or as 0 along the summed axis, and is left out when results are stored.
 */
import type { Axis, Dim, IndexExpr, LoopExpr, LoopPointer, LoopVar, ScalarExpr } from "@sinter/ir";
import { evalIndex, isMultiple, loop, sizeOf, typicalDim, visitScalar } from "@sinter/ir";
import { ceilDiv, type KernelFunc, Levels, Payload, type Product } from "@sinter/ir/schedule";

/** Results of a group, the summed positions staged at once, and vectors of four rows and columns for each thread. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly rowVectors: number;
  readonly columnVectors: number;
}

/** Lanes of a vector, and rows that a thread takes next to each other. */
const four = 4;

export function threadsOf(tile: Tile): number {
  return threadColumns(tile) * (tile.rows / (four * tile.rowVectors));
}

function threadColumns(tile: Tile): number {
  return tile.columns / (four * tile.columnVectors);
}

/** Elements from one staged position to the next: four more than the tile is wide, which spreads them over the banks. */
const pitchOf = (width: number): number => width + four;

/** Bytes of group memory. */
export function groupBytes(tile: Tile): number {
  return 4 * tile.depth * (pitchOf(tile.rows) + pitchOf(tile.columns));
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

/** Opens several axes at once, outermost first. */
export function insideAll(levels: Levels, axes: readonly Axis[], values: readonly LoopExpr[], body: () => void): void {
  const go = (i: number): void => {
    const axis = axes[i];
    if (axis) levels.inside(axis, values[i]!, () => go(i + 1));
    else body();
  };
  go(0);
}

/** One side of the product: its rows (columns) along `axis`, staged as [depth][width]. */
interface Side {
  readonly name: string;
  readonly value: ScalarExpr;
  readonly axis: Axis;
  readonly first: LoopExpr;
  readonly width: number;
  readonly staged: LoopPointer;
}

/** What one thread stages of one side in one round: four elements along the side's axis at one summed position. */
interface Slot {
  readonly side: Side;
  /** Position in the tile. */
  readonly k: LoopExpr;
  readonly at: LoopExpr;
  /** One for all four elements, or one for each. Each has levels of its own: they all bind the same axis. */
  readonly readers: readonly { readonly levels: Levels; readonly at: LoopExpr; readonly payload: Payload }[];
}

/** Which thread takes which four elements: neighbours go along the axis in which the side lies in memory. */
function slotsOf(of: KernelFunc, p: Product, tile: Tile, side: Side): Slot[] {
  const { func } = of;
  const threads = threadsOf(tile);
  const quads = side.width / four;
  const alongK = stepAlong(side.value, p.k) < stepAlong(side.value, side.axis);
  return Array.from({ length: (quads * tile.depth) / threads }, (_, i) => {
    const number = loop.add(of.params[1]!, loop.i32(i * threads));
    const [fast, slow] = [
      loop.floorMod(number, loop.i32(alongK ? tile.depth : quads), true),
      loop.floorDiv(number, loop.i32(alongK ? tile.depth : quads), true),
    ];
    const k = func.let(`${side.name}K`, alongK ? fast : slow);
    const at = func.let(`${side.name}At`, loop.mul(alongK ? slow : fast, loop.i32(four)));
    return { side, k, at, readers: readersOf(of, side, loop.add(side.first, at)) };
  });
}

function readersOf(of: KernelFunc, side: Side, position: LoopExpr): Slot["readers"] {
  const { extent } = side.axis;
  const reader = (at: LoopExpr, room: number): Slot["readers"][number] => {
    const levels = new Levels(of.func, of.syms);
    const last = loop.sub(levels.size(extent), loop.i32(room));
    const safe = isMultiple(extent, side.width) ? at : of.func.let(`${side.name}Safe`, loop.min(at, last));
    return {
      levels,
      at: safe,
      payload: new Payload(levels, of.memory, [side.value], room === four ? side.axis : undefined, 0),
    };
  };
  if (isMultiple(extent, four)) return [reader(position, four)];
  return [0, 1, 2, 3].map((lane) => reader(loop.add(position, loop.i32(lane)), 1));
}

/** Elements that the widest-reaching read of a value moves by for one step of an axis from the origin: a guess at strides. */
export function stepAlong(value: ScalarExpr, of: Axis): number {
  let most = 0;
  visitScalar(value, (node) => {
    if (node.kind !== "read") return;
    const at = (position: number): number => valueAt(node.index[0]!, of, position);
    most = Math.max(most, Math.abs(at(1) - at(0)));
  });
  return most;
}

function valueAt(index: IndexExpr, of: Axis, position: number): number {
  return evalIndex(index, (atom) => {
    if (atom.kind === "sym")
      return typicalDim({ constant: 0, terms: [{ coef: 1, atom }], key: atom.key, lo: atom.lo, hi: atom.hi });
    return atom.kind === "axis" && atom.axis.id === of.id ? position : Math.max(0, atom.kind === "axis" ? 0 : atom.lo);
  });
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
  const side = (name: string, value: ScalarExpr, axis: Axis, first: LoopExpr, width: number): Side => ({
    name,
    value,
    axis,
    first,
    width,
    staged: func.array(`${name}Tile`, dtype, tile.depth * pitchOf(width), "workgroup"),
  });
  const a = side("a", p.lhs, p.m, place.firstRow, tile.rows);
  const b = side("b", p.rhs, p.n, place.firstColumn, tile.columns);
  const slots = [...slotsOf(of, p, tile, a), ...slotsOf(of, p, tile, b)];
  const block = blockOf(of, p, tile, place);
  openReaders(p, place, slots, () =>
    func.for("k", from, to, tile.depth, (k) => {
      // Read before the barrier: memory answers while other threads still multiply.
      const values = slots.map((slot) => stagedValue(of, p, tile, slot, k));
      func.barrier();
      for (const [i, { side, k: row, at }] of slots.entries())
        func.store(side.staged, loop.add(loop.mul(row, loop.i32(pitchOf(side.width))), at), values[i]!);
      func.barrier();
      multiply(func, tile, a.staged, b.staged, block);
    }),
  );
  return block;
}

function openReaders(p: Product, place: GroupPlace, slots: readonly Slot[], body: () => void): void {
  const all = slots.flatMap(({ side, readers }) => readers.map((reader) => ({ ...reader, axis: side.axis })));
  const go = (i: number): void => {
    const reader = all[i];
    if (reader) insideAll(reader.levels, [...p.batch, reader.axis], [...place.batch, reader.at], () => go(i + 1));
    else body();
  };
  go(0);
}

function stagedValue(of: KernelFunc, p: Product, tile: Tile, slot: Slot, from: LoopExpr): LoopExpr {
  const { func } = of;
  const { side, readers } = slot;
  const even = isMultiple(p.k.extent, tile.depth);
  const k = func.let(`${side.name}Position`, loop.add(from, slot.k));
  const end = readers[0]!.levels.size(p.k.extent);
  const safe = even ? k : func.let("safe", loop.min(k, loop.sub(end, loop.i32(1))));
  const parts = readers.map(({ levels, payload }) => {
    let value: LoopExpr | undefined;
    levels.inside(p.k, safe, () => {
      value = payload.wide(side.value);
    });
    return value!;
  });
  const value = func.let(side.name, loop.pack(...parts));
  if (even) return value;
  return func.let(
    side.name,
    loop.select(loop.splat(loop.lt(k, end), four), value, loop.constant(value.type.scalar, 0, four)),
  );
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
  a: LoopPointer,
  b: LoopPointer,
  { inTile, sums }: { readonly inTile: InTile; readonly sums: Block["sums"] },
): void {
  func.for("kk", loop.i32(0), loop.i32(tile.depth), 1, (kk) => {
    const vectors = (
      name: string,
      from: LoopPointer,
      width: number,
      at: LoopExpr,
      step: number,
      count: number,
    ): LoopExpr[] =>
      Array.from({ length: count }, (_, i) => {
        const index = loop.sum(loop.mul(kk, loop.i32(pitchOf(width))), at, loop.i32(i * step));
        return func.let(name, loop.load(from, index, four));
      });
    const av = vectors("av", a, tile.rows, inTile.row, inTile.rowStep, tile.rowVectors);
    const bv = vectors("bv", b, tile.columns, inTile.column, inTile.columnStep, tile.columnVectors);
    for (const [r, row] of sums.entries()) {
      const element = loop.splat(loop.lane(av[Math.floor(r / four)]!, r % four), four);
      for (const [v, sum] of row.entries()) func.assign(sum, loop.fma(element, bv[v]!, loop.use(sum)));
    }
  });
}
