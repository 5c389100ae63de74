/** The assembler that writes the text format, folded, as it is shown to people. It parses to the encoder's bytes. */
import type { Code, WasmType } from "../asm.ts";
import { own } from "./opcodes.ts";
import { type MemoryDecl, type Node, TreeAssembler } from "./tree.ts";

/** Accesses of single bytes: the alignment that is written nowhere is 1 for them, more for all others. */
const byteAccess = /\.(load|store)8(_|$)/;

export class TextWriter extends TreeAssembler {
  private lines: string[] = [];
  /** The lines of each function. */
  private readonly texts = new Map<string, readonly string[]>();
  private depth = 0;
  private labels = 0;

  /** One function, not indented. */
  funcText(name: string): string {
    return this.texts
      .get(name)!
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  }

  /** The module; `comments` stand above the functions of these names. */
  text(comments: ReadonlyMap<string, string> = new Map()): string {
    const { memoryDecl } = this;
    // Types stand first only because their order is part of the module.
    const head = [...this.signatures().values()].map((types, i) => {
      const params = types.length === 0 ? "" : ` (param ${types.join(" ")})`;
      return `(type $${i} (func${params}))`;
    });
    const memory = memoryDecl === undefined ? "" : `(memory $0 ${limitsText(memoryDecl)})`;
    if (memoryDecl?.owner === "import") head.push(`(import "env" "memory" ${memory})`);
    for (const [name, number] of this.functions)
      if (number < this.imports.length) {
        const params = this.params[number]!.map((type) => ` ${type}`).join("");
        head.push(
          `(import "host" "${this.imports[number]}" (func $${name}${params === "" ? "" : ` (param${params})`}))`,
        );
      }
    if (memoryDecl?.owner === "export") head.push(memory, '(export "memory" (memory $0))');
    for (const { name, value } of this.constants) {
      head.push(`(global $${name} i32 (i32.const ${value | 0}))`);
      head.push(`(export "${name}" (global $${name}))`);
    }
    for (const { address, bytes } of memoryDecl?.data ?? [])
      head.push(`(data (i32.const ${address | 0}) "${escaped(bytes)}")`);
    for (const name of this.exports) head.push(`(export "${name}" (func $${name}))`);
    const functions = [...this.texts].flatMap(([name, lines]) => {
      const comment = comments.get(name);
      return comment === undefined ? lines : [` ;; ${comment}`, ...lines];
    });
    return ["(module", ...head.map((line) => ` ${line}`), ...functions, ")", ""].join("\n");
  }

  protected override finishFunc(
    name: string,
    params: readonly WasmType[],
    locals: readonly WasmType[],
    body: readonly Code[],
  ): void {
    this.depth = 1;
    this.labels = 0;
    this.lines = [];
    this.texts.set(name, this.lines);
    const heads = params.map((type, i) => ` (param $${i} ${type})`);
    this.form(`func $${name}${heads.join("")}`, () => {
      for (const [i, type] of locals.entries()) this.line(`(local $${params.length + i} ${type})`);
      this.all(body);
    });
  }

  private line(text: string): void {
    this.lines.push(`${" ".repeat(this.depth)}${text}`);
  }
  /** A form whose parts stand on lines of their own. */
  private form(head: string, parts: () => void): void {
    this.line(`(${head}`);
    this.depth++;
    parts();
    this.depth--;
    this.line(")");
  }
  private folded(head: string, args: readonly Code[]): void {
    this.form(head, () => this.all(args));
  }
  private all(list: readonly Code[]): void {
    for (const code of list) this.write(this.node(code));
  }

  private write(node: Node): void {
    switch (node.kind) {
      case "plain":
        this.folded([node.op.text, ...node.lanes].join(" "), node.args);
        return;
      case "access": {
        const parts = [node.op.text];
        if (node.offset !== 0) parts.push(`offset=${node.offset}`);
        if (!byteAccess.test(node.op.text)) parts.push("align=1");
        this.folded([...parts, ...node.lanes].join(" "), node.args);
        return;
      }
      case "copy":
        this.folded(own.memoryCopy.text, node.args);
        return;
      case "call":
        if (node.args.length === 0) this.line(`(call $${node.name})`);
        else this.folded(`call $${node.name}`, node.args);
        return;
      case "i32":
        this.line(`(i32.const ${node.value | 0})`);
        return;
      case "i64":
        this.line(`(i64.const ${BigInt.asIntN(64, node.value)})`);
        return;
      case "f32":
        this.line(`(f32.const ${floatText(Math.fround(node.value))})`);
        return;
      case "f64":
        this.line(`(f64.const ${floatText(node.value)})`);
        return;
      case "v128":
        this.line(`(v128.const i32x4 ${wordsOf(node.bytes).join(" ")})`);
        return;
      case "get":
        this.line(`(local.get $${node.local})`);
        return;
      case "set":
        this.folded(`local.set $${node.local}`, [node.value]);
        return;
      case "sequence":
        this.all(node.list);
        return;
      case "if":
        this.branch(node.condition, () => this.all(node.then), node.otherwise);
        return;
      case "doWhile":
        this.loop((label) => {
          this.all(node.list);
          this.folded(`br_if ${label}`, [node.again]);
        });
        return;
      case "whileDo":
        this.loop((label) => {
          this.all(node.test);
          this.branch(node.condition, () => {
            this.all(node.body);
            this.line(`(br ${label})`);
          });
        });
        return;
      default:
        node satisfies never;
    }
  }

  private loop(parts: (label: string) => void): void {
    const label = `$L${this.labels++}`;
    this.form(`loop ${label}`, () => parts(label));
  }
  private branch(condition: Code, then: () => void, otherwise: readonly Code[] = []): void {
    this.form("if", () => {
      this.all([condition]);
      this.form("then", then);
      if (otherwise.length > 0) this.form("else", () => this.all(otherwise));
    });
  }
}

function limitsText({ initialPages, maximumPages, shared }: MemoryDecl): string {
  return [initialPages, maximumPages ?? "", shared ? "shared" : ""].filter((part) => part !== "").join(" ");
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
}

/** The shortest decimal; read back it is the same float, of either width. */
function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

function wordsOf(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [0, 4, 8, 12].map((at) => `0x${view.getUint32(at, true).toString(16).padStart(8, "0")}`);
}
