/**
 * Trees of arguments and results: arrays and plain objects with tensors at the leaves. Everything else is static: it is
 * part of the signature, by value for primitives (`Object.is`) and by identity for objects.
 */
import type { Dim, DType } from "@sinter/ir";
import { dimText, symbol } from "./dims.ts";
import { describeValue, SinterError } from "./errors.ts";
import { VariableCell } from "./frame.ts";
import { type TypedData, typedDType } from "./nested.ts";
import { Spec } from "./spec.ts";
import { Tensor } from "./tensor.ts";

export type Tree =
  | {
      readonly kind: "tensor";
      readonly index: number;
      readonly dtype: DType;
      readonly shape: readonly Dim[];
      readonly path: string;
    }
  | { readonly kind: "static"; readonly value: unknown }
  | { readonly kind: "array"; readonly items: readonly Tree[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly Tree[] };

/** A tensor of the argument tree: a handle, host data, or only a description. */
export type Leaf = Tensor | TypedData | Spec;
function isHost(value: unknown): value is TypedData {
  return ArrayBuffer.isView(value) && typedDType(value) !== undefined;
}

export function hostDType(value: TypedData): DType {
  return typedDType(value)!;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * The tree of a value; its tensors are appended to `leaves`. `name` says in errors what a path is to the user, `around`
 * holds the arrays and objects that the value is part of.
 */
export function treeOf(
  value: unknown,
  leaves: Leaf[],
  path: string,
  name = (at: string): string => at,
  around: readonly unknown[] = [],
): Tree {
  if (value instanceof Tensor) {
    leaves.push(value);
    return { kind: "tensor", index: leaves.length - 1, dtype: value.dtype, shape: value.dims, path };
  }
  if (value instanceof Spec) {
    if (value.shape.includes(null))
      throw new SinterError(`${name(path)}: ${value} has a size that is not given; say all of them: spec([32, 784])`);
    leaves.push(value);
    return {
      kind: "tensor",
      index: leaves.length - 1,
      dtype: value.dtype,
      shape: value.shape.map((size) => (typeof size === "string" ? symbol(size) : size!)),
      path,
    };
  }
  if (isHost(value)) {
    leaves.push(value);
    return { kind: "tensor", index: leaves.length - 1, dtype: hostDType(value), shape: [value.length], path };
  }
  if (ArrayBuffer.isView(value))
    throw new SinterError(
      `${name(path)} must be numbers of at most 32 bits or f64, not ${describeValue(value)}: a view like that is no tensor`,
    );
  if (around.includes(value)) throw new SinterError(`${name(path)} contains itself`);
  const inner = [...around, value];
  if (Array.isArray(value))
    return { kind: "array", items: value.map((item, i) => treeOf(item, leaves, `${path}[${i}]`, name, inner)) };
  if (isPlainObject(value)) {
    const keys = Object.keys(value).sort();
    const items = keys.map((key) => treeOf(value[key], leaves, `${path}.${key}`, name, inner));
    return { kind: "object", keys, items };
  }
  return { kind: "static", value };
}

/** Whether a value has this tree; if so its tensors are in `leaves`. Makes no strings: this is on the path of each call. */
export function matches(tree: Tree, value: unknown, leaves: Leaf[]): boolean {
  switch (tree.kind) {
    case "tensor": {
      if (value instanceof Tensor) {
        if (value.dtype !== tree.dtype) return false;
        const { shape } = value;
        if (shape !== tree.shape) {
          if (shape.length !== tree.shape.length) return false;
          for (let i = 0; i < shape.length; i++)
            if (shape[i] !== tree.shape[i] && typeof tree.shape[i] === "number") return false;
        }
      } else if (
        !isHost(value) ||
        tree.shape.length !== 1 ||
        (tree.shape[0] !== value.length && typeof tree.shape[0] === "number") ||
        tree.dtype !== hostDType(value)
      )
        return false;
      leaves.push(value);
      return true;
    }
    case "static":
      return Object.is(tree.value, value) && !(value instanceof Tensor);
    case "array": {
      if (!Array.isArray(value) || value.length !== tree.items.length) return false;
      for (let i = 0; i < tree.items.length; i++) if (!matches(tree.items[i]!, value[i], leaves)) return false;
      return true;
    }
    case "object": {
      if (!isPlainObject(value)) return false;
      let count = 0;
      for (const _ in value) count++;
      if (count !== tree.keys.length) return false;
      for (let i = 0; i < tree.keys.length; i++) {
        const key = tree.keys[i]!;
        if (!Object.hasOwn(value, key) || !matches(tree.items[i]!, value[key], leaves)) return false;
      }
      return true;
    }
    default:
      return tree satisfies never;
  }
}

const identities = new WeakMap<WeakKey, number>();
let nextIdentity = 1;

function identity(value: WeakKey): number {
  let id = identities.get(value);
  if (id === undefined) identities.set(value, (id = nextIdentity++));
  return id;
}

/** The tree as text: equal for equal signatures. */
export function treeText(tree: Tree): string {
  switch (tree.kind) {
    case "tensor":
      return `${tree.dtype}[${tree.shape.map(dimText).join(",")}]`;
    case "static":
      return staticText(tree.value);
    case "array":
      return `[${tree.items.map(treeText).join(", ")}]`;
    case "object":
      return `{${tree.keys.map((key, i) => `${JSON.stringify(key)}: ${treeText(tree.items[i]!)}`).join(", ")}}`;
    default:
      return tree satisfies never;
  }
}

/** A tree of the same text that refers to no object of the caller. */
export function withoutObjects(tree: Tree): Tree {
  switch (tree.kind) {
    case "tensor":
      return tree;
    case "static":
      return { kind: "static", value: new StaticText(tree.value) };
    case "array":
    case "object":
      return { ...tree, items: tree.items.map(withoutObjects) };
    default:
      return tree satisfies never;
  }
}

/** What a static value was. */
class StaticText {
  readonly text: string;
  readonly kind: StaticKind;
  constructor(value: unknown) {
    this.text = staticText(value);
    this.kind = kindOfStatic(value);
  }
}

export type StaticKind = "number" | "boolean" | "string" | "function" | "variable" | "object" | "nothing";

/** What kind of value a static one is, or was. */
export function kindOfStatic(value: unknown): StaticKind {
  if (value instanceof StaticText) return value.kind;
  if (value instanceof VariableCell) return "variable";
  if (typeof value === "number" || typeof value === "bigint") return "number";
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "string") return "string";
  if (typeof value === "function") return "function";
  return value === undefined || value === null ? "nothing" : "object";
}

function staticText(value: unknown): string {
  if (value instanceof StaticText) return value.text;
  if (typeof value === "string") return JSON.stringify(value);
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof VariableCell) return `variable ${value.name}#${identity(value)}`;
  if (typeof value === "function") return `function ${value.name}#${identity(value)}`;
  if (typeof value === "symbol") {
    const key = Symbol.keyFor(value);
    return key === undefined ? `${String(value)}#${identity(value)}` : `Symbol.for(${JSON.stringify(key)})`;
  }
  if (typeof value === "object" && value !== null) return `${value.constructor?.name ?? "object"}#${identity(value)}`;
  return String(value);
}

