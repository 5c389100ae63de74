/**
 * A compiled function whose graph was saved: traced, it emits that graph where the caller is, so that it can be called,
 * differentiated, batched, made part of others and exported again as any other.
 */
import type { Graph } from "@sinter/ir";
import { type FunctionSpec, type SpecTree, theMachine } from "@sinter/runtime";
import { force } from "../eager.ts";
import { AssertionError, SinterError } from "../errors.ts";
import { currentFrame, currentTrace } from "../frame.ts";
import { type CompiledFunction, callable, TracedFunction } from "../function.ts";
import { emit, readVariable, scalar } from "../kit.ts";
import { type Lazy, type Ref, readLazy } from "../lazy.ts";
import { emitGraph, leafRefs } from "../staged.ts";
import { failureOf, status } from "../status.ts";
import { Tensor } from "../tensor.ts";
import { buildTree, type Leaf, type Tree, treeOf, treeText } from "../trees.ts";
import type { Variable } from "../variable.ts";

/** A function as it was saved: `states` and `constants` are by position in the given variables and tensors. */
export type Saved = Pick<
  FunctionSpec,
  "name" | "fastMath" | "params" | "result" | "constants" | "states" | "outs" | "check"
> & { readonly graph: Graph };

/** The function over `variables`. It has the one signature that it was saved with. */
export function loadedFunction(
  saved: Saved,
  variables: readonly Variable[],
  constants: readonly Lazy[],
): CompiledFunction<readonly unknown[], unknown> {
  const { name, fastMath = false, params } = saved;
  const wanted: Tree = { kind: "array", items: params.map((param) => treeFrom(param.tree)) };
  const result = treeFrom(saved.result);
  const checks = saved.check?.messages.map((message) => new AssertionError(message, { place: name })) ?? [];
  const body = (...args: readonly unknown[]): unknown => {
    const leaves: Leaf[] = [];
    const given = treeOf(args, leaves, "args");
    if (treeText(wanted) !== treeText(given))
      throw new SinterError(
        `${name} was saved for ${treeText(wanted)}, and is called with ${treeText(given)}: a saved function has the one signature that it was saved with`,
      );
    const outs = run(saved, checks, leafRefs(name, leaves), variables, constants);
    return buildTree(result, (index) => new Tensor(outs[index]!));
  };
  const names = params.map((param) => param.name);
  const traced = new TracedFunction(body, { name, fastMath, autograph: false }, names, { known: wanted });
  return callable(traced);
}

/** Emits the graph, assigns its states, and returns the tensors of the result. */
function run(
  saved: Saved,
  checks: readonly Error[],
  args: readonly Ref[],
  variables: readonly Variable[],
  constants: readonly Lazy[],
): Ref[] {
  const { graph } = saved;
  const entries: Ref[] = [];
  const captured: Ref[] = [];
  let arg = 0;
  // In the order of the parameters, which a trace of this call then has too.
  const inputs = graph.params.map(({ kind }): Ref => {
    if (kind === "arg") return args[arg++]!;
    if (kind === "state") return push(entries, readVariable(variables[saved.states[entries.length]!.variable]!));
    return push(captured, constants[saved.constants[captured.length]!]!);
  });
  const emitted = emitGraph(currentFrame(), graph, inputs);
  const results = emitted.filter((_, i) => graph.results[i]!.kind === "out");
  const stateOuts = emitted.filter((_, i) => graph.results[i]!.kind === "state");
  if (saved.check !== undefined) check(results[saved.check.result]!, checks);
  const values = { arg: args, const: captured, state: entries, stateOut: stateOuts, result: results };
  saved.states.forEach(({ variable, out, from }) => {
    const value = from !== undefined ? values[from.kind][from.index] : out >= 0 ? stateOuts[out] : undefined;
    if (value === undefined) return;
    const trace = currentTrace();
    if (trace !== undefined) trace.write(variables[variable]!, value);
    else variables[variable]!.rebind(value as Lazy);
  });
  return saved.outs.map(({ kind, index }) => values[kind][index]!);
}

/** Joins the status of the graph with that of the trace; eagerly a check that failed throws. */
function check(code: Ref, checks: readonly Error[]): void {
  const trace = currentTrace();
  if (trace === undefined) {
    force(code as Lazy);
    const failure = failureOf(checks, readLazy(theMachine().heap, code as Lazy)[0]!);
    if (failure !== undefined) throw failure;
    return;
  }
  const known = trace.root().checks;
  const offset = known.length;
  known.push(...checks);
  const first = trace === trace.root() && !trace.states.has(status);
  trace.write(status, first ? code : joined(trace.read(status), code, offset));
}

/** The first failure: that of `before`, or else that of the graph, whose checks follow `offset` others. */
function joined(before: Ref, code: Ref, offset: number): Ref {
  const zero = scalar("i32", 0);
  const own = emit("select", [emit("eq", [code, zero]), zero, emit("add", [code, scalar("i32", offset)])]);
  return emit("select", [emit("eq", [before, zero]), own, before]);
}

function push<T>(list: T[], value: T): T {
  list.push(value);
  return value;
}

function treeFrom(tree: SpecTree): Tree {
  switch (tree.kind) {
    case "tensor":
      return { ...tree, path: "" };
    case "static":
      return tree;
    case "array":
      return { kind: "array", items: tree.items.map(treeFrom) };
    case "object":
      return { kind: "object", keys: tree.keys, items: tree.items.map(treeFrom) };
    default:
      return tree satisfies never;
  }
}
