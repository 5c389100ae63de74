/**
 * Running folds: a group for each line, whose threads fold a few neighbours each, then their sums, tile after tile. Few
 * long lines are cut into blocks that a grid before folds, so that many groups take part.
 */
import {
  type Accumulator,
  type Axis,
  type BufferDecl,
  combineIdentity,
  type LoopExpr,
  type LoopKernel,
  type LoopPointer,
  type LoopVar,
  loop,
  type Nest,
  type NestKernel,
  type PlainCombine,
  type ScalarExpr,
  scaleIndex,
  sizeOf,
  toDim,
  typicalDim,
  visitScalar,
  type WebgpuFeatures,
} from "@sinter/ir";
import {
  collapseAxes,
  combineValues,
  emitStores,
  firstPlace,
  flattenNest,
  KernelFunc,
  kernelBuffers,
  Levels,
  nestScalars,
  Payload,
  strideOf,
} from "@sinter/ir/schedule";
import { foldGroup } from "./group-fold.ts";
import { mostThreads, powerAbove } from "./stage.ts";
import { atPoint, elementBytes, gridParams, kernelFrame } from "./threads.ts";

/** Neighbours that a thread folds. */
const own = 4;
/** Lines shorter than this are not worth a group. */
const shortLine = 64;
/** Lines from which on a thread for each keeps the device busy. */
const manyLines = 1 << 14;
/** Elements of a block, and blocks of a line at most. */
const blockSize = 4096;
const mostBlocks = 1024;
/** Lines from which on they are not cut. */
const enoughLines = 128;

/** carry <- carry (combine) term, along one axis. */
interface Scan {
  readonly nest: Nest;
  readonly lines: readonly Axis[];
  readonly along: Axis;
  readonly combine: PlainCombine;
  readonly init: ScalarExpr;
  readonly next: ScalarExpr;
  readonly term: ScalarExpr;
  readonly dtype: Accumulator["dtype"];
  readonly threads: number;
  /** Blocks of each line and their elements. */
  readonly blocks: number;
  readonly size: number | undefined;
}

/** Takes kernels of one nest that steps along one axis, folding one carry with an associative operation. */
export function scanKernel(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
): LoopKernel | undefined {
  const scan = scanOf(kernel, decls, features);
  if (scan === undefined) return undefined;
  const used = kernelBuffers(kernel, decls);
  const lines = sizeOf(scan.lines.map((a) => a.extent));
  const groups = toDim(scaleIndex(lines, scan.blocks));
  const open = (name: string): ScanFunction => {
    const of = new KernelFunc(name, decls, used, gridParams);
    const partials = scan.blocks > 1 ? of.func.pointer("partials", scan.dtype, "scratch") : undefined;
    return { of, partials, levels: new Levels(of.func, of.syms) };
  };
  const scanning = open(kernel.name);
  scanBlock(scanning, scan);
  const last = { func: scanning.of.func.finish(), groups, threads: scan.threads };
  const common = { ...kernelFrame(kernel, decls, used), aliasable: [] };
  if (scanning.partials === undefined)
    return {
      ...common,
      funcs: [last.func],
      scratch: [],
      grids: [{ ...last, func: kernel.name }],
      schedule: "scan",
    };
  const folding = open(`${kernel.name}_blocks`);
  foldBlock(folding, scan);
  return {
    ...common,
    funcs: [last.func, folding.of.func.finish()],
    scratch: [{ pointer: scanning.partials, bytes: toDim(scaleIndex(groups, elementBytes)) }],
    grids: [
      { func: `${kernel.name}_blocks`, groups, threads: scan.threads },
      { ...last, func: kernel.name },
    ],
    schedule: "scan in blocks",
  };
}

