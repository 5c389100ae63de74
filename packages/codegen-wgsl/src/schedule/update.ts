/**
 * Updates: nests that store in order at positions that come out of data. Axes along which all stores lie apart are a
 * thread for each point. Of the others, which may meet, each update looks for the next one to the same place; the first
 * to a place then folds all of them in order. So results do not depend on who runs when, and are those of the sequence.
 */
import {
  type Axis,
  axis,
  type BufferDecl,
  type Dim,
  type Grid,
  type IndexExpr,
  type LoopExpr,
  type LoopKernel,
  type LoopPointer,
  loop,
  type Nest,
  type NestKernel,
  type ScalarExpr,
  type Store,
  scaleIndex,
  sizeOf,
  toDim,
  typicalDim,
  visitScalar,
} from "@sinter/ir";
import {
  combineValues,
  flattenNest,
  KernelFunc,
  kernelBuffers,
  Levels,
  mergeAxes,
  nestScalars,
  Payload,
  strideOf,
} from "@sinter/ir/schedule";
import { genericKernel } from "./generic.ts";
import { sortedLinks, wordsPerUpdate } from "./sorted-links.ts";
import { atPoint, eachThread, elementBytes, gridParams, groupsFor, kernelFrame, threadsFor } from "./threads.ts";

/** Updates that one thread makes one after the other: finding out which of them meet takes longer. */
const fewSteps = 16;
/** Beyond so many, they are sorted by their places, instead of each looking at all others. */
const manySteps = 1024;
/** The same where their number is symbolic, and how often to merge is not known: beyond so many, one after the other. */
const manyOpenSteps = 1 << 16;

function outside(steps: Dim): boolean {
  return typicalDim(steps) <= fewSteps || (typeof steps !== "number" && typicalDim(steps) > manyOpenSteps);
}

/** Takes kernels of one nest that steps without carrying anything. */
export function updateKernel(kernel: NestKernel, decls: readonly BufferDecl[]): LoopKernel | undefined {
  const [only] = kernel.nests;
  const [store, second] = only?.stores ?? [];
  if (only === undefined || store === undefined || second !== undefined) return undefined;
  if (only.carries.length > 0 || !only.axes.some((a) => a.kind === "seq")) return undefined;
  if (readsOwn(only, store)) return undefined;
  const free = only.axes.filter((a) => a.kind === "par" || liesApart(store.index, a));
  const nest: Nest = {
    ...only,
    axes: [...free.map((a): Axis => ({ ...a, kind: "par" })), ...only.axes.filter((a) => !free.includes(a))],
  };
  const linked = linkedUpdates(kernel, nest, decls);
  if (linked !== undefined) return linked;
  if (free.length === 0) return undefined;
  const made = genericKernel({ ...kernel, nests: [nest] }, decls);
  return { ...made, aliasable: [], schedule: "updates apart" };
}

/** Whether a nest reads what it stores to. */
function readsOwn(nest: Nest, store: Store): boolean {
  let found = false;
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(
      root,
      (node) => {
        found ||= node.kind === "read" && node.buffer === store.buffer;
      },
      seen,
    );
  return found;
}

/** Whether stores at different points of an axis are certainly to different elements: it alone moves one component. */
function liesApart(index: readonly IndexExpr[], of: Axis): boolean {
  return index.some((ix) => {
    const [term, second] = ix.terms;
    return term?.atom.kind === "axis" && term.atom.axis.id === of.id && second === undefined;
  });
}

/** An update whose steps are one axis, and the part of its position that they decide. */
interface Linked {
  readonly nest: Nest;
  readonly store: Store;
  readonly free: readonly Axis[];
  readonly step: Axis;
  readonly key: IndexExpr;
}

function linkedOf(nest: Nest, decls: readonly BufferDecl[]): Linked | undefined {
  const flat = flattenNest(nest, decls);
  const steps = mergeAxes(
    flat,
    flat.axes.filter((a) => a.kind === "seq"),
  );
  const store = steps.nest.stores[0]!;
  const step = steps.merged;
  if (step === undefined || store.guard !== undefined || outside(step.extent)) return undefined;
  const free = steps.nest.axes.filter((a) => a !== step);
  const offset = store.index[0]!;
  const fixed = offset.terms.filter(({ atom }) => atom.kind === "axis" && free.some((a) => a.id === atom.axis.id));
  const key: IndexExpr = { ...offset, terms: offset.terms.filter((t) => !fixed.includes(t)) };
  if (free.some((a) => strideOf(key, a) !== 0)) return undefined;
  return { nest: steps.nest, store, free, step, key };
}

