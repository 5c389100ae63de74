/** How the ends of a traced graph are connected: to arguments, captured values and variables, and to what a call returns. */
import type { Dim, Graph, GraphResult, Value } from "@sinter/ir";
import { callsHost } from "@sinter/passes";
import type { Checking } from "./debug/settings.ts";
import type { Callback } from "./effects/run.ts";
import type { TraceFrame, VariableCell } from "./frame.ts";
import type { Lazy, Traced } from "./lazy.ts";
import { status } from "./status.ts";
import type { Guard } from "./transformed.ts";

/** Where a value that leaves the program comes from. Values that come in and go out unchanged are shared, not copied. */
export type Source =
  | { readonly kind: "arg" | "const" | "state"; readonly index: number }
  | { readonly kind: "result"; readonly index: number }
  | { readonly kind: "stateOut"; readonly index: number };

export interface StateSlot {
  readonly variable: VariableCell;
  /** Index of its new value among the program's state results, or -1. */
  readonly out: number;
  /** Takes over another value instead of one that the program writes. */
  readonly from: Source | undefined;
  /** Its old value leaves the program too, so that it must not be overwritten. */
  readonly pinned: boolean;
}

export interface TracedFunction {
  readonly frame: TraceFrame;
  /** Arguments in leaf order. */
  readonly args: readonly Traced[];
  /** Values of the tensors in the result. */
  readonly outs: readonly Traced[];
}

/** The graph of a finished trace and how its ends are connected. */
export interface Wiring {
  readonly graph: Graph;
  readonly consts: readonly Lazy[];
  readonly states: readonly StateSlot[];
  readonly outs: readonly Source[];
  readonly outTypes: readonly { readonly dtype: Lazy["dtype"]; readonly shape: readonly Dim[] }[];
  /** What the traced functions captured. */
  readonly guards: readonly Guard[];
  readonly checking: Checking;
  /** The functions that the program calls; undefined where it calls nothing outside, prints included. */
  readonly calls: readonly Callback[] | undefined;
  /** The result that says which check failed. */
  readonly checked: { readonly result: number; readonly checks: readonly Error[] } | undefined;
}

export function wire({ frame, args, outs }: TracedFunction): Wiring {
  const sources = new Map<Value, Source>();
  args.forEach((arg, index) => {
    sources.set(arg.value, { kind: "arg", index });
  });
  frame.captures.forEach((capture, index) => {
    sources.set(capture.own.value, { kind: "const", index });
  });
  const uses = [...frame.states.values()].filter((use) => use.variable !== status);
  uses.forEach((use, index) => {
    sources.set(use.entry.value, { kind: "state", index });
  });
  const results: GraphResult[] = [];
  let stateOuts = 0;
  const slots = uses.map((use) => {
    if (use.now.value === use.entry.value) return { variable: use.variable, out: -1, from: undefined };
    const known = sources.get(use.now.value);
    if (known !== undefined) return { variable: use.variable, out: -1, from: known };
    const out = stateOuts++;
    sources.set(use.now.value, { kind: "stateOut", index: out });
    results.push({ kind: "state", value: use.now.value, param: use.param });
    return { variable: use.variable, out, from: undefined };
  });
  const outTypes: { dtype: Lazy["dtype"]; shape: readonly Dim[] }[] = [];
  const from = outs.map(({ value, dtype, shape }): Source => {
    let source = sources.get(value);
    if (source === undefined) {
      source = { kind: "result", index: outTypes.length };
      sources.set(value, source);
      outTypes.push({ dtype, shape });
      results.push({ kind: "out", value });
    }
    return source;
  });
  const code = frame.states.get(status);
  const checked = code !== undefined && code.now.value !== code.entry.value;
  if (checked) results.push({ kind: "out", value: code.now.value });
  const leaving = new Set(
    [...from, ...slots.map((s) => s.from)].flatMap((s) => (s?.kind === "state" ? [s.index] : [])),
  );
  const graph = frame.finish(results);
  return {
    graph,
    calls: graph.nodes.some(callsHost) ? frame.calls : undefined,
    consts: frame.captures.map((capture) => capture.ref as Lazy),
    states: slots.map((slot, i) => ({ ...slot, pinned: leaving.has(i) })),
    outs: from,
    outTypes: checked ? [...outTypes, { dtype: "i32", shape: [] }] : outTypes,
    guards: frame.guards,
    checking: frame.checking,
    checked: checked ? { result: outTypes.length, checks: frame.checks } : undefined,
  };
}
