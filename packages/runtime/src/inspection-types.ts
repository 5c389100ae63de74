/**
 * What a compilation did, as plain data that survives JSON: what pages and dumps are made of. Types only; `inspection.ts`
 * fills them in.
 *
 * A node of the lowered graph is named by its path as text, `7` or inside regions `7.0.3` (node, region, node). A value is
 * the path of the node that makes it, `7.0.3`, with `#1` behind it for its second result and so on, or `param x` for a
 * parameter of the graph or region that the node is in.
 */
import type { DType, Loc } from "@sinter/ir";
import type { Cost } from "./cost.ts";

export interface Inspection {
  readonly name: string;
  /** The types of parameters and results, as the head of a function. */
  readonly signature: string;
  /** What it was compiled for, as people read it: `wasm relaxed-simd`. */
  readonly target: string;
  readonly backend: "wasm" | "webgpu";
  readonly fastMath: boolean;
  readonly precision: "f32" | "f16";
  /** The levels and passes in the order they ran, as text. */
  readonly passes: readonly PassDump[];
  /** Of the graph that was lowered, in the order of its text: those of a region behind the node that has it. */
  readonly nodes: readonly NodePicture[];
  readonly params: readonly { readonly kind: string; readonly name: string; readonly type: string }[];
  readonly results: readonly { readonly kind: string; readonly value: string; readonly type: string }[];
  readonly decisions: readonly Decision[];
  readonly kernels: readonly KernelPicture[];
  readonly steps: readonly StepPicture[];
  readonly buffers: readonly BufferPicture[];
  /** What runs the steps: a function as WebAssembly text, or the dispatches with what each binds. */
  readonly run: string;
  readonly arenaBytes: number;
  readonly cost: Cost;
}

export interface PassDump {
  /** `trace`, `simplify`, ... */
  readonly name: string;
  readonly level: "graph" | "nests" | "loops" | "plan" | "wat" | "wgsl";
  readonly text: string;
  readonly milliseconds: number;
}

export interface NodePicture {
  readonly path: string;
  readonly op: string;
  /** The printed line. */
  readonly text: string;
  /** Of the results, as printed. */
  readonly type: string;
  /** Values. */
  readonly operands: readonly string[];
  readonly locs: readonly Loc[];
  /** Those that do work of it. */
  readonly kernels: readonly number[];
}

/** Why a value became part of another's kernel, or did not. */
export interface Decision {
  readonly fused: boolean;
  /** As people read them, `%3 relu`. */
  readonly producer: string;
  readonly consumer: string;
  readonly reason: string;
  readonly producerNodes: readonly string[];
  readonly consumerNodes: readonly string[];
}

export interface KernelPicture {
  readonly index: number;
  readonly name: string;
  /** How its loops were arranged. */
  readonly schedule: string;
  /** Nodes whose work it does. */
  readonly nodes: readonly string[];
  /** Where these were written, each place once. */
  readonly locs: readonly Loc[];
  readonly buffers: readonly { readonly buffer: number; readonly writes: boolean }[];
  readonly scratch: readonly { readonly name: string; readonly offset: number; readonly bytes: number }[];
  readonly nest: string;
  readonly loops: string;
  /** Its code, in the language of the target: the functions of wasm, or the shaders of its grids. */
  readonly wat?: string;
  readonly wgsl?: string;
  /** Of one run. */
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Flops for each byte; 0 where it moves none. */
  readonly intensity: number;
  /** How often it runs in one call; null inside a `while`, where only data says. Kernels in branches count as if taken. */
  readonly runs: number | null;
}

/** `number`: as lifetimes of buffers count them. The end of a loop counts too. */
export type StepPicture =
  | { readonly kind: "kernel"; readonly number: number; readonly kernel: number }
  /** A call of whoever runs the program: `print`, or a function of the user's. */
  | {
      readonly kind: "host";
      readonly number: number;
      readonly text: string;
      readonly operands: readonly number[];
      readonly results: readonly number[];
    }
  | { readonly kind: "copy"; readonly number: number; readonly from: number; readonly to: number }
  | { readonly kind: "swap"; readonly number: number; readonly a: number; readonly b: number }
  | {
      readonly kind: "if";
      readonly number: number;
      readonly index: number;
      readonly branches: readonly (readonly StepPicture[])[];
    }
  | {
      readonly kind: "for";
      readonly number: number;
      readonly end: number;
      readonly count: number;
      readonly body: readonly StepPicture[];
    }
  | {
      readonly kind: "while";
      readonly number: number;
      readonly end: number;
      readonly predicate: number;
      readonly test: readonly StepPicture[];
      readonly body: readonly StepPicture[];
    };

export interface BufferPicture {
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: string;
  readonly bytes: number;
  /** `slice`: a part of another buffer, `of`. `none`: nothing touches it. */
  readonly place: "arena" | "arg" | "const" | "state" | "stateOut" | "result" | "slice" | "none";
  /** In the arena; 0 elsewhere. */
  readonly offset: number;
  /** The steps between which the memory is taken. What has memory of its own has it for all steps. */
  readonly firstStep: number;
  readonly lastStep: number;
  /** The buffer whose memory it is, or is a part of. */
  readonly of?: number;
}
