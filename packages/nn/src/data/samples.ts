/** Rows and columns of a dataset: trees of host arrays, how rows are taken out of columns, and how they are stacked. */
import type { TypedArray } from "@sinter/ir";
import { type NestedArray, ShapeError, SinterError, Tensor, tensor } from "@sinter/tracer";
import { describeValue } from "@sinter/tracer/errors";

/** Elements with a shape. bool is a Uint8Array of 0 and 1. */
export interface Sample {
  readonly data: TypedArray;
  readonly shape: readonly number[];
}

/** Arrays and objects with leaves. */
export type TreeOf<Leaf> = Leaf | readonly TreeOf<Leaf>[] | { readonly [key: string]: TreeOf<Leaf> };

/** What a column may be given as: its first axis is that of the rows. */
export type Column = Tensor | TypedArray | Sample | NestedArray<number | boolean>;

/** The rows of columns. */
export type RowOf<S> = S extends Column ? Sample : { readonly [K in keyof S]: RowOf<S[K]> };

/** Batches of rows. */
export type BatchOf<R> = R extends Sample | TypedArray | number | boolean
  ? Tensor
  : { readonly [K in keyof R]: BatchOf<R[K]> };

/** The leaves of a tree, by `isLeaf`, and what builds the like of it with others in their places. */
export interface Flat<Leaf> {
  readonly leaves: readonly { readonly value: Leaf; readonly path: string }[];
  build<T>(leaf: (index: number) => T): unknown;
}

export function flatten<Leaf>(tree: unknown, isLeaf: (value: unknown) => value is Leaf, path: string): Flat<Leaf> {
  const leaves: { value: Leaf; path: string }[] = [];
  const visit = (value: unknown, at: string): (<T>(leaf: (index: number) => T) => unknown) => {
    if (isLeaf(value)) {
      const index = leaves.push({ value, path: at }) - 1;
      return (leaf) => leaf(index);
    }
    if (Array.isArray(value)) {
      const items = value.map((item, i) => visit(item, `${at}[${i}]`));
      return (leaf) => items.map((item) => item(leaf));
    }
    if (typeof value === "object" && value !== null) {
      const items = Object.entries(value).map(([key, item]) => [key, visit(item, `${at}.${key}`)] as const);
      return (leaf) => Object.fromEntries(items.map(([key, item]) => [key, item(leaf)]));
    }
    throw new SinterError(`${at} must be an array of numbers, not ${describeValue(value)}`);
  };
  const build = visit(tree, path);
  return { leaves, build };
}

/** A column or a value of a row: whatever has elements. */
export function isArray(value: unknown): value is Column {
  if (value instanceof Tensor || ArrayBuffer.isView(value) || isSample(value)) return true;
  let first: unknown = value;
  while (Array.isArray(first)) first = first[0];
  return Array.isArray(value) && (typeof first === "number" || typeof first === "boolean" || first === undefined);
}

export function isSample(value: unknown): value is Sample {
  const { data, shape } = (value ?? {}) as Partial<Sample>;
  return ArrayBuffer.isView(data) && Array.isArray(shape);
}

function isValue(value: unknown): value is Column | number | boolean {
  return typeof value === "number" || typeof value === "boolean" || isArray(value);
}

/** Elements and shape of an array of any kind. Throws for ragged ones, naming the place. */
export function sampleOf(value: Column | number | boolean, path: string): Sample {
  if (isSample(value)) {
    const size = value.shape.reduce((n, dim) => n * dim, 1);
    if (size !== value.data.length)
      throw new ShapeError(
        `${path} has ${value.data.length} elements, but its shape [${value.shape.join()}] has ${size}`,
      );
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    const known =
      value instanceof Float32Array ||
      value instanceof Float64Array ||
      value instanceof Int32Array ||
      value instanceof Uint32Array;
    if (known) return { data: value, shape: [value.length] };
  }
  if (typeof value === "number") return { data: Float32Array.of(value), shape: [] };
  if (typeof value === "boolean") return { data: Uint8Array.of(value ? 1 : 0), shape: [] };
  if (value instanceof Tensor) return { data: value.dataSync(), shape: value.shape };
  const made = tensor(value);
  try {
    return { data: made.dataSync(), shape: made.shape };
  } finally {
    made.dispose();
  }
}

