/**
 * When each buffer holds something: steps of the control tree numbered in the order of their text, loops keeping what
 * they carry alive for all their steps.
 */
import type { LoopProgram, LoopStep } from "@sinter/ir";

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
  const accesses: Access[][] = program.buffers.map(() => []);
  const calls: number[][] = program.kernels.map(() => []);
  const loops: Lifetime[] = [];
  let next = 0;
  const touch = (buffer: number, step: number, write: boolean): void => {
    accesses[buffer]!.push({ step, write });
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
        case "copy":
          touch(step.from, now, false);
          touch(step.to, now, true);
          break;
        case "if":
          touch(step.index, now, false);
          for (const branch of step.branches) walk(branch);
          break;
        case "for": {
          touch(step.counter, now, false);
          walk(step.body);
          touch(step.counter, next, false);
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
  const buffers = accesses.map((list): Lifetime | undefined => {
    const [first, last] = [list[0]?.step, list.at(-1)?.step];
    return first === undefined || last === undefined ? undefined : { first, last };
  });
  // Inner loops come first in the list, so that outer ones see what inner ones extended.
  for (const loop of loops)
    accesses.forEach((list, b) => {
      const life = buffers[b];
      const inside = list.find((a) => a.step >= loop.first && a.step <= loop.last);
      if (life === undefined || inside === undefined) return;
      if (inside.write && life.first >= loop.first && life.last <= loop.last) return;
      life.first = Math.min(life.first, loop.first);
      life.last = Math.max(life.last, loop.last);
    });
  return { buffers, calls };
}