/** The value a tree stands for, with `leaf` for each tensor. */
export function buildTree(tree: Tree, leaf: (index: number) => unknown): unknown {
  switch (tree.kind) {
    case "tensor":
      return leaf(tree.index);
    case "static":
      return tree.value;
    case "array":
      return tree.items.map((item) => buildTree(item, leaf));
    case "object": {
      const out: Record<string, unknown> = {};
      tree.keys.forEach((key, i) => {
        out[key] = buildTree(tree.items[i]!, leaf);
      });
      return out;
    }
    default:
      return tree satisfies never;
  }
}

/** The value a tree stands for, with a spec for each tensor. */
export function specsOf(tree: Tree): unknown {
  const specs: Spec[] = [];
  eachTensor(tree, ({ index, shape, dtype }) => {
    specs[index] = new Spec(shape, dtype);
  });
  return buildTree(tree, (index) => specs[index]);
}

/** Whether there is no tensor at a path of positions and keys: something static, or nothing. */
export function isStaticAt(tree: Tree, path: readonly string[]): boolean {
  const [first, ...rest] = path;
  if (tree.kind === "tensor") return false;
  if (tree.kind === "static") return true;
  if (first === undefined) return tree.items.every((item) => isStaticAt(item, []));
  // A method of the array itself may give one of its items.
  if (tree.kind === "array" && !/^\d+$/.test(first)) return isStaticAt(tree, []);
  const inner = tree.items[tree.kind === "array" ? Number(first) : tree.keys.indexOf(first)];
  return inner === undefined || isStaticAt(inner, rest);
}

/** Calls `visit` for each tensor leaf of the tree. */
export function eachTensor(tree: Tree, visit: (leaf: Extract<Tree, { kind: "tensor" }>) => void): void {
  if (tree.kind === "tensor") visit(tree);
  else if (tree.kind !== "static") for (const item of tree.items) eachTensor(item, visit);
}

/** Calls `visit` for each static value of the tree. */
export function eachStatic(tree: Tree, path: string, visit: (value: unknown, path: string) => void): void {
  if (tree.kind === "static") visit(tree.value, path);
  else if (tree.kind === "array")
    for (const [i, item] of tree.items.entries()) eachStatic(item, `${path}[${i}]`, visit);
  else if (tree.kind === "object")
    for (const [i, item] of tree.items.entries()) eachStatic(item, `${path}.${tree.keys[i]}`, visit);
}

/** Handles in a value of any kind: tensors in arrays, plain objects, and as they are. */
export function handlesIn(value: unknown): Set<object> {
  const handles = new Set<object>();
  const seen = new Set<unknown>();
  const visit = (part: unknown): void => {
    if (part instanceof Tensor) handles.add(part);
    else if (!seen.has(part) && (Array.isArray(part) || isPlainObject(part))) {
      seen.add(part);
      for (const item of Object.values(part)) visit(item);
    }
  };
  visit(value);
  return handles;
}

/** Throws for a result that is no tree: promises, functions and objects of classes, which may hide tensors. */
export function checkResult(
  caller: string,
  value: unknown,
  path = "the result",
  around: readonly unknown[] = [],
): void {
  if (value instanceof Tensor || value instanceof VariableCell || ArrayBuffer.isView(value)) return;
  if (value instanceof Promise) {
    // Nobody else will look at it: its failure is this error.
    value.catch(() => {});
    throw new SinterError(
      `${caller}: ${path} is a promise: a traced function cannot be async. Await before or after the call.`,
    );
  }
  if (around.includes(value)) throw new SinterError(`${caller}: ${path} contains itself`);
  const inner = [...around, value];
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      checkResult(caller, item, `${path}[${i}]`, inner);
    });
    return;
  }
  if (isPlainObject(value)) {
    for (const [key, item] of Object.entries(value)) checkResult(caller, item, `${path}.${key}`, inner);
    return;
  }
  if (typeof value === "function" || (typeof value === "object" && value !== null))
    throw new SinterError(
      `${caller}: ${path} is ${describeValue(value)}; a traced function returns tensors, numbers, and arrays and plain objects of them`,
    );
}
