// The assembler on Binaryen: a second opinion on what the compiler writes. It validates, refuses an expression that is
// used twice, reads WebAssembly text, and can optimise, which tells whether its passes would gain anything.
//
// Most of Binaryen's JavaScript API spends its time on marshalling strings and arrays, so instructions are made through
// the C functions beneath, blocks by appending children.

import type { LoopProgram, Plan, WasmProgram } from "@sinter/ir";
import binaryen from "binaryen";
import type { Assembler, Code, DataSegment, OpCode, WasmType } from "../../packages/codegen-wasm/src/asm.ts";
import { assemble, type EmitOptions, type EntryPoint } from "../../packages/codegen-wasm/src/emit/module.ts";
import { emit, emitWat } from "../../packages/codegen-wasm/src/emit/program.ts";

type BinaryenModule = typeof binaryen;

/** The C functions used here, which Binaryen's own types leave out. `m` is a module, other numbers are as in C. */
interface CFunctions {
  _malloc(bytes: number): number;
  _BinaryenSizeofLiteral(): number;
  _BinaryenLiteralInt32(out: number, value: number): void;
  _BinaryenLiteralInt64(out: number, value: bigint): void;
  _BinaryenLiteralFloat32(out: number, value: number): void;
  _BinaryenLiteralFloat64(out: number, value: number): void;
  _BinaryenConst(m: number, literal: number): number;
  _BinaryenUnary(m: number, op: number, a: number): number;
  _BinaryenBinary(m: number, op: number, a: number, b: number): number;
  _BinaryenSelect(m: number, condition: number, a: number, b: number): number;
  _BinaryenSIMDTernary(m: number, op: number, a: number, b: number, c: number): number;
  _BinaryenSIMDShift(m: number, op: number, vec: number, shift: number): number;
  _BinaryenSIMDExtract(m: number, op: number, vec: number, lane: number): number;
  _BinaryenSIMDReplace(m: number, op: number, vec: number, lane: number, value: number): number;
  _BinaryenSIMDLoad(m: number, op: number, offset: number, align: number, ptr: number, memory: number): number;
  _BinaryenSIMDLoadStoreLane(
    m: number,
    op: number,
    offset: number,
    align: number,
    lane: number,
    ptr: number,
    vec: number,
    memory: number,
  ): number;
  _BinaryenLoad(
    m: number,
    bytes: number,
    signed: number,
    offset: number,
    align: number,
    type: number,
    ptr: number,
    memory: number,
  ): number;
  _BinaryenStore(
    m: number,
    bytes: number,
    offset: number,
    align: number,
    ptr: number,
    value: number,
    type: number,
    memory: number,
  ): number;
  _BinaryenLocalGet(m: number, index: number, type: number): number;
  _BinaryenLocalSet(m: number, index: number, value: number): number;
  _BinaryenMemoryCopy(m: number, to: number, from: number, bytes: number, toMemory: number, fromMemory: number): number;
  _BinaryenBlock(m: number, name: number, children: number, count: number, type: number): number;
  _BinaryenBlockAppendChild(block: number, child: number): number;
  _BinaryenIf(m: number, condition: number, then: number, otherwise: number): number;
}

const library = binaryen as BinaryenModule & CFunctions;
const f = binaryen.Features;
const features =
  f.SIMD128 |
  f.RelaxedSIMD |
  f.BulkMemory |
  f.BulkMemoryOpt |
  f.Atomics |
  f.NontrappingFPToInt |
  f.MutableGlobals |
  f.SignExt;

/** The shuffle of 16 bytes that picks four 32-bit lanes, 0-3 of the first operand and 4-7 of the second. */
function bytesOfLanes(lanes: readonly number[]): number[] {
  return lanes.flatMap((l) => [l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3]);
}

/** One wasm module under construction, made by Binaryen. */
export class BinaryenAssembler implements Assembler {
  private readonly b = library;
  private readonly module = new this.b.Module();
  private readonly m = (this.module as unknown as { readonly ptr: number }).ptr;
  private readonly literal = this.b._malloc(this.b._BinaryenSizeofLiteral());
  private readonly types: Readonly<Record<WasmType, number>> = {
    i32: this.b.i32,
    i64: this.b.i64,
    f32: this.b.f32,
    f64: this.b.f64,
    v128: this.b.v128,
  };
  private readonly used = new Set<number>();
  private labels = 0;

  constructor() {
    this.module.setFeatures(features);
  }

  /** Marks an operand as used. */
  private take(code: Code): number {
    if (this.used.has(code)) throw new Error("an expression was used twice: put its value in a local");
    this.used.add(code);
    return code;
  }

