/**
 * Merge sort on GPUs: a group sorts each block of a line in its own memory, then blocks are merged pass by pass. Every
 * element finds its place by itself: where it is in its own run, and how many of the other run come before it.
 */
import type { DType } from "../dtype.ts";
import * as loop from "../loop/build.ts";
import type { Grid, LoopExpr, LoopFunc, LoopPointer } from "../loop/loop.ts";
import type { DeviceLoops } from "../nest/nest.ts";
import { baseOf, isBefore, type Lines, place } from "./sort-order.ts";

/** Threads of a group at most, as every device has them; each has one element of the block. */
const mostThreads = 256;
const elementBytes = 4;

interface Sort {
  readonly name: string;
  readonly dtype: DType;
  readonly lines: Lines;
  readonly descending: boolean;
  readonly what: "values" | "positions";
  /** Elements of a block, and threads of its group. */
  readonly block: number;
}

export function sortGrids(
  name: string,
  dtype: DType,
  lines: Lines,
  descending: boolean,
  what: "values" | "positions",
): DeviceLoops {
  const { size, count } = lines;
  const block = Math.min(mostThreads, Math.max(32, 2 ** Math.ceil(Math.log2(Math.max(1, size)))));
  const sort: Sort = { name, dtype, lines, descending, what, block };
  const passes = Math.max(0, Math.ceil(Math.log2(Math.max(1, size) / block)));
  const funcs: LoopFunc[] = [sortBlocks(sort, passes)];
  const grids: Grid[] = [{ func: funcs[0]!.name, groups: count * Math.ceil(size / block), threads: block }];
  for (let pass = 0; pass < passes; pass++) {
    const func = mergePass(sort, passes, pass);
    funcs.push(func);
    grids.push({ func: func.name, groups: Math.ceil((count * size) / mostThreads), threads: mostThreads });
  }
  const spare = declare(new loop.FuncBuilder(name), sort, passes)[2];
  return { funcs, grids, scratch: spare === undefined ? [] : [{ pointer: spare, bytes: size * count * elementBytes }] };
}

const elementOf = ({ dtype, what }: Sort): DType => (what === "values" ? dtype : "i32");

/** The operand, the result, and scratch for every other pass. */
function declare(f: loop.FuncBuilder, sort: Sort, passes: number): LoopPointer[] {
  const pointers = [f.pointer("x", sort.dtype), f.pointer("out", elementOf(sort))];
  if (passes > 0) pointers.push(f.pointer("spare", elementOf(sort), "scratch"));
  return pointers;
}

/** Where pass `pass` reads: the last must end in the result. */
function sideOf(pointers: readonly LoopPointer[], passes: number, pass: number): LoopPointer {
  return (passes - pass) % 2 === 0 ? pointers[1]! : pointers[2]!;
}

/** A run of elements and how to look at them. */
interface Runs {
  /** Element `i`, counted where runs are. */
  readonly load: (i: LoopExpr) => LoopExpr;
  readonly keyOf: (element: LoopExpr) => LoopExpr;
  readonly end: LoopExpr;
}

/** Where element `i` of runs of `width` comes to lie when neighbouring runs are merged. */
function mergedPlace(
  f: loop.FuncBuilder,
  sort: Sort,
  { load, keyOf, end }: Runs,
  i: LoopExpr,
  width: LoopExpr,
  element: LoopExpr,
): LoopExpr {
  const pair = f.let("pair", loop.mul(loop.floorDiv(i, loop.mul(width, loop.i32(2))), loop.mul(width, loop.i32(2))));
  const middle = f.let("middle", loop.min(loop.add(pair, width), end));
  const isLeft = f.let("isLeft", loop.lt(i, middle));
  const start = f.let("start", loop.select(isLeft, middle, pair));
  const lo = f.local("lo", start);
  const hi = f.local("hi", loop.select(isLeft, loop.min(loop.add(middle, width), end), middle));
  const key = f.let("key", keyOf(element));
  f.while(loop.lt(loop.use(lo), loop.use(hi)), () => {
    const at = f.let("at", loop.op("shr", loop.add(loop.use(lo), loop.use(hi)), loop.i32(1)));
    const other = f.let("other", keyOf(f.let("element", load(at))));
    // Equal elements keep their order: the left run comes first.
    const goesOn = f.let(
      "goesOn",
      loop.select(isLeft, isBefore(other, key, sort.descending), loop.not(isBefore(key, other, sort.descending))),
    );
    f.assign(lo, loop.select(goesOn, loop.add(at, loop.i32(1)), loop.use(lo)));
    f.assign(hi, loop.select(goesOn, loop.use(hi), at));
  });
  // In its own run it is `i - its start`, and what the search has passed of the other.
  const ahead = f.let("ahead", loop.sub(loop.use(lo), start));
  const before = loop.sub(i, loop.select(isLeft, pair, middle));
  return f.let("to", loop.add(pair, loop.add(before, ahead)));
}

