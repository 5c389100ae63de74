/**
 * What a test asks to be checked (`checkForms`), on its way to another backend that takes part (on-webgpu-too.ts).
 */
import type { Graph, HostTensor } from "../../packages/ir/src/index.ts";
import type { CheckOptions } from "./check-forms.ts";

/** A check as it was asked for. */
export interface AskedCheck {
  readonly graph: Graph;
  readonly args: readonly HostTensor[];
  readonly options: CheckOptions;
  /** What names the case, where it was drawn at random for the other backend alone. */
  readonly drawn: string | undefined;
}

/** Set by the backend that takes part. */
export const asked: { passOn: ((check: AskedCheck) => void) | undefined } = { passOn: undefined };

let drawing: string | undefined;
let isWasmAlone = false;

/** What `draw` checks is checked by the other backend alone, where one takes part. */
export function forOtherBackend(name: string, draw: () => void): void {
  if (asked.passOn === undefined) return;
  drawing = name;
  try {
    draw();
  } finally {
    drawing = undefined;
  }
}

/** What `run` checks is not passed on: the other backend has cases of its own. */
export function onWasmAlone<T>(run: () => T): T {
  const before = isWasmAlone;
  isWasmAlone = true;
  try {
    return run();
  } finally {
    isWasmAlone = before;
  }
}

/** Passes a check on; whether it is to be made on wasm too. */
export function passOn(graph: Graph, args: readonly HostTensor[], options: CheckOptions): boolean {
  if (!isWasmAlone) asked.passOn?.({ graph, args, options, drawn: drawing });
  return drawing === undefined;
}
