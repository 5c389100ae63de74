/**
 * The order of kernels and copies. Dependences are of data, and of memory: a state's old value is read before its new
 * value is stored, because both may be the same memory. Among what is ready, the step that adds least memory goes first.
 */

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
  const grows = (t: number): number => {
    const task = tasks[t]!;
    let delta = 0;
    for (const n of task.bytes.values()) delta += n;
    for (const id of new Set(task.reads)) if (readersLeft.get(id)!.size === 1) delta -= bytes.get(id) ?? 0;
    return delta;
  };
  const ready = new Set<number>();
  for (const [t, before] of waiting.entries()) if (before.size === 0) ready.add(t);
  const out: number[] = [];
  while (ready.size > 0) {
    let best: number | undefined;
    let bestGrowth = 0;
    for (const t of ready) {
      const growth = grows(t);
      const earlier = best !== undefined && tasks[t]!.position < tasks[best]!.position;
      if (best === undefined || growth < bestGrowth || (growth === bestGrowth && earlier))
        [best, bestGrowth] = [t, growth];
    }
    const next = best!;
    ready.delete(next);
    out.push(next);
    for (const id of tasks[next]!.reads) readersLeft.get(id)!.delete(next);
    for (const d of dependents[next]!) {
      waiting[d]!.delete(next);
      if (waiting[d]!.size === 0) ready.add(d);
    }
  }
  if (out.length !== tasks.length) throw new Error("kernels depend on each other in a circle");
  return out;
}
