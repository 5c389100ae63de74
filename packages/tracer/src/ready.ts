/** `ready`: waits for a backend. */
import type { Backend } from "@sinter/runtime";
import { checkBackend, currentBackend } from "./backend.ts";
import { checkOptions, describeValue, SinterError, userLine } from "./errors.ts";
import { landed } from "./gpu/calls.ts";
import { dumpsWritten } from "./gpu/dump.ts";
import { acquireGpu, pipelinesMade, theGpu } from "./gpu/session.ts";

export interface ReadyOptions {
  /** `webgpu`: the device to run on, so that its buffers can be shared; without it one is made, with all that the adapter can do. */
  readonly device?: GPUDevice;
}

/**
 * Resolves when a backend can be used, all programs for it are compiled, and all that was called on it before has run. `webgpu` needs it before its first
 * use: it acquires the device, and rejects with what is missing where there is none. Other backends are ready at all
 * times.
 */
export async function ready(backend: Backend = currentBackend(), options: ReadyOptions = {}): Promise<void> {
  checkBackend("ready", backend);
  checkOptions("ready", options, ["device"]);
  if (backend !== "webgpu") return;
  const { device } = options;
  if (device !== undefined && typeof (device as Partial<GPUDevice> | null)?.createCommandEncoder !== "function")
    throw new SinterError(`ready: device must be a GPUDevice, not ${describeValue(device)}`);
  const line = userLine();
  try {
    await acquireGpu(device);
  } catch (error) {
    if (error instanceof SinterError) throw error;
    const told = new SinterError(`ready: ${error instanceof Error ? error.message : String(error)}`, line);
    told.cause = error;
    throw told;
  }
  await pipelinesMade();
  await landed();
  await dumpsWritten();
}

/**
 * The device that programs for `webgpu` run on, for work of one's own with `gpuBuffer`, `fromGPUBuffer` and `record`. Throws
 * before `await ready("webgpu")`.
 */
export function gpuDevice(): GPUDevice {
  return theGpu().machine.device;
}