  private literalConst(): Code {
    return this.b._BinaryenConst(this.m, this.literal) as Code;
  }
  i32(value: number): Code {
    this.b._BinaryenLiteralInt32(this.literal, value | 0);
    return this.literalConst();
  }
  i64(value: bigint): Code {
    this.b._BinaryenLiteralInt64(this.literal, value);
    return this.literalConst();
  }
  f32(value: number): Code {
    this.b._BinaryenLiteralFloat32(this.literal, value);
    return this.literalConst();
  }
  f64(value: number): Code {
    this.b._BinaryenLiteralFloat64(this.literal, value);
    return this.literalConst();
  }
  v128(bytes: Uint8Array): Code {
    return this.module.v128.const([...bytes]) as Code;
  }

  unary(op: OpCode, a: Code): Code {
    return this.b._BinaryenUnary(this.m, this.b[op] as number, this.take(a)) as Code;
  }
  binary(op: OpCode, a: Code, b: Code): Code {
    return this.b._BinaryenBinary(this.m, this.b[op] as number, this.take(a), this.take(b)) as Code;
  }
  ternary(op: OpCode, a: Code, b: Code, c: Code): Code {
    return this.b._BinaryenSIMDTernary(this.m, this.b[op] as number, this.take(a), this.take(b), this.take(c)) as Code;
  }
  /** a where the i32 condition is not 0, else b; both are computed. */
  select(condition: Code, a: Code, b: Code): Code {
    return this.b._BinaryenSelect(this.m, this.take(condition), this.take(a), this.take(b)) as Code;
  }
  /** All lanes shifted by one i32 amount. */
  shift(op: OpCode, vec: Code, amount: Code): Code {
    return this.b._BinaryenSIMDShift(this.m, this.b[op] as number, this.take(vec), this.take(amount)) as Code;
  }
  extract(op: OpCode, vec: Code, lane: number): Code {
    return this.b._BinaryenSIMDExtract(this.m, this.b[op] as number, this.take(vec), lane) as Code;
  }
  replace(op: OpCode, vec: Code, lane: number, value: Code): Code {
    return this.b._BinaryenSIMDReplace(this.m, this.b[op] as number, this.take(vec), lane, this.take(value)) as Code;
  }
  /** Four 32-bit lanes out of two vectors: 0-3 of the first, 4-7 of the second. */
  shuffle(a: Code, b: Code, lanes: readonly [number, number, number, number]): Code {
    return this.module.i8x16.shuffle(this.take(a), this.take(b), bytesOfLanes(lanes)) as Code;
  }

  get(local: number, type: WasmType): Code {
    return this.b._BinaryenLocalGet(this.m, local, this.types[type]) as Code;
  }
  set(local: number, value: Code): Code {
    return this.b._BinaryenLocalSet(this.m, local, this.take(value)) as Code;
  }

  load(type: WasmType, ptr: Code, offset: number, bytes = type === "v128" ? 16 : type[1] === "3" ? 4 : 8): Code {
    // Alignment 1 promises nothing: engines emit the same unaligned instructions either way. Bytes load as unsigned.
    return this.b._BinaryenLoad(this.m, bytes, 0, offset, 1, this.types[type], this.take(ptr), 0) as Code;
  }
  store(
    type: WasmType,
    ptr: Code,
    offset: number,
    value: Code,
    bytes = type === "v128" ? 16 : type[1] === "3" ? 4 : 8,
  ): Code {
    return this.b._BinaryenStore(
      this.m,
      bytes,
      offset,
      1,
      this.take(ptr),
      this.take(value),
      this.types[type],
      0,
    ) as Code;
  }
  /** Loads that splat or zero-extend one element: `Load32SplatVec128`, `Load64ZeroVec128`, ... */
  loadVector(op: OpCode, ptr: Code, offset: number): Code {
    return this.b._BinaryenSIMDLoad(this.m, this.b[op] as number, offset, 1, this.take(ptr), 0) as Code;
  }
  /** Loads or stores one lane of a vector. */
  laneAccess(op: OpCode, ptr: Code, offset: number, vec: Code, lane: number): Code {
    const code = this.b[op] as number;
    return this.b._BinaryenSIMDLoadStoreLane(this.m, code, offset, 1, lane, this.take(ptr), this.take(vec), 0) as Code;
  }
  memoryCopy(to: Code, from: Code, bytes: Code): Code {
    return this.b._BinaryenMemoryCopy(this.m, this.take(to), this.take(from), this.take(bytes), 0, 0) as Code;
  }

