/** Reads untrusted JSON field by field: a value of the right kind, or a `BundleError` that names the file and the field. */
import type { DType } from "@sinter/ir/program";
import type { TensorEntry } from "../manifest.ts";
import { elementBytes, isDType, sizeOf } from "./dtypes.ts";
import { BundleError } from "./errors.ts";
import { isCount, isObject } from "./json.ts";

/** What one memory can hold. */
export const memoryLimit = 2 ** 32;

/** A value with the path that leads to it. */
export class Field {
  readonly file: string;
  readonly path: string;
  readonly value: unknown;

  constructor(file: string, path: string, value: unknown) {
    this.file = file;
    this.path = path;
    this.value = value;
  }

  fail(why: string): never {
    throw new BundleError(`${this.file}: ${this.path === "" ? "" : `${this.path} `}${why}`);
  }
  wrong(wanted: string): never {
    const text = JSON.stringify(this.value) ?? "missing";
    return this.fail(`must be ${wanted}, but is ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`);
  }

  /** A field of this object; undefined where it has none of its own. */
  get(name: string): Field {
    if (!isObject(this.value)) this.wrong("an object");
    const object = this.value as Readonly<Record<string, unknown>>;
    const path = this.path === "" ? name : `${this.path}.${name}`;
    return new Field(this.file, path, Object.hasOwn(object, name) ? object[name] : undefined);
  }
  /** `read` of the field, where it is there. */
  optional<T>(name: string, read: (field: Field) => T): T | undefined {
    const field = this.get(name);
    return field.value === undefined ? undefined : read(field);
  }
  list<T>(read: (item: Field, index: number) => T, least = 0): T[] {
    if (!Array.isArray(this.value) || this.value.length < least)
      this.wrong(least > 0 ? "a list with an item" : "a list");
    return (this.value as unknown[]).map((item, i) => read(new Field(this.file, `${this.path}[${i}]`, item), i));
  }
  text(pattern?: RegExp, what = "a text"): string {
    const { value } = this;
    return typeof value === "string" && pattern?.test(value) !== false ? value : this.wrong(what);
  }
  flag(): boolean {
    return typeof this.value === "boolean" ? this.value : this.wrong("true or false");
  }
  /** A whole number below `end`. */
  count(end: number, what = `a whole number below ${end}`): number {
    return isCount(this.value) && this.value < end ? this.value : this.wrong(what);
  }
  oneOf<T extends string>(names: readonly T[]): T {
    return names.includes(this.value as T) ? (this.value as T) : this.wrong(`one of ${names.join(", ")}`);
  }
  dtype(): DType {
    return isDType(this.value) ? this.value : this.wrong(`one of ${Object.keys(elementBytes).join(", ")}`);
  }
  /** dtype and shape of a tensor that a memory can hold. */
  tensor(): TensorEntry {
    const dtype = this.get("dtype").dtype();
    const shape = this.get("shape").list((size) => size.count(memoryLimit));
    if (!(sizeOf(shape) * elementBytes[dtype] <= memoryLimit)) this.get("shape").wrong("a shape that fits in memory");
    return { dtype, shape };
  }
}
