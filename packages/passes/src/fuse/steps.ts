/**
 * From units to steps: which results are stored directly and which through a copy, so that the program is right
 * whether a result's buffer is the memory of what it replaces or not; then the order.
 */
import { baseOf, basesOf, findSharedBases } from "./bases.ts";
import type { Handle } from "./buffers.ts";
import type { Storage } from "./build.ts";
import type { Move } from "./exchange.ts";
import { type Frame, frameOf } from "./frame.ts";
import { storesInPlace } from "./in-place.ts";
import { bytesPer, type GraphModel, infoOf, isLeaf } from "./model.ts";
import { linkData, listSchedule, reaches, type Task } from "./order.ts";
import { type LevelBuffers, type Outlet, placeValues, storesOnce } from "./storage.ts";
import type { Unit } from "./units.ts";

export type OrderedStep =
  | { readonly kind: "unit"; readonly unit: number }
  /** `frame`: only that is needed. */
  | { readonly kind: "copy"; readonly from: Handle; readonly to: Handle; readonly frame?: Frame };

/** What a value is made over: a parameter's memory, or another value's. */
export interface Over {
  readonly operand: number;
  readonly exchange: boolean;
}

export interface Placement {
  readonly storage: ReadonlyMap<number, Storage>;
  readonly order: readonly OrderedStep[];
  /** What is to be exchanged at the end: buffers, and those that have what belongs into them. */
  readonly moves: readonly Move[];
  /** Results of branches that take over the memory of something they capture. */
  readonly over: ReadonlyMap<number, Over>;
  /** Values in memory that is known outside. */
  readonly fixed: ReadonlySet<number>;
  /** Copies to be made once, before the rounds of the loop whose body this is. */
  readonly before: readonly Move[];
}

/** A copy to be: from a value's memory (or a buffer) to a buffer. */
interface Copy {
  readonly from: number | { readonly buffer: Handle };
  readonly to: { readonly outlet: Outlet } | { readonly initOf: number } | { readonly buffer: Handle };
}

/** The ends that a graph's steps must meet. */
export interface Ends {
  readonly outlets: readonly Outlet[];
  /** The graph is the body of a loop. */
  readonly loop: boolean;
  /** Whether a loop's result changes its place as it runs. */
  floats(value: number): boolean;
}

export function planSteps(model: GraphModel, units: readonly Unit[], table: LevelBuffers, ends: Ends): Placement {
  return new StepPlanner(model, units, table, ends).plan();
}

class StepPlanner {
  private readonly model: GraphModel;
  private readonly units: readonly Unit[];
  private readonly table: LevelBuffers;
  private readonly ends: Ends;
  private readonly sharedBase: ReadonlyMap<number, number>;
  private readonly tasks: Task[];
  private readonly copies = new Map<number, Copy>();
  private readonly unitOf: ReadonlyMap<number, number>;
  /** The task that fills the buffer of an update, or of a loop's carry, first. */
  private readonly initTasks = new Map<number, number>();
  private readonly direct: Outlet[] = [];
  private readonly copyOut = new Map<Outlet, number>();
  private readonly moves: Move[] = [];
  private readonly over = new Map<number, Over>();
  private readonly fixed = new Set<number>();
  private readonly before: Move[] = [];

  constructor(model: GraphModel, units: readonly Unit[], table: LevelBuffers, ends: Ends) {
    this.model = model;
    this.units = units;
    this.table = table;
    this.ends = ends;
    this.sharedBase = findSharedBases(model, units);
    this.tasks = units.map((unit) => unitTask(model, unit));
    this.unitOf = new Map(units.flatMap((unit, u) => unit.templates.map((t) => [t.id, u] as const)));
  }

  plan(): Placement {
    this.linkBases();
    const plain = this.ends.outlets.filter((o) => !o.exchange);
    // Results: copied where no kernel makes them (old states are read before anything is stored) ...
    for (const outlet of plain) if (!this.unitOf.has(outlet.value)) this.addCopy(outlet);
    const pinned = this.passParams();
    // ... else stored by their kernel where that is safe ...
    for (const outlet of plain) {
      if (!this.unitOf.has(outlet.value)) continue;
      const stays = outlet.fixed && this.chain(outlet.value).some((id) => this.ends.floats(id));
      if (this.canStore(outlet.value) && !stays && this.isSafe(outlet)) this.direct.push(outlet);
      else this.addCopy(outlet);
    }
    for (const outlet of this.ends.outlets) if (outlet.exchange) this.settle(outlet, pinned);
    // ... and a copy over a state waits for everything that reads the state.
    for (const [outlet, task] of this.copyOut) this.delayCopy(outlet, task);
    this.describeChains();
    const copied = new Set([...this.copies.values()].flatMap((c) => (typeof c.from === "number" ? [c.from] : [])));
    const storage = placeValues(this.model, this.units, this.table, this.direct, copied, this.sharedBase);
    const order = this.order(storage);
    return { storage, order, moves: this.moves, over: this.over, fixed: this.fixed, before: this.before };
  }

