/** Chooses the buffers of a program: which memory every kept value is stored to and read from. */
import {
  type BufferDecl,
  type BufferId,
  type Dim,
  type DType,
  type GraphResult,
  type TypedArray,
  valueName,
} from "@sinter/ir";
import type { Storage } from "./build.ts";
import { type GraphModel, infoOf, isLeaf } from "./model.ts";
import type { Unit } from "./units.ts";

/** A graph result and the buffer it goes out through. */
export interface Outlet {
  readonly value: number;
  readonly buffer: BufferId;
  /** The state value it replaces. */
  readonly replaces: number | undefined;
}

export class BufferTable {
  readonly decls: BufferDecl[] = [];
  private readonly model: GraphModel;
  private readonly leaves = new Map<number, BufferId>();
  private readonly counts: Record<BufferDecl["kind"], number> = {
    arg: 0,
    const: 0,
    state: 0,
    stateOut: 0,
    result: 0,
    temp: 0,
    row: 0,
  };

  constructor(model: GraphModel) {
    this.model = model;
    for (const param of model.graph.params) {
      if (param.kind === "token" || param.value.type.kind !== "tensor") continue;
      const { dtype, shape } = param.value.type;
      this.leaves.set(param.value.id, this.add(param.name, dtype, shape, param.kind));
    }
  }

  add(
    name: string,
    dtype: DType,
    shape: readonly Dim[],
    kind: BufferDecl["kind"],
    extra: { readonly replaces?: BufferId; readonly data?: TypedArray } = {},
  ): BufferId {
    const id = this.decls.length;
    this.decls.push({ id, name, dtype, shape, kind, slot: this.counts[kind]++, ...extra });
    return id;
  }

  /** `v3` for the value %3 of the printed graph. */
  name(letter: string, value: number): string {
    const { graph } = this.model;
    return letter + valueName(graph, { id: value }).slice(1);
  }

  temp(value: number): BufferId {
    const { dtype, shape } = infoOf(this.model, value).type;
    return this.add(this.name("v", value), dtype, shape, "temp");
  }

  /** The buffer of a parameter or a constant. */
  leaf(value: number): BufferId {
    let id = this.leaves.get(value);
    if (id === undefined) {
      const { type, data } = infoOf(this.model, value);
      if (data === undefined) throw new Error(`value %${value} is neither a parameter nor a constant`);
      id = this.add(this.name("c", value), type.dtype, type.shape, "const", { data });
      this.leaves.set(value, id);
    }
    return id;
  }

  /** Buffers for all results, in order. */
  outlets(): Outlet[] {
    const out: Outlet[] = [];
    this.model.graph.results.forEach((result, position) => {
      if (result.kind === "token") return;
      const { dtype, shape } = infoOf(this.model, result.value.id).type;
      const replaces = replacedBy(this.model, result);
      const buffer =
        replaces === undefined
          ? this.add(`out${position}`, dtype, shape, "result")
          : this.add(`${this.decls[this.leaf(replaces)]!.name}_next`, dtype, shape, "stateOut", {
              replaces: this.leaf(replaces),
            });
      out.push({ value: result.value.id, buffer, replaces });
    });
    return out;
  }
}

function replacedBy(model: GraphModel, result: GraphResult): number | undefined {
  return result.kind === "state" ? model.graph.params[result.param]!.value.id : undefined;
}

/** Where each kept value lives, given which outlets are stored to directly. */
export function placeValues(
  model: GraphModel,
  units: readonly Unit[],
  table: BufferTable,
  direct: readonly Outlet[],
  needsMemory: ReadonlySet<number>,
  sharedBase: ReadonlyMap<number, number>,
): Map<number, Storage> {
  const out = new Map<number, Storage>();
  const readIn = new Map<number, Set<string>>();
  units.forEach((unit, u) => {
    unit.formed.nests.forEach((nest, n) => {
      for (const { template } of nest.members)
        for (const read of template.reads) {
          const known = readIn.get(read.id) ?? new Set();
          readIn.set(read.id, known.add(`${u}.${n}`));
        }
    });
  });
  const bases = new Set(sharedBase.values());
  units.forEach((unit, u) => {
    unit.formed.nests.forEach((nest, n) => {
      for (const { template } of nest.members) {
        const id = template.id;
        if (bases.has(id)) continue;
        const targets = direct.filter((o) => o.value === id).map((o) => o.buffer);
        const readers = [...(readIn.get(id) ?? [])];
        const elsewhere = needsMemory.has(id) || readers.some((r) => !r.startsWith(`${u}.`));
        const otherNest = readers.some((r) => r !== `${u}.${n}`);
        const { dtype, shape } = infoOf(model, id).type;
        // An update needs its base copied somewhere even where all that reads it turned out to be empty; a library
        // kernel stores all its results.
        const stored = template.kind === "update" || template.kind === "library";
        if (targets.length === 0 && (elsewhere || stored)) targets.push(table.temp(id));
        else if (targets.length === 0 && otherNest) {
          const row = table.add(table.name("v", id), dtype, shape.slice(unit.formed.outer), "row");
          out.set(id, { targets: [row], read: row, row: true });
          continue;
        }
        out.set(id, { targets, read: targets[0], row: false });
      }
    });
  });
  // A base that nobody else reads is made where its update happens: the last of a chain of updates says where.
  for (const [update, base] of [...sharedBase].sort(([a], [b]) => b - a)) {
    const at = out.get(update)!.read!;
    out.set(base, { targets: [at], read: at, row: false });
  }
  for (const info of model.values)
    if (info !== undefined && isLeaf(info) && readIn.has(info.id))
      out.set(info.id, { targets: [], read: table.leaf(info.id), row: false });
  return out;
}
