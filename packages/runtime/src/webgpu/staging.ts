/** Buffers that values come to the host through. */
import type { Faults } from "./faults.ts";
import { sizeClass } from "./pool.ts";
import { readMode, usage } from "./usage.ts";

/** How many of one size are kept. */
const kept = 4;

export class Staging {
  private readonly device: GPUDevice;
  private readonly faults: Faults;
  private readonly memory: { readonly liveBytes: number };
  private readonly free = new Map<number, GPUBuffer[]>();

  /** `memory`: what is in use beside. */
  constructor(device: GPUDevice, faults: Faults, memory: { readonly liveBytes: number }) {
    this.device = device;
    this.memory = memory;
    this.faults = faults;
  }

  take(bytes: number): GPUBuffer {
    const size = Math.min(sizeClass(bytes), Math.max(this.device.limits.maxBufferSize, bytes));
    const kept = this.free.get(size)?.pop();
    if (kept !== undefined) return kept;
    return this.faults.buffer({ label: "staging", size, usage: usage.staging }, this.memory.liveBytes, () => {});
  }

  /** A copy of its first `bytes` bytes, after what was submitted; gives it back. */
  async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    await buffer.mapAsync(readMode, 0, Math.ceil(bytes / 4) * 4);
    const copy = buffer.getMappedRange(0, Math.ceil(bytes / 4) * 4).slice(0);
    buffer.unmap();
    const list = this.free.get(buffer.size) ?? [];
    this.free.set(buffer.size, list);
    if (list.length < kept) list.push(buffer);
    else buffer.destroy();
    return copy;
  }
}
