/**
 * The state of emitting one function: locals, the open statement list, the loops around it, and which shared values
 * are in locals already. Knows no operation.
 */
import type { LoopExpr, LoopPointer, LoopType, LoopVar, WasmFeatures } from "@sinter/ir";
import type { Assembler, Code, OpCode, WasmType } from "../asm.ts";

/** A loop being emitted. Level 1 is outermost; level 0 is the function. */
export interface LoopScope {
  /** The counter, for `for` loops. */
  readonly variable: LoopVar | undefined;
  readonly step: number;
  /** First value of the counter, where it is a constant. */
  readonly from: number | undefined;
  /** Statements that run just before the loop. */
  readonly preheader: Code[];
  /** Statements that run at the end of each round: address locals that move with the counter. */
  readonly latch: Code[];
  /** Locals of addresses that were asked for, by their text. */
  readonly addresses: Map<string, number>;
}

/** What an integer index is as `constant + sum(coef * atom)`. */
export interface Linear {
  readonly constant: number;
  readonly terms: readonly Term[];
}
export interface Term {
  readonly coef: number;
  readonly atom: LoopExpr;
  readonly key: string;
  /** Level of the innermost loop that the atom changes in; Infinity where it may change at any statement. */
  readonly depth: number;
  readonly nonNegative: boolean;
}

/** What one register holds. A 4-lane f64 or i64 is two of `f64x2` or `i64x2`. */
export type Form =
  | "f32"
  | "f64"
  | "i32"
  | "u32"
  | "i64"
  | "bool"
  | "f32x4"
  | "f64x2"
  | "i32x4"
  | "u32x4"
  | "i64x2"
  | "mask";

/** Emits one register; may put statements before. */
export type Lower = (c: FuncContext, args: readonly Code[], exprs: readonly LoopExpr[]) => Code;

/** 4 lanes of f64 and i64 take two registers; everything else takes one. */
export function isPair(type: LoopType): boolean {
  return type.lanes > 1 && (type.scalar === "f64" || type.scalar === "i64");
}

/** The wasm type of each register a value of this type takes. */
export function registerType(type: LoopType): WasmType {
  if (type.lanes > 1) return "v128";
  return type.scalar === "f32" || type.scalar === "f64" || type.scalar === "i64" ? type.scalar : "i32";
}

const zeros = new Uint8Array(16);
const ones = new Uint8Array(16).fill(255);

type EmitExpr = (c: FuncContext, e: LoopExpr) => Code[];

export class FuncContext {
  readonly asm: Assembler;
  readonly features: WasmFeatures;
  readonly params: WasmType[] = [];
  private readonly locals: WasmType[] = [];
  /** Runs once at the start of the function. */
  readonly prologue: Code[] = [];
  list: Code[] = [];
  loops: readonly LoopScope[] = [];
  /** How often the statement being emitted uses each node. */
  uses = new Map<LoopExpr, number>();
  /** Shared nodes whose value is in locals. */
  private shared = new Map<LoopExpr, readonly number[]>();
  /** Nodes of `shared` in order of addition, so that a scope can forget its own. */
  private order: LoopExpr[] = [];
  readonly linear = new Map<LoopExpr, Linear>();
  readonly exprDepths = new Map<LoopExpr, number>();
  private readonly variables: number[] = [];
  private readonly pointers: number[] = [];
  private readonly depths: number[] = [];
  private readonly nonNegative: boolean[] = [];
  private readonly vectorConstants = new Map<string, number>();
  private readonly atomKeys = new Map<LoopExpr, string>();
  private readonly emitExpr: EmitExpr;

  constructor(asm: Assembler, features: WasmFeatures, emitExpr: EmitExpr) {
    this.asm = asm;
    this.features = features;
    this.emitExpr = emitExpr;
  }

  get level(): number {
    return this.loops.length;
  }

  // --- Locals ---

