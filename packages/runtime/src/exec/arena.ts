/**
 * Working memory of running programs: a stack in one long-lived heap block, so that pages are touched once and a program
 * that calls back into another finds its own part untouched.
 */
import { alignment, type Block, type Heap } from "./heap.ts";

/** Every run starts aligned, whatever the sizes of those below. */
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

export class Arena {
  private readonly heap: Heap;
  private block: Block | undefined;
  private used = 0;
  private depth = 0;
  /** Blocks of calls that did not fit behind those running. */
  private readonly overflow: (Block | undefined)[] = [];

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /** Bytes of the stack. */
  get bytes(): number {
    return this.block?.bytes ?? 0;
  }

  /** Address of `asked` bytes for one run; `leave` with the same number must follow, in the opposite order of entering. */
  enter(asked: number): number {
    const bytes = aligned(asked);
    if (this.depth === 0 && bytes > this.bytes) {
      if (this.block !== undefined) this.heap.release(this.block);
      this.block = undefined;
      this.block = this.heap.allocate(bytes);
    }
    this.depth++;
    if (this.block !== undefined && this.used + bytes <= this.block.bytes) {
      const address = this.block.address + this.used;
      this.used += bytes;
      this.overflow.push(undefined);
      return address;
    }
    if (bytes === 0) {
      this.overflow.push(undefined);
      return 0;
    }
    try {
      const extra = this.heap.allocate(bytes);
      this.overflow.push(extra);
      return extra.address;
    } catch (error) {
      this.depth--;
      throw error;
    }
  }

  leave(asked: number): void {
    const bytes = aligned(asked);
    const extra = this.overflow.pop();
    this.depth--;
    if (extra !== undefined) this.heap.release(extra);
    else if (this.block !== undefined) this.used -= bytes;
  }

  /** Gives the memory back when no program runs. */
  trim(): void {
    if (this.depth > 0 || this.block === undefined) return;
    this.heap.release(this.block);
    this.block = undefined;
  }
}
