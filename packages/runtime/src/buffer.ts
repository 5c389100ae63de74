/** Storage that handles, variables and programs share by counting. Shapes and element types are the holder's matter. */
import type { Block, Heap } from "./exec/heap.ts";

export type Device = "wasm";

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