  param(type: WasmType): number {
    this.params.push(type);
    return this.params.length - 1;
  }
  local(type: WasmType): number {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }
  localTypes(): readonly WasmType[] {
    return this.locals;
  }
  /** Computes a value here, for use more than once. */
  temp(code: Code, type: WasmType): () => Code {
    const local = this.local(type);
    this.list.push(this.asm.set(local, code));
    return () => this.asm.get(local, type);
  }

  bindPointer(pointer: LoopPointer, local: number): void {
    this.pointers[pointer.id] = local;
  }
  pointerLocal(pointer: LoopPointer): number {
    const local = this.pointers[pointer.id];
    if (local === undefined) throw new Error(`pointer ${pointer.name}#${pointer.id} is not a parameter`);
    return local;
  }

  /** Gives a variable its locals. */
  define(variable: LoopVar, nonNegative: boolean, depth = this.level): void {
    const type = registerType(variable.type);
    this.variables[variable.id] = this.local(type);
    if (isPair(variable.type)) this.local(type);
    this.depths[variable.id] = variable.mutable ? Infinity : depth;
    this.nonNegative[variable.id] = nonNegative && !variable.mutable;
  }
  bindParam(variable: LoopVar, local: number): void {
    this.variables[variable.id] = local;
    this.depths[variable.id] = 0;
    this.nonNegative[variable.id] = true;
  }
  variableLocal(variable: LoopVar): number {
    const local = this.variables[variable.id];
    if (local === undefined) throw new Error(`variable ${variable.name}%${variable.id} is used before its definition`);
    return local;
  }
  getVariable(variable: LoopVar): Code[] {
    const local = this.variableLocal(variable);
    const type = registerType(variable.type);
    const first = this.asm.get(local, type);
    return isPair(variable.type) ? [first, this.asm.get(local + 1, type)] : [first];
  }
  setVariable(variable: LoopVar, codes: readonly Code[]): void {
    const local = this.variableLocal(variable);
    // The second register's value may read the first register: both are computed before either changes.
    const values = codes.length === 2 && variable.mutable ? codes.map((code) => this.temp(code, "v128")()) : codes;
    for (const [i, code] of values.entries()) this.list.push(this.asm.set(local + i, code));
  }
  depthOf(variable: LoopVar): number {
    return this.depths[variable.id] ?? Infinity;
  }
  isNonNegativeVariable(variable: LoopVar): boolean {
    return this.nonNegative[variable.id] ?? false;
  }

  // --- Values ---

  /** Emits a value: its registers, one or two. A mask that came from 64-bit lanes is two registers. */
  value(e: LoopExpr): Code[] {
    return this.emitExpr(this, e);
  }

  /** Emits a value in the layout its variables have: masks of four lanes as one register of 32-bit lanes. */
  plain(e: LoopExpr): Code[] {
    const codes = this.value(e);
    return e.type.scalar === "bool" && codes.length === 2 ? [this.narrowMask(codes)] : codes;
  }

  /** Emits a value that takes one register. */
  one(e: LoopExpr): Code {
    const codes = this.plain(e);
    if (codes.length !== 1) throw new Error("a value of two registers where one is needed");
    return codes[0]!;
  }

  /** A mask as two registers of 64-bit lanes. */
  wideMask(codes: readonly Code[]): [Code, Code] {
    if (codes.length === 2) return [codes[0]!, codes[1]!];
    const mask = this.temp(codes[0]!, "v128");
    return [
      this.asm.unary("ExtendLowSVecI32x4ToVecI64x2", mask()),
      this.asm.unary("ExtendHighSVecI32x4ToVecI64x2", mask()),
    ];
  }
  /** A mask as one register of 32-bit lanes. */
  narrowMask(codes: readonly Code[]): Code {
    return codes.length === 2 ? this.asm.shuffle(codes[0]!, codes[1]!, [0, 2, 4, 6]) : codes[0]!;
  }

