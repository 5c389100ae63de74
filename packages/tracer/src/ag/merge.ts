/**
 * What a variable is after two arms: equal JavaScript values stay, tensors, numbers and booleans become results of the
 * operation, arrays and plain objects go element by element, and everything else is an error that names both sides.
 */

import { isFloat, type Loc } from "@sinter/ir";
import type { Block } from "../control/blocks.ts";
import { sameDims, shapeText } from "../dims.ts";
import { describe, describeValue } from "../errors.ts";
import { currentTrace, VariableCell } from "../frame.ts";
import { emit } from "../kit.ts";
import type { Ref, Traced } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { U } from "./arm.ts";
import { handle, isLeaf, joinTypes, type Leaf, type LeafType, leafIn, typeOfLeaf, zerosIn } from "./leaf.ts";
import { StagingError } from "./staging-error.ts";

/** Names what is merged, for messages. */
export interface Sides {
  readonly loc: Loc;
  /** "a staged if" */
  readonly construct: string;
  /** "the then-branch", "the else-branch" */
  readonly names: readonly [string, string];
  /** In the order of the names. */
  readonly blocks: readonly [Block, Block];
  /** True where the first side is taken; a value of the current frame. */
  readonly condition: Ref;
}

/** A value after both arms, once the operation has results. */
type Merged = (results: readonly Ref[]) => unknown;

/** Collects the results of the operation while values are merged. */
export class Merger {
  /** Per side, values in its block, of equal types. */
  readonly outs: readonly [Ref[], Ref[]] = [[], []];
  private readonly sides: Sides;

  constructor(sides: Sides) {
    this.sides = sides;
  }

