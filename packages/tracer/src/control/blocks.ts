/**
 * Blocks: pieces of a program being traced that become regions of cond, while and scan. A block is traced in a frame of
 * its own; what it reads of enclosing frames becomes captures when the operation is emitted, and the variables it writes
 * become carries or further results. Holds no public function.
 */
import type { Dim, DType } from "@sinter/ir";
import { mayNotEnd } from "@sinter/passes";
import { theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import { TraceError } from "../errors.ts";
import { currentFrame, currentTrace, inFrame, TraceFrame, type VariableCell } from "../frame.ts";
import { isOnGpu } from "../gpu/place.ts";
import { emit, scalar, select, stretch } from "../kit.ts";
import { type Ref, readLazy, type Traced } from "../lazy.ts";
import { staged } from "../staged.ts";
import { status } from "../status.ts";
import { Tensor } from "../tensor.ts";
import {
  type Block,
  type Carried,
  enclosing,
  inlineBlock,
  makeRegions,
  nothingCarried,
  pieceOf,
  writtenIn,
} from "./assemble.ts";

export type { Block } from "./assemble.ts";
export { inlineBlock } from "./assemble.ts";

export interface BlockType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly name: string;
}

/**
 * Runs body in a block frame of its own. Throws what body throws, leaving nothing behind. Dropping the returned block
 * leaves nothing behind either (a scratch trace). `name` is what errors call it: "then-branch of the if at a.ts:10:3".
 */
export function traceBlock<T>(
  name: string,
  params: readonly BlockType[],
  body: (params: readonly Tensor[]) => T,
): { readonly block: Block; readonly result: T } {
  const frame = new TraceFrame(name, currentFrame(), { block: true });
  const own = params.map((param) => frame.argument(param.dtype, param.shape, param.name));
  try {
    const result = inFrame(frame, () => body(own.map((ref) => new Tensor(ref))));
    return { block: { frame, params: own }, result };
  } catch (error) {
    frame.seal();
    throw error;
  }
}

/** The number that a rank-0 value is known to be while tracing; undefined where only the run tells. */
export function knownScalar(ref: Ref): number | undefined {
  if (ref.kind === "lazy" || ref.shape.length > 0) return undefined;
  return (ref.owner as TraceFrame).builder.constantOf(ref.value)?.data[0];
}

/**
 * The results of the branch at `index` (bool: [false, true]; an i32 clamps). `outs`: per branch, values in its frame
 * (lifted), of equal types across branches. Emits into the current frame; variables written in a branch are written there.
 */
export function emitCond(index: Ref, branches: readonly Block[], outs: readonly (readonly Ref[])[]): Ref[] {
  const frame = enclosing();
  const own = frame.lift(index);
  const known = knownScalar(own);
  if (known !== undefined) {
    const taken = Math.min(Math.max(known, 0), branches.length - 1);
    const results = inlineBlock(branches[taken]!, outs[taken]!, []);
    sealAll(branches);
    return results;
  }
  const written = writtenIn(branches);
  const { captures, regions } = makeRegions(
    frame,
    branches.map((block, i) => ({
      piece: pieceOf(block, [...outs[i]!, ...written.map((variable) => block.frame.read(variable))]),
      carried: nothingCarried,
    })),
  );
  const results = frame.builder
    .emitRegion("cond", { index: [own.value], captures }, {}, regions)
    .map((value) => frame.own(value));
  sealAll(branches);
  const count = results.length - written.length;
  writeBack(frame, written, results.slice(count));
  return results.slice(0, count);
}

/** How many rounds a loop goes at most, which its derivative makes use of. */
export interface WhileOptions {
  /** The loop is made to stop there. */
  readonly maxIterations?: number;
  /** The loop is known to stop there of itself. */
  readonly atMost?: number;
}

/**
 * Carries `init` through `body` while `more`, a bool scalar of the test block, is true. Test and body take the carries as
 * params; outs are the next carries. The test may not write variables.
 */
export function emitWhile(
  test: Block,
  more: Ref,
  body: Block,
  outs: readonly Ref[],
  init: readonly Ref[],
  options: WhileOptions = {},
): Ref[] {
  const assigned = writtenIn([test]);
  for (const variable of assigned)
    if (variable !== status)
      throw new TraceError(
        `the variable ${variable.name} is assigned in the ${test.frame.name}, which runs once more than the body does: assign it in the body`,
      );
  if (assigned.length > 0) return emitRotated({ test, more, body, outs, init }, options);
  const { maxIterations, atMost = 0 } = options;
  const loop = { test, more, body, outs, init };
  return maxIterations === undefined ? emitLoop(loop, atMost) : emitBounded(loop, maxIterations);
}