/** Sorts each block of each line in the memory of a group. */
function sortBlocks(sort: Sort, passes: number): LoopFunc {
  const { lines, block, what, dtype } = sort;
  const f = new loop.FuncBuilder(`${sort.name}_blocks`);
  const pointers = declare(f, sort, passes);
  const [group, thread] = [f.param("group"), f.param("thread")];
  // Two sides, one behind the other; of positions the keys beside them.
  const sides = f.array("sides", elementOf(sort), 2 * block, "workgroup");
  const keys = what === "positions" ? f.array("keys", dtype, block, "workgroup") : sides;
  const blocks = Math.ceil(lines.size / block);
  const base = f.let("base", baseOf(f.let("line", loop.floorDiv(group, loop.i32(blocks))), lines));
  const first = f.let("first", loop.mul(loop.floorMod(group, loop.i32(blocks)), loop.i32(block)));
  const end = f.let("end", loop.min(loop.i32(block), loop.sub(loop.i32(lines.size), first)));
  // All threads meet at barriers, those without an element too.
  const eachOwn = (body: (i: LoopExpr) => void): void => f.if(loop.lt(thread, end), () => body(thread));
  eachOwn((i) => {
    const value = f.let("value", loop.load(pointers[0]!, place(base, loop.add(first, i), lines.stride)));
    if (what === "positions") f.store(keys, i, value);
    f.store(sides, i, what === "positions" ? i : value);
  });
  f.barrier();
  const from = f.local("from", loop.i32(0));
  const width = f.local("width", loop.i32(1));
  f.while(loop.lt(loop.use(width), loop.i32(block)), () => {
    const side = f.let("side", loop.use(from));
    const other = f.let("otherSide", loop.sub(loop.i32(block), side));
    const runs: Runs = {
      load: (i) => loop.load(sides, loop.add(side, i)),
      keyOf: (e) => (what === "positions" ? loop.load(keys, e) : e),
      end,
    };
    const now = f.let("runs", loop.use(width));
    eachOwn((i) => {
      const element = f.let("element", runs.load(i));
      f.store(sides, loop.add(other, mergedPlace(f, sort, runs, i, now, element)), element);
    });
    f.assign(from, other);
    f.assign(width, loop.mul(now, loop.i32(2)));
    f.barrier();
  });
  const target = sideOf(pointers, passes, 0);
  eachOwn((i) => {
    const element = f.let("element", loop.load(sides, loop.add(loop.use(from), i)));
    const stored = what === "positions" ? loop.add(first, element) : element;
    f.store(target, place(base, loop.add(first, i), lines.stride), stored);
  });
  return f.finish();
}

/** Merges neighbouring runs, a thread for each element of all lines. */
function mergePass(sort: Sort, passes: number, pass: number): LoopFunc {
  const { lines, what } = sort;
  const f = new loop.FuncBuilder(`${sort.name}_pass${pass}`);
  const pointers = declare(f, sort, passes);
  const [group, thread] = [f.param("group"), f.param("thread")];
  const [source, target] = [sideOf(pointers, passes, pass), sideOf(pointers, passes, pass + 1)];
  const point = f.let("point", loop.add(loop.mul(group, loop.i32(mostThreads)), thread));
  f.if(loop.lt(point, loop.i32(lines.size * lines.count)), () => {
    // Neighbouring threads have neighbouring elements in memory.
    const [size, stride] = [loop.i32(lines.size), loop.i32(lines.stride)];
    const inner = f.let("inner", loop.floorMod(point, stride));
    const rest = f.let("rest", loop.floorDiv(point, stride));
    const i = f.let("i", loop.floorMod(rest, size));
    const base = f.let(
      "base",
      loop.add(loop.mul(loop.floorDiv(rest, size), loop.i32(lines.size * lines.stride)), inner),
    );
    const runs: Runs = {
      load: (at) => loop.load(source, place(base, at, lines.stride)),
      keyOf: (e) => (what === "positions" ? loop.load(pointers[0]!, place(base, e, lines.stride)) : e),
      end: size,
    };
    const element = f.let("element", runs.load(i));
    const to = mergedPlace(f, sort, runs, i, loop.i32(sort.block * 2 ** pass), element);
    f.store(target, place(base, to, lines.stride), element);
  });
  return f.finish();
}
