/** Multiplication by a partial derivative, in terms of how the partial was made. */
import type { Emitter, MaybeValue } from "../define-op.ts";
import { dtypeOf, rankOf } from "../emit.ts";
import type { Value } from "../graph.ts";
import { constantNumber, uniformOf } from "./rules.ts";

/**
 * `value * partial`, as a derivative: a partial of 1 or -1 costs no multiplication, a partial of 0 gives zero whatever
 * the value, and a partial that selects (relu, max, where) selects the value, so that what the untaken side holds,
 * infinite or NaN, does not leak into the gradient as `0 * inf`.
 */
export function scale(b: Emitter, value: Value, partial: Value): MaybeValue {
  const factor = uniformFactor(b, partial);
  if (factor !== undefined) {
    const number = constantNumber(b, factor);
    if (number === 0) return null;
    if (number === 1) return value;
    if (number === -1) return b.emit("neg", [value]);
    if (factor !== partial) return scale(b, value, factor);
    return b.emit("mul", [value, factor]);
  }
  const made = b.definition(partial);
  if (made?.op === "neg") {
    const scaled = scale(b, value, made.operands[0]!);
    return scaled === null ? null : b.emit("neg", [scaled]);
  }
  if (made?.op === "reciprocal") return b.emit("div", [value, made.operands[0]!]);
  if (made?.op === "select" && made.operands.slice(1).some((side) => constantNumber(b, side) !== undefined)) {
    const dtype = dtypeOf(value);
    const [condition, yes, no] = made.operands as readonly [Value, Value, Value];
    const [a, c] = [scale(b, value, yes), scale(b, value, no)];
    if (a === null && c === null) return null;
    return b.emit("select", [condition, a ?? b.scalar(dtype, 0), c ?? b.scalar(dtype, 0)]);
  }
  return b.emit("mul", [value, partial]);
}

/** The rank-0 value that `value` holds everywhere, where it is one or a broadcast of one. */
function uniformFactor(b: Emitter, value: Value): Value | undefined {
  return rankOf(value) === 0 ? value : uniformOf(b, value);
}
