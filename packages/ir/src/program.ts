/**
 * The plain data that links the layers below the graph: scheduled loops, the memory plan, and the finished program.
 * Imports types only, so that the part of the runtime that executes programs can ship without the compiler.
 */

import { dimValue } from "./dim.ts";
import type { DType, TypedArray } from "./dtype.ts";
import type { HostCall } from "./host-call.ts";
import type { LoopKernel, LoopStep } from "./loop/loop.ts";
import type { Dim } from "./nest/expr.ts";
import type { BufferDecl, SliceOf } from "./nest/nest.ts";

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

/** What the device that runs the program can do; part of the compile key, and of what a bundle asks for. */
export interface WebgpuFeatures {
  readonly f16: boolean;
  readonly subgroups: boolean;
  /** Threads of its smallest subgroups, where known: fewer fold their values without meeting the others of their group. */
  readonly subgroupMinSize?: number;
  readonly limits: WebgpuLimits;
}
/** Names and units of the WebGPU specification. */
export interface WebgpuLimits {
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  readonly minStorageBufferOffsetAlignment: number;
}

/**
 * A finished program of WGSL dispatches. Elements take four bytes on the device, bool included (0 or 1). Memory that a
 * binding covers is a multiple of 16 bytes long. Binding 0 of a shader is its `Params` (uniform, with a dynamic offset)
 * where it has some, then come, from 1 on, the `gate` where it has one, and its buffers.
 */
export interface WebgpuProgram {
  readonly kind: "webgpu";
  readonly name: string;
  readonly shaders: readonly Shader[];
  readonly steps: readonly DeviceStep[];
  /** As for wasm: the arena, the buffers that come in and go out, the symbolic sizes. Bytes are those on the device. */
  readonly slots: readonly Slot[];
  readonly arenaBytes: Dim;
  readonly buffers: readonly DeviceBuffer[];
  readonly kernels: number;
  readonly calls: readonly HostCall[];
  readonly constants: readonly { readonly slot: number; readonly data: TypedArray }[];
}

/** One pipeline. `buffers` says how each of its buffers is declared, in the order of their bindings. */
export interface Shader {
  readonly label: string;
  readonly code: string;
  readonly buffers: readonly ("read" | "read_write")[];
  readonly params: boolean;
  readonly gated: boolean;
}

/** A buffer that steps name, by its number in the program that was compiled. */
export interface DeviceBuffer {
  readonly id: number;
  readonly place: Place;
  readonly slice?: SliceOf;
  /** Elements of it, and of one element of the axis that a slice is taken along. */
  readonly elements: Dim;
  readonly dtype: DType;
}

/** A range of memory that a dispatch binds: the whole of a buffer, or scratch in the arena. */
export type DeviceRange =
  | { readonly kind: "buffer"; readonly buffer: number }
  | { readonly kind: "scratch"; readonly offset: Dim; readonly bytes: Dim };

/**
 * A 32-bit word of `Params`: where a slice begins in elements of its buffer, the round of a loop, a size; where a buffer
 * or so many bytes are in the arena, in elements.
 */
export type ParamWord =
  | { readonly kind: "start"; readonly buffer: number }
  | { readonly kind: "place"; readonly buffer: number }
  | { readonly kind: "offset"; readonly bytes: Dim }
  | { readonly kind: "round"; readonly counter: number }
  | { readonly kind: "sym"; readonly name: string };

export type DeviceStep =
  | {
      readonly kind: "dispatch";
      readonly shader: number;
      readonly ranges: readonly DeviceRange[];
      readonly params: readonly ParamWord[];
      /** Workgroups; folded into two dimensions where they are more than one may have. */
      readonly groups: Dim;
      /** Position of its kernel in the scheduled program. */
      readonly kernel: number;
    }
  | {
      readonly kind: "host";
      readonly call: number;
      readonly operands: readonly number[];
      readonly results: readonly number[];
    }
  | { readonly kind: "copy"; readonly from: number; readonly to: number }
  | { readonly kind: "swap"; readonly a: number; readonly b: number }
  | { readonly kind: "if"; readonly index: number; readonly branches: readonly (readonly DeviceStep[])[] }
  | { readonly kind: "for"; readonly count: Dim; readonly counter: number; readonly body: readonly DeviceStep[] }
  | {
      readonly kind: "while";
      readonly test: readonly DeviceStep[];
      readonly predicate: number;
      readonly body: readonly DeviceStep[];
    };
