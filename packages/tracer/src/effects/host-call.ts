/** `hostCall`: a function of ordinary JavaScript that a program calls when it runs. */

import type { HostType, HostValue, Loc } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { onHeap } from "../backend.ts";
import { knownDims } from "../dims.ts";
import { DTypeError, describe, describeValue, locText, ShapeError, SinterError, site, userLoc } from "../errors.ts";
import { currentTrace, inFrame, VariableCell } from "../frame.ts";
import { hostData, run, toRef } from "../kit.ts";
import { lazyFromData, type Ref, sizeOf } from "../lazy.ts";
import { Spec } from "../spec.ts";
import { staged } from "../staged.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { buildTree, eachTensor, isPlainObject, type Leaf, type Tree, treeOf } from "../trees.ts";
import { isWeak } from "../weak.ts";
import { areOnHost, emitHost, hostValues } from "./emit.ts";

/** What a function called by `hostCall` may return where `spec` is S: anything that makes a tensor of that shape and dtype. */
export type HostResult<S> = S extends Spec
  ? TensorLike
  : S extends null
    ? unknown
    : S extends object
      ? { readonly [K in keyof S]: HostResult<S[K]> }
      : S;

/** The tensors that `hostCall` gives where `spec` is S. */
export type HostTensors<S> = S extends Spec ? Tensor : S extends object ? { [K in keyof S]: HostTensors<S[K]> } : S;

/**
 * Calls `fn(...args)`, a function of ordinary JavaScript, and gives its result as tensors. Inside a compiled function that
 * happens when the program runs, each time it gets there, in order with what is printed and checked. `spec` describes the
 * result: a spec, an array or a plain object of specs, or null where there is none. `fn` gets tensors that have values, in
 * the trees that `args` are, and may read them, call compiled functions and throw: what it throws arrives at the caller of
 * the program, which then has changed no variable. A variable that the program assigns holds its old value until then. It
 * cannot be async. What it gives is a constant to derivatives; reverse mode does not know more of it.
 */
export function hostCall<A extends readonly unknown[], S>(
  fn: (...args: A) => HostResult<S>,
  spec: S,
  ...args: A
): HostTensors<S> {
  return run("hostCall", () => {
    if (typeof fn !== "function") throw new SinterError(`hostCall: fn must be a function, not ${describeValue(fn)}`);
    const call: UserCall = {
      name: fn.name || "the function",
      fn: fn as unknown as UserCall["fn"],
      loc: userLoc(),
      spec: specTree(spec),
      ...argumentsOf(args),
    };
    if (Object.prototype.toString.call(fn) === "[object AsyncFunction]") throw new SinterError(asyncMessage(call));
    if (currentTrace() === undefined && areOnHost(call.refs)) {
      const values = answer(call, hostValues(call.refs));
      const at = site(hostCall);
      const { heap } = theMachine();
      const made = values.map(({ dtype, shape, data }) => new Tensor(lazyFromData(heap, dtype, shape, data), at));
      return buildTree(call.spec.tree, (index) => made[index]);
    }
    const at = currentTrace() === undefined ? site(hostCall) : undefined;
    const results = staged("hostCall", () => {
      const trace = currentTrace()!;
      const { calls } = trace.root();
      const { types } = call.spec;
      return emitHost(trace, "hostCall", call.refs, {
        call: calls.push(Object.assign(answering(call), { label: call.name })) - 1,
        dtypes: types.map(({ dtype }) => dtype),
        shapes: types.map(({ shape }) => shape),
      });
    });
    return buildTree(call.spec.tree, (index) => new Tensor(results[index]!, at));
  }) as HostTensors<S>;
}

/** A call of a user's function: what it is called with, and what it must give. */
interface UserCall {
  readonly name: string;
  readonly fn: (...args: unknown[]) => unknown;
  readonly loc: Loc | undefined;
  readonly spec: { readonly tree: Tree; readonly types: readonly HostType[] };
  /** The arguments, with the tensors numbered as in `refs`. */
  readonly args: Tree;
  readonly refs: readonly Ref[];
  /** Which of them are numbers and booleans of the source that control flow made values of the program. */
  readonly numbers: readonly boolean[];
}

function specTree(spec: unknown): UserCall["spec"] {
  const leaves: Leaf[] = [];
  const tree = treeOf(spec, leaves, "spec", (path) => `hostCall: ${path}`);
  const types: HostType[] = [];
  eachTensor(tree, ({ index, dtype, shape }) => {
    if (!(leaves[index] instanceof Spec))
      throw new SinterError("hostCall: spec must say what is returned, spec([2, 3]), not be a tensor");
    types[index] = { dtype, shape: knownDims("hostCall: spec", shape) };
  });
  if (tree.kind === "static" && tree.value !== null)
    throw new SinterError(
      `hostCall: spec must be a spec, a tree of specs, or null where nothing is returned, not ${describeValue(spec)}`,
    );
  return { tree, types };
}

