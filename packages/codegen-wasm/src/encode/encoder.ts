/**
 * The assembler that writes the binary format itself: what programs are compiled with. Binaryen, run for the first time,
 * spends most of its time on warming up. It makes the same bytes, which tests hold, and is there for what this does not
 * do: validation, optimisation, text.
 *
 * Code is kept as a tree until its function is complete, because only then the numbers of locals are known: the format
 * declares locals in runs of one type.
 */
import type { Assembler, Code, OpCode, WasmType } from "../asm.ts";
import { ByteWriter } from "./bytes.ts";
import { codeOf, vectorBase } from "./opcodes.ts";

/** One expression or statement. `args` run first, in order. */
type Node =
  /** An instruction by its code, with unsigned numbers behind it. */
  | {
      readonly kind: "plain";
      readonly code: number;
      readonly args: readonly Code[];
      readonly immediates: readonly number[];
    }
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

const none: readonly number[] = [];
/** Alignment 1, as a power of two: it promises nothing, and engines emit the same unaligned instructions either way. */
const unaligned = 0;
const valueTypes: Readonly<Record<WasmType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const loads: Readonly<Record<WasmType, number>> = { i32: 0x28, i64: 0x29, f32: 0x2a, f64: 0x2b, v128: vectorBase };
const stores: Readonly<Record<WasmType, number>> = {
  i32: 0x36,
  i64: 0x37,
  f32: 0x38,
  f64: 0x39,
  v128: vectorBase + 0x0b,
};
const loadByte = 0x2d;
const storeByte = 0x3a;
const select = 0x1b;
const call = 0x10;
const noResult = 0x40;
const end = 0x0b;

interface MemoryDecl {
  readonly owner: "import" | "export";
  readonly shared: boolean;
  readonly initialPages: number;
  readonly maximumPages: number | undefined;
}

/** One wasm module under construction. Functions take parameters and return nothing. */
export class Encoder implements Assembler {
  private nodes: Node[] = [];
  private readonly functions = new Map<string, number>();
  private readonly exports: string[] = [];
  /** The parameters of each function. */
  private readonly params: (readonly WasmType[])[] = [];
  private readonly code = new ByteWriter();
  /** The function being written. */
  private readonly body = new ByteWriter();
  private memoryDecl: MemoryDecl | undefined;

  private add(node: Node): Code {
    return (this.nodes.push(node) - 1) as Code;
  }
  private plain(code: number, args: readonly Code[], immediates: readonly number[] = none): Code {
    return this.add({ kind: "plain", code, args, immediates });
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
    return this.plain(codeOf(op), [a]);
  }
  binary(op: OpCode, a: Code, b: Code): Code {
    return this.plain(codeOf(op), [a, b]);
  }
  ternary(op: OpCode, a: Code, b: Code, c: Code): Code {
    return this.plain(codeOf(op), [a, b, c]);
  }
  select(condition: Code, a: Code, b: Code): Code {
    return this.plain(select, [a, b, condition]);
  }
  shift(op: OpCode, vec: Code, amount: Code): Code {
    return this.plain(codeOf(op), [vec, amount]);
  }
  extract(op: OpCode, vec: Code, lane: number): Code {
    return this.plain(codeOf(op), [vec], [lane]);
  }
  replace(op: OpCode, vec: Code, lane: number, value: Code): Code {
    return this.plain(codeOf(op), [vec, value], [lane]);
  }
  shuffle(a: Code, b: Code, lanes: readonly [number, number, number, number]): Code {
    const bytes = lanes.flatMap((l) => [l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3]);
    return this.plain(vectorBase + 0x0d, [a, b], bytes);
  }

  get(local: number, _type: WasmType): Code {
    return this.add({ kind: "get", local });
  }
  set(local: number, value: Code): Code {
    return this.add({ kind: "set", local, value });
  }

  load(type: WasmType, ptr: Code, offset: number, bytes?: number): Code {
    return this.plain(bytes === 1 ? loadByte : loads[type], [ptr], [unaligned, offset]);
  }
  store(type: WasmType, ptr: Code, offset: number, value: Code, bytes?: number): Code {
    return this.plain(bytes === 1 ? storeByte : stores[type], [ptr, value], [unaligned, offset]);
  }
  loadVector(op: OpCode, ptr: Code, offset: number): Code {
    return this.plain(codeOf(op), [ptr], [unaligned, offset]);
  }
  laneAccess(op: OpCode, ptr: Code, offset: number, vec: Code, lane: number): Code {
    return this.plain(codeOf(op), [ptr, vec], [unaligned, offset, lane]);
  }
  memoryCopy(to: Code, from: Code, bytes: Code): Code {
    return this.plain(0xfc0a, [to, from, bytes], [0, 0]);
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
    const index = this.functions.get(name);
    if (index === undefined) throw new Error(`function ${name} is called before it is added`);
    return this.plain(call, args, [index]);
  }

  memory(owner: "import" | "export", shared: boolean, initialPages: number, maximumPages: number | undefined): void {
    this.memoryDecl = { owner, shared, initialPages, maximumPages };
  }

  func(name: string, params: readonly WasmType[], locals: readonly WasmType[], body: readonly Code[]): void {
    this.functions.set(name, this.params.length);
    this.params.push(params);
    const writer = this.body;
    writer.clear();
    const numbers = declareLocals(writer, params.length, locals);
    for (const code of body) this.write(writer, numbers, code);
    writer.byte(end);
    this.code.sized(writer);
    this.nodes = [];
  }
  exportFunc(name: string): void {
    this.exports.push(name);
  }

