/** How far results of one op may differ between backends, and whether two numbers are that close. */
import type { HostTensor, OpDef } from "./define-op.ts";
import { type DType, isFloat } from "./dtype.ts";
import type { Attrs, TensorType } from "./graph.ts";
import { staticDim } from "./nest/index-algebra.ts";

/** How far two results may differ. Nothing given: bit for bit, except that any NaN equals any NaN. */
export interface Tolerance {
  /** In units in the last place of the expected value. */
  readonly ulp?: number;
  readonly relative?: number;
  readonly absolute?: number;
}

/**
 * Ulp as promised; sums and products of several terms may be taken in any order. `largest`: the size of the largest
 * term.
 */
export function toleranceOf(
  op: OpDef,
  attrs: Attrs,
  operands: readonly TensorType[],
  results: readonly TensorType[],
  largest: number,
): Tolerance {
  const type = results[0]!;
  if (op.ulp === 0 || !isFloat(type.dtype)) return {};
  const ctx = { attrs, operands, results };
  if (op.nest.kind === "map") return { ulp: op.ulp };
  const terms =
    op.nest.kind === "reduce"
      ? op.nest.red(ctx).reduce<number>((n, d) => n * staticDim(d), 1)
      : Math.max(1, ...operands.flatMap((o) => o.shape.map(staticDim)));
  const epsilon = type.dtype === "f64" ? 2 ** -53 : 2 ** -24;
  // Errors of a sum add up like a random walk.
  const error = 4 * op.ulp * Math.sqrt(terms) * epsilon;
  return { absolute: largest * error, relative: error, ulp: op.ulp };
}

/** The smallest normal number of f32. */
const tiny = 2 ** -126;
const dividing: ReadonlySet<string> = new Set(["div", "rem", "sqrt", "rsqrt", "reciprocal"]);
const adding: ReadonlySet<string> = new Set(["add", "sub"]);

/** Whether a result is rounded otherwise than correctly on WebGPU for being a quotient or a root. */
export function isDivision(op: OpDef): boolean {
  return dividing.has(op.name);
}

/**
 * How far a result on WebGPU may be from the reference evaluation, given what the op promises elsewhere (WebGPU Shading
 * Language, 15.7.4 "Floating point accuracy"):
 *
 * - A quotient is within 2.5 ulp, a root as good as a quotient by an inverse root (2 ulp).
 * - What is too small for a normal number may be zero, and the sign of a zero may be lost.
 * - A sum may be fused with the product that it adds, which is not rounded then: `largest` is the largest of its operands.
 */
export function toleranceOnGpu(op: OpDef, result: TensorType, promised: Tolerance, largest = 0): Tolerance {
  if (!isFloat(result.dtype)) return promised;
  const more = isDivision(op) || op.ulp > 0 ? 5 : 0;
  const fused = adding.has(op.name) ? largest * 2 ** -23 : 0;
  return {
    ...promised,
    absolute: Math.max(promised.absolute ?? 0, tiny, fused),
    ulp: (promised.ulp ?? 0) + more,
  };
}

/** The size of the largest term that an op may add up: products of operands where it multiplies them. */
export function largestTerm(op: OpDef, operands: readonly HostTensor[]): number {
  const sizes = operands.filter((operand) => isFloat(operand.dtype)).map(largestOf);
  if (op.derivative.kind === "multilinear") return sizes.reduce((product, size) => product * size, 1);
  return Math.max(0, ...sizes);
}

/** The largest finite absolute value. */
export function largestOf({ data }: HostTensor): number {
  let largest = 0;
  for (const x of data) {
    const size = Math.abs(x);
    if (size > largest && Number.isFinite(size)) largest = size;
  }
  return largest;
}

export function closeEnough(x: number, y: number, dtype: DType, tolerance: Tolerance): boolean {
  if (Object.is(x, y)) return true;
  const { ulp = 0, relative = 0, absolute = 0 } = tolerance;
  const exact = ulp === 0 && relative === 0 && absolute === 0;
  if (exact || !isFloat(dtype) || Number.isNaN(x) || Number.isNaN(y)) return x === y && !isFloat(dtype);
  if (x === y) return true;
  if (Number.isFinite(x) && Number.isFinite(y) && Math.abs(x - y) <= absolute + relative * Math.abs(y)) return true;
  return ulpDistance(x, y, dtype) <= ulp;
}

/** Number of representable values between two numbers; infinite where one is NaN. */
export function ulpDistance(x: number, y: number, dtype: DType): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return Object.is(x, y) ? 0 : Number.POSITIVE_INFINITY;
  if (!isFloat(dtype)) return Math.abs(x - y);
  if (dtype === "f32") {
    const bits = new Int32Array(new Float32Array([x, y]).buffer);
    const ordered = (b: number): number => (b < 0 ? -(b & 0x7fffffff) : b);
    return Math.abs(ordered(bits[0]!) - ordered(bits[1]!));
  }
  const bits = new BigInt64Array(new Float64Array([x, y]).buffer);
  const ordered = (b: bigint): bigint => (b < 0n ? -(b & 0x7fffffffffffffffn) : b);
  const distance = ordered(bits[0]!) - ordered(bits[1]!);
  return Number(distance < 0n ? -distance : distance);
}
