import type { FusionNote } from "@sinter/ir";
import type { GraphModel } from "./model.ts";
import type { Unit } from "./units.ts";

export function mergeUnits(
  _model: GraphModel,
  units: readonly Unit[],
): { units: readonly Unit[]; notes: readonly FusionNote[] } {
  return { units, notes: [] };
}
