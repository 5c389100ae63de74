/** Graph to nests: `lower` is the pipeline of fusion, one readable list. */
import type { FusionNote, Graph, NestProgram, NestStep } from "@sinter/ir";
import { absorbPermutations } from "./absorb.ts";
import { alignToReductions } from "./align.ts";
import { buildKernel } from "./build.ts";
import { decideFused, decideUnfused } from "./decide.ts";
import { formKernel, isRefused } from "./form.ts";
import { mergeUnits } from "./merge.ts";
import { buildModel } from "./model.ts";
import { planSteps } from "./steps.ts";
import { makeTemplates } from "./template.ts";
import { type Unit, unitName, unitNode } from "./units.ts";

export interface LowerOptions {
  /** One kernel per op where false; movement never makes one by itself. */
  readonly fuse?: boolean;
}

/** Call inside an `expressionScope` that lasts until the program is emitted. */
export function lower(graph: Graph, options: LowerOptions = {}): NestProgram {
  const model = absorbPermutations(buildModel(graph));
  const { materialised, notes } = options.fuse === false ? decideUnfused(model) : decideFused(model);
  const templates = makeTemplates(model, materialised);
  if (options.fuse !== false) alignToReductions(model, templates);
  const singles = [...templates.values()].map((template): Unit => {
    const formed = formKernel([template]);
    if (isRefused(formed)) throw new Error(`value %${template.id} cannot be a kernel: ${formed.refused}`);
    return { templates: [template], formed };
  });
  const merged = options.fuse === false ? { units: singles, notes: () => [] } : mergeUnits(model, singles);
  const { buffers, storage, order } = planSteps(model, merged.units);
  const steps = order.map((item, position): NestStep => {
    if (item.kind === "copy") return item;
    const unit = merged.units[item.unit]!;
    const kernel = buildKernel(unitName(model, unit, position), unit.formed, (id) => {
      const found = storage.get(id);
      if (found === undefined) throw new Error(`value %${id} has no storage`);
      return found;
    });
    return { kind: "kernel", kernel, node: unitNode(model, unit) };
  });
  // Notes are made when somebody reads them: most compilations end without.
  let all: readonly FusionNote[] | undefined;
  return {
    name: graph.name,
    buffers,
    steps,
    get notes() {
      all ??= [...notes, ...merged.notes()];
      return all;
    },
  };
}
