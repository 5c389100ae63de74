/** Host data given by the user (nested arrays, typed arrays, scalars) as dense arrays with a shape. */
import { allocate, castValue, type DType, type HostTensor, type TypedArray } from "@sinter/ir";
import { DTypeError, describeValue, ShapeError } from "./errors.ts";

/** Any view that `tensor()` takes; 8 and 16 bit integers become i32. */
export type TypedData = TypedArray | Int8Array | Uint8ClampedArray | Int16Array | Uint16Array;

export type NestedData = number | boolean | readonly NestedData[];

/** Reads nested arrays or a typed array; a ragged array is an error that names the index. */
export function parseNested(
  caller: string,
  argument: string,
  value: NestedData | TypedData,
  dtype?: DType,
  shape?: readonly number[],
): HostTensor {
  if (ArrayBuffer.isView(value)) return fromTyped(caller, argument, value, dtype, shape);
  const found: number[] = [];
  for (let at: unknown = value; Array.isArray(at); at = at[0]) found.push(at.length);
  const flat: number[] = [];
  let booleans = 0;
  const path: number[] = [];
  const where = (): string => `${argument}${path.map((i) => `[${i}]`).join("")}`;
  const visit = (item: unknown, depth: number): void => {
    if (Array.isArray(item)) {
      if (depth >= found.length)
        throw new ShapeError(
          `${caller}: ${where()} is ${describeValue(item)} where a number is expected: the array is ragged`,
        );
      if (item.length !== found[depth])
        throw new ShapeError(
          `${caller}: the array is ragged: ${where()} has length ${item.length}, ${argument}${"[0]".repeat(depth)} has length ${found[depth]}`,
        );
      for (let i = 0; i < item.length; i++) {
        path[depth] = i;
        visit(item[i], depth + 1);
      }
      path.length = depth;
      return;
    }
    if (depth < found.length)
      throw new ShapeError(
        `${caller}: ${where()} is ${describeValue(item)} where an array of length ${found[depth]} is expected: the array is ragged`,
      );
    if (typeof item === "boolean") booleans++;
    else if (typeof item !== "number")
      throw new DTypeError(
        `${caller}: ${where()} must be ${wanted(depth)}, not ${describeValue(item)}${depth > 0 && isTensor(item) ? "; stack() and concat() join tensors" : ""}`,
      );
    flat.push(Number(item));
  };
  visit(value, 0);
  const type = dtype ?? (booleans > 0 && booleans === flat.length ? "bool" : "f32");
  return shaped(caller, argument, convert(flat, type), type, found, shape);
}

/** What may stand at a depth of nested arrays. A tensor is one only alone. */
function wanted(depth: number): string {
  return depth === 0 ? "a tensor, a number, a boolean, or an array of these numbers" : "a number or a boolean";
}

function isTensor(item: unknown): boolean {
  return typeof item === "object" && item !== null && "dims" in item;
}

/** The element type of a view, into which its elements go unchanged; undefined where there is none. */
export function typedDType(value: ArrayBufferView): DType | undefined {
  if (value instanceof Float32Array) return "f32";
  if (value instanceof Float64Array) return "f64";
  if (value instanceof Uint32Array) return "u32";
  return value instanceof Int32Array ||
    value instanceof Uint8Array ||
    value instanceof Int8Array ||
    value instanceof Int16Array ||
    value instanceof Uint16Array ||
    value instanceof Uint8ClampedArray
    ? "i32"
    : undefined;
}

function fromTyped(
  caller: string,
  argument: string,
  value: ArrayBufferView,
  dtype: DType | undefined,
  shape: readonly number[] | undefined,
): HostTensor {
  const known = typedDType(value);
  if (known === undefined)
    throw new DTypeError(
      `${caller}: ${argument} must be numbers of at most 32 bits or f64, not ${describeValue(value)}`,
    );
  const data = value as TypedArray;
  const type = dtype ?? known;
  return shaped(caller, argument, convert(data, type, known), type, [data.length], shape);
}

function convert(values: ArrayLike<number>, dtype: DType, from: DType = "f64"): TypedArray {
  const out = allocate(dtype, values.length);
  if (dtype === from || dtype === "f32" || dtype === "f64") out.set(values);
  else for (let i = 0; i < values.length; i++) out[i] = castValue(from, dtype, values[i]!);
  return out;
}

function shaped(
  caller: string,
  argument: string,
  data: TypedArray,
  dtype: DType,
  found: readonly number[],
  shape: readonly number[] | undefined,
): HostTensor {
  if (shape === undefined) return { dtype, shape: found, data };
  const size = shape.reduce((n, d) => n * d, 1);
  if (size !== data.length)
    throw new ShapeError(`${caller}: ${argument} has ${data.length} elements, shape [${shape.join(",")}] has ${size}`);
  return { dtype, shape, data };
}
