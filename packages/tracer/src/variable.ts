/**
 * Variables: named cells whose value changes. Eagerly an assignment only rebinds; inside a trace reads and writes are in
 * program order, and the program returns the new value.
 */
import type { DType, TypedArray } from "@sinter/ir";
import { forceAnywhere } from "./eager.ts";
import {
  checkOptions,
  DisposedError,
  DTypeError,
  describe,
  ShapeError,
  SinterError,
  site,
  TraceError,
} from "./errors.ts";
import { currentFrame, currentTrace, VariableCell } from "./frame.ts";
import { isLost, lostVariables } from "./gpu/lost.ts";
import {
  broadcastShapes,
  cast,
  checkDType,
  emit,
  promoteArgs,
  readVariable,
  run,
  stretch,
  toArg,
  toRef,
} from "./kit.ts";
import type { Lazy, Ref } from "./lazy.ts";
import { lift } from "./liftout.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import type { TensorMethods } from "./tensor-methods.ts";
import type { Nested } from "./text.ts";

export interface VariableOptions {
  readonly name?: string;
  /** Whether optimisers and `gradients` without a list train it; true unless said. */
  readonly trainable?: boolean;
  readonly dtype?: DType;
}

let made = 0;

/** What a variable holds; apart from it, so that it can be freed when the variable is gone. */
interface Slot {
  lazy: Lazy | undefined;
}

function empty(slot: Slot): void {
  const { lazy } = slot;
  if (lazy === undefined) return;
  slot.lazy = undefined;
  lazy.rooted--;
  lazy.release();
}

const abandoned = new FinalizationRegistry<Slot>(empty);

// The methods are installed on the prototype by methods.ts, which checks them against the interface.
export interface Variable extends TensorMethods<Tensor, TensorLike> {}

