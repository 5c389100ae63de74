/**
 * The state of a loop at the start of each round: which values are the same in every round, and stay what they are in
 * JavaScript, and which are carried, with their type. Found by tracing the body and looking at what it left behind.
 */

import type { Loc } from "@sinter/ir";
import type { BlockType } from "../control/blocks.ts";
import { sameDims, shapeText } from "../dims.ts";
import type { TraceFrame } from "../frame.ts";
import type { Ref } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isPlainObject } from "../trees.ts";
import { U } from "./arm.ts";
import { handle, isLeaf, joinTypes, type LeafType, leafIn, typeOfLeaf, zerosIn } from "./leaf.ts";
import { listHint, noReturn, quoted, valueText } from "./merge.ts";
import { StagingError } from "./staging-error.ts";

export type Slot =
  | { readonly kind: "same"; readonly value: unknown }
  | {
      readonly kind: "carry";
      readonly type: LeafType;
      /** Before the loop; `U` where it is never read. */
      readonly init: unknown;
      /** It is carried because it was the last time. */
      readonly guessed: boolean;
    }
  | { readonly kind: "list"; readonly items: readonly Slot[] }
  | { readonly kind: "record"; readonly keys: readonly string[]; readonly items: readonly Slot[] };

/** Types of what a loop carried the last time, by path. */
export type Guesses = ReadonlyMap<string, LeafType>;

export function startSlot(value: unknown, path: string, guesses: Guesses | undefined): Slot {
  const guess = guesses?.get(path);
  if (value instanceof Tensor) return carry(typeOfLeaf(value), value);
  if (guess !== undefined && value === U) return { kind: "carry", type: guess, init: U, guessed: true };
  if (guess !== undefined && (typeof value === "number" || typeof value === "boolean")) {
    const type = joinTypes(typeOfLeaf(value), guess);
    if (type !== undefined) return { kind: "carry", type, init: value, guessed: true };
  }
  const inside = (items: readonly unknown[], keys: readonly string[]): readonly Slot[] | undefined =>
    keys.some((key) => hasGuess(guesses, key)) ? items.map((item, i) => startSlot(item, keys[i]!, guesses)) : undefined;
  if (Array.isArray(value)) {
    const items = inside(
      value,
      value.map((_, i) => `${path}[${i}]`),
    );
    if (items !== undefined) return { kind: "list", items };
  } else if (isPlainObject(value)) {
    const keys = Object.keys(value);
    const items = inside(
      Object.values(value),
      keys.map((key) => `${path}.${key}`),
    );
    if (items !== undefined) return { kind: "record", keys, items };
  }
  return { kind: "same", value };
}

function hasGuess(guesses: Guesses | undefined, path: string): boolean {
  if (guesses === undefined) return false;
  for (const known of guesses.keys())
    if (known === path || known.startsWith(`${path}[`) || known.startsWith(`${path}.`)) return true;
  return false;
}

function carry(type: LeafType, init: unknown): Slot {
  return { kind: "carry", type, init, guessed: false };
}

/** The carried parts of a slot, in order. */
export function carriesOf(
  slot: Slot,
  path: string,
): { readonly slot: Slot & { kind: "carry" }; readonly path: string }[] {
  switch (slot.kind) {
    case "same":
      return [];
    case "carry":
      return [{ slot, path }];
    case "list":
      return slot.items.flatMap((item, i) => carriesOf(item, `${path}[${i}]`));
    case "record":
      return slot.items.flatMap((item, i) => carriesOf(item, `${path}.${slot.keys[i]}`));
    default:
      return slot satisfies never;
  }
}

/** The value that a slot has where its carries are `next()`, one after the other. */
export function slotValue(slot: Slot, next: () => unknown): unknown {
  switch (slot.kind) {
    case "same":
      return slot.value;
    case "carry":
      return next();
    case "list":
      return slot.items.map((item) => slotValue(item, next));
    case "record":
      return Object.fromEntries(slot.keys.map((key, i) => [key, slotValue(slot.items[i]!, next)]));
    default:
      return slot satisfies never;
  }
}

/** Handles on the carries of slots, from their values. */
export function valuesOf(slots: readonly Slot[], refs: readonly Ref[]): unknown[] {
  const types = slots.flatMap((slot) => carriesOf(slot, "")).map((carried) => carried.slot.type);
  let at = 0;
  const next = (): Tensor => handle(refs[at]!, types[at++]!.weak);
  return slots.map((slot) => slotValue(slot, next));
}

export function blockTypes(slots: readonly Slot[], names: readonly string[]): BlockType[] {
  return slots
    .flatMap((slot, i) => carriesOf(slot, names[i]!))
    .map(({ slot, path }) => ({ dtype: slot.type.dtype, shape: slot.type.shape, name: path }));
}

/** What the carries are before the loop, in the frame that the loop is in. */
export function initsIn(frame: TraceFrame, slots: readonly Slot[]): Ref[] {
  return slots
    .flatMap((slot) => carriesOf(slot, ""))
    .map(({ slot: { init, type } }) => (isLeaf(init) ? leafIn(frame, init, type) : zerosIn(frame, type)));
}

/** What the carries are after a round, in the frame of the body. The values fit the slots. */
export function outsIn(frame: TraceFrame, slot: Slot, after: unknown): Ref[] {
  switch (slot.kind) {
    case "same":
      return [];
    case "carry":
      return [isLeaf(after) ? leafIn(frame, after, slot.type) : zerosIn(frame, slot.type)];
    case "list":
      return slot.items.flatMap((item, i) => outsIn(frame, item, (after as readonly unknown[])[i]));
    case "record":
      return slot.items.flatMap((item, i) =>
        outsIn(frame, item, (after as Readonly<Record<string, unknown>>)[slot.keys[i]!]),
      );
    default:
      return slot satisfies never;
  }
}

