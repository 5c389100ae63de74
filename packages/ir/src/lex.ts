/** Tokens of graph text, and errors that point at them. */

export interface Token {
  readonly kind: "name" | "number" | "value" | "graph" | "data" | "text" | "punct" | "end";
  readonly text: string;
  readonly offset: number;
}

/** Text that is not a graph. Line and column count from 1. */
export class ParseError extends Error {
  override readonly name = "ParseError";
  readonly reason: string;
  readonly line: number;
  readonly column: number;
  constructor(source: string, offset: number, reason: string) {
    const { line, column } = placeOf(source, offset);
    const text = source.split("\n")[line - 1] ?? "";
    super(`${line}:${column}: ${reason}\n  ${text}\n  ${" ".repeat(column - 1)}^`);
    this.reason = reason;
    this.line = line;
    this.column = column;
  }
}

function placeOf(source: string, offset: number): { line: number; column: number } {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

const blank = /(?:\s+|#[^\n]*|\/\/[^\n]*)+/y;
const patterns: readonly (readonly [Token["kind"], RegExp])[] = [
  ["data", /hash:[0-9a-f]{16}(?:\.\d+)?/y],
  ["text", /"(?:[^"\\\n]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y],
  ["number", /nan:0x[0-9a-f]+|-inf\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
  ["value", /%[A-Za-z0-9_.]+/y],
  ["graph", /@[A-Za-z0-9_.$-]+/y],
  ["name", /[A-Za-z_][A-Za-z0-9_.]*/y],
  ["punct", /[(){}[\],:=+*]/y],
];

export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  for (;;) {
    blank.lastIndex = offset;
    if (blank.test(source)) offset = blank.lastIndex;
    if (offset >= source.length) break;
    const token = match(source, offset);
    if (token === undefined) throw new ParseError(source, offset, `unexpected "${source[offset]}"`);
    tokens.push(token);
    offset += token.text.length;
  }
  tokens.push({ kind: "end", text: "", offset });
  return tokens;
}

function match(source: string, offset: number): Token | undefined {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = offset;
    const found = pattern.exec(source);
    if (found !== null) return { kind, text: found[0], offset };
  }
  return undefined;
}

/** How deep parentheses, statements and regions may lie in each other, so that no text exhausts the stack. */
const deepest = 200;

/** A position in a list of tokens, with what every rule of a grammar needs. */
export class Cursor {
  private readonly source: string;
  private readonly tokens: readonly Token[];
  private position = 0;
  private depth = 0;

  constructor(source: string) {
    this.source = source;
    this.tokens = tokenize(source);
  }

  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.position + ahead, this.tokens.length - 1)]!;
  }

  next(): Token {
    const token = this.peek();
    this.position++;
    return token;
  }

  /** Line and column of the next token. */
  place(): { line: number; column: number } {
    return placeOf(this.source, this.peek().offset);
  }

  /** Where the cursor is, to come back to. */
  mark(): number {
    return this.position;
  }

  reset(mark: number): void {
    this.position = mark;
  }

  at(text: string): boolean {
    const token = this.peek();
    return token.text === text && (token.kind === "punct" || token.kind === "name");
  }

  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.position++;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`expected "${text}"`, this.peek(), true);
  }

  take(kind: Token["kind"], what: string): Token {
    const token = this.peek();
    if (token.kind !== kind) this.fail(`expected ${what}`, token, true);
    this.position++;
    return token;
  }

  /** Reads something that may hold others of its kind. */
  nested<T>(read: () => T): T {
    if (++this.depth > deepest) this.fail("nested too deeply");
    const out = read();
    this.depth--;
    return out;
  }

  /** `open item, item close`, items separated by commas; may be empty. */
  list<T>(open: string, close: string, item: () => T): T[] {
    this.expect(open);
    const out: T[] = [];
    if (this.accept(close)) return out;
    do out.push(item());
    while (this.accept(","));
    this.expect(close);
    return out;
  }

  fail(reason: string, token: Token = this.peek(), found = false): never {
    const what = token.kind === "end" ? "the end of the text" : `"${token.text}"`;
    throw new ParseError(this.source, token.offset, found ? `${reason}, found ${what}` : reason);
  }
}
