/** Storage that handles, variables and programs share by counting. Shapes and element types are the holder's matter. */
import type { Block, Heap } from "./exec/heap.ts";

export type Device = "wasm" | "webgpu";

/** A counted run of bytes on a device. The maker has the first count; the last `release` frees it. */
export class Buffer {
  readonly device: Device = "wasm";
  readonly bytes: number;
  refs = 1;
  private readonly heap: Heap;
  private block: Block | undefined;

  constructor(heap: Heap, bytes: number) {
    this.heap = heap;
    this.bytes = bytes;
    this.block = heap.allocate(bytes);
  }

  /** Address in the heap; throws once freed. */
  get address(): number {
    if (this.block === undefined) throw new Error("a freed buffer was used");
    return this.block.address;
  }

  get freed(): boolean {
    return this.block === undefined;
  }

  retain(): this {
    if (this.block === undefined) throw new Error("a freed buffer was retained");
    this.refs++;
    return this;
  }

  release(): void {
    if (this.refs <= 0) throw new Error("a buffer was released more often than retained");
    if (--this.refs > 0 || this.block === undefined) return;
    this.heap.release(this.block);
    this.block = undefined;
  }
}

/** Memory of a GPU device, as its pool hands it out. */
interface PooledBlock {
  readonly buffer: GPUBuffer;
  readonly bytes: number;
}

/** The device that blocks are on. */
interface BlockOwner {
  release(block: PooledBlock): void;
  /** Why nothing that is there can be used any more; undefined while it can. */
  readonly lost: Error | undefined;
}

/**
 * A counted block of GPU memory. `source` is the buffer of the heap that it is a copy of: while the copy exists it counts as
 * a use of that one, which is therefore not written in place.
 */
export class GpuBuffer {
  readonly device: Device = "webgpu";
  refs = 1;
  /** The call that writes it, where it is not known yet whether that succeeds. */
  writer: object | undefined;
  private readonly owner: BlockOwner;
  private readonly isBorrowed: boolean;
  private readonly source: Buffer | GpuBuffer | undefined;
  private held: PooledBlock | undefined;

  /** A block that is borrowed is somebody else's, and stays so: that of `source`, where it is one of the GPU. */
  constructor(
    block: PooledBlock,
    owner: BlockOwner,
    of: { readonly source?: Buffer | GpuBuffer; readonly borrowed?: boolean } = {},
  ) {
    this.held = block;
    this.owner = owner;
    this.isBorrowed = of.borrowed ?? false;
    this.source = of.source?.retain();
  }

  /** Whether others have this memory too. */
  get isShared(): boolean {
    return this.isBorrowed || this.refs > 1;
  }

  /** Why its contents are gone with its device; undefined while they are there. */
  get lost(): Error | undefined {
    return this.owner.lost;
  }

  /** Throws once freed. */
  get block(): PooledBlock {
    if (this.held === undefined) throw new Error("a freed GPU buffer was used");
    return this.held;
  }

  retain(): this {
    if (this.held === undefined) throw new Error("a freed GPU buffer was retained");
    this.refs++;
    return this;
  }

  release(): void {
    if (this.refs <= 0) throw new Error("a GPU buffer was released more often than retained");
    if (--this.refs > 0 || this.held === undefined) return;
    if (!this.isBorrowed) this.owner.release(this.held);
    this.held = undefined;
    this.source?.release();
  }
}
