/** One prepared nest as loops: maps, reductions along or across the lanes, and sequential nests. */
import type { Accumulator, Axis, LoopExpr, Nest, ScalarExpr, Store } from "../index.ts";
import { combineIdentity, isMultiple, loop, scalarCost, typicalDim } from "../index.ts";
import {
  combineValues,
  currentValues,
  foldCopies,
  foldIn,
  foldLanes,
  isPair,
  type Running,
  startRunning,
  variablesOf,
} from "./accumulate.ts";
import { nestScalars, storeScalars, strideOf } from "./flat.ts";
import { firstPlace, type Place, vectorLanes } from "./lanes.ts";
import type { Levels } from "./levels.ts";
import { type KernelMemory, Payload } from "./payload.ts";
import { type PreparedNest, unrollFor } from "./prepare.ts";

/** Where loops of a kernel are built. */
export interface KernelScope {
  readonly levels: Levels;
  readonly memory: KernelMemory;
  /** Level of the innermost outer loop: what nests of this kernel write may not be read further out. */
  readonly rowLevel: number;
  /** Part of the range of one axis, where the kernel is cut into chunks. */
  readonly chunk?: { readonly axis: Axis; readonly from: LoopExpr; readonly to: LoopExpr };
  /** Takes the accumulators of a nest without par axes instead of the end stores (partial sums of a chunk). */
  readonly onResults?: (values: readonly (readonly LoopExpr[])[]) => void;
}

export function emitNest(scope: KernelScope, prepared: PreparedNest): void {
  for (const { nest, along } of prepared.pieces) emitPiece(scope, nest, along);
}

function emitPiece(scope: KernelScope, nest: Nest, vector: Axis | undefined): void {
  const payload = new Payload(scope.levels, scope.memory, nestScalars(nest), vector, scope.rowLevel);
  const emitter: NestEmitter = { scope, nest, payload, vector };
  const loops = nest.axes.filter((a) => a.kind === "par" && a !== vector);
  const inner = nest.axes.filter((a) => a.kind !== "par" && a !== vector);
  eachPoint(scope, loops, () => {
    // A sequence of one step has lost its axis, but not its carries.
    if (inner.some((a) => a.kind === "seq") || nest.carries.length > 0) sequential(emitter, inner);
    else if (nest.accumulators.length === 0) map(emitter);
    else if (vector?.kind === "par") reduceAcross(emitter, vector, inner);
    else reduceAlong(emitter, vector, inner);
  });
}

export interface NestEmitter {
  readonly scope: KernelScope;
  readonly nest: Nest;
  readonly payload: Payload;
  readonly vector: Axis | undefined;
}

/** Nested loops over all points of some axes. */
function eachPoint(scope: KernelScope, axes: readonly Axis[], body: () => void): void {
  const [axis, ...rest] = axes;
  if (axis === undefined) {
    body();
    return;
  }
  const [from, to] = bounds(scope, axis);
  scope.levels.loop(axis, from, to, 1, () => eachPoint(scope, rest, body));
}

function bounds(scope: KernelScope, axis: Axis): [LoopExpr, LoopExpr] {
  if (scope.chunk?.axis.id === axis.id) return [scope.chunk.from, scope.chunk.to];
  return [loop.i32(0), scope.levels.size(axis.extent)];
}

/**
 * Loops over the vector axis: `unroll` vectors at a time, then one, then the rest of the last. `body` is called for each
 * form of the loop, inside it.
 */
function eachVector(scope: KernelScope, axis: Axis, unroll: number, body: (places: readonly Place[]) => void): void {
  const { levels } = scope;
  const [from, to] = bounds(scope, axis);
  const symbolic = typeof axis.extent !== "number";
  const extent = typeof axis.extent === "number" ? axis.extent : axis.extent.hi;
  const count = loop.sub(to, from);
  const rounded = (step: number): LoopExpr => loop.add(from, loop.and(count, loop.i32(-step)));
  const constant = (e: LoopExpr, step: number): LoopExpr => {
    const [lo, n] = [loop.constValue(from), loop.constValue(count)];
    return lo !== undefined && n !== undefined ? loop.i32(lo + n - (n % step)) : levels.func.let("end", e);
  };
  const wide = unroll * vectorLanes;
  const places = Array.from({ length: unroll }, (_, copy) => ({ copy, active: vectorLanes }));
  const mainEnd = extent >= wide ? constant(rounded(wide), wide) : from;
  const vectorEnd = unroll === 1 ? mainEnd : extent >= vectorLanes ? constant(rounded(vectorLanes), vectorLanes) : from;
  if (extent >= wide) levels.loop(axis, from, mainEnd, wide, () => body(places));
  if (unroll > 1 && extent >= vectorLanes) levels.loop(axis, mainEnd, vectorEnd, vectorLanes, () => body([firstPlace]));
  if (symbolic) {
    // Which lanes of a last vector hold points is not known: they go one by one.
    if (!isMultiple(axis.extent, vectorLanes))
      levels.loop(axis, vectorEnd, to, 1, () => body([{ copy: 0, active: 1 }]));
    return;
  }
  const active = extent % vectorLanes;
  if (active === 0) return;
  const tail = (): void => levels.inside(axis, vectorEnd, () => body([{ copy: 0, active }]));
  if (loop.constValue(vectorEnd) !== undefined && loop.constValue(to) !== undefined) tail();
  else levels.func.if(loop.lt(vectorEnd, to), tail);
}

