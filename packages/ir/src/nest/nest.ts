/**
 * Nest IR: named axes, index maps and a scalar payload. A kernel is what would be one WGSL dispatch; a program is a
 * control tree over kernels. Types only; see print.ts and verify.ts beside it.
 */

import type { DType, TypedArray } from "../dtype.ts";
import type { HostCall } from "../host-call.ts";
import type { Grid, LoopFunc, ScratchDecl } from "../loop/loop.ts";
import type { NodePath } from "../node-path.ts";
import type { Axis, BufferId, Dim, IndexExpr, Range, ScalarExpr } from "./expr.ts";

/**
 * Where a buffer lives. `arg`, `const` and `state` come from outside; `result` and `stateOut` go out; `temp` is in the
 * arena; `row` is scratch of one kernel, of one row's size, reused by every row; `slice` is a part of another buffer, at
 * the place where a loop is.
 */
export type BufferKind = "arg" | "const" | "state" | "stateOut" | "result" | "temp" | "row" | "slice";

export interface BufferDecl {
  readonly id: BufferId;
  readonly name: string;
  readonly dtype: DType;
  /** Row-major. A row buffer's shape leaves the kernel's outer axes out. */
  readonly shape: readonly Dim[];
  readonly kind: BufferKind;
  /** `arg`, `const`, `state`, `result`, `stateOut`: position among those of its kind. */
  readonly slot: number;
  /** `stateOut`: the `state` buffer it replaces; the runtime passes equal pointers when that one is unshared. */
  readonly replaces?: BufferId;
  /** Contents of an embedded constant (at most 64 bytes: larger ones are `const` parameters). */
  readonly data?: TypedArray;
  /** `slice`: whose memory it is in. */
  readonly slice?: SliceOf;
}

/** Element `counter` along the first axis of a buffer (from its end where `reverse`), in the loop of that counter. */
export interface SliceOf {
  readonly of: BufferId;
  readonly counter: BufferId;
  readonly reverse: boolean;
}

/** How an accumulator folds. `argMax` and `argMin` are pairs: component 0 the value, 1 the position (first wins). */
export type Combine = "add" | "mul" | "max" | "min" | "and" | "or" | "argMax" | "argMin";

export interface Accumulator {
  readonly combine: Combine;
  readonly dtype: DType;
  /** One component, or value and position for the pair combiners (position counted along the red axes). */
  readonly values: readonly ScalarExpr[];
}

export interface Store {
  readonly buffer: BufferId;
  readonly index: readonly IndexExpr[];
  readonly value: ScalarExpr;
  /**
   * `body`: at every point of all axes. `end`: once per par point, after the red axes, and may use `acc`. A nest without
   * red axes has body stores only.
   */
  readonly when: "body" | "end";
  /** Fold into memory instead of overwriting (scatter). */
  readonly combine?: Combine;
  readonly guard?: readonly Range[];
}

export interface Carry {
  readonly dtype: DType;
  readonly init: ScalarExpr;
  readonly next: ScalarExpr;
}

/**
 * For every point of the `par` axes: fold the `red` axes into the accumulators (or step the `seq` axes in order), then
 * the end stores. Axes are outermost first, par before red and seq. All values of a point are computed before any of its
 * stores happens. Reads of a buffer that the nest also stores to (or of the state that it replaces) are legal only at the
 * very index that the same point stores, unless there is one point only.
 */
export interface Nest {
  readonly axes: readonly Axis[];
  readonly accumulators: readonly Accumulator[];
  readonly carries: readonly Carry[];
  readonly stores: readonly Store[];
}

/**
 * `outer` axes (par) enclose all `nests`, which run one after the other for each point of `outer`; values flow between
 * the nests through `row` buffers. A kernel of one nest has no outer axes; small nests may follow each other in one
 * kernel without any.
 */
export interface NestKernel {
  readonly kind: "nests";
  readonly name: string;
  readonly outer: readonly Axis[];
  readonly nests: readonly Nest[];
}

/** The loops of a library kernel. The entry, first, takes the operands' memory, the results', then scratch. */
export interface LibraryLoops {
  readonly funcs: readonly LoopFunc[];
  readonly scratch: readonly ScratchDecl[];
  /** What all of it does, for the cost table. */
  readonly flops: number;
  /** How GPUs do it, where not with a thread for each chunk of the entry. */
  readonly device?: () => DeviceLoops;
}

/** Grids of a library kernel; elements of its scratch take four bytes. */
export interface DeviceLoops {
  readonly funcs: readonly LoopFunc[];
  readonly scratch: readonly ScratchDecl[];
  readonly grids: readonly Grid[];
}

/** A hand-written, target-independent kernel (sort, factorisations): Loop IR functions and the buffers the entry takes. */
export interface LibraryKernel {
  readonly kind: "library";
  readonly name: string;
  readonly loops: LibraryLoops;
  /** Operands, then results; one may come twice. */
  readonly args: readonly BufferId[];
  readonly writes: readonly BufferId[];
}
export type Kernel = NestKernel | LibraryKernel;

/** Control tree: printed as wasm `run()` or as a dispatch list. */
export type NestStep =
  /** `nodes`: those of the lowered graph whose work the kernel does; no part of any text. */
  | { readonly kind: "kernel"; readonly kernel: Kernel; readonly nodes: readonly NodePath[] }
  | {
      readonly kind: "host";
      readonly call: HostCall;
      readonly operands: readonly BufferId[];
      readonly results: readonly BufferId[];
      readonly nodes: readonly NodePath[];
    }
  | { readonly kind: "copy"; readonly from: BufferId; readonly to: BufferId }
  /** Two buffers exchange their memory, and so their contents, from here on. Nothing is moved. */
  | { readonly kind: "swap"; readonly a: BufferId; readonly b: BufferId }
  | { readonly kind: "if"; readonly index: BufferId; readonly branches: readonly (readonly NestStep[])[] }
  /** The counter (i32, from 0) says which elements the loop's slices are. */
  | { readonly kind: "for"; readonly count: Dim; readonly counter: BufferId; readonly body: readonly NestStep[] }
  | {
      readonly kind: "while";
      readonly test: readonly NestStep[];
      readonly predicate: BufferId;
      readonly body: readonly NestStep[];
    };

/** Why a producer was not fused into its consumer (or was). Golden tests assert the reasons; dumps show them. */
export interface FusionNote {
  readonly fused: boolean;
  readonly producer: string;
  readonly consumer: string;
  readonly reason: string;
  /** What both are in the lowered graph. */
  readonly producerNodes: readonly NodePath[];
  readonly consumerNodes: readonly NodePath[];
}

export interface NestProgram {
  readonly name: string;
  readonly buffers: readonly BufferDecl[];
  readonly steps: readonly NestStep[];
  readonly notes: readonly FusionNote[];
}