/** Columns with the same number of rows. */
export interface Columns {
  readonly rows: number;
  readonly columns: readonly Sample[];
  build<T>(leaf: (index: number) => T): unknown;
}

export function columnsOf(caller: string, tree: unknown): Columns {
  const { leaves, build } = flatten(tree, isArray, "arrays");
  if (leaves.length === 0) throw new SinterError(`${caller}: there are no arrays in ${describeValue(tree)}`);
  const columns = leaves.map(({ value, path }) => sampleOf(value, path));
  const rows = columns[0]!.shape[0];
  for (const [i, { shape }] of columns.entries()) {
    const { path } = leaves[i]!;
    if (shape.length === 0) throw new ShapeError(`${caller}: ${path} is a scalar, and has no rows`);
    if (shape[0] !== rows)
      throw new ShapeError(
        `${caller}: ${leaves[0]!.path} has ${rows} rows, but ${path} has ${shape[0]}; all must have the same number`,
      );
  }
  return { rows: rows!, columns, build };
}

/** Row `i`: views of the columns, which copy nothing. */
export function rowOf({ columns, build }: Columns, i: number): unknown {
  return build((c) => {
    const { data, shape } = columns[c]!;
    const inner = shape.slice(1);
    const size = inner.reduce((n, dim) => n * dim, 1);
    return { data: data.subarray(i * size, (i + 1) * size), shape: inner };
  });
}

/** Rows of these numbers, one array for each column. */
export function gatherRows({ columns, build }: Columns, rows: ArrayLike<number>): unknown {
  return build((c) => {
    const { data, shape } = columns[c]!;
    const size = shape.slice(1).reduce((n, dim) => n * dim, 1);
    const made = like(data, rows.length * size);
    for (let i = 0; i < rows.length; i++) {
      const from = rows[i]! * size;
      if (size === 1) made[i] = data[from]!;
      else made.set(data.subarray(from, from + size), i * size);
    }
    return upload({ data: made, shape: [rows.length, ...shape.slice(1)] });
  });
}

/** Rows one on another. Throws where they differ, naming the row. */
export function stackRows(caller: string, rows: readonly unknown[], first: number): unknown {
  const flat = rows.map((row) => flatten(row, isValue, "row"));
  const [{ leaves, build }] = flat as [Flat<Column | number | boolean>];
  const stacks = leaves.map(({ value, path }, leaf) => {
    const { data, shape } = sampleOf(value, path);
    const made = like(data, rows.length * data.length);
    for (const [i, { leaves: own }] of flat.entries()) {
      const at = own[leaf];
      if (own.length !== leaves.length || at?.path !== path)
        throw new ShapeError(
          `${caller}: row ${first + i} is built otherwise than row ${first}: it has ${paths(own)}, not ${paths(leaves)}`,
        );
      const sample = sampleOf(at.value, path);
      if (String(sample.shape) !== String(shape) || sample.data.constructor !== data.constructor)
        throw new ShapeError(
          `${caller}: the rows are ragged: ${path} of row ${first + i} is ${text(sample)}, that of row ${first} ${text({ data, shape })}; pad or crop them in a map`,
        );
      made.set(sample.data, i * data.length);
    }
    return upload({ data: made, shape: [rows.length, ...shape] });
  });
  return build((leaf) => stacks[leaf]);
}

function upload({ data, shape }: Sample): Tensor {
  return data instanceof Uint8Array ? tensor(data, { shape, dtype: "bool" }) : tensor(data, { shape });
}

function like(data: TypedArray, length: number): TypedArray {
  return new (data.constructor as new (length: number) => TypedArray)(length);
}

function paths(leaves: Flat<unknown>["leaves"]): string {
  return leaves.map(({ path }) => path).join(", ");
}

function text({ data, shape }: Sample): string {
  return `${data.constructor.name} [${shape.join()}]`;
}
