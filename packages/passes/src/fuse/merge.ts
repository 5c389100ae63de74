/**
 * Which kept values share a kernel: pairs of units merge greedily by the bytes that stay out of memory, as long as the
 * merged loops can be formed and nothing in between is left waiting for itself.
 */
import type { FusionNote } from "@sinter/ir";
import { type FormedKernel, formKernel, isIdentity, isRefused, pointsIn, type Refused, rowMisfit } from "./form.ts";
import { bytesPer, type GraphModel, infoOf } from "./model.ts";
import { Queue } from "./queue.ts";
import type { Template } from "./template.ts";
import type { Unit } from "./units.ts";

/** Members of one kernel: keeps expressions shallow and compile times bounded. */
const mostMembers = 24;
/** Points of a nest up to which kernels merge just to be fewer. */
const tinyNest = 64;
/** Values smaller than this are no reason by themselves to bring their readers together. */
const smallBytes = 256;
/** An epilogue is always tried before anything else. */
const epilogueBonus = 2 ** 40;

interface Candidate {
  readonly a: number;
  readonly b: number;
  readonly saved: number;
}

export function mergeUnits(
  model: GraphModel,
  units: readonly Unit[],
): { units: readonly Unit[]; notes: () => readonly FusionNote[] } {
  const merger = new Merger(model, units);
  merger.run();
  return { units: merger.result(), notes: () => merger.notes() };
}

class Merger {
  private readonly model: GraphModel;
  /** By the id of the unit's first value. */
  private readonly units = new Map<number, Unit>();
  /** From a kept value to its unit. */
  private readonly owner = new Map<number, number>();
  /** From any value to the kept values that need it. */
  private readonly readers = new Map<number, number[]>();
  /** By the smaller id of the pair, then the larger. */
  private readonly candidates = new Map<number, Map<number, Candidate>>();
  /** All candidates, those no longer in the table too. */
  private readonly queue = new Queue<Candidate>(comesBefore);
  private readonly sources = new WeakMap<Unit, ReadonlySet<number>>();
  /** From a unit to those that read it; forgotten at each merge. */
  private readonly successors = new Map<number, ReadonlySet<number>>();
  private readonly fused: FusionNote[] = [];

  constructor(model: GraphModel, units: readonly Unit[]) {
    this.model = model;
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
  }

  run(): void {
    for (const id of this.units.keys()) this.propose(id);
    const tiny = [...this.units].filter(([, unit]) => isTiny(unit)).map(([id]) => id);
    for (let best = this.best(); best !== undefined; best = this.best()) this.attempt(best);
    // What is left of tiny kernels joins its neighbours, whatever they share.
    for (const id of tiny) {
      const own = this.owner.get(id)!;
      for (const other of tiny) {
        const at = this.owner.get(other)!;
        if (at !== own && this.owner.get(id) === own && isTiny(this.units.get(own)!) && isTiny(this.units.get(at)!))
          this.attempt({ a: Math.min(own, at), b: Math.max(own, at), saved: 0 });
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
    return {
      fused,
      producer: infoOf(this.model, producer).label,
      consumer: infoOf(this.model, consumer).label,
      reason,
    };
  }

  private best(): Candidate | undefined {
    for (;;) {
      const first = this.queue.take();
      if (first === undefined || this.candidates.get(first.a)?.get(first.b) === first) return first;
    }
  }

  private attempt(candidate: Candidate): void {
    const { a, b } = candidate;
    this.candidates.get(a)?.delete(b);
    const [first, second] = [this.units.get(a)!, this.units.get(b)!];
    const formed = this.check(first, second, a, b);
    if (isRefused(formed)) return;
    const templates = [...first.templates, ...second.templates].sort((x, y) => x.id - y.id);
    this.explain(first, second, formed.nests.length, candidate.saved);
    const id = templates[0]!.id;
    this.units.delete(a);
    this.units.delete(b);
    this.units.set(id, { templates, formed });
    for (const t of templates) this.owner.set(t.id, id);
    this.candidates.delete(a);
    this.candidates.delete(b);
    for (const list of this.candidates.values()) {
      list.delete(a);
      list.delete(b);
    }
    this.successors.clear();
    this.propose(id);
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

  /** All pairs of this unit with units that it shares a value with. */
  private propose(id: number): void {
    const unit = this.units.get(id)!;
    const others = new Set<number>();
    const sources = this.needs(unit);
    for (const source of sources) {
      const maker = this.owner.get(source);
      if (maker !== undefined) others.add(maker);
      if (this.bytes(source) >= smallBytes)
        for (const reader of this.readers.get(source) ?? []) others.add(this.owner.get(reader)!);
    }
    for (const t of unit.templates)
      for (const reader of this.readers.get(t.id) ?? []) others.add(this.owner.get(reader)!);
    others.delete(id);
    for (const other of others) {
      const [a, b] = [Math.min(id, other), Math.max(id, other)];
      const candidate = { a, b, saved: this.saved(a, b) };
      const list = this.candidates.get(a) ?? new Map<number, Candidate>();
      this.candidates.set(a, list.set(b, candidate));
      this.queue.add(candidate);
    }
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
    const product = [first, second].some((u) => u.templates.some((t) => t.contraction));
    if (!edge && product) return { refused: "a contraction takes only an epilogue over its own result" };
    const through = this.between(a, b) ?? this.between(b, a);
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
    return formed;
  }

  private reads(reader: Unit, maker: Unit): boolean {
    const sources = this.needs(reader);
    return maker.templates.some((t) => sources.has(t.id));
  }

  private after(id: number): ReadonlySet<number> {
    let out = this.successors.get(id);
    if (out === undefined) {
      const readers = this.units.get(id)!.templates.flatMap((t) => this.readers.get(t.id) ?? []);
      out = new Set(readers.map((reader) => this.owner.get(reader)!));
      this.successors.set(id, out);
    }
    return out;
  }

  /** A unit on a way from one unit to another that is not the direct one. */
  private between(from: number, to: number): number | undefined {
    const seen = new Set([from, to]);
    for (const start of this.after(from)) {
      if (start === to || start === from) continue;
      const stack = [start];
      while (stack.length > 0) {
        const at = stack.pop()!;
        if (seen.has(at)) continue;
        seen.add(at);
        for (const next of this.after(at)) {
          if (next === to) return start;
          stack.push(next);
        }
      }
    }
    return undefined;
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
