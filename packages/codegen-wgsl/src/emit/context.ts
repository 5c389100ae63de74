/** One WGSL function under construction: its lines, the names of variables, what a statement shares, what is known of indices. */
import type { LoopExpr, LoopType, LoopVar } from "@sinter/ir";
import type { Bound, Module } from "./space.ts";
import { literal, typeText } from "./types.ts";

/** Texts longer than this get a name of their own, which keeps expressions shallow: parsers limit their depth. */
const longest = 200;

export class FuncWriter {
  readonly module: Module;
  lines: string[] = [];
  /** How often each node is used in the statement that is open. */
  readonly uses = new Map<LoopExpr, number>();
  /** Names of what the statement computed already. */
  shared = new Map<LoopExpr, string>();
  /** Names of the quotients and remainders that hold from here to the end of the block, by text. */
  private quotients = new Map<string, string>();
  private readonly names = new Map<number, string>();
  private readonly pointers = new Map<number, Bound>();
  /** Numbers that immutable integer variables are multiples of. */
  private readonly multiples = new Map<number, number>();
  private indent = "  ";
  private temporaries = 0;

  constructor(module: Module) {
    this.module = module;
  }

  push(line: string): void {
    this.lines.push(this.indent + line);
  }

  /** A block in braces behind a head. */
  block(head: string, body: () => void): void {
    this.push(`${head} {`);
    this.inside(body);
    this.push("}");
  }

  /** What `body` names is not known outside of it. */
  inside(body: () => void): void {
    const { indent, shared, quotients } = this;
    this.indent += "  ";
    this.shared = new Map(shared);
    this.quotients = new Map(quotients);
    body();
    this.indent = indent;
    this.shared = shared;
    this.quotients = quotients;
  }

  /** Forgets what the last statement computed. */
  endStatement(): void {
    this.uses.clear();
    this.shared = new Map();
  }

  /** A name for a value. */
  temp(text: string): string {
    const name = `t${this.temporaries++}`;
    this.push(`let ${name} = ${bare(text)};`);
    return name;
  }

  /** What holds a quotient or remainder of what does not change, where an earlier statement has computed it. */
  quotient(text: string): string | undefined {
    return this.quotients.get(text);
  }

  /** Later statements of the block find a quotient by its text. */
  nameQuotient(text: string, name: string): string {
    this.quotients.set(text, name);
    return name;
  }

  /** A mutable name that starts with a value. */
  variable(text: string): string {
    const name = `t${this.temporaries++}`;
    this.push(`var ${name} = ${text};`);
    return name;
  }

  /** The text itself where it may be repeated, else a name. */
  atom(text: string): string {
    return isAtom(text) ? text : this.temp(text);
  }

  short(text: string): string {
    return text.length > longest ? this.temp(text) : text;
  }

  constant(type: LoopType, value: number): string {
    const one = literal(type.scalar, value, () => this.module.helpers.use("bits"));
    return type.lanes === 1 ? one : `${typeText(type)}(${one})`;
  }

  /** Declares a variable and returns its name. `multiple`: what its value is known to be a multiple of. */
  define(variable: LoopVar, multiple = 1): string {
    const name = `${variable.name.replace(/[^A-Za-z0-9]/g, "")}_${variable.id}`.replace(/^(?=[0-9_])/, "v");
    this.names.set(variable.id, name);
    if (!variable.mutable) this.multiples.set(variable.id, multiple);
    return name;
  }

  /** Binds a variable to a text that names it everywhere. */
  alias(variable: LoopVar, text: string, multiple = 1): void {
    this.names.set(variable.id, text);
    this.multiples.set(variable.id, multiple);
  }

  name(variable: LoopVar): string {
    const name = this.names.get(variable.id);
    if (name === undefined) throw new Error(`${variable.name} is read before it is defined`);
    return name;
  }

  multipleOf(variable: LoopVar): number {
    return this.multiples.get(variable.id) ?? 1;
  }

  bind(pointer: number, bound: Bound): void {
    this.pointers.set(pointer, bound);
  }

  bound(pointer: { readonly id: number; readonly name: string }): Bound {
    const bound = this.pointers.get(pointer.id);
    if (bound === undefined) throw new Error(`pointer ${pointer.name} is not bound`);
    return bound;
  }
}

/** Whether a text is a name or a literal. */
export function isAtom(text: string): boolean {
  return /^[\w.]+$/.test(text);
}

/** Without the parentheses around all of it. */
export function bare(text: string): string {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
}
