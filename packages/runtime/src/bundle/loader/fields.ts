/** Checks untrusted JSON against a description of it, made of functions that throw a `BundleError` naming file and field. */
import { elementBytes, memoryLimit, sizeOf } from "./dtypes.ts";
import { BundleError } from "./errors.ts";
import { isCount, isObject } from "./json.ts";
import { manifestFile } from "./vouch.ts";

/** Throws unless `value`, which stands at `path`, is right. */
export type Check = (value: unknown, path: string) => void;

/** Ends with an error about a field; with `value` it says what is there. */
export function bad(path: string, wanted: string, ...value: readonly unknown[]): never {
  const is = value.length === 0 ? "" : `, but is ${(JSON.stringify(value[0]) ?? "missing").slice(0, 60)}`;
  throw new BundleError(`${manifestFile}: ${path} must be ${wanted}${is}`);
}

const when =
  (test: (value: unknown) => boolean, wanted: string): Check =>
  (value, path) => {
    if (!test(value)) bad(path, wanted, value);
  };

export const text: Check = /* @__PURE__ */ when((value) => typeof value === "string", "a text");
export const flag: Check = /* @__PURE__ */ when((value) => typeof value === "boolean", "true or false");
export function matching(pattern: RegExp, wanted: string): Check {
  return when((value) => typeof value === "string" && pattern.test(value), wanted);
}
export function oneOf(...names: readonly unknown[]): Check {
  return when((value) => names.includes(value), names.join(" or "));
}
/** A whole number below `end`. */
export function below(end: number): Check {
  return when((value) => isCount(value) && value < end, `a whole number below ${end}`);
}
export function optional(check: Check): Check {
  return (value, path) => {
    if (value !== undefined) check(value, path);
  };
}
export function list(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) bad(path, "a list", value);
    for (const [i, item] of (value as unknown[]).entries()) check(item, `${path}[${i}]`);
  };
}
/** An object with these fields; others are not looked at. */
export function record(fields: Readonly<Record<string, Check>>): Check {
  return (value, path) => {
    const object = isObject(value) ? value : bad(path, "an object", value);
    for (const [name, check] of Object.entries(fields))
      check(Object.hasOwn(object, name) ? object[name] : undefined, path === "" ? name : `${path}.${name}`);
  };
}
/** An object whose fields, whatever their names, are all like this. */
export function fields(check: Check): Check {
  return (value, path) => {
    const object = isObject(value) ? value : bad(path, "an object", value);
    for (const [name, item] of Object.entries(object)) check(item, `${path}.${name}`);
  };
}
/** All of them. */
export function both(...checks: readonly Check[]): Check {
  return (value, path) => {
    for (const check of checks) check(value, path);
  };
}

/** A size that need not be a number, or a part of one. Whether its names are those of sizes is not looked at. */
const size: Check = (value, path) => {
  if (!Array.isArray(value)) {
    if (typeof value !== "string" && !Number.isSafeInteger(value))
      bad(path, "a whole number or the name of a size", value);
    return;
  }
  if (value.length !== 3) bad(path, "an operation and two sizes", value);
  oneOf("+", "*", "/", "%", "min", "max")(value[0], `${path}[0]`);
  size(value[1], `${path}[1]`);
  size(value[2], `${path}[2]`);
};
export const symbolicSize: Check = (value, path) =>
  (typeof value === "string" || Array.isArray(value) ? size : below(memoryLimit))(value, path);

const knownDType: Check = (value, path) => oneOf(...Object.keys(elementBytes))(value, path);
/** dtype and shape of a tensor whose sizes may be those of a call. */
export const sizedTensor: Check = /* @__PURE__ */ record({
  dtype: knownDType,
  shape: /* @__PURE__ */ list(symbolicSize),
});

/** dtype and shape of a tensor that a memory can hold. */
export const tensor: Check = (value, path) => {
  record({ dtype: knownDType, shape: list(below(memoryLimit)) })(value, path);
  const { dtype, shape } = value as { dtype: keyof typeof elementBytes; shape: number[] };
  if (!(sizeOf(shape) * elementBytes[dtype] <= memoryLimit)) bad(`${path}.shape`, "small enough for a memory", shape);
};
