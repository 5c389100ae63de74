/** Loops that carry a tree of tensors: `whileLoop` and `fori`. */

import type { DType } from "@sinter/ir";
import { currentBackend } from "../backend.ts";
import { sameDims } from "../dims.ts";
import {
  type AnyFunction,
  checkOptions,
  DTypeError,
  describe,
  describeValue,
  ShapeError,
  SinterError,
  userLine,
} from "../errors.ts";
import { currentFrame, currentTrace, type Frame, inFrame, VariableCell } from "../frame.ts";
import { cast, emit, reshape, run, scalar, toRef } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { staged } from "../staged.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { buildTree } from "../trees.ts";
import { type Block, type BlockType, emitScan, emitWhile, traceBlock } from "./blocks.ts";
import { decided } from "./cond.ts";
import {
  checkFunctions,
  condition,
  fits,
  type Leaf,
  type Leaves,
  type Like,
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

export interface WhileOptions {
  /** The loop ends after so many rounds at the latest. Reverse mode keeps that many carries. */
  readonly maxIterations?: number;
}

/**
 * Calls `body` on the carry, a tree, for as long as `test` of it is true, and returns the last one. Numbers in `init` become
 * tensors: whole ones i32, others f32, or what they are after a round. The carry keeps its structure, shapes and dtypes.
 */
export function whileLoop<C>(
  test: (carry: Tensors<C>) => TensorLike,
  body: (carry: Tensors<C>) => Like<NoInfer<C>>,
  init: C,
  options: WhileOptions = {},
): Tensors<C> {
  checkFunctions("whileLoop", { test, body });
  checkOptions("whileLoop", options, ["maxIterations"]);
  const { maxIterations } = options;
  if (maxIterations !== undefined && !(Number.isInteger(maxIterations) && maxIterations > 0))
    throw new SinterError(
      `whileLoop: maxIterations must be a whole number above 0, not ${describeValue(maxIterations)}`,
    );
  const given = test as (carry: unknown) => unknown;
  const step = body as (carry: unknown) => unknown;
  // A GPU cannot be asked after each round: there the loop is a program of its own.
  if (currentTrace() === undefined && currentBackend() !== "webgpu")
    return eagerLoop(given, step, init, maxIterations) as Tensors<C>;
  return run("whileLoop", () => {
    const where = placeName("whileLoop");
    const outer = currentFrame();
    const start = leavesOf("whileLoop", init, "carry");
    const results = staged("whileLoop", () => {
      const loop = traceLoop("whileLoop", start, outer, (types, wrap) =>
        traceBlock(`body of ${where}`, types, (params) => leavesOf("whileLoop", step(wrap(params)), "carry")),
      );
      const asked = traceBlock(`test of ${where}`, loop.types, (params) => {
        const more = condition("whileLoop", "the result of test", given(loop.wrap(params)));
        if (more === true && maxIterations === undefined)
          throw new SinterError(
            "whileLoop: test returns true whatever the carry is, so that the loop never ends; test the carry, or give maxIterations",
          );
        return typeof more === "boolean" ? scalar("bool", more ? 1 : 0) : more;
      });
      const bound = maxIterations === undefined ? {} : { maxIterations };
      return emitWhile(asked.block, asked.result, loop.block, loop.outs, loop.init, bound);
    });
    return tensorsOf(start.tree, results, whileLoop);
  }) as Tensors<C>;
}

/**
 * Calls `body(i, carry)` for i = lower, lower + 1, ... upper - 1 and returns the last carry; `i` is an i32 scalar. Bounds
 * are integers or integer scalars. The carry is as for `whileLoop`.
 */
export function fori<C>(
  lower: TensorLike,
  upper: TensorLike,
  body: (i: Tensor, carry: Tensors<C>) => Like<NoInfer<C>>,
  init: C,
): Tensors<C> {
  checkFunctions("fori", { body });
  const step = body as (i: Tensor, carry: unknown) => unknown;
  const [from, to] = run("fori", () => [bound("lower", lower), bound("upper", upper)] as const);
  if (currentTrace() === undefined && typeof from === "number" && typeof to === "number")
    return eagerFori(from, to, step, init) as Tensors<C>;
  return run("fori", () => {
    const where = placeName("fori");
    const outer = currentFrame();
    const start = leavesOf("fori", init, "carry");
    const results = staged("fori", () => {
      const counter: BlockType = { dtype: "i32", shape: [], name: "i" };
      const loop = traceLoop("fori", start, outer, (types, wrap) =>
        traceBlock(`body of ${where}`, [counter, ...types], ([i, ...params]) => {
          const leaves = leavesOf("fori", step(i!, wrap(params)), "carry");
          return { ...leaves, next: emit("add", [i!.ref("fori"), scalar("i32", 1)]) };
        }),
      );
      const outs = [loop.traced.next, ...loop.outs];
      const init32 = (value: number | Ref): Ref => (typeof value === "number" ? scalar("i32", value) : value);
      const first = [init32(from), ...loop.init];
      if (typeof from === "number" && typeof to === "number") {
        if (to <= from) return [...loop.init];
        return emitScan(loop.block, outs, first, [], { length: to - from }).slice(1);
      }
      const asked = traceBlock(`test of ${where}`, [counter, ...loop.types], ([i]) =>
        emit("lt", [i!.ref("fori"), init32(to)]),
      );
      return emitWhile(asked.block, asked.result, loop.block, outs, first).slice(1);
    });
    return tensorsOf(start.tree, results, fori);
  }) as Tensors<C>;
}

/** A bound of `fori`: known, or an i32 scalar. */
function bound(argument: string, value: TensorLike): number | Ref {
  if (typeof value === "number") {
    if (Number.isInteger(value)) return value;
    throw new DTypeError(`fori: ${argument} must be an integer, not ${value}`);
  }
  if (!(value instanceof Tensor) && !(value instanceof VariableCell))
    throw new DTypeError(`fori: ${argument} must be an integer or an integer scalar, not ${describeValue(value)}`);
  const ref = toRef("fori", argument, value);
  if (ref.dtype !== "i32" && ref.dtype !== "u32")
    throw new DTypeError(
      `fori: ${argument} is ${describe(ref)}, but must be an integer scalar; .cast("i32") if it is whole`,
    );
  if (ref.shape.some((size) => size !== 1))
    throw new ShapeError(`fori: ${argument} is ${describe(ref)}, but must be one integer`);
  return decided(reshape(cast(ref, "i32"), []));
}

/** How errors call a loop: `the whileLoop at a.ts:10:3`. */
export function placeName(caller: string): string {
  const where = userLine();
  return `the ${caller}${where === undefined ? "" : ` at ${where}`}`;
}

/** A loop's body, traced on carries of the types they keep. */
export interface TracedLoop<R> {
  readonly block: Block;
  readonly traced: R;
  readonly types: readonly BlockType[];
  readonly tree: Leaves["tree"];
  readonly init: readonly Ref[];
  readonly outs: readonly Ref[];
  wrap(params: readonly Tensor[]): unknown;
}

/** How often a body is traced until the dtypes of carries that began as numbers are found: i32, f32, f64. */
const mostAttempts = 4;

/**
 * Traces the body of a loop whose carry begins as `start`, in the frame `outer`. A carry that is a plain number there, and another numeric type
 * after a round, is traced again with that type.
 */
export function traceLoop<R extends Leaves>(
  caller: string,
  start: Leaves,
  outer: Frame,
  trace: (
    types: readonly BlockType[],
    wrap: (params: readonly Tensor[]) => unknown,
  ) => { readonly block: Block; readonly result: R },
): TracedLoop<R> {
  const wrap = (params: readonly Tensor[]): unknown => buildTree(start.tree, (index) => params[index]);
  const dtypes = start.leaves.map((leaf) => leafType(leaf).dtype);
  for (let attempt = 1; ; attempt++) {
    const types = start.leaves.map(
      (leaf, i): BlockType => ({ dtype: dtypes[i]!, shape: leafType(leaf).shape, name: carryName(start.paths[i]!) }),
    );
    const { block, result } = trace(types, wrap);
    if (widen(caller, start, result, dtypes) && attempt < mostAttempts) continue;
    const outs = inFrame(block.frame, () => result.leaves.map((leaf, i) => leafAs(leaf, dtypes[i]!)));
    const first = inFrame(outer, () => start.leaves.map((leaf, i) => leafAs(leaf, dtypes[i]!)));
    return { block, traced: result, types, tree: start.tree, init: first, outs, wrap };
  }
}

/**
 * Compares a carry before and after a round. Gives whether a dtype among `dtypes` was widened, so that the body must be
 * traced again; throws for what differs otherwise.
 */
function widen(caller: string, start: Leaves, after: Leaves, dtypes: DType[]): boolean {
  const found = treeDifference(start.tree, after.tree, "carry");
  if (found !== undefined)
    throw new SinterError(
      `${caller}: the carry changes its structure: ${found.path} is ${found.a} before the first round, ${found.b} after it`,
    );
  let widened = false;
  start.leaves.forEach((before, i) => {
    const leaf = after.leaves[i]!;
    const dtype = dtypes[i]!;
    const { shape } = leafType(before);
    const now = leafType(leaf);
    const text = (): string =>
      `${start.paths[i]} is ${typeof before === "number" ? `${leafText(before)} (${dtype}[])` : describe({ dtype, shape })} before the first round, ${leafText(leaf)} after it`;
    if (!sameDims(now.shape, shape))
      throw new ShapeError(
        `${caller}: the carry changes its shape: ${text()}${shape.length === 0 ? "; begin with a tensor of that shape" : ""}`,
      );
    if (now.dtype === dtype || (typeof leaf === "number" && fits(leaf, dtype))) return;
    const weak = typeof before === "number" || typeof leaf === "number";
    const joined = weak ? weakJoin(dtype, now.dtype) : undefined;
    if (joined === undefined || (joined !== dtype && typeof before !== "number"))
      throw new DTypeError(
        `${caller}: the carry changes its dtype: ${text()}${now.dtype === "bool" || dtype === "bool" ? "" : `: write .cast("${dtype}") at the end of the round, or begin with .cast("${now.dtype}")`}`,
      );
    if (joined !== dtype) {
      dtypes[i] = joined;
      widened = true;
    }
  });
  return widened;
}

/** `carry.x[0]` becomes `x_0`. */
function carryName(path: string): string {
  return path.replace(/^carry[.]?/, "") || "carry";
}

/** Outside a trace: a JavaScript loop over eager tensors. */
function eagerLoop(
  test: (carry: unknown) => unknown,
  body: (carry: unknown) => unknown,
  init: unknown,
  maxIterations = Number.POSITIVE_INFINITY,
): unknown {
  let carry = eagerCarry("whileLoop", init, undefined, whileLoop);
  for (let round = 0; round < maxIterations; round++) {
    const asked = test(carry.value);
    const more = run("whileLoop", () => {
      const ref = condition("whileLoop", "the result of test", asked);
      return typeof ref === "boolean" ? ref : decided(ref) !== 0;
    });
    if (!more) break;
    carry = eagerCarry("whileLoop", body(carry.value), carry, whileLoop);
  }
  return carry.value;
}

function eagerFori(from: number, to: number, body: (i: Tensor, carry: unknown) => unknown, init: unknown): unknown {
  let carry = eagerCarry("fori", init, undefined, fori);
  for (let i = from; i < to; i++) {
    const counter = run("fori", () => new Tensor(currentFrame().number("i32", i)));
    carry = eagerCarry("fori", body(counter, carry.value), carry, fori);
  }
  return carry.value;
}

export interface EagerCarry {
  readonly value: unknown;
  readonly leaves: Leaves;
  readonly dtypes: readonly DType[];
  /** What each leaf was before the first round. */
  readonly first: readonly Leaf[];
}

/** The carry after a round, or the first one: tensors of the types that the carry keeps. */
export function eagerCarry(
  caller: string,
  value: unknown,
  before: EagerCarry | undefined,
  self: AnyFunction,
): EagerCarry {
  return run(caller, () => {
    const leaves = leavesOf(caller, value, "carry");
    if (before === undefined) {
      const refs = leaves.leaves.map(leafRef);
      const dtypes = refs.map(({ dtype }) => dtype);
      return { value: tensorsOf(leaves.tree, refs, self), leaves, dtypes, first: leaves.leaves };
    }
    const dtypes = [...before.dtypes];
    widen(caller, { ...before.leaves, leaves: before.first }, leaves, dtypes);
    const refs = leaves.leaves.map((leaf, i) => leafAs(leaf, dtypes[i]!));
    return { ...before, value: tensorsOf(leaves.tree, refs, self), dtypes };
  });
}
