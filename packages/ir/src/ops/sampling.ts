/** What the samplers of ops share: operands with ranges, dtypes, axes, factorings of a size. */
import type { Rng, SampledOperand } from "../define-op.ts";
import type { DType } from "../dtype.ts";
import { range } from "../emit.ts";
import { tensorType } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";

/** An operand of plain values: -4..4, never below zero for u32, 0 or 1 for bool. */
export function plain(dtype: DType, shape: readonly Dim[], extra: Partial<SampledOperand> = {}): SampledOperand {
  const lo = dtype === "u32" || dtype === "bool" ? 0 : -4;
  return { type: tensorType(dtype, shape), lo, hi: dtype === "bool" ? 1 : 4, ...extra };
}

/** Floats most of the time, since their paths are the ones that differ. */
export const anyDType = (rng: Rng): DType => rng.pick(["f32", "f32", "f64", "i32", "u32", "bool"]);
export const numericDType = (rng: Rng): DType => rng.pick(["f32", "f32", "f64", "i32", "u32"]);

/** A random subset of 0..rank-1, ascending. */
export const someAxes = (rng: Rng, rank: number): number[] => range(rank).filter(() => rng.bool());

export function shuffled<T>(rng: Rng, items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = rng.int(0, i);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** A shape with as many elements as `count`, of random rank. */
export function factored(rng: Rng, count: number): number[] {
  const out: number[] = [];
  let rest = count;
  while (rest > 1 && out.length < 3) {
    const divisors = range(Math.min(rest, 64) + 1).filter((d) => d > 0 && rest % d === 0);
    const d = rng.pick(divisors);
    out.push(d);
    rest /= d;
  }
  if (rest > 1 || count === 0) out.push(rest);
  if (rng.bool()) out.splice(rng.int(0, out.length), 0, 1);
  return out;
}
