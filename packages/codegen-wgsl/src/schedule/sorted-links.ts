/**
 * Which updates go to the same place, where there are too many for each to look at all others: their places are sorted
 * with their numbers, and those that meet lie side by side, in order. Blocks are sorted by counting, then runs are merged
 * two by two, each element finding its rank in the other run by halving. No element waits for another, so that the
 * result depends on nothing but the places.
 */
import { type Grid, type LoopExpr, type LoopPointer, loop } from "@sinter/ir";
import type { KernelFunc } from "@sinter/ir/schedule";

/** Updates of a block; threads of a group. */
const blockSize = 256;

/** One function of the kernel: `work` is scratch memory, `placeAt` emits the place of an update. */
export interface LinkFunction {
  readonly of: KernelFunc;
  readonly work: LoopPointer;
  placeAt(update: LoopExpr): LoopExpr;
}

/** Words of scratch memory for each update: two for its links, two copies of its place and its number. */
export const wordsPerUpdate = 6;

/** The grids that write links[2n] and links[2n + 1] of each of `count` updates at the start of the scratch memory. */
export function sortedLinks(count: number, name: string, open: (name: string) => LinkFunction): Grid[] {
  const groups = Math.ceil(count / blockSize);
  const grids: Grid[] = [];
  const grid = (what: string, body: (f: LinkFunction, group: LoopExpr, thread: LoopExpr) => void): void => {
    const f = open(`${name}_${what}`);
    const [group, thread] = f.of.params as readonly [LoopExpr, LoopExpr];
    body(f, group, thread);
    grids.push({ func: `${name}_${what}`, groups, threads: blockSize });
  };
  let side = 0;
  grid("blocks", (f, group, thread) => sortBlock(f, count, group, thread));
  for (let length = blockSize; length < count; length *= 2) {
    const from = side;
    grid(`merge${length}`, (f, group, thread) => {
      eachUpdate(f, count, group, thread, (at) => merge(f, count, length, from, at));
    });
    side = 1 - side;
  }
  grid("links", (f, group, thread) => {
    eachUpdate(f, count, group, thread, (at) => link(f, count, side, at));
  });
  return grids;
}

function eachUpdate(
  { of: { func } }: LinkFunction,
  count: number,
  group: LoopExpr,
  thread: LoopExpr,
  body: (at: LoopExpr) => void,
): void {
  const at = func.let("at", loop.add(loop.mul(group, loop.i32(blockSize)), thread));
  if (count % blockSize === 0) body(at);
  else func.if(loop.lt(at, loop.i32(count)), () => body(at));
}

/** Where the places, and the numbers, of one side of the sort lie. */
const places = (count: number, side: number, at: LoopExpr): LoopExpr => loop.add(loop.i32((2 + 2 * side) * count), at);
const numbers = (count: number, side: number, at: LoopExpr): LoopExpr => loop.add(loop.i32((3 + 2 * side) * count), at);

/** An update's place in its block: how many are below its own, or equal and before. */
function sortBlock(f: LinkFunction, count: number, group: LoopExpr, thread: LoopExpr): void {
  const { of, work } = f;
  const { func } = of;
  const block = func.array("block", "i32", blockSize, "workgroup");
  const start = func.let("start", loop.mul(group, loop.i32(blockSize)));
  eachUpdate(f, count, group, thread, (n) => func.store(block, thread, f.placeAt(n)));
  func.barrier();
  eachUpdate(f, count, group, thread, (n) => {
    const mine = func.let("mine", loop.load(block, thread));
    const rank = func.local("rank", loop.i32(0));
    const inBlock = func.let("inBlock", loop.min(loop.i32(blockSize), loop.sub(loop.i32(count), start)));
    func.for("j", loop.i32(0), inBlock, 1, (j) => {
      const other = func.let("other", loop.load(block, j));
      const isBefore = loop.op("or", loop.lt(other, mine), loop.and(loop.eq(other, mine), loop.lt(j, thread)));
      func.if(isBefore, () => func.assign(rank, loop.add(loop.use(rank), loop.i32(1))));
    });
    const to = func.let("to", loop.add(start, loop.use(rank)));
    func.store(work, places(count, 0, to), mine);
    func.store(work, numbers(count, 0, to), n);
  });
}

/** Runs of `length` become runs of twice as many: an element's rank is its own, and that in the other run. */
function merge({ of: { func }, work }: LinkFunction, count: number, length: number, from: number, at: LoopExpr): void {
  const load = (index: LoopExpr): LoopExpr => loop.load(work, index);
  const run = func.let("run", loop.floorDiv(at, loop.i32(length)));
  const isRight = func.let("isRight", loop.floorMod(run, loop.i32(2)));
  const pair = func.let("pair", loop.mul(loop.sub(run, isRight), loop.i32(length)));
  const own = func.let("own", loop.sub(at, loop.mul(run, loop.i32(length))));
  const otherStart = loop.add(pair, loop.mul(loop.sub(loop.i32(1), isRight), loop.i32(length)));
  const start = func.let("other", loop.min(loop.i32(count), otherStart));
  const mine = func.let("mine", load(places(count, from, at)));
  // Of equal places those of the left run come first: below the right one's bound, not below the left one's.
  const bound = func.let("bound", loop.add(mine, isRight));
  const low = func.local("low", start);
  const high = func.local("high", loop.min(loop.i32(count), loop.add(start, loop.i32(length))));
  func.while(loop.lt(loop.use(low), loop.use(high)), () => {
    const middle = func.let("middle", loop.floorDiv(loop.add(loop.use(low), loop.use(high)), loop.i32(2)));
    func.if(
      loop.lt(load(places(count, from, middle)), bound),
      () => func.assign(low, loop.add(middle, loop.i32(1))),
      () => func.assign(high, middle),
    );
  });
  const to = func.let("to", loop.add(loop.add(pair, own), loop.sub(loop.use(low), start)));
  func.store(work, places(count, 1 - from, to), mine);
  func.store(work, numbers(count, 1 - from, to), load(numbers(count, from, at)));
}

/** links[2n]: the next update to the place of update n, or their number. links[2n + 1]: whether none is before it. */
function link({ of: { func }, work }: LinkFunction, count: number, side: number, at: LoopExpr): void {
  const place = (index: LoopExpr): LoopExpr => loop.load(work, places(count, side, index));
  const mine = func.let("mine", place(at));
  const [next, first] = [func.local("next", loop.i32(count)), func.local("first", loop.i32(1))];
  const after = func.let("after", loop.add(at, loop.i32(1)));
  func.if(loop.lt(after, loop.i32(count)), () => {
    func.if(loop.eq(place(after), mine), () => {
      func.assign(next, loop.load(work, numbers(count, side, after)));
    });
  });
  func.if(loop.lt(loop.i32(0), at), () => {
    func.if(loop.eq(place(loop.sub(at, loop.i32(1))), mine), () => func.assign(first, loop.i32(0)));
  });
  const links = func.let("links", loop.mul(loop.load(work, numbers(count, side, at)), loop.i32(2)));
  func.store(work, links, loop.use(next));
  func.store(work, loop.add(links, loop.i32(1)), loop.use(first));
}