interface Loop {
  readonly test: Block;
  readonly more: Ref;
  readonly body: Block;
  readonly outs: readonly Ref[];
  readonly init: readonly Ref[];
}

function emitLoop({ test, more, body, outs, init }: Loop, maxIterations: number): Ref[] {
  const frame = enclosing();
  const written = writtenIn([body]);
  const goesOn =
    written.includes(status) || mayHaveFailed(frame)
      ? inFrame(test.frame, () => emit("and", [more, emit("eq", [test.frame.read(status), scalar("i32", 0)])]))
      : more;
  const init0 = init.map((ref) => frame.lift(ref));
  const entries = written.map((variable) => frame.read(variable));
  const carried = carriedBy(body, init0, written, entries, init.length);
  const { captures, regions } = makeRegions(frame, [
    { piece: pieceOf(test, [goesOn]), carried },
    { piece: pieceOf(body, [...outs, ...written.map((variable) => body.frame.read(variable))]), carried },
  ]);
  const all = [...init0, ...entries].map(({ value }) => value);
  const results = frame.builder
    .emitRegion("while", { captures, init: all }, { maxIterations }, regions)
    .map((value) => frame.own(value));
  sealAll([test, body]);
  writeBack(frame, written, results.slice(init.length));
  return results.slice(0, init.length);
}

/** Whether there are checks before this place: a loop might never end on what they do not let through. */
function mayHaveFailed(frame: TraceFrame): boolean {
  const use = frame.states.get(status);
  if (use !== undefined && use.now.value !== use.entry.value) return true;
  return frame.parent instanceof TraceFrame && mayHaveFailed(frame.parent);
}

/** A loop that counts its rounds, and ends where they are enough. */
function emitBounded({ test, more, body, outs, init }: Loop, maxIterations: number): Ref[] {
  const [rounds, before] = [test, body].map(({ frame }) => frame.argument("i32", [], "round")) as [Traced, Traced];
  const counted: Loop = {
    test: { frame: test.frame, params: [...test.params, rounds] },
    more: inFrame(test.frame, () => emit("and", [more, emit("lt", [rounds, scalar("i32", maxIterations)])])),
    body: { frame: body.frame, params: [...body.params, before] },
    outs: [...outs, inFrame(body.frame, () => emit("add", [before, scalar("i32", 1)]))],
    init: [...init, scalar("i32", 0)],
  };
  return emitLoop(counted, maxIterations).slice(0, -1);
}

/** A loop whose test contains checks: the test runs before the loop and at the end of each round, and is carried. */
function emitRotated({ test, more, body, outs, init }: Loop, { maxIterations, atMost }: WhileOptions): Ref[] {
  const [first] = inlineBlock(test, [more], init);
  const count = body.params.length;
  const types: BlockType[] = body.params.map(({ dtype, shape }, i) => ({ dtype, shape, name: `p${i}` }));
  types.push({ dtype: "bool", shape: [], name: "more" });
  if (maxIterations !== undefined) types.push({ dtype: "i32", shape: [], name: "round" });
  const refsOf = (params: readonly Tensor[]): Ref[] => params.map((param) => param.ref("a loop"));
  const asked = traceBlock(test.frame.name, types, (params) => refsOf(params)[count]!);
  const stepped = traceBlock(body.frame.name, types, (params) => {
    const refs = refsOf(params);
    const next = inlineBlock(body, outs, refs.slice(0, count));
    if (maxIterations === undefined) return [...next, ...inlineBlock(test, [more], next)];
    const round = emit("add", [refs[count + 1]!, scalar("i32", 1)]);
    const left = emit("lt", [round, scalar("i32", maxIterations)]);
    // After the last round the test is not asked: its checks cannot fail, and it prints nothing.
    const asked = traceBlock(test.frame.name, [], () => inlineBlock(test, [more], next));
    const over = traceBlock(test.frame.name, [], () => [scalar("bool", 0)]);
    const [again] = emitCond(left, [over.block, asked.block], [over.result, asked.result]);
    return [...next, again!, round];
  });
  sealAll([test, body]);
  const start = [...init, first!, ...(maxIterations === undefined ? [] : [scalar("i32", 0)])];
  const bound = maxIterations ?? atMost;
  const options = bound === undefined ? {} : { atMost: bound };
  return emitWhile(asked.block, asked.result, stepped.block, stepped.result, start, options).slice(0, count);
}

/** body's params: carries, then one slice of each of xs. outs: next carries, then what to stack. */
export function emitScan(
  body: Block,
  outs: readonly Ref[],
  init: readonly Ref[],
  xs: readonly Ref[],
  options: { readonly length: number; readonly reverse?: boolean },
): Ref[] {
  const checked = writtenIn([body]).includes(status) && mayNotEnd(pieceOf(body, outs).graph);
  const { block, result } = checked ? untilFailure(body, outs, init.length) : { block: body, result: outs };
  return emitSteps(block, result, init, xs, options);
}

