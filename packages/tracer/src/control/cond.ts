/** Choosing between computations: `cond` and `switchCase`. */

import type { DType } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { sameDims } from "../dims.ts";
import { force } from "../eager.ts";
import { type AnyFunction, DTypeError, describe, describeValue, ShapeError, SinterError, userLine } from "../errors.ts";
import { currentTrace, finishedTrace, inFrame, VariableCell } from "../frame.ts";
import { isOnGpu } from "../gpu/place.ts";
import { cast, reshape, run, toRef } from "../kit.ts";
import { type Ref, readLazy } from "../lazy.ts";
import { staged } from "../staged.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { type Block, emitCond, knownScalar, traceBlock } from "./blocks.ts";
import {
  checkFunctions,
  condition,
  fits,
  type Leaves,
  leafAs,
  leafRef,
  leafText,
  leafType,
  leavesOf,
  type Tensors,
  tensorsOf,
  treeDifference,
  weakJoin,
} from "./values.ts";

/**
 * The result of `onTrue` where `pred` (a bool scalar) is true, otherwise that of `onFalse`. Both return trees of the same
 * structure, shapes and dtypes; numbers in them become tensors. Inside a compiled function both are traced and one runs;
 * outside only one is called, except where `pred` is on a GPU: there too one runs of both. Variables that either assigns keep what the one that ran made of them.
 */
export function cond<T, U = T>(pred: TensorLike, onTrue: () => T, onFalse: () => U): Tensors<T> | Tensors<U> {
  checkFunctions("cond", { onTrue, onFalse });
  const chosen = run("cond", () => {
    const asked = condition("cond", "pred", pred);
    return typeof asked === "boolean" ? asked : decided(asked);
  });
  if (typeof chosen !== "object") return taken("cond", chosen ? onTrue : onFalse, cond) as Tensors<T>;
  const arms = [
    { name: "onTrue", what: "then-branch", fn: onTrue },
    { name: "onFalse", what: "else-branch", fn: onFalse },
  ];
  return run("cond", () => branched("cond", chosen, arms, (blocks) => [blocks[1]!, blocks[0]!], cond)) as Tensors<T>;
}

/**
 * The result of the branch that `index` (an integer scalar) picks; one out of range picks the first or the last. As for
 * `cond`, all branches return the same structure, shapes and dtypes.
 */
export function switchCase<T>(index: TensorLike, branches: readonly (() => T)[]): Tensors<T> {
  if (!Array.isArray(branches) || branches.length === 0)
    throw new SinterError(
      `switchCase: branches must be an array of at least one function, not ${describeValue(branches)}`,
    );
  checkFunctions("switchCase", Object.fromEntries(branches.map((fn, i) => [`branches[${i}]`, fn as unknown])));
  const chosen = run("switchCase", () => {
    const asked = indexOf(index);
    return typeof asked === "number" ? asked : decided(asked);
  });
  if (typeof chosen !== "object") {
    const at = Math.min(Math.max(Number(chosen), 0), branches.length - 1);
    return taken("switchCase", branches[at]!, switchCase) as Tensors<T>;
  }
  const arms = branches.map((fn: () => T, i) => ({ name: `branches[${i}]`, what: `branch-${i}`, fn }));
  return run("switchCase", () => branched("switchCase", chosen, arms, (blocks) => blocks, switchCase)) as Tensors<T>;
}

function indexOf(index: TensorLike): number | Ref {
  if (typeof index === "number") {
    if (Number.isInteger(index)) return index;
    throw new DTypeError(`switchCase: index must be an integer, not ${index}`);
  }
  if (!(index instanceof Tensor) && !(index instanceof VariableCell))
    throw new DTypeError(`switchCase: index must be an integer scalar, not ${describeValue(index)}`);
  const ref = toRef("switchCase", "index", index);
  if (ref.dtype !== "i32" && ref.dtype !== "u32")
    throw new DTypeError(
      `switchCase: index is ${describe(ref)}, but must be an integer scalar${ref.dtype === "bool" ? ": cond takes a bool" : '; .cast("i32") if it is whole'}`,
    );
  if (ref.shape.some((size) => size !== 1))
    throw new ShapeError(`switchCase: index is ${describe(ref)}, but must be one integer`);
  return reshape(cast(ref, "i32"), []);
}

