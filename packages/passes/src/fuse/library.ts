/**
 * What takes and gives whole tensors in memory, bound to the buffers of its operands and results: loops that an op brings
 * along, and calls of whoever runs the program.
 */
import type { BufferId, HostCall, LibraryKernel } from "@sinter/ir";
import type { StorageOf } from "./build.ts";
import type { ValueInfo } from "./model.ts";
import type { Unit } from "./units.ts";

/** `info` is one of the unit's values. */
export function buildLibrary(name: string, info: ValueInfo, unit: Unit, storageOf: StorageOf): LibraryKernel {
  const { rule, ctx } = info;
  if (rule?.kind !== "library" || ctx === undefined) throw new Error(`${info.label} has no loops of its own`);
  const { operands, results: writes } = buffersOf(info, unit, storageOf);
  return { kind: "library", name, loops: rule.build(ctx, name), args: [...operands, ...writes], writes };
}

export function buildHostCall(
  info: ValueInfo,
  unit: Unit,
  storageOf: StorageOf,
): { readonly call: HostCall; readonly operands: readonly BufferId[]; readonly results: readonly BufferId[] } {
  const { rule, ctx } = info;
  if (rule?.kind !== "host" || ctx === undefined) throw new Error(`${info.label} is no call of the host`);
  return { call: rule.call(ctx), ...buffersOf(info, unit, storageOf) };
}

function buffersOf(info: ValueInfo, unit: Unit, storageOf: StorageOf) {
  const memory = (id: number): BufferId => {
    const { read } = storageOf(id);
    if (read === undefined) throw new Error(`value %${id} is read but has no buffer`);
    return read;
  };
  return { operands: info.operands.map(memory), results: unit.templates.map((t) => memory(t.id)) };
}
