/** The process-wide machine: one heap for everything, made at first use with whatever was configured before that. */

import type { HeapOptions } from "./exec/heap.ts";
import { Machine } from "./exec/program.ts";

let options: HeapOptions = {};
let machine: Machine | undefined;

/** Kind and limits of the heap. Only before the first tensor exists. */
export function configureHeap(given: HeapOptions): void {
  if (machine !== undefined) throw new Error("the heap is in use already: configure it before the first tensor");
  options = given;
}

export function theMachine(): Machine {
  machine ??= new Machine(options);
  return machine;
}
