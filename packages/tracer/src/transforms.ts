/**
 * Gradients. A function is traced into a graph of its own, the graph is differentiated, and the result is emitted where
 * the caller is: into the trace that is going on, or eagerly.
 */

import type { Graph, GraphResult } from "@sinter/ir";
import { DifferentiationError, gradGraph } from "@sinter/passes";
import {
  type AnyFunction,
  checkOptions,
  DTypeError,
  describe,
  describeValue,
  ShapeError,
  SinterError,
  site,
} from "./errors.ts";
import { currentFrame, VariableCell } from "./frame.ts";
import { emit, make, readVariable, run, toRef } from "./kit.ts";
import type { Ref, Traced } from "./lazy.ts";
import { tensor } from "./lib/create.ts";
import { emitGraph, graphInputs, leafRefs, traceApart, writtenStates } from "./staged.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import type { UserFunction } from "./trace.ts";
import { buildTree, eachTensor, type Leaf, type Tree, treeOf, treeText } from "./trees.ts";

export interface GradOptions {
  /** Positions of the arguments to differentiate with respect to; 0 unless said. A list gives a tuple. */
  readonly argnums?: number | readonly number[];
  /** The function returns [value, aux]; aux is passed through. */
  readonly hasAux?: boolean;
}

/** A tree with the shape of T whose tensors are gradients. */
export type Gradient<T> = T extends number ? Tensor : T extends VariableCell ? Tensor : T;

interface Differentiated {
  readonly value: Ref;
  readonly aux: unknown;
  /** In the order of `wrt`. */
  readonly gradients: readonly Ref[];
}

/** What is differentiated: leaves of the arguments, or variables. */
type Target =
  | { readonly kind: "leaves"; readonly indices: readonly number[] }
  | { readonly kind: "variables"; readonly list: readonly VariableCell[] };

function differentiate(
  caller: string,
  fn: UserFunction,
  name: string,
  tree: Tree,
  refs: readonly Ref[],
  hasAux: boolean,
  target: Target | undefined,
): Differentiated & { readonly variables: readonly VariableCell[] } {
  const outer = currentFrame();
  const { frame, ...body } = traceApart(fn, name, tree);
  const parts = body.build((index) => body.outs[index]);
  const value = hasAux
    ? Array.isArray(parts) && parts.length === 2
      ? (parts[0] as Traced)
      : undefined
    : (parts as Traced);
  if (hasAux && !(Array.isArray(parts) && parts.length === 2))
    throw new SinterError(`${caller}: with hasAux ${name} must return [value, aux]`);
  if (value === undefined || value === null || value.kind !== "traced")
    throw new SinterError(
      `${caller}: ${name} must return a scalar tensor to differentiate, not ${describeValue(value)}`,
    );
  if (value.shape.some((d) => d !== 1) || !value.dtype.startsWith("f"))
    throw new ShapeError(
      `${caller}: ${name} must return a float scalar to differentiate, not ${describe(value)}; reduce it with .sum() or .mean()`,
    );
  const scalar =
    value.shape.length === 0 ? value : frame.own(frame.builder.emit("reshape", [value.value], { shape: [] }));

  const states = [...frame.states.values()];
  const variables =
    target?.kind === "variables" ? target.list : states.map((s) => s.variable).filter((v) => v.trainable);
  const results: GraphResult[] = [
    { kind: "out", value: scalar.value },
    ...body.outs.map((out): GraphResult => ({ kind: "out", value: out.value })),
  ];
  const written = writtenStates(frame);
  results.push(...written.results);
  const positions = argumentPositions(tree);
  const params =
    target?.kind === "leaves"
      ? target.indices.map((i) => positions.get(i)!)
      : variables.map((v) => frame.states.get(v)?.param);
  const graph = frame.finish(results);
  const reached = params.filter((p): p is number => p !== undefined);
  let derived: Graph;
  try {
    derived = gradGraph(graph, { wrt: reached, of: 0, keepResults: true });
  } catch (error) {
    if (error instanceof DifferentiationError) throw new DTypeError(`${caller}: ${error.message}`);
    throw error;
  }
  const code = written.codeAt(1 + body.outs.length);
  const emitted = emitGraph(outer, derived, graphInputs(frame, graph, refs), frame, code);
  written.assign(emitted.slice(1 + body.outs.length));
  const first = results.length;
  let next = first;
  const gradients = params.map((param, i): Ref => {
    if (param !== undefined) return emitted[next++]!;
    const { dtype, shape } = variables[i]!;
    return emit("broadcast", [outer.scalar(dtype, 0)], { shape, dims: [] });
  });
  const [again, auxiliary] = hasAux ? (body.build((index) => new Tensor(emitted[1 + index]!)) as unknown[]) : [];
  // The value has a handle of its own.
  if (again instanceof Tensor) again.dispose();
  return { value: emitted[0]!, aux: auxiliary, gradients, variables };
}

