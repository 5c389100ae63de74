/**
 * The manifest of a bundle: what `manifest.json` holds, as plain data. Each module of the bundle has the checksum of all
 * but `builds` and `crc32` (see `loader/vouch.ts`); `loader/check.ts` looks at every field.
 *
 * The file is JSON in UTF-8 whose last line but the closing brace is `"crc32": "0123abcd"`: the checksum of all bytes
 * before that line's first quotation mark. Checksums are those of zlib, as eight lower-case hexadecimal digits.
 */
import type { DType } from "@sinter/ir/program";

export const bundleFormat = "sinter-bundle";
/** Changes when a host that knows an older number could not run a newer bundle rightly. */
export const bundleAbi = 1;

export interface Manifest {
  readonly format: typeof bundleFormat;
  readonly abi: typeof bundleAbi;
  readonly name: string;
  /** Version of Sinter that wrote the bundle. */
  readonly sinter: string;
  readonly license?: string;
  /** The same program for different engines, the preferred one first. */
  readonly builds: readonly BuildFile[];
  /** Contents of variables and constants; undefined where they are embedded in the builds, or there are none. */
  readonly weights?: FileEntry;
  readonly variables: readonly VariableEntry[];
  readonly constants: readonly ConstantEntry[];
  /** In the order of export; the first is what `run` runs. */
  readonly functions: readonly FunctionEntry[];
  /** What the modules import as "host"."0", "host"."1", ... */
  readonly calls: readonly CallEntry[];
  readonly selfTest?: SelfTestEntry;
  /** Graphs for a compiler: text and constants of each function. */
  readonly graphs?: readonly FileEntry[];
  readonly crc32: string;
}

export interface FileEntry {
  /** Name of the file, in the folder of the manifest. */
  readonly file: string;
  readonly bytes: number;
  readonly crc32: string;
}

/**
 * `simd`: SIMD128, the same bits on every engine. `relaxed-simd`: also multiply-add, which may round once or twice. `webgpu`:
 * shaders.
 */
export type BuildName = WasmBuild["build"] | WebgpuBuild["build"];
export type BuildFile = WasmBuild | WebgpuBuild;

/** A program for WebAssembly. */
export interface WasmBuild extends FileEntry {
  readonly build: "simd" | "relaxed-simd";
  /** What an engine must know to run it, by the names of the proposals. */
  readonly features: readonly string[];
}

/** A program for WebGPU: `file` holds its shaders, which run on every device. */
export interface WebgpuBuild extends FileEntry {
  readonly build: "webgpu";
  /** `webgpu`; hosts for WebAssembly pass over it. */
  readonly features: readonly string[];
  /** How the shaders are run: see dispatch.ts. */
  readonly dispatch: FileEntry;
  /** Limits by WebGPU's names that a device must have, where they are above those of every device. */
  readonly limits: Readonly<Record<string, number>>;
}

/**
 * A size: a number, the name of one of the function's sizes, or what an operation makes of two. `/` is the quotient rounded
 * down, `%` what is left then.
 */
export type SizeEntry = number | string | readonly [op: SizeOp, a: SizeEntry, b: SizeEntry];
export type SizeOp = "+" | "*" | "/" | "%" | "min" | "max";

/** `Size`: number where all sizes are known. */
export interface TensorEntry<Size = number> {
  readonly dtype: DType;
  readonly shape: readonly Size[];
}

export interface ConstantEntry extends TensorEntry {
  /** The tensor in the weights; unique among variables and constants. */
  readonly name: string;
  /** Where the module's own data puts its contents; undefined where they come from the weights. */
  readonly address?: number;
}
export interface VariableEntry extends ConstantEntry {
  readonly trainable: boolean;
}

/** A size that each call has anew. Arguments have it as the size of an axis, and all that have it must have the same. */
export interface SymbolEntry {
  readonly name: string;
  /** The bounds, both included. */
  readonly lo: number;
  readonly hi: number;
}

