/** Library kernels: loops that an op brings along, bound to the buffers of its operands and results. */
import type { BufferId, LibraryKernel } from "@sinter/ir";
import type { StorageOf } from "./build.ts";
import type { ValueInfo } from "./model.ts";
import type { Unit } from "./units.ts";

/** `info` is one of the unit's values. */
export function buildLibrary(name: string, info: ValueInfo, unit: Unit, storageOf: StorageOf): LibraryKernel {
  const { rule, ctx } = info;
  if (rule?.kind !== "library" || ctx === undefined) throw new Error(`${info.label} has no loops of its own`);
  const memory = (id: number): BufferId => {
    const { read } = storageOf(id);
    if (read === undefined) throw new Error(`value %${id} is read but has no buffer`);
    return read;
  };
  const writes = unit.templates.map((t) => memory(t.id));
  return {
    kind: "library",
    name,
    loops: rule.build(ctx, name),
    args: [...info.operands.map(memory), ...writes],
    writes,
  };
}