/** Argument leaves are the first parameters, in leaf order. */
function argumentPositions(tree: Tree): Map<number, number> {
  const out = new Map<number, number>();
  eachTensor(tree, ({ index }) => out.set(index, out.size));
  return out;
}

interface Call {
  readonly caller: string;
  readonly fn: UserFunction;
  readonly options: GradOptions;
}

function gradientCall(
  { caller, fn, options }: Call,
  self: AnyFunction,
  args: readonly unknown[],
): { value: Tensor; aux: unknown; gradient: unknown } {
  const made: Tensor[] = [];
  const call = (): { value: Tensor; aux: unknown; gradient: unknown } => {
    const argnums = options.argnums ?? 0;
    const list = typeof argnums === "number" ? [argnums] : argnums;
    for (const position of list)
      if (!Number.isInteger(position) || position < 0 || position >= args.length)
        throw new SinterError(`${caller}: argnums names argument ${position}, the call has ${args.length}`);
    const actual = args.map((arg, i) => (list.includes(i) ? numbersToTensors(arg, made) : arg));
    const leaves: Leaf[] = [];
    const tree = treeOf(actual, leaves, "args");
    const items = (tree as Extract<Tree, { kind: "array" }>).items;
    const wanted = list.map((position) => {
      const indices: number[] = [];
      eachTensor(items[position]!, ({ index, dtype, shape }) => {
        if (!dtype.startsWith("f"))
          throw new DTypeError(
            `${caller}: argument ${position} has ${describe({ dtype, shape })}: a gradient exists only for floats`,
          );
        indices.push(index);
      });
      if (indices.length === 0)
        throw new SinterError(
          `${caller}: argument ${position} has no tensor to differentiate with respect to, only ${treeText(items[position]!)}`,
        );
      return indices;
    });
    const refs = leafRefs(caller, leaves);
    const name = fn.name || "the function";
    const done = differentiate(caller, fn, name, tree, refs, options.hasAux === true, {
      kind: "leaves",
      indices: wanted.flat(),
    });
    const at = currentFrame().kind === "eager" ? site(self) : undefined;
    const byLeaf = new Map(wanted.flat().map((index, k) => [index, done.gradients[k]!]));
    const trees = list.map((position) => buildTree(items[position]!, (index) => new Tensor(byLeaf.get(index)!, at)));
    const value = new Tensor(done.value, at);
    return { value, aux: done.aux, gradient: typeof argnums === "number" ? trees[0] : trees };
  };
  try {
    return run(caller, call);
  } finally {
    for (const temporary of made) temporary.dispose();
  }
}

/** Numbers that are differentiated with respect to become scalars, and variables their values; both are `made`. */
function numbersToTensors(value: unknown, made: Tensor[]): unknown {
  if (typeof value !== "number" && !(value instanceof VariableCell)) return value;
  const handle = typeof value === "number" ? tensor(value) : new Tensor(readVariable(value));
  made.push(handle);
  return handle;
}

/**
 * The gradient of a function that returns a scalar: `grad(f)(...args)` has the tree of argument 0 (or of those in
 * `argnums`, as a tuple). With `hasAux` it is [gradient, aux]. Composes: grad(grad(f)), and inside compile.
 */
export function grad<A extends readonly unknown[]>(
  fn: (...args: A) => unknown,
  options: GradOptions = {},
): (...args: A) => Gradient<A[0]> {
  checkFunction("grad", fn);
  const own = ownOptions("grad", options);
  const call = (...args: A): Gradient<A[0]> => {
    const { value, aux, gradient } = gradientCall(
      { caller: "grad", fn: fn as unknown as UserFunction, options: own },
      call,
      args,
    );
    value.dispose();
    return (own.hasAux === true ? [gradient, aux] : gradient) as Gradient<A[0]>;
  };
  return call;
}

