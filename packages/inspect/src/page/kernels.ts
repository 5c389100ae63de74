/** Each kernel beside the TypeScript that it came from: its nest, its loops, its WebAssembly or WGSL. */
import type { KernelPicture } from "@sinter/runtime";
import { operationsIn } from "../graph/model.ts";
import { bytes, flops, plural } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Context, chipOf, languageOf, nodeLink, onDevice, type Section } from "./parts.ts";

export function kernels(context: Context): Section {
  const { inspection, later } = context;
  const list = inspection.kernels;
  const { title, lead, summary } = onDevice(inspection)
    ? {
        title: "The dispatches",
        lead: "What a call submits, in order: each kernel with its workgroups and the buffers that it binds; those that it may write have a &. Copies of packed buffers have numbers of their own.",
        summary: `all steps, ${plural(lineCount(inspection.run), "line")}`,
      }
    : {
        title: "The function that calls them",
        lead: "The program’s only export: it loads the pointers and calls the kernels in order.",
        summary: `run, ${plural(lineCount(inspection.run), "line")} of WebAssembly`,
      };
  return {
    id: "kernels",
    title: "Kernels",
    lead: html`Left the lines that a kernel came from, right what became of them: its nest says what is computed, its loops how, its ${languageOf(inspection)} what runs.`,
    body: html`
${list.length > 8 && list.length <= 120 ? html`<p class="jump">${list.map(chipOf)}</p>` : ""}
<div class="kernels">${list.map((kernel) => kernelItem(kernel, context, list.length <= 6 || kernel.index === 0))}</div>
<h3 id="run">${title}</h3>
<p class="lead">${lead}</p>
<details><summary>${summary}</summary>${later("run", inspection.run)}</details>`,
  };
}

function kernelItem(kernel: KernelPicture, context: Context, open: boolean): Html {
  const { excerpts, inspection } = context;
  const { index, name, schedule, runs } = kernel;
  const facts = [
    flops(kernel.flops),
    `${bytes(kernel.bytesRead)} read`,
    `${bytes(kernel.bytesWritten)} written`,
    ...(runs === 1 ? [] : [runs === null ? "runs as often as its loop" : `runs ${runs} times`]),
  ];
  const forms = [
    ["Nest", "nest", kernel.nest],
    ["Loop IR", "loops", kernel.loops],
    ["WebAssembly", "wat", kernel.wat],
    ["WGSL", "wgsl", kernel.wgsl],
  ] as const;
  const there = forms.filter((form) => form[2] !== undefined && form[2] !== "");
  const key = (form: string): string => `kernel-${index}-${form}`;
  const tabs = there.map(
    ([title, form, text], i) =>
      html`<button type="button" role="tab" aria-selected="${i === 0 ? "true" : "false"}" aria-controls="${key(form)}" id="tab-${key(form)}">${title} <span class="muted">${lineCount(text!)}</span></button>`,
  );
  const panels = there.map(
    ([, form, text], i) =>
      html`<div role="tabpanel" id="${key(form)}" aria-labelledby="tab-${key(form)}"${i === 0 ? "" : html` hidden`}>${context.later(key(form), text!)}</div>`,
  );
  const nodes = new Map(inspection.nodes.map((node) => [node.path, node]));
  const members = kernel.nodes.slice(0, 80).map((path) => nodeLink(path, nodes.get(path)?.op ?? path));
  return html`<details class="kernel k${index % 12}" id="kernel-${index}"${open ? html` open` : ""}>
<summary>${chipOf(kernel)}<b>${operationsIn(kernel)}</b><span class="muted schedule">${schedule}</span><span class="grow"></span><span class="facts">${facts.join(" · ")}</span></summary>
<div class="pair"><div class="from">${excerpts.show(kernel.locs)}<p class="ops">${members}</p>${bufferList(kernel, context)}</div>
<div class="tabs" data-kernel-name="${name}"><div role="tablist">${tabs}</div>${panels}</div></div></details>`;
}

function bufferList(kernel: KernelPicture, { inspection }: Context): Html {
  const item = ({ buffer, writes }: KernelPicture["buffers"][number]): Html => {
    const { name, dtype, shape, bytes: size } = inspection.buffers[buffer]!;
    return html`<tr><td class="kind">${writes ? "writes" : "reads"}</td><td>${name}</td><td><code>${dtype}[${shape.replace(/^\[|\]$/g, "")}]</code></td><td class="num">${bytes(size)}</td></tr>`;
  };
  const order = [...kernel.buffers].sort((a, b) => Number(a.writes) - Number(b.writes));
  return html`<details class="uses"><summary>${plural(order.length, "buffer")}</summary><div class="scroll"><table class="plain"><tbody>${order.map(item)}</tbody></table></div></details>`;
}

function lineCount(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}