/** What a condition or an index is, where it is known: outside a trace always, except on a GPU. */
export function decided(ref: Ref): number | Ref {
  const trace = currentTrace();
  if (trace !== undefined) {
    const own = trace.lift(ref);
    return knownScalar(own) ?? own;
  }
  if (ref.kind === "traced") throw finishedTrace(ref);
  if (isOnGpu(ref)) return ref;
  force(ref);
  return readLazy(theMachine().heap, ref)[0]!;
}

/** The arm that is known to be taken, called as it is. */
function taken(caller: string, arm: () => unknown, self: AnyFunction): unknown {
  const result = arm();
  return run(caller, () => {
    const { tree, leaves } = leavesOf(caller, result, "result");
    return tensorsOf(tree, leaves.map(leafRef), self);
  });
}

interface Arm {
  readonly name: string;
  readonly what: string;
  readonly fn: () => unknown;
}

/** All arms traced: as a part of the trace that is going on, or as a program of their own. */
function branched(
  caller: string,
  index: Ref,
  arms: readonly Arm[],
  order: <T>(blocks: readonly T[]) => readonly T[],
  self: AnyFunction,
): unknown {
  const where = userLine();
  let tree: Leaves["tree"] | undefined;
  const results = staged(caller, () => {
    const traced = arms.map(({ name, what, fn }) => ({
      name,
      ...traceBlock(`${what} of the ${caller}${where === undefined ? "" : ` at ${where}`}`, [], () =>
        leavesOf(caller, fn(), "result"),
      ),
    }));
    const outs = joined(caller, traced);
    tree = traced[0]!.result.tree;
    return emitCond(index, order(traced.map(({ block }) => block)), order(outs));
  });
  return tensorsOf(tree!, results, self);
}

interface TracedArm {
  readonly name: string;
  readonly block: Block;
  readonly result: Leaves;
}

/** The results of all arms, of common types. */
function joined(caller: string, arms: readonly TracedArm[]): Ref[][] {
  const [first, ...others] = arms as readonly [TracedArm, ...TracedArm[]];
  for (const other of others) {
    const found = treeDifference(first.result.tree, other.result.tree, "result");
    if (found !== undefined)
      throw new SinterError(
        `${caller}: the branches return different structures: ${found.path} is ${found.a} in ${first.name}, ${found.b} in ${other.name}`,
      );
  }
  const dtypes = first.result.leaves.map((_, i) => commonDType(caller, arms, i));
  return arms.map(({ block, result }) =>
    inFrame(block.frame, () => result.leaves.map((leaf, i) => leafAs(leaf, dtypes[i]!))),
  );
}

/** The dtype of leaf `i` in all arms: that of a tensor, to which numbers give way, or what the numbers have in common. */
function commonDType(caller: string, arms: readonly TracedArm[], i: number): DType {
  const found = arms.map(({ name, result }) => ({ name, leaf: result.leaves[i]! }));
  const lead = found.find(({ leaf }) => typeof leaf !== "number") ?? found[0]!;
  const type = leafType(lead.leaf);
  let { dtype } = type;
  for (const { name, leaf } of found) {
    const other = leafType(leaf);
    const differ = (what: string): string =>
      `${caller}: the branches return different ${what}: ${arms[0]!.result.paths[i]} is ${leafText(lead.leaf)} in ${lead.name}, ${leafText(leaf)} in ${name}`;
    if (!sameDims(other.shape, type.shape)) throw new ShapeError(differ("shapes"));
    if (typeof lead.leaf === "number") dtype = weakJoin(dtype, other.dtype)!;
    else if (typeof leaf === "number" && !fits(leaf, dtype)) throw new DTypeError(differ("dtypes"));
    else if (typeof leaf !== "number" && leaf.dtype !== dtype)
      throw new DTypeError(`${differ("dtypes")}; cast one of them: .cast("${dtype}")`);
  }
  return dtype;
}
