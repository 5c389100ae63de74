/** The loops of a reduction: what each thread accumulates, and how the threads of a result fold it. */
import type { Axis, LoopExpr, ScalarExpr } from "@sinter/ir";
import { divIndex, loop, toDim, visitScalar } from "@sinter/ir";
import {
  currentValues,
  emitStores,
  finishScalar,
  firstPlace,
  foldIn,
  foldLanes,
  nestScalars,
  Payload,
  startRunning,
  storeScalars,
  vectorLanes,
} from "@sinter/ir/schedule";
import { foldGroup, foldTree } from "./group-fold.ts";
import type { Reduction } from "./reduction.ts";
import type { Stage } from "./stage.ts";

type Values = readonly (readonly LoopExpr[])[];

/** The results: of all terms, or of the slices in scratch, which `folding` threads fold for each result. */
export function emitTotals(stage: Stage, r: Reduction, folding?: number): void {
  if (folding === undefined) {
    const tile = tileOf(stage, r, stage.group);
    tile.inside(() => {
      const totals = foldTile(stage, r, tile, termsOf(stage, r, tile, loop.i32(0), stage.levels.size(r.terms)));
      tile.once(() =>
        r.wide ? finishFour(stage, r, totals) : finishScalar({ scope: stage.scope, nest: r.nest }, totals),
      );
    });
    return;
  }
  const { func, thread, group } = stage;
  const running = r.nest.accumulators.map((acc, a) => startRunning(func, acc, `acc${a}`, 1));
  const base = func.let("base", loop.mul(group, loop.i32(r.slices)));
  func.for("slice", thread, loop.i32(r.slices), folding, (slice) => {
    const at = func.let("at", loop.add(base, slice));
    foldSlots(r, (acc, a, slots) => {
      const values = slots.map((s) => func.let("partial", loop.load(stage.scratch[s]!, at)));
      foldIn(func, acc, running[a]!, values);
    });
  });
  const wanted = wantedOf(r);
  const totals = r.nest.accumulators.map((acc, a) => foldGroup(func, acc, currentValues(running[a]!), wanted[a]!));
  const store = (): void =>
    stage.when(loop.eq(thread, loop.i32(0)), () => finishScalar({ scope: stage.scope, nest: r.nest }, totals));
  if (r.par) stage.levels.inside(r.par, group, store);
  else store();
}

/** The first grid of two: each slice of terms folded into scratch, the slices of a result side by side. */
export function emitSlices(stage: Stage, r: Reduction): void {
  const { func, levels, group } = stage;
  const slices = loop.i32(r.slices);
  const slice = func.let("slice", loop.floorMod(group, slices));
  const tile = tileOf(stage, r, func.let("tile", loop.floorDiv(group, slices)));
  const from = func.let("from", loop.mul(slice, levels.size(r.sliceTerms)));
  const to = func.let("to", loop.min(loop.add(from, levels.size(r.sliceTerms)), levels.size(r.terms)));
  tile.inside(() => {
    const totals = foldTile(stage, r, tile, termsOf(stage, r, tile, from, to));
    tile.once(() => {
      const width = r.wide ? vectorLanes : 1;
      for (let l = 0; l < width; l++) {
        const result = loop.add(loop.mul(tile.point, loop.i32(width)), loop.i32(l));
        const at = func.let("at", loop.add(loop.mul(result, slices), slice));
        foldSlots(r, (_, a, slots) => {
          slots.forEach((s, c) => void func.store(stage.scratch[s]!, at, loop.lane(totals[a]![c]!, l)));
        });
      }
    });
  });
}

/** The end stores of four results next to each other. */
function finishFour(stage: Stage, { nest, par }: Reduction, totals: Values): void {
  const { scope } = stage;
  const stores = nest.stores.filter((s) => s.when === "end");
  const payload = new Payload(scope.levels, scope.memory, stores.flatMap(storeScalars), par, scope.rowLevel);
  payload.setResults((node) => {
    if (node.kind === "carry") throw new Error("a carry outside a sequential nest");
    return totals[node.accumulator]![node.component]!;
  });
  emitStores({ scope, nest, payload, vector: par }, stores, firstPlace);
}

/** Calls `visit` with each accumulator and the numbers of the scratch that holds its components. */
function foldSlots(
  r: Reduction,
  visit: (acc: Reduction["nest"]["accumulators"][number], index: number, slots: readonly number[]) => void,
): void {
  let next = 0;
  r.nest.accumulators.forEach((acc, a) => {
    const slots = acc.values.map(() => next++);
    visit(acc, a, slots);
  });
}

/** The components of each accumulator that somebody reads. */
export function wantedOf({ nest }: Pick<Reduction, "nest">): ReadonlySet<number>[] {
  const wanted = nest.accumulators.map(() => new Set<number>());
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars({ ...nest, accumulators: [] }))
    visitScalar(root, (node) => node.kind === "acc" && void wanted[node.accumulator]!.add(node.component), seen);
  return wanted;
}

interface Tile {
  /** Which thread of its result this one is. */
  readonly lane: LoopExpr;
  /** Its result among those of the group, and among all; counted in fours where a thread has four. */
  readonly result: LoopExpr;
  readonly point: LoopExpr;
  /** Whether there is such a point; undefined where there always is. */
  readonly valid: LoopExpr | undefined;
  /** Runs `body` with the axis of results at this point. */
  readonly inside: (body: () => void) => void;
  /** Runs `then` in one thread of each result. */
  readonly once: (then: () => void) => void;
}

