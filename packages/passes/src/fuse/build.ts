/** Writes a formed kernel as nests: templates rewritten onto the kernel's axes, values of one nest shared directly. */
import {
  type Accumulator,
  type Axis,
  axisIndex,
  type BufferId,
  type Carry,
  type IndexExpr,
  type Nest,
  type NestKernel,
  rewriteScalar,
  type ScalarExpr,
  type Store,
  scalarAcc,
  scalarConst,
  scalarGuard,
  scalarRead,
  substituteIndex,
} from "@sinter/ir";
import type { FormedKernel, FormedNest, Member } from "./form.ts";
import { splitAxes } from "./split.ts";
import { newAxes, type Template } from "./template.ts";

/** Where a materialised value lives. */
export interface Storage {
  /** Buffers that the kernel stores it to. */
  readonly targets: readonly BufferId[];
  /** Where others read it; a row buffer leaves the outer axes out. */
  readonly read: BufferId | undefined;
  readonly row: boolean;
}
export type StorageOf = (id: number) => Storage;

export function buildKernel(name: string, formed: FormedKernel, storageOf: StorageOf): NestKernel {
  const outer = newAxes(formed.nests.length > 1 ? outerSizes(formed) : [], "par");
  const nests = formed.nests.map((nest) => new NestBuilder(formed, nest, outer, storageOf).build());
  return { kind: "nests", name, outer, nests: nests.map(splitAxes) };
}

function outerSizes(formed: FormedKernel): readonly Axis["extent"][] {
  return formed.nests[0]!.members[0]!.template.par.slice(0, formed.outer).map((a) => a.extent);
}

class NestBuilder {
  private readonly storageOf: StorageOf;
  private readonly outer: readonly Axis[];
  /** Outer axes, then the nest's own. */
  private readonly par: readonly Axis[];
  private readonly tail: readonly Axis[];
  private readonly formed: FormedKernel;
  private readonly nest: FormedNest;
  private readonly accumulators: Accumulator[] = [];
  private readonly accumulatorKeys = new Map<string, number>();
  private carries: readonly Carry[] = [];
  private readonly stores: Store[] = [];
  /** Values of this nest's members, by id. */
  private readonly values = new Map<number, ScalarExpr>();

  constructor(formed: FormedKernel, nest: FormedNest, outer: readonly Axis[], storageOf: StorageOf) {
    this.formed = formed;
    this.nest = nest;
    this.outer = outer;
    this.storageOf = storageOf;
    const own = newAxes([...outer.map((a) => a.extent), ...nest.par], "par").slice(outer.length);
    this.par = [...outer, ...own];
    const kind = nest.members.find((m) => m.template.tail.length > 0)?.template.tail[0]?.kind ?? "red";
    this.tail = newAxes(nest.tail, kind);
  }

  build(): Nest {
    const order = { point: 0, alone: 0, fold: 1, end: 2 };
    const members = [...this.nest.members].sort(
      (a, b) => order[a.role] - order[b.role] || a.template.id - b.template.id,
    );
    for (const member of members) this.add(member);
    const axes = [...this.par.slice(this.outer.length), ...this.tail];
    return { axes, accumulators: this.accumulators, carries: this.carries, stores: this.stores };
  }

  private add({ template, role }: Member): void {
    const axes = this.axesFor(template, role);
    const accumulators = template.accumulators.map((a) => this.accumulator(a, axes));
    const rewrite = (e: ScalarExpr): ScalarExpr => this.rewrite(e, axes, accumulators);
    if (role === "alone")
      this.carries = template.carries.map((c) => ({ dtype: c.dtype, init: rewrite(c.init), next: rewrite(c.next) }));
    const value = rewrite(template.value);
    this.values.set(template.id, value);
    const position = template.index.map((ix) => substituteIndex(ix, axes, rewrite));
    const storage = this.storageOf(template.id);
    for (const buffer of storage.targets)
      this.stores.push({
        buffer,
        index: storage.row ? position.slice(this.formed.outer) : position,
        value,
        when: role === "fold" || role === "end" ? "end" : "body",
        ...(template.combine === undefined ? {} : { combine: template.combine }),
        ...(template.guard === undefined
          ? {}
          : { guard: template.guard.map((g) => ({ ...g, index: substituteIndex(g.index, axes, rewrite) })) }),
      });
  }

  /** From the template's axes to the nest's. */
  private axesFor(template: Template, role: Member["role"]): ReadonlyMap<number, IndexExpr> {
    const all = role === "end" ? this.par : [...this.par, ...this.tail];
    const own = [...template.par, ...template.tail];
    if (own.length !== all.length)
      throw new Error(`a member with ${own.length} axes in a nest with ${all.length}: fusion formed a wrong nest`);
    return new Map(own.map((a, i) => [a.id, axisIndex(all[i]!)]));
  }

  private accumulator(of: Accumulator, axes: ReadonlyMap<number, IndexExpr>): number {
    const values = of.values.map((v) => this.rewrite(v, axes, []));
    const key = `${of.combine} ${of.dtype} ${values.map((v) => v.key).join(",")}`;
    let known = this.accumulatorKeys.get(key);
    if (known === undefined) {
      known = this.accumulators.push({ combine: of.combine, dtype: of.dtype, values }) - 1;
      this.accumulatorKeys.set(key, known);
    }
    return known;
  }

  private rewrite(e: ScalarExpr, axes: ReadonlyMap<number, IndexExpr>, accumulators: readonly number[]): ScalarExpr {
    const leaf = (node: ScalarExpr): ScalarExpr => {
      if (node.kind === "acc") return scalarAcc(node.dtype, accumulators[node.accumulator]!, node.component);
      if (node.kind !== "read") return node;
      const here = this.values.get(node.buffer);
      if (here !== undefined) return scalarGuard(node.guard, here, scalarConst(node.dtype, node.fill));
      const { read, row } = this.storageOf(node.buffer);
      if (read === undefined) throw new Error(`value %${node.buffer} is read but has no buffer`);
      const index = row ? node.index.slice(this.formed.outer) : node.index;
      return scalarRead(node.dtype, read, index, node.guard, node.fill);
    };
    return rewriteScalar(e, axes, leaf);
  }
}
