/**
 * Derivatives as functions: `vjp` pulls cotangents back, `jvp` and `linearize` push tangents forward, `jacrev`, `jacfwd`
 * and `hessian` apply them to every direction at once.
 */
import { Builder, type Dim, type Graph, type GraphResult, type MaybeValue, rebuild, type Value } from "@sinter/ir";
import { computedAgain, DifferentiationError, jvpInto, vjpInto } from "@sinter/passes";
import { sameDims } from "./dims.ts";
import { DTypeError, describe, describeValue, ShapeError, SinterError, site } from "./errors.ts";
import { currentFrame, VariableCell } from "./frame.ts";
import { readVariable, run, toRef } from "./kit.ts";
import type { Lazy, Ref } from "./lazy.ts";
import { eye, tensor } from "./lib/create.ts";
import { splitGraph } from "./split.ts";
import { emitGraph, graphInputs, leafRefs, traceApart, writtenStates } from "./staged.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import type { UserFunction } from "./trace.ts";
import { buildTree, eachTensor, type Leaf, type Tree, treeOf } from "./trees.ts";
import { vmap } from "./vmap.ts";

/** A tree with the shape of T whose numbers have become tensors. */
export type Derivative<T> = T extends number | VariableCell ? Tensor : T;

/** What is differentiated: a traced function on given arguments. */
interface Subject {
  readonly caller: string;
  readonly frame: ReturnType<typeof traceApart>["frame"];
  readonly graph: ReturnType<ReturnType<typeof traceApart>["frame"]["finish"]>;
  readonly outs: ReturnType<typeof traceApart>["outs"];
  readonly build: ReturnType<typeof traceApart>["build"];
  readonly written: ReturnType<typeof writtenStates>;
  /** The arguments, as a tree of tensors with a path for each. */
  readonly tree: Tree;
  readonly refs: readonly Ref[];
  readonly inputs: readonly Ref[];
}

function subjectOf(caller: string, fn: UserFunction, primals: readonly unknown[]): Subject {
  const made: Tensor[] = [];
  const leaves: Leaf[] = [];
  const tree = treeOf(
    primals.map((primal) => tensorArgument(primal, made)),
    leaves,
    "args",
  );
  const refs = leafRefs(caller, leaves);
  const { frame, outs, build } = traceApart(fn, fn.name || "the function", tree);
  const written = writtenStates(frame);
  const graph = frame.finish([
    ...outs.map((out): GraphResult => ({ kind: "out", value: out.value })),
    ...written.results,
  ]);
  const inputs = graphInputs(frame, graph, refs);
  for (const temporary of made) temporary.dispose();
  return { caller, frame, graph, outs, build, written, tree, refs, inputs };
}

/** A number or a variable as an argument to differentiate is a scalar, or its value. */
function tensorArgument(value: unknown, made: Tensor[]): unknown {
  if (typeof value !== "number" && !(value instanceof VariableCell)) return value;
  const handle = typeof value === "number" ? tensor(value) : new Tensor(readVariable(value));
  made.push(handle);
  return handle;
}

const isFloat = ({ dtype }: { readonly dtype: string }): boolean => dtype.startsWith("f");

/** Parameters of a copy of a graph, in a builder. */
function parameters(b: Builder, subject: Subject): readonly Value[] {
  return subject.graph.params.map(({ name, value }) => b.param("arg", value.type, name));
}

function differentiating<T>(caller: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof DifferentiationError) throw new DTypeError(`${caller}: ${error.message}`);
    throw error;
  }
}

function tensorsAt(build: (leaf: (index: number) => unknown) => unknown, refs: readonly Ref[], self: SelfFunction) {
  const at = currentFrame().kind === "eager" ? site(self) : undefined;
  return build((index) => new Tensor(refs[index]!, at));
}
type SelfFunction = (...args: never[]) => unknown;

/** Values that a function keeps for later calls. */
class Kept {
  readonly refs: readonly Ref[];

  constructor(refs: readonly Ref[]) {
    this.refs = refs;
    const held = refs.filter((ref): ref is Lazy => ref.kind === "lazy").map((lazy) => lazy.retain());
    abandoned.register(this, held);
  }
}
const abandoned = new FinalizationRegistry<Lazy[]>((held) => {
  for (const lazy of held) lazy.release();
});

/**
 * The result of `fn` at `primals`, and the function that pulls a cotangent of it (a tree like the result) back to a tuple
 * of gradients, one for each argument. The function runs once, however often the pull is called.
 */
