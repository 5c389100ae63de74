/** The page of one compilation: a single HTML file that needs no network and works from a folder. */
import type { Loc } from "@sinter/ir";
import type { Inspection, Peaks } from "@sinter/runtime";
import { operationsIn } from "../graph/model.ts";
import { signatureText } from "../signature.ts";
import { behave, type PageData } from "./client.ts";
import { cost } from "./cost.ts";
import { Excerpts, type Sources } from "./excerpt.ts";
import { bytes, flops } from "./format.ts";
import { fusion } from "./fusion.ts";
import { graph } from "./graph.ts";
import { Html, html, jsonForScript } from "./html.ts";
import { kernels } from "./kernels.ts";
import { memory } from "./memory.ts";
import { overview } from "./overview.ts";
import { type Context, onDevice } from "./parts.ts";
import { passes } from "./passes.ts";
import { style } from "./style.ts";

export interface PageOptions {
  /**
   * What the roofline is drawn for. Default: one core, with 128-bit fused multiply-add at 3.2 GHz and common memory; for
   * programs on a GPU a small one, of 16 compute units with 128 lanes at 1.2 GHz.
   */
  readonly machine?: Peaks;
}

/**
 * The page of what was compiled. `sources` are the texts of the files that positions name, by that name; where one is
 * missing its lines are only named. All text is escaped, and the page's own policy allows no request.
 */
export function page(inspection: Inspection, sources: Sources, options: PageOptions = {}): string {
  const files = new Set(inspection.nodes.flatMap((node) => node.locs.map((loc) => loc.file)));
  const excerpts = new Excerpts(sources, files);
  const texts = new Map<string, string>();
  const later = (key: string, text: string): Html => {
    texts.set(key, excerpts.shorten(text));
    return html`<pre class="text" data-text="${key}" tabindex="0"></pre>`;
  };
  const context: Context = {
    inspection,
    excerpts,
    machine: options.machine ?? (onDevice(inspection) ? { gflops: 5000, gbs: 200 } : { gflops: 50, gbs: 20 }),
    later,
  };
  const sections = [overview, graph, passes, fusion, kernels, memory, cost].map((make) => make(context));
  const links = sections.map(({ id, title }, i) => html`<a href="#${id}"><span>${title}</span><kbd>${i + 1}</kbd></a>`);
  const bodies = sections.map(
    ({ id, title, lead, body }, i) =>
      html`<section id="${id}" aria-labelledby="title-${id}"><h2 id="title-${id}">${title}</h2><p class="lead">${lead}</p>${i === 0 ? html`<p class="signature">${signatureText(inspection)}</p>` : ""}${body}</section>`,
  );
  const document = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${inspection.name} · Sinter</title><link rel="icon" href="data:,">
<style>${new Html(style)}</style></head>
<body><header><span class="brand">Sinter inspect</span><h1>${inspection.name}</h1><p class="target">${inspection.target}</p><nav aria-label="sections">${links}</nav>
<footer><span>Keys 1 to ${sections.length} go from section to section.</span><button type="button" id="theme">Light or dark <kbd>t</kbd></button></footer></header>
<main>${bodies}</main>
<script type="application/json" id="data">${jsonForScript(pageData(inspection, excerpts, texts))}</script>
<script>${new Html(`(${behave.toString()})();`)}</script>
</body></html>
`;
  return document.text;
}

function pageData(inspection: Inspection, excerpts: Excerpts, texts: ReadonlyMap<string, string>): PageData {
  const lines: Record<string, Record<number, string>> = {};
  const locsOf = (locs: readonly Loc[]): (readonly [string, number, string])[] =>
    locs.map(({ file, line, name }) => {
      const shown = excerpts.name(file);
      const known = (lines[shown] ??= {});
      for (let at = line - 1; at <= line + 1; at++) {
        const text = excerpts.line(file, at);
        if (text !== undefined) known[at] = text;
      }
      return [shown, line, name ?? ""];
    });
  return {
    texts: Object.fromEntries([...texts].map(([key, text]) => [key, inOther(key, text, texts) ?? text])),
    nodes: Object.fromEntries(
      inspection.nodes.map(({ path, op, text, type, operands, kernels: own, locs }) => [
        path,
        { op, text, type, operands, kernels: own, locs: locsOf(locs) },
      ]),
    ),
    kernels: inspection.kernels.map((kernel) => ({
      title: operationsIn(kernel),
      facts: `${kernel.schedule} · ${flops(kernel.flops)} · ${bytes(kernel.bytesRead)} read · ${bytes(kernel.bytesWritten)} written`,
      nodes: kernel.nodes,
      locs: locsOf(kernel.locs),
    })),
    lines,
  };
}

/** Where a text stands in that of a pass: kernels are pieces of them, and need not be written twice. */
function inOther(key: string, text: string, texts: ReadonlyMap<string, string>): [string, number, number] | undefined {
  if (text.length < 200) return undefined;
  for (const [other, whole] of texts) {
    if (other === key) return undefined;
    if (!other.startsWith("pass-")) continue;
    const at = whole.indexOf(text);
    if (at >= 0) return [other, at, at + text.length];
  }
  return undefined;
}