/** Variables go in as tensors of their value now. */
function argumentsOf(args: readonly unknown[]): Pick<UserCall, "args" | "refs" | "numbers"> {
  const refs: Ref[] = [];
  const leaves: Leaf[] = [];
  const read = (part: unknown): unknown => {
    if (part instanceof VariableCell) return new Tensor(toRef("hostCall", "an argument", part as TensorLike));
    if (Array.isArray(part)) return part.map(read);
    return isPlainObject(part) ? Object.fromEntries(Object.entries(part).map(([k, v]) => [k, read(v)])) : part;
  };
  const tree = treeOf(args.map(read), leaves, "args", (path) =>
    path.replace(/^args\[(\d+)\]/, "hostCall: argument $1"),
  );
  for (const leaf of leaves) {
    if (leaf instanceof Spec)
      throw new SinterError("hostCall: an argument is a spec: the spec of the result comes second");
    refs.push(toRef("hostCall", "an argument", leaf));
  }
  return { args: tree, refs, numbers: leaves.map((leaf) => isWeak(leaf)) };
}

const answering =
  (call: UserCall) =>
  (values: readonly HostValue[]): readonly HostValue[] =>
    answer(call, values);

/** Calls the function on values; outside of any trace, whatever is going on around the program. */
function answer(call: UserCall, values: readonly HostValue[]): readonly HostValue[] {
  return inFrame(undefined, () => {
    const { heap } = theMachine();
    const given = values.map(({ dtype, shape, data }, i) => {
      if (call.numbers[i]) return dtype === "bool" ? data[0] !== 0 : data[0];
      return new Tensor(lazyFromData(heap, dtype, shape, data));
    });
    let result: unknown;
    try {
      result = onHeap(() => call.fn(...(buildTree(call.args, (index) => given[index]) as unknown[])));
    } catch (error) {
      throw withLine(error, call);
    }
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new SinterError(asyncMessage(call));
    }
    return resultsOf(call, result);
  });
}

const place = ({ loc }: UserCall): string => (loc === undefined ? "" : ` (called at ${locText(loc)})`);

function asyncMessage(call: UserCall): string {
  return (
    `hostCall: ${call.name} is async${place(call)}: the program goes on when it returns, before its promise has a value. ` +
    "Await before the compiled call, and pass the value as an argument"
  );
}

/** The error itself; where it has no cause, that says which call it came out of. */
function withLine(error: unknown, call: UserCall): unknown {
  if (error instanceof Error && error.cause === undefined && Object.isExtensible(error))
    Object.defineProperty(error, "cause", {
      value: new SinterError(`thrown by ${call.name} in hostCall${place(call)}`),
      configurable: true,
      writable: true,
      enumerable: false,
    });
  return error;
}

/** The tensors of a result, of the types that the spec says. */
function resultsOf(call: UserCall, result: unknown): readonly HostValue[] {
  const found: HostValue[] = [];
  const visit = (tree: Tree, value: unknown, path: string): void => {
    if (tree.kind === "static") return;
    if (tree.kind === "tensor") {
      found[tree.index] = valueLike(call, call.spec.types[tree.index]!, value, path);
      return;
    }
    const fits =
      tree.kind === "array"
        ? Array.isArray(value) && value.length === tree.items.length
        : isPlainObject(value) && tree.keys.every((key) => key in value);
    if (!fits) {
      const wanted =
        tree.kind === "array" ? `an array of ${tree.items.length}` : `an object with ${tree.keys.join(", ")}`;
      throw new SinterError(`hostCall: ${path} is ${describeValue(value)}, the spec says ${wanted}${place(call)}`);
    }
    for (const [i, item] of tree.items.entries()) {
      const key = tree.kind === "array" ? i : tree.keys[i]!;
      visit(
        item,
        (value as Record<string, unknown>)[key],
        tree.kind === "array" ? `${path}[${key}]` : `${path}.${key}`,
      );
    }
  };
  visit(call.spec.tree, result, `the result of ${call.name}`);
  return found;
}

/** A tensor must be of the type; of numbers and arrays of numbers the elements are taken as it says. */
function valueLike(call: UserCall, type: HostType, value: unknown, path: string): HostValue {
  const given = typed(type, value, path);
  const wrong = given === undefined ? undefined : given.shape.join() !== type.shape.join() ? ShapeError : DTypeError;
  if (given !== undefined && wrong === DTypeError && given.dtype === type.dtype) return given;
  const found = given === undefined ? describeValue(value) : describe(given);
  throw new (wrong ?? SinterError)(`hostCall: ${path} is ${found}, the spec says ${describe(type)}${place(call)}`);
}

/** The value with the type that it has; undefined where it is nothing that makes a tensor. */
function typed(type: HostType, value: unknown, path: string): HostValue | undefined {
  if (value instanceof Tensor || value instanceof VariableCell)
    return hostValues([toRef("hostCall", path, value as TensorLike)], `hostCall: ${path}`)[0];
  if (ArrayBuffer.isView(value)) {
    const found = hostData("hostCall", path, value as Float32Array);
    // A typed array has no shape of its own.
    return found.data.length === sizeOf(type.shape) ? { ...found, shape: type.shape } : found;
  }
  if (typeof value !== "number" && typeof value !== "boolean" && !Array.isArray(value)) return undefined;
  const elements = hostData("hostCall", path, value as number);
  const whole = type.dtype !== "i32" && type.dtype !== "u32" ? true : elements.data.every((x) => Number.isInteger(x));
  return whole ? hostData("hostCall", path, value as number, type.dtype) : elements;
}