export function vjp<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  ...primals: A
): [R, (cotangent: R) => { [K in keyof A]: Derivative<A[K]> }] {
  if (typeof fn !== "function") throw new SinterError(`vjp: fn must be a function, not ${describeValue(fn)}`);
  return run("vjp", () => {
    const subject = subjectOf("vjp", fn as unknown as UserFunction, primals);
    const { graph, outs, tree, written } = subject;
    const floats = leavesOfTree(tree).filter(isFloat);
    if (floats.length === 0)
      throw new SinterError("vjp: no argument has a float tensor to differentiate with respect to");
    const b = new Builder(graph.name);
    const params = parameters(b, subject);
    const seeds: Value[] = [];
    const { results, gradients } = differentiating("vjp", () =>
      vjpInto(
        b,
        graph,
        params,
        () =>
          graph.results.map(({ value }, i): MaybeValue => {
            if (i >= outs.length || !isFloat(outs[i]!)) return null;
            const seed = b.param("arg", value.type, `ct_${i}`);
            seeds.push(seed);
            return seed;
          }),
        floats.map(({ index }) => index),
      ),
    );
    const whole = b.finish([...results, ...gradients].map((value) => ({ kind: "out", value })));
    const { early, late, needed } = splitGraph(
      whole,
      (param) => param >= params.length,
      (result) => result < results.length,
    )!;
    const first = emitGraph(currentFrame(), early, subject.inputs, subject.frame, written.codeAt(outs.length));
    written.assign(first.slice(outs.length, results.length));
    const kept = new Kept(first.slice(first.length - needed));
    const pull = (cotangent: R) =>
      run("vjp: pull", () => {
        const given = matching(subject, cotangent, "cotangent", "result").filter((_, i) => isFloat(outs[i]!));
        const pulled = emitGraph(currentFrame(), late, [...kept.refs, ...given], subject.frame);
        const at = currentFrame().kind === "eager" ? site(pull as SelfFunction) : undefined;
        const places = new Map(floats.map(({ index }, i) => [index, pulled[i]!]));
        return buildTree(tree, (index) => {
          const gradient = places.get(index);
          return gradient === undefined ? null : new Tensor(gradient, at);
        });
      }) as { [K in keyof A]: Derivative<A[K]> };
    return [tensorsAt(subject.build, first, vjp), pull] as [R, typeof pull];
  });
}

/**
 * The result of `fn` at `primals` and its derivative in the direction `tangents`: trees like the arguments, and like the
 * result.
 */
export function jvp<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  primals: A,
  tangents: { [K in keyof A]: Derivative<A[K]> | A[K] },
): [R, R] {
  if (typeof fn !== "function") throw new SinterError(`jvp: fn must be a function, not ${describeValue(fn)}`);
  checkLists("jvp", primals, tangents);
  return run("jvp", () => {
    const subject = subjectOf("jvp", fn as unknown as UserFunction, primals);
    const { whole, given } = pushed(subject, tangents);
    const { outs, graph, written } = subject;
    const codeAt = written.codeAt(outs.length);
    const emitted = emitGraph(currentFrame(), whole, [...subject.inputs, ...given], subject.frame, codeAt);
    written.assign(emitted.slice(outs.length, graph.results.length));
    return [
      tensorsAt(subject.build, emitted, jvp),
      tensorsAt(subject.build, emitted.slice(graph.results.length), jvp),
    ] as [R, R];
  });
}

/** The result of `fn` at `primals`, and the linear function that pushes tangents of the arguments to that of the result. */
export function linearize<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  ...primals: A
): [R, (...tangents: { [K in keyof A]: Derivative<A[K]> | A[K] }) => R] {
  if (typeof fn !== "function") throw new SinterError(`linearize: fn must be a function, not ${describeValue(fn)}`);
  return run("linearize", () => {
    const subject = subjectOf("linearize", fn as unknown as UserFunction, primals);
    const { graph, outs } = subject;
    const { whole } = pushed(subject, undefined);
    const isLate = (param: number): boolean => param >= graph.params.length;
    const halves = splitGraph(whole, isLate, (result) => result < graph.results.length);
    const codeAt = subject.written.codeAt(outs.length);
    const first = emitGraph(currentFrame(), halves?.early ?? graph, subject.inputs, subject.frame, codeAt);
    subject.written.assign(first.slice(outs.length, graph.results.length));
    // Loops and branches compute tangents beside their values: there nothing is kept but the arguments.
    const kept = new Kept(halves === undefined ? subject.inputs : first.slice(first.length - halves.needed));
    const late = halves?.late ?? differentiating("linearize", () => tangentsOnly(whole, graph.results.length));
    const push = (...tangents: { [K in keyof A]: Derivative<A[K]> | A[K] }): R => {
      checkLists("linearize", primals, tangents);
      return run("linearize: push", () => {
        const given = matchingTangents(subject, tangents);
        return tensorsAt(subject.build, emitGraph(currentFrame(), late, [...kept.refs, ...given], subject.frame), push);
      }) as R;
    };
    return [tensorsAt(subject.build, first, linearize), push] as [R, typeof push];
  });
}

