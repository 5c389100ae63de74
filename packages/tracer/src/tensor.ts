/**
 * The Tensor class: a handle on a value, eager or being traced. Array functions live in `lib/` and are installed as
 * methods by `methods.ts`; their signatures are all declared here, in one interface.
 */
import { allocate, type Dim, type DType, type TypedArray } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { dimText, isStatic } from "./dims.ts";
import { force, forceAnywhere } from "./eager.ts";
import { DisposedError, describe, describeValue, SinterError, type Site, site, TraceError } from "./errors.ts";
import { currentTrace, finishedTrace, type TraceFrame, type VariableCell } from "./frame.ts";
import { downloaded, isSubmitted } from "./gpu/calls.ts";
import { onDevice, toGpu } from "./gpu/memory.ts";
import { isOnGpu } from "./gpu/place.ts";
import { type Lazy, lazyFromData, type Ref, readLazy, sizeOf } from "./lazy.ts";
import { type HandleRecord, letGo, track, yieldUnderPressure } from "./memory.ts";
import type { TypedData } from "./nested.ts";
import { noteHandle } from "./scope.ts";
import type { TensorMethods } from "./tensor-methods.ts";
import { type Nested, nest, tensorText } from "./text.ts";
import { isWeak } from "./weak.ts";

/** What may be given where a tensor is wanted. */
export type TensorLike = Tensor | VariableCell | TypedData | number | boolean | NestedArray<number | boolean>;
export type NestedArray<T> = readonly (T | NestedArray<T>)[];

// The methods are installed on the prototype by methods.ts, which checks them against the interface.
export interface Tensor extends TensorMethods<Tensor, TensorLike> {}

