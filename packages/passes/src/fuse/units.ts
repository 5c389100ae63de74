/** Units of execution: what will be one kernel, with the values it makes. */
import type { NodePath } from "@sinter/ir";
import { type FormedKernel, formKernel, isOpaque, isRefused } from "./form.ts";
import type { GraphModel } from "./model.ts";
import { pathsOf } from "./provenance.ts";
import type { Template } from "./template.ts";

export interface Unit {
  /** In order of their ids. */
  readonly templates: readonly Template[];
  readonly formed: FormedKernel;
}

/** A unit for each template; the results of one library op, of one with regions, or of one loop over elements are one. */
export function startUnits(templates: readonly Template[]): Unit[] {
  const groups = new Map<string, Template[]>();
  for (const t of templates) {
    const key = isOpaque(t) || t.value.kind === "loop" ? `node ${t.node}` : `value ${t.id}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [t]);
    else group.push(t);
  }
  return [...groups.values()].map((group): Unit => {
    const formed = formKernel(group);
    if (isRefused(formed)) throw new Error(`value %${group[0]!.id} cannot be a kernel: ${formed.refused}`);
    return { templates: group, formed };
  });
}

/** Name for people and profiles: the ops whose results the kernel keeps. */
export function unitName(model: GraphModel, unit: Unit, position: string): string {
  const names = unit.templates.map((t) => model.graph.nodes[model.values[t.id]!.node]!.op);
  const shown = names.length > 4 ? [...names.slice(0, 3), names.at(-1)!] : names;
  return `${position}_${shown.join("_")}`;
}

/** The nodes of the lowered graph whose work the unit does. */
export function unitNodes({ graph }: GraphModel, { templates }: Unit): NodePath[] {
  return pathsOf(graph, new Set(templates.flatMap((t) => [...t.work])));
}
