/** Operations that act when the program runs, as parts of a trace, and the values that they act on where there is none. */
import type { Attrs, HostValue } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import type { TraceFrame } from "../frame.ts";
import { checkReadable, isOnGpu } from "../gpu/place.ts";
import { type Lazy, type Ref, readLazy } from "../lazy.ts";
import { status } from "../status.ts";

/**
 * Emits an operation that the status of the program goes through, as checks do, so that all of them keep their order; gives
 * its other results.
 */
export function emitHost(frame: TraceFrame, op: string, values: readonly Ref[], attrs: Attrs): Ref[] {
  const operands = [frame.read(status), ...values.map((ref) => frame.lift(ref))].map(({ value }) => value);
  const [next, ...results] = frame.builder.emitAll(op, operands, attrs).map((value) => frame.own(value));
  frame.write(status, next!);
  return results;
}

/** Whether eager values can be read at once: none is on a GPU. */
export function areOnHost(refs: readonly Ref[]): boolean {
  return !(refs as readonly Lazy[]).some(isOnGpu);
}

/** The contents of eager values. Throws for one on a GPU, which is called `what`. */
export function hostValues(refs: readonly Ref[], what = "a value"): HostValue[] {
  const lazies = refs as readonly Lazy[];
  for (const lazy of lazies)
    checkReadable(
      what,
      lazy,
      "compute it from the arguments, which are on the host, or give the contents of await x.data()",
    );
  force(...lazies);
  const { heap } = theMachine();
  return lazies.map((lazy) => ({ dtype: lazy.dtype, shape: lazy.shape, data: readLazy(heap, lazy) }));
}
