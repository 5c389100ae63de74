/** What was compiled, what became of it in numbers, and which kernels compute each line of the source. */
import type { Loc } from "@sinter/ir";
import type { Inspection } from "@sinter/runtime";
import { sizesText } from "../signature.ts";
import { paint } from "./excerpt.ts";
import { bytes, flops, percent, plural, seconds } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Context, chipOf, languageOf, leastSecondsOfCall, type Section } from "./parts.ts";

export function overview(context: Context): Section {
  const { inspection } = context;
  const { cost, nodes, kernels, passes } = inspection;
  const spent = passes.reduce((n, pass) => n + pass.milliseconds, 0);
  const dispatches =
    cost.dispatches === undefined ? "" : `, ${cost.dispatches} ${cost.dispatches === 1 ? "dispatch" : "dispatches"}`;
  const tiles: readonly (readonly [string, string, string])[] = [
    [String(nodes.length), nodes.length === 1 ? "operation" : "operations", "graph"],
    [String(kernels.length), `${kernels.length === 1 ? "kernel" : "kernels"}${dispatches}`, "kernels"],
    [flops(cost.flops), "of arithmetic a call", "cost"],
    [bytes(cost.bytesRead + cost.bytesWritten), "of traffic a call", "cost"],
    [bytes(inspection.arenaBytes), "arena", "memory"],
    [bytes(cost.codeBytes), `of ${languageOf(inspection)}`, "kernels"],
    [seconds(spent / 1000), "to compile", "passes"],
  ];
  const sizes = sizesText(inspection);
  const body = html`
<div class="tiles">${tiles.map(([value, what, to]) => html`<a class="tile" href="#${to}"><b>${value}</b><span>${what}</span></a>`)}</div>
${sizes === undefined ? "" : html`<p class="lead">Symbolic sizes: ${sizes}.</p>`}
${sourceLines(context)}
<h3>Parameters and results</h3>
<p class="lead">What a call hands over, and what it gets back. A state is a variable: it comes in, and its new value goes out.</p>
<div class="columns">${table(
    "in",
    inspection.params.map((p) => [p.kind, p.name, p.type]),
  )}${table("out", resultRows(inspection))}</div>`;
  return {
    id: "overview",
    title: "Overview",
    lead: html`What was compiled, and what became of it: ${plural(nodes.length, "operation")} in ${plural(kernels.length, "kernel")} of one program for ${inspection.target}${inspection.fastMath ? ", with fast math" : ""}.`,
    body,
  };
}

/** New values of variables are named by them. */
function resultRows({ results, buffers }: Inspection): string[][] {
  const names = buffers.filter(({ place }) => place === "stateOut").map(({ name }) => name.replace(/_next$/, ""));
  const states = results.filter(({ kind }) => kind === "state");
  return results.map((result) => {
    const name = names.length === states.length ? names[states.indexOf(result)] : undefined;
    return [result.kind, name ?? valueText(result.value), result.type];
  });
}

function valueText(value: string): string {
  return value.startsWith("param ") ? value.slice("param ".length) : `node ${value}`;
}

function table(label: string, rows: readonly (readonly string[])[]): Html {
  if (rows.length === 0) return html`<p class="none">nothing ${label}</p>`;
  const lines = rows.map(
    ([kind, name, type]) => html`<tr><td class="kind">${kind}</td><td>${name}</td><td><code>${type}</code></td></tr>`,
  );
  return html`<div class="scroll"><table class="plain"><tbody>${lines}</tbody></table></div>`;
}

/** Every line that something came from, with the kernels that compute it and their share of the least time. */
function sourceLines({ inspection, excerpts, machine }: Context): Html {
  const byFile = new Map<string, Map<number, Set<number>>>();
  const note = ({ file, line }: Loc, kernel: number): void => {
    const lines = byFile.get(file) ?? new Map<number, Set<number>>();
    byFile.set(file, lines);
    const found = lines.get(line) ?? new Set<number>();
    lines.set(line, found.add(kernel));
  };
  for (const kernel of inspection.kernels) for (const loc of kernel.locs) note(loc, kernel.index);
  if (byFile.size === 0) return html``;
  const times = inspection.kernels.map((kernel) => leastSecondsOfCall(kernel, machine));
  const total = times.reduce((n, t) => n + t, 0) || 1;
  const files = [...byFile].map(([file, lines]) => {
    const numbers = [...lines.keys()].sort((a, b) => a - b);
    const shown = new Set(numbers.flatMap((line) => [line - 1, line, line + 1]));
    let last: number | undefined;
    const rows = [...shown]
      .sort((a, b) => a - b)
      .flatMap((line) => {
        const text = excerpts.line(file, line);
        const kernels = [...(lines.get(line) ?? [])].sort((a, b) => a - b);
        if (text === undefined && kernels.length === 0) return [];
        const gap = last !== undefined && line > last + 1 ? [html`<tr class="gap"><td colspan="4">⋯</td></tr>`] : [];
        last = line;
        const share = kernels.reduce((n, k) => n + times[k]! / linesOf(inspection.kernels[k]!.locs), 0) / total;
        return [
          ...gap,
          html`<tr${kernels.length === 0 ? "" : html` class="hit"`}><td class="line">${line}</td><td class="text">${text === undefined ? "" : paint(text)}</td><td class="share">${kernels.length === 0 ? "" : html`<span class="bar" style="--part:${Math.min(1, share).toFixed(3)}">${percent(share)}</span>`}</td><td class="chips">${kernels.slice(0, 24).map((k) => chipOf(inspection.kernels[k]!))}${kernels.length > 24 ? html`<span class="more">and ${kernels.length - 24} more</span>` : ""}</td></tr>`,
        ];
      });
    return html`<figure class="code annotated"><figcaption title="${file}">${excerpts.name(file)}</figcaption><div class="scroll"><table><tbody>${rows}</tbody></table></div></figure>`;
  });
  return html`<h3>Your lines, and the kernels that compute them</h3>
<p class="lead">A kernel is one pass over memory; its number leads to it. The bar is a line’s share of the least time that the <a href="#cost">machine assumed here</a> would need. A kernel of several lines is divided evenly among them.</p>${files}`;
}

function linesOf(locs: readonly Loc[]): number {
  return new Set(locs.map((loc) => `${loc.file}:${loc.line}`)).size || 1;
}
