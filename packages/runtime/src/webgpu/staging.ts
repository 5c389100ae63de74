/** Buffers that values come to the host through. */
import { sizeClass } from "./pool.ts";
import { readMode, usage } from "./usage.ts";

/** How many of one size are kept. */
const kept = 4;

export class Staging {
  private readonly device: GPUDevice;
  private readonly free = new Map<number, GPUBuffer[]>();

  constructor(device: GPUDevice) {
    this.device = device;
  }

  take(bytes: number): GPUBuffer {
    const size = Math.min(sizeClass(bytes), Math.max(this.device.limits.maxBufferSize, bytes));
    return this.free.get(size)?.pop() ?? this.device.createBuffer({ label: "staging", size, usage: usage.staging });
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
