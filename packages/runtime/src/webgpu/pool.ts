/** Buffers of a device that are used again: making one costs much more than finding one. */
import type { Faults } from "./faults.ts";

/** Memory on a device: a tensor's elements begin at its start. */
export interface GpuBlock {
  readonly buffer: GPUBuffer;
  /** Bytes of the buffer, at least what was asked for; a multiple of 16. */
  readonly bytes: number;
}

/** Free memory that is kept, where less is in use. */
const keptBytes = 256 * 1024 * 1024;

/** Sizes that buffers come in: eight for each doubling, so that what is given back fits again. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(8, Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}

export class BufferPool {
  /** Bytes in buffers that were handed out. */
  liveBytes = 0;
  private freeBytes = 0;
  private readonly device: GPUDevice;
  private readonly faults: Faults;
  private readonly flags: GPUBufferUsageFlags;
  private readonly label: string;
  /** In the order of their return within a size. */
  private readonly free = new Map<number, GpuBlock[]>();
  private readonly out = new Set<GpuBlock>();
  /** Buffers that got no memory. */
  private readonly spoilt = new WeakSet<GPUBuffer>();

  constructor(device: GPUDevice, faults: Faults, flags: GPUBufferUsageFlags, label: string) {
    this.device = device;
    this.faults = faults;
    this.flags = flags;
    this.label = label;
  }

  /** At least `bytes` bytes, of any content. */
  take(bytes: number): GpuBlock {
    const largest = this.device.limits.maxBufferSize;
    if (bytes > largest)
      throw new Error(
        `${this.label}: ${bytes} bytes are more than one buffer of this device may have (maxBufferSize is ${largest})`,
      );
    const size = Math.min(sizeClass(bytes), Math.floor(largest / 16) * 16);
    const kept = this.free.get(size)?.pop();
    if (kept !== undefined) this.freeBytes -= size;
    const block = kept ?? { buffer: this.make(size), bytes: size };
    this.out.add(block);
    this.liveBytes += size;
    return block;
  }

  private make(size: number): GPUBuffer {
    const { label, flags: usage } = this;
    return this.faults.buffer({ label, size, usage }, this.liveBytes, (buffer) => {
      this.spoilt.add(buffer);
      this.trim();
    });
  }

  /** Takes a block back. What is submitted still finds its contents; what is submitted later may not. */
  give(block: GpuBlock): void {
    if (!this.out.delete(block)) throw new Error(`${this.label}: a block was released twice`);
    this.liveBytes -= block.bytes;
    if (this.spoilt.has(block.buffer)) {
      block.buffer.destroy();
      return;
    }
    this.freeBytes += block.bytes;
    const list = this.free.get(block.bytes);
    if (list === undefined) this.free.set(block.bytes, [block]);
    else list.push(block);
    if (this.freeBytes > Math.max(keptBytes, this.liveBytes)) this.trim();
  }

  /** Destroys what is free. */
  trim(): void {
    for (const list of this.free.values()) for (const { buffer } of list) buffer.destroy();
    this.free.clear();
    this.freeBytes = 0;
  }
}
