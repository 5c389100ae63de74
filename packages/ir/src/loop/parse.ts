/** Reads the text that `print.ts` writes: `parseLoopFuncs(printLoopFunc(f))` is `[f]`, sharing included. */
import type { ScalarType } from "../dtype.ts";
import { any, constant, describeType, fold, ifStmt, load, type as makeType, use } from "./build.ts";
import type { AddressSpace, LoopExpr, LoopFunc, LoopPointer, LoopStmt, LoopType, LoopVar } from "./loop.ts";
import { type LoopOp, loopOpType } from "./machine-ops.ts";

export function parseLoopFuncs(text: string): readonly LoopFunc[] {
  const parser = new Parser(text);
  const funcs: LoopFunc[] = [];
  while (parser.peek() !== "") funcs.push(parser.func());
  return funcs;
}

// Numbers come first (they may start with `-`), then names with their suffixes, then single characters.
const token = /\s*(?:\/\/[^\n]*\n\s*)*((?:-?(?:\d[\d.]*(?:e[+-]?\d+)?|inf|nan)(?=:))|\$\d+|[A-Za-z_][\w.]*|\d+|[^\s])/y;

class Parser {
  private readonly text: string;
  private position = 0;
  private start = 0;
  private current = "";
  private variables = new Map<string, LoopVar>();
  private pointers = new Map<string, LoopPointer>();
  private shared = new Map<string, LoopExpr>();

  constructor(text: string) {
    this.text = text;
    this.next();
  }

  peek(): string {
    return this.current;
  }

  private next(): string {
    const taken = this.current;
    token.lastIndex = this.position;
    const match = token.exec(this.text);
    this.current = match?.[1] ?? "";
    this.position = match === null ? this.text.length : token.lastIndex;
    this.start = this.position - this.current.length;
    return taken;
  }

  private fail(message: string): never {
    const before = this.text.slice(0, this.start);
    const line = before.split("\n").length;
    const column = this.start - before.lastIndexOf("\n") - 1;
    const source = this.text.split("\n")[line - 1] ?? "";
    throw new Error(`line ${line}: ${message}\n${source}\n${" ".repeat(column)}^`);
  }

  private expect(text: string): void {
    if (this.current !== text) this.fail(`expected ${text}, found ${this.current || "the end"}`);
    this.next();
  }

  private accept(text: string): boolean {
    if (this.current !== text) return false;
    this.next();
    return true;
  }

  private integer(): number {
    if (!/^\d+$/.test(this.current)) this.fail(`expected a number, found ${this.current}`);
    return Number(this.next());
  }

  private type(): LoopType {
    const match = /^(f32|f64|i32|u32|i64|bool)(?:x(\d+))?$/.exec(this.current);
    if (match === null) this.fail(`expected a type, found ${this.current}`);
    this.next();
    return makeType(match[1] as ScalarType, Number(match[2] ?? 1));
  }

  func(): LoopFunc {
    this.variables = new Map();
    this.pointers = new Map();
    this.expect("func");
    const name = this.next();
    this.expect("(");
    const pointers: LoopPointer[] = [];
    const params: LoopVar[] = [];
    while (this.current !== ")") {
      if (pointers.length + params.length > 0) this.expect(",");
      const own = this.next();
      const mark = this.next();
      const id = this.integer();
      this.expect(":");
      if (mark === "#") {
        this.expect("*");
        const element = this.type().scalar;
        const pointer: LoopPointer = { id, name: own, element, space: this.next() as AddressSpace };
        this.pointers.set(`${own}#${id}`, pointer);
        pointers.push(pointer);
      } else params.push(this.define(own, id, this.type(), false));
    }
    this.next();
    return { name, pointers, params, body: this.block() };
  }

  private define(name: string, id: number, type: LoopType, mutable: boolean): LoopVar {
    const variable: LoopVar = { id, name, type, mutable };
    this.variables.set(`${name}%${id}`, variable);
    return variable;
  }

  private block(): LoopStmt[] {
    this.expect("{");
    const list: LoopStmt[] = [];
    this.shared = new Map();
    while (this.current !== "}") {
      if (this.current.startsWith("$")) {
        const name = this.next();
        this.expect("=");
        this.shared.set(name, this.expr());
      } else {
        list.push(this.statement());
        this.shared = new Map();
      }
    }
    this.next();
    return list;
  }

