/** Runs a function once on traced arguments and returns its graph, connected. */
import type { HostTensor } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import type { Checking } from "./debug/settings.ts";
import { forceAnywhere } from "./eager.ts";
import { DTypeError, describeValue, locText, SinterError, TraceError, userLocIn } from "./errors.ts";
import { currentFrame, inFrame, TraceFrame, VariableCell } from "./frame.ts";
import { isOnGpu } from "./gpu/place.ts";
import { toRef } from "./kit.ts";
import { type Lazy, type Ref, readLazy, type Traced } from "./lazy.ts";
import { Tensor } from "./tensor.ts";
import { type Guard, settleGuard } from "./transformed.ts";
import { buildTree, checkResult, eachTensor, isPlainObject, type Leaf, type Tree, treeOf } from "./trees.ts";
import { type Wiring, wire } from "./wiring.ts";

/** Captured tensors of at most this many bytes become part of the program. */
const foldedBytes = 64;

function adopt(lazy: Lazy): HostTensor | undefined {
  forceAnywhere([lazy]);
  if (lazy.bytes > foldedBytes || isOnGpu(lazy)) return undefined;
  return { dtype: lazy.dtype, shape: lazy.shape, data: readLazy(theMachine().heap, lazy) };
}

export type UserFunction = (...args: never[]) => unknown;

export interface TraceOptions {
  readonly fastMath?: boolean;
  readonly creation: "allowed" | "forbidden";
  /** What the function captured, as the caller knows it. */
  readonly guards?: readonly Guard[];
  /** Whether positions come from the transformed source. */
  readonly tagged?: boolean;
  readonly checking?: Checking;
}

export interface TraceResult {
  readonly wiring: Wiring;
  readonly created: number;
  /** What the function returned, with its tensors by their place in the wiring's `outs`. */
  readonly result: Tree;
}

/** Traces `fn` on the arguments that `tree` describes. Leaves nothing behind where it throws. */
export function traceFunction(
  fn: UserFunction,
  name: string,
  tree: Tree,
  names: readonly string[],
  options: TraceOptions,
): TraceResult {
  const { fastMath = false, creation, guards = [], tagged = false, checking } = options;
  const frame = new TraceFrame(name, currentFrame(), { fastMath, creation, adopt });
  frame.guards.push(...guards);
  frame.tagged = tagged;
  if (checking !== undefined) frame.checking = checking;
  const args: Traced[] = [];
  eachTensor(tree, ({ index, dtype, shape, path }) => {
    args[index] = frame.argument(dtype, shape, pathName(path, names));
  });
  const given = buildTree(tree, (index) => new Tensor(args[index]!)) as unknown[];
  const { outs, result, created } = hintingAtStatics(name, tree, names, () => traceBody(frame, fn, given));
  guards.forEach(settleGuard);
  return { wiring: wire({ frame, args, outs }), created, result };
}

/**
 * Runs a trace; where it called a tensor's method on an argument that is no tensor, or handed on one that was not given,
 * the error says why it is none.
 */
function hintingAtStatics<T>(name: string, tree: Tree, names: readonly string[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof DTypeError && /, not undefined\n/.test(error.message)) {
      const missing = missingHint(error.message, tree, names);
      if (missing === undefined) throw error;
      const told = new DTypeError(`${name}: ${error.message.split("\n")[0]}: ${missing}`, error.where);
      told.cause = error;
      throw told;
    }
    const hint =
      error instanceof TypeError
        ? (staticHint(error.message, tree, names) ?? missingHint(error.message, tree, names))
        : undefined;
    if (hint === undefined) throw error;
    const { message, stack } = error as TypeError;
    const told = new TraceError(`${name}: ${message}: ${hint}`, locText(userLocIn(stack ?? "")));
    told.cause = error;
    throw told;
  }
}

