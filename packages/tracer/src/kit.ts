/**
 * What array functions are written with: arguments become refs, types promote, shapes broadcast, operations go to the
 * ambient frame. Works on refs, not on handles, so that inner values of a function never become handles.
 */
import {
  type Attrs,
  castValue,
  type Dim,
  type DType,
  type HostTensor,
  isFloat,
  promote,
  TypeRuleError,
} from "@sinter/ir";
import { internDim, isStatic } from "./dims.ts";
import { eager } from "./eager.ts";
import {
  type AnyFunction,
  DTypeError,
  describe,
  describeValue,
  ShapeError,
  SinterError,
  site,
  userLoc,
} from "./errors.ts";
import { currentFrame, currentTrace, VariableCell } from "./frame.ts";
import { type Ref, sizeOf } from "./lazy.ts";
import { explained } from "./memory.ts";
import { type NestedData, parseNested, type TypedData } from "./nested.ts";
import { Tensor, type TensorLike } from "./tensor.ts";

/** An operand: a ref, or a JavaScript number, whose type gives way. */
export type Arg = Ref | number;

/** Runs the body of a public function: its operations carry the user's line, its failures name it, nothing leaks. */
export function run<T>(name: string, body: () => T): T {
  const frame = currentFrame();
  if (frame.kind === "eager") eager.begin();
  else {
    const loc = currentTrace()?.tagged === true ? undefined : userLoc();
    frame.at(loc === undefined ? undefined : { ...loc, name });
  }
  try {
    return body();
  } catch (error) {
    if (error instanceof TypeRuleError) throw new ShapeError(`${name}: ${error.message}`);
    throw explained(error);
  } finally {
    if (frame.kind === "eager") eager.end();
  }
}

/** As `run`, for functions whose result is one tensor. */
export function make(name: string, self: AnyFunction, body: () => Ref): Tensor {
  return run(name, () => {
    const ref = body();
    return new Tensor(ref, ref.kind === "lazy" ? site(self) : undefined);
  });
}

/** The ref of a tensor, variable, typed array, number, boolean or nested array. Numbers become f32. */
export function toRef(caller: string, argument: string, value: TensorLike): Ref {
  if (value instanceof Tensor) return value.ref(`${caller}: ${argument}`);
  if (value instanceof VariableCell) return readVariable(value);
  if (typeof value === "number") return currentFrame().number("f32", value);
  if (typeof value === "boolean") return currentFrame().scalar("bool", value ? 1 : 0);
  return host(hostData(caller, argument, value));
}

/** As `toRef`, but numbers stay numbers: their type gives way to that of the other operands. */
export function toArg(caller: string, argument: string, value: TensorLike): Arg {
  return typeof value === "number" ? value : toRef(caller, argument, value);
}

export function readVariable(variable: VariableCell): Ref {
  return currentTrace()?.read(variable) ?? variable.current();
}

/** A host array as a value: a constant of the graph while tracing, memory of its own otherwise. */
export function host(data: HostTensor): Ref {
  const frame = currentFrame();
  if (frame.kind === "trace") return frame.constant(data);
  return eager.host(data);
}

export function hostData(caller: string, argument: string, value: NestedData | TypedData, dtype?: DType): HostTensor {
  return parseNested(caller, argument, value, dtype);
}

/** Positions are counted in i32, also those of values that are never in memory. */
const mostElements = 2 ** 31 - 1;

export function emit(op: string, operands: readonly Ref[], attrs?: Attrs): Ref {
  const out = currentFrame().emit(op, operands, attrs);
  const size = sizeOf(out.shape);
  if (typeof size === "number" && size > mostElements)
    throw new TypeRuleError(`${describe(out)} has more than ${mostElements} elements, which is the most there can be`);
  return out;
}

/** A constant of the library, rank 0. */
export function scalar(dtype: DType, value: number): Ref {
  return currentFrame().scalar(dtype, value);
}

/** A constant of the dtype of `like`. */
export function like(ref: Ref, value: number): Ref {
  return scalar(ref.dtype, value);
}

export function cast(ref: Ref, dtype: DType): Ref {
  return ref.dtype === dtype ? ref : emit("cast", [ref], { dtype });
}

