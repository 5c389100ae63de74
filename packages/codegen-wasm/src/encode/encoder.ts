/**
 * The assembler that writes the binary format: what programs are compiled with. The format declares locals in runs of
 * one type, so locals get their numbers when their function is complete.
 */
import type { Code, WasmType } from "../asm.ts";
import { ByteWriter } from "./bytes.ts";
import { own } from "./opcodes.ts";
import { type MemoryDecl, TreeAssembler } from "./tree.ts";

/** Alignment 1, as a power of two: it promises nothing, and engines emit the same unaligned instructions either way. */
const unaligned = 0;
const valueTypes: Readonly<Record<WasmType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const noResult = 0x40;
const immutable = 0;
const end = 0x0b;

export class Encoder extends TreeAssembler {
  private readonly code = new ByteWriter();
  /** The function being written. */
  private readonly body = new ByteWriter();

  protected override finishFunc(
    _name: string,
    params: readonly WasmType[],
    locals: readonly WasmType[],
    body: readonly Code[],
  ): void {
    const writer = this.body;
    writer.clear();
    const numbers = declareLocals(writer, params.length, locals);
    for (const code of body) this.write(writer, numbers, code);
    writer.byte(end);
    this.code.sized(writer);
  }

  /** The module. `names`: with the names of its functions, which stacks show. */
  bytes(names = false): Uint8Array {
    const out = new ByteWriter();
    out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const signatures = this.signatures();
    section(out, 1, signatures.size, (w) => {
      for (const types of signatures.values()) {
        w.byte(0x60);
        w.unsigned(types.length);
        for (const type of types) w.byte(valueTypes[type]);
        w.unsigned(0);
      }
    });
    const { memoryDecl, imports, constants } = this;
    const keys = [...signatures.keys()];
    const typeOf = (params: readonly WasmType[]): number => keys.indexOf(params.join());
    const imported = memoryDecl?.owner === "import" ? memoryDecl : undefined;
    section(out, 2, imports.length + (imported === undefined ? 0 : 1), (w) => {
      if (imported !== undefined) {
        w.name("env");
        w.name("memory");
        w.byte(2);
        limits(w, imported);
      }
      for (const [i, field] of imports.entries()) {
        w.name("host");
        w.name(field);
        w.byte(0);
        w.unsigned(typeOf(this.params[i]!));
      }
    });
    const added = this.params.slice(imports.length);
    section(out, 3, added.length, (w) => {
      for (const params of added) w.unsigned(typeOf(params));
    });
    const owned = memoryDecl?.owner === "export" ? memoryDecl : undefined;
    if (owned !== undefined) section(out, 5, 1, (w) => limits(w, owned));
    section(out, 6, constants.length, (w) => {
      for (const { value } of constants) {
        w.byte(valueTypes.i32);
        w.byte(immutable);
        constantAddress(w, value);
      }
    });
    section(out, 7, this.exports.length + constants.length + (owned === undefined ? 0 : 1), (w) => {
      if (owned !== undefined) {
        w.name("memory");
        w.byte(2);
        w.unsigned(0);
      }
      for (const [i, { name }] of constants.entries()) {
        w.name(name);
        w.byte(3);
        w.unsigned(i);
      }
      for (const name of this.exports) {
        w.name(name);
        w.byte(0);
        w.unsigned(this.functions.get(name)!);
      }
    });
    const segments = memoryDecl?.data ?? [];
    if (segments.length > 0) {
      const count = new ByteWriter();
      count.unsigned(segments.length);
      out.byte(12);
      out.sized(count);
    }
    section(out, 10, added.length, (w) => w.raw(this.code.finish()));
    section(out, 11, segments.length, (w) => {
      for (const { address, bytes } of segments) {
        w.byte(0);
        constantAddress(w, address);
        w.unsigned(bytes.length);
        w.raw(bytes);
      }
    });
    if (names) this.writeNames(out);
    return out.finish();
  }

  private writeNames(out: ByteWriter): void {
    const list = new ByteWriter();
    list.unsigned(this.functions.size);
    for (const [name, number] of this.functions) {
      list.unsigned(number);
      list.name(name);
    }
    const content = new ByteWriter();
    content.name("name");
    content.byte(1);
    content.sized(list);
    out.byte(0);
    out.sized(content);
  }

  private write(w: ByteWriter, locals: readonly number[], code: Code): void {
    const node = this.node(code);
    switch (node.kind) {
      case "plain":
        this.writeAll(w, locals, node.args);
        writeCode(w, node.op.code);
        for (const lane of node.lanes) w.byte(lane);
        return;
      case "access":
        this.writeAll(w, locals, node.args);
        writeCode(w, node.op.code);
        w.byte(unaligned);
        w.unsigned(node.offset);
        for (const lane of node.lanes) w.byte(lane);
        return;
      case "copy":
        this.writeAll(w, locals, node.args);
        writeCode(w, own.memoryCopy.code);
        // From the only memory to the only memory.
        w.byte(0);
        w.byte(0);
        return;
      case "call":
        this.writeAll(w, locals, node.args);
        w.byte(0x10);
        w.unsigned(this.functions.get(node.name)!);
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
        writeCode(w, 0xfd00c);
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

/** An initial value that is one number. */
function constantAddress(w: ByteWriter, value: number): void {
  w.byte(0x41);
  w.signed(value);
  w.byte(end);
}

/** A code as the table has it: the prefix and the number behind it, or one byte. */
function writeCode(w: ByteWriter, code: number): void {
  if (code < 0x100) w.byte(code);
  else {
    w.byte(code >> 12);
    w.unsigned(code & 0xfff);
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
