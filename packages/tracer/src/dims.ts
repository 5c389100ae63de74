/**
 * Sizes that may be symbolic. Equal sizes are one object, so that library code compares them with `===`, as it does
 * numbers.
 */
import { addIndex, type Dim, divideExactly, mulIndex, subIndex, symIndex, toDim } from "@sinter/ir";
import { ShapeError } from "./errors.ts";

const interned = new Map<string, WeakRef<object>>();

/** The one object for a size. */
export function internDim(dim: Dim): Dim {
  if (typeof dim === "number") return dim;
  const key = `${dim.key} ${dim.lo} ${dim.hi}`;
  const known = interned.get(key)?.deref();
  if (known !== undefined) return known as Dim;
  interned.set(key, new WeakRef(dim));
  return dim;
}

export function internDims(dims: readonly Dim[]): readonly Dim[] {
  return isStatic(dims) ? dims : dims.map(internDim);
}

/** Whether all sizes are numbers. */
export function isStatic(dims: readonly Dim[]): dims is readonly number[] {
  return dims.every((dim) => typeof dim === "number");
}

/** As many elements as there can be in a tensor. */
const mostSize = 2 ** 31 - 1;

/** A size that is known when the program runs: at least 1. */
export function symbol(name: string, lo = 1, hi = mostSize): Dim {
  return internDim(toDim(symIndex({ name, lo, hi })));
}

export const addDims = (a: Dim, b: Dim): Dim => internDim(toDim(addIndex(a, b)));
export const subDims = (a: Dim, b: Dim): Dim => internDim(toDim(subIndex(a, b)));
export const mulDims = (a: Dim, b: Dim): Dim => internDim(toDim(mulIndex(a, b)));

/** a / b; undefined where nothing says that b divides a. */
export function divDims(a: Dim, b: Dim): Dim | undefined {
  const out = divideExactly(a, b);
  return out === undefined ? undefined : internDim(out);
}

/** A size as people read it. */
export function dimText(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.key;
}

/** A shape as people read it. */
export function shapeText(dims: readonly Dim[]): string {
  return `[${dims.map(dimText).join(",")}]`;
}

/** Whether two shapes are certainly equal. */
export function sameDims(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** A size that must be a number here: `what` says which. */
export function knownDim(caller: string, dim: Dim, what: string): number {
  if (typeof dim === "number") return dim;
  throw new ShapeError(`${caller}: ${what} is the symbolic size ${dim.key}, and must be a number here`);
}

/** As `knownDim`, of all sizes of a shape. */
export function knownDims(caller: string, dims: readonly Dim[]): readonly number[] {
  return dims.map((dim, i) => knownDim(caller, dim, `axis ${i} of [${dims.map(dimText).join(",")}]`));
}
