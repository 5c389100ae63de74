/** Graph to nests: `lower` is the pipeline of fusion, one readable list. */
import type { FusionNote, Graph, NestProgram, NestStep } from "@sinter/ir";
import { absorbPermutations } from "./absorb.ts";
import { alignToReductions } from "./align.ts";
import { buildKernel, type StorageOf } from "./build.ts";
import { decideFused, decideUnfused } from "./decide.ts";
import { buildLibrary } from "./library.ts";
import { mergeUnits } from "./merge.ts";
import { buildModel, infoOf } from "./model.ts";
import { planSteps } from "./steps.ts";
import { makeTemplates } from "./template.ts";
import { startUnits, unitName, unitNode } from "./units.ts";

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
  const singles = startUnits([...templates.values()]);
  const merged = options.fuse === false ? { units: singles, notes: () => [] } : mergeUnits(model, singles);
  const { buffers, storage, order } = planSteps(model, merged.units);
  const steps = order.map((item, position): NestStep => {
    if (item.kind === "copy") return item;
    const unit = merged.units[item.unit]!;
    const name = unitName(model, unit, position);
    const storageOf: StorageOf = (id) => {
      const found = storage.get(id);
      if (found === undefined) throw new Error(`value %${id} has no storage`);
      return found;
    };
    const kernel =
      unit.templates[0]!.kind === "library"
        ? buildLibrary(name, infoOf(model, unit.templates[0]!.id), unit, storageOf)
        : buildKernel(name, unit.formed, storageOf);
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
