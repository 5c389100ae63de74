/**
 * Tiles of a product's operands in the memory of a group. Operands are any expressions (a convolution reads through its
 * window here), so what is staged is a value and not a copy of memory: positions are computed where it is staged, once for
 * the four elements that a thread takes at a time.
 */
import {
  type Axis,
  addIndex,
  axis,
  axisIndex,
  divIndex,
  evalIndex,
  type IndexExpr,
  isMultiple,
  type LoopExpr,
  type LoopPointer,
  loop,
  rewriteScalar,
  type ScalarExpr,
  scaleIndex,
  toDim,
  typicalDim,
  visitScalar,
} from "@sinter/ir";
import { type KernelFunc, Levels, Payload, type Product, strideOf } from "@sinter/ir/schedule";

/** Lanes of a vector, and elements that a thread stages together. */
export const four = 4;

/** Elements from one staged line to the next: four more than it is long, which spreads them over the banks. */
const pitchOf = (length: number): number => length + four;

/** How a side lies in the group's memory: a line for each summed position, or one for each row. */
export type Layout = "positions" | "rows";

/** One side of the product: its rows (columns) along `axis`, of which the group has `width` from `first` on. */
export interface Side {
  readonly name: string;
  readonly value: ScalarExpr;
  readonly axis: Axis;
  readonly first: LoopExpr;
  readonly width: number;
  readonly layout: Layout;
  readonly staged: LoopPointer;
}

/** What one thread stages of one side in one round. */
export interface Slot {
  readonly side: Side;
  /** Where its four elements go. */
  readonly to: LoopExpr;
  /** Opens the axes that stay where they are from round to round. */
  readonly open: (body: () => void) => void;
  /** The elements of the round that begins at a summed position. */
  readonly value: (from: LoopExpr) => LoopExpr;
}

/** Elements of the group's memory that a side takes. */
export function stagedElements(layout: Layout, width: number, depth: number): number {
  return layout === "positions" ? depth * pitchOf(width) : width * pitchOf(depth);
}

/** The element of a side at a position of its axis and one of the summed axis, both counted from where the tile begins. */
export function stagedAt(side: Pick<Side, "layout" | "width">, depth: number, at: LoopExpr, k: LoopExpr): LoopExpr {
  const [line, place, length] = side.layout === "positions" ? [k, at, side.width] : [at, k, depth];
  return loop.add(loop.mul(line, loop.i32(pitchOf(length))), place);
}

/** Rows where four summed positions are one access, else positions. */
export function layoutOf(value: ScalarExpr, k: Axis): Layout {
  return quadsOf(value, k) === undefined ? "positions" : "rows";
}

/** A value at four neighbours along an axis, from a multiple of four on, where they are one access: `lane` moves through them. */
interface Quads {
  readonly value: ScalarExpr;
  readonly quad: Axis;
  readonly lane: Axis;
}

function quadsOf(value: ScalarExpr, of: Axis): Quads | undefined {
  if (!isMultiple(of.extent, four)) return undefined;
  const quad = axis(`${of.name}4`, toDim(divIndex(of.extent, four)), of.kind);
  const lane = axis("lane", four, "par");
  const split = rewriteScalar(value, new Map([[of.id, addIndex(scaleIndex(axisIndex(quad), four), axisIndex(lane))]]));
  let moving = 0;
  let even = true;
  visitScalar(split, (node) => {
    if (node.kind === "loop" || node.kind === "index") even = false;
    if (node.kind === "read") {
      const stride = strideOf(node.index[0]!, lane);
      even &&= stride === 0 || stride === 1;
      if (stride === 1) moving++;
    }
    if (node.kind === "read" || node.kind === "guard") even &&= node.guard.every((r) => strideOf(r.index, lane) === 0);
  });
  return even && moving > 0 ? { value: split, quad, lane } : undefined;
}

/** Everything that staging needs of the kernel and the group. */
export interface Staging {
  readonly of: KernelFunc;
  readonly p: Product;
  readonly depth: number;
  readonly threads: number;
  readonly batch: readonly LoopExpr[];
}

/** What each thread stages of a side, a slot for each round over the group's threads. */
export function slotsOf(s: Staging, side: Side): Slot[] {
  const count = (side.width * s.depth) / four / s.threads;
  return Array.from({ length: count }, (_, i) => {
    const number = loop.add(s.of.params[1]!, loop.i32(i * s.threads));
    return side.layout === "rows" ? alongSum(s, side, number) : acrossSum(s, side, number);
  });
}

/** `number` as a fast and a slow part. */
function twoParts(number: LoopExpr, fast: number): [LoopExpr, LoopExpr] {
  return [loop.floorMod(number, loop.i32(fast), true), loop.floorDiv(number, loop.i32(fast), true)];
}