  private addTask(copy: Copy, reads: readonly number[], position: number): number {
    this.copies.set(this.tasks.length, copy);
    this.tasks.push({ reads, makes: [], bytes: new Map(), position, after: new Set() });
    return this.tasks.length - 1;
  }

  /** What an update or a loop starts from comes before it: made where it is needed, or copied there. */
  private linkBases(): void {
    for (const [id, u] of this.unitOf) {
      const base = baseOf(this.model, id);
      if (base === undefined) continue;
      if (this.sharedBase.get(id) === base) this.tasks[u]!.after.add(this.unitOf.get(base)!);
      else if (!this.isCond(id)) {
        const init = this.addTask({ from: base, to: { initOf: id } }, [base], id - 0.5);
        this.tasks[u]!.after.add(init);
        this.initTasks.set(id, init);
      }
    }
    linkData(this.tasks);
    for (const [value, init] of this.initTasks) {
      const maker = this.unitOf.get(baseOf(this.model, value)!);
      if (maker !== undefined) this.tasks[init]!.after.add(maker);
    }
  }

  private isCond(id: number): boolean {
    const { rule } = infoOf(this.model, id);
    return rule?.kind === "control" && rule.form === "cond";
  }

  /** A value and those made in its memory before it. */
  private chain(value: number): number[] {
    return [value, ...basesOf(value, this.sharedBase)];
  }

  /** Whether the value's kernel may store it to one more buffer. */
  private canStore(value: number): boolean {
    const kind = infoOf(this.model, value).rule?.kind;
    return kind === undefined || kind === "map" || !storesOnce(kind) || !this.direct.some((o) => o.value === value);
  }

  /** Whether the kernel may store the value of an outlet straight into its buffer; puts what must come before it there. */
  private isSafe({ value, replaces }: Outlet): boolean {
    if (replaces === undefined) return true;
    const chain = this.chain(value);
    const [first, later] = [chain.at(-1)!, chain.slice(0, -1)];
    const makers = chain.map((id) => this.unitOf.get(id)!);
    if (later.some((id) => this.tasks[this.unitOf.get(id)!]!.reads.includes(replaces))) return false;
    if (!storesInPlace(this.model, this.units[this.unitOf.get(first)!]!, first, replaces)) return false;
    const init = this.initTasks.get(first);
    const writers = [...makers, ...(init === undefined ? [] : [init])];
    return precede(this.tasks, readersOf(this.tasks, replaces), writers);
  }

  private addCopy(outlet: Outlet): number {
    const task = this.addTask({ from: outlet.value, to: { outlet } }, [outlet.value], 1e9 + outlet.buffer);
    const maker = this.unitOf.get(outlet.value);
    if (maker !== undefined) this.tasks[task]!.after.add(maker);
    this.copyOut.set(outlet, task);
    return task;
  }

  private delayCopy(outlet: Outlet, task: number): void {
    const { tasks } = this;
    if (outlet.exchange || outlet.replaces === undefined || outlet.replaces === outlet.value) return;
    if (precede(tasks, readersOf(tasks, outlet.replaces), [task])) return;
    // States that are exchanged: the value is saved before anything is overwritten.
    const buffer = this.table.temp(outlet.value);
    const early = this.addTask({ from: outlet.value, to: { buffer } }, [outlet.value], -1);
    for (const after of tasks[task]!.after) tasks[early]!.after.add(after);
    for (const other of tasks) if (other.after.delete(task)) other.after.add(early);
    tasks[task] = { ...tasks[task]!, reads: [], after: new Set([early]) };
    this.copies.set(task, { from: { buffer }, to: { outlet } });
    if (!precede(tasks, readersOf(tasks, outlet.replaces), [task])) throw new Error("states depend on each other");
  }

  /** Carries that are carries of the round before: their memory goes on as it is. Returns whose memory does. */
  private passParams(): ReadonlyMap<number, Outlet> {
    const pinned = new Map<number, Outlet>();
    const carried = this.ends.outlets.filter((o) => o.exchange);
    const params = new Map(carried.map((o) => [o.replaces!, o]));
    for (const o of carried) if (o.value === o.replaces) pinned.set(o.value, o);
    for (const o of carried)
      if (params.has(o.value) && !pinned.has(o.value)) {
        pinned.set(o.value, o);
        this.moves.push({ to: o.buffer, from: params.get(o.value)!.buffer });
      }
    return pinned;
  }

