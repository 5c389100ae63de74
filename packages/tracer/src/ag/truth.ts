/** What a condition is: a plain truth, as JavaScript has it, or a value that exists only when the program runs. */

import type { Loc } from "@sinter/ir";
import { shapeText } from "../dims.ts";
import { describe } from "../errors.ts";
import { currentTrace, VariableCell } from "../frame.ts";
import { cast, emit, like, readVariable } from "../kit.ts";
import type { Ref, Traced } from "../lazy.ts";
import { Tensor } from "../tensor.ts";
import { isWeak } from "../weak.ts";
import { StagingError } from "./staging-error.ts";

/** Whether a value is a tensor or a variable, whatever it is worth now. */
export function isTensorLike(value: unknown): value is Tensor | VariableCell {
  return typeof value === "object" && (value instanceof Tensor || value instanceof VariableCell);
}

/** Whether a value is known only when the program runs. */
export function isSymbolic(value: unknown): boolean {
  if (typeof value !== "object") return false;
  if (value instanceof VariableCell) return currentTrace() !== undefined;
  return value instanceof Tensor && value.ref("a condition").kind === "traced";
}

/** The handle of a tensor, or one on a variable's value at this point. */
export function tensorOf(value: Tensor | VariableCell): Tensor {
  return value instanceof Tensor ? value : new Tensor(readVariable(value));
}

/**
 * The truth of a condition: a boolean, by JavaScript's rules or read from an eager tensor, or a bool scalar of the trace.
 * A tensor that is no boolean scalar is an error; `what` names the condition: "the condition of the if".
 */
export function truthOf(loc: Loc, what: string, value: unknown): boolean | Traced {
  if (!isTensorLike(value)) return Boolean(value);
  const tensor = tensorOf(value);
  const ref = tensor.ref(what);
  if (isWeak(tensor) && ref.dtype !== "bool" && ref.kind === "traced") return numberTruth(ref) as Traced;
  checkCondition(loc, what, ref);
  if (ref.kind === "traced") return ref;
  return tensor.item() as boolean;
}

/** A number that became a tensor is true where it is neither 0 nor NaN. */
function numberTruth(ref: Ref): Ref {
  return emit("gt", [emit("abs", [ref]), like(ref, 0)]);
}

function checkCondition(loc: Loc, what: string, ref: Ref): void {
  if (ref.dtype === "bool" && ref.shape.length === 0) return;
  if (ref.dtype === "bool")
    throw new StagingError(`${what} is ${describe(ref)}; it must be one boolean: use .any() or .all()`, loc);
  throw new StagingError(
    `${what} has dtype ${ref.dtype}${ref.shape.length === 0 ? "" : ` and shape ${shapeText(ref.shape)}`}; ` +
      `a staged condition must be a boolean scalar (use ${ref.shape.length === 0 ? ".ne(0) / .gt(0)" : ".gt(0).any() or .all()"}); ` +
      "for a presence check write '!== undefined'",
    loc,
  );
}

/** A truth as a bool scalar of the current frame. */
export function truthRef(truth: boolean | Ref): Ref {
  if (typeof truth !== "boolean") return cast(truth, "bool");
  return currentTrace()!.scalar("bool", truth ? 1 : 0);
}
