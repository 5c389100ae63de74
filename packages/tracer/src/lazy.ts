/**
 * What a handle refers to: an eager value (`Lazy`, computed or still pending), or a value of a graph being traced
 * (`Traced`). Counts who needs an eager value, so that its memory is freed exactly. Knows nothing of handles.
 */
import { type Attrs, allocate, bytesOf, type Dim, type DType, type Loc, type TypedArray, type Value } from "@sinter/ir";
import { Buffer, type GpuBuffer, type Heap } from "@sinter/runtime";
import { mulDims } from "./dims.ts";
import type { Site } from "./errors.ts";

export type Ref = Lazy | Traced;

/**
 * An eager value. `uses` counts the handles, variables, pending operations and captures that need it; at zero the
 * buffer and the operands are let go.
 */
export class Lazy {
  readonly kind = "lazy";
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  uses = 0;
  /** How many of the uses are variables that hold it as their value. */
  rooted = 0;
  /** Its memory in the heap. */
  buffer: Buffer | undefined;
  /** Its memory on the GPU: where it was computed there, or a copy of `buffer`. */
  gpu: GpuBuffer | undefined;
  /** What was read from the GPU, where it is the value of a variable: it outlives the device. */
  copy: TypedArray | undefined;
  /** Whether commands of somebody else write it, at a time that nobody tells. */
  isRecorded = false;
  /** What a recorded call that computes it says when it has run: the status, and what that means. */
  status: { readonly code: Lazy; meaning(code: number): unknown } | undefined;
  /** The operation that computes it while there is no buffer. */
  pending: PendingOp | undefined;
  /** Where it was made, for reports. */
  site: Site | undefined;
  /** Set where the program that held it in place stopped midway. */
  lost = false;
  /** Why it could not be computed: whoever uses it gets this error. */
  failure: { readonly error: unknown } | undefined;

  constructor(dtype: DType, shape: readonly number[], size = sizeOf(shape)) {
    this.dtype = dtype;
    this.shape = shape;
    this.bytes = size * bytesOf(dtype);
  }

  retain(): this {
    this.uses++;
    return this;
  }

  release(): void {
    if (--this.uses === 0) this.drop();
  }

  /** It has been computed: the operands are no longer needed. */
  settle(buffer: Buffer): void {
    this.buffer = buffer;
    this.forgetOperation();
  }

  /** As `settle`, on the GPU. */
  settleOnGpu(buffer: GpuBuffer): void {
    this.gpu = buffer;
    this.forgetOperation();
  }

  /** It cannot be computed, and will not be tried again. */
  fail(error: unknown): void {
    this.failure = { error };
    this.forgetOperation();
  }

  private drop(): void {
    // An explicit stack: chains of pending operations may be as long as the budget.
    const stack: Lazy[] = [this];
    for (let lazy = stack.pop(); lazy !== undefined; lazy = stack.pop()) {
      lazy.buffer?.release();
      lazy.buffer = undefined;
      lazy.gpu?.release();
      lazy.gpu = undefined;
      const code = lazy.status?.code;
      lazy.status = undefined;
      if (code !== undefined && --code.uses === 0) stack.push(code);
      const { pending } = lazy;
      lazy.pending = undefined;
      if (pending === undefined) continue;
      pending.list.delete(lazy);
      for (const operand of pending.operands) if (--operand.uses === 0) stack.push(operand);
    }
  }

  private forgetOperation(): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.pending = undefined;
    pending.list.delete(this);
    for (const operand of pending.operands) operand.release();
  }
}

/** An operation that has not run. */
export interface PendingOp {
  readonly op: string;
  readonly operands: readonly Lazy[];
  readonly attrs: Attrs;
  readonly loc: Loc | undefined;
  /** The pending graph that still lists it; it leaves the list when it is flushed, computed or dropped. */
  readonly list: Set<Lazy>;
  /** Counts operations as they are added. */
  readonly serial: number;
  /** Whether it runs on the GPU: the backend when it was added. */
  readonly onGpu: boolean;
}

/** A value of a graph that is being traced. `owner` is the frame. */
export interface Traced {
  readonly kind: "traced";
  readonly owner: object;
  readonly value: Value;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

export function sizeOf(shape: readonly number[]): number;
export function sizeOf(shape: readonly Dim[]): Dim;
export function sizeOf(shape: readonly Dim[]): Dim {
  let size: Dim = 1;
  for (const dim of shape) size = typeof size === "number" && typeof dim === "number" ? size * dim : mulDims(size, dim);
  return size;
}

/** An eager value that holds a copy of `data`. */
export function lazyFromData(heap: Heap, dtype: DType, shape: readonly number[], data: ArrayLike<number>): Lazy {
  const lazy = new Lazy(dtype, shape);
  lazy.buffer = new Buffer(heap, lazy.bytes);
  heap.view(dtype, lazy.buffer.address, data.length).set(data);
  return lazy;
}

/** A copy of the contents of a computed value. */
export function readLazy(heap: Heap, lazy: Lazy): TypedArray {
  const length = sizeOf(lazy.shape);
  if (length === 0) return allocate(lazy.dtype, 0);
  if (lazy.buffer === undefined) throw new Error("a value was read before it was computed");
  return heap.copy(lazy.dtype, lazy.buffer.address, length);
}
