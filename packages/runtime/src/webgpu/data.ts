/** Elements as they lie on a device: four bytes each, truth values as 0 or 1. */
import type { DType, TypedArray } from "@sinter/ir/program";

export const bytesPerElement = 4;

/** Bytes of a binding that covers `bytes`: shaders read and write 16 at a time. */
export function paddedBytes(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

/** Elements in the form of the device. Throws for f64, which no device has. */
export function toDevice(dtype: DType, data: ArrayLike<number>): Float32Array | Int32Array | Uint32Array {
  switch (dtype) {
    case "f32":
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case "i32":
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case "u32":
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case "bool":
      return Uint32Array.from(data, (value) => (value === 0 ? 0 : 1));
    case "f64":
      throw new Error("f64 is not available on webgpu; cast to f32");
    default:
      return dtype satisfies never;
  }
}

/** A copy of `length` elements that begin at byte `offset`. */
export function fromDevice(dtype: DType, bytes: ArrayBuffer, offset: number, length: number): TypedArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes, offset, length).slice();
    case "i32":
      return new Int32Array(bytes, offset, length).slice();
    case "u32":
      return new Uint32Array(bytes, offset, length).slice();
    case "bool":
      return Uint8Array.from(new Uint32Array(bytes, offset, length));
    case "f64":
      throw new Error("f64 is not available on webgpu; cast to f32");
    default:
      return dtype satisfies never;
  }
}
