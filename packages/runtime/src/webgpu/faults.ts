/**
 * What a device finds wrong shows later, and not where it was asked for: error scopes tell which call it was. Nobody waits
 * for them before the results of the call are read.
 */
import { DeviceMemoryError } from "./device-errors.ts";

/** Resolves with what went wrong; undefined where nothing did. */
export type Verdict = Promise<Error | undefined>;

export class Faults {
  private readonly device: GPUDevice;
  /** Of buffers made since `ofMemory` was asked last. */
  private memory: Verdict[] = [];

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Runs `body`, which hands work to the device; what is wrong with that work is the verdict. */
  scoped<T>(body: () => T): { readonly result: T; readonly verdict: Verdict } {
    this.device.pushErrorScope("validation");
    let result: T;
    try {
      result = body();
    } catch (error) {
      this.pop().catch(() => {});
      throw error;
    }
    const verdict = this.pop().then((error) =>
      error === null ? undefined : new Error(`webgpu: ${error.message.trimEnd()}`),
    );
    return { result, verdict };
  }

  /**
   * A buffer, for which there may be no memory: that is a fault of the next call. `spoilt` is told then: a buffer without
   * memory must not be used again.
   */
  buffer(of: GPUBufferDescriptor, liveBytes: number, spoilt: (buffer: GPUBuffer) => void): GPUBuffer {
    const { device } = this;
    device.pushErrorScope("out-of-memory");
    const buffer = device.createBuffer(of);
    const verdict = this.pop().then((error) => {
      if (error === null) return undefined;
      spoilt(buffer);
      return new DeviceMemoryError({ bytes: of.size, liveBytes, maximumBytes: device.limits.maxBufferSize });
    });
    this.memory.push(verdict);
    return buffer;
  }

  /** The verdicts on the memory that was made since this was asked last: of whoever asked for it. */
  ofMemory(): readonly Verdict[] {
    const { memory } = this;
    if (memory.length > 0) this.memory = [];
    return memory;
  }

  /** A device that is lost has nothing to say; whatever is asked for next tells of the loss. */
  private pop(): Promise<GPUError | null> {
    return this.device.popErrorScope().catch(() => null);
  }
}

/** Throws the first of what went wrong. */
export async function settled(verdicts: readonly Verdict[]): Promise<void> {
  for (const verdict of verdicts) {
    const error = await verdict;
    if (error !== undefined) throw error;
  }
}
