/**
 * What goes into control flow and comes out of it: trees (arrays, plain objects) whose leaves are tensors, variables,
 * numbers and booleans. Numbers are weakly typed: they give way to the tensor they meet. Emits casts, no control flow.
 */
import { type Dim, type DType, isFloat, promote } from "@sinter/ir";
import { type AnyFunction, DTypeError, describe, describeValue, ShapeError, SinterError, site } from "../errors.ts";
import { currentFrame, VariableCell } from "../frame.ts";
import { cast, reshape, toRef } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { buildTree, isPlainObject, type Tree } from "../trees.ts";

/** A tree with the shape of T in which every number, boolean and variable has become a tensor. */
export type Tensors<T> = T extends Tensor
  ? T
  : T extends number | boolean | VariableCell | ArrayBufferView
    ? Tensor
    : T extends object
      ? { [K in keyof T]: Tensors<T[K]> }
      : T;

/** A tree with the shape of T whose leaves are anything that makes a tensor. */
export type Like<T> = T extends Tensor | number | boolean | VariableCell | ArrayBufferView
  ? TensorLike
  : T extends object
    ? { [K in keyof T]: Like<T[K]> }
    : T;

/** A leaf: a value of the current frame, or a number whose type gives way. */
export type Leaf = Ref | number;
export interface Leaves {
  readonly tree: Tree;
  readonly leaves: readonly Leaf[];
  /** What each leaf is called: `carry.x`. */
  readonly paths: readonly string[];
}

/** Takes a tree apart in the current frame. */
export function leavesOf(caller: string, value: unknown, name: string): Leaves {
  const leaves: Leaf[] = [];
  const paths: string[] = [];
  const around: unknown[] = [];
  const visit = (part: unknown, path: string): Tree => {
    const isNumber = typeof part === "number";
    if (
      isNumber ||
      typeof part === "boolean" ||
      part instanceof Tensor ||
      part instanceof VariableCell ||
      isData(part)
    ) {
      const leaf = isNumber ? part : toRef(caller, path, part as TensorLike);
      paths.push(path);
      const index = leaves.push(leaf) - 1;
      const { dtype, shape } = isNumber ? { dtype: weakDType(part), shape: [] } : (leaf as Ref);
      return { kind: "tensor", index, dtype, shape, path };
    }
    if (part instanceof Promise) {
      part.catch(() => {});
      throw new SinterError(`${caller}: ${path} is a promise: a function that is staged cannot be async`);
    }
    const isArray = Array.isArray(part);
    if (!isArray && !isPlainObject(part)) {
      if (typeof part === "function" || (typeof part === "object" && part !== null))
        throw new SinterError(
          `${caller}: ${path} is ${describeValue(part)}; it must be a tensor, a number, a boolean, or arrays and plain objects of them`,
        );
      return { kind: "static", value: part };
    }
    if (around.includes(part)) throw new SinterError(`${caller}: ${path} contains itself`);
    around.push(part);
    let tree: Tree;
    if (isArray) tree = { kind: "array", items: part.map((item, i) => visit(item, `${path}[${i}]`)) };
    else {
      const keys = Object.keys(part).sort();
      tree = { kind: "object", keys, items: keys.map((key) => visit(part[key], `${path}.${key}`)) };
    }
    around.pop();
    return tree;
  };
  return { tree: visit(value, name), leaves, paths };
}

function isData(value: unknown): boolean {
  return ArrayBuffer.isView(value);
}

/** What a plain number becomes where nothing else says: whole ones i32, others f32. */
export function weakDType(value: number): DType {
  return Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 2 ** 31 ? "i32" : "f32";
}

/** A leaf as a value of the current frame, of its own dtype. */
export function leafRef(leaf: Leaf): Ref {
  return typeof leaf === "number" ? currentFrame().number(weakDType(leaf), leaf) : leaf;
}

export function leafType(leaf: Leaf): { readonly dtype: DType; readonly shape: readonly Dim[] } {
  return typeof leaf === "number" ? { dtype: weakDType(leaf), shape: [] } : leaf;
}