function workOf(roots: readonly ScalarExpr[]): number {
  return roots.reduce((sum, e) => sum + scalarCost(e), roots.length);
}

function map(e: NestEmitter): void {
  const roots = e.nest.stores.map((s) => s.value);
  const body = (places: readonly Place[]): void => {
    e.payload.runLoops(roots, places);
    for (const place of places) emitStores(e, e.nest.stores, place);
  };
  if (!e.vector) body([firstPlace]);
  else eachVector(e.scope, e.vector, unrollFor(roots, 4), body);
}

/** Work behind a reduction from which on code size counts. */
const longEnd = 16;

/** Reduction whose lanes are neighbouring results: one accumulator of a vector each. */
function reduceAcross(e: NestEmitter, vector: Axis, red: readonly Axis[]): void {
  const { nest } = e;
  const extent = Math.ceil(typicalDim(vector.extent) / vectorLanes);
  const room = Math.max(1, Math.floor(8 / accumulatorVariables(nest, vectorLanes)));
  // Long ends are written out once for each vector: four vectors are a cache line already.
  const most = workOf(endStores(nest).map((s) => s.value)) > longEnd ? 4 : 8;
  const unroll = powerOfTwo(Math.min(extent, room, unrollFor(bodyRoots(nest), most)));
  eachVector(e.scope, vector, unroll, (places) => {
    const running = places.map((_, i) => startAll(e, vectorLanes, `${i}`));
    eachPoint(e.scope, red, () => {
      e.payload.runLoops(bodyRoots(nest), places);
      for (const [i, place] of places.entries()) accumulate(e, place, running[i]!);
      for (const place of places) emitStores(e, bodyStores(nest), place);
    });
    finish(
      e,
      places,
      running.map((r) => r.map(currentValues)),
    );
  });
}

/** Reduction whose lanes are neighbouring terms: folded at the end. Also without lanes. */
function reduceAlong(e: NestEmitter, vector: Axis | undefined, red: readonly Axis[]): void {
  const { nest, scope } = e;
  const { func } = scope.levels;
  const lanes = e.payload.lanes;
  const vectors = vector ? Math.ceil(typicalDim(vector.extent) / vectorLanes) : 1;
  const room = Math.max(1, Math.floor(12 / accumulatorVariables(nest, lanes)));
  const unroll = powerOfTwo(Math.min(vectors, room, unrollFor(bodyRoots(nest), 8)));
  const copies = Array.from({ length: unroll }, (_, i) => startAll(e, lanes, `${i}`));
  eachPoint(scope, red, () => {
    const body = (places: readonly Place[]): void => {
      e.payload.runLoops(bodyRoots(nest), places);
      for (const [i, place] of places.entries()) accumulate(e, place, copies[i]!);
      for (const place of places) emitStores(e, bodyStores(nest), place);
    };
    if (vector) eachVector(scope, vector, unroll, body);
    else body([firstPlace]);
  });
  const totals = nest.accumulators.map((acc, a) => {
    const folded = foldCopies(
      func,
      acc,
      copies.map((c) => c[a]!),
    );
    return foldLanes(func, acc, folded).map((value) => func.let("total", value));
  });
  if (scope.onResults) scope.onResults(totals);
  else finishScalar(e, totals);
}

/** End stores of a reduction that has one value for all lanes: evaluated on one lane. */
export function finishScalar(e: { scope: KernelScope; nest: Nest }, totals: readonly (readonly LoopExpr[])[]): void {
  const stores = endStores(e.nest);
  const payload = new Payload(
    e.scope.levels,
    e.scope.memory,
    stores.flatMap(storeScalars),
    undefined,
    e.scope.rowLevel,
  );
  payload.setResults((node) => (node.kind === "acc" ? totals[node.accumulator]![node.component]! : missing()));
  emitStores({ ...e, payload, vector: undefined }, stores, firstPlace);
}

function finish(e: NestEmitter, places: readonly Place[], totals: readonly (readonly (readonly LoopExpr[])[])[]): void {
  const stores = endStores(e.nest);
  e.payload.setResults((node, copy) =>
    node.kind === "acc" ? totals[copy]![node.accumulator]![node.component]! : missing(),
  );
  e.payload.runLoops(
    stores.map((s) => s.value),
    places,
  );
  for (const place of places) emitStores(e, stores, place);
}

