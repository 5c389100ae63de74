/** Which operations share a kernel, and each reason why others do not. */
import type { Decision } from "@sinter/runtime";
import { operationsIn } from "../graph/model.ts";
import { plural } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Context, chipOf, nodeLink, type Section } from "./parts.ts";

const mostRows = 400;

export function fusion({ inspection }: Context): Section {
  const nodes = new Map(inspection.nodes.map((node) => [node.path, node]));
  const groups = inspection.kernels.map((kernel) => {
    const members = kernel.nodes.slice(0, 60).map((path) => nodeLink(path, nodes.get(path)?.op ?? path));
    const more = kernel.nodes.length > 60 ? html`<span class="more">and ${kernel.nodes.length - 60} more</span>` : "";
    return html`<tr><td>${chipOf(kernel)}</td><td><a href="#kernel-${kernel.index}">${operationsIn(kernel)}</a></td><td class="ops">${members}${more}</td></tr>`;
  });
  const refused = inspection.decisions.filter((decision) => !decision.fused);
  const fused = inspection.decisions.filter((decision) => decision.fused);
  return {
    id: "fusion",
    title: "Fusion",
    lead: html`Operations of one kernel hand their values on in registers. Between kernels values go through memory, and each time the compiler kept two operations apart it says why.`,
    body: html`
<h3>${plural(inspection.kernels.length, "kernel")} and what they hold</h3>
<p class="lead">An operation in several kernels is cheaper computed again than kept.</p>
<div class="scroll"><table class="groups"><tbody>${groups}</tbody></table></div>
<h3>${refused.length === 0 ? "Nothing was kept apart" : `Kept apart, ${plural(refused.length, "time")}`}</h3>
${refused.length === 0 ? "" : html`<p class="lead">The value of the first goes through memory to the second, for the reason given.</p>`}
${byReason(refused)}
<h3>${fused.length === 0 ? "Nothing was joined" : `Joined, ${plural(fused.length, "time")}`}</h3>
${fused.length === 0 ? "" : html`<p class="lead">The first became part of the second’s loops, or is computed again where it is needed.</p>`}
${byReason(fused)}`,
  };
}

function byReason(decisions: readonly Decision[]): Html {
  const groups = new Map<string, Decision[]>();
  for (const decision of decisions) {
    // Reasons that differ in a number only are one.
    const key = decision.reason.replace(/\d+/g, "#");
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [decision]);
    else list.push(decision);
  }
  const largest = [...groups.values()].sort((a, b) => b.length - a.length);
  return html`${largest.map((list) => {
    const uniform = list.every((decision) => decision.reason === list[0]!.reason);
    const rows = list
      .slice(0, mostRows)
      .map(
        (decision) =>
          html`<tr><td>${end(decision.producer, decision.producerNodes)}</td><td class="to">→</td><td>${end(decision.consumer, decision.consumerNodes)}</td>${uniform ? "" : html`<td class="why">${decision.reason}</td>`}</tr>`,
      );
    const rest = list.length > mostRows ? html`<p class="none">and ${list.length - mostRows} more</p>` : "";
    const title = uniform ? list[0]!.reason : general(list[0]!.reason);
    return html`<details class="reason"${list.length <= 8 ? html` open` : ""}><summary><b>${title}</b><span class="muted">${plural(list.length, "time")}</span></summary><div class="scroll"><table><tbody>${rows}</tbody></table></div>${rest}</details>`;
  })}`;
}

/** `expensive (41 flops)` of several numbers: `expensive (… flops)` */
function general(reason: string): string {
  return reason.replace(/\d+/g, "…");
}

function end(text: string, paths: readonly string[]): Html {
  const path = paths[0];
  return path === undefined ? html`<code>${text}</code>` : nodeLink(path, text);
}