export interface FunctionEntry<Size = SizeEntry> {
  readonly name: string;
  /** Where a program runs for arguments of several sizes. */
  readonly sizes?: readonly SymbolEntry[];
  /** Numbers of elements that its tensors have then: a call in which one is above 2^31 - 1 must not be made. */
  readonly elements?: readonly Size[];
  /** The module's export: called with the address of a table of pointers, and of sizes. */
  readonly entry: string;
  /** The parameters, in order. */
  readonly params: readonly { readonly name: string; readonly tree: TreeEntry<Size> }[];
  readonly result: TreeEntry<Size>;
  /** The table, in order. */
  readonly slots: readonly SlotEntry<Size>[];
  /** By `index` of slots of kind const: the constant. */
  readonly constants: readonly number[];
  /** By `index` of slots of kind state: the variable. */
  readonly states: readonly StateEntry[];
  /** By number of the tensor in the result tree: where it is after the call. */
  readonly outs: readonly Source[];
  /** Where the function can fail: the number of the result that says so (0: no), and what 1, 2, ... mean. */
  readonly check?: { readonly result: number; readonly messages: readonly string[] };
}

/**
 * `arena`: working memory. `stateOut` may have the address of the state it replaces, or another one. `index` counts each
 * kind from 0, as it stands in the function's other fields. `sym`: no pointer, but the value of `sizes[index]`.
 */
export interface SlotEntry<Size = SizeEntry> extends TensorEntry<Size> {
  readonly kind: "arena" | "const" | "arg" | "state" | "stateOut" | "result" | "sym";
  readonly index: number;
}

export interface StateEntry {
  readonly variable: number;
  /** Number of the stateOut slot with the new value; -1 where the program writes none. */
  readonly out: number;
  /** The new value, where it is one that is there anyway. */
  readonly from?: Source;
}

/** Where a value is after a call: a slot, by kind and index. */
export interface Source {
  readonly kind: "arg" | "const" | "state" | "stateOut" | "result";
  readonly index: number;
}

/** Arguments and results: arrays and objects with tensors, and values that were fixed when the function was traced. */
export type TreeEntry<Size = SizeEntry> =
  | {
      readonly kind: "tensor";
      readonly index: number;
      readonly dtype: DType;
      /** Of arguments: numbers and names of sizes. */
      readonly shape: readonly Size[];
    }
  | { readonly kind: "static"; readonly value: string | number | boolean | null }
  /** What JSON cannot write. */
  | { readonly kind: "special"; readonly value: "undefined" | "-0" | "NaN" | "Infinity" | "-Infinity" }
  | { readonly kind: "array"; readonly items: readonly TreeEntry<Size>[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly TreeEntry<Size>[] };

/**
 * What a program calls: "host"."N" gets the addresses of an i32 status, of the operands, and of the status to answer. It
 * prints where the status is 0, and answers the status it was given.
 */
export interface CallEntry {
  readonly kind: "print";
  /** The text around the operands: one piece more than there are operands. */
  readonly format: readonly string[];
  /** Behind the status. */
  readonly operands: readonly TensorEntry[];
}

/**
 * Recorded calls, in the order in which they were made, from the variables as they are in the bundle. In the file, call
 * n has the tensors `n.arg.i` (by number of the argument's tensor), `n.result.i` (of the result's tensor) and
 * `n.after.name` for each variable that it changed.
 */
export interface SelfTestEntry extends FileEntry {
  readonly calls: readonly { readonly function: string }[];
  /** What made the records. Equal build and rounding promise equal bits. */
  readonly recorded: { readonly build: BuildName; readonly fused: boolean };
  /**
   * Elsewhere: how far a value may be away, by element type, as a part of the largest magnitude in its tensor. Integers and
   * truth values must be equal unless it is said here how many of a tensor's elements may differ, as a part of them.
   */
  readonly tolerance: Readonly<Record<DType, number>>;
}
