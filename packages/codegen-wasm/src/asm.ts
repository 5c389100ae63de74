/**
 * What a wasm module is built with: expressions, statements and functions. `encode/` has two that programs are made
 * with, one that writes bytes and one that writes text; the tests have one on Binaryen, which must make the same bytes.
 *
 * Expressions form a tree: every `Code` must be used exactly once, since a second use would compute it again, and
 * Binaryen's passes change nodes in place. Values needed twice go through a local.
 */
import type { OpCode } from "./encode/opcodes.ts";

export type { OpCode } from "./encode/opcodes.ts";

declare const codeBrand: unique symbol;

/** One expression, to be used once. */
export type Code = number & { readonly [codeBrand]: true };
/** A wasm value type. */
export type WasmType = "i32" | "i64" | "f32" | "f64" | "v128";

/** What memory holds when the module is instantiated. */
export interface DataSegment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface Assembler {
  i32(value: number): Code;
  i64(value: bigint): Code;
  f32(value: number): Code;
  f64(value: number): Code;
  v128(bytes: Uint8Array): Code;

  unary(op: OpCode, a: Code): Code;
  binary(op: OpCode, a: Code, b: Code): Code;
  ternary(op: OpCode, a: Code, b: Code, c: Code): Code;
  /** a where the i32 condition is not 0, else b; both are computed. */
  select(condition: Code, a: Code, b: Code): Code;
  /** All lanes shifted by one i32 amount. */
  shift(op: OpCode, vec: Code, amount: Code): Code;
  extract(op: OpCode, vec: Code, lane: number): Code;
  replace(op: OpCode, vec: Code, lane: number, value: Code): Code;
  /** Four 32-bit lanes out of two vectors: 0-3 of the first, 4-7 of the second. */
  shuffle(a: Code, b: Code, lanes: readonly [number, number, number, number]): Code;

  get(local: number, type: WasmType): Code;
  set(local: number, value: Code): Code;

  /** One byte loads as unsigned. */
  load(type: WasmType, ptr: Code, offset: number, bytes?: number): Code;
  store(type: WasmType, ptr: Code, offset: number, value: Code, bytes?: number): Code;
  /** Loads that splat or zero-extend one element: `Load32SplatVec128`, `Load64ZeroVec128`, ... */
  loadVector(op: OpCode, ptr: Code, offset: number): Code;
  /** Loads or stores one lane of a vector. */
  laneAccess(op: OpCode, ptr: Code, offset: number, vec: Code, lane: number): Code;
  memoryCopy(to: Code, from: Code, bytes: Code): Code;

  /** Statements one after the other. */
  sequence(list: readonly Code[]): Code;
  if(condition: Code, then: readonly Code[], otherwise?: readonly Code[]): Code;
  /** Runs `list` again and again while `again`, computed after it, is not 0. */
  doWhile(list: readonly Code[], again: Code): Code;
  /** `test` (statements), then if `condition`: `body`, and round again. */
  whileDo(test: readonly Code[], condition: Code, body: readonly Code[]): Code;
  /** Calls a function that was added before. */
  call(name: string, args: readonly Code[]): Code;

  /** Declares the memory; needed before the first load. `import`: "env"."memory"; `export`: "memory". */
  memory(
    owner: "import" | "export",
    shared: boolean,
    initialPages: number,
    maximumPages: number | undefined,
    data?: readonly DataSegment[],
  ): void;
  /** Exports an i32 that never changes. Behind the memory, before any function. */
  exportConstant(name: string, value: number): void;
  /** Declares a function of the module "host", which takes parameters and returns nothing; before all other functions. */
  importFunc(field: string, name: string, params: readonly WasmType[]): void;
  /** Adds a function, which takes parameters and returns nothing. Locals are numbered from the first parameter on. */
  func(name: string, params: readonly WasmType[], locals: readonly WasmType[], body: readonly Code[]): void;
  exportFunc(name: string): void;
}