  bytes(): Uint8Array {
    const out = new ByteWriter();
    out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const signatures = signaturesOf(this.params);
    section(out, 1, signatures.length, (w) => {
      for (const text of signatures) {
        const types = text === "" ? [] : (text.split(",") as WasmType[]);
        w.byte(0x60);
        w.unsigned(types.length);
        for (const type of types) w.byte(valueTypes[type]);
        w.unsigned(0);
      }
    });
    const { memoryDecl } = this;
    if (memoryDecl?.owner === "import")
      section(out, 2, 1, (w) => {
        w.name("env");
        w.name("memory");
        w.byte(2);
        limits(w, memoryDecl);
      });
    section(out, 3, this.params.length, (w) => {
      for (const params of this.params) w.unsigned(signatures.indexOf(params.join()));
    });
    const owned = memoryDecl?.owner === "export" ? memoryDecl : undefined;
    if (owned !== undefined) section(out, 5, 1, (w) => limits(w, owned));
    section(out, 7, this.exports.length + (owned === undefined ? 0 : 1), (w) => {
      if (owned !== undefined) {
        w.name("memory");
        w.byte(2);
        w.unsigned(0);
      }
      for (const name of this.exports) {
        w.name(name);
        w.byte(0);
        w.unsigned(this.functions.get(name)!);
      }
    });
    section(out, 10, this.params.length, (w) => w.raw(this.code.finish()));
    return out.finish();
  }

  private write(w: ByteWriter, locals: readonly number[], code: Code): void {
    const node = this.nodes[code]!;
    switch (node.kind) {
      case "plain":
        for (const arg of node.args) this.write(w, locals, arg);
        writeCode(w, node.code);
        for (const immediate of node.immediates) w.unsigned(immediate);
        return;
      case "i32":
        w.byte(0x41);
        w.signed(node.value);
        return;
      case "i64":
        w.byte(0x42);
        w.signed64(node.value);
        return;
      case "f32":
        w.byte(0x43);
        w.float32(node.value);
        return;
      case "f64":
        w.byte(0x44);
        w.float64(node.value);
        return;
      case "v128":
        writeCode(w, vectorBase + 0x0c);
        w.raw(node.bytes);
        return;
      case "get":
        w.byte(0x20);
        w.unsigned(locals[node.local]!);
        return;
      case "set":
        this.write(w, locals, node.value);
        w.byte(0x21);
        w.unsigned(locals[node.local]!);
        return;
      case "sequence":
        this.writeAll(w, locals, node.list);
        return;
      case "if":
        this.write(w, locals, node.condition);
        w.byte(0x04);
        w.byte(noResult);
        this.writeAll(w, locals, node.then);
        if (node.otherwise.length > 0) {
          w.byte(0x05);
          this.writeAll(w, locals, node.otherwise);
        }
        w.byte(end);
        return;
      case "doWhile":
        w.byte(0x03);
        w.byte(noResult);
        this.writeAll(w, locals, node.list);
        this.write(w, locals, node.again);
        w.byte(0x0d);
        w.unsigned(0);
        w.byte(end);
        return;
      case "whileDo":
        w.byte(0x03);
        w.byte(noResult);
        this.writeAll(w, locals, node.test);
        this.write(w, locals, node.condition);
        w.byte(0x04);
        w.byte(noResult);
        this.writeAll(w, locals, node.body);
        // To the loop, out of the `if`.
        w.byte(0x0c);
        w.unsigned(1);
        w.byte(end);
        w.byte(end);
        return;
      default:
        node satisfies never;
    }
  }
  private writeAll(w: ByteWriter, locals: readonly number[], list: readonly Code[]): void {
    for (const code of list) this.write(w, locals, code);
  }
}

/** The distinct signatures as text, those of many functions first. */
function signaturesOf(functions: readonly (readonly WasmType[])[]): string[] {
  const counts = new Map<string, number>();
  for (const params of functions) counts.set(params.join(), (counts.get(params.join()) ?? 0) + 1);
  return [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
}

/** The number of each local once locals of one type lie side by side, types in order of first use. */
function declareLocals(w: ByteWriter, params: number, locals: readonly WasmType[]): number[] {
  const counts = new Map<WasmType, number>();
  for (const type of locals) counts.set(type, (counts.get(type) ?? 0) + 1);
  const next = new Map<WasmType, number>();
  let first = params;
  w.unsigned(counts.size);
  for (const [type, count] of counts) {
    w.unsigned(count);
    w.byte(valueTypes[type]);
    next.set(type, first);
    first += count;
  }
  const numbers = Array.from({ length: params }, (_, i) => i);
  for (const type of locals) {
    const number = next.get(type)!;
    next.set(type, number + 1);
    numbers.push(number);
  }
  return numbers;
}

function writeCode(w: ByteWriter, code: number): void {
  if (code < 0x100) w.byte(code);
  else if (code >= 0xfc00) {
    w.byte(0xfc);
    w.unsigned(code - 0xfc00);
  } else {
    w.byte(0xfd);
    w.unsigned(code - vectorBase);
  }
}

/** A section of `count` items; none where there are none. */
function section(out: ByteWriter, id: number, count: number, items: (w: ByteWriter) => void): void {
  if (count === 0) return;
  const content = new ByteWriter();
  content.unsigned(count);
  items(content);
  out.byte(id);
  out.sized(content);
}

function limits(w: ByteWriter, { shared, initialPages, maximumPages }: MemoryDecl): void {
  w.byte((maximumPages === undefined ? 0 : 1) | (shared ? 2 : 0));
  w.unsigned(initialPages);
  if (maximumPages !== undefined) w.unsigned(maximumPages);
}
