/**
 * Functions with a derivative of their own: `customVjp`, whose way back the user writes, and `checkpoint`, whose way back
 * computes the function again instead of keeping what it computed.
 */

import { Builder, type Graph, inlineGraph, type Value } from "@sinter/ir";
import { DifferentiationError, vjpInto } from "@sinter/passes";
import {
  type Block,
  type Carried,
  makeRegions,
  nothingCarried,
  type Piece,
  pieceOf,
  writtenIn,
} from "./control/assemble.ts";
import { type BlockType, traceBlock } from "./control/blocks.ts";
import { leafRef, leavesOf } from "./control/values.ts";
import { sameDims } from "./dims.ts";
import { checkOptions, DTypeError, describe, describeValue, ShapeError, SinterError, TraceError } from "./errors.ts";
import { currentFrame, currentTrace, inFrame, type TraceFrame } from "./frame.ts";
import { run, toRef } from "./kit.ts";
import type { Ref, Traced } from "./lazy.ts";
import { leafRefs } from "./staged.ts";
import { status } from "./status.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import { buildTree, eachTensor, type Leaf, type Tree, treeOf } from "./trees.ts";

type Loose = (...args: readonly unknown[]) => unknown;

const isFloat = ({ dtype }: { readonly dtype: string }): boolean => dtype.startsWith("f");

/** Arguments of a call: their tree, and the tensors in it. */
function argumentsOf(caller: string, args: readonly unknown[]) {
  const leaves: Leaf[] = [];
  const tree = treeOf(args, leaves, "args");
  const types: BlockType[] = [];
  const paths: string[] = [];
  eachTensor(tree, ({ dtype, shape, path }) => {
    types.push({ dtype, shape, name: path.replace(/^args/, "arg") });
    paths.push(path.replace(/^args\[(\d+)\]/, "argument $1"));
  });
  return { tree, types, paths, refs: leafRefs(caller, leaves) };
}

function traced(name: string, fn: Loose, tree: Tree, types: readonly BlockType[]) {
  return traceBlock(name, types, (params) =>
    leavesOf(name, fn(...(buildTree(tree, (index) => params[index]) as unknown[])), "result"),
  );
}

/** Assignments would happen twice. Checks and what is printed do not: they are made on the way forward only. */
function refuseWrites(caller: string, blocks: readonly Block[]): void {
  for (const variable of writtenIn(blocks))
    if (variable !== status)
      throw new TraceError(
        `${caller}: the function assigns the variable ${variable.name}, which would happen twice; assign it outside`,
      );
}

/** Blocks that the status goes through where one of them changes it, as a last argument and a last result. */
class Through {
  readonly carries: boolean;

  constructor(blocks: readonly Block[]) {
    this.carries = writtenIn(blocks).includes(status);
  }

  private read(frame: TraceFrame): readonly Traced[] {
    return this.carries ? [frame.read(status)] : [];
  }

  /** What goes in besides the arguments. */
  args(frame: TraceFrame): Value[] {
    return this.read(frame).map(({ value }) => value);
  }

  /** A region: its results are `outs`, the status, then `more`. */
  region(block: Block, outs: readonly Ref[], more: readonly Ref[] = []): { piece: Piece; carried: Carried } {
    const now = this.read(block.frame);
    const types = [
      ...block.params.map(({ value }, i) => ({ value, name: `p${i}` })),
      ...now.map(({ value }) => ({ value, name: status.name })),
    ];
    const last = this.carries ? block.params.length : undefined;
    const placeOf = (variable: unknown): number | undefined => (variable === status ? last : undefined);
    return { piece: pieceOf(block, [...outs, ...now, ...more]), carried: { ...nothingCarried, types, placeOf } };
  }

  /** The results of the operation, with the status at `place` taken out. */
  results(frame: TraceFrame, made: readonly Value[], place: number): Traced[] {
    const refs = made.map((value) => frame.own(value));
    if (this.carries) frame.write(status, refs.splice(place, 1)[0]!);
    return refs;
  }
}

/**
 * `fn` with the derivative that `bwd` says. `fwd(...args)` returns [result, residuals]: the same result as `fn`, and a tree of
 * what `bwd(residuals, cotangent)` needs to return a tuple of cotangents, one for each argument (null where it is zero).
 * The functions must not assign variables, and what they use besides their arguments counts as constant.
 */
export function customVjp<A extends readonly unknown[], R, S>(
  fn: (...args: A) => R,
  fwd: (...args: A) => readonly [R, S],
  bwd: (residuals: S, cotangent: R) => readonly unknown[],
): (...args: A) => R {
  for (const [name, value] of Object.entries({ fn, fwd, bwd }))
    if (typeof value !== "function")
      throw new SinterError(`customVjp: ${name} must be a function, not ${describeValue(value)}`);
  return (...args) => {
    if (currentTrace() === undefined) return fn(...args);
    return run("customVjp", () =>
      emitCustom(fn as unknown as Loose, fwd as unknown as Loose, bwd as unknown as Loose, args),
    ) as R;
  };
}