  /** A vector constant; all but zero and all-ones are made once, at the start of the function. `key` is its text. */
  vector(key: string, bytes: () => ArrayBuffer): Code {
    let local = this.vectorConstants.get(key);
    if (local === undefined) {
      local = this.local("v128");
      this.vectorConstants.set(key, local);
      this.prologue.push(this.asm.set(local, this.asm.v128(new Uint8Array(bytes()))));
    }
    return this.asm.get(local, "v128");
  }
  splatF32(value: number): Code {
    if (Object.is(value, 0)) return this.zero();
    return this.vector(`f${Object.is(value, -0) ? "-0" : value}`, () => new Float32Array(4).fill(value).buffer);
  }
  splatF64(value: number): Code {
    if (Object.is(value, 0)) return this.zero();
    return this.vector(`d${Object.is(value, -0) ? "-0" : value}`, () => new Float64Array(2).fill(value).buffer);
  }
  splatI32(value: number): Code {
    if (value === 0) return this.zero();
    return value === -1 ? this.asm.v128(ones) : this.vector(`i${value}`, () => new Int32Array(4).fill(value).buffer);
  }
  splatI64(value: bigint): Code {
    if (value === 0n) return this.zero();
    return value === -1n
      ? this.asm.v128(ones)
      : this.vector(`l${value}`, () => new BigInt64Array(2).fill(value).buffer);
  }
  zero(): Code {
    return this.asm.v128(zeros);
  }

  /** A binary op, for reading order. */
  op(name: OpCode, a: Code, b: Code): Code {
    return this.asm.binary(name, a, b);
  }

  // --- Sharing ---

  sharedValue(e: LoopExpr): Code[] | undefined {
    const locals = this.shared.get(e);
    if (locals === undefined) return undefined;
    const type = registerType(e.type);
    return locals.map((local) => this.asm.get(local, type));
  }
  /** Puts a value in locals and remembers them. */
  share(e: LoopExpr, codes: readonly Code[]): Code[] {
    const type = registerType(e.type);
    const locals = codes.map((code) => {
      const local = this.local(type);
      this.list.push(this.asm.set(local, code));
      return local;
    });
    this.shared.set(e, locals);
    this.order.push(e);
    return locals.map((local) => this.asm.get(local, type));
  }

  /** Runs `emit` with a fresh statement list and returns the list; what it shared is forgotten after. */
  collect(emit: () => void): Code[] {
    const outer = this.list;
    const mark = this.order.length;
    const mine: Code[] = [];
    this.list = mine;
    emit();
    this.list = outer;
    this.forget(mark, () => false);
    return mine;
  }
  /** Ends a statement: keeps those shared values that no later statement can change. */
  endStatement(mark: number, stable: (e: LoopExpr) => boolean): void {
    this.forget(mark, stable);
    this.uses.clear();
  }
  mark(): number {
    return this.order.length;
  }
  private forget(mark: number, keep: (e: LoopExpr) => boolean): void {
    if (this.order.length === mark) return;
    const added = this.order.splice(mark);
    for (const e of added) {
      if (keep(e)) this.order.push(e);
      else this.shared.delete(e);
    }
  }

  /** Runs `emit` so that its statements go before the loop of this level (1 is outermost). */
  before<T>(level: number, emit: () => T): T {
    const saved = [this.list, this.loops, this.uses, this.shared, this.order] as const;
    this.list = this.loops[level - 1]!.preheader;
    this.loops = this.loops.slice(0, level - 1);
    this.uses = new Map();
    this.shared = new Map();
    this.order = [];
    const result = emit();
    [this.list, this.loops, this.uses, this.shared, this.order] = saved;
    return result;
  }

  /** A text that tells opaque atoms of addresses apart. */
  atomKey(e: LoopExpr): string {
    if (e.kind === "var") return `%${e.variable.id}`;
    let key = this.atomKeys.get(e);
    if (key === undefined) this.atomKeys.set(e, (key = `@${this.atomKeys.size}`));
    return key;
  }
}