  /** A carry: stored over the old one, or beside it, or copied. `pinned`: parameters whose memory is spoken for. */
  private settle(outlet: Outlet, pinned: ReadonlyMap<number, Outlet>): void {
    const { value, buffer, replaces } = outlet;
    if (pinned.get(value) === outlet) return;
    const free = !pinned.has(replaces!);
    if (this.unitOf.has(value) && this.canStore(value)) {
      if (free && this.isSafe(outlet)) this.direct.push(outlet);
      else this.direct.push({ ...outlet, buffer: this.beside(outlet), replaces: undefined });
      return;
    }
    const task = this.addCopy(outlet);
    if (free && precede(this.tasks, readersOf(this.tasks, replaces!), [task])) return;
    this.copies.set(task, { from: value, to: { buffer: this.beside({ value, buffer }) } });
  }

  /** Memory of its own for a carry, which then changes places with the old one's. */
  private beside({ value, buffer }: { readonly value: number; readonly buffer: Handle }): Handle {
    const from = this.table.temp(value);
    this.moves.push({ to: buffer, from });
    return from;
  }

  /** Which results of branches are made over what they capture, and what must stay where it is. */
  private describeChains(): void {
    for (const { value, replaces, exchange, fixed } of this.direct) {
      const chain = this.chain(value);
      if (fixed) for (const id of chain) this.fixed.add(id);
      const first = chain.at(-1)!;
      if (replaces !== undefined && this.isCond(first) && infoOf(this.model, first).operands.includes(replaces))
        this.over.set(first, { operand: replaces, exchange });
    }
    for (const [value, base] of this.sharedBase)
      if (this.isCond(value)) this.over.set(value, { operand: base, exchange: !this.fixed.has(value) });
  }

  private order(storage: ReadonlyMap<number, Storage>): OrderedStep[] {
    const memory = (value: number): Handle =>
      isLeaf(infoOf(this.model, value)) ? this.table.leaf(value) : storage.get(value)!.read!;
    return listSchedule(this.tasks).flatMap((t): OrderedStep[] => {
      const copy = this.copies.get(t);
      if (copy === undefined) return [{ kind: "unit", unit: t }];
      const from = typeof copy.from === "number" ? memory(copy.from) : copy.from.buffer;
      if (!("initOf" in copy.to))
        return [{ kind: "copy", from, to: "outlet" in copy.to ? copy.to.outlet.buffer : copy.to.buffer }];
      const to = memory(copy.to.initOf);
      const frame = this.frame(copy.to.initOf);
      if (frame === undefined) return [{ kind: "copy", from, to }];
      if (!this.staysFramed(copy.to.initOf, to)) return [{ kind: "copy", from, to, frame }];
      this.before.push({ from, to });
      return [];
    });
  }

  /**
   * Whether a carry is an update of itself that changes places with it, around whose window nothing ever changes: once
   * the second buffer has that, it needs no more copies.
   */
  private staysFramed(value: number, to: Handle): boolean {
    const base = baseOf(this.model, value);
    const outlet = this.ends.outlets.find((o) => o.exchange && o.value === value && o.replaces === base);
    if (!this.ends.loop || outlet === undefined) return false;
    const { buffer } = outlet;
    const changePlaces = this.moves.some((m) => m.to === buffer && m.from === to);
    return changePlaces && this.moves.every((m) => (m.to === buffer) === (m.from === to) && m.from !== buffer);
  }

  /** What an update must find in its buffer; undefined: all of its base, or nothing where the buffer is the base's. */
  private frame(value: number): Frame | undefined {
    if (this.direct.some((o) => o.replaces !== undefined && this.chain(o.value).includes(value))) return undefined;
    const unit = this.units[this.unitOf.get(value)!]!;
    return frameOf(this.model, unit.templates.find((t) => t.id === value)!);
  }
}

function unitTask(model: GraphModel, unit: Unit): Task {
  const makes = unit.templates.map((t) => t.id);
  const own = new Set(makes);
  const reads = [...new Set(unit.templates.flatMap((t) => t.reads.map((r) => r.id)))].filter((id) => !own.has(id));
  const bytes = new Map<number, number>();
  for (const id of makes) {
    const info = infoOf(model, id);
    const outside = model.users[id]!.length > 0 && model.resultUses[id] === 0;
    if (outside) bytes.set(id, info.points * bytesPer(info.type.dtype));
  }
  return { reads, makes, bytes, position: makes.at(-1)!, after: new Set() };
}

function readersOf(tasks: readonly Task[], value: number): number[] {
  return tasks.flatMap((task, t) => (task.reads.includes(value) ? [t] : []));
}

/** Puts every reader before every writer; false, and nothing done, where that would be a circle. */
function precede(tasks: readonly Task[], readers: readonly number[], writers: readonly number[]): boolean {
  const pairs = writers.flatMap((w) =>
    readers.filter((r) => !writers.includes(r) && r !== w).map((r) => [r, w] as const),
  );
  if (pairs.some(([r, w]) => reaches(tasks, w, r))) return false;
  for (const [r, w] of pairs) tasks[w]!.after.add(r);
  return true;
}
