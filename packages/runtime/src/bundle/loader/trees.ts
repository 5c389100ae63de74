/** Arguments and results of an exported function: checks what is given against the tree of the signature, and makes results. */
import type { TypedArray } from "@sinter/ir/program";
import type { TensorEntry, TreeEntry } from "../manifest.ts";
import { arrays, sizeOf, typeText } from "./dtypes.ts";
import { isObject, quoted } from "./json.ts";

type TensorTree = Extract<TreeEntry<number>, { kind: "tensor" }>;

/** A tensor that leaves a program. */
export interface ResultTensor extends TensorEntry {
  readonly data: TypedArray;
}

interface LibraryTensor {
  dataSync(): TypedArray;
}

/** Puts the elements of each tensor in `value` into `leaves`. Throws a TypeError that names the place, `at`. */
export function flatten(tree: TreeEntry<number>, value: unknown, at: string, leaves: TypedArray[]): void {
  switch (tree.kind) {
    case "tensor":
      leaves[tree.index] = elementsOf(tree, value, at);
      return;
    case "static":
    case "special": {
      const fixed = staticValue(tree);
      if (value !== undefined && !Object.is(value, fixed))
        wrong(at, `${show(fixed)}, as when the function was exported (or left out)`, value);
      return;
    }
    case "array": {
      const { items } = tree;
      if (value === undefined && !hasTensor(tree)) return;
      const given =
        Array.isArray(value) && value.length === items.length ? value : wrong(at, `an array of ${items.length}`, value);
      for (const [i, item] of items.entries()) flatten(item, given[i], `${at}[${i}]`, leaves);
      return;
    }
    default: {
      const { keys, items } = tree;
      if (value === undefined && !hasTensor(tree)) return;
      const given = isObject(value) ? value : wrong(at, `an object with ${keys.join(", ")}`, value);
      for (const key of Object.keys(given))
        if (!keys.includes(key)) throw new TypeError(`${at} has ${show(key)}, but takes only ${keys.join(", ")}`);
      for (const [i, item] of items.entries()) {
        const key = keys[i]!;
        flatten(item, Object.hasOwn(given, key) ? given[key] : undefined, `${at}.${key}`, leaves);
      }
    }
  }
}

/** Whether something must be given. */
function hasTensor(tree: TreeEntry): boolean {
  return tree.kind === "tensor" || ("items" in tree && tree.items.some(hasTensor));
}

/** What is given for a tensor, as elements: a typed array as it is, { data, shape }, a tensor of the library, or numbers in nested arrays. */
export function elementsOf(type: TensorEntry, value: unknown, at: string): TypedArray {
  const { dtype, shape } = type;
  if (isObject(value)) {
    // Tensors of the library have no data, but give it.
    const { data = (value as Partial<LibraryTensor>).dataSync?.(), shape: own, dtype: kind } = value;
    if (!ArrayBuffer.isView(data)) wrong(at, typeText(type), value);
    if ((own !== undefined && String(own) !== String(shape)) || (kind !== undefined && kind !== dtype))
      mismatch(at, typeText(type), `is ${kind ?? dtype}[${own ?? "?"}]`);
    return elementsOf(type, data, at);
  }
  const size = sizeOf(shape);
  if (ArrayBuffer.isView(value)) {
    // Arrays of other pages and frames are of other classes.
    if (kindOf(value) !== arrays[dtype].name) wrong(at, `${typeText(type)} in a ${arrays[dtype].name}`, value);
    const data = value as TypedArray;
    const more = data.length - size;
    if (more !== 0) mismatch(at, typeText(type), `has ${Math.abs(more)} elements ${more < 0 ? "less" : "more"}`);
    if (dtype === "bool" && data.some((bit) => bit > 1)) throw new TypeError(`${at} must hold 0 and 1 only`);
    return data;
  }
  const out = new arrays[dtype](size);
  let next = 0;
  const fill = (part: unknown, axis: number, place: string): void => {
    if (axis < shape.length) {
      if (!Array.isArray(part) || part.length !== shape[axis]) wrong(place, `an array of ${shape[axis]}`, part);
      for (const [i, item] of (part as unknown[]).entries()) fill(item, axis + 1, `${place}[${i}]`);
      return;
    }
    out[next] = part as number;
    const kept = typeof part === "boolean" ? dtype === "bool" : typeof part === "number";
    const exact = dtype[0] === "f" || (out[next] === Number(part) && (dtype !== "bool" || out[next]! < 2));
    if (!kept || !exact) wrong(place, dtype, part);
    next++;
  };
  if (!Array.isArray(value) && shape.length > 0) wrong(at, typeText(type), value);
  fill(value, 0, at);
  return out;
}

export function wrong(at: string, wanted: string, value: unknown): never {
  mismatch(at, wanted, `is ${show(value)}`);
}

function mismatch(at: string, wanted: string, found: string): never {
  throw new TypeError(`${at} must be ${wanted}, but ${found}`);
}

function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

function show(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `a ${kindOf(value)}`;
  if (isObject(value)) return `an object with ${Object.keys(value).join(", ") || "nothing"}`;
  return Object.is(value, -0) ? "-0" : value === undefined ? "missing" : String(value);
}

/** The value a result tree stands for, with `leaf` for each tensor. */
export function build(tree: TreeEntry<number>, leaf: (tensor: TensorTree) => unknown): unknown {
  switch (tree.kind) {
    case "tensor":
      return leaf(tree);
    case "static":
    case "special":
      return staticValue(tree);
    case "array":
      return tree.items.map((item) => build(item, leaf));
    default:
      // Not by assignment: a key may be __proto__.
      return Object.fromEntries(tree.keys.map((key, i) => [key, build(tree.items[i]!, leaf)]));
  }
}

function staticValue(tree: Extract<TreeEntry, { kind: "static" | "special" }>): unknown {
  return tree.kind === "static" ? tree.value : tree.value === "undefined" ? undefined : Number(tree.value);
}
