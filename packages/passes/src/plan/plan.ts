/**
 * Places temp buffers and scratch in one arena: in place at a last use where the kernel allows it, else the best
 * fitting gap, largest first. Everything else comes in through a slot of the call table.
 */
import {
  addIndex,
  type BufferDecl,
  bytesOf,
  type Dim,
  type DType,
  divIndex,
  type LoopProgram,
  maxIndex,
  type Place,
  type Plan,
  sameIndex,
  scaleIndex,
  sizeOf,
  subIndex,
  toDim,
  typicalDim,
} from "@sinter/ir";
import { exchangeGroups, findLifetimes, type Lifetime, stepNumbers } from "./lifetimes.ts";

export interface PlanOptions {
  /** Bytes that every offset is a multiple of. */
  readonly alignment: number;
  /** Bytes that an element takes in the memory that is planned; as in linear memory where nothing is said. */
  readonly bytesPerElement?: (dtype: DType) => number;
}

/** Slot order of the call table: the arena first, then these kinds, each in order. */
const slotKinds = ["const", "arg", "state", "stateOut", "result"] as const;

/** Something that needs a range of the arena while it is live. */
interface Item {
  readonly bytes: Dim;
  readonly live: readonly Lifetime[];
  offset: Dim;
}

export function planMemory(program: LoopProgram, options: PlanOptions): Plan {
  const { alignment, bytesPerElement = bytesOf } = options;
  const bytesOfBuffer = ({ shape, dtype }: BufferDecl): Dim => toDim(scaleIndex(sizeOf(shape), bytesPerElement(dtype)));
  const { buffers: lifetimes, calls } = findLifetimes(program);
  const same = shareInPlace(program, lifetimes, bytesOfBuffer);
  const items = new Map<number, Item>();
  for (const decl of program.buffers) {
    const life = lifetimes[decl.id];
    if (decl.kind !== "temp" || life === undefined || same.has(decl.id)) continue;
    items.set(decl.id, { bytes: roundUp(bytesOfBuffer(decl), alignment), live: [life], offset: 0 });
  }
  const scratch = program.kernels.map((kernel, k) =>
    kernel.scratch.map(
      ({ bytes }): Item => ({
        bytes: roundUp(bytes, alignment),
        live: calls[k]!.map((step) => ({ first: step, last: step })),
        offset: 0,
      }),
    ),
  );
  const arenaBytes = placeItems([...items.values(), ...scratch.flat()]);
  const slots = slotNumbers(program);
  const places = program.buffers.map((decl): Place => {
    const slot = slots.get(decl.id);
    if (slot !== undefined) return { kind: "slot", slot, bytes: bytesOfBuffer(decl) };
    const as = same.get(decl.id);
    if (as !== undefined) return { kind: "same", as };
    const item = items.get(decl.id);
    if (item === undefined) return { kind: "none" };
    const life = item.live[0]!;
    const bytes = bytesOfBuffer(decl);
    return { kind: "arena", offset: item.offset, bytes, firstStep: life.first, lastStep: life.last };
  });
  return { arenaBytes, alignment, places, scratch: scratch.map((list) => list.map((item) => item.offset)) };
}

function roundUp(bytes: Dim, alignment: number): Dim {
  return toDim(scaleIndex(divIndex(addIndex(bytes, alignment - 1), alignment), alignment));
}

function slotNumbers(program: LoopProgram): Map<number, number> {
  const out = new Map<number, number>();
  for (const kind of slotKinds) {
    const mine = program.buffers.filter((b) => b.kind === kind).sort((a, b) => a.slot - b.slot);
    for (const decl of mine) out.set(decl.id, out.size + 1);
  }
  return out;
}

/**
 * Buffers that live in another's memory: what a kernel writes takes over what it reads there for the last time. A temp
 * also moves into the result that ends it: nobody reads a result's memory before it is written. Lifetimes of what stays
 * grow. From a buffer to the one that has the place.
 */