/** Gives every operand the common dtype. `float`: integers and bools become f32 too. */
export function promoteArgs(args: readonly Arg[], float = false): Ref[] {
  let dtype: DType | undefined;
  for (const arg of args)
    if (typeof arg !== "number") dtype = dtype === undefined ? arg.dtype : promote(dtype, arg.dtype);
  if (dtype === undefined) dtype = "f32";
  for (const arg of args) {
    if (typeof arg !== "number" || isFloat(dtype)) continue;
    if (!Number.isInteger(arg)) dtype = "f32";
    else if (dtype === "bool") dtype = "i32";
  }
  if (float && !isFloat(dtype)) dtype = "f32";
  const common = dtype;
  return args.map((arg) =>
    typeof arg === "number" ? currentFrame().number(common, castValue("f64", common, arg)) : cast(arg, common),
  );
}

/** A float operand: integers and bools become f32. */
export function toFloat(ref: Ref): Ref {
  return isFloat(ref.dtype) ? ref : cast(ref, "f32");
}

export function floatRef(caller: string, argument: string, value: TensorLike): Ref {
  return toFloat(toRef(caller, argument, value));
}

/** The shape that both shapes stretch to by NumPy's rule; undefined where they do not. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] | undefined;
export function broadcastShapes(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined;
export function broadcastShapes(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    out.push(x === 1 ? y : x);
  }
  return out;
}

/** Stretches a ref to a shape it broadcasts to. */
export function stretch(ref: Ref, shape: readonly Dim[]): Ref {
  const { shape: from } = ref;
  if (from.length === shape.length && from.every((dim, i) => dim === shape[i])) return ref;
  const offset = shape.length - from.length;
  const kept: Dim[] = [];
  const dims: number[] = [];
  from.forEach((dim, i) => {
    if (dim === 1 && shape[i + offset] !== 1) return;
    kept.push(dim);
    dims.push(i + offset);
  });
  return emit("broadcast", [reshape(ref, kept)], { shape, dims });
}

/** Makes operands fit each other: equal shapes, or rank 0. */
export function broadcastArgs(caller: string, names: readonly string[], refs: readonly Ref[]): Ref[] {
  let shape: readonly Dim[] = [];
  refs.forEach((ref) => {
    const next = broadcastShapes(shape, ref.shape);
    if (next === undefined) {
      const shown = refs.map((r, k) => `${names[k]} is ${describe(r)}`).join(", ");
      throw new ShapeError(`${caller}: shapes do not broadcast: ${shown}`);
    }
    shape = next;
  });
  return refs.map((ref) => (ref.shape.length === 0 ? ref : stretch(ref, shape)));
}

export function reshape(ref: Ref, shape: readonly Dim[]): Ref {
  if (ref.shape.length === shape.length && ref.shape.every((dim, i) => dim === shape[i])) return ref;
  return emit("reshape", [ref], { shape });
}

export function transpose(ref: Ref, perm: readonly number[]): Ref {
  return perm.every((axis, i) => axis === i) ? ref : emit("transpose", [ref], { perm });
}

/** The elementwise operation on promoted, broadcast operands. */
export function elementwise(
  caller: string,
  op: string,
  args: readonly Arg[],
  float = false,
  names: readonly string[] = ["a", "b"],
): Ref {
  return emit(op, broadcastArgs(caller, names, promoteArgs(args, float)));
}

/** Short names for what library code combines most. Operands must agree in dtype, and in shape or be rank 0. */
export const add = (a: Ref, b: Ref): Ref => emit("add", [a, b]);
export const sub = (a: Ref, b: Ref): Ref => emit("sub", [a, b]);
export const mul = (a: Ref, b: Ref): Ref => emit("mul", [a, b]);
export const div = (a: Ref, b: Ref): Ref => emit("div", [a, b]);
export const neg = (a: Ref): Ref => emit("neg", [a]);
export const select = (c: Ref, a: Ref, b: Ref): Ref => emit("select", [c, a, b]);
export const iota = (dtype: DType, shape: readonly Dim[], axis: number): Ref =>
  emit("iota", [], { dtype, shape, axis });

/** A scalar spread over a shape. */
export function filled(value: Ref, shape: readonly Dim[]): Ref {
  return shape.length === 0 ? value : emit("broadcast", [value], { shape, dims: [] });
}

/** One axis, counted from the end where negative; names the argument where it is out of range. */
export function axisOf(caller: string, axis: number, rank: number, argument = "axis"): number {
  if (!Number.isInteger(axis))
    throw new ShapeError(`${caller}: ${argument} must be an integer, not ${describeValue(axis)}`);
  const at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank)
    throw new ShapeError(
      `${caller}: ${argument} ${axis} is out of range for a tensor of rank ${rank} (${rank === 0 ? "it has no axes" : `${-rank} to ${rank - 1}`})`,
    );
  return at;
}

