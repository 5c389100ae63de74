/**
 * The part that writing bytes and writing text share: code is kept as a tree until its function is complete, because
 * only then the function's locals are known.
 */
import type { Assembler, Code, DataSegment, OpCode, WasmType } from "../asm.ts";
import { type Instruction, instructionOf, own } from "./opcodes.ts";

/** One expression or statement. `args` run first, in order. */
export type Node =
  /** An instruction, with numbers of lanes behind it. */
  | {
      readonly kind: "plain";
      readonly op: Instruction;
      readonly args: readonly Code[];
      readonly lanes: readonly number[];
    }
  /** An access to memory; the pointer is the first of `args`. */
  | {
      readonly kind: "access";
      readonly op: Instruction;
      readonly args: readonly Code[];
      readonly offset: number;
      readonly lanes: readonly number[];
    }
  | { readonly kind: "copy"; readonly args: readonly Code[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Code[] }
  | { readonly kind: "i32" | "f32" | "f64"; readonly value: number }
  | { readonly kind: "i64"; readonly value: bigint }
  | { readonly kind: "v128"; readonly bytes: Uint8Array }
  | { readonly kind: "get"; readonly local: number }
  | { readonly kind: "set"; readonly local: number; readonly value: Code }
  | { readonly kind: "sequence"; readonly list: readonly Code[] }
  | {
      readonly kind: "if";
      readonly condition: Code;
      readonly then: readonly Code[];
      readonly otherwise: readonly Code[];
    }
  /** `list`, and round again while `again` is not 0. */
  | { readonly kind: "doWhile"; readonly list: readonly Code[]; readonly again: Code }
  | {
      readonly kind: "whileDo";
      readonly test: readonly Code[];
      readonly condition: Code;
      readonly body: readonly Code[];
    };

export interface MemoryDecl {
  readonly owner: "import" | "export";
  readonly shared: boolean;
  readonly initialPages: number;
  readonly maximumPages: number | undefined;
  readonly data: readonly DataSegment[];
}

const none: readonly number[] = [];

/** One wasm module under construction. */
export abstract class TreeAssembler implements Assembler {
  private nodes: Node[] = [];
  /** The functions of the module "host" by name; they have the first numbers. */
  protected readonly imports: string[] = [];
  /** The number of each function. */
  protected readonly functions = new Map<string, number>();
  /** The parameters of each function, imported ones first. */
  protected readonly params: (readonly WasmType[])[] = [];
  protected readonly exports: string[] = [];
  protected readonly constants: { readonly name: string; readonly value: number }[] = [];
  protected memoryDecl: MemoryDecl | undefined;

  /** Writes a complete function. */
  protected abstract finishFunc(
    name: string,
    params: readonly WasmType[],
    locals: readonly WasmType[],
    body: readonly Code[],
  ): void;

  /** The distinct lists of parameters by their text, those of many functions first. */
  protected signatures(): ReadonlyMap<string, readonly WasmType[]> {
    const found = new Map<string, { readonly types: readonly WasmType[]; count: number }>();
    for (const types of this.params) {
      const known = found.get(types.join());
      if (known === undefined) found.set(types.join(), { types, count: 1 });
      else known.count++;
    }
    const sorted = [...found].sort(([, a], [, b]) => b.count - a.count);
    return new Map(sorted.map(([key, { types }]) => [key, types]));
  }

  protected node(code: Code): Node {
    return this.nodes[code]!;
  }
  private add(node: Node): Code {
    return (this.nodes.push(node) - 1) as Code;
  }
  private plain(op: Instruction, args: readonly Code[], lanes = none): Code {
    return this.add({ kind: "plain", op, args, lanes });
  }
  private access(op: Instruction, args: readonly Code[], offset: number, lanes = none): Code {
    return this.add({ kind: "access", op, args, offset, lanes });
  }

  i32(value: number): Code {
    return this.add({ kind: "i32", value });
  }
  i64(value: bigint): Code {
    return this.add({ kind: "i64", value });
  }
  f32(value: number): Code {
    return this.add({ kind: "f32", value });
  }
  f64(value: number): Code {
    return this.add({ kind: "f64", value });
  }
  v128(bytes: Uint8Array): Code {
    return this.add({ kind: "v128", bytes });
  }

  unary(op: OpCode, a: Code): Code {
    return this.plain(instructionOf(op), [a]);
  }
  binary(op: OpCode, a: Code, b: Code): Code {
    return this.plain(instructionOf(op), [a, b]);
  }
  ternary(op: OpCode, a: Code, b: Code, c: Code): Code {
    return this.plain(instructionOf(op), [a, b, c]);
  }
  select(condition: Code, a: Code, b: Code): Code {
    return this.plain(own.select, [a, b, condition]);
  }
  shift(op: OpCode, vec: Code, amount: Code): Code {
    return this.plain(instructionOf(op), [vec, amount]);
  }
  extract(op: OpCode, vec: Code, lane: number): Code {
    return this.plain(instructionOf(op), [vec], [lane]);
  }
  replace(op: OpCode, vec: Code, lane: number, value: Code): Code {
    return this.plain(instructionOf(op), [vec, value], [lane]);
  }
  shuffle(a: Code, b: Code, lanes: readonly [number, number, number, number]): Code {
    const bytes = lanes.flatMap((l) => [l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3]);
    return this.plain(own.shuffle, [a, b], bytes);
  }

  get(local: number, _type: WasmType): Code {
    return this.add({ kind: "get", local });
  }
  set(local: number, value: Code): Code {
    return this.add({ kind: "set", local, value });
  }

  load(type: WasmType, ptr: Code, offset: number, bytes?: number): Code {
    return this.access(bytes === 1 ? own.loadByte : own.load[type], [ptr], offset);
  }
  store(type: WasmType, ptr: Code, offset: number, value: Code, bytes?: number): Code {
    return this.access(bytes === 1 ? own.storeByte : own.store[type], [ptr, value], offset);
  }
  loadVector(op: OpCode, ptr: Code, offset: number): Code {
    return this.access(instructionOf(op), [ptr], offset);
  }
  laneAccess(op: OpCode, ptr: Code, offset: number, vec: Code, lane: number): Code {
    return this.access(instructionOf(op), [ptr, vec], offset, [lane]);
  }
  memoryCopy(to: Code, from: Code, bytes: Code): Code {
    return this.add({ kind: "copy", args: [to, from, bytes] });
  }

  sequence(list: readonly Code[]): Code {
    return list.length === 1 ? list[0]! : this.add({ kind: "sequence", list });
  }
  if(condition: Code, then: readonly Code[], otherwise: readonly Code[] = []): Code {
    return this.add({ kind: "if", condition, then, otherwise });
  }
  doWhile(list: readonly Code[], again: Code): Code {
    return this.add({ kind: "doWhile", list, again });
  }
  whileDo(test: readonly Code[], condition: Code, body: readonly Code[]): Code {
    return this.add({ kind: "whileDo", test, condition, body });
  }
  call(name: string, args: readonly Code[]): Code {
    if (!this.functions.has(name)) throw new Error(`function ${name} is called before it is added`);
    return this.add({ kind: "call", name, args });
  }

  memory(
    owner: "import" | "export",
    shared: boolean,
    initialPages: number,
    maximumPages: number | undefined,
    data: readonly DataSegment[] = [],
  ): void {
    this.memoryDecl = { owner, shared, initialPages, maximumPages, data };
  }
  exportConstant(name: string, value: number): void {
    this.constants.push({ name, value });
  }

  importFunc(field: string, name: string, params: readonly WasmType[]): void {
    if (this.params.length > this.imports.length) throw new Error(`${name} is imported after functions were added`);
    this.functions.set(name, this.params.length);
    this.params.push(params);
    this.imports.push(field);
  }
  func(name: string, params: readonly WasmType[], locals: readonly WasmType[], body: readonly Code[]): void {
    this.functions.set(name, this.params.length);
    this.params.push(params);
    this.finishFunc(name, params, locals, body);
    this.nodes = [];
  }
  exportFunc(name: string): void {
    this.exports.push(name);
  }
}
