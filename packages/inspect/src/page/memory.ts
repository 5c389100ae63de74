/** Which buffer has which bytes of the arena in which steps, and what lies outside the arena. */
import type { BufferPicture, StepPicture } from "@sinter/runtime";
import { bytes, plural } from "./format.ts";
import { type Html, html } from "./html.ts";
import { allSteps, type Context, type Section } from "./parts.ts";

export function memory(context: Context): Section {
  const { inspection } = context;
  const inArena = inspection.buffers.filter((buffer) => buffer.place === "arena");
  return {
    id: "memory",
    title: "Memory",
    lead: html`What lies between kernels has a place in one arena of <b>${bytes(inspection.arenaBytes)}</b>, and shares it with whatever is needed at another time. Arguments, variables and results have memory of their own.`,
    body: html`
<h3>The arena, step by step</h3>
${inArena.length === 0 && inspection.arenaBytes === 0 ? html`<p class="none">This program needs no arena: nothing is kept between its kernels.</p>` : html`<p class="lead">From left to right the steps of the program, upwards the bytes of the arena. A block is a buffer; hatched ones are working space of a single kernel.</p>${timeline(context)}`}
<h3>Outside the arena</h3>
<p class="lead">Memory that callers and variables own.</p>
${outside(inspection.buffers)}`,
  };
}

interface Block {
  readonly name: string;
  readonly title: string;
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  readonly colour: number;
  readonly scratch: boolean;
}

const [left, right, top, bottom] = [72, 14, 14, 58];

function timeline({ inspection }: Context): Html {
  const steps = [...allSteps(inspection.steps)];
  const count = 1 + steps.reduce((n, step) => Math.max(n, "end" in step ? step.end : step.number), 0);
  const blocks = blocksOf(inspection.buffers, inspection.kernels, steps);
  const total = Math.max(inspection.arenaBytes, ...blocks.map((block) => block.offset + block.bytes), 1);
  const width = Math.min(2400, Math.max(880, left + right + count * 26));
  const height = 430;
  const x = (step: number): number => left + ((width - left - right) * step) / count;
  const y = (offset: number): number => height - bottom - ((height - top - bottom) * offset) / total;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * total);
  const grid = ticks.map(
    (tick) =>
      html`<line class="grid" x1="${left}" x2="${width - right}" y1="${px(y(tick))}" y2="${px(y(tick))}"/><text class="axis" x="${left - 8}" y="${px(y(tick) + 4)}" text-anchor="end">${bytes(Math.round(tick))}</text>`,
  );
  const shapes = blocks.map((block) => {
    const [x0, x1] = [x(block.first), x(block.last + 1)];
    const [y0, y1] = [y(block.offset + block.bytes), y(block.offset)];
    const [w, h] = [Math.max(1.5, x1 - x0 - 1), Math.max(1.5, y1 - y0 - 0.6)];
    const room = Math.floor((w - 8) / 6.2);
    const label =
      h >= 13 && room >= 3
        ? html`<text x="${px(x0 + 5)}" y="${px(y0 + Math.min(h / 2 + 4, 14))}">${block.name.length > room ? `${block.name.slice(0, room - 1)}…` : block.name}</text>`
        : "";
    return html`<g class="mem k${block.colour}${block.scratch ? " scratch" : ""}"><title>${block.title}</title><rect x="${px(x0)}" y="${px(y0)}" width="${px(w)}" height="${px(h)}" rx="2"/>${block.scratch ? html`<rect class="hatch" x="${px(x0)}" y="${px(y0)}" width="${px(w)}" height="${px(h)}" rx="2"/>` : ""}${label}</g>`;
  });
  const every = Math.ceil(count / 40);
  const marks = steps
    .filter((step) => step.number % every === 0)
    .map((step) => {
      const at = px(x(step.number + 0.5));
      if (step.kind !== "kernel")
        return html`<text class="axis" x="${at}" y="${height - bottom + 16}" text-anchor="middle">${step.kind}</text>`;
      return html`<a href="#kernel-${step.kernel}"><text class="axis link" x="${at}" y="${height - bottom + 16}" text-anchor="middle">${step.kernel}</text></a>`;
    });
  const loops = steps.flatMap((step) => {
    if (step.kind !== "for" && step.kind !== "while") return [];
    const [x0, x1, at] = [x(step.number), x(step.end + 1) - 1, height - bottom + 24];
    return [html`<path class="span" d="M${px(x0)} ${at}v4H${px(x1)}v-4"/><title>${step.kind}</title>`];
  });
  return html`<div class="scroll chart"><svg viewBox="0 0 ${width} ${height}" style="min-width:${Math.round(width * 0.75)}px" role="img" aria-label="buffers in the arena by step">
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="6" class="hatch-line"/></pattern></defs>
${grid}${shapes}${marks}${loops}<text class="axis" x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">step, by the number of its kernel</text></svg></div>`;
}

