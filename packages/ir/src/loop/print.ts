/**
 * Text of Loop IR; `parse.ts` reads it back. An expression that one statement uses more than once is printed once, as
 * `$0 = ...` on a line before the statement, so that text grows with the DAG and sharing survives.
 */
import { describeType } from "./build.ts";
import type { LoopExpr, LoopFunc, LoopKernel, LoopPointer, LoopStmt, LoopVar } from "./loop.ts";

export interface PrintLoopOptions {
  /** Leaves the names of variables and pointers out, so that functions that differ in names only print alike. */
  readonly anonymous?: boolean;
  /** Replaces names of called functions. */
  readonly callee?: (name: string) => string;
}

export function printLoopFunc(func: LoopFunc, options: PrintLoopOptions = {}): string {
  const printer = new Printer(options);
  const pointers = func.pointers.map((p) => `${printer.pointer(p)}: *${p.element} ${p.space}`);
  const params = func.params.map((v) => `${printer.variable(v)}: ${describeType(v.type)}`);
  for (const { pointer, elements } of func.locals ?? [])
    printer.lines.push(
      `  ${pointer.space} ${printer.pointer(pointer)}: ${pointer.half ? "f16 as " : ""}${pointer.element} * ${elements}`,
    );
  printer.statements(func.body, "  ");
  const name = options.anonymous ? "" : ` ${func.name}`;
  return `func${name}(${[...pointers, ...params].join(", ")}) {\n${printer.lines.join("\n")}\n}\n`;
}

/** For people: a kernel's functions under lines that say what the kernel is, and where it was written. Not parsed. */
export function printLoopKernel(kernel: LoopKernel, where = ""): string {
  const scratch = kernel.scratch
    .map((s) => `, scratch ${s.pointer.name} ${typeof s.bytes === "number" ? s.bytes : s.bytes.key} bytes`)
    .join("");
  const head = `// kernel ${kernel.name}: ${kernel.schedule}, buffers ${kernel.buffers.join(" ")}${scratch}, ${kernel.flops} flops\n`;
  return head + (where === "" ? "" : `// ${where}\n`) + kernel.funcs.map((f) => printLoopFunc(f)).join("");
}

/** For messages: one expression, shared parts written out. */
export function printLoopExpr(e: LoopExpr): string {
  return new Printer({}).expr(e);
}

/** A number as text that reads back to the same value. */
export function printNumber(value: number | bigint): string {
  if (typeof value === "bigint") return value.toString();
  if (Object.is(value, -0)) return "-0";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  return Number.isNaN(value) ? "nan" : String(value);
}

/** Direct operands of an expression. */
export function loopOperands(e: LoopExpr): readonly LoopExpr[] {
  switch (e.kind) {
    case "const":
    case "var":
      return [];
    case "op":
    case "pack":
      return e.args;
    case "load":
      return [e.index];
    case "ramp":
      return [e.base];
    case "splat":
    case "lane":
    case "fold":
    case "any":
      return [e.arg];
    default:
      return e satisfies never;
  }
}

/** The expressions that a statement itself evaluates (those of nested statements left out). */
export function loopExprsOf(s: LoopStmt): readonly LoopExpr[] {
  switch (s.kind) {
    case "let":
    case "assign":
      return [s.value];
    case "store":
      return [s.index, s.value];
    case "for":
      return [s.from, s.to];
    case "while":
    case "if":
      return [s.test];
    case "call":
      return s.args;
    case "par":
      return [s.chunks, ...s.args];
    case "barrier":
      return [];
    case "groupFold":
      return [s.value];
    default:
      return s satisfies never;
  }
}

class Printer {
  readonly lines: string[] = [];
  private readonly options: PrintLoopOptions;
  private shared = new Map<LoopExpr, string>();

  constructor(options: PrintLoopOptions) {
    this.options = options;
  }

  variable(v: LoopVar): string {
    return this.options.anonymous ? `%${v.id}` : `${v.name}%${v.id}`;
  }

  pointer(p: LoopPointer): string {
    return this.options.anonymous ? `#${p.id}` : `${p.name}#${p.id}`;
  }

  statements(list: readonly LoopStmt[], indent: string): void {
    for (const s of list) {
      this.bindShared(s, indent);
      this.statement(s, indent);
    }
  }

