/**
 * What the threads of a group have accumulated, folded into one: by folds over the whole group, or by a tree through
 * memory of the group where several results share it. Exact: NaN wins, of equal values the first position, and the order
 * of a sum does not vary.
 */
import type { Accumulator, LoopExpr, LoopPointer, ScalarType } from "@sinter/ir";
import { isFloat, loop } from "@sinter/ir";
import { currentValues, foldIn, isPair, type Running, startRunning } from "@sinter/ir/schedule";

const greatest = 0x7fffffff;
const least = -0x80000000;

/** Whether a fold picks the greatest: `max` and `argMax`. */
const upwards = (acc: Accumulator): boolean => acc.combine === "max" || acc.combine === "argMax";

/**
 * A float's bits as an integer in the order of floats: positive ones as they are, the others with all bits but the sign
 * flipped. NaN lies beyond the infinity that the fold looks for.
 */
function orderedBits(acc: Accumulator, value: LoopExpr): LoopExpr {
  const raw = loop.bitcast(value, "i32");
  // The positions of pairs decide between the two zeros, which are equal.
  const bits = isPair(acc.combine) ? loop.select(loop.eq(raw, loop.i32(least)), loop.i32(0), raw) : raw;
  const nan = loop.i32(upwards(acc) ? greatest : least);
  return loop.select(loop.op("isNaN", value), nan, flipped(bits));
}

/** Its own inverse. */
function flipped(bits: LoopExpr): LoopExpr {
  return loop.op("xor", bits, loop.and(loop.op("shr", bits, loop.i32(31)), loop.i32(greatest)));
}

/**
 * The accumulator's components over all threads, the same in each of them. `wanted`: components that somebody reads; a
 * pair whose value nobody reads saves a fold. `threads`: each so many neighbours fold what is theirs; all of the group
 * where it is undefined.
 */
export function foldGroup(
  func: loop.FuncBuilder,
  acc: Accumulator,
  values: readonly LoopExpr[],
  wanted: ReadonlySet<number>,
  threads?: number,
): LoopExpr[] {
  const value = func.let("mine", values[0]!);
  const fold: Fold = (name, op, mine) => func.groupFold(name, op, mine, threads);
  if (isPair(acc.combine)) return foldPairs(func, fold, acc, value, values[1]!, wanted);
  if (acc.dtype === "bool") {
    const either = acc.combine === "max" || acc.combine === "or" || acc.combine === "add";
    const folded = fold("total", either ? "or" : "and", loop.cast(value, "i32"));
    return [func.let("total", loop.op("ne", folded, loop.i32(0)))];
  }
  if (isFloat(acc.dtype) && (acc.combine === "max" || acc.combine === "min")) {
    const folded = fold("extreme", acc.combine, func.let("ordered", orderedBits(acc, value)));
    return [func.let("total", loop.bitcast(flipped(folded), acc.dtype))];
  }
  return [fold("total", acc.combine, value)];
}

type Fold = (name: string, op: string, value: LoopExpr) => LoopExpr;

/** The best value first, then the first position that has it, then its bits, which only the thread that has it gives. */
function foldPairs(
  func: loop.FuncBuilder,
  fold: Fold,
  acc: Accumulator,
  value: LoopExpr,
  position: LoopExpr,
  wanted: ReadonlySet<number>,
): LoopExpr[] {
  const at = func.let("position", position);
  const float = isFloat(acc.dtype);
  const bool = acc.dtype === "bool";
  const key = func.let("ordered", float ? orderedBits(acc, value) : bool ? loop.cast(value, "i32") : value);
  const best = fold("best", upwards(acc) ? "max" : "min", key);
  const first = fold("first", "min", loop.select(loop.eq(key, best), at, loop.i32(greatest)));
  if (!wanted.has(0)) return [value, first];
  if (!float) return [bool ? loop.op("ne", best, loop.i32(0)) : best, first];
  const wins = loop.and(loop.eq(key, best), loop.eq(at, first));
  const bits = fold("bits", "or", loop.select(wins, loop.bitcast(value, "i32"), loop.i32(0)));
  return [func.let("total", loop.bitcast(bits, acc.dtype)), first];
}

/** Types of an accumulator's components. */
export function componentTypes(acc: Accumulator): readonly ScalarType[] {
  return isPair(acc.combine) ? [acc.dtype, "i32"] : [acc.dtype];
}

/** Threads of one result: `lane` of `lanes` (a power of two), and the `slot` of a lane in the memory of the group. */
export interface FoldPlace {
  readonly lane: LoopExpr;
  readonly lanes: number;
  readonly slot: (lane: LoopExpr) => LoopExpr;
  readonly slots: number;
}

/**
 * Folds lane by lane: afterwards the running values of lane 0 hold what all lanes of its result, or of its vector of
 * results, have accumulated.
 */
export function foldTree(
  func: loop.FuncBuilder,
  accumulators: readonly Accumulator[],
  values: readonly (readonly LoopExpr[])[],
  place: FoldPlace,
): LoopExpr[][] {
  const width = values[0]![0]!.type.lanes;
  const slot = (lane: LoopExpr): LoopExpr => loop.mul(place.slot(lane), loop.i32(width));
  const arrays = accumulators.map((acc, a): LoopPointer[] =>
    componentTypes(acc).map((dtype, c) => func.array(`fold${a}_${c}`, dtype, width * place.slots, "workgroup")),
  );
  const running = accumulators.map((acc, a): Running => {
    const start = startRunning(func, acc, `lane${a}`, width);
    func.assign(start.value, values[a]![0]!);
    if (start.at) func.assign(start.at, values[a]![1]!);
    if (start.nan) func.assign(start.nan, loop.op("isNaN", values[a]![0]!));
    return start;
  });
  const mine = func.let("slot", slot(place.lane));
  const publish = (): void =>
    running.forEach((r, a) => {
      currentValues(r).forEach((value, c) => void func.store(arrays[a]![c]!, mine, value));
    });
  publish();
  for (let step = place.lanes / 2; step >= 1; step /= 2) {
    func.barrier();
    func.if(loop.lt(place.lane, loop.i32(step)), () => {
      const other = func.let("other", slot(loop.add(place.lane, loop.i32(step))));
      accumulators.forEach((acc, a) => {
        foldIn(
          func,
          acc,
          running[a]!,
          arrays[a]!.map((array) => func.let("theirs", loop.load(array, other, width))),
        );
      });
      if (step > 1) publish();
    });
  }
  return running.map((r) => currentValues(r).map((value) => func.let("total", value)));
}