function emitSteps(
  body: Block,
  outs: readonly Ref[],
  init: readonly Ref[],
  xs: readonly Ref[],
  options: { readonly length: number; readonly reverse?: boolean },
): Ref[] {
  const frame = enclosing();
  const written = writtenIn([body]);
  const init0 = init.map((ref) => frame.lift(ref));
  const entries = written.map((variable) => frame.read(variable));
  const carried = carriedBy(body, init0, written, entries, init.length);
  const next = [
    ...outs.slice(0, init.length),
    ...written.map((variable) => body.frame.read(variable)),
    ...outs.slice(init.length),
  ];
  const { captures, regions } = makeRegions(frame, [{ piece: pieceOf(body, next), carried }]);
  const results = frame.builder
    .emitRegion(
      "scan",
      {
        captures,
        init: [...init0, ...entries].map(({ value }) => value),
        xs: xs.map((ref) => frame.lift(ref).value),
      },
      { length: options.length, reverse: options.reverse ?? false },
      regions,
    )
    .map((value) => frame.own(value));
  sealAll([body]);
  const count = init.length + written.length;
  writeBack(frame, written, results.slice(init.length, count));
  return [...results.slice(0, init.length), ...results.slice(count)];
}

/** The steps of a scan that do nothing once a check has failed: a loop inside might never end on what came of it. */
function untilFailure(
  body: Block,
  outs: readonly Ref[],
  carries: number,
): { readonly block: Block; readonly result: readonly Ref[] } {
  const { name } = body.frame;
  const types = body.params.map(({ dtype, shape }, i): BlockType => ({ dtype, shape, name: `p${i}` }));
  const stepped = traceBlock(name, types, (params) => {
    const refs = params.map((param) => param.ref("scan"));
    const fine = emit("eq", [enclosing().read(status), scalar("i32", 0)]);
    const step = traceBlock(name, [], () => inlineBlock(body, outs, refs));
    const skip = traceBlock(name, [], () => [
      ...refs.slice(0, carries),
      ...outs.slice(carries).map(({ dtype, shape }) => stretch(scalar(dtype, 0), shape)),
    ]);
    return emitCond(fine, [skip.block, step.block], [skip.result, step.result]);
  });
  sealAll([body]);
  return stepped;
}

/** Parameters of a loop's regions: its carries, the variables it writes, then the block's other parameters (slices). */
function carriedBy(
  block: Block,
  init: readonly Traced[],
  written: readonly VariableCell[],
  entries: readonly Traced[],
  count: number,
): Carried {
  const nameOf = (param: Traced): string => block.frame.builder.nameOf(param.value);
  return {
    types: [
      ...init.map(({ value }, i) => ({ value, name: nameOf(block.params[i]!) })),
      ...entries.map(({ value }, i) => ({ value, name: written[i]!.name })),
      ...block.params.slice(count).map((param) => ({ value: param.value, name: nameOf(param) })),
    ],
    place: (index) => (index < count ? index : index + written.length),
    placeOf: (variable) => {
      const at = written.indexOf(variable);
      return at < 0 ? undefined : count + at;
    },
  };
}

/**
 * Fails the call with `error` where `condition` (bool scalar) is false. Outside a trace: checks now and throws; on a GPU
 * that is known later, and the next read rejects. Inside one
 * the first check that fails is remembered in the hidden status of the program, and whoever ran it throws.
 */
export function emitCheck(condition: Ref, error: Error): void {
  const frame = currentTrace();
  if (frame === undefined) {
    if (condition.kind !== "lazy") return;
    if (isOnGpu(condition)) {
      staged("assert", () => {
        emitCheck(condition, error);
        return [];
      });
      return;
    }
    force(condition);
    if (readLazy(theMachine().heap, condition)[0] === 0) throw error;
    return;
  }
  if (knownScalar(condition) === 1) return;
  const { checks } = frame.root();
  const code = checks.push(error);
  const before = frame.read(status);
  const failed = emit("and", [emit("eq", [before, scalar("i32", 0)]), emit("not", [condition])]);
  frame.write(status, select(failed, scalar("i32", code), before));
}

function writeBack(frame: TraceFrame, written: readonly VariableCell[], values: readonly Traced[]): void {
  written.forEach((variable, i) => {
    frame.write(variable, values[i]!);
  });
}

/** Blocks that have become regions: their values cannot be used any more. */
function sealAll(blocks: readonly Block[]): void {
  for (const { frame } of blocks) frame.seal();
}