function scanOf(kernel: NestKernel, decls: readonly BufferDecl[], features: WebgpuFeatures): Scan | undefined {
  const [only] = kernel.nests;
  if (only?.carries.length !== 1) return undefined;
  const nest = collapseAxes(flattenNest(only, decls));
  const [along, second] = nest.axes.filter((a) => a.kind !== "par");
  if (along?.kind !== "seq" || second !== undefined || nest.stores.some((s) => s.combine !== undefined))
    return undefined;
  const { init, next, dtype } = nest.carries[0]!;
  const found = foldOf(next);
  if (found === undefined || storesWhatItReads(nest)) return undefined;
  const lines = nest.axes.filter((a) => a !== along);
  const [length, count] = [typicalDim(along.extent), lines.reduce((n, a) => n * typicalDim(a.extent), 1)];
  const together = nest.stores.every((s) => Math.abs(strideOf(s.index[0]!, along) ?? 0) === 1);
  if (length < shortLine || count >= (together ? manyLines : manyLines / 8)) return undefined;
  const threads = Math.min(mostThreads(features), Math.max(32, powerAbove(length / own)));
  const tile = threads * own;
  const cut = typeof along.extent === "number" && count < enoughLines && length > 2 * blockSize;
  const size = Math.ceil(Math.max(blockSize, length / mostBlocks) / tile) * tile;
  const blocks = cut ? Math.ceil(length / size) : 1;
  return { nest, lines, along, init, next, dtype, ...found, threads, blocks, size: blocks > 1 ? size : undefined };
}

/** The operation and what it folds into the carry. */
function foldOf(next: ScalarExpr): { combine: PlainCombine; term: ScalarExpr } | undefined {
  if (next.kind !== "op" || !["add", "mul", "max", "min"].includes(next.op)) return undefined;
  const [a, b] = next.args as readonly [ScalarExpr, ScalarExpr];
  const combine = next.op as PlainCombine;
  if (a.kind === "carry" && !mentionsCarry(b)) return { combine, term: b };
  return b.kind === "carry" && !mentionsCarry(a) ? { combine, term: a } : undefined;
}

function mentionsCarry(root: ScalarExpr): boolean {
  let found = false;
  visitScalar(root, (node) => {
    found ||= node.kind === "carry";
  });
  return found;
}

function storesWhatItReads(nest: Nest): boolean {
  const stored = new Set(nest.stores.map((s) => s.buffer));
  let found = false;
  for (const root of nestScalars(nest))
    visitScalar(root, (node) => {
      found ||= node.kind === "read" && stored.has(node.buffer);
    });
  return found;
}

interface ScanFunction {
  readonly of: KernelFunc;
  readonly levels: Levels;
  /** The folds of all blocks of a line, line after line. */
  readonly partials: LoopPointer | undefined;
}

const identityOf = (scan: Scan): LoopExpr => loop.constant(scan.dtype, combineIdentity(scan.combine, scan.dtype));
const joined = (scan: Scan, a: LoopExpr, b: LoopExpr): LoopExpr => combineValues(scan.combine, a, b);
const accumulatorOf = (scan: Scan): Accumulator => ({ combine: scan.combine, dtype: scan.dtype, values: [] });

/** The part of the line that this group has. */
interface Block {
  readonly number: LoopExpr;
  readonly first: LoopExpr;
  readonly from: LoopExpr;
  readonly to: LoopExpr;
}

function inBlock({ of, levels }: ScanFunction, scan: Scan, body: (block: Block) => void): void {
  const [group] = of.params as readonly [LoopExpr];
  const { func } = of;
  const length = levels.size(scan.along.extent);
  const blocks = loop.i32(scan.blocks);
  const line = func.let("line", loop.floorDiv(group, blocks));
  const number = func.let("block", loop.floorMod(group, blocks));
  const from = scan.size === undefined ? loop.i32(0) : func.let("from", loop.mul(number, loop.i32(scan.size)));
  const to = scan.size === undefined ? length : func.let("to", loop.min(loop.add(from, loop.i32(scan.size)), length));
  atPoint(levels, scan.lines, line, () => body({ number, first: loop.mul(line, blocks), from, to }));
}

/** Runs `body` at each element that this thread has in the tile at `base`, in order. */
function eachOwn(f: ScanFunction, scan: Scan, base: LoopExpr, to: LoopExpr, body: (payload: Payload) => void): void {
  const { func, memory } = f.of;
  const thread = f.of.params[1]!;
  const mine = func.let("mine", loop.add(base, loop.mul(thread, loop.i32(own))));
  for (let k = 0; k < own; k++) {
    const at = func.let("at", loop.add(mine, loop.i32(k)));
    func.if(loop.lt(at, to), () =>
      f.levels.inside(scan.along, at, () => body(new Payload(f.levels, memory, nestScalars(scan.nest), undefined, 0))),
    );
  }
}

