/**
 * The plain data that links the layers below the graph: scheduled loops, the memory plan, and the finished program.
 * Imports types only, so that the part of the runtime that executes programs can ship without the compiler.
 */
import type { DType, TypedArray } from "./dtype.ts";
import type { HostCall } from "./host-call.ts";
import type { LoopKernel, LoopStep } from "./loop/loop.ts";
import type { Dim } from "./nest/expr.ts";
import type { BufferDecl } from "./nest/nest.ts";

export type { DType, TypedArray } from "./dtype.ts";
export { allocate, bytesOf } from "./dtype.ts";
export type { HostCall, HostFunction, HostType, HostValue } from "./host-call.ts";
export { answerCall } from "./host-call.ts";
export { printedText } from "./host-text.ts";

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

/** What a pointer slot of the call table stands for. */
export interface Slot {
  readonly kind: "arena" | "arg" | "const" | "state" | "stateOut" | "result";
  readonly index: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export type MemoryKind = "shared" | "unshared";

/**
 * A finished wasm program. `run(table)` takes the address of a table of u32 pointers, one per slot, in slot order.
 * For `stateOut` the pointer may equal that of the state it replaces. The module imports "host"."N" for call number N: it
 * takes one pointer for each operand of the call, then one for each result, and fills the results.
 */
export interface WasmProgram {
  readonly kind: "wasm";
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly memory: MemoryKind;
  readonly slots: readonly Slot[];
  readonly arenaBytes: number;
  readonly kernels: number;
  readonly calls: readonly HostCall[];
  /** Contents of embedded constants that the runtime places in the heap, by const slot. */
  readonly constants: readonly { readonly slot: number; readonly data: TypedArray }[];
}

/** What the machine that runs the program can do; part of the compile key. */
export interface WasmFeatures {
  readonly relaxedSimd: boolean;
}