function emitCustom(fn: Loose, fwd: Loose, bwd: Loose, args: readonly unknown[]): unknown {
  const { tree, types, paths, refs } = argumentsOf("customVjp", args);
  const primal = traced("function of customVjp", fn, tree, types);
  const { result } = primal;
  const outs = inFrame(primal.block.frame, () => result.leaves.map(leafRef));
  let residuals: ReturnType<typeof leavesOf> | undefined;
  const forward = traceBlock("fwd of customVjp", types, (params) => {
    const pair = fwd(...(buildTree(tree, (index) => params[index]) as unknown[]));
    if (!Array.isArray(pair) || pair.length !== 2)
      throw new SinterError(`customVjp: fwd must return [result, residuals], not ${describeValue(pair)}`);
    const again = leavesOf("customVjp", pair[0], "result");
    residuals = leavesOf("customVjp", pair[1], "residuals");
    return sameTypes("customVjp: fwd", "fn", again.leaves.map(leafRef), outs, again.paths).concat(
      residuals.leaves.map(leafRef),
    );
  });
  const kept = forward.result.slice(outs.length);
  const seeds = outs.filter(isFloat);
  const typesOf = (list: readonly Ref[], name: string): BlockType[] =>
    list.map(({ dtype, shape }, i) => ({ dtype, shape, name: `${name}_${i}` }));
  const back = traceBlock("bwd of customVjp", [...typesOf(kept, "known"), ...typesOf(seeds, "ct")], (params) => {
    let next = kept.length;
    const cotangents = outs.map((out) => (isFloat(out) ? params[next++]! : null));
    const given = buildTree(residuals!.tree, (index) => params[index]);
    const gradients = bwd(
      given,
      buildTree(result.tree, (index) => cotangents[index]),
    );
    if (!Array.isArray(gradients) || gradients.length !== args.length)
      throw new SinterError(
        `customVjp: bwd must return an array of ${args.length} cotangents, one for each argument, not ${describeValue(gradients)}`,
      );
    return cotangentsOf(tree, gradients, paths, types);
  });
  refuseWrites("customVjp", [primal.block, forward.block, back.block]);
  if (writtenIn([back.block]).includes(status))
    throw new TraceError("customVjp: bwd makes a check or calls the host, which can be done on the way forward only");
  const frame = currentTrace()!;
  const through = new Through([primal.block, forward.block]);
  const plain = new Through([]);
  const { captures, regions } = makeRegions(frame, [
    through.region(primal.block, outs),
    through.region(forward.block, forward.result.slice(0, outs.length), kept),
    plain.region(back.block, back.result),
  ]);
  for (const { block } of [primal, forward, back]) block.frame.seal();
  const given = [...refs.map((ref) => frame.lift(ref).value), ...through.args(frame)];
  const made = frame.builder.emitRegion("customVjp", { captures, args: given }, {}, regions);
  return tensorTree(result.tree, through.results(frame, made, outs.length));
}

function tensorTree(tree: Tree, refs: readonly Traced[]): unknown {
  return buildTree(tree, (index) => new Tensor(refs[index]!));
}

/** Cotangents of the float arguments, in the order of their tensors. */
function cotangentsOf(
  tree: Tree,
  gradients: readonly unknown[],
  paths: readonly string[],
  types: readonly BlockType[],
): Ref[] {
  const found: Ref[] = [];
  const visit = (at: Tree, value: unknown): void => {
    if (at.kind === "tensor") {
      if (!isFloat(at)) return;
      const zero = value === null || value === undefined;
      const ref = zero ? zerosOf(types[at.index]!) : toRef("customVjp: bwd", paths[at.index]!, value as TensorLike);
      found.push(
        ...sameTypes(
          "customVjp: bwd",
          "the argument",
          [ref],
          [types[at.index]!],
          [`the cotangent of ${paths[at.index]}`],
        ),
      );
    } else if (at.kind !== "static")
      at.items.forEach((item, i) => {
        const key = at.kind === "array" ? i : at.keys[i]!;
        visit(item, value === null || value === undefined ? null : (value as Record<string, unknown>)[key]);
      });
  };
  visit(tree, gradients);
  return found;
}

function zerosOf({ dtype, shape }: BlockType): Ref {
  const frame = currentFrame();
  const zero = frame.scalar(dtype, 0);
  return shape.length === 0 ? zero : frame.emit("broadcast", [zero], { shape, dims: [] });
}