/** How messages call a leaf. */
export function leafText(leaf: Leaf): string {
  return typeof leaf === "number" ? `the number ${leaf}` : describe(leaf);
}

/** A leaf as a value of `dtype` in the current frame: numbers take it, tensors that came from numbers are cast. */
export function leafAs(leaf: Leaf, dtype: DType): Ref {
  return typeof leaf === "number" ? currentFrame().number(dtype, leaf) : cast(leaf, dtype);
}

/** Whether a number may become a value of `dtype`. */
export function fits(value: number, dtype: DType): boolean {
  return isFloat(dtype) || (dtype !== "bool" && weakDType(value) !== "f32");
}

/** The dtype for two numeric ones of which one is weak; undefined where they do not meet. */
export function weakJoin(a: DType, b: DType): DType | undefined {
  if (a === b) return a;
  return a === "bool" || b === "bool" ? undefined : promote(a, b);
}

/** The tree of tensors that stands for `leaves`. */
export function tensorsOf(tree: Tree, refs: readonly Ref[], self: AnyFunction): unknown {
  const at = currentFrame().kind === "eager" ? site(self) : undefined;
  return buildTree(tree, (index) => new Tensor(refs[index]!, at));
}

/**
 * What makes two trees differ: where, and what is there. `a` and `b` say whose they are. Types of leaves are not compared.
 */
export function treeDifference(a: Tree, b: Tree, path: string): { path: string; a: string; b: string } | undefined {
  const differ = { path, a: kindText(a), b: kindText(b) };
  if (a.kind !== b.kind) return differ;
  if (a.kind === "static") return Object.is(a.value, (b as typeof a).value) ? undefined : differ;
  if (a.kind === "tensor") return undefined;
  const other = b as typeof a;
  if (a.items.length !== other.items.length || (a.kind === "object" && a.keys.join() !== (b as typeof a).keys.join()))
    return differ;
  for (const [i, item] of a.items.entries()) {
    const at = a.kind === "object" ? `${path}.${a.keys[i]}` : `${path}[${i}]`;
    const found = treeDifference(item, other.items[i]!, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function kindText(tree: Tree): string {
  switch (tree.kind) {
    case "tensor":
      return describe(tree);
    case "static":
      return describeValue(tree.value);
    case "array":
      return `an array of length ${tree.items.length}`;
    case "object":
      return tree.keys.length === 0 ? "an object without keys" : `an object with ${tree.keys.join(", ")}`;
    default:
      return tree satisfies never;
  }
}

/** A condition: a boolean that JavaScript knows, or a bool scalar. */
export function condition(caller: string, what: string, value: unknown): boolean | Ref {
  if (typeof value === "boolean") return value;
  if (!(value instanceof Tensor) && !(value instanceof VariableCell)) {
    if (value instanceof Promise) {
      value.catch(() => {});
      throw new SinterError(`${caller}: ${what} is a promise: a function that is staged cannot be async`);
    }
    throw new DTypeError(`${caller}: ${what} must be a bool scalar or a boolean, not ${describeValue(value)}`);
  }
  const ref = toRef(caller, what, value as TensorLike);
  if (ref.dtype !== "bool")
    throw new DTypeError(
      `${caller}: ${what} is ${describe(ref)}, but a condition is bool: write .ne(0) or .gt(0), whichever is meant`,
    );
  if (ref.shape.some((size) => size !== 1))
    throw new ShapeError(
      `${caller}: ${what} is ${describe(ref)}, but a condition is one bool: reduce it with .any() or .all(), or choose for each element with where(condition, a, b)`,
    );
  return reshape(ref, []);
}

/** Arguments that must be functions. */
export function checkFunctions(caller: string, functions: Readonly<Record<string, unknown>>): void {
  for (const [name, fn] of Object.entries(functions))
    if (typeof fn !== "function")
      throw new SinterError(`${caller}: ${name} must be a function, not ${describeValue(fn)}`);
}
