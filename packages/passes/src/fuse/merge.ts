/**
 * Which kept values share a kernel: pairs of units merge greedily by the bytes that stay out of memory, as long as the
 * merged loops can be formed and nothing in between is left waiting for itself.
 */
import type { FusionNote } from "@sinter/ir";
import { type FormedKernel, formKernel, isIdentity, isRefused, pointsIn, type Refused, rowMisfit } from "./form.ts";
import { type Extent, extentOf, mostRead, tooMany, tooManyBuffers, tooMuch } from "./limits.ts";
import { bytesPer, type GraphModel, infoOf } from "./model.ts";
import { fusionNote } from "./provenance.ts";
import { Queue } from "./queue.ts";
import type { Template } from "./template.ts";
import { UnitOrder } from "./unit-order.ts";
import type { Unit } from "./units.ts";

/** Members of one kernel: keeps expressions shallow and compile times bounded. */
const mostMembers = 24;
/** Points of a nest up to which kernels merge just to be fewer. */
const tinyNest = 64;
/** Values smaller than this are no reason by themselves to bring their readers together. */
const smallBytes = 256;
/** Of the readers of one value, in order, how many on each side a unit is paired with. */
const nearReaders = 12;
/** Tiny kernels tried one after the other, in vain, as company for one. */
const nearTiny = 12;
/** An epilogue is always tried before anything else. */
const epilogueBonus = 2 ** 40;

interface Candidate {
  readonly a: number;
  readonly b: number;
  readonly saved: number;
  /** The units when the pair was proposed: it is void once either has merged. */
  readonly units: readonly [Unit, Unit];
}

export function mergeUnits(
  model: GraphModel,
  units: readonly Unit[],
  mostBuffers: number,
): { units: readonly Unit[]; notes: () => readonly FusionNote[] } {
  const merger = new Merger(model, units, mostBuffers);
  merger.run();
  return { units: merger.result(), notes: () => merger.notes() };
}

class Merger {
  private readonly model: GraphModel;
  private readonly mostBuffers: number;
  /** By the id of the unit's first value. */
  private readonly units = new Map<number, Unit>();
  /** From a kept value to its unit. */
  private readonly owner = new Map<number, number>();
  /** From any value to the kept values that need it. */
  private readonly readers = new Map<number, number[]>();
  /** All candidates, void ones too. */
  private readonly queue = new Queue<Candidate>(comesBefore);
  private readonly sources = new WeakMap<Unit, ReadonlySet<number>>();
  /** From a unit to those that read it, by ids that they had once. */
  private readonly successors = new Map<number, ReadonlySet<number>>();
  private readonly order: UnitOrder;
  private readonly extents = new Map<Template, Extent>();
  private readonly fused: FusionNote[] = [];

  constructor(model: GraphModel, units: readonly Unit[], mostBuffers: number) {
    this.model = model;
    this.mostBuffers = mostBuffers;
    for (const unit of units) {
      const id = unit.templates[0]!.id;
      this.units.set(id, unit);
      this.owner.set(id, id);
      for (const source of this.needs(unit)) {
        const list = this.readers.get(source) ?? [];
        list.push(id);
        this.readers.set(source, list);
      }
    }
    this.order = new UnitOrder(this.units.keys(), (id) => this.after(id));
  }

  run(): void {
    for (const id of this.units.keys()) this.propose(id, (other) => other < id);
    for (let best = this.best(); best !== undefined; best = this.best()) this.attempt(best);
    this.gatherTiny();
  }

  /** What is left of tiny kernels joins its neighbours, whatever they share. */
  private gatherTiny(): void {
    const tiny = [...this.units].flatMap(([id, unit]) => (isTiny(unit) ? [id] : [])).sort((a, b) => a - b);
    for (const [i, id] of tiny.entries()) {
      if (this.owner.get(id) !== id) continue;
      let misses = 0;
      for (let j = i + 1; j < tiny.length && misses < nearTiny; j++) {
        const other = tiny[j]!;
        if (this.owner.get(other) !== other) continue;
        const units = [this.units.get(id)!, this.units.get(other)!] as const;
        if (units[0].templates.length >= mostMembers || !isTiny(units[0])) break;
        if (!this.attempt({ a: id, b: other, saved: 0, units })) misses++;
      }
    }
  }

  result(): Unit[] {
    return [...this.units.values()];
  }

  /** The merges, then for every edge that is left why it could not be one. */
  notes(): FusionNote[] {
    const out = [...this.fused];
    for (const [source, list] of this.readers) {
      const from = this.owner.get(source);
      if (from === undefined) continue;
      for (const to of new Set(list.map((id) => this.owner.get(id)!))) {
        if (to === from) continue;
        const found = this.check(this.units.get(from)!, this.units.get(to)!, from, to);
        const reader = list.find((id) => this.owner.get(id) === to)!;
        if (isRefused(found)) out.push(this.note(false, source, reader, found.refused));
      }
    }
    return out;
  }

