/** What was compiled, for the terminal. */
import { basename } from "node:path";
import { format, operationsIn, signatureText, sizesText } from "@sinter/inspect";
import type { Inspection, KernelPicture } from "@sinter/runtime";
import { table } from "../text.ts";

const mostKernels = 60;

export function summaryText(inspection: Inspection): string {
  const { cost, nodes, kernels, passes } = inspection;
  const spent = passes.reduce((n, pass) => n + pass.milliseconds, 0);
  const facts = [
    `${format.plural(nodes.length, "operation")} in ${format.plural(kernels.length, "kernel")}`,
    `${format.flops(cost.flops)}`,
    `${format.bytes(cost.bytesRead + cost.bytesWritten)} moved`,
    `arena ${format.bytes(inspection.arenaBytes)}`,
    `${format.bytes(cost.codeBytes)} of code`,
    `compiled in ${format.seconds(spent / 1000)}`,
  ];
  const rows = kernels
    .slice(0, mostKernels)
    .map((kernel) => [
      String(kernel.index),
      operationsIn(kernel),
      kernel.schedule,
      format.flops(kernel.flops),
      format.bytes(kernel.bytesRead + kernel.bytesWritten),
      kernel.runs === null ? "?" : String(kernel.runs),
      linesOf(kernel),
    ]);
  const head = ["", "kernel", "loops", "work", "moved", "runs", "lines"];
  const more = kernels.length > mostKernels ? `  and ${kernels.length - mostKernels} more; --html shows all\n` : "";
  const sizes = sizesText(inspection);
  const lines = [
    signatureText(inspection),
    `${inspection.target}${inspection.fastMath ? ", fast math" : ""}`,
    "",
    facts.join(", "),
    ...(sizes === undefined ? [] : [sizes]),
    "",
    table([head, ...rows], [0, 3, 4, 5]),
  ];
  return `${lines.join("\n")}\n${more}`;
}

/** `model.ts:34,35 loss.ts:12` */
function linesOf({ locs }: KernelPicture): string {
  const byFile = new Map<string, Set<number>>();
  for (const { file, line } of locs) byFile.set(file, (byFile.get(file) ?? new Set()).add(line));
  return [...byFile]
    .map(([file, lines]) => {
      const sorted = [...lines].sort((a, b) => a - b);
      return `${basename(file)}:${sorted.slice(0, 6).join(",")}${sorted.length > 6 ? ",..." : ""}`;
    })
    .join(" ");
}
