/**
 * The order of kernels and copies. Dependences are of data, and of memory: a state's old value is read before its new
 * value is stored, because both may be the same memory. Among what is ready, the step that adds least memory goes first.
 */

import { Queue } from "./queue.ts";

/** One step to be: a kernel or a copy. Values are graph value ids. */
export interface Task {
  readonly reads: readonly number[];
  readonly makes: readonly number[];
  /** Bytes of arena memory by value made, where it needs any. */
  readonly bytes: ReadonlyMap<number, number>;
  /** Earlier goes first where nothing else decides. */
  readonly position: number;
  /** Positions in the task list that must be done before. */
  readonly after: Set<number>;
}

/** Whether `to` must come after `from`. */
export function reaches(tasks: readonly Task[], from: number, to: number): boolean {
  const seen = new Set<number>();
  const stack = [to];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (at === from) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    stack.push(...tasks[at]!.after);
  }
  return false;
}

/** Adds the dependences of data. */
export function linkData(tasks: readonly Task[]): void {
  const makers = new Map<number, number[]>();
  tasks.forEach((task, t) => {
    for (const id of task.makes) makers.set(id, [...(makers.get(id) ?? []), t]);
  });
  tasks.forEach((task, t) => {
    for (const id of task.reads) for (const maker of makers.get(id) ?? []) if (maker !== t) task.after.add(maker);
  });
}

/** A task that may run, with the memory it adds. One that comes forward is listed again. */
interface Ready {
  readonly task: number;
  readonly growth: number;
  readonly position: number;
}

function goesBefore(x: Ready, y: Ready): boolean {
  if (x.growth !== y.growth) return x.growth < y.growth;
  return x.position !== y.position ? x.position < y.position : x.task < y.task;
}

/** Positions in an order that respects `after` and keeps little memory live. */
export function listSchedule(tasks: readonly Task[]): number[] {
  const waiting = tasks.map((t) => new Set(t.after));
  const dependents: number[][] = tasks.map(() => []);
  tasks.forEach((task, t) => {
    for (const before of task.after) dependents[before]!.push(t);
  });
  const readersLeft = new Map<number, Set<number>>();
  const bytes = new Map<number, number>();
  tasks.forEach((task, t) => {
    for (const id of task.reads) readersLeft.set(id, (readersLeft.get(id) ?? new Set()).add(t));
    for (const [id, n] of task.bytes) bytes.set(id, n);
  });
  const growth = tasks.map((task) => {
    let delta = 0;
    for (const n of task.bytes.values()) delta += n;
    for (const id of new Set(task.reads)) if (readersLeft.get(id)!.size === 1) delta -= bytes.get(id) ?? 0;
    return delta;
  });
  const ready = new Queue<Ready>(goesBefore);
  const done = new Set<number>();
  const add = (t: number): void => ready.add({ task: t, growth: growth[t]!, position: tasks[t]!.position });
  for (const [t, before] of waiting.entries()) if (before.size === 0) add(t);
  const out: number[] = [];
  for (let first = ready.take(); first !== undefined; first = ready.take()) {
    const next = first.task;
    if (done.has(next)) continue;
    done.add(next);
    out.push(next);
    for (const id of new Set(tasks[next]!.reads)) {
      const left = readersLeft.get(id)!;
      left.delete(next);
      const [last, second] = left;
      if (last === undefined || second !== undefined || !bytes.has(id)) continue;
      // The last reader frees the value: it comes forward.
      growth[last] = growth[last]! - bytes.get(id)!;
      if (waiting[last]!.size === 0) add(last);
    }
    for (const d of dependents[next]!) {
      waiting[d]!.delete(next);
      if (waiting[d]!.size === 0) add(d);
    }
  }
  if (out.length !== tasks.length) throw new Error("kernels depend on each other in a circle");
  return out;
}