/** partials[group] = the fold of the group's block. */
function foldBlock(f: ScanFunction, scan: Scan): void {
  const { func } = f.of;
  const [group, thread] = f.of.params as readonly [LoopExpr, LoopExpr];
  inBlock(f, scan, ({ from, to }) => {
    const part = func.local("part", identityOf(scan));
    func.for("base", from, to, scan.threads * own, (base) =>
      f.levels.scope(() =>
        eachOwn(f, scan, base, to, (payload) =>
          func.assign(part, joined(scan, loop.use(part), payload.value(scan.term))),
        ),
      ),
    );
    const [total] = foldGroup(func, accumulatorOf(scan), [loop.use(part)], new Set([0]));
    func.if(loop.eq(thread, loop.i32(0)), () => func.store(f.partials!, group, total!));
  });
}

function scanBlock(f: ScanFunction, scan: Scan): void {
  const { func, memory } = f.of;
  const { levels } = f;
  const thread = f.of.params[1]!;
  const sides = [0, 1].map((i) => func.array(`side${i}`, scan.dtype, scan.threads, "workgroup")) as [
    LoopPointer,
    LoopPointer,
  ];
  inBlock(f, scan, (block) => {
    const init = new Payload(levels, memory, [scan.init], undefined, 0).value(scan.init);
    const running = func.local("running", init);
    if (f.partials !== undefined) {
      const before = foldBefore(f, scan, block, f.partials);
      func.assign(running, joined(scan, loop.use(running), before));
    }
    func.for("base", block.from, block.to, scan.threads * own, (base) =>
      levels.scope(() => {
        const part = func.local("part", identityOf(scan));
        eachOwn(f, scan, base, block.to, (payload) =>
          func.assign(part, joined(scan, loop.use(part), payload.value(scan.term))),
        );
        const sums = prefixSums(f, scan, part, sides);
        const previous = loop.max(loop.sub(thread, loop.i32(1)), loop.i32(0));
        const prefix = loop.select(
          loop.eq(thread, loop.i32(0)),
          identityOf(scan),
          func.let("previous", loop.load(sums, previous)),
        );
        const carry = func.local("carry", joined(scan, loop.use(running), prefix));
        const total = func.let("total", loop.load(sums, loop.i32(scan.threads - 1)));
        eachOwn(f, scan, base, block.to, (payload) => step(f, scan, payload, carry));
        func.assign(running, joined(scan, loop.use(running), total));
        // The next tile writes where this one still reads.
        func.barrier();
      }),
    );
  });
}

/** One element: its stores, with the carry as it comes to it. */
function step(f: ScanFunction, scan: Scan, payload: Payload, carry: LoopVar): void {
  const { func, memory } = f.of;
  payload.setResults(() => loop.use(carry));
  const next = func.let("next", payload.value(scan.next));
  const scope = { levels: f.levels, memory, rowLevel: 0 };
  emitStores({ scope, nest: scan.nest, payload, vector: undefined }, scan.nest.stores, firstPlace);
  func.assign(carry, next);
}

/** The fold of all blocks before this one, in every thread. */
function foldBefore(f: ScanFunction, scan: Scan, block: Block, partials: LoopPointer): LoopExpr {
  const { func } = f.of;
  const thread = f.of.params[1]!;
  const part = func.local("before", identityOf(scan));
  // Each thread has neighbours, so that the order of what is folded is that of the line.
  const each = Math.ceil(scan.blocks / scan.threads);
  for (let k = 0; k < each; k++) {
    const at = func.let("at", loop.add(loop.mul(thread, loop.i32(each)), loop.i32(k)));
    func.if(loop.lt(at, block.number), () =>
      func.assign(part, joined(scan, loop.use(part), loop.load(partials, loop.add(block.first, at)))),
    );
  }
  return foldGroup(func, accumulatorOf(scan), [loop.use(part)], new Set([0]))[0]!;
}

/** Memory in which element t is the fold of the parts of threads 0 to t, by doubling the span that each covers. */
function prefixSums(
  f: ScanFunction,
  scan: Scan,
  part: LoopVar,
  sides: readonly [LoopPointer, LoopPointer],
): LoopPointer {
  const { func } = f.of;
  const thread = f.of.params[1]!;
  let [from, to] = sides;
  func.store(from, thread, loop.use(part));
  func.barrier();
  for (let span = 1; span < scan.threads; span *= 2) {
    const sum = func.local("sum", loop.load(from, thread));
    func.if(loop.ge(thread, loop.i32(span)), () =>
      func.assign(sum, joined(scan, loop.load(from, loop.sub(thread, loop.i32(span))), loop.use(sum))),
    );
    func.store(to, thread, loop.use(sum));
    func.barrier();
    [from, to] = [to, from];
  }
  return from;
}