  private note(fused: boolean, producer: number, consumer: number, reason: string): FusionNote {
    return fusionNote(this.model, fused, producer, consumer, reason);
  }

  private best(): Candidate | undefined {
    for (;;) {
      const first = this.queue.take();
      if (first === undefined) return undefined;
      const { a, b, units } = first;
      if (this.units.get(a) === units[0] && this.units.get(b) === units[1]) return first;
    }
  }

  private attempt({ a, b, saved, units: [first, second] }: Candidate): boolean {
    if (first.templates.length + second.templates.length > mostMembers) return false;
    const formed = this.check(first, second, a, b);
    if (isRefused(formed)) return false;
    const templates = [...first.templates, ...second.templates].sort((x, y) => x.id - y.id);
    this.explain(first, second, formed.nests.length, saved);
    const id = templates[0]!.id;
    this.order.merge(a, b, id);
    const after = new Set([...this.after(a), ...this.after(b)]);
    this.units.delete(a);
    this.units.delete(b);
    this.units.set(id, { templates, formed });
    for (const t of templates) this.owner.set(t.id, id);
    this.successors.delete(a);
    this.successors.delete(b);
    this.successors.set(id, after);
    this.propose(id);
    return true;
  }

  private explain(first: Unit, second: Unit, nests: number, saved: number): void {
    const how = nests === 1 ? "same loops" : `same rows, ${nests} nests`;
    const bytes = saved >= epilogueBonus ? saved - epilogueBonus : saved;
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const)
      for (const t of to.templates)
        for (const id of new Set(t.reads.map((r) => r.id)))
          if (from.templates.some((s) => s.id === id))
            this.fused.push(this.note(true, id, t.id, `${how}: saves ${bytes} bytes`));
  }

  /** Pairs of this unit with units that it shares a value with. */
  private propose(id: number, accept: (other: number) => boolean = () => true): void {
    const unit = this.units.get(id)!;
    const others = new Set<number>();
    for (const source of this.needs(unit)) {
      const maker = this.owner.get(source);
      if (maker !== undefined) others.add(maker);
      // A contraction takes only what it makes, or is made for it.
      if (this.bytes(source) < smallBytes || isProduct(unit)) continue;
      for (const reader of this.near(this.readers.get(source)!, unit)) {
        const other = this.owner.get(reader)!;
        if (!isProduct(this.units.get(other)!)) others.add(other);
      }
    }
    for (const t of unit.templates)
      for (const reader of this.near(this.readers.get(t.id) ?? [], unit)) others.add(this.owner.get(reader)!);
    others.delete(id);
    for (const other of others) {
      if (!accept(other)) continue;
      const [a, b] = [Math.min(id, other), Math.max(id, other)];
      this.queue.add({ a, b, saved: this.saved(a, b), units: [this.units.get(a)!, this.units.get(b)!] });
    }
  }

  /** Of a value's readers (in order), those next to the unit. */
  private near(readers: readonly number[], { templates }: Unit): Iterable<number> {
    if (readers.length <= 2 * nearReaders) return readers;
    const out = new Set<number>();
    for (const { id } of templates) {
      const at = lowerBound(readers, id);
      for (const reader of readers.slice(Math.max(0, at - nearReaders), at + nearReaders + 1)) out.add(reader);
    }
    return out;
  }

  private bytes(value: number): number {
    const info = infoOf(this.model, value);
    return info.points * bytesPer(info.type.dtype);
  }

  /** Values that must exist before the unit runs, or that it makes itself. */
  private needs(unit: Unit): ReadonlySet<number> {
    let out = this.sources.get(unit);
    if (out === undefined) {
      const ids = unit.templates.flatMap((t) => t.reads.map((r) => r.id));
      for (const t of unit.templates) if (t.kind === "update") ids.push(infoOf(this.model, t.id).operands[0]!);
      out = new Set(ids);
      this.sources.set(unit, out);
    }
    return out;
  }

  /** Bytes that need not be moved: reads of what the other has at hand, and writes that nobody else reads. */
  private saved(a: number, b: number): number {
    const [first, second] = [this.units.get(a)!, this.units.get(b)!];
    const isMember = (id: number): boolean => {
      const owner = this.owner.get(id);
      return owner === a || owner === b;
    };
    let total = 0;
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const) {
      const wanted = this.needs(to);
      for (const t of from.templates) {
        if (!wanted.has(t.id)) continue;
        const inside = this.readers.get(t.id)!.every(isMember) && this.model.resultUses[t.id] === 0;
        total += this.bytes(t.id) * (inside ? 2 : 1);
        if (t.kind === "reduce" && to.templates.some((u) => readsInPlace(u, t.id))) total += epilogueBonus;
      }
    }
    const [x, y] = [this.needs(first), this.needs(second)];
    for (const id of x) if (y.has(id) && !isMember(id)) total += this.bytes(id);
    return total;
  }

  /** The kernel that two units can be, or why they cannot be one. */
  private check(first: Unit, second: Unit, a: number, b: number): FormedKernel | Refused {
    const edge = this.reads(first, second) || this.reads(second, first);
    const product = isProduct(first) || isProduct(second);
    if (!edge && product) return { refused: "a contraction takes only an epilogue over its own result" };
    const through = this.order.between(a, b);
    if (through !== undefined) return { refused: `cycle through ${infoOf(this.model, through).label}` };
    const formed = formKernel([...first.templates, ...second.templates].sort((x, y) => x.id - y.id));
    if (isRefused(formed)) return formed;
    const nests = Math.max(first.formed.nests.length, second.formed.nests.length);
    if (!edge && formed.nests.length > nests && !(isTiny(first) && isTiny(second)))
      return { refused: "nothing to share but the order" };
    if (formed.nests.length > 1 && formed.outer === 0 && Math.max(first.formed.outer, second.formed.outer) > 0)
      return { refused: rowMisfit([...first.templates, ...second.templates]) };
    if (first.templates.length + second.templates.length > mostMembers)
      return { refused: `more than ${mostMembers} results` };
    if (new Set([...this.needs(first), ...this.needs(second)]).size > mostRead) return { refused: tooMany };
    if (this.buffersOf(first, second) > this.mostBuffers) return { refused: tooManyBuffers };
    const growth = tooMuch(formed, (template) => this.extent(template));
    return growth === undefined ? formed : { refused: growth };
  }

  /** What one kernel of both reads that neither makes, and what it makes that others read. */
  private buffersOf(first: Unit, second: Unit): number {
    if (this.mostBuffers === Number.POSITIVE_INFINITY) return 0;
    const made = new Set([...first.templates, ...second.templates].map((t) => t.id));
    const read = new Set([...this.needs(first), ...this.needs(second)].filter((id) => !made.has(id)));
    const owners = new Set([first.templates[0]!.id, second.templates[0]!.id].map((id) => this.owner.get(id)));
    const written = [...made].filter((id) => {
      const readers = this.readers.get(id) ?? [];
      return readers.length === 0 || readers.some((reader) => !owners.has(this.owner.get(reader)));
    });
    return read.size + written.length;
  }

  private extent(template: Template): Extent {
    let out = this.extents.get(template);
    if (out === undefined) this.extents.set(template, (out = extentOf(template)));
    return out;
  }

  private reads(reader: Unit, maker: Unit): boolean {
    const sources = this.needs(reader);
    return maker.templates.some((t) => sources.has(t.id));
  }

  private after(id: number): ReadonlySet<number> {
    let out = this.successors.get(id);
    if (out === undefined) {
      out = new Set(this.units.get(id)!.templates.flatMap((t) => this.readers.get(t.id) ?? []));
      this.successors.set(id, out);
    }
    for (const known of out) {
      if (this.owner.get(known) === known) continue;
      out = new Set([...out].map((once) => this.owner.get(once)!));
      this.successors.set(id, out);
      break;
    }
    return out;
  }
}

/** More bytes first, then neighbours in the graph, then earlier. */
function comesBefore(x: Candidate, y: Candidate): boolean {
  if (x.saved !== y.saved) return x.saved > y.saved;
  const [near, far] = [x.b - x.a, y.b - y.a];
  if (near !== far) return near < far;
  return x.a !== y.a ? x.a < y.a : x.b < y.b;
}

function readsInPlace(template: Template, id: number): boolean {
  const reads = template.reads.filter((r) => r.id === id);
  return template.kind === "map" && reads.length === 1 && isIdentity(reads[0]!.index, template.par);
}

function isTiny(unit: Unit): boolean {
  return (
    unit.templates.every((t) => t.kind === "map" || t.kind === "reduce") &&
    unit.formed.nests.every((n) => pointsIn(n) <= tinyNest) &&
    unit.formed.outer === 0
  );
}

function isProduct(unit: Unit): boolean {
  return unit.templates.some((t) => t.contraction);
}

/** The first place in an ascending list whose value is not below `value`. */
function lowerBound(list: readonly number[], value: number): number {
  let [lo, hi] = [0, list.length];
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (list[middle]! < value) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
