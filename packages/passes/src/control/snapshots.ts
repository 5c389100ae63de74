/**
 * Brings back the carries of a loop from the last round to the first in constant memory: a stack of snapshots of the
 * carry, from which the loop runs forward again. Which rounds to keep is the binomial schedule of Griewank and Walther
 * (Algorithm 799: revolve), the best there is for a given number of snapshots: with 32 of them every round is run again
 * at most twice for 561 rounds, 3 times for 6,545, 4 times for 58,905 and 5 times for 435,897, before its own
 * recomputation on the way back.
 */
import {
  type Builder,
  emit,
  type Graph,
  inlineGraph,
  type TensorType,
  tensorType,
  typeOf,
  type Value,
} from "@sinter/ir";
import { filled } from "../calculus.ts";
import { buildRegion } from "./region-op.ts";
import { addParams, namesOf } from "./transforms.ts";

/** How many carries are kept at a time. */
export const snapshotCount = 32;

/** A while, on its operands. */
export interface Loop {
  readonly op: string;
  readonly captures: readonly Value[];
  readonly init: readonly Value[];
  readonly test: Graph;
  readonly body: Graph;
}

/** Where the way back finds what was carried into a round; it asks for rounds in descending order, down to 0. */
export interface Snapshots {
  /** What the loop that goes back captures besides the captures of the loop itself. */
  readonly captures: readonly Value[];
  /** What it carries. */
  readonly init: readonly Value[];
  before(
    c: Builder,
    round: Value,
    captures: readonly Value[],
    given: readonly Value[],
    kept: readonly Value[],
  ): { readonly carry: readonly Value[]; readonly kept: readonly Value[] };
}

/** A stack that holds the first round's carry. It carries its top, the round of each entry, and the entries. */
export function startSnapshots(b: Builder, loop: Loop): Snapshots {
  const zero = b.scalar("i32", 0);
  const rounds = filled(b, tensorType("i32", [snapshotCount]), 0);
  const entries = loop.init.map((value) => writeAt(b, stackFor(b, typeOf(value), snapshotCount), value, zero));
  return {
    captures: [],
    init: [zero, rounds, ...entries],
    before(c, round, captures, _, kept) {
      const [top, at, ...stacks] = climb(c, loop, captures, round, kept) as [Value, Value, ...Value[]];
      const found = readAt(c, at, top);
      const start = stacks.map((stack) => readAt(c, stack, top));
      const carry = advance(c, loop, captures, start, emit.sub(c, round, found));
      // The entry of this round has served: earlier rounds start from earlier entries.
      const served = emit.cast(c, emit.equal(c, found, round), "i32");
      return { carry, kept: [emit.sub(c, top, served), at, ...stacks] };
    },
  };
}

/** Adds entries until the top one is that of `round`, or none is free. */
function climb(
  b: Builder,
  loop: Loop,
  captures: readonly Value[],
  round: Value,
  kept: readonly Value[],
): readonly Value[] {
  const given = [...captures, round];
  const names = [...captureNames(loop), "goal"];
  const keptNames = ["top", "rounds", ...loop.init.map(() => "snapshots")];
  const last = (c: Builder): Value => c.scalar("i32", snapshotCount - 1);
  const test = buildRegion(b, "climbs", (c) => {
    const goal = addParams(c, given, names).at(-1)!;
    const [top, at] = addParams(c, kept, keptNames) as [Value, Value];
    return [emit.and(c, emit.less(c, top, last(c)), emit.less(c, readAt(c, at, top), goal))];
  });
  const body = buildRegion(b, "climb", (c) => {
    const fixed = addParams(c, given, names);
    const [top, at, ...stacks] = addParams(c, kept, keptNames) as [Value, Value, ...Value[]];
    const from = readAt(c, at, top);
    const distance = emit.sub(c, fixed.at(-1)!, from);
    const steps = stride(c, loop, distance, emit.sub(c, c.scalar("i32", snapshotCount), top));
    const start = stacks.map((stack) => readAt(c, stack, top));
    const carry = advance(c, loop, fixed.slice(0, captures.length), start, steps);
    const next = oneMore(c, top);
    return [
      next,
      writeAt(c, at, emit.add(c, from, steps), next),
      ...stacks.map((stack, i) => writeAt(c, stack, carry[i]!, next)),
    ];
  });
  return b.emitRegion(loop.op, { captures: given, init: kept }, {}, [test, body]);
}