  private statement(): LoopStmt {
    const word = this.next();
    switch (word) {
      case "let":
      case "var": {
        const name = this.next();
        this.expect("%");
        const id = this.integer();
        this.expect("=");
        const value = this.expr();
        return { kind: "let", variable: this.define(name, id, value.type, word === "var"), value };
      }
      case "for": {
        const name = this.next();
        this.expect("%");
        const id = this.integer();
        this.expect("=");
        const from = this.expr();
        this.expect("to");
        const to = this.expr();
        this.expect("step");
        const step = this.integer();
        const variable = this.define(name, id, makeType("i32"), false);
        return { kind: "for", variable, from, to, step, body: this.block() };
      }
      case "while": {
        const test = this.expr();
        return { kind: "while", test, body: this.block() };
      }
      case "if": {
        const test = this.expr();
        const then = this.block();
        return ifStmt(test, then, this.accept("else") ? this.block() : []);
      }
      case "call":
        return { kind: "call", ...this.invocation() };
      case "par": {
        const chunks = this.expr();
        return { kind: "par", chunks, ...this.invocation() };
      }
      case "barrier":
        return { kind: "barrier" };
      default:
        return this.assignment(word);
    }
  }

  /** `func(pointer, ..., expression, ...)` */
  private invocation(): { func: string; pointers: LoopPointer[]; args: LoopExpr[] } {
    const func = this.next();
    this.expect("(");
    const pointers: LoopPointer[] = [];
    const args: LoopExpr[] = [];
    while (!this.accept(")")) {
      if (pointers.length + args.length > 0) this.expect(",");
      const found = this.exprOrPointer();
      if ("space" in found) pointers.push(found);
      else args.push(found);
    }
    return { func, pointers, args };
  }

  private assignment(name: string): LoopStmt {
    if (this.accept("%")) {
      const key = `${name}%${this.integer()}`;
      const variable = this.variables.get(key) ?? this.fail(`no variable ${key}`);
      this.expect("=");
      return { kind: "assign", variable, value: this.expr() };
    }
    const pointer = this.pointerAfter(name);
    this.expect("[");
    const index = this.expr();
    const active = this.accept(";") ? this.integer() : undefined;
    this.expect("]");
    this.expect("=");
    const value = this.expr();
    return active === undefined
      ? { kind: "store", pointer, index, value }
      : { kind: "store", pointer, index, value, active };
  }

  private pointerAfter(name: string): LoopPointer {
    this.expect("#");
    const key = `${name}#${this.integer()}`;
    return this.pointers.get(key) ?? this.fail(`no pointer ${key}`);
  }

  private expr(): LoopExpr {
    const found = this.exprOrPointer();
    if ("space" in found) this.fail(`pointer ${found.name} is not a value`);
    return found;
  }

  private exprOrPointer(): LoopExpr | LoopPointer {
    const word = this.next();
    if (word.startsWith("$")) return this.shared.get(word) ?? this.fail(`no shared value ${word}`);
    if (this.accept(":")) {
      const type = this.type();
      const value =
        type.scalar === "i64" ? BigInt(word) : Number(word.replace("inf", "Infinity").replace("nan", "NaN"));
      return constant(type.scalar, value, type.lanes);
    }
    if (this.accept("%")) {
      const key = `${word}%${this.integer()}`;
      return use(this.variables.get(key) ?? this.fail(`no variable ${key}`));
    }
    if (this.current === "#") {
      const pointer = this.pointerAfter(word);
      return this.accept("[") ? this.loadFrom(pointer) : pointer;
    }
    this.expect("(");
    const args: LoopExpr[] = [];
    while (!this.accept(")")) {
      if (args.length > 0) this.expect(",");
      args.push(this.expr());
    }
    return this.apply(word, args);
  }

  private loadFrom(pointer: LoopPointer): LoopExpr {
    const index = this.expr();
    let lanes = 1;
    let active: number | undefined;
    if (this.accept(";")) {
      lanes = this.integer();
      if (this.accept("/")) {
        active = lanes;
        lanes = this.integer();
      }
    }
    this.expect("]");
    return load(pointer, index, lanes, active ?? lanes);
  }

  /** Makes the very node that was printed: nothing folds here. */
  private apply(word: string, args: readonly LoopExpr[]): LoopExpr {
    const [name, suffix] = word.split(".") as [string, string | undefined];
    const first = args[0] ?? this.fail(`${word} without operands`);
    const scalar = first.type.scalar;
    switch (name) {
      case "splat":
        return { kind: "splat", type: makeType(scalar, Number(suffix)), arg: first };
      case "ramp":
        return { kind: "ramp", type: makeType("i32", Number(suffix)), base: first };
      case "pack":
        return { kind: "pack", type: makeType(scalar, args.length), args };
      case "lane":
        return { kind: "lane", type: makeType(scalar), arg: first, lane: Number(suffix) };
      case "fold":
        return fold(suffix as LoopOp, first);
      case "any":
        return any(first);
      default: {
        const types = args.map((a) => a.type);
        const result = loopOpType(name, types, suffix as ScalarType | undefined);
        if (result === undefined) this.fail(`${word} does not take (${types.map(describeType).join(", ")})`);
        return { kind: "op", type: makeType(result.scalar, result.lanes), op: name, args };
      }
    }
  }
}
