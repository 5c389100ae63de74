/**
 * How far expressions grow. What comes after fusion walks them by recursion, so their depth is bounded here, counting
 * each op by its work: a function of many instructions is that much deeper when it is written out.
 */
import { scalarDepth, scalarSize } from "@sinter/ir";
import type { FormedKernel } from "./form.ts";
import type { ValueInfo } from "./model.ts";
import type { Template } from "./template.ts";

/** Work on the longest way through one expression. */
export const deepest = 192;
/** Work of one expression, and of all expressions of one nest. */
export const largest = 1024;

/** Values that one expression is made of, and that one kernel reads: wasm functions take so many parameters. */
export const mostSources = 96;
export const mostRead = 480;

export const tooDeep = "the expression would grow too deep";
export const tooLarge = "the expression would grow too large";
export const tooMany = "one kernel would read too many values";
export const tooManyBuffers = "one kernel would touch more buffers than the device allows";

/** What a value adds to the expressions it becomes part of; the cost of a fold is that of its loops. */
export function weightOf(info: ValueInfo): number {
  return info.rule?.kind === "map" ? Math.max(1, info.weight) : 1;
}

export interface Extent {
  readonly depth: number;
  readonly size: number;
}

/** Of everything that a template computes. */
export function extentOf(template: Template): Extent {
  const roots = [
    template.value,
    ...template.accumulators.flatMap((a) => a.values),
    ...template.carries.flatMap((c) => [c.init, c.next]),
  ];
  const size = roots.reduce((sum, root) => sum + scalarSize(root), 0);
  return { depth: Math.max(...roots.map(scalarDepth)), size };
}

/** Why a kernel's expressions would be too much, values of one nest standing in each other's expressions. */
export function tooMuch(kernel: FormedKernel, extents: (template: Template) => Extent): string | undefined {
  for (const { members } of kernel.nests) {
    if (members.length < 2) continue;
    const depths = new Map<number, number>();
    let size = 0;
    for (const { template } of [...members].sort((a, b) => a.template.id - b.template.id)) {
      const own = extents(template);
      const below = template.reads.reduce((most, read) => Math.max(most, depths.get(read.id) ?? 0), 0);
      if (below > 0 && below + own.depth > deepest) return tooDeep;
      depths.set(template.id, below + own.depth);
      size += own.size;
    }
    if (size > largest) return tooLarge;
  }
  return undefined;
}
