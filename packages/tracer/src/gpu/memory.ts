/** Memory on the GPU for eager values: fresh for results, copies of what lies in the heap. */
import { GpuBuffer, theMachine } from "@sinter/runtime";
import { describe, ShapeError } from "../errors.ts";
import { Lazy, sizeOf } from "../lazy.ts";
import { check } from "../piece.ts";
import { checkDeviceType } from "./place.ts";
import { theGpu } from "./session.ts";

/** Bytes on the device: elements take four each, and the range a multiple of 16. */
export function deviceBytes(shape: readonly number[]): number {
  return Math.max(16, Math.ceil((4 * sizeOf(shape)) / 16) * 16);
}

/** A new value with memory of its own, which nobody has written yet. */
export function freshOnGpu(dtype: Lazy["dtype"], shape: readonly number[]): Lazy {
  const lazy = new Lazy(dtype, shape);
  lazy.gpu = freshMemory(lazy);
  return lazy;
}

/** Throws for a tensor that is larger than a buffer of the device, or what a program may bind of one. */
function checkFits(lazy: Lazy): void {
  const { maxBufferSize, maxStorageBufferBindingSize } = theGpu().machine.features.limits;
  const bytes = deviceBytes(lazy.shape);
  const [limit, most] =
    maxBufferSize < maxStorageBufferBindingSize
      ? ["maxBufferSize", maxBufferSize]
      : ["maxStorageBufferBindingSize", maxStorageBufferBindingSize];
  if (bytes > most)
    throw new ShapeError(
      `a tensor ${describe(lazy)} takes ${bytes} bytes on the GPU, more than this device allows for one (${limit} is ${most}): work on parts of it`,
    );
}

export function freshMemory(lazy: Lazy): GpuBuffer {
  const { machine } = theGpu();
  checkFits(lazy);
  return new GpuBuffer(machine.allocate(deviceBytes(lazy.shape)), machine);
}

/** The memory of a computed value on the GPU; one that lies in the heap is copied at its first use there. */
export function onDevice(what: string, lazy: Lazy): GPUBuffer {
  check(lazy);
  if (lazy.gpu === undefined) {
    checkDeviceType(what, lazy);
    checkFits(lazy);
    const { machine } = theGpu();
    const data = theMachine().heap.copy(lazy.dtype, lazy.buffer!.address, sizeOf(lazy.shape));
    // The copy counts as a use of the buffer: a program on the heap that updates the value takes fresh memory for it.
    lazy.gpu = new GpuBuffer(
      machine.upload(lazy.dtype, data),
      machine,
      lazy.buffer === undefined ? {} : { source: lazy.buffer },
    );
  }
  return lazy.gpu.block.buffer;
}

/** A copy on the GPU of a value that was computed in the heap. */
export function toGpu(lazy: Lazy): Lazy {
  checkDeviceType("to: the tensor", lazy);
  checkFits(lazy);
  const { machine } = theGpu();
  const data = theMachine().heap.copy(lazy.dtype, lazy.buffer!.address, sizeOf(lazy.shape));
  const copy = new Lazy(lazy.dtype, lazy.shape);
  copy.gpu = new GpuBuffer(machine.upload(lazy.dtype, data), machine);
  return copy;
}
