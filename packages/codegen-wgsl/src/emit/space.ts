/** What the functions of a module see of it: its memory, what their pointers are bound to, its options and helpers. */
import type { WebgpuFeatures } from "@sinter/ir";
import type { Helpers } from "./helpers.ts";
import type { Word } from "./types.ts";

/** An array of the module: a binding, or memory of the group or of each thread. */
export interface Memory {
  readonly name: string;
  /** What its words are declared as. */
  readonly stored: Word;
  /** Whether its elements, f32, are kept as f16. */
  readonly half: boolean;
  /** Declared in vectors of four. */
  readonly vectors: boolean;
  /** What was found while the text was made: aligned vectors of four, and stores of anything else. */
  vectorAccess: boolean;
  oddStores: boolean;
}

/** What a pointer is bound to: memory from an element on, or a word that is handed in. */
export type Bound = ArrayBound | { readonly kind: "value"; readonly text: string };
export interface ArrayBound {
  readonly kind: "array";
  readonly memory: Memory;
  /** Where it begins, in elements; not given for 0. */
  readonly start?: string;
  readonly startAligned: boolean;
}

export interface Module {
  readonly helpers: Helpers;
  readonly features: WebgpuFeatures;
  /** Threads of a group. */
  readonly threads: number;
  /** Whether threads of a group may hand values to each other through storage. */
  readonly storageBarriers: boolean;
  /** Set where functions use the number of the thread, or subgroups. */
  usesThread: boolean;
  usesSubgroups: boolean;
  /** Memory of the group that functions of the module share; returns its name. */
  workgroupArray(name: string, stored: Word, elements: number): string;
  /** The name of a function with its pointers bound; there are no pointer parameters. `multiples`: of its integers. */
  specialise(name: string, bounds: readonly Bound[], multiples: readonly number[]): string;
}

/** Equal for pointers to the same place. */
export function boundKey(bound: Bound): string {
  return bound.kind === "value" ? bound.text : `${bound.memory.name}+${bound.start ?? 0}`;
}