const missing = (): never => {
  throw new Error("a carry outside a sequential nest");
};
const endStores = (nest: Nest): Store[] => nest.stores.filter((s) => s.when === "end");
const bodyStores = (nest: Nest): Store[] => nest.stores.filter((s) => s.when === "body");
const bodyRoots = (nest: Nest): ScalarExpr[] => [
  ...nest.accumulators.flatMap((a) => a.values),
  ...bodyStores(nest).map((s) => s.value),
];
const powerOfTwo = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));

function accumulatorVariables(nest: Nest, lanes: number): number {
  return nest.accumulators.reduce((n, acc) => n + variablesOf(acc, lanes), 0);
}

function startAll(e: NestEmitter, lanes: number, suffix: string): Running[] {
  return e.nest.accumulators.map((acc, a) => startRunning(e.scope.levels.func, acc, `acc${a}_${suffix}`, lanes));
}

function accumulate(e: NestEmitter, place: Place, running: readonly Running[]): void {
  e.nest.accumulators.forEach((acc, a) => {
    const values = acc.values.map((v) => e.payload.wide(v, place));
    if (e.vector?.kind === "red" && place.active < vectorLanes) values[0] = maskIdle(acc, values[0]!, place.active);
    foldIn(e.scope.levels.func, acc, running[a]!, values);
  });
}

/** Lanes without a term hold what changes nothing. */
function maskIdle(acc: Accumulator, value: LoopExpr, active: number): LoopExpr {
  const idle = loop.constant(acc.dtype, combineIdentity(acc.combine, acc.dtype), vectorLanes);
  const mask = loop.pack(...Array.from({ length: vectorLanes }, (_, l) => loop.bool(l < active)));
  return loop.select(mask, value, idle);
}

/** Steps along the seq axes in order, lanes across a par axis. */
function sequential(e: NestEmitter, inner: readonly Axis[]): void {
  const { nest, payload, scope } = e;
  const { func } = scope.levels;
  const run = (places: readonly Place[]): void => {
    const carries = places.map((place) =>
      nest.carries.map((c, i) => func.local(`carry${i}`, loop.splat(payload.wide(c.init, place), payload.lanes))),
    );
    eachPoint(scope, inner, () => {
      payload.setResults((node, copy) => (node.kind === "carry" ? loop.use(carries[copy]![node.carry]!) : missing()));
      for (const place of places) {
        const next = nest.carries.map((c) => func.let("next", payload.wide(c.next, place)));
        emitStores(e, nest.stores, place);
        for (const [i, value] of next.entries()) func.assign(carries[place.copy]![i]!, value);
      }
    });
  };
  if (e.vector) eachVector(scope, e.vector, 1, run);
  else run([firstPlace]);
}

/** All values first, then all stores: a store may write what another value was read from at the same point. */
export function emitStores(e: NestEmitter, stores: readonly Store[], place: Place): void {
  const { func } = e.scope.levels;
  const values = stores.map((s) => func.let("out", e.payload.value(s.value, place)));
  const guards = stores.map((s) => (s.guard ? func.let("inside", e.payload.guard(s.guard, place)) : undefined));
  for (const [i, store] of stores.entries()) emitStore(e, store, values[i]!, guards[i], place);
}

function emitStore(e: NestEmitter, store: Store, value: LoopExpr, guard: LoopExpr | undefined, place: Place): void {
  const { levels, memory } = e.scope;
  const { func } = levels;
  const local = memory.local(store.buffer);
  if (local) {
    func.assign(local, value);
    return;
  }
  const pointer = memory.pointer(store.buffer);
  const index = store.index[0]!;
  const write = (at: LoopExpr, v: LoopExpr, lanes: number, active: number): void => {
    const merged = store.combine ? merge(store, loop.load(pointer, at, lanes, active), v) : v;
    func.store(pointer, at, merged, active);
  };
  const stride = e.vector ? strideOf(index, e.vector) : 0;
  const lanesAgree = guard === undefined || guard.type.lanes === 1;
  if (!e.vector || (stride === 0 && value.type.lanes === 1)) {
    conditionally(func, guard, () => write(e.payload.offset(index, place), value, 1, 1));
  } else if (stride === 1 && lanesAgree) {
    conditionally(func, guard, () =>
      write(e.payload.offset(index, place), loop.splat(value, vectorLanes), vectorLanes, place.active),
    );
  } else {
    for (let l = 0; l < place.active; l++) {
      const allowed = guard === undefined ? undefined : loop.lane(guard, l);
      conditionally(func, allowed, () => write(e.payload.offset(index, place, l), loop.lane(value, l), 1, 1));
    }
  }
}

function conditionally(func: loop.FuncBuilder, guard: LoopExpr | undefined, then: () => void): void {
  if (guard === undefined) then();
  else func.if(guard, then);
}

function merge(store: Store, old: LoopExpr, value: LoopExpr): LoopExpr {
  if (isPair(store.combine!)) throw new Error("a store cannot fold pairs");
  return combineValues(store.combine!, old, value);
}