/** Axes as asked for (all of them by default), ascending. */
export function axesOf(caller: string, axis: number | readonly number[] | undefined, rank: number): number[] {
  if (axis === undefined || axis === null) return Array.from({ length: rank }, (_, i) => i);
  const list = typeof axis === "number" ? [axis] : axis;
  if (!Array.isArray(list))
    throw new ShapeError(`${caller}: axis must be an integer or an array of them, not ${describeValue(axis)}`);
  const axes = list.map((a) => axisOf(caller, a, rank)).sort((a, b) => a - b);
  axes.forEach((a, i) => {
    if (a === axes[i - 1]) throw new ShapeError(`${caller}: axis ${a} is given twice`);
  });
  return axes;
}

/** Checks a list of sizes, of which it returns a copy; `allowInfer` lets one of them be -1. */
export function checkShape(
  caller: string,
  shape: number | readonly number[],
  argument?: string,
  allowInfer?: boolean,
): number[];
export function checkShape(caller: string, shape: Dim | readonly Dim[], argument?: string, allowInfer?: boolean): Dim[];
export function checkShape(caller: string, shape: unknown, argument = "shape", allowInfer = false): Dim[] {
  const list = typeof shape === "number" || isSymbolic(shape) ? [shape] : shape;
  if (!Array.isArray(list))
    throw new ShapeError(`${caller}: ${argument} must be an array of sizes, not ${describeValue(shape)}`);
  list.forEach((size: unknown, i) => {
    if ((allowInfer && size === -1) || isSymbolic(size)) return;
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0)
      throw new ShapeError(
        `${caller}: ${argument}[${i}] must be a size (an integer, 0 or more), not ${describeValue(size)}`,
      );
  });
  const sizes = (list as readonly Dim[]).map(internDim);
  if (isStatic(sizes) && sizeOf(sizes) > mostElements)
    throw new ShapeError(
      `${caller}: ${argument} [${sizes.join(",")}] has more than ${mostElements} elements, which is the most there can be`,
    );
  return sizes;
}

/** A size out of `x.dims` that is not known before the program runs. */
function isSymbolic(value: unknown): boolean {
  return typeof value === "object" && value !== null && "terms" in value && "key" in value;
}

/** A size as a rank-0 value. */
export function sizeRef(dtype: DType, size: Dim): Ref {
  return typeof size === "number" ? scalar(dtype, size) : cast(emit("dim", [], { size: [size] }), dtype);
}

/** Checks one size, such as a count. */
export function checkSize(caller: string, size: unknown, argument: string): number {
  if (typeof size === "number" && Number.isInteger(size) && size >= 0) return size;
  throw new ShapeError(`${caller}: ${argument} must be a size (an integer, 0 or more), not ${describeValue(size)}`);
}

/** Checks a whole number, such as a distance. */
export function checkInteger(caller: string, argument: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw new ShapeError(`${caller}: ${argument} must be an integer, not ${describeValue(value)}`);
}

export function checkDType(caller: string, dtype: unknown): DType {
  if (typeof dtype === "string" && ["f32", "f64", "i32", "u32", "bool"].includes(dtype)) return dtype as DType;
  throw new DTypeError(`${caller}: dtype must be f32, f64, i32, u32 or bool, not ${describeValue(dtype)}`);
}

/** An index operand: integers, as i32. */
export function indexRef(caller: string, argument: string, value: TensorLike): Ref {
  if (typeof value === "number") {
    checkInteger(caller, argument, value);
    return currentFrame().number("i32", value);
  }
  let ref = toRef(caller, argument, value);
  // Plain arrays of whole numbers are indices too, though arrays are f32 otherwise.
  if (!(value instanceof Tensor) && !(value instanceof VariableCell) && ref.dtype === "f32") {
    const { data } = hostData(caller, argument, value as NestedData);
    const broken = data.findIndex((index) => !Number.isInteger(index));
    if (broken >= 0)
      throw new DTypeError(`${caller}: ${argument} must be integers, but element ${broken} is ${data[broken]}`);
    ref = host(hostData(caller, argument, value as NestedData, "i32"));
  }
  if (ref.dtype !== "i32" && ref.dtype !== "u32")
    throw new DTypeError(
      `${caller}: ${argument} must be integers (i32 or u32), not ${describe(ref)}; cast("i32") if they are whole`,
    );
  return cast(ref, "i32");
}

export { describe, SinterError };

/** As `run`, for functions whose result is several tensors. */
export function makeAll(name: string, self: AnyFunction, body: () => readonly Ref[]): Tensor[] {
  return run(name, () => {
    const at = currentFrame().kind === "eager" ? site(self) : undefined;
    return body().map((ref) => new Tensor(ref, at));
  });
}
