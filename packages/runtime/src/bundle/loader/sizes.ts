/**
 * Functions with symbolic sizes: finds the sizes in the arguments of a call, and makes of the function's entry one whose
 * sizes are numbers. A script of its own in a bundle, which only bundles with such functions carry.
 */
import type { FunctionEntry, SizeEntry, TreeEntry } from "../manifest.ts";
import { sizeOf, typeText } from "./dtypes.ts";
import { isCount, isObject } from "./json.ts";
import { wrong } from "./trees.ts";

/** A function whose sizes are known. */
export interface Bound extends FunctionEntry<number> {
  /** By position in `sizes`. */
  readonly values?: readonly number[];
}

export type Call = (...args: readonly unknown[]) => unknown;

/**
 * The function for arguments of all sizes. `layOut` makes it for given ones, which is kept until a call has others; `use`
 * throws where nothing may run; `fail` throws about the bundle.
 */
export type Sized = (
  f: FunctionEntry,
  layOut: (bound: Bound) => Call,
  use: (name: string) => void,
  fail: (why: string) => never,
) => Call;

/** As many elements as there can be in a tensor. */
const mostElements = 2 ** 31 - 1;

export const sized: Sized = (f, layOut, use, fail) => {
  let values: readonly number[] = [];
  let run: Call | undefined;
  return (...args) => {
    const now = valuesIn(f, args, fail);
    use(f.name);
    if (run === undefined || now.some((value, i) => value !== values[i])) {
      run = layOut(bind(f, now, fail));
      values = now;
    }
    return run(...args);
  };
};

/** The function's entry with numbers in place of its sizes. */
function bind(f: FunctionEntry, values: readonly number[], fail: (why: string) => never): Bound {
  const sizes = new Map(f.sizes!.map(({ name }, i) => [name, values[i]!]));
  const number = (size: SizeEntry): number => {
    const value = evaluated(size, sizes);
    return isCount(value) ? value : fail(`${f.name} has the size ${JSON.stringify(size)}, which is ${value}`);
  };
  const tree = (at: TreeEntry): TreeEntry<number> => {
    if (at.kind === "tensor") return { ...at, shape: at.shape.map(number) };
    return at.kind === "array" || at.kind === "object" ? { ...at, items: at.items.map(tree) } : at;
  };
  for (const size of f.elements ?? []) {
    const value = evaluated(size, sizes);
    if (value > mostElements)
      throw new TypeError(
        `${f.name}: with ${[...sizes].map(([name, at]) => `${name} = ${at}`).join(", ")} a tensor of the program has ${value} elements, more than the ${mostElements} that there can be`,
      );
  }
  return {
    ...f,
    values,
    elements: [],
    params: f.params.map((param) => ({ ...param, tree: tree(param.tree) })),
    result: tree(f.result),
    slots: f.slots.map((slot) => ({ ...slot, shape: slot.shape.map(number) })),
  };
}

function evaluated(size: SizeEntry, sizes: ReadonlyMap<string, number>): number {
  if (typeof size === "number") return size;
  if (typeof size === "string") return sizes.get(size) ?? Number.NaN;
  const [op, first, second] = size;
  const [a, b] = [evaluated(first, sizes), evaluated(second, sizes)];
  switch (op) {
    case "+":
      return a + b;
    case "*":
      return a * b;
    case "/":
      return Math.floor(a / b);
    case "%":
      return a - b * Math.floor(a / b);
    default:
      return Math[op](a, b);
  }
}

/** A tensor of which only the number of elements is known. */
interface Flat {
  readonly at: string;
  readonly shape: readonly SizeEntry[];
  readonly type: string;
  readonly length: number;
}