function sameTypes(
  caller: string,
  what: string,
  given: readonly Ref[],
  wanted: readonly Pick<BlockType, "dtype" | "shape">[],
  paths: readonly string[],
): Ref[] {
  if (given.length !== wanted.length)
    throw new SinterError(`${caller} gives ${given.length} tensors where ${what} gives ${wanted.length}`);
  return given.map((ref, i) => {
    const { dtype, shape } = wanted[i]!;
    if (ref.dtype !== dtype || !sameDims(ref.shape, shape))
      throw new (ref.dtype === dtype ? ShapeError : DTypeError)(
        `${caller}: ${paths[i]} is ${describe(ref)}, that of ${what} is ${describe(wanted[i]!)}`,
      );
    return ref;
  });
}

export interface CheckpointOptions {
  /** What reverse mode keeps of what the function computes: nothing (unless said), or everything, as without checkpoint. */
  readonly policy?: "nothing" | "everything";
}

/**
 * `fn`, of which reverse mode keeps only the arguments: what it computes is computed again on the way back. Saves memory,
 * costs time. The function must not assign variables; those it reads are differentiated like arguments. It may print, which
 * happens once, but not use `hostCall`.
 */
export function checkpoint<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: CheckpointOptions = {},
): (...args: A) => R {
  if (typeof fn !== "function") throw new SinterError(`checkpoint: fn must be a function, not ${describeValue(fn)}`);
  checkOptions("checkpoint", options, ["policy"]);
  const { policy = "nothing" } = options;
  if (policy !== "nothing" && policy !== "everything")
    throw new SinterError(`checkpoint: policy must be "nothing" or "everything", not ${describeValue(policy)}`);
  if (policy === "everything") return fn;
  return (...args) => {
    if (currentTrace() === undefined) return fn(...args);
    return run("checkpoint", () => emitCheckpoint(fn as unknown as Loose, args)) as R;
  };
}

function emitCheckpoint(fn: Loose, args: readonly unknown[]): unknown {
  const { tree, types, refs } = argumentsOf("checkpoint", args);
  const { block, result } = traced("function of checkpoint", fn, tree, types);
  refuseWrites("checkpoint", [block]);
  const outs = inFrame(block.frame, () => result.leaves.map(leafRef));
  const frame = currentTrace()!;
  const through = new Through([block]);
  const { captures, regions } = makeRegions(frame, [through.region(block, outs)]);
  block.frame.seal();
  const primal = regions[0]!;
  const operands = [...captures, ...refs.map((ref) => frame.lift(ref).value), ...through.args(frame)];
  const made = frame.builder.emitRegion("customVjp", { captures: [], args: operands }, {}, [
    primal,
    keepingArguments(primal),
    computingAgain(primal, captures.length),
  ]);
  return tensorTree(result.tree, through.results(frame, made, outs.length));
}

/** The function's results, and its arguments. */
function keepingArguments(primal: Graph): Graph {
  const b = new Builder(primal.name);
  const args = primal.params.map(({ value, name }) => b.param("arg", value.type, name));
  return b.finish([...inlineGraph(b, primal, args), ...args].map((value) => ({ kind: "out", value })));
}

/** Cotangents of the float arguments from the arguments and cotangents of the float results. */
function computingAgain(primal: Graph, captures: number): Graph {
  const b = new Builder(primal.name);
  const floats = (values: readonly Value[]): Value[] =>
    values.filter(({ type }) => type.kind === "tensor" && isFloat(type));
  const args = primal.params.map(({ value, name }) => b.param("arg", value.type, name));
  const seeds = floats(primal.results.map(({ value }) => value)).map(({ type }, i) => b.param("arg", type, `ct_${i}`));
  // Nothing may take what is computed again for what was computed before: it would have to be kept.
  const fenced = [...args.slice(captures), ...seeds];
  const apart = fenced.length === 0 ? [] : b.emitAll("barrier", fenced);
  const again = [...args.slice(0, captures), ...apart.slice(0, args.length - captures)];
  let next = args.length - captures;
  const wrt = primal.params.flatMap(({ value: { type } }, i) => (type.kind === "tensor" && isFloat(type) ? [i] : []));
  try {
    const { gradients } = vjpInto(
      b,
      primal,
      again,
      () =>
        primal.results.map(({ value: { type } }) => (type.kind === "tensor" && isFloat(type) ? apart[next++]! : null)),
      wrt,
      { again: true },
    );
    return b.finish(gradients.map((value) => ({ kind: "out", value })));
  } catch (error) {
    if (error instanceof DifferentiationError) throw new DTypeError(`checkpoint: ${error.message}`);
    throw error;
  }
}