/**
 * An array of numbers or booleans with a shape and an element type. Immutable. Made by `tensor`, `zeros`, ... and by
 * every array function. Inside a traced function it stands for a value that exists only when the program runs.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Tensor {
  /** In types only: by this the source transform knows tensors and variables. */
  declare readonly "~sinter": "tensor";
  /** Sizes of the axes; empty for a scalar. Throws where one is symbolic: `dims` has them all. */
  readonly shape!: readonly number[];
  readonly dtype: DType;
  private readonly traced: Ref | undefined;
  private readonly record: HandleRecord | undefined;

  /** Not for direct use: `tensor()` makes tensors. */
  constructor(ref: Ref, site?: Site) {
    if (isStatic(ref.shape)) this.shape = ref.shape;
    else Object.defineProperty(this, "shape", symbolicShape);
    this.dtype = ref.dtype;
    if (ref.kind === "lazy") {
      this.traced = undefined;
      this.record = track(this, ref, site);
      noteHandle(this);
    } else {
      this.traced = ref;
      this.record = undefined;
    }
  }

  /** Sizes as Sinter computes with them; the same as `shape` where no size is symbolic. */
  get dims(): readonly Dim[] {
    return this.traced?.shape ?? this.shape;
  }
  get rank(): number {
    return this.dims.length;
  }
  get size(): number {
    return sizeOf(this.shape);
  }
  /** Whether the memory was given back by `dispose`. */
  get disposed(): boolean {
    return this.record !== undefined && this.record.lazy === undefined;
  }

  /**
   * A copy of the elements in row-major order; bool as 0 and 1. Lets the collector work where much memory is live. Rejects
   * with what the program failed with that computes them on a GPU.
   */
  async data(): Promise<TypedArray> {
    const ref = this.ref("data");
    if (ref.kind === "lazy" && isOnGpu(ref)) {
      forceAnywhere([ref]);
      return downloaded(ref);
    }
    const out = this.dataSync();
    await yieldUnderPressure();
    return out;
  }

  /** As `data()`, at once; throws for a tensor on a GPU, whose memory cannot be read at once. */
  dataSync(): TypedArray {
    return readLazy(theMachine().heap, this.computed("dataSync"));
  }

  /** The elements as nested arrays of numbers or booleans; a plain one for a scalar. */
  async array(): Promise<Nested> {
    return nest(await this.data(), this.shape, this.dtype);
  }

  /** As `array()`, at once. */
  arraySync(): Nested {
    return nest(readLazy(theMachine().heap, this.computed("arraySync")), this.shape, this.dtype);
  }

  /** The only element. Throws unless the size is 1. */
  item(): number | boolean {
    const lazy = this.computed("item");
    if (this.size !== 1) throw new TraceError(`item: the tensor ${describe(this)} has ${this.size} elements, not 1`);
    const value = readLazy(theMachine().heap, lazy)[0]!;
    return this.dtype === "bool" ? value !== 0 : value;
  }

  /** The elements without a copy: a borrow, valid until the next Sinter call. Writing to it is undefined behaviour. */
  view(): TypedArray {
    const lazy = this.computed("view");
    if (this.size === 0) return allocate(this.dtype, 0);
    return theMachine().heap.view(this.dtype, lazy.buffer!.address, this.size);
  }

  /**
   * The same tensor on another backend, "webgpu" or "wasm"; the elements are copied where it is not there already.
   * Rejects as `data()` does, for f64 on webgpu, and before `await ready("webgpu")`.
   */
  async to(backend: "wasm" | "webgpu"): Promise<Tensor> {
    if (backend !== "wasm" && backend !== "webgpu")
      throw new SinterError(`to: a tensor is on "wasm" or on "webgpu", not on ${describeValue(backend)}`);
    const lazy = this.value("to");
    forceAnywhere([lazy]);
    if (backend === "webgpu") return new Tensor(isOnGpu(lazy) ? lazy : toGpu(lazy), site(this.to));
    if (!isOnGpu(lazy)) return new Tensor(lazy, site(this.to));
    const where = site(this.to);
    return new Tensor(lazyFromData(theMachine().heap, lazy.dtype, lazy.shape, await downloaded(lazy)), where);
  }

  /**
   * The buffer on the device that holds the elements, in row-major order from its start, four bytes each (bool: 0 or 1).
   * It is a borrow: it must not be written, and may be used for something else once the tensor is disposed. A tensor in the
   * heap is copied to the device first. Throws before `await ready("webgpu")`, and while the program that writes
   * it is still being compiled.
   */
  gpuBuffer(): GPUBuffer {
    const lazy = this.value("gpuBuffer");
    forceAnywhere([lazy]);
    if (!isSubmitted(lazy))
      throw new SinterError(
        `gpuBuffer: the program that computes the tensor ${describe(this)} is not known to have run yet: write await ready("webgpu") before`,
      );
    return onDevice("gpuBuffer: the tensor", lazy);
  }

  /** Type, shape and elements, long ones cut short; on a GPU without elements. */
  toString(): string {
    const lazy = this.record?.lazy;
    if (this.traced !== undefined) return `Tensor ${describe(this)} (traced)`;
    if (lazy === undefined) return `Tensor ${describe(this)} (disposed)`;
    if (isOnGpu(lazy)) return `Tensor ${describe(this)} (on webgpu)`;
    return tensorText(this.dataSync(), this.shape, this.dtype);
  }

  /** Gives the memory back now. Using the tensor afterwards is an error; disposing twice is not. */
  dispose(): void {
    if (this.record !== undefined) letGo(this.record);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What the handle refers to. For Sinter's own packages. */
  ref(caller: string): Ref {
    if (this.traced !== undefined) {
      const { owner } = this.traced as { readonly owner: TraceFrame };
      if (owner.sealed) throw finishedTrace(this.traced as Parameters<typeof finishedTrace>[0]);
      return this.traced;
    }
    const lazy = this.record!.lazy;
    if (lazy === undefined) throw new DisposedError(`${caller}: the tensor ${describe(this)} has been disposed`);
    return lazy;
  }

  private computed(caller: string): Lazy {
    const lazy = this.value(caller);
    if (isOnGpu(lazy))
      throw new SinterError(
        `${caller}: the tensor ${describe(this)} is on webgpu, whose memory cannot be read at once: write ${asyncRead[caller] ?? "await x.data()"}`,
      );
    force(lazy);
    return lazy;
  }

  private value(caller: string): Lazy {
    const ref = this.ref(caller);
    if (ref.kind === "traced")
      throw new TraceError(
        `${caller}: the tensor ${describe(this)} has no value${tracing(ref.owner as TraceFrame)}${madeAt(ref)}. ` +
          "Return it and read it from the result.",
      );
    return ref;
  }

  /** `x + 1`, `x > 0`, `${x}`: an error that says what to write, except for text of a tensor that has a value. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string" && this.traced === undefined) return this.toString();
    const how =
      hint === "string" ? "as text or an index" : hint === "number" ? "as a number" : "with a JavaScript operator";
    throw new TraceError(`${this.named()} was used ${how}${this.state()}. ${this.cure(hint)}`);
  }

  [Symbol.iterator](): Iterator<Tensor> {
    throw new TraceError(
      `the tensor ${describe(this)} was iterated over${this.state()}. Take parts with x.at(i), x.slice(...) or x.split(n); ` +
        "a for-of loop over its rows needs transformed code.",
    );
  }

  toJSON(): Nested {
    if (this.traced !== undefined)
      throw new TraceError(`the tensor ${describe(this)} was turned into JSON${this.state()}.`);
    return this.arraySync();
  }

  /** Not a promise. A traced tensor that is awaited says so. */
  // biome-ignore lint/suspicious/noThenProperty: trapping it is the point
  get then(): undefined {
    if (this.traced !== undefined && currentTrace() !== undefined)
      throw new TraceError(
        `the tensor ${describe(this)} was awaited${this.state()}: a function that is compiled cannot be async.`,
      );
    return undefined;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  private state(): string {
    if (this.traced === undefined) return "";
    const { owner } = this.traced as { readonly owner: TraceFrame };
    if (owner.sealed) return ` after the trace of ${owner.name} it belongs to, so that it never has a value`;
    return `${tracing(owner)}, when it has no value yet${madeAt(this.traced)}`;
  }

  private named(): string {
    return isWeak(this)
      ? `a number that staged control flow made a tensor, ${describe(this)},`
      : `the tensor ${describe(this)}`;
  }

  /** What to write instead of a use as a primitive. */
  private cure(hint: string): string {
    if (this.traced !== undefined && isWeak(this))
      return (
        "Operators (+ - * / % **) and comparisons work on it in the function whose loop or branch changes it. " +
        (hint === "string"
          ? "To pick from an array by it, write stack(array).at(i), or tensor(array).at(i) for numbers. "
          : "For what Math would do, declare it as a tensor, let n = tensor(7), and write n.floor(), n.maximum(y). A function that is given it, or returns it, declares it as a Tensor. ") +
        "A number that JavaScript itself needs must not depend on tensors."
      );
    if (hint !== "string")
      return "Write x.add(y), x.gt(y), x.neg() for x + y, x > y, -x; x.item() is the number of a tensor of size 1.";
    return "Read it from the result of the call; to pick an element by it, use x.at(i).";
  }
}

/** What reads a tensor on a GPU, for the methods that cannot. */
const asyncRead: Readonly<Record<string, string>> = { item: "(await x.data())[0]", arraySync: "await x.array()" };

/** `shape` of a tensor with a symbolic size. */
const symbolicShape: PropertyDescriptor & ThisType<Tensor> = {
  get() {
    const axis = this.dims.findIndex((dim) => typeof dim !== "number");
    throw new TraceError(
      `shape: axis ${axis} of the tensor ${describe(this)} is the symbolic size ${dimText(this.dims[axis]!)}, which has no number while ` +
        "the function is traced. Use x.dims, which array functions take, or give the size in the signature.",
    );
  },
};

/** What is going on, for messages; the name of a block is what it is in the source: "body of the while loop at ...". */
function tracing({ name, block }: TraceFrame): string {
  return ` while ${block ? "the " : ""}${name} is being traced`;
}

/** Which operation made a traced value, for messages. */
function madeAt(ref: Ref): string {
  if (ref.kind !== "traced") return "";
  const node = (ref.owner as TraceFrame).builder.definition(ref.value);
  return node === undefined ? " (it is an input)" : ` (made by ${node.op})`;
}