/** The values of the sizes, by position. Throws a TypeError that names argument and axis where they do not fit. */
function valuesIn(f: FunctionEntry, args: readonly unknown[], fail: (why: string) => never): number[] {
  const found = new Map<string, { readonly size: number; readonly place: string }>();
  const set = (name: SizeEntry, size: unknown, at: string, axis: number): void => {
    const { lo, hi } = f.sizes!.find((each) => each.name === name) ?? fail(`${f.name} has no size ${name}`);
    const place = `axis ${axis} of ${at}`;
    if (!isCount(size) || size < lo || size > hi)
      throw new TypeError(`${f.name}: ${place} is ${size}, but ${name} must be a whole number from ${lo} to ${hi}`);
    const before = found.get(name as string);
    if (before !== undefined && before.size !== size)
      throw new TypeError(`${f.name}: ${place} is ${size}, but ${name} is ${before.size}, as axis ${before.place}`);
    if (before === undefined) found.set(name as string, { size, place: place.slice(5) });
  };
  const flat: Flat[] = [];
  const visit = (tree: TreeEntry, value: unknown, at: string): void => {
    if (tree.kind === "array")
      for (const [i, item] of tree.items.entries())
        visit(item, Array.isArray(value) ? value[i] : undefined, `${at}[${i}]`);
    if (tree.kind === "object")
      for (const [i, item] of tree.items.entries()) {
        const key = tree.keys[i]!;
        visit(item, isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined, `${at}.${key}`);
      }
    if (tree.kind !== "tensor" || tree.shape.every((size) => typeof size === "number")) return;
    const { shape } = tree;
    const type = typeText(tree);
    const { data, shape: own } =
      isObject(value) && !ArrayBuffer.isView(value) ? value : { data: value, shape: undefined };
    if (own !== undefined) {
      if (!Array.isArray(own) || own.length !== shape.length)
        throw new TypeError(`${f.name}: ${at} must be ${type}, but is ${tree.dtype}[${own}]`);
      for (const [axis, size] of shape.entries()) if (typeof size !== "number") set(size, own[axis], at, axis);
      // Before memory is made for them.
      const { length } = data as Uint8Array;
      if (ArrayBuffer.isView(data) && length !== sizeOf(own))
        throw new TypeError(`${f.name}: ${at} has the shape [${own}], but ${length} elements`);
    } else if (ArrayBuffer.isView(data)) flat.push({ at, shape, type, length: (data as Uint8Array).length });
    else {
      let part = data;
      for (const [axis, size] of shape.entries()) {
        if (!Array.isArray(part)) wrong(`${f.name}: ${at}`, type, value);
        const list = part as readonly unknown[];
        if (typeof size !== "number") set(size, list.length, at, axis);
        part = list[0];
      }
    }
  };
  for (const [i, { name, tree }] of f.params.entries()) visit(tree, args[i], name);
  // Those that tell a size come before those that tell it only where others are known.
  const open = ({ shape }: Flat): number => shape.filter((size) => typeof size !== "number").length;
  for (const each of flat.sort((a, b) => open(a) - open(b))) {
    const { at, shape, type, length } = each;
    const known = shape.map((size) => (typeof size === "number" ? size : (found.get(size as string)?.size ?? -1)));
    const axes = [...shape.keys()].filter((axis) =>
      open(each) === 1 ? typeof shape[axis] !== "number" : known[axis]! < 0,
    );
    const [axis] = axes;
    if (axis === undefined) continue;
    if (axes.length > 1)
      throw new TypeError(
        `${f.name}: ${at} must be ${type} with its shape, as { data, shape }: ${length} elements do not tell ${axes.map((a) => shape[a]).join(" and ")}`,
      );
    const rest = sizeOf(known.filter((_, i) => i !== axis));
    if (!isCount(length / rest))
      throw new TypeError(`${f.name}: ${at} must be ${type}, but has ${length} elements, no multiple of ${rest}`);
    set(shape[axis]!, length / rest, at, axis);
  }
  return f.sizes!.map(({ name }) => found.get(name)?.size ?? fail(`${f.name} has the size ${name} in no argument`));
}
