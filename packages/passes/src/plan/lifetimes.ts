/**
 * When each buffer holds something: steps of the control tree numbered in the order of their text, loops keeping what
 * they carry alive for all their steps. Buffers that are exchanged hold each other's contents, so they live together.
 */
import { bodiesOf, type LoopProgram, type LoopStep, visitSteps } from "@sinter/ir";

export interface Lifetime {
  first: number;
  last: number;
}
export interface Lifetimes {
  /** By buffer id; undefined where no step touches it. */
  readonly buffers: readonly (Lifetime | undefined)[];
  /** By kernel position: the steps that call it. */
  readonly calls: readonly (readonly number[])[];
}

interface Access {
  readonly step: number;
  readonly write: boolean;
}

export function findLifetimes(program: LoopProgram): Lifetimes {
  const owners = memoryOwners(program);
  /** Of all buffers that share an owner, in order. */
  const accesses: Access[][] = program.buffers.map(() => []);
  const calls: number[][] = program.kernels.map(() => []);
  const loops: Lifetime[] = [];
  const read = new Set(program.kernels.flatMap((k) => k.buffers));
  visitSteps(program.steps, (step) => {
    if (step.kind === "host") for (const id of step.operands) read.add(id);
  });
  let next = 0;
  const touch = (buffer: number, step: number, write: boolean): void => {
    accesses[owners[buffer]!]!.push({ step, write });
  };
  const walk = (steps: readonly LoopStep[]): void => {
    for (const step of steps) {
      const now = next++;
      switch (step.kind) {
        case "kernel": {
          const kernel = program.kernels[step.kernel]!;
          calls[step.kernel]!.push(now);
          // Reads before writes: a buffer that is both counts as read first.
          for (const b of kernel.buffers) if (!kernel.writes.includes(b)) touch(b, now, false);
          for (const b of kernel.writes) touch(b, now, true);
          break;
        }
        case "host":
          for (const b of step.operands) touch(b, now, false);
          for (const b of step.results) touch(b, now, true);
          break;
        case "copy":
          touch(step.from, now, false);
          touch(step.to, now, true);
          break;
        case "swap":
          touch(step.a, now, false);
          touch(step.b, now, false);
          break;
        case "if":
          touch(step.index, now, false);
          for (const branch of step.branches) walk(branch);
          break;
        case "for": {
          // A counter that nobody reads is in no memory.
          const shown = read.has(step.counter);
          if (shown) touch(step.counter, now, false);
          walk(step.body);
          if (shown) touch(step.counter, next, false);
          loops.push({ first: now, last: next++ });
          break;
        }
        case "while": {
          walk(step.test);
          touch(step.predicate, next - 1, false);
          walk(step.body);
          loops.push({ first: now, last: next++ });
          break;
        }
        default:
          step satisfies never;
      }
    }
  };
  walk(program.steps);
  const lives = accesses.map((list): Lifetime | undefined => {
    const [first, last] = [list[0]?.step, list.at(-1)?.step];
    return first === undefined || last === undefined ? undefined : { first, last };
  });
  // Inner loops come first in the list, so that outer ones see what inner ones extended.
  for (const loop of loops)
    accesses.forEach((list, b) => {
      const life = lives[b];
      const inside = list.find((a) => a.step >= loop.first && a.step <= loop.last);
      if (life === undefined || inside === undefined) return;
      if (inside.write && life.first >= loop.first && life.last <= loop.last) return;
      life.first = Math.min(life.first, loop.first);
      life.last = Math.max(life.last, loop.last);
    });
  return { buffers: program.buffers.map(({ id }) => lives[owners[id]!]), calls };
}

/** Buffers that are exchanged for others at some time, by what they may be exchanged for: one number for all of them. */
export function exchangeGroups(program: LoopProgram): ReadonlyMap<number, number> {
  const up = new Map<number, number>();
  const find = (id: number): number => {
    const at = up.get(id);
    return at === undefined || at === id ? id : find(at);
  };
  visitSteps(program.steps, (step) => {
    if (step.kind !== "swap") return;
    for (const id of [step.a, step.b]) if (!up.has(id)) up.set(id, id);
    up.set(find(step.a), find(step.b));
  });
  return new Map([...up.keys()].map((id) => [id, find(id)]));
}

/** By buffer: the one whose lifetime it shares. Slices live with what they are of, exchanged buffers with each other. */
function memoryOwners(program: LoopProgram): number[] {
  const groups = exchangeGroups(program);
  const owner = (id: number): number => {
    const of = program.buffers[id]!.slice?.of;
    return of === undefined ? (groups.get(id) ?? id) : owner(of);
  };
  return program.buffers.map(({ id }) => owner(id));
}

/** The number of each step of a list, as lifetimes count them. */
export function stepNumbers(steps: readonly LoopStep[]): number[] {
  let next = 0;
  return steps.map((step) => {
    const now = next;
    next += countSteps(step);
    return now;
  });
}

function countSteps(step: LoopStep): number {
  const own = step.kind === "for" || step.kind === "while" ? 2 : 1;
  return bodiesOf(step)
    .flat()
    .reduce((n, inner) => n + countSteps(inner), own);
}
