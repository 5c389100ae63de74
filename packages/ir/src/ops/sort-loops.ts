/**
 * Merge sort as a library kernel: for every line along the axis, runs of 1, 2, 4, ... elements are merged back and forth
 * between the result and scratch of the same size. Lines are independent of each other.
 */
import { bytesOf, type DType } from "../dtype.ts";
import * as loop from "../loop/build.ts";
import type { LoopExpr, LoopFunc, LoopPointer, ScratchDecl } from "../loop/loop.ts";
import type { LibraryLoops } from "../nest/nest.ts";
import { sortGrids } from "./sort-grids.ts";
import { baseOf, isBefore, type Lines, place } from "./sort-order.ts";

/** Work of one chunk of lines, in multiplications: some tens of microseconds. */
const chunkWork = 1 << 16;

/** Sorts `values`, or the `positions` that bring them into order. */
export function sortLoops(
  name: string,
  dtype: DType,
  shape: readonly number[],
  order: { readonly axis: number; readonly descending: boolean },
  what: "values" | "positions",
): LibraryLoops {
  const size = shape[order.axis]!;
  const count = shape.reduce((n, d, i) => (i === order.axis ? n : n * d), 1);
  const lines: Lines = { size, count, stride: shape.slice(order.axis + 1).reduce((n, d) => n * d, 1) };
  const element = what === "values" ? dtype : "i32";
  const passes = Math.ceil(Math.log2(Math.max(1, size)));
  const merge = mergeFunc(`${name}_merge`, dtype, lines, order.descending, what);
  const body = chunkFunc(`${name}_chunk`, dtype, element, lines, passes, merge, what);

  const entry = new loop.FuncBuilder(name);
  const pointers = declare(entry, dtype, element, passes > 0);
  if (size > 0 && count > 0) entry.par(loop.i32(Math.ceil(count / linesPerChunk(lines, passes))), body, pointers);
  const scratch: ScratchDecl[] = pointers
    .slice(2)
    .map((pointer) => ({ pointer, bytes: size * count * bytesOf(element) }));
  const funcs = [entry.finish(), body, ...(passes > 0 ? [merge] : [])];
  return {
    funcs,
    scratch,
    flops: 4 * size * count * Math.max(1, passes),
    ...(size > 0 && count > 0 ? { device: () => sortGrids(name, dtype, lines, order.descending, what) } : {}),
  };
}

function linesPerChunk({ size }: Lines, passes: number): number {
  return Math.max(1, Math.ceil(chunkWork / (4 * Math.max(1, size) * Math.max(1, passes))));
}

/** The operand, the result, and scratch for every other pass. */
function declare(f: loop.FuncBuilder, dtype: DType, element: DType, scratch: boolean): LoopPointer[] {
  const pointers = [f.pointer("x", dtype), f.pointer("out", element)];
  if (scratch) pointers.push(f.pointer("spare", element, "scratch"));
  return pointers;
}

/** Sorts the lines of one chunk. */
function chunkFunc(
  name: string,
  dtype: DType,
  element: DType,
  lines: Lines,
  passes: number,
  merge: LoopFunc,
  what: "values" | "positions",
): LoopFunc {
  const { size, stride, count } = lines;
  const f = new loop.FuncBuilder(name);
  const [x, out, spare] = declare(f, dtype, element, passes > 0);
  const chunk = f.param("chunk");
  const each = linesPerChunk(lines, passes);
  const from = f.let("from", loop.mul(chunk, loop.i32(each)));
  const to = f.let("to", loop.min(loop.add(from, loop.i32(each)), loop.i32(count)));
  // The last pass must end in the result.
  const sides = passes % 2 === 0 ? [out!, spare!] : [spare!, out!];
  f.for("line", from, to, 1, (line) => {
    const base = f.let("base", baseOf(line, lines));
    f.for("k", loop.i32(0), loop.i32(size), 1, (k) => {
      const at = place(base, k, stride);
      f.store(sides[0]!, at, what === "values" ? loop.load(x!, at) : k);
    });
    for (let pass = 0; pass < passes; pass++) {
      const [source, target] = pass % 2 === 0 ? sides : [sides[1], sides[0]];
      f.call(merge, [x!, source!, target!], [base, loop.i32(2 ** pass)]);
    }
  });
  return f.finish();
}

/** Merges neighbouring sorted runs of `width` elements of the line at `base`. */
function mergeFunc(
  name: string,
  dtype: DType,
  { size, stride }: Lines,
  descending: boolean,
  what: "values" | "positions",
): LoopFunc {
  const element = what === "values" ? dtype : "i32";
  const f = new loop.FuncBuilder(name);
  const x = f.pointer("x", dtype);
  const source = f.pointer("source", element);
  const target = f.pointer("target", element);
  const base = f.param("base");
  const width = f.param("width");
  const end = loop.i32(size);
  const last = loop.i32(size - 1);
  const start = f.local("start", loop.i32(0));
  f.while(loop.op("lt", loop.use(start), end), () => {
    const lo = f.let("lo", loop.use(start));
    const middle = f.let("middle", loop.min(loop.add(lo, width), end));
    const high = f.let("high", loop.min(loop.add(middle, width), end));
    const left = f.local("left", lo);
    const right = f.local("right", middle);
    f.for("k", lo, high, 1, (k) => {
      const [i, j] = [f.let("i", loop.use(left)), f.let("j", loop.use(right))];
      // A run that is used up is read at its end, or the line's, and not taken.
      const first = f.let("first", loop.load(source, place(base, loop.min(i, last), stride)));
      const second = f.let("second", loop.load(source, place(base, loop.min(j, last), stride)));
      const keyOf = (e: LoopExpr): LoopExpr => (what === "values" ? e : loop.load(x, place(base, e, stride)));
      const [a, b] = [f.let("a", keyOf(first)), f.let("b", keyOf(second))];
      const usedUp = loop.op("ge", i, middle);
      const open = loop.op("lt", j, high);
      const takesSecond = f.let("takes", loop.op("and", open, loop.op("or", usedUp, isBefore(b, a, descending))));
      f.store(target, place(base, k, stride), loop.op("select", takesSecond, second, first));
      const step = f.let("step", loop.cast(takesSecond, "i32"));
      f.assign(right, loop.add(j, step));
      f.assign(left, loop.add(i, loop.sub(loop.i32(1), step)));
    });
    f.assign(start, high);
  });
  return f.finish();
}
