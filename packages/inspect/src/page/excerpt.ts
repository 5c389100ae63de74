/** Pieces of the user's TypeScript: the lines that something came from, with those around them. */
import type { Loc } from "@sinter/ir";
import { type Html, html } from "./html.ts";

/** Texts of source files, by the name that positions have. */
export type Sources = ReadonlyMap<string, string>;

/** What all sections show of sources. */
export class Excerpts {
  private readonly sources: Sources;
  private readonly lines = new Map<string, readonly string[]>();
  private readonly folder: string;

  /** `files`: all that positions name; what they have in common is not shown. */
  constructor(sources: Sources, files: Iterable<string>) {
    this.sources = sources;
    this.folder = commonFolder([...files]);
  }

  /** The file as it is shown. */
  name(file: string): string {
    return file.startsWith(this.folder) ? file.slice(this.folder.length) : file;
  }

  /** A text of the compiler, in which files have the names they are shown by. */
  shorten(text: string): string {
    return this.folder.length > 1 ? text.replaceAll(this.folder, "") : text;
  }

  /** A line of a file, counted from 1; undefined where the file is not known. */
  line(file: string, line: number): string | undefined {
    return this.of(file)?.[line - 1];
  }

  place(loc: Loc): string {
    return `${this.name(loc.file)}:${loc.line}`;
  }

  /** The lines of `locs`, marked, with `around` lines before and behind. */
  show(locs: readonly Loc[], around = 2): Html {
    if (locs.length === 0) return html`<p class="none">The compiler made this; no line of yours says it.</p>`;
    const files = [...new Set(locs.map((loc) => loc.file))];
    return html`${files.map((file) =>
      this.file(
        file,
        locs.filter((loc) => loc.file === file),
        around,
      ),
    )}`;
  }

  private file(file: string, locs: readonly Loc[], around: number): Html {
    const marked = new Map<number, Set<string>>();
    for (const { line, name } of locs) {
      const names = marked.get(line) ?? new Set();
      if (name !== undefined) names.add(name);
      marked.set(line, names);
    }
    const all = this.of(file);
    if (all === undefined) {
      const places = [...marked].map(
        ([line, names]) => html`<li>${this.name(file)}:${line} ${[...names].join(", ")}</li>`,
      );
      return html`<figure class="code"><figcaption title="${file}">${this.name(file)}</figcaption><ul class="places">${places}</ul></figure>`;
    }
    const shown = new Set<number>();
    for (const line of marked.keys())
      for (let at = Math.max(1, line - around); at <= Math.min(all.length, line + around); at++) shown.add(at);
    const rows: Html[] = [];
    const indent = indentOf([...shown].map((at) => all[at - 1]!));
    let last: number | undefined;
    for (const at of [...shown].sort((a, b) => a - b)) {
      if (last !== undefined && at > last + 1) rows.push(html`<span class="ln gap"><i></i><b>⋯</b></span>`);
      const names = marked.get(at);
      const title = names === undefined || names.size === 0 ? "" : html` title="${[...names].join(", ")}"`;
      rows.push(
        html`<span class="ln${names === undefined ? "" : " hit"}"${title}><i>${at}</i><b>${paint(all[at - 1]!.slice(indent))}</b></span>`,
      );
      last = at;
    }
    return html`<figure class="code"><figcaption title="${file}">${this.name(file)}</figcaption><pre>${rows}</pre></figure>`;
  }

  private of(file: string): readonly string[] | undefined {
    let lines = this.lines.get(file);
    const text = this.sources.get(file);
    if (lines === undefined && text !== undefined) this.lines.set(file, (lines = text.split(/\r?\n/)));
    return lines;
  }
}

/** The blanks that all lines begin with. */
function indentOf(lines: readonly string[]): number {
  const written = lines.filter((line) => line.trim() !== "");
  return written.length === 0 ? 0 : Math.min(...written.map((line) => line.length - line.trimStart().length));
}

function commonFolder(files: readonly string[]): string {
  const folders = files.map((file) => file.slice(0, file.lastIndexOf("/") + 1));
  let common = folders[0] ?? "";
  for (const folder of folders)
    while (!folder.startsWith(common)) common = common.slice(0, common.slice(0, -1).lastIndexOf("/") + 1);
  return common;
}

const token =
  /(\/\/.*|\/\*.*?(?:\*\/|$)|^\s*\*(?:\s.*|\/|$))|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|\b(\d[\w.]*)\b|\b(const|let|var|function|return|if|else|for|of|in|while|do|break|continue|new|class|this|import|export|from|type|interface|await|async|using|throw|true|false|null|undefined|switch|case|default)\b/g;
const kinds = ["comment", "string", "number", "word"];

/** Comments, strings, numbers and keywords in colours: enough to read a few lines by. */
export function paint(line: string): Html {
  const parts: (Html | string)[] = [];
  let from = 0;
  for (const match of line.matchAll(token)) {
    const kind = kinds[match.slice(1).findIndex((group) => group !== undefined)]!;
    parts.push(line.slice(from, match.index), html`<span class="t-${kind}">${match[0]}</span>`);
    from = match.index + match[0].length;
  }
  parts.push(line.slice(from));
  return html`${parts}`;
}