function shareInPlace(
  program: LoopProgram,
  lifetimes: readonly (Lifetime | undefined)[],
  bytesOfBuffer: (decl: BufferDecl) => Dim,
): Map<number, number> {
  const parents = new Map<number, number>();
  const find = (id: number): number => {
    let at = id;
    for (let up = parents.get(at); up !== undefined; up = parents.get(at)) at = up;
    return at;
  };
  const { calls } = findLifetimes(program);
  // Results are read when all is done.
  for (const { id, kind } of program.buffers)
    if (kind === "result" && lifetimes[id] !== undefined) lifetimes[id].last = Number.POSITIVE_INFINITY;
  const moving = exchangeGroups(program);
  program.kernels.forEach((kernel, k) => {
    const [step, again] = calls[k]!;
    if (step === undefined || again !== undefined) return;
    for (const [read, written] of kernel.aliasable) {
      const [source, target] = [find(read), find(written)];
      const [from, to] = [program.buffers[source]!, program.buffers[target]!];
      const [before, after] = [lifetimes[source], lifetimes[target]];
      if (source === target || from.kind !== "temp" || before?.last !== step || after?.first !== step) continue;
      if (moving.has(source) || moving.has(target)) continue;
      // What is written and never read would leave the place free for a second one in the same kernel.
      if (to.kind === "temp" && after.last === step) continue;
      if (lifetimes[read]!.last !== step || lifetimes[written]!.first !== step) continue;
      if (!sameIndex(bytesOfBuffer(from), bytesOfBuffer(to))) continue;
      if (to.kind === "temp") {
        parents.set(target, source);
        before.last = after.last;
      } else if (to.kind === "result") {
        parents.set(source, target);
        after.first = before.first;
      }
    }
  });
  for (const { step, from, to } of copiesOut(program)) {
    const source = find(from);
    const [before, after] = [lifetimes[source], lifetimes[to]];
    if (program.buffers[source]!.kind !== "temp" || parents.has(to)) continue;
    if (before?.last !== step || lifetimes[from]!.last !== step || after?.first !== step) continue;
    parents.set(source, to);
    after.first = before.first;
  }
  return new Map([...parents.keys()].map((id) => [id, find(id)]));
}

/**
 * Copies of temps to results behind everything else, by step: what a loop exchanges as it runs may start out where the
 * result belongs, and be there in the end.
 */
function copiesOut(program: LoopProgram): { readonly step: number; readonly from: number; readonly to: number }[] {
  const numbers = stepNumbers(program.steps);
  return program.steps.flatMap((step, i) =>
    step.kind === "copy" && program.buffers[step.to]!.kind === "result"
      ? [{ step: numbers[i]!, from: step.from, to: step.to }]
      : [],
  );
}

/** Gives every item an offset and returns the bytes used: those of known size first, the others behind them. */
function placeItems(items: readonly Item[]): Dim {
  const known = items.filter((item): item is SizedItem => typeof item.bytes === "number");
  return placeSymbolic(
    items.filter((item) => typeof item.bytes !== "number"),
    placeAll(known),
  );
}

/** A run of the arena that things of symbolic size take in turn: as long as the longest of them. */
interface Lane {
  bytes: Dim;
  readonly items: Item[];
}

/**
 * Items of symbolic size from `start` on. Gaps cannot be compared, so each item gets a lane where nothing else is live at
 * the same time, one that is long enough already if there is one.
 */
function placeSymbolic(items: readonly Item[], start: number): Dim {
  const lanes: Lane[] = [];
  const order = [...items].sort(
    (a, b) => typicalDim(b.bytes) - typicalDim(a.bytes) || (a.live[0]?.first ?? 0) - (b.live[0]?.first ?? 0),
  );
  for (const item of order) {
    const free = lanes.filter((lane) => !lane.items.some((other) => liveTogether(item, other)));
    const lane = free.find((each) => isAtLeast(each.bytes, item.bytes)) ?? free[0];
    if (lane === undefined) lanes.push({ bytes: item.bytes, items: [item] });
    else {
      lane.bytes = larger(lane.bytes, item.bytes);
      lane.items.push(item);
    }
  }
  let end: Dim = start;
  for (const lane of lanes) {
    for (const item of lane.items) item.offset = end;
    end = toDim(addIndex(end, lane.bytes));
  }
  return end;
}

/** Whether a size is as large as another for all values of the symbolic sizes. */
function isAtLeast(a: Dim, b: Dim): boolean {
  return subIndex(a, b).lo >= 0;
}

function larger(a: Dim, b: Dim): Dim {
  return isAtLeast(a, b) ? a : isAtLeast(b, a) ? b : toDim(maxIndex(a, b));
}

type SizedItem = Item & { readonly bytes: number; offset: number };

/** Gives every item of known size an offset and returns the bytes used. */
function placeAll(items: readonly SizedItem[]): number {
  const order = [...items].sort((a, b) => b.bytes - a.bytes || (a.live[0]?.first ?? 0) - (b.live[0]?.first ?? 0));
  const placed: SizedItem[] = [];
  let end = 0;
  for (const item of order) {
    const busy = placed.filter((other) => other.bytes > 0 && liveTogether(item, other));
    busy.sort((a, b) => a.offset - b.offset);
    item.offset = bestGap(busy, item.bytes);
    placed.push(item);
    end = Math.max(end, item.offset + item.bytes);
  }
  return end;
}

function liveTogether(a: Item, b: Item): boolean {
  return a.live.some((x) => b.live.some((y) => x.first <= y.last && y.first <= x.last));
}

/** The start of the smallest gap between the busy ranges (sorted by offset) that takes `bytes`, else their end. */
function bestGap(busy: readonly SizedItem[], bytes: number): number {
  let best: number | undefined;
  let bestSize = Number.POSITIVE_INFINITY;
  let at = 0;
  for (const { offset, bytes: taken } of busy) {
    const gap = offset - at;
    if (gap >= bytes && gap < bestSize) [best, bestSize] = [at, gap];
    at = Math.max(at, offset + taken);
  }
  return best ?? at;
}