/** Says that a guess was wrong: the loop is traced again without. */
export class WrongGuess extends Error {}

/** Compares slots with what a round left. */
export class Joiner {
  private readonly loc: Loc;
  private readonly frame: TraceFrame;

  /** `frame`: that of the body. */
  constructor(loc: Loc, frame: TraceFrame) {
    this.loc = loc;
    this.frame = frame;
  }

  /** The slot for the next attempt: the same object where it fits. `start` is the slot's value in this attempt. */
  join(slot: Slot, start: unknown, after: unknown, path: string): Slot {
    switch (slot.kind) {
      case "same":
        return this.changed(slot, after, path);
      case "carry":
        return this.carried(slot, start, after, path);
      case "list": {
        if (!Array.isArray(after) || after.length !== slot.items.length) throw this.mismatch(path, start, after);
        return this.inside(
          slot,
          (start as unknown[]).map((item, i) => [item, after[i], `${path}[${i}]`]),
        );
      }
      case "record": {
        const { keys } = slot;
        if (!isPlainObject(after) || Object.keys(after).length !== keys.length || !keys.every((k) => k in after))
          throw this.mismatch(path, start, after);
        const before = start as Readonly<Record<string, unknown>>;
        return this.inside(
          slot,
          keys.map((key) => [before[key], after[key], `${path}.${key}`]),
        );
      }
      default:
        return slot satisfies never;
    }
  }

  private inside(
    slot: Extract<Slot, { readonly items: unknown }>,
    parts: readonly (readonly [start: unknown, after: unknown, path: string])[],
  ): Slot {
    const items = slot.items.map((item, i) => this.join(item, ...parts[i]!));
    return items.every((item, i) => item === slot.items[i]) ? slot : { ...slot, items };
  }

  private changed(slot: Extract<Slot, { kind: "same" }>, after: unknown, path: string): Slot {
    const { value } = slot;
    if (Object.is(value, after) || after === U) return slot;
    if (value === U) return this.firstSet(after);
    if (isLeaf(value) && isLeaf(after)) return this.join(carry(typeOfLeaf(value), value), undefined, after, path);
    if (Array.isArray(value) && Array.isArray(after) && value.length === after.length) {
      const items = value.map((item: unknown): Slot => ({ kind: "same", value: item }));
      return this.join({ kind: "list", items }, value, after, path);
    }
    if (isPlainObject(value) && isPlainObject(after)) {
      const keys = Object.keys(value);
      const items = keys.map((key): Slot => ({ kind: "same", value: value[key] }));
      return this.join({ kind: "record", keys, items }, value, after, path);
    }
    throw this.mismatch(path, value, after);
  }

  /** A value that nobody reads before the body gives it one: the same in each round unless it is made there. */
  private firstSet(after: unknown): Slot {
    if (isLeaf(after)) return this.isOwn(after) ? carry(typeOfLeaf(after), U) : { kind: "same", value: after };
    if (Array.isArray(after)) return { kind: "list", items: after.map((item: unknown) => this.firstSet(item)) };
    if (isPlainObject(after)) {
      const keys = Object.keys(after);
      return { kind: "record", keys, items: keys.map((key) => this.firstSet(after[key])) };
    }
    return { kind: "same", value: after };
  }

  private carried(slot: Extract<Slot, { kind: "carry" }>, start: unknown, after: unknown, path: string): Slot {
    if (after === start) {
      if (slot.guessed) throw new WrongGuess();
      return slot;
    }
    if (after === U) return slot;
    if (!isLeaf(after)) throw this.mismatch(path, isLeaf(slot.init) ? slot.init : start, after);
    const found = typeOfLeaf(after);
    const type = joinTypes(slot.type, found);
    if (type === undefined) throw this.typeMismatch(path, slot.type, found);
    return type.dtype === slot.type.dtype && type.weak === slot.type.weak ? slot : { ...slot, type };
  }

  private isOwn(value: unknown): boolean {
    if (!(value instanceof Tensor)) return false;
    const ref = value.ref("a staged value");
    return ref.kind === "traced" && ref.owner === this.frame;
  }

  private typeMismatch(path: string, before: LeafType, after: LeafType): StagingError {
    const same = sameDims(before.shape, after.shape);
    const show = ({ dtype, shape }: LeafType): string => (same ? `dtype ${dtype}` : `shape ${shapeText(shape)}`);
    const cure = !same
      ? "a loop variable keeps its shape: start with the final shape, or write into it with x.set(i, value)"
      : before.dtype === "bool" || after.dtype === "bool"
        ? "a loop variable keeps its type"
        : `a loop variable keeps its type: write .cast("${after.dtype}") before the loop or .cast("${before.dtype}") in it`;
    return new StagingError(
      `loop variable ${quoted(path)} has ${show(before)} before the loop but ${show(after)} after one iteration; ${cure}`,
      this.loc,
    );
  }

  private mismatch(path: string, before: unknown, after: unknown): StagingError {
    if (/^\$v\d*$/.test(path) && (before === undefined || after === undefined)) return noReturn(this.loc);
    if (before === undefined)
      return new StagingError(
        `${quoted(path)} is undefined before a staged loop but is assigned in it and used afterwards or in the next iteration; initialise it before the loop`,
        this.loc,
      );
    return new StagingError(
      `loop variable ${quoted(path)} is ${valueText(before)} before the loop but ${valueText(after)} after one iteration of a staged loop; ` +
        `only tensors, numbers, booleans and equal structures of them can change in it${listHint(before, after)}`,
      this.loc,
    );
  }
}