  /** Prints a `$n = ...` line for each operation used more than once by the statement, operands first. */
  private bindShared(s: LoopStmt, indent: string): void {
    this.shared = new Map();
    const uses = new Map<LoopExpr, number>();
    const order: LoopExpr[] = [];
    const visit = (e: LoopExpr): void => {
      if (e.kind === "const" || e.kind === "var") return;
      const count = uses.get(e) ?? 0;
      uses.set(e, count + 1);
      if (count > 0) return;
      for (const operand of loopOperands(e)) visit(operand);
      order.push(e);
    };
    for (const e of loopExprsOf(s)) visit(e);
    for (const e of order) {
      if (uses.get(e) === 1) continue;
      const text = this.expr(e);
      const name = `$${this.shared.size}`;
      this.lines.push(`${indent}${name} = ${text}`);
      this.shared.set(e, name);
    }
  }

  private statement(s: LoopStmt, indent: string): void {
    const put = (text: string): number => this.lines.push(indent + text);
    const block = (list: readonly LoopStmt[]): void => this.statements(list, `${indent}  `);
    switch (s.kind) {
      case "let":
        put(`${s.variable.mutable ? "var" : "let"} ${this.variable(s.variable)} = ${this.expr(s.value)}`);
        break;
      case "assign":
        put(`${this.variable(s.variable)} = ${this.expr(s.value)}`);
        break;
      case "store": {
        const active = s.active === undefined ? "" : `; ${s.active}`;
        put(`${this.pointer(s.pointer)}[${this.expr(s.index)}${active}] = ${this.expr(s.value)}`);
        break;
      }
      case "for":
        put(`for ${this.variable(s.variable)} = ${this.expr(s.from)} to ${this.expr(s.to)} step ${s.step} {`);
        block(s.body);
        put("}");
        break;
      case "while":
        put(`while ${this.expr(s.test)} {`);
        block(s.body);
        put("}");
        break;
      case "if":
        put(`if ${this.expr(s.test)} {`);
        block(s.then);
        if (s.else.length > 0) {
          put("} else {");
          block(s.else);
        }
        put("}");
        break;
      case "call":
        put(`call ${this.callee(s.func)}(${this.arguments(s.pointers, s.args)})`);
        break;
      case "par":
        put(`par ${this.expr(s.chunks)} ${this.callee(s.func)}(${this.arguments(s.pointers, s.args)})`);
        break;
      case "barrier":
        put("barrier");
        break;
      case "groupFold":
        put(
          `let ${this.variable(s.variable)} = groupFold.${s.op}${s.threads === undefined ? "" : `[${s.threads}]`} ${this.expr(s.value)}`,
        );
        break;
      default:
        s satisfies never;
    }
  }

  private callee(name: string): string {
    return this.options.callee?.(name) ?? name;
  }

  private arguments(pointers: readonly LoopPointer[], args: readonly LoopExpr[]): string {
    return [...pointers.map((p) => this.pointer(p)), ...args.map((a) => this.expr(a))].join(", ");
  }

  expr(e: LoopExpr): string {
    const known = this.shared.get(e);
    if (known !== undefined) return known;
    switch (e.kind) {
      case "const":
        return `${printNumber(e.value)}:${describeType(e.type)}`;
      case "var":
        return this.variable(e.variable);
      case "op": {
        const name = e.op === "cast" || e.op === "bitcast" ? `${e.op}.${e.type.scalar}` : e.op;
        let text = `${name}(`;
        for (let i = 0; i < e.args.length; i++) text += (i > 0 ? ", " : "") + this.expr(e.args[i]!);
        return `${text})`;
      }
      case "load": {
        const lanes = e.active === undefined ? `${e.type.lanes}` : `${e.active}/${e.type.lanes}`;
        const suffix = e.type.lanes === 1 && e.active === undefined ? "" : `; ${lanes}`;
        return `${this.pointer(e.pointer)}[${this.expr(e.index)}${suffix}]`;
      }
      case "splat":
        return `splat.${e.type.lanes}(${this.expr(e.arg)})`;
      case "ramp":
        return `ramp.${e.type.lanes}(${this.expr(e.base)})`;
      case "pack":
        return `pack(${e.args.map((a) => this.expr(a)).join(", ")})`;
      case "lane":
        return `lane.${e.lane}(${this.expr(e.arg)})`;
      case "fold":
        return `fold.${e.op}(${this.expr(e.arg)})`;
      case "any":
        return `any(${this.expr(e.arg)})`;
      default:
        return e satisfies never;
    }
  }
}