function checkLists(caller: string, primals: unknown, tangents: unknown): void {
  for (const [name, list] of [
    ["primals", primals],
    ["tangents", tangents],
  ] as const)
    if (!Array.isArray(list))
      throw new SinterError(
        `${caller}: ${name} must be an array, one entry for each argument, not ${describeValue(list)}`,
      );
  const [a, b] = [primals as unknown[], tangents as unknown[]];
  if (a.length !== b.length) throw new SinterError(`${caller}: ${a.length} primals, but ${b.length} tangents`);
}

/** The graph of results and their tangents; its last parameters are the tangents of float arguments. */
function pushed(subject: Subject, tangents: readonly unknown[] | undefined) {
  const { graph, caller, outs, tree } = subject;
  const given = tangents === undefined ? [] : matchingTangents(subject, tangents);
  const b = new Builder(graph.name);
  const params = parameters(b, subject);
  const directions: MaybeValue[] = params.map(() => null);
  for (const leaf of leavesOfTree(tree))
    if (isFloat(leaf)) directions[leaf.index] = b.param("arg", params[leaf.index]!.type, `t_${leaf.index}`);
  const made = differentiating(caller, () => jvpInto(b, graph, params, directions));
  const results = [...made.results, ...outs.map((out, i) => made.tangents[i] ?? zerosOf(b, out))];
  return { whole: b.finish(results.map((value) => ({ kind: "out", value }))), given };
}

/** The graph without its first results, which have been computed. */
function tangentsOnly(whole: Graph, count: number): Graph {
  return rebuild(computedAgain({ ...whole, results: whole.results.slice(count) }));
}

function zerosOf(b: Builder, { dtype, shape }: { readonly dtype: Lazy["dtype"]; readonly shape: readonly Dim[] }) {
  const zero = b.scalar(dtype, 0);
  return shape.length === 0 ? zero : b.emit("broadcast", [zero], { shape, dims: [] });
}

function leavesOfTree(tree: Tree): Extract<Tree, { kind: "tensor" }>[] {
  const leaves: Extract<Tree, { kind: "tensor" }>[] = [];
  eachTensor(tree, (leaf) => leaves.push(leaf));
  return leaves;
}

/** Tangents of the float arguments, in order. */
function matchingTangents(subject: Subject, tangents: readonly unknown[]): Ref[] {
  const found: Ref[] = [];
  const visit = (tree: Tree, value: unknown, path: string): void => {
    if (tree.kind === "static") return;
    if (tree.kind === "tensor") {
      if (isFloat(tree)) found.push(leafLike(subject.caller, value, path, tree, "the argument"));
      return;
    }
    tree.items.forEach((item, i) => {
      const key = tree.kind === "array" ? i : tree.keys[i]!;
      const inner = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
      visit(item, inner, tree.kind === "array" ? `${path}[${i}]` : `${path}.${key}`);
    });
  };
  visit(subject.tree, tangents, "tangents");
  return found;
}

/** The tensors of a tree that must be like the result, in the order of its tensors. */
function matching(subject: Subject, value: unknown, name: string, what: string): Ref[] {
  const found: Ref[] = [];
  const visit = (wanted: unknown, given: unknown, path: string): void => {
    if (typeof wanted === "number") {
      const out = subject.outs[wanted]!;
      found[wanted] = isFloat(out) ? leafLike(`${subject.caller}: pull`, given, path, out, `the ${what}`) : out;
    } else if (typeof wanted === "object" && wanted !== null)
      for (const [key, item] of Object.entries(wanted)) {
        const inner = typeof given === "object" && given !== null ? (given as Record<string, unknown>)[key] : undefined;
        visit(item, inner, Array.isArray(wanted) ? `${path}[${key}]` : `${path}.${key}`);
      }
  };
  visit(marked(subject), value, name);
  return found;
}

