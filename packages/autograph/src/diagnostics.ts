/** Located messages: what the transform refuses or warns of, and how they are shown. */
import { type Code, codes } from "./codes.ts";
import { type Node, type SourceFile, startOf } from "./syntax.ts";

export interface Diagnostic {
  /** Such as AG1004; `codes.ts` lists all. */
  readonly code: string;
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly file: string;
  /** Lines and columns count from 1. */
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** Collects the diagnostics of one file, each at most once per place. */
export class Diagnostics {
  private readonly found = new Map<string, Diagnostic>();
  private readonly source: SourceFile;
  private readonly file: string;

  constructor(source: SourceFile, file: string) {
    this.source = source;
    this.file = file;
  }

  /** `message` says what is wrong here, with the names of the source; what to write instead is added from the table. */
  report(code: Code, node: Node, message: string): void {
    this.reportAt(code, startOf(node), node.getEnd(), message);
  }

  reportAt(code: Code, start: number, end: number, message: string): void {
    const from = this.source.getLineAndCharacterOfPosition(start);
    const to = this.source.getLineAndCharacterOfPosition(end);
    this.found.set(`${code}:${start}:${end}`, {
      code,
      severity: codes[code].severity,
      message: `${message}; ${codes[code].instead}`,
      file: this.file,
      line: from.line + 1,
      column: from.character + 1,
      endLine: to.line + 1,
      endColumn: to.character + 1,
    });
  }

  get hasErrors(): boolean {
    return this.all().some((d) => d.severity === "error");
  }

  /** In source order. */
  all(): readonly Diagnostic[] {
    return [...this.found.values()].sort((a, b) => a.line - b.line || a.column - b.column);
  }
}

/** The message with its place and the lines of `source` around it, the span underlined. */
export function formatDiagnostic(d: Diagnostic, source: string): string {
  const lines = source.split(/\r?\n/);
  const first = Math.max(1, d.line - 1);
  const last = Math.min(lines.length, d.line + 1);
  const width = String(last).length;
  const shown: string[] = [`${d.file}:${d.line}:${d.column} ${d.severity} ${d.code}: ${d.message}`];
  for (let line = first; line <= last; line++) {
    const text = lines[line - 1]!;
    shown.push(`${line === d.line ? ">" : " "} ${String(line).padStart(width)} | ${text}`.trimEnd());
    if (line !== d.line) continue;
    const end = d.endLine === d.line ? Math.max(d.endColumn, d.column + 1) : text.length + 1;
    const indent = text.slice(0, d.column - 1).replace(/[^\t]/g, " ");
    shown.push(`  ${" ".repeat(width)} | ${indent}${"^".repeat(Math.max(1, end - d.column))}`);
  }
  return shown.join("\n");
}
