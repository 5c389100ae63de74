/** Runs a function once on traced arguments and returns its graph, connected. */
import type { HostTensor } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { type Wiring, wire } from "./concrete.ts";
import { force } from "./eager.ts";
import { describeValue, SinterError } from "./errors.ts";
import { currentFrame, inFrame, TraceFrame, VariableCell } from "./frame.ts";
import { toRef } from "./kit.ts";
import { type Lazy, type Ref, readLazy, type Traced } from "./lazy.ts";
import { Tensor } from "./tensor.ts";
import { buildTree, checkResult, eachTensor, type Leaf, type Tree, treeOf } from "./trees.ts";

/** Captured tensors of at most this many bytes become part of the program. */
const foldedBytes = 64;

function adopt(lazy: Lazy): HostTensor | undefined {
  force(lazy);
  if (lazy.bytes > foldedBytes) return undefined;
  return { dtype: lazy.dtype, shape: lazy.shape, data: readLazy(theMachine().heap, lazy) };
}

export type UserFunction = (...args: never[]) => unknown;

export interface TraceOptions {
  readonly fastMath?: boolean;
  readonly creation: "allowed" | "forbidden";
}

export interface TraceResult {
  readonly wiring: Wiring;
  readonly created: number;
  readonly build: (leaf: (index: number) => unknown) => unknown;
}

/** Traces `fn` on the arguments that `tree` describes. Leaves nothing behind where it throws. */
export function traceFunction(
  fn: UserFunction,
  name: string,
  tree: Tree,
  names: readonly string[],
  options: TraceOptions,
): TraceResult {
  const frame = new TraceFrame(name, currentFrame(), { ...options, adopt });
  const args: Traced[] = [];
  eachTensor(tree, ({ index, dtype, shape, path }) => {
    args[index] = frame.argument(dtype, shape, pathName(path, names));
  });
  const { outs, build, created } = traceBody(
    frame,
    fn,
    buildTree(tree, (index) => new Tensor(args[index]!)) as unknown[],
  );
  return { wiring: wire({ frame, args, outs }), created, build };
}

/** Calls `fn` in a frame and brings its result into the frame. Seals the frame where it throws. */
export function traceBody(
  frame: TraceFrame,
  fn: UserFunction,
  args: readonly unknown[],
): { readonly outs: readonly Traced[]; readonly build: TraceResult["build"]; readonly created: number } {
  try {
    return inFrame(frame, () => {
      const result: unknown = (fn as (...given: unknown[]) => unknown)(...args);
      checkResult(frame.name, result);
      const leaves: Leaf[] = [];
      const tree = treeOf(variablesRead(result), leaves, "result");
      const outs = leaves.map((leaf): Traced => frame.lift(leafRef(frame.name, leaf)));
      return { outs, build: (leaf) => buildTree(tree, leaf), created: frame.created.length };
    });
  } catch (error) {
    frame.seal();
    throw error;
  }
}

/** Variables in a result stand for their values at the end. */
function variablesRead(value: unknown): unknown {
  if (value instanceof VariableCell) return new Tensor(toRef("the result", "variable", value));
  if (Array.isArray(value)) return value.map(variablesRead);
  return value;
}

function leafRef(name: string, leaf: Leaf): Ref {
  if (leaf instanceof Tensor) return leaf.ref(`${name}: result`);
  if (ArrayBuffer.isView(leaf)) return toRef(name, "result", leaf);
  throw new SinterError(`${name}: the function returned ${describeValue(leaf)}`);
}

/** `args[0].w` becomes `x_w` where the function's first parameter is x. */
function pathName(path: string, names: readonly string[]): string {
  return path.replace(/^args\[(\d+)\]/, (_, i: string) => names[Number(i)] ?? `arg${i}`);
}

/** Names of a function's parameters, where its source tells them plainly. */
export function parameterNames(fn: UserFunction): string[] {
  const source = Function.prototype.toString.call(fn);
  const list =
    /^(?:async\s+)?(?:function\s*[\w$]*\s*)?\(([^()]*)\)/.exec(source)?.[1] ?? /^([\w$]+)\s*=>/.exec(source)?.[1];
  if (list === undefined) return [];
  return list.split(",").map((part, i) => /^\s*(?:\.\.\.)?([A-Za-z_$][\w$]*)/.exec(part)?.[1] ?? `arg${i}`);
}
