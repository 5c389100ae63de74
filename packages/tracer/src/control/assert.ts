/** `assert`: a check that a compiled program makes when it runs. */
import { AssertionError, DTypeError, describe, describeValue, SinterError } from "../errors.ts";
import { VariableCell } from "../frame.ts";
import { emit, run, scalar, toRef } from "../kit.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { emitCheck } from "./blocks.ts";

/**
 * Throws where `condition` is not true: at once outside a compiled function (on a GPU the next read of anything rejects),
 * and inside one when the program runs. All elements of a bool tensor must be true. `message` is the text of the error, or
 * the error itself. A call that fails changes no variable.
 */
export function assert(condition: TensorLike, message: string | Error = "the assertion does not hold"): void {
  run("assert", () => {
    if (typeof message !== "string" && !(message instanceof Error))
      throw new SinterError(`assert: message must be a text or an error, not ${describeValue(message)}`);
    const error = typeof message === "string" ? new AssertionError(message) : message;
    if (typeof condition === "boolean") return emitCheck(scalar("bool", condition ? 1 : 0), error);
    if (!(condition instanceof Tensor) && !(condition instanceof VariableCell))
      throw new DTypeError(`assert: condition must be a boolean or a bool tensor, not ${describeValue(condition)}`);
    const ref = toRef("assert", "condition", condition);
    if (ref.dtype !== "bool")
      throw new DTypeError(
        `assert: condition is ${describe(ref)}, but must be bool: write .ne(0) or .gt(0), whichever is meant`,
      );
    const axes = ref.shape.map((_, i) => i);
    emitCheck(axes.length === 0 ? ref : emit("reduce", [ref], { op: "and", axes }), error);
  });
}
