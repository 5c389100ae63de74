/** A GPU that programs run on: its memory, its pipelines, and the order of what is done there. */
import type { DType, TypedArray, WebgpuFeatures } from "@sinter/ir/program";
import { requestDevice } from "./adapter.ts";
import { bytesPerElement, fromDevice, paddedBytes, toDevice } from "./data.ts";
import { DeviceLoss } from "./device-errors.ts";
import { Faults, settled, type Verdict } from "./faults.ts";
import { describe, featuresOf } from "./features.ts";
import { Pipelines } from "./pipelines.ts";
import { BufferPool, type GpuBlock } from "./pool.ts";
import { Staging } from "./staging.ts";
import { Turns } from "./turns.ts";
import { usage } from "./usage.ts";

export interface GpuStats {
  /** Command buffers handed to the queue. */
  readonly submits: number;
  /** Dispatches of kernels. */
  readonly dispatches: number;
  /** Dispatches of the executor's own: gates, and moves within one buffer. */
  readonly helpers: number;
  readonly pipelines: number;
  /** Bytes of blocks that are in use, and of working memory. */
  readonly liveBytes: number;
  /** Times that the host waited for values. */
  readonly reads: number;
}

/** Memory that every program uses while it runs, as large as the largest needs. */
interface Shared {
  buffer: GPUBuffer | undefined;
  bytes: number;
  readonly flags: GPUBufferUsageFlags;
}

export class GpuMachine {
  readonly device: GPUDevice;
  readonly features: WebgpuFeatures;
  /** Vendor, architecture and name of the adapter. */
  readonly description: string;
  readonly pipelines: Pipelines;
  readonly faults: Faults;
  readonly turns = new Turns();
  readonly staging: Staging;
  /** Rejects when the device is gone. */
  readonly gone: Promise<never>;
  private lossError: DeviceLoss | undefined;
  private printing: Promise<void> = Promise.resolve();
  private readonly pool: BufferPool;
  private readonly shared = new Map<string, Shared>();
  private readonly counts = { submits: 0, dispatches: 0, helpers: 0, reads: 0 };

  private constructor(device: GPUDevice, info: GPUAdapterInfo | undefined) {
    this.device = device;
    this.features = featuresOf(device);
    this.description = describe(info);
    this.faults = new Faults(device);
    this.pool = new BufferPool(device, this.faults, usage.memory, "memory");
    this.staging = new Staging(device, this.faults, this.pool);
    this.gone = device.lost.then(({ reason, message }) => {
      this.lossError = new DeviceLoss(
        `webgpu: the device is lost (${reason}): ${message || "the system took it away"}; what was on it is gone`,
      );
      throw this.lossError;
    });
    this.gone.catch(() => {});
    this.pipelines = new Pipelines(device, this.gone);
  }

  /**
   * A device of this machine, with all that its adapter can do, or the one given. Rejects with what is missing where there
   * is none: the package `webgpu` in Node, a driver, or a browser that has WebGPU.
   */
  static async acquire(options: { readonly device?: GPUDevice } = {}): Promise<GpuMachine> {
    const { device } = options;
    if (device !== undefined) return new GpuMachine(device, device.adapterInfo);
    const found = await requestDevice();
    return new GpuMachine(found.device, found.info);
  }

  get stats(): GpuStats {
    const working = [...this.shared.values()].reduce((n, { bytes }) => n + bytes, 0);
    return { ...this.counts, pipelines: this.pipelines.size, liveBytes: this.pool.liveBytes + working };
  }

  /** Why nothing can run any more; undefined while the device is there. */
  get lost(): DeviceLoss | undefined {
    return this.lossError;
  }

  /** Throws where the device is lost. */
  check(): void {
    if (this.lossError !== undefined) throw this.lossError;
  }

  /** Memory of at least `bytes` bytes, of any content. */
  allocate(bytes: number): GpuBlock {
    if (this.lossError !== undefined) throw this.lossError;
    return this.pool.take(paddedBytes(bytes));
  }

  /** Gives memory back. All that was asked for before may still use it. */
  release(block: GpuBlock): void {
    this.turns.after(() => this.pool.give(block));
  }

