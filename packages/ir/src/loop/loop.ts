/**
 * Loop IR: explicit loops and memory. Expressions are pure (a load reads memory at the statement that holds it);
 * effects are statements. Vector width is part of every type. Types only.
 */
import type { ScalarType } from "../dtype.ts";
import type { Dim } from "../nest/expr.ts";
import type { NodePath } from "../node-path.ts";

/** `lanes` scalars side by side. Masks are `bool` of the same number of lanes. */
export interface LoopType {
  readonly scalar: ScalarType;
  readonly lanes: number;
}

/** Where a pointer leads. `heap` is linear memory, `scratch` the program's arena, the others exist on GPUs. */
export type AddressSpace = "heap" | "scratch" | "workgroup" | "private";

export interface LoopVar {
  readonly id: number;
  readonly name: string;
  readonly type: LoopType;
  /** A mutable local may be assigned; others are bound once by `let`, `for` or as parameters. */
  readonly mutable: boolean;
}

/** A pointer parameter of a function: the base of a buffer whose elements are `element`. */
export interface LoopPointer {
  readonly id: number;
  readonly name: string;
  readonly element: ScalarType;
  readonly space: AddressSpace;
  /** Elements (f32) are rounded to f16 where they are stored, and take half the room. Memory of a group only. */
  readonly half?: boolean;
}

export type LoopExpr = { readonly type: LoopType } & (
  | { readonly kind: "const"; readonly value: number | bigint }
  | { readonly kind: "var"; readonly variable: LoopVar }
  /** A row of the scalar-op table on every lane (machine rows included). */
  | { readonly kind: "op"; readonly op: string; readonly args: readonly LoopExpr[] }
  /** Lane l is element `index + l` of the pointer; lanes from `active` on read nothing and are 0. */
  | {
      readonly kind: "load";
      readonly pointer: LoopPointer;
      readonly index: LoopExpr;
      readonly active?: number;
    }
  /** All lanes equal to the one-lane argument. */
  | { readonly kind: "splat"; readonly arg: LoopExpr }
  /** base, base + 1, base + 2 ... (i32) */
  | { readonly kind: "ramp"; readonly base: LoopExpr }
  /** One lane per one-lane argument. */
  | { readonly kind: "pack"; readonly args: readonly LoopExpr[] }
  | { readonly kind: "lane"; readonly arg: LoopExpr; readonly lane: number }
  /** Folds the lanes, pairwise (lane 0 with 2, 1 with 3, then both), into one lane. */
  | { readonly kind: "fold"; readonly op: string; readonly arg: LoopExpr }
  /** Whether some lane of the mask is set; one lane. */
  | { readonly kind: "any"; readonly arg: LoopExpr }
);

export type LoopStmt =
  | { readonly kind: "let"; readonly variable: LoopVar; readonly value: LoopExpr }
  | { readonly kind: "assign"; readonly variable: LoopVar; readonly value: LoopExpr }
  | {
      readonly kind: "store";
      readonly pointer: LoopPointer;
      readonly index: LoopExpr;
      readonly value: LoopExpr;
      /** Lanes from `active` on are not written. */
      readonly active?: number;
    }
  /** variable = from; while (variable < to) { body; variable += step } */
  | {
      readonly kind: "for";
      readonly variable: LoopVar;
      readonly from: LoopExpr;
      readonly to: LoopExpr;
      readonly step: number;
      readonly body: readonly LoopStmt[];
    }
  | { readonly kind: "while"; readonly test: LoopExpr; readonly body: readonly LoopStmt[] }
  | {
      readonly kind: "if";
      readonly test: LoopExpr;
      readonly then: readonly LoopStmt[];
      readonly else: readonly LoopStmt[];
    }
  | {
      readonly kind: "call";
      readonly func: string;
      readonly pointers: readonly LoopPointer[];
      readonly args: readonly LoopExpr[];
    }
  /**
   * Calls `func` with each chunk number 0..chunks-1 as its first integer argument, in any order or at once. The number
   * of chunks does not depend on the number of threads, so that results do not either.
   */
  | {
      readonly kind: "par";
      readonly chunks: LoopExpr;
      readonly func: string;
      readonly pointers: readonly LoopPointer[];
      readonly args: readonly LoopExpr[];
    }
  /** Every thread of the group comes here before one goes on, and sees what the others wrote before. GPUs only. */
  | { readonly kind: "barrier" }
  /**
   * `variable` becomes the fold (`add`, `mul`, `max`, `min`, `and`, `or`) of one-lane `value` over all threads of the group,
   * the same in each of them and in the same order every time. With `threads` (a power of two that divides the group) each
   * so many neighbouring threads fold their own values. All threads of the group come here. GPUs only.
   */
  | {
      readonly kind: "groupFold";
      readonly variable: LoopVar;
      readonly op: string;
      readonly value: LoopExpr;
      readonly threads?: number;
    };

