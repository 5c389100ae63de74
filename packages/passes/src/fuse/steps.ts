/**
 * From units to steps: which results are stored directly and which through a copy, so that the program is right
 * whether a state's old and new value are the same memory or not; then the order.
 */
import type { BufferDecl, BufferId } from "@sinter/ir";
import type { Storage } from "./build.ts";
import { isIdentity } from "./form.ts";
import { bytesPer, type GraphModel, infoOf, isLeaf } from "./model.ts";
import { linkData, listSchedule, reaches, type Task } from "./order.ts";
import { BufferTable, type Outlet, placeValues } from "./storage.ts";
import type { Template } from "./template.ts";
import type { Unit } from "./units.ts";

export type OrderedStep =
  | { readonly kind: "kernel"; readonly unit: number }
  | { readonly kind: "copy"; readonly from: BufferId; readonly to: BufferId };

/** A copy to be: from a value's memory (or a buffer) to a buffer. */
interface Copy {
  readonly from: number | { readonly buffer: BufferId };
  readonly to: { readonly outlet: Outlet } | { readonly initOf: number } | { readonly buffer: BufferId };
}

export function planSteps(
  model: GraphModel,
  units: readonly Unit[],
): { buffers: readonly BufferDecl[]; storage: ReadonlyMap<number, Storage>; order: readonly OrderedStep[] } {
  const table = new BufferTable(model);
  const outlets = table.outlets();
  const sharedBase = findSharedBases(model, units);
  const tasks: Task[] = units.map((unit) => unitTask(model, unit));
  const copies = new Map<number, Copy>();
  const addTask = (copy: Copy, reads: readonly number[], makes: readonly number[], position: number): number => {
    copies.set(tasks.length, copy);
    tasks.push({ reads, makes, bytes: new Map(), position, after: new Set() });
    return tasks.length - 1;
  };

  // What an update starts from.
  const unitOf = new Map(units.flatMap((unit, u) => unit.templates.map((t) => [t.id, u] as const)));
  const initTasks = new Map<number, number>();
  for (const [id, u] of unitOf) {
    const info = infoOf(model, id);
    if (info.rule?.kind !== "update") continue;
    const base = info.operands[0]!;
    if (sharedBase.get(id) === base) tasks[u]!.after.add(unitOf.get(base)!);
    else {
      const init = addTask({ from: base, to: { initOf: id } }, [base], [], id - 0.5);
      tasks[u]!.after.add(init);
      initTasks.set(id, init);
    }
  }
  linkData(tasks);
  for (const [update, init] of initTasks) {
    const base = infoOf(model, update).operands[0]!;
    const maker = unitOf.get(base);
    if (maker !== undefined) tasks[init]!.after.add(maker);
  }

  // Results: copied where no kernel makes them (old states are read before anything is stored) ...
  const direct: Outlet[] = [];
  const copyOut = new Map<Outlet, number>();
  const addCopy = (outlet: Outlet): void => {
    const task = addTask({ from: outlet.value, to: { outlet } }, [outlet.value], [], 1e9 + outlet.buffer);
    const maker = unitOf.get(outlet.value);
    if (maker !== undefined) tasks[task]!.after.add(maker);
    copyOut.set(outlet, task);
  };
  for (const outlet of outlets) if (!unitOf.has(outlet.value)) addCopy(outlet);
  // ... else stored by their kernel where that is safe ...
  for (const outlet of outlets) {
    const u = unitOf.get(outlet.value);
    if (u === undefined) continue;
    const kind = infoOf(model, outlet.value).rule?.kind;
    const storesOnce = kind === "update" || kind === "library";
    const taken = storesOnce && direct.some((o) => o.value === outlet.value);
    const bases = basesOf(outlet.value, sharedBase);
    const makers = bases.map((id) => unitOf.get(id)!);
    const init = initTasks.get(bases.at(-1) ?? outlet.value);
    const writers = [u, ...makers, ...(init === undefined ? [] : [init])];
    const safe = (state: number): boolean =>
      makers.every((maker) => !tasks[maker]!.reads.includes(state)) &&
      storesInPlace(units[u]!, outlet) &&
      precede(tasks, readersOf(tasks, state), writers);
    if (!taken && (outlet.replaces === undefined || safe(outlet.replaces))) direct.push(outlet);
    else addCopy(outlet);
  }
  // ... and a copy over a state waits for everything that reads the state.
  for (const [outlet, task] of copyOut) {
    if (outlet.replaces === undefined || outlet.replaces === outlet.value) continue;
    if (precede(tasks, readersOf(tasks, outlet.replaces), [task])) continue;
    // States that are exchanged: the value is saved before anything is overwritten.
    const buffer = table.temp(outlet.value);
    const early = addTask({ from: outlet.value, to: { buffer } }, [outlet.value], [], -1);
    for (const after of tasks[task]!.after) tasks[early]!.after.add(after);
    for (const other of tasks) if (other.after.delete(task)) other.after.add(early);
    tasks[task] = { ...tasks[task]!, reads: [], after: new Set([early]) };
    copies.set(task, { from: { buffer }, to: { outlet } });
    if (!precede(tasks, readersOf(tasks, outlet.replaces), [task])) throw new Error("states depend on each other");
  }

  const copied = new Set([...copies.values()].flatMap((c) => (typeof c.from === "number" ? [c.from] : [])));
  const storage = placeValues(model, units, table, direct, copied, sharedBase);
  const memory = (value: number): BufferId => {
    if (isLeaf(infoOf(model, value))) return table.leaf(value);
    return storage.get(value)!.read!;
  };
  const order = listSchedule(tasks).map((t): OrderedStep => {
    const copy = copies.get(t);
    if (copy === undefined) return { kind: "kernel", unit: t };
    const from = typeof copy.from === "number" ? memory(copy.from) : copy.from.buffer;
    const to =
      "outlet" in copy.to ? copy.to.outlet.buffer : "initOf" in copy.to ? memory(copy.to.initOf) : copy.to.buffer;
    return { kind: "copy", from, to };
  });
  return { buffers: table.decls, storage, order };
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

/** Updates whose base is kept only for them: both live in one buffer. From update to base. */
function findSharedBases(model: GraphModel, units: readonly Unit[]): Map<number, number> {
  const out = new Map<number, number>();
  const readers = new Map<number, number>();
  for (const unit of units)
    for (const t of unit.templates)
      for (const id of new Set(t.reads.map((r) => r.id))) readers.set(id, (readers.get(id) ?? 0) + 1);
  for (const unit of units)
    for (const t of unit.templates) {
      const base = infoOf(model, t.id).operands[0];
      if (t.kind !== "update" || base === undefined || isLeaf(infoOf(model, base))) continue;
      const users = model.users[base]!.length;
      if (!readers.has(base) && users === 1 && model.resultUses[base] === 0) out.set(t.id, base);
    }
  return out;
}

/** The values that are made in the memory of `value` before it: what it updates, what that updates, and so on. */
function basesOf(value: number, sharedBase: ReadonlyMap<number, number>): number[] {
  const out: number[] = [];
  for (let base = sharedBase.get(value); base !== undefined; base = sharedBase.get(base)) out.push(base);
  return out;
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

/** Whether the kernel may store the outlet's value over the state it replaces, given what it reads of that state. */
function storesInPlace(unit: Unit, outlet: Outlet): boolean {
  const { outer, nests } = unit.formed;
  const storing = nests.findIndex((n) => n.members.some((m) => m.template.id === outlet.value));
  const writer = nests[storing]!.members.find((m) => m.template.id === outlet.value)!;
  for (const [n, nest] of nests.entries())
    for (const { template, role } of nest.members)
      for (const read of template.reads) {
        if (read.id !== outlet.replaces) continue;
        if (writer.template.kind === "update" || writer.template.kind === "library" || n > storing) return false;
        if (n < storing) {
          if (!isIdentity(read.index.slice(0, outer), template.par.slice(0, outer))) return false;
          continue;
        }
        if (role !== writer.role && !(role === "fold" && writer.role === "point" && !read.atEnd)) return false;
        if (writer.template.kind === "cumulate") return false;
        const same =
          template === writer.template
            ? read.index.every((ix, i) => ix.key === template.index[i]?.key)
            : isIdentity(writer.template.index, writer.template.par) &&
              isIdentity(read.index, pointAxes(template, role));
        if (!same) return false;
      }
  return true;
}

function pointAxes(template: Template, role: string): Template["par"] {
  return role === "fold" ? [...template.par, ...template.tail] : template.par;
}