function tileOf(stage: Stage, r: Reduction, group: LoopExpr): Tile {
  const { func, levels, thread } = stage;
  const { results, lanes } = r;
  const [high, low] = r.along ? [results, lanes] : [lanes, results];
  const upper = high === 1 ? loop.i32(0) : func.let("upper", loop.floorDiv(thread, loop.i32(low)));
  const lower = high === 1 ? thread : low === 1 ? loop.i32(0) : func.let("lower", loop.floorMod(thread, loop.i32(low)));
  const [result, lane] = r.along ? [upper, lower] : [lower, upper];
  const first = loop.mul(group, loop.i32(results));
  const point = func.let("point", loop.add(first, result));
  const points = r.wide ? toDim(divIndex(r.points, vectorLanes)) : r.points;
  const exact = typeof points === "number" && points % results === 0;
  const valid = exact ? undefined : func.let("valid", loop.lt(point, levels.size(points)));
  // What depends on the point alone is read before any branch, by threads without a point too.
  const inside = valid ? func.let("safe", loop.min(point, loop.sub(levels.size(points), loop.i32(1)))) : point;
  const safe = r.wide ? func.let("first", loop.mul(inside, loop.i32(vectorLanes))) : inside;
  const tests = [...(valid ? [valid] : []), ...(lanes > 1 ? [loop.eq(lane, loop.i32(0))] : [])];
  return {
    lane,
    result,
    point,
    valid,
    inside: (body) => (r.par ? levels.inside(r.par, safe, body) : body()),
    once: (then) => (tests.length === 0 ? then() : stage.when(tests.reduce(loop.and), then)),
  };
}

/** What this thread accumulates of the terms from..to: every so many of them. */
function termsOf(stage: Stage, r: Reduction, tile: Tile, from: LoopExpr, to: LoopExpr): Values {
  const { func } = stage;
  const width = r.vector ? vectorLanes : 1;
  const start = func.let("start", loop.add(from, loop.mul(tile.lane, loop.i32(width))));
  // Threads without a result have no terms; they come to every barrier all the same.
  const end = tile.valid ? func.let("end", loop.select(tile.valid, to, loop.i32(0))) : to;
  return accumulateTerms(stage, r, (red, body) => {
    if (red) stage.levels.loop(red, start, end, r.lanes * width, body);
    else if (tile.valid) stage.when(tile.valid, body);
    else body();
  });
}

/** The accumulators over those terms that `each` runs the body for; `vector`: four neighbours at once, `wide`: of four results. */
export function accumulateTerms(
  stage: Stage,
  { nest, red, vector, par, wide }: Pick<Reduction, "nest" | "red" | "vector"> & Partial<Reduction>,
  each: (red: Axis | undefined, body: () => void) => void,
): Values {
  const { func, scope } = stage;
  const bodies = nest.stores.filter((s) => s.when === "body");
  const roots = [...nest.accumulators.flatMap((a) => a.values), ...bodies.map((s) => s.value)];
  const along = wide ? par : vector ? red : undefined;
  const payload = new Payload(
    scope.levels,
    scope.memory,
    nestScalars({ ...nest, stores: bodies }),
    along,
    scope.rowLevel,
  );
  const running = nest.accumulators.map((acc, a) => startRunning(func, acc, `acc${a}`, along ? vectorLanes : 1));
  const around = nest.axes.filter((a) => a.kind === "red" && a !== red);
  const inAll = (axes: readonly Axis[], body: () => void): void => {
    const [outer, ...inner] = axes;
    if (outer === undefined) body();
    else scope.levels.loop(outer, loop.i32(0), scope.levels.size(outer.extent), 1, () => inAll(inner, body));
  };
  const terms = (): void => {
    payload.runLoops(roots, [firstPlace]);
    nest.accumulators.forEach((acc, a) => {
      const values = acc.values.map((v) => payload.wide(v, firstPlace));
      foldIn(func, acc, running[a]!, values);
    });
    emitStores({ scope, nest, payload, vector: along }, bodies, firstPlace);
  };
  inAll(around, () => each(red, terms));
  return nest.accumulators.map((acc, a) => {
    const mine = wide ? currentValues(running[a]!) : foldLanes(func, acc, running[a]!);
    return mine.map((value) => func.let("mine", value));
  });
}

/** The values of all threads of each result, folded. */
function foldTile(stage: Stage, r: Reduction, tile: Tile, values: Values): Values {
  const { func } = stage;
  const { accumulators } = r.nest;
  if (r.lanes === 1) return values;
  if (r.results === 1 || r.neighbours) {
    const wanted = r.slices > 1 ? accumulators.map((acc) => new Set(acc.values.keys())) : wantedOf(r);
    const threads = r.results === 1 ? undefined : r.lanes;
    return accumulators.map((acc, a) => foldGroup(func, acc, values[a]!, wanted[a]!, threads));
  }
  return foldTree(func, accumulators, values, {
    lane: tile.lane,
    lanes: r.lanes,
    // Neighbouring threads have neighbouring slots, so that banks of memory do not collide.
    slot: (lane) =>
      r.along
        ? loop.add(loop.mul(tile.result, loop.i32(r.lanes)), lane)
        : loop.add(loop.mul(lane, loop.i32(r.results)), tile.result),
    slots: r.lanes * r.results,
  });
}