/** What to say of `x.add is not a function`, where arguments were given as numbers. */
function staticHint(message: string, tree: Tree, names: readonly string[]): string | undefined {
  const [, receiver, method] = /(?:([\w$.[\]]+)\.)?([\w$]+) is not a function/.exec(message) ?? [];
  if (method === undefined || !(method in Tensor.prototype)) return undefined;
  const found: { readonly path: string; readonly what: string; readonly cure: string }[] = [];
  const visit = (at: Tree, path: string): void => {
    if (at.kind === "array" && path !== "args" && isNumbers(at)) found.push({ path, what: "an array", cure: "[...]" });
    else if (at.kind === "array") for (const [i, item] of at.items.entries()) visit(item, `${path}[${i}]`);
    else if (at.kind === "object") for (const [i, item] of at.items.entries()) visit(item, `${path}.${at.keys[i]}`);
    else if (at.kind === "static" && (typeof at.value === "number" || typeof at.value === "boolean"))
      found.push({ path, what: `a ${typeof at.value}`, cure: String(at.value) });
  };
  visit(tree, "args");
  const named = found.map((entry) => ({ ...entry, path: pathName(entry.path, names) }));
  const exact = named.filter(({ path }) => path === receiver);
  const shown = (exact.length > 0 ? exact : named).slice(0, 3);
  if (shown.length === 0) return undefined;
  const given = shown.map(({ path, what }) => `argument ${path} was given ${what}`).join(", ");
  const kind = shown.some(({ what }) => what === "an array") ? "numbers, also those in arrays," : "numbers";
  return `${given}: ${kind} are static; pass tensor(${shown[0]!.cure})`;
}

/** What to say of `Cannot read properties of undefined`, where arguments were left out. */
function missingHint(message: string, tree: Tree, names: readonly string[]): string | undefined {
  if (!/undefined/.test(message) || tree.kind !== "array" || tree.items.length >= names.length) return undefined;
  const count = tree.items.length;
  const left = names.slice(count).join(", ");
  return `it was given ${count === 0 ? "no arguments" : `${count} ${count === 1 ? "argument" : "arguments"}`}, and takes ${left}${count === 0 ? "" : " too"}`;
}

function isNumbers(tree: Tree): boolean {
  if (tree.kind === "array") return tree.items.length > 0 && tree.items.every(isNumbers);
  return tree.kind === "static" && (typeof tree.value === "number" || typeof tree.value === "boolean");
}

/** Calls `fn` in a frame and brings its result into the frame. Seals the frame where it throws. */
export function traceBody(
  frame: TraceFrame,
  fn: UserFunction,
  args: readonly unknown[],
): {
  readonly outs: readonly Traced[];
  readonly result: Tree;
  readonly build: (leaf: (index: number) => unknown) => unknown;
  readonly created: number;
} {
  try {
    return inFrame(frame, () => {
      const returned: unknown = (fn as (...given: unknown[]) => unknown)(...args);
      checkResult(frame.name, returned);
      const leaves: Leaf[] = [];
      const result = treeOf(variablesRead(returned), leaves, "result");
      const outs = leaves.map((leaf): Traced => frame.lift(leafRef(frame.name, leaf)));
      return { outs, result, build: (leaf) => buildTree(result, leaf), created: frame.created.length };
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
  if (isPlainObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, variablesRead(item)]));
  return value;
}

function leafRef(name: string, leaf: Leaf): Ref {
  if (leaf instanceof Tensor) return leaf.ref(`${name}: result`);
  if (ArrayBuffer.isView(leaf)) return toRef(name, "result", leaf);
  throw new SinterError(`${name}: the function returned ${describeValue(leaf)}`);
}

/** `args[0].w` becomes `x_w` where the function's first parameter is x. */
export function pathName(path: string, names: readonly string[]): string {
  return path.replace(/^args\[(\d+)\]/, (_, i: string) => names[Number(i)] ?? `arg${i}`);
}

/** Names of a function's parameters, where its source tells them plainly. */
export function parameterNames(fn: UserFunction): string[] {
  const source = Function.prototype.toString.call(fn);
  const list =
    /^(?:async\s+)?(?:function\s*[\w$]*\s*)?\(([^()]*)\)/.exec(source)?.[1] ?? /^([\w$]+)\s*=>/.exec(source)?.[1];
  if (list === undefined || list.trim() === "") return [];
  return list.split(",").map((part, i) => /^\s*(?:\.\.\.)?([A-Za-z_$][\w$]*)/.exec(part)?.[1] ?? `arg${i}`);
}
