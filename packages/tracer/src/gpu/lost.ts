/**
 * Values whose device is lost. What is also in the heap, or was read since it was computed, is restored when somebody asks
 * for it; whoever needs one of the others is told.
 */
import { Buffer, DeviceLoss, theMachine } from "@sinter/runtime";
import { DeviceLostError, describe, locText } from "../errors.ts";
import type { VariableCell } from "../frame.ts";
import type { Lazy } from "../lazy.ts";

/** Whether a value was lost with its device. Restores it in the heap where that is possible. */
export function isLost(lazy: Lazy): boolean {
  const { gpu } = lazy;
  if (gpu?.lost === undefined) return false;
  if (lazy.buffer === undefined) {
    if (lazy.copy === undefined) return true;
    const { heap } = theMachine();
    lazy.buffer = new Buffer(heap, lazy.bytes);
    heap.view(lazy.dtype, lazy.buffer.address, lazy.copy.length).set(lazy.copy);
    lazy.copy = undefined;
  }
  lazy.gpu = undefined;
  gpu.release();
  return false;
}

/** The error for a value that was lost. */
export function lostValue(lazy: Lazy): DeviceLostError {
  const made = locText(lazy.site?.loc());
  return because(
    lazy.gpu?.lost,
    `the tensor ${describe(lazy)}${made === undefined ? "" : `, made at ${made},`} is lost: ${why(lazy.gpu?.lost)}. Compute it again`,
  );
}

/** The error for variables whose values were lost; `caller` needs them. */
export function lostVariables(caller: string, variables: readonly VariableCell[], reason: unknown): DeviceLostError {
  const names = variables.slice(0, 8).map(({ name }) => name);
  const more = variables.length > 8 ? ` and of ${variables.length - 8} more` : "";
  const one = variables.length === 1;
  return because(
    reason,
    `${caller}: the value${one ? "" : "s"} of variable${one ? "" : "s"} ${names.join(", ")}${more} ${one ? "is" : "are"} lost: ${why(reason)}. ` +
      `What was not read since it was assigned is not known any more: assign new values, ${names[0]}.assign(x), or load a checkpoint`,
  );
}

/** Whether an error is the loss of a device. */
export function isLoss(error: unknown): boolean {
  return error instanceof DeviceLoss || error instanceof DeviceLostError;
}

/** The loss itself, under what was told of it before. */
function root(reason: unknown): Error | undefined {
  if (reason instanceof DeviceLostError && reason.cause !== undefined) return root(reason.cause);
  return reason instanceof Error ? reason : undefined;
}

function why(reason: unknown): string {
  return root(reason)?.message ?? "the device that computed it is lost";
}

function because(reason: unknown, message: string): DeviceLostError {
  const error = new DeviceLostError(message);
  error.cause = root(reason);
  return error;
}
