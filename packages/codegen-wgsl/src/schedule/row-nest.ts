/**
 * One nest of a row, run by all threads of a group or of the row's share of it: folds over them, points spread over the threads, or one thread
 * alone where order counts. Every thread comes to every barrier and fold.
 */
import type { Axis, BufferDecl, BufferId, LoopExpr, Nest, ScalarExpr, Store } from "@sinter/ir";
import { loop, typicalDim, visitScalar } from "@sinter/ir";
import {
  collapseAxes,
  emitNest,
  emitStores,
  firstPlace,
  flattenNest,
  nestScalars,
  Payload,
  storeScalars,
  vectorLanes,
} from "@sinter/ir/schedule";
import { foldGroup } from "./group-fold.ts";
import { accumulateTerms, wantedOf } from "./reduce-tile.ts";
import { isReduction, oneOfEach, takesVectors } from "./reduction.ts";
import type { Stage } from "./stage.ts";

/**
 * Who runs a nest. `all`: one point, computed by each thread; `fold`: each point folded by the group; `spread`: each point
 * in one thread; `single`: all of it in one thread.
 */
export type RowWay = "all" | "fold" | "spread" | "single";

export interface RowNest {
  readonly nest: Nest;
  readonly par: Axis | undefined;
  readonly red: Axis | undefined;
  readonly way: RowWay;
  /** Whether the axis that is spread over the threads goes in vectors. */
  readonly vector: boolean;
}

/** Points times terms of a nest. */
export function lengthOf(nest: Nest): number {
  return nest.axes.reduce((n, a) => n * typicalDim(a.extent), 1);
}

/** Rounds of a loop that a fold over the group costs as much as. */
const foldRounds = 16;

export function rowNest(original: Nest, decls: readonly BufferDecl[], threads: number): RowNest {
  const collapsed = collapseAxes(flattenNest(original, decls));
  if (collapsed.stores.some((s) => s.combine !== undefined)) return asIs(collapsed, "single");
  const ordered = collapsed.carries.length > 0 || collapsed.axes.some((a) => a.kind === "seq");
  if (ordered) return asIs(collapsed, collapsed.axes.some((a) => a.kind === "par") ? "spread" : "single");
  const { nest, par, red } = oneOfEach(collapsed);
  if (!isReduction(nest)) {
    const vector = par !== undefined && takesVectors(nest, par);
    return { nest, par, red, way: par ? "spread" : "all", vector };
  }
  const [points, terms] = [typicalDim(par?.extent ?? 1), typicalDim(red?.extent ?? 1)];
  const apart = Math.ceil(points / threads) * terms;
  const together = points * (Math.ceil(terms / threads) + foldRounds);
  const fold = par === undefined || together < apart;
  return {
    nest,
    par,
    red,
    way: fold ? "fold" : "spread",
    vector: fold && red !== undefined && takesVectors(nest, red),
  };
}

function asIs(nest: Nest, way: RowWay): RowNest {
  const { nest: merged, par } = oneOfEach(nest);
  return { nest: merged, par, red: undefined, way, vector: false };
}

/** Whether every thread comes to the same values for what the nest stores. */
export const isUniform = (row: RowNest): boolean => row.way === "all" || (row.way === "fold" && row.par === undefined);

/** Buffers whose elements a nest reads or writes, those in locals aside. */
export function touched(
  nest: Nest,
  isLocal: (id: BufferId) => boolean,
): { reads: Set<BufferId>; writes: Set<BufferId> } {
  const reads = new Set<BufferId>();
  const seen = new Set<ScalarExpr>();
  for (const root of nestScalars(nest))
    visitScalar(root, (node) => node.kind === "read" && !isLocal(node.buffer) && void reads.add(node.buffer), seen);
  return { reads, writes: new Set(nest.stores.map((s) => s.buffer).filter((id) => !isLocal(id))) };
}

