/**
 * The plain data that links the layers below the graph: scheduled loops, the memory plan, and the finished program.
 * Imports types only, so that the part of the runtime that executes programs can ship without the compiler.
 */

import { dimValue } from "./dim.ts";
import type { DType, TypedArray } from "./dtype.ts";
import type { HostCall } from "./host-call.ts";
import type { LoopKernel, LoopStep } from "./loop/loop.ts";
import type { Dim } from "./nest/expr.ts";
import type { BufferDecl } from "./nest/nest.ts";

export { dimValue } from "./dim.ts";
export type { DType, TypedArray } from "./dtype.ts";
export { allocate, bytesOf } from "./dtype.ts";
export type { HostCall, HostFunction, HostType, HostValue } from "./host-call.ts";
export { answerCall } from "./host-call.ts";
export { printedText } from "./host-text.ts";
export type { Dim } from "./nest/expr.ts";

export interface LoopProgram {
  readonly name: string;
  readonly buffers: readonly BufferDecl[];
  readonly kernels: readonly LoopKernel[];
  readonly steps: readonly LoopStep[];
  /** What steps call outside, by number. */
  readonly calls: readonly HostCall[];
}

/**
 * Where each temp buffer and each kernel's scratch lies in the arena. Offsets and sizes in bytes; with symbolic sizes they
 * are expressions over them, evaluated once for each binding.
 */
export interface Plan {
  readonly arenaBytes: Dim;
  readonly alignment: number;
  /** By buffer id: offset in the arena, or the pointer slot the buffer comes in through. */
  readonly places: readonly Place[];
  /** By kernel position in `LoopProgram.kernels`, then scratch position: offset in the arena. */
  readonly scratch: readonly (readonly Dim[])[];
}
export type Place =
  | {
      readonly kind: "arena";
      readonly offset: Dim;
      readonly bytes: Dim;
      readonly firstStep: number;
      readonly lastStep: number;
    }
  | { readonly kind: "slot"; readonly slot: number; readonly bytes: Dim }
  | { readonly kind: "same"; readonly as: number }
  | { readonly kind: "none" };

/** What a slot of the call table stands for: a pointer, or (`sym`) the value of a symbolic size. */
export interface Slot {
  readonly kind: "arena" | "arg" | "const" | "state" | "stateOut" | "result" | "sym";
  readonly index: number;
  /** `sym`: which size. */
  readonly name?: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly bytes: Dim;
}

/** A slot whose sizes are numbers. */
export interface SizedSlot extends Slot {
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** A slot with its symbolic sizes replaced by their values; throws where one has none. */
export function sizedSlot(slot: Slot, sizes: ReadonlyMap<string, number> = new Map()): SizedSlot {
  return {
    ...slot,
    shape: slot.shape.map((dim) => dimValue(dim, sizes)),
    bytes: dimValue(slot.bytes, sizes),
  };
}

/** The symbolic sizes in a filled call table. */
export function sizesIn(slots: readonly Slot[], table: ArrayLike<number>): ReadonlyMap<string, number> {
  return new Map(slots.flatMap(({ kind, name }, i) => (kind === "sym" ? [[name!, table[i]!] as const] : [])));
}

export type MemoryKind = "shared" | "unshared";

/**
 * A finished wasm program. `run(table)` takes the address of a table of u32 words, one per slot, in slot order.
 * For `stateOut` the pointer may equal that of the state it replaces. The module imports "host"."N" for call number N: it
 * takes one pointer for each operand of the call, then one for each result, and fills the results.
 */
export interface WasmProgram {
  readonly kind: "wasm";
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly memory: MemoryKind;
  readonly slots: readonly Slot[];
  readonly arenaBytes: Dim;
  readonly kernels: number;
  readonly calls: readonly HostCall[];
  /** Contents of embedded constants that the runtime places in the heap, by const slot. */
  readonly constants: readonly { readonly slot: number; readonly data: TypedArray }[];
}

/** What the machine that runs the program can do; part of the compile key. */
export interface WasmFeatures {
  readonly relaxedSimd: boolean;
}
