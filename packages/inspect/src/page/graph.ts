/** The drawing of the program: by kernels, and by operations where that many can still be told apart. */

import { place } from "../graph/layout.ts";
import { type Drawing, kernels, operations } from "../graph/model.ts";
import { drawingSvg } from "../graph/svg.ts";
import { plural } from "./format.ts";
import { html } from "./html.ts";
import type { Context, Section } from "./parts.ts";

/** With more operations than this only kernels are drawn: nobody finds anything among them, and browsers take long. */
export const mostOperations = 300;

export function graph({ inspection }: Context): Section {
  const all = inspection.nodes.length <= mostOperations;
  const views: { readonly id: string; readonly title: string; readonly drawing: Drawing }[] = [
    { id: "kernels", title: "by kernels", drawing: kernels(inspection) },
  ];
  if (all) views.push({ id: "operations", title: "by operations", drawing: operations(inspection) });
  const shown = all && inspection.nodes.length <= 40 ? "operations" : "kernels";
  const tabs = views.map(
    ({ id, title }) =>
      html`<button type="button" role="tab" aria-selected="${id === shown ? "true" : "false"}" aria-controls="view-${id}" id="tab-view-${id}">${title}</button>`,
  );
  const panels = views.map(
    ({ id, title, drawing }) =>
      html`<div role="tabpanel" class="canvas" id="view-${id}" aria-labelledby="tab-view-${id}"${id === shown ? "" : html` hidden`}>${drawingSvg(place(drawing), id, `the program ${title}`)}</div>`,
  );
  return {
    id: "graph",
    title: "Graph",
    lead: html`Values flow downwards. A colour is a kernel: boxes of one colour run as one loop over memory. Click a box to see its line, its type and where it was written.${all ? "" : html` With ${plural(inspection.nodes.length, "operation")}, only kernels are drawn.`}`,
    body: html`<div class="graph tabs"><div class="bar-of-tools"><div role="tablist">${tabs}</div><span class="grow"></span><span class="muted hint">drag to move, ctrl and wheel to zoom</span><button type="button" data-zoom="out" title="smaller">−</button><button type="button" data-zoom="fit" title="the whole drawing">fit</button><button type="button" data-zoom="in" title="larger">+</button></div>
<div class="stage">${panels}<aside class="detail" id="detail" aria-live="polite" tabindex="-1" hidden></aside></div></div>`,
  };
}