function blocksOf(
  buffers: readonly BufferPicture[],
  kernels: Context["inspection"]["kernels"],
  steps: readonly StepPicture[],
): Block[] {
  const shared = new Map<number, string[]>();
  for (const { of, name, place } of buffers)
    if (of !== undefined && place === "arena") shared.set(of, [...(shared.get(of) ?? []), name]);
  const values = buffers
    .filter((buffer) => buffer.place === "arena" && buffer.of === undefined)
    .map((buffer): Block => {
      const more = shared.get(buffer.id) ?? [];
      const name = [buffer.name, ...more].join(", ");
      const { offset, firstStep: first, lastStep: last } = buffer;
      const title = `${name}: ${buffer.dtype}[${buffer.shape.replace(/^\[|\]$/g, "")}], ${bytes(buffer.bytes)} at ${offset}, steps ${first} to ${last}`;
      return { name, title, offset, bytes: buffer.bytes, first, last, colour: buffer.id % 12, scratch: false };
    });
  const scratch = steps.flatMap((step) => {
    if (step.kind !== "kernel") return [];
    const kernel = kernels[step.kernel]!;
    return kernel.scratch.map(
      (part): Block => ({
        name: part.name,
        title: `${part.name}, working space of kernel ${kernel.index}: ${bytes(part.bytes)} at ${part.offset}`,
        offset: part.offset,
        bytes: part.bytes,
        first: step.number,
        last: step.number,
        colour: kernel.index % 12,
        scratch: true,
      }),
    );
  });
  return [...scratch, ...values];
}

const places = {
  arg: "arguments",
  state: "variables",
  stateOut: "new values of variables",
  const: "captured tensors and constants",
  result: "results",
} as const;

function outside(buffers: readonly BufferPicture[]): Html {
  const groups = Object.entries(places).flatMap(([place, title]) => {
    const members = buffers.filter((buffer) => buffer.place === place);
    if (members.length === 0) return [];
    const sum = members.reduce((n, buffer) => n + buffer.bytes, 0);
    const note = place === "stateOut" ? " (written over the old ones where nobody else holds them)" : "";
    const rows = members.map(
      ({ name, dtype, shape, bytes: size }) =>
        html`<tr><td>${name}</td><td><code>${dtype}[${shape.replace(/^\[|\]$/g, "")}]</code></td><td class="num">${bytes(size)}</td></tr>`,
    );
    return [
      html`<details class="reason"><summary><b>${title}${note}</b><span class="muted">${plural(members.length, "buffer")}, ${bytes(sum)}</span></summary><div class="scroll"><table class="plain"><tbody>${rows}</tbody></table></div></details>`,
    ];
  });
  return groups.length === 0 ? html`<p class="none">Nothing.</p>` : html`${groups}`;
}

function px(n: number): string {
  return String(Math.round(n * 10) / 10);
}