/** A cell with a fixed shape and dtype. Usable wherever a tensor is: it stands for its value at that moment. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Variable extends VariableCell {
  /** In types only: by this the source transform knows tensors and variables. */
  declare readonly "~sinter": "tensor";
  readonly name: string;
  readonly named: boolean;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly trainable: boolean;
  private readonly slot: Slot;

  /** Not for direct use: `variable()` makes variables. */
  constructor(lazy: Lazy, name: string, named: boolean, trainable: boolean) {
    super();
    this.name = name;
    this.named = named;
    this.dtype = lazy.dtype;
    this.shape = lazy.shape;
    this.trainable = trainable;
    lazy.rooted++;
    this.slot = { lazy: lazy.retain() };
    abandoned.register(this, this.slot);
  }

  get rank(): number {
    return this.shape.length;
  }
  get size(): number {
    return this.shape.reduce((n, d) => n * d, 1);
  }
  get dims(): readonly number[] {
    return this.shape;
  }

  /** The value now. A later assignment does not change it. */
  get value(): Tensor {
    return run(`${this.name}.value`, () => {
      const ref = readVariable(this);
      return new Tensor(ref, ref.kind === "lazy" ? site(site, 10) : undefined);
    });
  }

  /** An error that says what to write: `w.assign(x)`. */
  set value(_: never) {
    throw new SinterError(
      `${this.name}.value cannot be set: write ${this.name}.assign(x), which checks shape and dtype`,
    );
  }

  /** Makes `value` the new value. Throws, and changes nothing, where shape or dtype differ. */
  assign(value: TensorLike): this {
    return this.change("assign", value, (fresh) => fresh);
  }

  /** Adds `value`, which broadcasts. */
  assignAdd(value: TensorLike): this {
    return this.change("assignAdd", value, (fresh) => emit("add", [readVariable(this), fresh]));
  }

  /** Subtracts `value`, which broadcasts. */
  assignSub(value: TensorLike): this {
    return this.change("assignSub", value, (fresh) => emit("sub", [readVariable(this), fresh]));
  }

  data(): Promise<TypedArray> {
    return this.read((now) => now.data());
  }
  dataSync(): TypedArray {
    return this.read((now) => now.dataSync());
  }
  item(): number | boolean {
    return this.read((now) => now.item());
  }
  array(): Promise<Nested> {
    return this.read((now) => now.array());
  }
  arraySync(): Nested {
    return this.read((now) => now.arraySync());
  }
  override toString(): string {
    return `Variable ${this.name} ${describe(this)}`;
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string" && currentTrace() === undefined) return this.toString();
    throw new TraceError(
      `the variable ${this.name}, ${describe(this)}, was used as a number or text. Write w.add(y), w.gt(y) for w + y, w > y; w.item() is the number of a variable of size 1.`,
    );
  }

  /** Gives the memory back. Using the variable afterwards is an error. */
  dispose(): void {
    empty(this.slot);
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  override current(): Lazy {
    const { lazy } = this.slot;
    if (lazy === undefined) throw new DisposedError(`the variable ${this.name}, ${describe(this)}, has been disposed`);
    if (lazy.lost)
      throw new DisposedError(
        `the value of variable ${this.name} was lost: the program that was updating it stopped with an error. Assign a new one.`,
      );
    if (isLost(lazy)) throw lostVariables(this.name, [this], lazy.gpu?.lost);
    return lazy;
  }

  override held(): Lazy | undefined {
    return this.slot.lazy;
  }

  override rebind(lazy: Lazy): void {
    const old = this.slot.lazy;
    if (old === lazy) return;
    this.slot.lazy = lazy.retain();
    lazy.rooted++;
    if (old === undefined) return;
    old.rooted--;
    old.release();
  }

  /** Reads the value without leaving a handle behind. The copy is made before the handle goes. */
  private read<T>(body: (now: Tensor) => T): T {
    const now = this.value;
    try {
      return body(now);
    } finally {
      now.dispose();
    }
  }

  private change(how: "assign" | "assignAdd" | "assignSub", value: TensorLike, next: (fresh: Ref) => Ref): this {
    const caller = `${this.name}.${how}`;
    run(caller, () => {
      if (this.slot.lazy === undefined) throw new DisposedError(`${caller}: the variable has been disposed`);
      const given = toArg(caller, "value", value);
      const fresh = typeof given === "number" ? this.weak(caller, given) : this.strong(caller, value, given);
      const exact = fresh.shape.length === this.shape.length && fresh.shape.every((d, i) => d === this.shape[i]);
      const spread = broadcastShapes(fresh.shape, this.shape);
      const fits =
        how === "assign"
          ? exact || typeof given === "number"
          : spread?.length === this.shape.length && spread.every((d, i) => d === this.shape[i]);
      if (!fits)
        throw new ShapeError(
          `${caller}: the variable is ${describe(this)}, the value is ${describe(fresh)}${how === "assign" ? "" : ", which does not broadcast to it"}`,
        );
      const result = next(exact ? fresh : stretch(fresh, this.shape));
      const trace = currentTrace();
      if (trace !== undefined) trace.write(this, result);
      else this.rebind(result as Lazy);
    });
    return this;
  }

  private weak(caller: string, value: number): Ref {
    if (this.dtype === "i32" || this.dtype === "u32" || this.dtype === "bool")
      if (!Number.isInteger(value))
        throw new DTypeError(`${caller}: the variable is ${describe(this)}, the value ${value} is not whole`);
    return currentFrame().number(this.dtype, value);
  }

  /** Host arrays take the variable's dtype; tensors must have it. */
  private strong(caller: string, value: TensorLike, ref: Ref): Ref {
    if (ref.dtype === this.dtype) return ref;
    if (!(value instanceof Tensor) && !(value instanceof VariableCell) && this.dtype.startsWith("f"))
      return cast(ref, this.dtype);
    throw new DTypeError(
      `${caller}: the variable is ${describe(this)}, the value is ${describe(ref)}; cast it with .cast("${this.dtype}")`,
    );
  }
}

/**
 * A variable that starts as `init`. Inside a compiled function variables can be made only during its first call, and
 * `init` must not depend on the arguments.
 */
export function variable(init: TensorLike, options: VariableOptions = {}): Variable {
  return run("variable", () => {
    const trace = currentTrace();
    if (trace?.block === true)
      throw new TraceError(
        `variable: a variable cannot be made inside the ${trace.name}: it would exist or not, depending on data. Make it before, and assign to it inside.`,
      );
    if (trace !== undefined && trace.creation === "forbidden")
      throw new TraceError(
        `variable: variables can be made only on the first call of a compiled function, not in a later trace of ${trace.name}. Make them outside, or once: w ??= variable(...).`,
      );
    checkOptions("variable", options, ["name", "trainable", "dtype"]);
    const ref = toRef("variable", "init", init);
    const typed = options.dtype === undefined ? ref : promoted(ref, checkDType("variable", options.dtype));
    const lazy = typed.kind === "lazy" ? typed : lift(trace!, typed, "variable: init");
    const name = options.name ?? `variable_${made++}`;
    if (typeof name !== "string" || name === "")
      throw new SinterError("variable: name must be a text with at least one letter");
    const cell = new Variable(lazy, name, options.name !== undefined, options.trainable ?? lazy.dtype.startsWith("f"));
    if (trace !== undefined) {
      trace.created.push(cell);
      forceAnywhere([lazy]);
    }
    return cell;
  });
}

function promoted(ref: Ref, dtype: DType): Ref {
  return promoteArgs([ref]).map((r) => cast(r, dtype))[0]!;
}