/** The result with the number of each tensor in its place, and null for what is static. */
function marked(subject: Subject): unknown {
  const clear = (part: unknown): unknown => {
    if (part instanceof Mark) return part.index;
    if (Array.isArray(part)) return part.map(clear);
    if (typeof part === "object" && part !== null)
      return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, clear(item)]));
    return null;
  };
  return clear(subject.build((index) => new Mark(index)));
}
class Mark {
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
}

function leafLike(
  caller: string,
  value: unknown,
  path: string,
  like: { readonly dtype: Lazy["dtype"]; readonly shape: readonly Dim[] },
  what: string,
): Ref {
  if (typeof value === "number" && like.shape.length === 0) return currentFrame().number(like.dtype, value);
  if (
    value === undefined ||
    value === null ||
    (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype)
  )
    throw new SinterError(`${caller}: ${path} is ${describeValue(value)}, ${what} is ${describe(like)}`);
  const ref = toRef(caller, path, value as TensorLike);
  if (ref.dtype !== like.dtype || !sameDims(ref.shape, like.shape))
    throw new ShapeError(`${caller}: ${path} is ${describe(ref)}, ${what} is ${describe(like)}`);
  return ref;
}

/** The matrix of derivatives of one tensor by another, of shape [...result, ...argument]; by reverse mode, one pull per result. */
export function jacrev(fn: (x: Tensor, ...rest: never[]) => Tensor): (x: TensorLike, ...rest: unknown[]) => Tensor {
  if (typeof fn !== "function") throw new SinterError(`jacrev: fn must be a function, not ${describeValue(fn)}`);
  return (x, ...rest) => {
    const { of, at } = single("jacrev", fn, x, rest);
    const [value, pull] = vjp(of, at);
    checkSingle("jacrev", value);
    const seeds = eye(value.size, value.size, 0, value.dtype).reshape([value.size, ...value.shape]);
    const rows = vmap((seed: Tensor) => pull(seed)[0])(seeds);
    return rows.reshape([...value.shape, ...at.shape]);
  };
}

/** As `jacrev`, by forward mode, one push per element of the argument. */
export function jacfwd(fn: (x: Tensor, ...rest: never[]) => Tensor): (x: TensorLike, ...rest: unknown[]) => Tensor {
  if (typeof fn !== "function") throw new SinterError(`jacfwd: fn must be a function, not ${describeValue(fn)}`);
  return (x, ...rest) => {
    const { of, at } = single("jacfwd", fn, x, rest);
    const [value, push] = linearize(of, at);
    checkSingle("jacfwd", value);
    const seeds = eye(at.size, at.size, 0, at.dtype).reshape([at.size, ...at.shape]);
    const columns = vmap((seed: Tensor) => push(seed))(seeds);
    return columns
      .reshape([at.size, value.size])
      .transpose()
      .reshape([...value.shape, ...at.shape]);
  };
}

/** The second derivatives of a scalar function of one tensor, of shape [...argument, ...argument]. */
export function hessian(fn: (x: Tensor, ...rest: never[]) => Tensor): (x: TensorLike, ...rest: unknown[]) => Tensor {
  if (typeof fn !== "function") throw new SinterError(`hessian: fn must be a function, not ${describeValue(fn)}`);
  return jacfwd(jacrev(fn) as (x: Tensor) => Tensor);
}

/** A function of its first argument alone, and that argument as a float tensor. */
function single(caller: string, fn: (x: Tensor, ...rest: never[]) => Tensor, x: TensorLike, rest: readonly unknown[]) {
  const at = run(caller, () => new Tensor(toRef(caller, "x", x)));
  if (!isFloat(at)) throw new DTypeError(`${caller}: x is ${describe(at)}: a derivative exists only for floats`);
  const of = (given: Tensor): Tensor => fn(given, ...(rest as never[]));
  Object.defineProperty(of, "name", { value: fn.name });
  return { of, at };
}

function checkSingle(caller: string, value: unknown): void {
  if (!(value instanceof Tensor) || !isFloat(value))
    throw new SinterError(
      `${caller}: the function must return one float tensor, not ${value instanceof Tensor ? describe(value) : describeValue(value)}`,
    );
}