  /** What `name` is. `U` stands for a value that is never read. */
  merge(name: string, a: unknown, b: unknown): Merged {
    if (Object.is(a, b)) return () => a;
    if (a === U) return this.guarded(b, 1);
    if (b === U) return this.guarded(a, 0);
    if (isLeaf(a) && isLeaf(b)) return this.leaf(name, a, b);
    if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
      const items = a.map((item: unknown, i) => this.merge(`${name}[${i}]`, item, b[i]));
      return (results) => items.map((item) => item(results));
    }
    if (isPlainObject(a) && isPlainObject(b)) {
      const keys = Object.keys(a);
      if (keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key))) {
        const items = keys.map((key) => this.merge(`${name}.${key}`, a[key], b[key]));
        return (results) => Object.fromEntries(keys.map((key, i) => [key, items[i]!(results)]));
      }
    }
    throw this.mismatch(name, a, b);
  }

  /** A value that one arm has and nobody reads after the other. */
  private guarded(value: unknown, side: 0 | 1): Merged {
    if (isLeaf(value)) {
      if (!this.isOwn(value)) return () => value;
      const type = typeOfLeaf(value);
      return this.result(type, (at) => (at === side ? this.inSide(at, value, type) : this.zeros(at, type)));
    }
    if (Array.isArray(value)) {
      const items = value.map((item: unknown) => this.guarded(item, side));
      return (results) => items.map((item) => item(results));
    }
    if (isPlainObject(value)) {
      const items = Object.entries(value).map(([key, item]) => [key, this.guarded(item, side)] as const);
      return (results) => Object.fromEntries(items.map(([key, item]) => [key, item(results)]));
    }
    return () => value;
  }

  private leaf(name: string, a: Leaf, b: Leaf): Merged {
    const [x, y] = [typeOfLeaf(a), typeOfLeaf(b)];
    const type = joinTypes(x, y);
    if (type === undefined) throw this.typeMismatch(name, x, y);
    if (type.shape.length === 0 && !this.isOwn(a) && !this.isOwn(b)) {
      const picked = handle(this.pick(a, b, type), type.weak);
      return () => picked;
    }
    return this.result(type, (side) => this.inSide(side, side === 0 ? a : b, type));
  }

  private result(type: LeafType, out: (side: 0 | 1) => Ref): Merged {
    const index = this.outs[0].push(out(0)) - 1;
    this.outs[1].push(out(1));
    return (results) => handle(results[index]!, type.weak);
  }

  private inSide(side: 0 | 1, value: Leaf, type: LeafType): Traced {
    return leafIn(this.sides.blocks[side].frame, value, type);
  }

  private zeros(side: 0 | 1, type: LeafType): Traced {
    return zerosIn(this.sides.blocks[side].frame, type);
  }

  /** Whether a value exists only inside an arm. */
  private isOwn(value: Leaf): boolean {
    if (value instanceof VariableCell) return true;
    if (!(value instanceof Tensor)) return false;
    const ref = value.ref("a staged value");
    return ref.kind === "traced" && this.sides.blocks.some(({ frame }) => frame === ref.owner);
  }

  /** A scalar that exists before the operation needs no arm: it is picked by the condition. */
  private pick(a: Leaf, b: Leaf, type: LeafType): Ref {
    const { condition } = this.sides;
    const not = (ref: Ref): Ref => emit("not", [ref]);
    const frame = currentTrace()!;
    const side = (value: Leaf): Ref => leafIn(frame, value, type);
    if (a === true) return b === false ? condition : emit("or", [condition, side(b)]);
    if (a === false) return b === true ? not(condition) : emit("and", [not(condition), side(b)]);
    if (b === true) return emit("or", [not(condition), side(a)]);
    if (b === false) return emit("and", [condition, side(a)]);
    return emit("select", [condition, side(a), side(b)]);
  }

  private typeMismatch(name: string, x: LeafType, y: LeafType): StagingError {
    const { construct, names, loc } = this.sides;
    const by = sameDims(x.shape, y.shape) ? "dtype" : "shape";
    const show = (type: LeafType): string => (by === "dtype" ? type.dtype : shapeText(type.shape));
    const cure =
      by === "shape"
        ? "both must have one shape: reshape or broadcast one of them, or pad them to one size"
        : x.dtype === "bool" || y.dtype === "bool"
          ? "give it one type in both"
          : isFloat(x.dtype)
            ? `write .cast("${x.dtype}") in ${names[1]}`
            : `write .cast("${y.dtype}") in ${names[0]}`;
    return new StagingError(
      `${quoted(name)} has ${by} ${show(x)} after ${names[0]} but ${show(y)} after ${names[1]} of ${construct}; ${cure}`,
      loc,
    );
  }

  private mismatch(name: string, a: unknown, b: unknown): StagingError {
    const { construct, names, loc } = this.sides;
    if (a === undefined || b === undefined) {
      const [missing, other] = a === undefined ? [0, 1] : [1, 0];
      if (isReturnValue(name)) return noReturn(loc);
      return new StagingError(
        `${quoted(name)} is undefined after ${names[missing]!} of ${construct} but has a value after ${names[other]!}, ` +
          `and is used later; ${construct.endsWith("if") ? "assign it in both branches or before the if" : "give it one in both"}`,
        loc,
      );
    }
    return new StagingError(
      `${quoted(name)} is ${valueText(a)} after ${names[0]} but ${valueText(b)} after ${names[1]} of ${construct}; ` +
        `only tensors, numbers, booleans and equal structures of them can be merged${listHint(a, b)}`,
      loc,
    );
  }
}

/** The generated variable that holds what a function returns. */
function isReturnValue(name: string): boolean {
  return /^\$v\d*$/.test(name);
}

/** A variable's name for messages. */
export function quoted(name: string): string {
  if (isReturnValue(name)) return "the return value";
  return /^[\w$.[\]#"']+$/.test(name) ? `'${name}'` : name;
}

export function noReturn(loc: Loc): StagingError {
  return new StagingError(
    "not every path of this function returns a value: a return inside a staged block must be matched on all other paths",
    loc,
  );
}

/** Any value for messages: `"b"`, `f32[2]`, `an array of length 2`. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (value instanceof Tensor || value instanceof VariableCell) return describe(value);
  return describeValue(value);
}

export function listHint(a: unknown, b: unknown): string {
  return Array.isArray(a) && Array.isArray(b)
    ? "; a list cannot grow in staged code: write into a tensor with x.set(i, value), or stack what scan gives"
    : "";
}