/** Grids that find who comes next to the same place, and one of the folds. */
function linkedUpdates(kernel: NestKernel, nest: Nest, decls: readonly BufferDecl[]): LoopKernel | undefined {
  const linked = linkedOf(nest, decls);
  if (linked === undefined) return undefined;
  const { step, free } = linked;
  const used = kernelBuffers(kernel, decls);
  const open = (name: string): { of: KernelFunc; links: LoopPointer; levels: Levels; payload: Payload } => {
    const of = new KernelFunc(name, decls, used, gridParams);
    const links = of.func.pointer("links", "i32", "scratch");
    const levels = new Levels(of.func, of.syms);
    return { of, links, levels, payload: new Payload(levels, of.memory, nestScalars(linked.nest), undefined, 0) };
  };
  const steps = step.extent;
  const points = sizeOf([steps, ...free.map((a) => a.extent)]);
  const threads = threadsFor(points);
  const isSorted = typeof steps === "number" && steps > manySteps;
  const finders: Function[] = [];
  const finder = (name: string): Function => {
    const made = open(name);
    finders.push(made);
    return made;
  };
  const finding = isSorted ? sorting(linked, steps, kernel.name, finder) : comparing(linked, kernel.name, finder);
  const folding = open(kernel.name);
  eachThread(folding.of, points, threads, (point) => folding.levels.scope(() => foldLinked(folding, linked, point)));
  const func = folding.of.func.finish();
  return {
    ...kernelFrame(kernel, decls, used),
    aliasable: [],
    funcs: [func, ...finders.map(({ of }) => of.func.finish())],
    scratch: [
      { pointer: folding.links, bytes: toDim(scaleIndex(steps, (isSorted ? wordsPerUpdate : 2) * elementBytes)) },
    ],
    grids: [...finding, { func: kernel.name, groups: groupsFor(points, threads), threads }],
    schedule: isSorted ? "sorted updates" : "linked updates",
  };
}

type Open = (name: string) => Function;

/** Each update looks at all others. */
function comparing(linked: Linked, name: string, open: Open): Grid[] {
  const steps = linked.step.extent;
  const threads = threadsFor(steps);
  const f = open(`${name}_links`);
  eachThread(f.of, steps, threads, (n) => f.levels.scope(() => findNext(f, linked, n)));
  return [{ func: `${name}_links`, groups: groupsFor(steps, threads), threads }];
}

function sorting({ step, key }: Linked, steps: number, name: string, open: Open): Grid[] {
  return sortedLinks(steps, name, (part) => {
    const { of, links, levels, payload } = open(part);
    const placeAt = (update: LoopExpr): LoopExpr => {
      let place: LoopExpr | undefined;
      levels.scope(() => levels.inside(step, update, () => (place = of.func.let("place", payload.offset(key)))));
      return place!;
    };
    return { of, work: links, placeAt };
  });
}

interface Function {
  readonly of: KernelFunc;
  readonly links: LoopPointer;
  readonly levels: Levels;
  readonly payload: Payload;
}

/** links[2n]: the next update to the place of update n, or their number. links[2n + 1]: whether none is before it. */
function findNext({ of: { func }, links, levels, payload }: Function, { step, key }: Linked, n: LoopExpr): void {
  const at = (): LoopExpr => func.let("place", payload.offset(key));
  let mine: LoopExpr | undefined;
  levels.inside(step, n, () => (mine = at()));
  const count = levels.size(step.extent);
  const next = func.local("next", count);
  const first = func.local("first", loop.i32(1));
  levels.loop(step, loop.i32(0), count, 1, () => {
    const other = levels.axis(step.id).value;
    func.if(loop.eq(at(), mine!), () => {
      func.if(loop.lt(other, n), () => func.assign(first, loop.i32(0)));
      func.if(loop.lt(n, other), () => func.assign(next, loop.min(loop.use(next), other)));
    });
  });
  func.store(links, loop.mul(n, loop.i32(2)), loop.use(next));
  func.store(links, loop.add(loop.mul(n, loop.i32(2)), loop.i32(1)), loop.use(first));
}

/** The first of the updates to a place folds all of them; where they overwrite, the last one stores. */
function foldLinked(f: Function, { nest, store, free, step }: Linked, point: LoopExpr): void {
  const { of, levels, links } = f;
  const { func } = of;
  const pointer = of.memory.pointer(store.buffer);
  // Not the axis itself: what an update binds must not be found by another.
  const own = axis(step.name, step.extent, "par");
  atPoint(levels, [own, ...free], point, () => {
    const n = levels.axis(own.id).value;
    const count = levels.size(step.extent);
    const link = (update: LoopExpr, which: number): LoopExpr =>
      loop.load(links, loop.add(loop.mul(update, loop.i32(2)), loop.i32(which)));
    const { combine } = store;
    const at = <T>(update: LoopExpr, make: (payload: Payload) => T): T => {
      let made: T | undefined;
      levels.inside(step, update, () => {
        made = make(new Payload(levels, of.memory, nestScalars(nest), undefined, 0));
      });
      return made as T;
    };
    const placeOf = (payload: Payload): LoopExpr => func.let("place", payload.offset(store.index[0]!));
    if (combine === undefined) {
      func.if(loop.eq(link(n, 0), count), () => {
        at(n, (payload) => func.store(pointer, placeOf(payload), payload.value(store.value)));
      });
      return;
    }
    func.if(loop.eq(link(n, 1), loop.i32(1)), () => {
      const place = at(n, placeOf);
      const total = func.local("total", loop.load(pointer, place));
      const current = func.local("current", n);
      func.while(loop.lt(loop.use(current), count), () => {
        const update = func.let("update", loop.use(current));
        at(update, (payload) =>
          func.assign(total, combineValues(combine, loop.use(total), payload.value(store.value))),
        );
        func.assign(current, link(update, 0));
      });
      func.store(pointer, place, loop.use(total));
    });
  });
}
