/** `scan`: a loop over the first axis of a tree of tensors that carries a tree and stacks what each step gives. */

import { knownDim } from "../dims.ts";
import { isEagerMode } from "../eager-mode.ts";
import { checkOptions, describe, describeValue, ShapeError, SinterError } from "../errors.ts";
import { currentFrame, currentTrace } from "../frame.ts";
import { run } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { stack } from "../lib/movement.ts";
import { staged } from "../staged.ts";

import { Tensor } from "../tensor.ts";
import { buildTree, type Tree } from "../trees.ts";
import { type BlockType, emitScan, traceBlock } from "./blocks.ts";
import { eagerCarry, placeName, traceLoop } from "./loops.ts";
import { checkFunctions, type Leaves, type Like, leafRef, leavesOf, type Tensors, tensorsOf } from "./values.ts";

export interface ScanOptions {
  /** Steps; needed where xs is null, and otherwise the size of its first axis. */
  readonly length?: number;
  /** Runs from the last step to the first. What is stacked stays in the order of xs. */
  readonly reverse?: boolean;
}

/** One step's part of xs: each tensor without its first axis. */
export type Slices<X> = X extends null | undefined ? null : Tensors<X>;

/**
 * Calls `step(carry, x)` for each slice x of the tensors in `xs` along their first axis (null where xs is), which returns
 * [next carry, y]. Returns [last carry, ys]: each tensor of y stacked along a new first axis. Outside a compiled function
 * the whole scan runs as one program.
 */
export function scan<C, Y, X = null>(
  step: (carry: Tensors<C>, x: Slices<X>) => readonly [Like<NoInfer<C>>, Y],
  init: C,
  xs: X,
  options: ScanOptions = {},
): [Tensors<C>, Tensors<Y>] {
  checkFunctions("scan", { step });
  checkOptions("scan", options, ["length", "reverse"]);
  const call = step as unknown as (carry: unknown, x: unknown) => unknown;
  if (isEagerMode() && currentTrace() === undefined) {
    const byHand = scanByHand(call, init, xs, options);
    if (byHand !== undefined) return byHand as [Tensors<C>, Tensors<Y>];
  }
  return run("scan", () => {
    const rows = leavesOf("scan", xs, "xs");
    const length = lengthOf(rows, options.length);
    const where = placeName("scan");
    // Outside a trace what goes in stays an input of the program: other numbers are no other program.
    const outer = currentFrame();
    const start = leavesOf("scan", init, "carry");
    let trees: { readonly carry: Tree; readonly y: Leaves } | undefined;
    const refs = staged("scan", () => {
      const sliced = rows.leaves.map((leaf) => leafRef(leaf));
      const slices = sliced.map(({ dtype, shape }, i): BlockType => ({ dtype, shape: shape.slice(1), name: `x_${i}` }));
      const loop = traceLoop("scan", start, outer, (types, wrap) =>
        traceBlock(`body of ${where}`, [...types, ...slices], (params) => {
          const x = buildTree(rows.tree, (index) => params[types.length + index]);
          const { carry, y } = pairOf(call(wrap(params), rows.leaves.length === 0 ? null : x));
          const ys = leavesOf("scan", y, "y");
          return { ...leavesOf("scan", carry, "carry"), ys: { ...ys, refs: ys.leaves.map(leafRef) } };
        }),
      );
      trees = { carry: loop.tree, y: loop.traced.ys };
      const reverse = options.reverse ?? false;
      return emitScan(loop.block, [...loop.outs, ...loop.traced.ys.refs], loop.init, sliced, { length, reverse });
    });
    const { carry, y } = trees!;
    const count = refs.length - y.leaves.length;
    return [tensorsOf(carry, refs.slice(0, count), scan), tensorsOf(y.tree, refs.slice(count), scan)];
  }) as [Tensors<C>, Tensors<Y>];
}

/** Step by step, for a debugger; undefined where there is no step, so that nobody knows what y is. */
function scanByHand(
  step: (carry: unknown, x: unknown) => unknown,
  init: unknown,
  xs: unknown,
  { length: given, reverse = false }: ScanOptions,
): [unknown, unknown] | undefined {
  const { rows, length } = run("scan", () => {
    const { tree, leaves, paths } = leavesOf("scan", xs, "xs");
    const count = lengthOf({ tree, leaves, paths }, given);
    return { rows: { tree, tensors: leaves.map((leaf) => new Tensor(leafRef(leaf))) }, length: count };
  });
  if (length === 0) return undefined;
  let carry = eagerCarry("scan", init, undefined, scan);
  const stacked: { readonly tree: Tree; readonly tensors: readonly Tensor[] }[] = [];
  for (let k = 0; k < length; k++) {
    const at = reverse ? length - 1 - k : k;
    const x = rows.tensors.length === 0 ? null : buildTree(rows.tree, (index) => rows.tensors[index]!.at(at));
    const pair = pairOf(step(carry.value, x));
    carry = eagerCarry("scan", pair.carry, carry, scan);
    stacked[at] = run("scan", () => {
      const { tree, leaves } = leavesOf("scan", pair.y, "y");
      return { tree, tensors: leaves.map((leaf) => new Tensor(leafRef(leaf))) };
    });
  }
  return [carry.value, buildTree(stacked[0]!.tree, (index) => stack(stacked.map(({ tensors }) => tensors[index]!)))];
}

function pairOf(result: unknown): { readonly carry: unknown; readonly y: unknown } {
  if (result instanceof Promise) result.catch(() => {});
  if (Array.isArray(result) && result.length === 2) return { carry: result[0], y: result[1] };
  throw new SinterError(`scan: step must return [carry, y], not ${describeValue(result)}`);
}

/** The number of steps: all of xs agree in it. */
function lengthOf(xs: Leaves, given: number | undefined): number {
  if (given !== undefined && !(Number.isInteger(given) && given >= 0))
    throw new SinterError(`scan: length must be a whole number, 0 or more, not ${describeValue(given)}`);
  let [length, of] = [given, "length"];
  xs.leaves.forEach((leaf, i) => {
    const path = xs.paths[i]!;
    const shape = typeof leaf === "number" ? [] : leaf.shape;
    if (shape.length === 0)
      throw new ShapeError(
        `scan: ${path} is ${typeof leaf === "number" ? `the number ${leaf}` : describe(leaf)}, which has no first axis to step along; what is the same in each step need not be in xs`,
      );
    const steps = knownDim("scan", shape[0]!, `the first axis of ${path}`);
    if (length !== undefined && steps !== length)
      throw new ShapeError(
        `scan: ${of === "length" ? `length is ${length}` : `${of} has ${length} steps`}, but ${path} is ${describe(leaf as Ref)}: its first axis must be equally long`,
      );
    [length, of] = [steps, path];
  });
  if (length === undefined)
    throw new SinterError(
      "scan: without tensors in xs the number of steps is not known: scan(step, init, null, { length: 10 })",
    );
  return length;
}