/** Four summed positions of one row. */
function alongSum({ of, p, depth, batch }: Staging, side: Side, number: LoopExpr): Slot {
  const { func } = of;
  const { value, quad, lane } = quadsOf(side.value, p.k)!;
  const [fast, at] = twoParts(number, depth / four).map((e, i) =>
    func.let(`${side.name}${i === 0 ? "K" : "At"}`, e),
  ) as [LoopExpr, LoopExpr];
  const levels = new Levels(func, of.syms);
  const payload = new Payload(levels, of.memory, [value], lane, 0);
  const row = func.let(`${side.name}Row`, clamped(of, side, loop.add(side.first, at), 1));
  const quads = levels.size(quad.extent);
  const even = isMultiple(p.k.extent, depth);
  return {
    side,
    to: stagedAt(side, depth, at, loop.mul(fast, loop.i32(four))),
    open: (body) => insideAll(levels, [...p.batch, side.axis], [...batch, row], body),
    value: (from) => {
      const position = func.let(`${side.name}Position`, loop.add(loop.floorDiv(from, loop.i32(four), true), fast));
      const safe = even ? position : func.let("safe", loop.min(position, loop.sub(quads, loop.i32(1))));
      let read: LoopExpr | undefined;
      insideAll(levels, [quad, lane], [safe, loop.i32(0)], () => {
        read = payload.wide(value);
      });
      return zeroBeyond(func, side, read!, even ? undefined : loop.lt(position, quads));
    },
  };
}

/** Four elements along the side's axis at one summed position. */
function acrossSum({ of, p, depth, batch }: Staging, side: Side, number: LoopExpr): Slot {
  const { func } = of;
  const quads = side.width / four;
  const alongK = stepAlong(side.value, p.k) < stepAlong(side.value, side.axis);
  // Neighbouring threads go along the axis in which the side lies in memory.
  const [fast, slow] = twoParts(number, alongK ? depth : quads);
  const own = func.let(`${side.name}K`, alongK ? fast : slow);
  const at = func.let(`${side.name}At`, loop.mul(alongK ? slow : fast, loop.i32(four)));
  const readers = readersOf(of, side, loop.add(side.first, at));
  const even = isMultiple(p.k.extent, depth);
  return {
    side,
    to: stagedAt(side, depth, at, own),
    open: (body) => {
      const go = (i: number): void => {
        const reader = readers[i];
        if (reader) insideAll(reader.levels, [...p.batch, ...reader.axes], [...batch, ...reader.at], () => go(i + 1));
        else body();
      };
      go(0);
    },
    value: (from) => {
      const k = func.let(`${side.name}Position`, loop.add(from, own));
      const end = readers[0]!.levels.size(p.k.extent);
      const safe = even ? k : func.let("safe", loop.min(k, loop.sub(end, loop.i32(1))));
      const parts = readers.map(({ levels, payload, value }) => {
        let read: LoopExpr | undefined;
        levels.inside(p.k, safe, () => {
          read = payload.wide(value);
        });
        return read!;
      });
      return zeroBeyond(func, side, loop.pack(...parts), even ? undefined : loop.lt(k, end));
    },
  };
}

/** One for all four elements, or one for each. Each has levels of its own: they all bind the same axis. */
interface Reader {
  readonly levels: Levels;
  readonly value: ScalarExpr;
  readonly payload: Payload;
  /** The axes that say where its elements are along the side, and where they stand. */
  readonly axes: readonly Axis[];
  readonly at: readonly LoopExpr[];
}

function readersOf(of: KernelFunc, side: Side, position: LoopExpr): Reader[] {
  const reader = (value: ScalarExpr, axes: readonly Axis[], at: readonly LoopExpr[], vector?: Axis): Reader => {
    const levels = new Levels(of.func, of.syms);
    return { levels, value, axes, at, payload: new Payload(levels, of.memory, [value], vector, 0) };
  };
  const { value, axis } = side;
  if (!isMultiple(axis.extent, four))
    return [0, 1, 2, 3].map((lane) => {
      const at = clamped(of, side, loop.add(position, loop.i32(lane)), 1);
      return reader(value, [axis], [at]);
    });
  const at = clamped(of, side, position, four);
  const quads = quadsOf(value, axis);
  // Elements that are not one access are read one by one, each with a place of its own.
  if (quads === undefined) return [reader(value, [axis], [at], axis)];
  const { quad, lane } = quads;
  return [reader(quads.value, [quad, lane], [loop.floorDiv(at, loop.i32(four), true), loop.i32(0)], lane)];
}

/** A position of a side's axis, from which on there are `room`. */
function clamped(of: KernelFunc, side: Side, at: LoopExpr, room: number): LoopExpr {
  const { extent } = side.axis;
  if (isMultiple(extent, side.width)) return at;
  return of.func.let(`${side.name}Safe`, loop.min(at, loop.sub(of.size(extent), loop.i32(room))));
}

/** What is staged for positions behind the end of the summed axis. */
function zeroBeyond(func: loop.FuncBuilder, side: Side, value: LoopExpr, inside: LoopExpr | undefined): LoopExpr {
  const read = func.let(side.name, value);
  if (inside === undefined) return read;
  const zero = loop.constant(read.type.scalar, 0, four);
  return func.let(side.name, loop.select(loop.splat(inside, four), read, zero));
}

/** Opens several axes at once, outermost first. */
export function insideAll(levels: Levels, axes: readonly Axis[], values: readonly LoopExpr[], body: () => void): void {
  const go = (i: number): void => {
    const opened = axes[i];
    if (opened) levels.inside(opened, values[i]!, () => go(i + 1));
    else body();
  };
  go(0);
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