  /** A block with these elements. Throws for f64. */
  upload(dtype: DType, data: ArrayLike<number>): GpuBlock {
    const elements = toDevice(dtype, data);
    const block = this.allocate(elements.byteLength);
    this.write(block.buffer, 0, elements);
    return block;
  }

  /** Elements to byte `offset` of a buffer, before all that is submitted later. */
  write(buffer: GPUBuffer, offset: number, elements: Float32Array | Int32Array | Uint32Array): void {
    if (elements.byteLength > 0) this.device.queue.writeBuffer(buffer, offset, elements as BufferSource as ArrayBuffer);
  }

  /** The first `length` elements of a block, after all that was asked for before. Rejects where something failed. */
  async download(block: { readonly buffer: GPUBuffer }, dtype: DType, length: number): Promise<TypedArray> {
    const bytes = length * bytesPerElement;
    if (bytes === 0) return fromDevice(dtype, new ArrayBuffer(0), 0, 0);
    let read: Promise<ArrayBuffer> | undefined;
    let verdicts: readonly Verdict[] = [];
    await this.turns.take(undefined, () => {
      if (this.lossError !== undefined) throw this.lossError;
      const staging = this.staging.take(bytes);
      const scope = this.faults.scoped(() => {
        const encoder = this.device.createCommandEncoder({ label: "download" });
        encoder.copyBufferToBuffer(block.buffer, 0, staging, 0, bytes);
        this.submit(encoder);
        read = this.read(staging, bytes);
      });
      verdicts = [...this.faults.ofMemory(), scope.verdict];
      read!.catch(() => {});
      return undefined;
    });
    // What is wrong is told before what came of it.
    await settled(verdicts);
    const found = await read!;
    return fromDevice(dtype, found, 0, length);
  }

  submit(encoder: GPUCommandEncoder): void {
    this.device.queue.submit([encoder.finish()]);
    this.counts.submits++;
  }

  count(dispatches: number, helpers: number): void {
    this.counts.dispatches += dispatches;
    this.counts.helpers += helpers;
  }

  /** Contents of a staging buffer, which is given back. */
  async read(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    this.counts.reads++;
    try {
      return await this.staging.read(staging, bytes);
    } catch (error) {
      // A device that goes away rejects what is mapped, before it says so or after.
      await Promise.race([this.gone.catch(() => {}), new Promise((done) => setTimeout(done, 50))]);
      throw this.lossError ?? error;
    }
  }

  /** `print` with what was read, after all prints of calls before. */
  inPrintOrder(read: Promise<ArrayBuffer>, print: (found: ArrayBuffer) => void): Promise<void> {
    const before = this.printing;
    read.catch(() => {});
    const done = before.then(() => read).then(print);
    this.printing = done.catch(() => {});
    return done;
  }

  /** Working memory of one call at a time, by name: at least `bytes`, the same buffer until a call needs more. */
  working(name: "arena" | "gates" | "params" | "empty" | "emptyTarget", bytes: number): GPUBuffer {
    let shared = this.shared.get(name);
    if (shared === undefined) {
      shared = { buffer: undefined, bytes: 0, flags: name === "params" ? usage.params : usage.memory };
      this.shared.set(name, shared);
    }
    if (shared.buffer === undefined || shared.bytes < bytes) {
      shared.buffer?.destroy();
      const largest = this.device.limits.maxBufferSize;
      shared.bytes = Math.min(Math.max(4096, Math.ceil(bytes / 4096) * 4096), Math.floor(largest / 16) * 16);
      const { pool } = this;
      shared.buffer = this.faults.buffer(
        { label: name, size: shared.bytes, usage: shared.flags },
        pool.liveBytes,
        () => {
          this.shared.delete(name);
          pool.trim();
        },
      );
    }
    return shared.buffer;
  }

  /** Gives free and working memory back to the system, once nothing waits. */
  trim(): void {
    this.turns.after(() => {
      this.pool.trim();
      for (const { buffer } of this.shared.values()) buffer?.destroy();
      this.shared.clear();
    });
  }

  /** Ends the device: what is pending and all later calls reject. */
  destroy(): void {
    this.device.destroy();
  }
}
