/** Trees of arguments with symbolic sizes: those that a signature leaves open, and those that differ between two calls. */
import type { Dim } from "@sinter/ir";
import { symbol } from "./dims.ts";
import { Spec } from "./spec.ts";
import { pathName } from "./trace.ts";
import { isPlainObject, type Tree } from "./trees.ts";

/** What an axis is called whose size has no name. */
function nameOf(path: string, names: readonly string[], axis: number): string {
  return `${pathName(path, names).replace(/[^A-Za-z0-9_]+/g, "_")}_${axis}`;
}

/** The same with names for the sizes of specs that have none, those that signatures give them. */
export function namedSizes(
  value: unknown,
  names: readonly string[],
  path = "args",
  around: readonly unknown[] = [],
): unknown {
  if (value instanceof Spec) {
    const shape = value.shape.map((size, axis) => size ?? nameOf(path, names, axis));
    return value.shape.includes(null) ? new Spec(shape, value.dtype) : value;
  }
  // What contains itself is told where the arguments are read.
  if (around.includes(value)) return value;
  const inner = (item: unknown, step: string): unknown => namedSizes(item, names, path + step, [...around, value]);
  if (Array.isArray(value)) return value.map((item, i) => inner(item, `[${i}]`));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(item, `.${key}`)]));
}

/** The arguments as a signature describes them. A size of 0 is none of the symbolic ones: such a tree stays as it is. */
export function bySignature(tree: Tree, signature: readonly Spec[], names: readonly string[]): Tree {
  if (tree.kind !== "array") return tree;
  const items: Tree[] = [];
  for (const [arg, leaf] of tree.items.entries()) {
    if (leaf.kind !== "tensor") return tree;
    const wanted = signature[arg]!.shape;
    if (leaf.shape.some((size, axis) => size === 0 && typeof wanted[axis] !== "number")) return tree;
    const shape = wanted.map((size, axis) =>
      size === null ? symbol(nameOf(leaf.path, names, axis)) : typeof size === "string" ? symbol(size) : size,
    );
    items.push({ ...leaf, shape });
  }
  return { ...tree, items };
}

/**
 * The tree that holds for two calls which differ in sizes only: those that changed are symbolic, one symbol for all that
 * changed alike, and those that were symbolic before stay so. Undefined where the calls differ in anything else, or one of the sizes is 0.
 */
export function byShapes(before: Tree, now: Tree, names: readonly string[]): Tree | undefined {
  const symbols = new Map<string, Dim>();
  let open = false;
  const merge = (a: Tree, b: Tree): Tree | undefined => {
    if (a.kind === "tensor" && b.kind === "tensor") {
      if (a.dtype !== b.dtype || a.shape.length !== b.shape.length) return undefined;
      const shape: Dim[] = [];
      for (const [axis, size] of b.shape.entries()) {
        const old = a.shape[axis]!;
        if (old === size) shape.push(size);
        else if (size === 0 || old === 0) return undefined;
        else if (typeof old !== "number" || typeof size !== "number") {
          shape.push(old);
          open = true;
        } else {
          const key = `${old} ${size}`;
          const known = symbols.get(key) ?? symbol(nameOf(b.path, names, axis));
          symbols.set(key, known);
          shape.push(known);
        }
      }
      return { ...b, shape };
    }
    if (a.kind === "static" && b.kind === "static") return Object.is(a.value, b.value) ? b : undefined;
    if (a.kind === "array" && b.kind === "array") return inside(a, b);
    if (a.kind === "object" && b.kind === "object" && a.keys.join() === b.keys.join()) return inside(a, b);
    return undefined;
  };
  const inside = <T extends Extract<Tree, { kind: "array" | "object" }>>(a: T, b: T): Tree | undefined => {
    if (a.items.length !== b.items.length) return undefined;
    const items: Tree[] = [];
    for (const [i, item] of b.items.entries()) {
      const merged = merge(a.items[i]!, item);
      if (merged === undefined) return undefined;
      items.push(merged);
    }
    return { ...b, items };
  };
  const merged = merge(before, now);
  return open || symbols.size > 0 ? merged : undefined;
}
