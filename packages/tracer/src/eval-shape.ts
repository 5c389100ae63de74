/** `evalShape`: what a function would return, without running or compiling it. */
import { currentFrame, currentTrace, TraceFrame } from "./frame.ts";
import type { Traced } from "./lazy.ts";
import { Spec } from "./spec.ts";
import { Tensor } from "./tensor.ts";
import { parameterNames, pathName, traceBody, type UserFunction } from "./trace.ts";
import { buildTree, eachTensor, type Leaf, treeOf } from "./trees.ts";

/** The tree of a function's result with a Spec in place of each tensor. Arguments are specs, tensors and static values. */
export function evalShape(fn: (...args: never[]) => unknown, ...args: readonly unknown[]): unknown {
  const leaves: Leaf[] = [];
  const names = parameterNames(fn as UserFunction);
  const tree = treeOf(args, leaves, "args", (path) => `evalShape: ${pathName(path, names)}`);
  const frame = new TraceFrame(fn.name || "anonymous", currentFrame(), {
    creation: currentTrace()?.creation ?? "allowed",
  });
  const params: Traced[] = [];
  eachTensor(tree, ({ index, dtype, shape, path }) => {
    params[index] = frame.argument(dtype, shape, path);
  });
  const given = buildTree(tree, (index) => new Tensor(params[index]!)) as unknown[];
  const { outs, build } = traceBody(frame, fn as UserFunction, given);
  frame.seal();
  return build((index) => new Spec(outs[index]!.shape, outs[index]!.dtype));
}
