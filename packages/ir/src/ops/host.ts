/** Host tensors element by element: what the `eval` of ops is written in. Slow and obvious on purpose. */
import type { HostTensor } from "../define-op.ts";
import { allocate, type DType, roundTo } from "../dtype.ts";
import type { TensorType } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";
import { staticDim } from "../nest/index-algebra.ts";

export const staticShape = (shape: readonly Dim[]): number[] => shape.map(staticDim);
export const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Row-major offset of a position. */
export function offsetOf(shape: readonly number[], index: readonly number[]): number {
  let offset = 0;
  for (let i = 0; i < shape.length; i++) offset = offset * shape[i]! + index[i]!;
  return offset;
}

/** Calls `visit` for every position of a shape, in row-major order. The array passed is reused. */
export function eachIndex(shape: readonly number[], visit: (index: readonly number[], offset: number) => void): void {
  const count = product(shape);
  const index = shape.map(() => 0);
  for (let offset = 0; offset < count; offset++) {
    visit(index, offset);
    for (let i = shape.length - 1; i >= 0; i--) {
      index[i]!++;
      if (index[i]! < shape[i]!) break;
      index[i] = 0;
    }
  }
}

export function element(x: HostTensor, index: readonly number[]): number {
  return x.data[offsetOf(x.shape, index)]!;
}

/** A tensor from its elements, each rounded to the dtype. */
export function hostTensor(
  dtype: DType,
  shape: readonly number[],
  at: (index: readonly number[], offset: number) => number,
): HostTensor {
  const data = allocate(dtype, product(shape));
  eachIndex(shape, (index, offset) => {
    data[offset] = roundTo(dtype, at(index, offset));
  });
  return { dtype, shape, data };
}

export function hostOf(type: TensorType, at: (index: readonly number[], offset: number) => number): HostTensor {
  return hostTensor(type.dtype, staticShape(type.shape), at);
}

export const clamp = (value: number, lo: number, hi: number): number => Math.max(lo, Math.min(hi, value));
