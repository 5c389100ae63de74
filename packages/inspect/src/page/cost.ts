/** Work and traffic of each kernel, and where a machine's arithmetic or its memory bounds them: a roofline. */
import { type KernelPicture, type Peaks, roofline } from "@sinter/runtime";
import { operationsIn } from "../graph/model.ts";
import { bytes, count, percent, seconds, short } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Context, chipOf, leastSecondsOfCall, onDevice, type Section } from "./parts.ts";

export function cost({ inspection, machine }: Context): Section {
  const { kernels } = inspection;
  const times = kernels.map((kernel) => leastSecondsOfCall(kernel, machine));
  const total = times.reduce((n, t) => n + t, 0) || 1;
  const order = [...kernels].sort((a, b) => times[b.index]! - times[a.index]! || a.index - b.index);
  const rows = order.map((kernel) => {
    const moved = kernel.bytesRead + kernel.bytesWritten;
    const bound =
      moved === 0 && kernel.flops === 0 ? "" : roofline(kernel, machine).by === "compute" ? "arithmetic" : "memory";
    const share = times[kernel.index]! / total;
    return html`<tr><td>${chipOf(kernel)}</td><td class="name"><a href="#kernel-${kernel.index}">${operationsIn(kernel)}</a></td><td>${kernel.schedule}</td><td class="num">${count(kernel.flops)}</td><td class="num">${bytes(kernel.bytesRead)}</td><td class="num">${bytes(kernel.bytesWritten)}</td><td class="num">${short(kernel.intensity)}</td><td class="num">${kernel.runs ?? "?"}</td><td>${bound}</td><td class="share"><span class="bar" style="--part:${share.toFixed(3)}">${percent(share)}</span></td></tr>`;
  });
  const { cost: sum } = inspection;
  const unknown = kernels.some((kernel) => kernel.runs === null);
  return {
    id: "cost",
    title: "Cost",
    lead: html`Counted from the loops and the plan, not measured: arithmetic, bytes that go in and out, and flops per byte, which say whether arithmetic or memory bounds a kernel.`,
    body: html`
<h3>Roofline</h3>
<p class="lead">To the right more arithmetic per byte, upwards more speed. No kernel gets above the line of a machine with ${short(machine.gflops)} GFLOP/s and ${short(machine.gbs)} GB/s (${onDevice(inspection) ? "a small GPU" : "one core"}; an assumption, not a measurement); left of the bend memory is the limit, right of it arithmetic. A point stands for a kernel at that limit; the larger, the more of the call’s least time is in it.</p>
${drawing(kernels, times, total, machine)}
<h3>Kernels, the most expensive first</h3>
<p class="lead">Each of one run; the share is of the least time of all runs in a call${unknown ? ", where a ? stands for as often as data says, and counts once" : ""}.</p>
<div class="scroll"><table class="sums"><thead><tr><th></th><th>kernel</th><th>loops</th><th class="num">flop</th><th class="num">read</th><th class="num">written</th><th class="num">flop/byte</th><th class="num">runs</th><th>bound by</th><th>share</th></tr></thead><tbody>${rows}</tbody>
<tfoot><tr><td></td><td>a call</td><td></td><td class="num">${count(sum.flops)}</td><td class="num">${bytes(sum.bytesRead)}</td><td class="num">${bytes(sum.bytesWritten)}</td><td class="num">${short(sum.flops / Math.max(1, sum.bytesRead + sum.bytesWritten))}</td><td></td><td></td><td>${kernels.length === 0 ? "" : `at least ${seconds(total)}`}</td></tr></tfoot></table></div>`,
  };
}

const [width, height] = [880, 380];
const [left, right, top, bottom] = [64, 20, 16, 46];

