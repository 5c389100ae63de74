/**
 * A compiled function whose graph was saved: traced, it emits that graph where the caller is, so that it can be called,
 * differentiated, batched, made part of others and exported again as any other.
 */
import type { Graph } from "@sinter/ir";
import type { FunctionSpec, SpecTree } from "@sinter/runtime";
import { AssertionError, SinterError } from "../errors.ts";
import { currentTrace, type TraceFrame } from "../frame.ts";
import { type CompiledFunction, callable, TracedFunction } from "../function.ts";
import { emit, readVariable, scalar } from "../kit.ts";
import type { Ref } from "../lazy.ts";
import { emitGraph, leafRefs, staged } from "../staged.ts";
import { status } from "../status.ts";
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
  constants: readonly Tensor[],
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
    const outs = staged(name, () => run(saved, checks, leafRefs(name, leaves), variables, constants));
    return buildTree(result, (index) => new Tensor(outs[index]!));
  };
  const names = params.map((param) => param.name);
  const traced = new TracedFunction(body, { name, fastMath, autograph: false }, names, { known: wanted });
  return callable(traced);
}

/** Emits the graph in the trace that is going on, assigns its states, and returns the tensors of the result. */
function run(
  { graph, states, outs, constants: own, check }: Saved,
  checks: readonly Error[],
  args: readonly Ref[],
  variables: readonly Variable[],
  constants: readonly Tensor[],
): Ref[] {
  const trace = currentTrace()!;
  const entries: Ref[] = [];
  const captured: Ref[] = [];
  let arg = 0;
  // In the order of the parameters, which a trace of this call then has too.
  const inputs = graph.params.map(({ kind }): Ref => {
    if (kind === "arg") return args[arg++]!;
    if (kind === "state") return push(entries, readVariable(variables[states[entries.length]!.variable]!));
    return push(captured, constants[own[captured.length]!]!.ref("a saved constant"));
  });
  const emitted = emitGraph(trace, graph, inputs);
  const results = emitted.filter((_, i) => graph.results[i]!.kind === "out");
  const stateOuts = emitted.filter((_, i) => graph.results[i]!.kind === "state");
  if (check !== undefined) joinStatus(trace, results[check.result]!, checks);
  const values = { arg: args, const: captured, state: entries, stateOut: stateOuts, result: results };
  for (const { variable, out, from } of states) {
    const value = from !== undefined ? values[from.kind][from.index] : out >= 0 ? stateOuts[out] : undefined;
    if (value !== undefined) trace.write(variables[variable]!, value);
  }
  return outs.map(({ kind, index }) => values[kind][index]!);
}

/** The status of the trace becomes its first failure: what it was, or else that of the graph. */
function joinStatus(trace: TraceFrame, code: Ref, checks: readonly Error[]): void {
  const known = trace.root().checks;
  const offset = known.length;
  known.push(...checks);
  if (trace === trace.root() && !trace.states.has(status)) {
    trace.write(status, code);
    return;
  }
  const before = trace.read(status);
  const zero = scalar("i32", 0);
  // Below 0 is what was thrown outside, which has numbers of its own.
  const own = emit("select", [emit("gt", [code, zero]), emit("add", [code, scalar("i32", offset)]), code]);
  trace.write(status, emit("select", [emit("eq", [before, zero]), own, before]));
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
