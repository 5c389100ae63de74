/** Element types as a bundle stores them: a copy small enough to ship. */
import type { DType, TypedArray } from "@sinter/ir/program";

export const elementBytes: Readonly<Record<DType, number>> = { f32: 4, f64: 8, i32: 4, u32: 4, bool: 1 };

/** What holds the elements of each type. */
export const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array, bool: Uint8Array };

export function isDType(name: unknown): name is DType {
  return typeof name === "string" && Object.hasOwn(elementBytes, name);
}

/** A typed array over memory; copies nothing. */
export function viewOf(dtype: DType, buffer: ArrayBuffer, address: number, length: number): TypedArray {
  return new arrays[dtype](buffer, address, length);
}

/** Elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `f32[128,784]`. */
export function typeText(type: { readonly dtype: string; readonly shape: readonly unknown[] } | undefined): string {
  return type === undefined ? "missing" : `${type.dtype}[${type.shape.join()}]`;
}

/** What one memory can hold. */
export const memoryLimit = 2 ** 32;
