/** What each pass changed: a difference of texts within a level, the new text where a pass goes to another level. */
import type { PassDump } from "@sinter/runtime";
import { diffArrays } from "diff";
import { plural, seconds } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Context, languageOf, type Section } from "./parts.ts";

/** What passes do, in a sentence; a pass that is not here has none. */
const meanings: Readonly<Record<string, string>> = {
  trace: "The function ran once with tensors that stand for values. What it called is the graph, line by line.",
  simplify: "The graph is built anew: constants are folded, equal operations merged, unused ones dropped.",
  regions: "Branches and loops are brought to normal form: dead values go, invariant work moves out of loops.",
  "loops-of-elements": "Loops that stop element by element become one operation with a loop inside.",
  fuse: "Operations are gathered into kernels. What stays between two operations of a kernel is never written to memory.",
  schedule: "Each kernel gets its loops: tiles, vectors and accumulators.",
  plan: "Every buffer gets its place in the arena, by when it is needed.",
  emit: "The loops are written in the language of the machine. This is what runs.",
};

const levelNames: Readonly<Record<PassDump["level"], string>> = {
  graph: "graph",
  nests: "kernels",
  loops: "loops",
  plan: "memory plan",
  wat: "WebAssembly",
  wgsl: "WGSL",
};

export function passes({ inspection, excerpts, later }: Context): Section {
  const items = inspection.passes.map((pass, i) => {
    const before = inspection.passes[i - 1];
    const change =
      before?.level === pass.level ? difference(excerpts.shorten(before.text), excerpts.shorten(pass.text)) : undefined;
    const summary =
      change === undefined
        ? html`<span class="muted">${plural(lineCount(pass.text), "line")} of ${levelNames[pass.level]}</span>`
        : change.added + change.removed === 0
          ? html`<span class="muted">no change</span>`
          : html`<span class="plus">+${change.added}</span> <span class="minus">−${change.removed}</span>`;
    const text = later(`pass-${i}`, pass.text);
    const body =
      change === undefined
        ? text
        : html`${change.body}<details class="whole"><summary>The whole text after this pass</summary>${text}</details>`;
    const changes = change === undefined ? 0 : change.added + change.removed;
    const open = i === 0 || (changes > 0 && changes < 200);
    return html`<details class="pass" id="pass-${i}"${open ? html` open` : ""}>
<summary><span class="ordinal">${i}</span><b>${pass.name}</b><span class="grow">${summary}</span><span class="time">${seconds(pass.milliseconds / 1000)}</span></summary>
<p class="lead">${meanings[pass.name] ?? ""}</p>${body}</details>`;
  });
  return {
    id: "passes",
    title: "Passes",
    lead: html`The way from the trace to ${languageOf(inspection)}, in order. Where a pass keeps the level, the lines that it took away and added are marked; numbers of values alone are no difference.`,
    body: html`<div class="passes">${items}</div>`,
  };
}

interface Change {
  readonly added: number;
  readonly removed: number;
  readonly body: Html;
}

const around = 3;
/** More changes than this are no longer looked for: the texts count as different from end to end. */
const mostEdits = 3000;

function difference(before: string, after: string): Change {
  const [old, now] = [lines(before), lines(after)];
  const parts = diffArrays(old, now, { comparator: sameButNumbers, maxEditLength: mostEdits });
  if (parts === undefined)
    return {
      added: now.length,
      removed: old.length,
      body: html`<p class="none">Too much changed to show line by line.</p>`,
    };
  let [added, removed] = [0, 0];
  const rows: Html[] = [];
  let [oldLine, newLine] = [1, 1];
  const row = (kind: "" | "add" | "del", text: string): void => {
    const [a, b] = [kind === "add" ? "" : oldLine++, kind === "del" ? "" : newLine++];
    rows.push(
      html`<span class="dl ${kind}"><i>${a}</i><i>${b}</i><b>${kind === "add" ? "+" : kind === "del" ? "−" : " "}${text}</b></span>`,
    );
  };
  parts.forEach((part, i) => {
    if (part.added || part.removed) {
      if (part.added) added += part.value.length;
      else removed += part.value.length;
      for (const text of part.value) row(part.added ? "add" : "del", text);
      return;
    }
    // Of unchanged lines only those beside a change.
    const head = i === 0 ? 0 : around;
    const tail = i === parts.length - 1 ? 0 : around;
    const hidden = part.value.length - head - tail;
    part.value.forEach((text, k) => {
      if (hidden > 1 && k >= head && k < head + hidden) {
        if (k === head) rows.push(html`<span class="dl skip"><i></i><i></i><b>⋯ ${hidden} lines as before</b></span>`);
        oldLine++;
        newLine++;
      } else row("", text);
    });
  });
  const changed = added + removed > 0;
  return { added, removed, body: changed ? html`<pre class="diff">${rows}</pre>` : html`` };
}

function lines(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}

function lineCount(text: string): number {
  return lines(text).length;
}

/** Lines that differ in the numbers of values only: one operation that goes renumbers all behind it. */
function sameButNumbers(a: string, b: string): boolean {
  return a === b || withoutNumbers(a) === withoutNumbers(b);
}

function withoutNumbers(line: string): string {
  let out = numberless.get(line);
  if (out === undefined) numberless.set(line, (out = line.replace(/%\d+\b/g, "%")));
  if (numberless.size > 50_000) numberless.clear();
  return out;
}
const numberless = new Map<string, string>();
