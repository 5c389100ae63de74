/**
 * How far results on WebGPU may be from the reference evaluation: the one place that says so, and why.
 *
 * - Sums, differences, products, conversions and comparisons of f32 are rounded correctly, as on wasm. A result too small
 *   for a normal number may be flushed to zero, and the sign of a zero may be lost: hence `tiny`.
 * - WGSL promises a quotient within 2.5 ulp, and a root as a quotient by an inverse root (2 ulp): `divided` for what is one,
 *   on top of what its op promises elsewhere for what is made with one.
 * - Integers and bools are exact.
 *
 * (WebGPU Shading Language, 15.7.4 "Floating point accuracy".)
 */
import { isFloat, type OpDef, type TensorType } from "@sinter/ir";
import type { Tolerance } from "./random.ts";

/** The smallest normal number of f32. */
const tiny = 2 ** -126;
const divided = 5;

const dividing = new Set(["div", "rem", "sqrt", "rsqrt", "reciprocal"]);
/** Whether a result is rounded otherwise than correctly for being a quotient or a root. */
export const isDivision = (op: OpDef): boolean => dividing.has(op.name);

/** Of one op, given what it promises on every backend. */
export function onGpu(op: OpDef, result: TensorType, promised: Tolerance): Tolerance {
  if (!isFloat(result.dtype)) return promised;
  const more = isDivision(op) || op.ulp > 0 ? divided : 0;
  return { ...promised, absolute: Math.max(promised.absolute ?? 0, tiny), ulp: (promised.ulp ?? 0) + more };
}

/** Of graphs whose ops round correctly. */
export const exactOnGpu: Tolerance = { absolute: tiny };

/**
 * Of graphs that add and multiply floats several times, each time rounding correctly: WGSL lets a compiler take the terms
 * in another order, and fuse a product with a sum.
 */
export const reorderedOnGpu: Tolerance = { ulp: 4, relative: 1e-6, absolute: 1e-5 };

const reordered = new Set(["add", "sub", "mul"]);
export const isReordered = (op: OpDef, result: TensorType): boolean => reordered.has(op.name) && isFloat(result.dtype);

/** Of graphs of any ops: sums are taken in another order, and what cancels is only as near as what it came from. */
export const nearOnGpu: Tolerance = { ulp: 64, relative: 2e-4, absolute: 2e-4 };