/**
 * How far from the top entry to put the next one, for `distance` rounds and `free` entries, the top one included. With s
 * entries and each round run again at most r times, `binomial(s + r, s)` rounds can be gone back: for the least r that
 * is enough, the next entry is as far away as the entries up to it can go back with r - 1.
 */
function stride(b: Builder, loop: Loop, distance: Value, free: Value): Value {
  const [one, first] = [b.scalar("f32", 1), b.scalar("f32", 0)];
  const given = [emit.cast(b, oneMore(b, distance), "f32"), emit.cast(b, free, "f32")];
  const init = [first, one, one];
  const names = ["distance", "free"];
  const carryNames = ["runs", "before", "reach"];
  const test = buildRegion(b, "short", (c) => {
    const [rounds] = addParams(c, given, names);
    const [, , reach] = addParams(c, init, carryNames);
    return [emit.less(c, reach!, rounds!)];
  });
  const body = buildRegion(b, "reach", (c) => {
    const [, entries] = addParams(c, given, names);
    const [r, , reach] = addParams(c, init, carryNames);
    const next = emit.add(c, r!, c.scalar("f32", 1));
    return [next, reach!, emit.div(c, emit.mul(c, reach!, emit.add(c, entries!, next)), next)];
  });
  const [, reach] = b.emitRegion(loop.op, { captures: given, init }, {}, [test, body]);
  // Rounding only moves the entry: it stays between the top one and the goal.
  const steps = emit.minimum(b, reach!, emit.cast(b, distance, "f32"));
  return emit.maximum(b, emit.minimum(b, emit.cast(b, steps, "i32"), distance), b.scalar("i32", 1));
}

/** Runs the body `steps` times; the rounds are known to take place. */
function advance(
  b: Builder,
  loop: Loop,
  captures: readonly Value[],
  start: readonly Value[],
  steps: Value,
): readonly Value[] {
  const given = [...captures, steps];
  const init = [b.scalar("i32", 0), ...start];
  const names = [...captureNames(loop), "steps"];
  const carryNames = ["done", ...namesOf(loop.body).slice(captures.length)];
  const test = buildRegion(b, "advances", (c) => {
    const limit = addParams(c, given, names).at(-1)!;
    const [done] = addParams(c, init, carryNames);
    return [emit.less(c, done!, limit)];
  });
  const body = buildRegion(b, loop.body.name, (c) => {
    const fixed = addParams(c, given, names).slice(0, captures.length);
    const [done, ...carry] = addParams(c, init, carryNames) as [Value, ...Value[]];
    return [oneMore(c, done), ...inlineGraph(c, loop.body, [...fixed, ...carry])];
  });
  return b.emitRegion(loop.op, { captures: given, init }, {}, [test, body]).slice(1);
}

function captureNames(loop: Loop): readonly string[] {
  return namesOf(loop.body).slice(0, loop.captures.length);
}

/** Room for `count` values of a type. */
export function stackFor(b: Builder, type: TensorType, count: number): Value {
  return filled(b, tensorType(type.dtype, [count, ...type.shape]), 0);
}

export function readAt(b: Builder, stack: Value, position: Value): Value {
  const [, ...shape] = typeOf(stack).shape;
  const starts = [position, ...shape.map(() => b.scalar("i32", 0))];
  return emit.reshape(b, emit.dynamicSlice(b, stack, starts, [1, ...shape]), shape);
}

/** In place where the stack is carried by a loop. */
export function writeAt(b: Builder, stack: Value, value: Value, position: Value): Value {
  const { shape } = typeOf(value);
  const starts = [position, ...shape.map(() => b.scalar("i32", 0))];
  return emit.dynamicUpdateSlice(b, stack, emit.reshape(b, value, [1, ...shape]), starts);
}

export function oneMore(b: Builder, count: Value): Value {
  return emit.add(b, count, b.scalar("i32", 1));
}
