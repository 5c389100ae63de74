/**
 * How far results on WebGPU may be from the reference evaluation. Of one op it is what `verify` allows there, and what is
 * written at `toleranceOnGpu`; integers and bools are exact. Here is what is allowed of graphs.
 */
import { isFloat, type OpDef, type TensorType } from "@sinter/ir";
import type { Tolerance } from "./random.ts";

export { isDivision, toleranceOnGpu as onGpu } from "@sinter/ir";

/** The smallest normal number of f32: what is smaller may be flushed to zero, whose sign may be lost. */
const tiny = 2 ** -126;

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
