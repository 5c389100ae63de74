/** `fromGPUBuffer`: memory of the device that somebody else made, as a tensor. */

import { GpuBuffer } from "@sinter/runtime";
import { describeValue, ShapeError, SinterError, site } from "../errors.ts";
import { Lazy } from "../lazy.ts";
import { Spec } from "../spec.ts";
import { Tensor } from "../tensor.ts";
import { deviceBytes } from "./memory.ts";
import { checkDeviceType } from "./place.ts";
import { theGpu } from "./session.ts";

/** `GPUBufferUsage.COPY_SRC` and `STORAGE`, whose names Node does not have. */
const copySource = 0x04;
const storage = 0x80;

/**
 * A tensor whose elements are in `buffer`, which is not copied, freed or written: row-major from its start, four bytes for
 * each element (bool: 0 or 1), of the device that `ready("webgpu", { device })` was given. It needs the usages STORAGE and
 * COPY_SRC and, since programs read 16 bytes at a time, a size rounded up to a multiple of 16. What it holds when
 * a program runs is what that reads. Throws for a buffer that is too small, a spec with open sizes, f64, and before
 * `await ready("webgpu")`.
 */
export function fromGPUBuffer(buffer: GPUBuffer, spec: Spec): Tensor {
  if (!(spec instanceof Spec))
    throw new SinterError(`fromGPUBuffer: spec must be a spec, such as spec([32, 784]), not ${describeValue(spec)}`);
  const { size, usage } = (buffer ?? {}) as Partial<GPUBuffer>;
  if (typeof size !== "number" || typeof usage !== "number")
    throw new SinterError(`fromGPUBuffer: buffer must be a GPUBuffer, not ${describeValue(buffer)}`);
  const { machine } = theGpu();
  const lazy = new Lazy(spec.dtype, fixedShape(spec));
  checkDeviceType("fromGPUBuffer: the tensor", lazy);
  const needed = deviceBytes(lazy.shape);
  if (size < needed)
    throw new ShapeError(`fromGPUBuffer: ${spec} needs ${needed} bytes (a multiple of 16), but the buffer has ${size}`);
  if ((usage & storage) === 0 || (usage & copySource) === 0)
    throw new SinterError("fromGPUBuffer: buffer must have the usages GPUBufferUsage.STORAGE and COPY_SRC");
  lazy.gpu = new GpuBuffer({ buffer, bytes: size }, machine, { borrowed: true });
  return new Tensor(lazy, site(fromGPUBuffer));
}

function fixedShape(spec: Spec): readonly number[] {
  return spec.shape.map((size) => {
    if (typeof size !== "number") throw new ShapeError(`fromGPUBuffer: all sizes of ${spec} must be numbers`);
    return size;
  });
}
