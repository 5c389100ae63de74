/** How accumulators start, fold in a value, and fold together: on any number of lanes, pairs (argMax) included. */
import type { Accumulator, Combine, LoopExpr, LoopOp, LoopVar } from "@sinter/ir";
import { combineIdentity, isFloat, loop } from "@sinter/ir";

/** The running value: one variable, or value and position for the pair combiners. */
export type Running = readonly LoopVar[];

export function isPair(combine: Combine): combine is "argMax" | "argMin" {
  return combine === "argMax" || combine === "argMin";
}

export function startRunning(func: loop.FuncBuilder, acc: Accumulator, name: string, lanes: number): Running {
  const value = func.local(name, loop.constant(acc.dtype, combineIdentity(acc.combine, acc.dtype), lanes));
  return isPair(acc.combine) ? [value, func.local(`${name}at`, loop.constant("i32", 0, lanes))] : [value];
}

/** One value with another: bool `max` is or, bool `min` is and. */
export function combineValues(combine: Combine, a: LoopExpr, b: LoopExpr): LoopExpr {
  const bool = a.type.scalar === "bool";
  const name = combine === "max" && bool ? "or" : combine === "min" && bool ? "and" : combine;
  return loop.op(name as LoopOp, a, b);
}

/** running = running (combine) values */
export function foldIn(func: loop.FuncBuilder, acc: Accumulator, running: Running, values: readonly LoopExpr[]): void {
  const [into, at] = running;
  const current = loop.use(into!);
  const value = values[0]!;
  if (!at) {
    // A sum of products folds with one rounding where the machine has it: reductions may reassociate and contract.
    const product = acc.combine === "add" && isFloat(acc.dtype) && value.kind === "op" && value.op === "mul";
    func.assign(
      into!,
      product ? loop.fma(value.args[0]!, value.args[1]!, current) : combineValues(acc.combine, current, value),
    );
    return;
  }
  const fresh = func.let("candidate", value);
  const position = func.let("position", values[1]!);
  const wins = func.let("wins", better(acc, fresh, position, current, loop.use(at)));
  func.assign(into!, loop.select(wins, fresh, current));
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
    for (let i = 0; half + i < left.length; i++) foldIn(func, acc, left[i]!, left[half + i]!.map(loop.use));
    left = left.slice(0, half);
  }
  return left[0]!;
}

/** The lanes folded into one value (and position). */
export function foldLanes(func: loop.FuncBuilder, acc: Accumulator, running: Running): readonly LoopExpr[] {
  const [value, at] = running;
  if (value!.type.lanes === 1) return running.map(loop.use);
  if (!at) {
    const bool = acc.dtype === "bool";
    const name = acc.combine === "max" && bool ? "or" : acc.combine === "min" && bool ? "and" : acc.combine;
    return [loop.fold(name as LoopOp, loop.use(value!))];
  }
  const best = startRunning(func, acc, "best", 1);
  func.assign(best[0]!, loop.lane(loop.use(value!), 0));
  func.assign(best[1]!, loop.lane(loop.use(at), 0));
  for (let i = 1; i < value!.type.lanes; i++)
    foldIn(func, acc, best, [loop.lane(loop.use(value!), i), loop.lane(loop.use(at), i)]);
  return best.map(loop.use);
}