/** As `grad`, with the value: [value, gradient], or [[value, aux], gradient] with `hasAux`. */
export function valueAndGrad<A extends readonly unknown[]>(
  fn: (...args: A) => unknown,
  options: GradOptions = {},
): (...args: A) => [Tensor, Gradient<A[0]>] {
  checkFunction("valueAndGrad", fn);
  const own = ownOptions("valueAndGrad", options);
  const call = (...args: A): [Tensor, Gradient<A[0]>] => {
    const { value, aux, gradient } = gradientCall(
      { caller: "valueAndGrad", fn: fn as unknown as UserFunction, options: own },
      call,
      args,
    );
    return [own.hasAux === true ? [value, aux] : value, gradient] as [Tensor, Gradient<A[0]>];
  };
  return call;
}

/** What `gradients` gives: gradients in the order of `variables`. */
export interface LossGradients<V extends VariableCell> {
  value: Tensor;
  grads: Tensor[];
  variables: V[];
}

/**
 * The value of a loss and its gradients with respect to variables it reads: those listed (in that order), or all trainable
 * ones. A variable that the loss does not depend on has the gradient 0. Assignments inside happen once. With `hasAux` the
 * function returns [loss, aux], and `aux`, such as the predictions, is passed through.
 */
export function gradients<V extends VariableCell>(
  lossFn: () => Tensor,
  variables?: readonly V[],
  options?: { readonly hasAux?: false },
): LossGradients<V>;
export function gradients<V extends VariableCell, Aux>(
  lossFn: () => readonly [loss: Tensor, aux: Aux],
  variables: readonly V[] | undefined,
  options: { readonly hasAux: true },
): LossGradients<V> & { aux: Aux };
export function gradients<V extends VariableCell>(
  lossFn: () => unknown,
  variables?: readonly V[],
  options: { readonly hasAux?: boolean } = {},
): LossGradients<V> & { aux?: unknown } {
  checkFunction("gradients", lossFn);
  checkOptions("gradients", options, ["hasAux"]);
  const hasAux = options.hasAux === true;
  return run("gradients", () => {
    if (variables !== undefined && !Array.isArray(variables))
      throw new SinterError(`gradients: variables must be an array of variables, not ${describeValue(variables)}`);
    variables?.forEach((v, i) => {
      if (!(v instanceof VariableCell))
        throw new SinterError(`gradients: variables[${i}] must be a variable, not ${describeValue(v)}`);
      if (!v.dtype.startsWith("f"))
        throw new DTypeError(
          `gradients: variables[${i}], ${v.name}, is ${describe(v)}: a gradient exists only for floats`,
        );
    });
    const empty: Tree = { kind: "array", items: [] };
    const target = variables === undefined ? undefined : ({ kind: "variables", list: variables } as const);
    const name = lossFn.name || "the loss";
    const done = differentiate("gradients", lossFn as UserFunction, name, empty, [], hasAux, target);
    const at = currentFrame().kind === "eager" ? site(gradients) : undefined;
    return {
      value: new Tensor(done.value, at),
      grads: done.gradients.map((ref) => new Tensor(ref, at)),
      variables: done.variables as V[],
      ...(hasAux ? { aux: done.aux } : {}),
    };
  });
}

/** The same value, through which no gradient flows. */
export function stopGradient(x: TensorLike): Tensor {
  return make("stopGradient", stopGradient, () => emit("stopGradient", [toRef("stopGradient", "x", x)]));
}

/** Checked options, as they are now. */
function ownOptions(caller: string, options: GradOptions): GradOptions {
  checkOptions(caller, options, ["argnums", "hasAux"]);
  const { argnums } = options;
  return { ...options, ...(Array.isArray(argnums) ? { argnums: [...(argnums as readonly number[])] } : {}) };
}

function checkFunction(caller: string, fn: unknown): void {
  if (typeof fn !== "function") throw new SinterError(`${caller}: fn must be a function, not ${describeValue(fn)}`);
}
