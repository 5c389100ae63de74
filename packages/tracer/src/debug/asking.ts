/**
 * Programs that are run to find out what was wrong with a call. What finds it out asks for them and goes on with their
 * results: it is the same on the heap, where a program is run at once, and on a GPU, where results come later.
 */
import type { Graph, HostFunction, HostTensor } from "@sinter/ir";

export type Values = readonly HostTensor[];

/** A program to run: the `out` results of a graph, which has none of other kinds. */
export interface Asked {
  readonly graph: Graph;
  /** By parameter; those of the graph may be of any kind. */
  readonly args: Values;
  readonly host: HostFunction;
}

export type Asking<T> = Generator<Asked, T, Values>;

/** Runs all that is asked for at once. */
export function answered<T>(asking: Asking<T>, run: (asked: Asked) => Values): T {
  let step = asking.next();
  while (!step.done) step = asking.next(run(step.value));
  return step.value;
}

/** Runs what is asked for where results come later. */
export async function answeredLater<T>(asking: Asking<T>, run: (asked: Asked) => Promise<Values>): Promise<T> {
  let step = asking.next();
  while (!step.done) step = asking.next(await run(step.value));
  return step.value;
}