  /** Statements one after the other. */
  sequence(list: readonly Code[]): Code {
    if (list.length === 1) return list[0]!;
    const block = this.b._BinaryenBlock(this.m, 0, 0, 0, this.b.none);
    for (const code of list) this.b._BinaryenBlockAppendChild(block, this.take(code));
    return block as Code;
  }
  if(condition: Code, then: readonly Code[], otherwise: readonly Code[] = []): Code {
    const other = otherwise.length === 0 ? 0 : this.take(this.sequence(otherwise));
    return this.b._BinaryenIf(this.m, this.take(condition), this.take(this.sequence(then)), other) as Code;
  }
  /** Runs `list` again and again while `again`, computed after it, is not 0. */
  doWhile(list: readonly Code[], again: Code): Code {
    const label = `L${this.labels++}`;
    const jump = this.module.br_if(label, this.take(again)) as Code;
    return this.module.loop(label, this.take(this.sequence([...list, jump]))) as Code;
  }
  /** `test` (statements), then if `condition`: `body`, and round again. */
  whileDo(test: readonly Code[], condition: Code, body: readonly Code[]): Code {
    const label = `L${this.labels++}`;
    const round = this.if(condition, [...body, this.module.br(label) as Code]);
    return this.module.loop(label, this.take(this.sequence([...test, round]))) as Code;
  }
  call(name: string, args: readonly Code[]): Code {
    return this.module.call(
      name,
      args.map((a) => this.take(a)),
      this.b.none,
    ) as Code;
  }

  /** Declares the memory; needed before the first load. `import`: "env"."memory"; `export`: "memory". */
  memory(
    owner: "import" | "export",
    shared: boolean,
    initialPages: number,
    maximumPages: number | undefined,
    data: readonly DataSegment[] = [],
  ): void {
    const exported = owner === "export" ? "memory" : "";
    const segments = data.map(({ address, bytes }, i) => ({
      name: String(i),
      offset: this.module.i32.const(address),
      data: bytes,
      passive: false,
    }));
    this.module.setMemory(initialPages, maximumPages ?? 0xffffffff, exported, segments, shared, false, "0");
    if (owner === "import") this.module.addMemoryImport("0", "env", "memory", shared);
  }
  importFunc(field: string, name: string, params: readonly WasmType[]): void {
    this.module.addFunctionImport(
      name,
      "host",
      field,
      this.b.createType(params.map((t) => this.types[t])),
      this.b.none,
    );
  }
  func(name: string, params: readonly WasmType[], locals: readonly WasmType[], body: readonly Code[]): void {
    const paramTypes = this.b.createType(params.map((t) => this.types[t]));
    const localTypes = locals.map((t) => this.types[t]);
    this.module.addFunction(name, paramTypes, this.b.none, localTypes, this.take(this.sequence(body)));
  }
  exportConstant(name: string, value: number): void {
    this.module.addGlobal(name, this.b.i32, false, this.module.i32.const(value | 0));
    this.module.addGlobalExport(name, name);
  }
  exportFunc(name: string): void {
    this.module.addFunctionExport(name, name);
  }

  /** Binaryen's own passes at -O2. Measured, not used by default: V8 does most of it again. */
  optimize(): void {
    this.b.setOptimizeLevel(2);
    this.b.setShrinkLevel(0);
    this.module.optimize();
  }
  validate(): void {
    if (this.module.validate() === 0) throw new Error(`invalid wasm module:\n${this.text()}`);
  }
  text(): string {
    return this.module.emitText();
  }
  bytes(): Uint8Array {
    return this.module.emitBinary();
  }
  dispose(): void {
    this.module.dispose();
  }
}

/** The module that Binaryen makes of some programs. */
export function binaryenBytes(
  entries: readonly EntryPoint[],
  options: EmitOptions & { readonly optimize?: boolean },
  data: readonly Uint8Array[] = [],
): Uint8Array {
  const asm = new BinaryenAssembler();
  try {
    assemble(asm, entries, options, data);
    if (options.optimize) asm.optimize();
    asm.validate();
    return asm.bytes();
  } finally {
    asm.dispose();
  }
}

/** The module of a program as the compiler encodes it, after checking that Binaryen makes the same. */
export function emitChecked(program: LoopProgram, plan: Plan, options: EmitOptions): WasmProgram {
  const made = emit(program, plan, options);
  if (Buffer.compare(made.bytes, binaryenBytes([{ name: "run", loops: program, plan }], options)) !== 0)
    throw new Error(`the encoded module differs from Binaryen's:\n${emitWat(program, plan, options)}`);
  return made;
}

/** What a text in WebAssembly's text format says, as Binaryen reads it. */
export function parseWat(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  try {
    module.setFeatures(features);
    if (module.validate() === 0) throw new Error(`invalid module:\n${text}`);
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}