function drawing(kernels: readonly KernelPicture[], times: readonly number[], total: number, machine: Peaks): Html {
  const points = kernels.filter((kernel) => kernel.flops > 0 && kernel.intensity > 0);
  if (points.length === 0) return html`<p class="none">No kernel does arithmetic.</p>`;
  const { gflops, gbs } = machine;
  const ridge = gflops / gbs;
  const low = Math.floor(Math.log10(Math.min(ridge / 20, ...points.map((kernel) => kernel.intensity))));
  const high = Math.ceil(Math.log10(Math.max(ridge * 10, ...points.map((kernel) => kernel.intensity))));
  const [bottomSpeed, topSpeed] = [Math.floor(Math.log10(gbs * 10 ** low)), Math.ceil(Math.log10(gflops * 1.3))];
  const x = (value: number): number => left + ((width - left - right) * (Math.log10(value) - low)) / (high - low);
  const y = (value: number): number =>
    height - bottom - ((height - top - bottom) * (Math.log10(value) - bottomSpeed)) / (topSpeed - bottomSpeed);
  const decades = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const vertical = decades(low, high).map(
    (e) =>
      html`<line class="grid" x1="${px(x(10 ** e))}" x2="${px(x(10 ** e))}" y1="${top}" y2="${height - bottom}"/><text class="axis" x="${px(x(10 ** e))}" y="${height - bottom + 16}" text-anchor="middle">${power(e)}</text>`,
  );
  const horizontal = decades(bottomSpeed, topSpeed).map(
    (e) =>
      html`<line class="grid" x1="${left}" x2="${width - right}" y1="${px(y(10 ** e))}" y2="${px(y(10 ** e))}"/><text class="axis" x="${left - 8}" y="${px(y(10 ** e) + 4)}" text-anchor="end">${power(e)}</text>`,
  );
  const roof = `M${px(x(10 ** low))} ${px(y(gbs * 10 ** low))}L${px(x(ridge))} ${px(y(gflops))}H${px(x(10 ** high))}`;
  const shown = [...points].sort((a, b) => times[b.index]! - times[a.index]!);
  const taken: { x: number; y: number }[] = [];
  const dots = shown.map((kernel) => {
    const speed = kernel.flops / roofline(kernel, machine).milliseconds / 1e6;
    const [cx, cy] = [x(kernel.intensity), y(speed)];
    const radius = 4 + 14 * Math.sqrt(times[kernel.index]! / total);
    const free = radius >= 8 || !taken.some((other) => Math.hypot(other.x - cx, other.y - cy) < 18);
    if (free) taken.push({ x: cx, y: cy });
    const title = `kernel ${kernel.index}, ${operationsIn(kernel)}: ${short(kernel.intensity)} flop/byte, at most ${short(speed)} GFLOP/s, ${percent(times[kernel.index]! / total)} of the least time`;
    const label = !free
      ? ""
      : radius >= 8
        ? html`<text class="inside" x="${px(cx)}" y="${px(cy + 4)}" text-anchor="middle">${kernel.index}</text>`
        : html`<text class="beside" x="${px(cx)}" y="${px(cy - radius - 4)}" text-anchor="middle">${kernel.index}</text>`;
    return html`<a href="#kernel-${kernel.index}" class="dot k${kernel.index % 12}"><title>${title}</title><circle cx="${px(cx)}" cy="${px(cy)}" r="${px(radius)}"/>${label}</a>`;
  });
  return html`<div class="scroll chart"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="roofline of the kernels">
${vertical}${horizontal}<path class="under" d="${roof}V${height - bottom}H${left}z"/><path class="roof" d="${roof}"/>
<text class="axis" text-anchor="end" x="${width - right}" y="${height - 8}">flop per byte</text><text class="axis" x="${left + 6}" y="${top + 12}">GFLOP/s, as many as the line allows</text>
${dots}</svg></div>`;
}

function power(exponent: number): string {
  return exponent >= -2 && exponent <= 4 ? String(10 ** exponent).replace(/(\.\d{0,2}).*/, "$1") : `1e${exponent}`;
}

function px(n: number): string {
  return String(Math.round(n * 10) / 10);
}
