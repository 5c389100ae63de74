/** What a call does on a device, as a flat list: steps with branches, loops and sizes resolved, before buffers are known. */
import type { PipelineEntry } from "../pipelines.ts";

/** Where memory lies: a slot of the call (from 0), or one of the machine's own buffers. */
export type Space = number;
export const arenaSpace: Space = -1;
export const gateSpace: Space = -2;
/** Nothing: for bindings of no bytes, those that are read. */
export const emptySpace: Space = -3;
/** What the host reads when the list is done. */
export const readSpace: Space = -4;
/** Nothing that may be written: one buffer is not both, and each binding of a dispatch gets memory of its own. */
export const emptyTargetSpace: Space = -5;

export interface Location {
  readonly space: Space;
  /** In bytes. */
  readonly offset: number;
  readonly bytes: number;
}

export type Op =
  | {
      readonly kind: "dispatch";
      readonly label: string;
      readonly entry: PipelineEntry;
      /** Number of the first binding. */
      readonly first: 0 | 1;
      /** Bytes of its parameters, and where they begin in the table; absent where it has none. */
      readonly params?: { readonly bytes: number; readonly offset: number };
      readonly bindings: readonly Location[];
      readonly x: number;
      readonly y: number;
      /** Whose it is, by its number in the program; absent where it is the executor's own. */
      readonly kernel?: number;
    }
  /** Between two buffers. */
  | { readonly kind: "copy"; readonly from: Location; readonly to: Location; readonly bytes: number };

export type DispatchOp = Extract<Op, { kind: "dispatch" }>;

/** What the host reads after a list: `bytes` from byte `at` on. */
export interface Read {
  readonly at: number;
  readonly bytes: number;
}

export interface Recording {
  readonly ops: readonly Op[];
  /** Entries of parameters, each at a multiple of 256 bytes. */
  readonly params: Uint32Array;
  readonly arenaBytes: number;
  readonly gateBytes: number;
  readonly readBytes: number;
}