/** `threads`: those that a row has. */
export function emitRowNest(stage: Stage, row: RowNest, threads: number): void {
  const { scope, levels } = stage;
  const { nest, par } = row;
  // The axis of points is open already where its loop goes over the threads.
  const rest = { ...nest, axes: nest.axes.filter((a) => a !== par) };
  const whole = (piece: Nest) => ({
    pieces: [{ nest: piece, along: undefined }],
    vector: undefined,
    work: 0,
    points: 0,
  });
  switch (row.way) {
    case "single":
      stage.once(() => emitNest(stage.scope, whole(nest)));
      return;
    case "all":
      storeOnce(stage, nest.stores, []);
      return;
    case "fold":
      if (par) levels.loop(par, loop.i32(0), levels.size(par.extent), 1, () => foldPoint(stage, row, threads));
      else foldPoint(stage, row, threads);
      return;
    case "spread": {
      const width = row.vector ? vectorLanes : 1;
      const from = loop.mul(stage.lane, loop.i32(width));
      levels.loop(par!, from, stage.end(levels.size(par!.extent)), threads * width, () => {
        if (!row.vector) emitNest(scope, whole(rest));
        else vectorPoint(stage, nest, par!);
      });
      return;
    }
    default:
      row.way satisfies never;
  }
}

/** Four points of a map. */
function vectorPoint(stage: Stage, nest: Nest, vector: Axis): void {
  const { scope } = stage;
  const payload = new Payload(scope.levels, scope.memory, nest.stores.flatMap(storeScalars), vector, scope.rowLevel);
  payload.runLoops(
    nest.stores.map((s) => s.value),
    [firstPlace],
  );
  emitStores({ scope, nest, payload, vector }, nest.stores, firstPlace);
}

/** One point, whose terms the threads share. */
function foldPoint(stage: Stage, row: RowNest, threads: number): void {
  const { func, levels, lane, share } = stage;
  const width = row.vector ? vectorLanes : 1;
  const mine = accumulateTerms(stage, row, (red, body) => {
    if (red)
      levels.loop(red, loop.mul(lane, loop.i32(width)), stage.end(levels.size(red.extent)), threads * width, body);
    // A single term is folded once.
    else stage.once(body);
  });
  const wanted = wantedOf(row);
  const totals = row.nest.accumulators.map((acc, a) => foldGroup(func, acc, mine[a]!, wanted[a]!, share?.threads));
  storeOnce(
    stage,
    row.nest.stores.filter((s) => s.when === "end"),
    totals,
  );
}

/** Stores of values that all threads compute: to locals in each of them, to memory in one. */
function storeOnce(stage: Stage, stores: readonly Store[], totals: readonly (readonly LoopExpr[])[]): void {
  const { func, levels, memory } = stage;
  const payload = new Payload(levels, memory, stores.flatMap(storeScalars), undefined, stage.rowLevel);
  payload.setResults((node) => {
    if (node.kind === "carry") throw new Error("a carry outside a sequential nest");
    return totals[node.accumulator]![node.component]!;
  });
  payload.runLoops(
    stores.map((s) => s.value),
    [firstPlace],
  );
  const computed = stores.map((store) => ({
    store,
    value: func.let("out", payload.value(store.value)),
    inside: store.guard ? func.let("inside", payload.guard(store.guard)) : undefined,
  }));
  const outside = computed.filter(({ store }) => memory.local(store.buffer) === undefined);
  // Where values are also kept, no thread may overwrite what another has yet to read.
  if (outside.length > 0 && outside.length < computed.length) func.barrier();
  for (const { store, value } of computed) {
    const local = memory.local(store.buffer);
    if (local) func.assign(local, value);
  }
  if (outside.length === 0) return;
  stage.once(() => {
    for (const { store, value, inside } of outside) {
      const write = (): void => func.store(memory.pointer(store.buffer), payload.offset(store.index[0]!), value);
      if (inside) stage.when(inside, write);
      else write();
    }
  });
}
