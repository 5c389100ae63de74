/** On which device an eager value is, and what is said where that is the wrong one. */
import { DTypeError, describe, SinterError } from "../errors.ts";
import type { Lazy } from "../lazy.ts";
import { isLost } from "./lost.ts";

/** Whether a value is on the GPU, or will be when it is computed, and nowhere else. */
export function isOnGpu(lazy: Lazy): boolean {
  if (lazy.gpu?.lost !== undefined) isLost(lazy);
  return lazy.buffer === undefined && (lazy.gpu !== undefined || lazy.pending?.onGpu === true);
}

/** The error for a value on the GPU that is needed in the heap. `variable`: whose value it is. */
export function misplaced(what: string, lazy: Lazy, variable?: string): SinterError {
  const cure =
    variable === undefined
      ? 'bring it over with await x.to("wasm")'
      : `bring its value over with ${variable}.assign(await ${variable}.value.to("wasm"))`;
  return new SinterError(
    `${what}, ${describe(lazy)}, is on webgpu, and what needs it here is not: ${cure}, or use the backend "webgpu" for both`,
  );
}

/** Throws for a value on the GPU that `what` would have to read at once. */
export function checkReadable(what: string, lazy: Lazy, cure: string): void {
  if (isOnGpu(lazy))
    throw new SinterError(`${what}, ${describe(lazy)}, is on webgpu, whose memory cannot be read at once: ${cure}`);
}

/** Throws for an element type that devices do not have. */
export function checkDeviceType(what: string, type: Pick<Lazy, "dtype" | "shape">): void {
  if (type.dtype === "f64")
    throw new DTypeError(`${what} is ${describe(type)}: f64 is not available on webgpu; cast to f32`);
}
