/** Edits of one source text. Children first, then their parents: what is put around a node encloses what is in it. */
import MagicString from "magic-string";
import type { SourceMapLike } from "../result.ts";
import { type Node, skipTrivia, startOf } from "../syntax.ts";

export class Edits {
  private readonly text: string;
  private readonly magic: MagicString;

  constructor(text: string) {
    this.text = text;
    this.magic = new MagicString(text);
  }

  get changed(): boolean {
    return this.magic.hasChanged();
  }

  /** Source text of a node as written. */
  source(node: Node): string {
    return this.text.slice(startOf(node), node.end);
  }

  /** Puts text before what begins at `at`, and before what was put there. */
  before(at: number, text: string): void {
    this.magic.prependRight(at, text);
  }

  /** Puts text behind what ends at `at`, and behind what was put there. */
  after(at: number, text: string): void {
    this.magic.appendLeft(at, text);
  }

  wrap(node: Node, before: string, after: string): void {
    this.before(startOf(node), before);
    this.after(node.end, after);
  }

  /** Replaces a range that no other edit touches; lines are kept. */
  replace(start: number, end: number, text: string): void {
    if (start === end) {
      this.after(start, text);
      return;
    }
    const lines = this.text.slice(start, end).split("\n").length - 1;
    this.magic.update(start, end, text + "\n".repeat(lines));
  }

  /** Replaces the token behind `from`, past white space and comments. Returns where it began. */
  token(from: number, token: string, text: string): number {
    const at = skipTrivia(this.text, from);
    if (!this.text.startsWith(token, at)) throw new Error(`expected ${token} at ${at}`);
    this.replace(at, at + token.length, text);
    return at;
  }

  /** Replaces the keyword that a statement begins with, and the space behind it. */
  keyword(node: Node, keyword: string, text: string): void {
    const end = startOf(node) + keyword.length;
    this.replace(startOf(node), this.text[end] === " " ? end + 1 : end, text);
  }

  /** Ends a statement: its semicolon, written or not, becomes `text`. */
  finish(node: Node, text: string): void {
    if (this.text[node.end - 1] === ";") this.replace(node.end - 1, node.end, text);
    else this.after(node.end, text);
  }

  isBlankBefore(at: number): boolean {
    return /\s/.test(this.text[at - 1] ?? "");
  }

  toString(): string {
    return this.magic.toString();
  }

  map(file: string): SourceMapLike {
    const map = this.magic.generateMap({ source: file, includeContent: true, hires: "boundary" });
    return {
      version: map.version,
      sources: map.sources,
      names: map.names,
      mappings: map.mappings,
      ...(map.sourcesContent === undefined ? {} : { sourcesContent: map.sourcesContent }),
    };
  }
}
