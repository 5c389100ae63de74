/** Takes a traced value out of its trace: what a variable starts with, computed before the program exists. */
import type { HostTensor, TypedArray, Value } from "@sinter/ir";
import { eager } from "./eager.ts";
import { TraceError } from "./errors.ts";
import type { TraceFrame } from "./frame.ts";
import type { Lazy, Traced } from "./lazy.ts";

/** The eager value of `ref`; an error where it depends on an argument or on a variable's state in the trace. */
export function lift(frame: TraceFrame, ref: Traced, what: string): Lazy {
  const done = new Map<Value, Lazy>();
  const { builder } = frame;
  const go = (value: Value): Lazy => {
    let lazy = done.get(value);
    if (lazy === undefined) done.set(value, (lazy = step(value)));
    return lazy;
  };
  const step = (value: Value): Lazy => {
    const node = builder.definition(value);
    if (node === undefined) {
      const captured = frame.capturedRef(value);
      if (captured?.kind === "lazy") return captured;
      if (captured?.kind === "traced") return lift(captured.owner as TraceFrame, captured, what);
      throw new TraceError(
        `${what} depends on an argument of ${frame.name}, which has no value while it is being traced`,
      );
    }
    if (node.op === "const")
      return eager.constant({
        ...(value.type as { dtype: HostTensor["dtype"]; shape: readonly number[] }),
        data: node.attrs["data"] as TypedArray,
      });
    return eager.emit(node.op, node.operands.map(go), node.attrs);
  };
  return go(ref.value);
}
