/** Takes a traced value out of its trace: what a variable starts with, computed before the program exists. */
import { Builder, type HostTensor, type Node, type TypedArray, type Value } from "@sinter/ir";
import { callsHost } from "@sinter/passes";
import { eager } from "./eager.ts";
import { TraceError } from "./errors.ts";
import type { TraceFrame } from "./frame.ts";
import type { Lazy, Traced } from "./lazy.ts";
import { runGraph } from "./staged.ts";

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
    if (callsHost(node))
      throw new TraceError(
        `${what} depends on what a hostCall gives, which has no value while ${frame.name} is traced`,
      );
    if (node.regions.length === 0) return eager.emit(node.op, node.operands.map(go), node.attrs);
    return runNode(node, node.operands.map(go))[node.results.indexOf(value)]!;
  };
  return go(ref.value);
}

/** The results of a node with regions, which runs as a program of its own. */
function runNode({ op, operands, attrs, regions, groups }: Node, inputs: readonly Lazy[]): Lazy[] {
  const b = new Builder(op);
  const params = operands.map(({ type }, i) => b.param("arg", type, `p${i}`));
  const results = b.emitNode(op, params, attrs, regions, groups);
  return runGraph(b.finish(results.map((value) => ({ kind: "out", value }))), inputs);
}
