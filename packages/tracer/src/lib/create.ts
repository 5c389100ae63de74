/** Array functions that make tensors from nothing or from host data. */
import { castValue, type Dim, type DType } from "@sinter/ir";
import { checkOptions, describe, describeValue, ShapeError } from "../errors.ts";
import { currentFrame, VariableCell } from "../frame.ts";
import {
  add,
  checkDType,
  checkInteger,
  checkShape,
  checkSize,
  cast as convert,
  emit,
  filled,
  host,
  hostData,
  iota,
  make,
  mul,
  scalar,
  toRef,
} from "../kit.ts";
import { type NestedData, parseNested } from "../nested.ts";
import { Tensor, type TensorLike } from "../tensor.ts";

/**
 * A tensor holding a copy of `data`: nested arrays, a typed array, a number or boolean, or another tensor. Numbers are
 * f32 and booleans bool unless `dtype` says otherwise; a typed array keeps its type (8 and 16 bit integers become i32).
 * Throws for ragged arrays (naming the index) and where `shape` has another number of elements.
 */
export function tensor(
  data: TensorLike,
  options: { readonly dtype?: DType; readonly shape?: readonly number[] } = {},
): Tensor {
  return make("tensor", tensor, () => {
    checkOptions("tensor", options, ["dtype", "shape"]);
    const dtype = options.dtype === undefined ? undefined : checkDType("tensor", options.dtype);
    const shape = options.shape === undefined ? undefined : checkShape("tensor", options.shape);
    if (data instanceof Tensor || data instanceof VariableCell) {
      const ref = toRef("tensor", "data", data);
      const typed = dtype === undefined ? ref : convert(ref, dtype);
      return shape === undefined ? typed : emit("reshape", [typed], { shape });
    }
    if (typeof data === "string" || data === null || data === undefined)
      throw new ShapeError(
        `tensor: data must be numbers, arrays of numbers, a typed array or a tensor, not ${describeValue(data)}`,
      );
    return host(parseNested("tensor", "data", data as NestedData, dtype, shape));
  });
}

/** `value` everywhere. dtype: that given, else bool for a boolean and f32 for a number. */
export function full(shape: Dim | readonly Dim[], value: number | boolean | Tensor, dtype?: DType): Tensor {
  return make("full", full, () => fill("full", shape, value, dtype));
}

/** 0 everywhere. */
export function zeros(shape: Dim | readonly Dim[], dtype: DType = "f32"): Tensor {
  return make("zeros", zeros, () => fill("zeros", shape, 0, dtype));
}

/** 1 everywhere. */
export function ones(shape: Dim | readonly Dim[], dtype: DType = "f32"): Tensor {
  return make("ones", ones, () => fill("ones", shape, 1, dtype));
}

/** 0 in the shape of `x`, and its dtype unless given. */
export function zerosLike(x: TensorLike, dtype?: DType): Tensor {
  return make("zerosLike", zerosLike, () => {
    const ref = toRef("zerosLike", "x", x);
    return fill("zerosLike", ref.shape, 0, dtype ?? ref.dtype);
  });
}

/** 1 in the shape of `x`, and its dtype unless given. */
export function onesLike(x: TensorLike, dtype?: DType): Tensor {
  return make("onesLike", onesLike, () => {
    const ref = toRef("onesLike", "x", x);
    return fill("onesLike", ref.shape, 1, dtype ?? ref.dtype);
  });
}

function fill(caller: string, shape: Dim | readonly Dim[], value: number | boolean | Tensor, dtype?: DType) {
  const sizes = checkShape(caller, shape);
  if (value instanceof Tensor) {
    const ref = value.ref(caller);
    if (ref.shape.length > 0) throw new ShapeError(`${caller}: value must be a scalar, not ${describe(ref)}`);
    return filled(dtype === undefined ? ref : convert(ref, checkDType(caller, dtype)), sizes);
  }
  if (typeof value !== "number" && typeof value !== "boolean")
    throw new ShapeError(`${caller}: value must be a number or a boolean, not ${describeValue(value)}`);
  const type = dtype === undefined ? (typeof value === "boolean" ? "bool" : "f32") : checkDType(caller, dtype);
  const number = castValue("f64", type, Number(value));
  const common = number === 0 || number === 1;
  return filled(common ? scalar(type, number) : currentFrame().number(type, number), sizes);
}

/** The identity matrix: n rows, m columns (n by default), ones on diagonal k. */
export function eye(n: number, m: number = n, k = 0, dtype: DType = "f32"): Tensor {
  return make("eye", eye, () => {
    const shape = [checkSize("eye", n, "n"), checkSize("eye", m, "m")];
    const shifted = add(iota("i32", shape, 0), scalar("i32", checkInteger("eye", "k", k)));
    return convert(emit("eq", [shifted, iota("i32", shape, 1)]), checkDType("eye", dtype));
  });
}

/**
 * start, start + step, ... below stop. `arange(n)` counts from 0. i32 where all three are integers, else f32. A step of 0
 * and sizes that are not finite are errors.
 */
export function arange(start: number, stop?: number, step = 1, dtype?: DType): Tensor {
  return make("arange", arange, () => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    for (const [name, value] of Object.entries({ start: from, stop: to, step }))
      if (typeof value !== "number" || !Number.isFinite(value))
        throw new ShapeError(`arange: ${name} must be a finite number, not ${describeValue(value)}`);
    if (step === 0) throw new ShapeError("arange: step must not be 0");
    const count = Math.max(0, Math.ceil((to - from) / step));
    checkShape("arange", [count], "number of elements");
    const whole = Number.isInteger(from) && Number.isInteger(to) && Number.isInteger(step);
    const type = dtype === undefined ? (whole ? "i32" : "f32") : checkDType("arange", dtype);
    const base = iota(type === "bool" ? "i32" : type, [count], 0);
    let out = base;
    if (step !== 1) out = mul(out, scalar(base.dtype, step));
    if (from !== 0) out = add(out, scalar(base.dtype, from));
    return convert(out, type);
  });
}

/** `count` numbers from `start` to `stop`, both included, evenly spaced. */
export function linspace(start: number, stop: number, count = 50, dtype: DType = "f32"): Tensor {
  return make("linspace", linspace, () => {
    for (const [name, value] of Object.entries({ start, stop }))
      if (typeof value !== "number" || !Number.isFinite(value))
        throw new ShapeError(`linspace: ${name} must be a finite number, not ${describeValue(value)}`);
    const size = checkSize("linspace", count, "count");
    const step = size > 1 ? (stop - start) / (size - 1) : 0;
    const data = Array.from({ length: size }, (_, i) => (i === size - 1 && size > 1 ? stop : start + i * step));
    return host(hostData("linspace", "data", data, checkDType("linspace", dtype)));
  });
}

/** The same elements as another dtype: floats become integers towards zero (saturating, NaN is 0), `bool` is `x != 0`. */
export function cast(x: TensorLike, dtype: DType): Tensor {
  return make("cast", cast, () => convert(toRef("cast", "x", x), checkDType("cast", dtype)));
}
