/** Chooses the buffers of one graph of a program: which memory every kept value is stored to and read from. */
import { type Dim, type DType, valueName } from "@sinter/ir";
import type { Buffers, Handle } from "./buffers.ts";
import type { Storage } from "./build.ts";
import { type GraphModel, infoOf, isLeaf } from "./model.ts";
import type { TemplateKind } from "./template.ts";
import type { Unit } from "./units.ts";

/** A result of a graph and the buffer it goes out through. */
export interface Outlet {
  readonly value: number;
  readonly buffer: Handle;
  /** The parameter whose contents the buffer has, or may have, before. */
  readonly replaces: number | undefined;
  /**
   * The buffer is that of `replaces`, and may be exchanged for another of its kind: where the value cannot be stored over
   * the old one it gets memory of its own, which then changes places with the buffer.
   */
  readonly exchange: boolean;
  /** The buffer's memory is known outside, so that nothing in it may be exchanged. */
  readonly fixed: boolean;
}

/** The buffers of one graph's values. */
export class LevelBuffers {
  readonly all: Buffers;
  private readonly model: GraphModel;
  private readonly leaves: Map<number, Handle>;

  /** `params`: the buffers of the graph's parameters, by value. */
  constructor(all: Buffers, model: GraphModel, params: ReadonlyMap<number, Handle>) {
    this.all = all;
    this.model = model;
    this.leaves = new Map(params);
  }

  /** `v3` for the value %3 of the printed graph. */
  private name(letter: string, value: number): string {
    return letter + valueName(this.model.graph, { id: value }).slice(1);
  }

  temp(value: number): Handle {
    const { dtype, shape } = infoOf(this.model, value).type;
    return this.all.add(this.name("v", value), dtype, shape, "temp");
  }

  row(value: number, dtype: DType, shape: readonly Dim[]): Handle {
    return this.all.add(this.name("v", value), dtype, shape, "row");
  }

  /** The buffer of a parameter or a constant. */
  leaf(value: number): Handle {
    let handle = this.leaves.get(value);
    if (handle === undefined) {
      const { type, data } = infoOf(this.model, value);
      if (data === undefined) throw new Error(`value %${value} is neither a parameter nor a constant`);
      handle = this.all.add(this.name("c", value), type.dtype, type.shape, "const", { data });
      this.leaves.set(value, handle);
    }
    return handle;
  }
}

/** Whether a kernel of this kind stores each result to one buffer, whatever reads it. */
export function storesOnce(kind: TemplateKind): boolean {
  return kind === "update" || kind === "library" || kind === "host" || kind === "control";
}

/** Where each kept value lives, given which outlets are stored to directly. */
export function placeValues(
  model: GraphModel,
  units: readonly Unit[],
  table: LevelBuffers,
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
        // An update needs its base copied somewhere even where all that reads it turned out to be empty; library kernels
        // and regions store all their results.
        const stored = storesOnce(template.kind);
        if (targets.length === 0 && (elsewhere || stored)) targets.push(table.temp(id));
        else if (targets.length === 0 && otherNest) {
          const row = table.row(id, dtype, shape.slice(unit.formed.outer));
          out.set(id, { targets: [row], read: row, row: true });
          continue;
        }
        out.set(id, { targets, read: targets[0], row: false });
      }
    });
  });
  // A base that nobody else reads is made where what starts from it will be: the last of a chain says where.
  for (const [value, base] of [...sharedBase].sort(([a], [b]) => b - a)) {
    const at = out.get(value)!.read!;
    out.set(base, { targets: [at], read: at, row: false });
  }
  for (const info of model.values)
    if (info !== undefined && isLeaf(info) && readIn.has(info.id))
      out.set(info.id, { targets: [], read: table.leaf(info.id), row: false });
  return out;
}