/** Scratch memory of a kernel, planned in the arena like any buffer. */
export interface ScratchDecl {
  readonly pointer: LoopPointer;
  readonly bytes: Dim;
}

/** Memory of a function itself: of its group (`workgroup`, shared by the threads) or of each thread (`private`). */
export interface LocalArray {
  readonly pointer: LoopPointer;
  readonly elements: number;
}

/** `func` runs for each of `threads` threads of each of `groups` groups: a dispatch on a GPU. */
export interface Grid {
  /** Its first two parameters are the number of the group and that of the thread in its group. */
  readonly func: string;
  readonly groups: Dim;
  readonly threads: number;
}

export interface LoopFunc {
  readonly name: string;
  readonly pointers: readonly LoopPointer[];
  /** One-lane integer parameters. */
  readonly params: readonly LoopVar[];
  /** GPUs only. Their pointers are numbered with those that are parameters. */
  readonly locals?: readonly LocalArray[];
  readonly body: readonly LoopStmt[];
}

/** One kernel after scheduling: the entry function takes the kernel's buffers (and scratch) in order. */
export interface LoopKernel {
  readonly name: string;
  /** The functions of this kernel; the first is its entry. */
  readonly funcs: readonly LoopFunc[];
  /**
   * Where it runs on a GPU: what runs one after the other, each seeing what those before wrote. The functions named here
   * take all pointers of the kernel, then group, thread, and the symbolic sizes.
   */
  readonly grids?: readonly Grid[];
  /** Buffer ids (of the NestProgram) bound to the entry's pointers, then scratch. */
  readonly buffers: readonly number[];
  readonly scratch: readonly ScratchDecl[];
  readonly writes: readonly number[];
  /** Symbolic sizes that the entry takes as integer parameters, behind the pointers. */
  readonly syms?: readonly string[];
  /** Pairs (read, written) that may share memory: each element is read before it is written, at the same index. */
  readonly aliasable: readonly (readonly [number, number])[];
  /** What the kernel does, for the cost table. */
  readonly flops: number;
  readonly schedule: string;
}

export type LoopStep =
  | { readonly kind: "kernel"; readonly kernel: number; readonly nodes: readonly NodePath[] }
  /** `call`: its number in the program. Operands and results are buffers, the status first. */
  | {
      readonly kind: "host";
      readonly call: number;
      readonly operands: readonly number[];
      readonly results: readonly number[];
      readonly nodes: readonly NodePath[];
    }
  | { readonly kind: "copy"; readonly from: number; readonly to: number }
  | { readonly kind: "swap"; readonly a: number; readonly b: number }
  | { readonly kind: "if"; readonly index: number; readonly branches: readonly (readonly LoopStep[])[] }
  | { readonly kind: "for"; readonly count: Dim; readonly counter: number; readonly body: readonly LoopStep[] }
  | {
      readonly kind: "while";
      readonly test: readonly LoopStep[];
      readonly predicate: number;
      readonly body: readonly LoopStep[];
    };
