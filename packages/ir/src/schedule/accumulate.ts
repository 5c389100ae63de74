/** How accumulators start, fold in a value, and fold together: on any number of lanes, pairs (argMax) included. */
import type { Accumulator, Combine, LoopExpr, LoopOp, LoopVar } from "../index.ts";
import { combineIdentity, isFloat, loop } from "../index.ts";

/** The running value of an accumulator. */
export interface Running {
  readonly value: LoopVar;
  /** Position of the value, for the pair combiners. */
  readonly at?: LoopVar;
  /** Lanes that have met a NaN: vector `max` and `min` of floats fold without NaN, see `tracksNaN`. */
  readonly nan?: LoopVar;
}

export function isPair(combine: Combine): combine is "argMax" | "argMin" {
  return combine === "argMax" || combine === "argMin";
}

/**
 * IEEE maximum is about eight instructions on x64, of which NaN and the sign of zero take seven. A loop over vectors folds
 * with one comparing instruction instead and notes NaNs beside it; which of two zeros it keeps is open: the op's own rule makes a zero positive.
 */
function tracksNaN(acc: Accumulator, lanes: number): boolean {
  return lanes > 1 && isFloat(acc.dtype) && (acc.combine === "max" || acc.combine === "min");
}

export function startRunning(func: loop.FuncBuilder, acc: Accumulator, name: string, lanes: number): Running {
  const value = func.local(name, loop.constant(acc.dtype, combineIdentity(acc.combine, acc.dtype), lanes));
  if (isPair(acc.combine)) return { value, at: func.local(`${name}at`, loop.constant("i32", 0, lanes)) };
  if (tracksNaN(acc, lanes)) return { value, nan: func.local(`${name}nan`, loop.constant("bool", 0, lanes)) };
  return { value };
}

/** Local variables that a running value takes. */
export function variablesOf(acc: Accumulator, lanes: number): number {
  return isPair(acc.combine) || tracksNaN(acc, lanes) ? 2 : 1;
}

/** What a running value stands for: the value, and the position of a pair. */
export function currentValues(running: Running): LoopExpr[] {
  const value = loop.use(running.value);
  if (running.at) return [value, loop.use(running.at)];
  if (!running.nan) return [value];
  const { scalar, lanes } = value.type;
  return [loop.select(loop.use(running.nan), loop.constant(scalar, Number.NaN, lanes), value)];
}

/** One value with another: bool `max` is or, bool `min` is and. */
export function combineValues(combine: Combine, a: LoopExpr, b: LoopExpr): LoopExpr {
  const bool = a.type.scalar === "bool";
  const name = combine === "max" && bool ? "or" : combine === "min" && bool ? "and" : combine;
  return loop.op(name as LoopOp, a, b);
}

/** running = running (combine) values */
export function foldIn(func: loop.FuncBuilder, acc: Accumulator, running: Running, values: readonly LoopExpr[]): void {
  const current = loop.use(running.value);
  if (running.at) {
    foldPair(func, acc, running.value, running.at, values);
    return;
  }
  if (running.nan) {
    const value = func.let("candidate", values[0]!);
    func.assign(running.value, extreme(acc, current, value));
    func.assign(running.nan, loop.op("or", loop.use(running.nan), loop.op("isNaN", value)));
    return;
  }
  const value = values[0]!;
  // A sum of products folds with one rounding where the machine has it: reductions may reassociate and contract.
  const product = acc.combine === "add" && isFloat(acc.dtype) && value.kind === "op" && value.op === "mul";
  func.assign(
    running.value,
    product ? loop.fma(value.args[0]!, value.args[1]!, current) : combineValues(acc.combine, current, value),
  );
}

/** The larger (smaller) of two values, the first where the second is NaN. */
function extreme(acc: Accumulator, a: LoopExpr, b: LoopExpr): LoopExpr {
  return loop.op(acc.combine === "max" ? "pmax" : "pmin", a, b);
}

function foldPair(
  func: loop.FuncBuilder,
  acc: Accumulator,
  into: LoopVar,
  at: LoopVar,
  values: readonly LoopExpr[],
): void {
  const fresh = func.let("candidate", values[0]!);
  const position = func.let("position", values[1]!);
  const wins = func.let("wins", better(acc, fresh, position, loop.use(into), loop.use(at)));
  func.assign(into, loop.select(wins, fresh, loop.use(into)));
  func.assign(at, loop.select(wins, position, loop.use(at)));
}

/** Whether pair (a, p) beats (b, q): the extreme value, NaN before all, then the lower position. */
function better(acc: Accumulator, a: LoopExpr, p: LoopExpr, b: LoopExpr, q: LoopExpr): LoopExpr {
  const beyond = loop.op(acc.combine === "argMax" ? "gt" : "lt", a, b);
  const earlier = loop.lt(p, q);
  const tie = loop.and(loop.eq(a, b), earlier);
  if (!isFloat(acc.dtype)) return loop.op("or", beyond, tie);
  const [nanA, nanB] = [loop.op("isNaN", a), loop.op("isNaN", b)];
  const nanWins = loop.and(nanA, loop.op("or", loop.not(nanB), earlier));
  return loop.op("or", loop.op("or", beyond, tie), nanWins);
}

/** Folds the unrolled copies into the first, pairwise. */
export function foldCopies(func: loop.FuncBuilder, acc: Accumulator, copies: readonly Running[]): Running {
  let left = [...copies];
  while (left.length > 1) {
    const half = Math.ceil(left.length / 2);
    for (let i = 0; half + i < left.length; i++) join(func, acc, left[i]!, left[half + i]!);
    left = left.slice(0, half);
  }
  return left[0]!;
}

function join(func: loop.FuncBuilder, acc: Accumulator, into: Running, other: Running): void {
  if (!into.nan || !other.nan) {
    foldIn(func, acc, into, currentValues(other));
    return;
  }
  func.assign(into.value, extreme(acc, loop.use(into.value), loop.use(other.value)));
  func.assign(into.nan, loop.op("or", loop.use(into.nan), loop.use(other.nan)));
}

/** The lanes folded into one value (and position). */
export function foldLanes(func: loop.FuncBuilder, acc: Accumulator, running: Running): readonly LoopExpr[] {
  const [value, at] = currentValues(running) as [LoopExpr, LoopExpr | undefined];
  if (value.type.lanes === 1) return currentValues(running);
  if (!at) {
    const bool = acc.dtype === "bool";
    const name = acc.combine === "max" && bool ? "or" : acc.combine === "min" && bool ? "and" : acc.combine;
    return [loop.fold(name as LoopOp, value)];
  }
  const best = startRunning(func, acc, "best", 1);
  func.assign(best.value, loop.lane(value, 0));
  func.assign(best.at!, loop.lane(at, 0));
  for (let i = 1; i < value.type.lanes; i++) foldIn(func, acc, best, [loop.lane(value, i), loop.lane(at, i)]);
  return currentValues(best);
}
