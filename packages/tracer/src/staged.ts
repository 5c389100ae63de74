/**
 * Functions that are traced into a graph of their own which is then emitted, changed, where the caller is: into the trace
 * that is going on, or eagerly. What goes in, how it runs, and what happens to the variables that it assigns.
 */
import {
  type Graph,
  type GraphResult,
  type HostFunction,
  inlineGraph,
  type Node,
  type TensorType,
  type Value,
} from "@sinter/ir";
import { callsHost } from "@sinter/passes";
import { Buffer, compileGraph, type Slot, theMachine } from "@sinter/runtime";
import { currentBackend, heapBackend } from "./backend.ts";
import { CallCheck } from "./debug/call-check.ts";
import { eager, force, forceAnywhere, nodeBudget } from "./eager.ts";
import { site } from "./errors.ts";
import { currentFrame, currentTrace, type Frame, inFrame, TraceFrame } from "./frame.ts";
import { update } from "./gpu/calls.ts";
import { lookingInto, type SlotValue } from "./gpu/check.ts";
import { programOnGpu } from "./gpu/compile.ts";
import { launchOn } from "./gpu/launch.ts";
import { readVariable, toRef } from "./kit.ts";
import { Lazy, type Ref, type Traced } from "./lazy.ts";
import { failureAt, failureOf, status, throwFailure } from "./status.ts";
import { Tensor, type TensorLike } from "./tensor.ts";
import { traceBody, type UserFunction } from "./trace.ts";
import { buildTree, eachTensor, type Leaf, type Tree } from "./trees.ts";

const unchecked = { debug: false, verify: false };

/** Emits what `body` emits as one program of its own where no trace is going on; in a trace it is simply part of it. */
export function staged(name: string, body: () => Ref[]): Ref[] {
  const outer = currentFrame();
  if (outer.kind === "trace") return body();
  const frame = new TraceFrame(name, outer);
  try {
    const outs = inFrame(frame, body).map((ref) => frame.lift(ref));
    const written = writtenStates(frame);
    const results = outs.map((out): GraphResult => ({ kind: "out", value: out.value }));
    const graph = frame.finish([...results, ...written.results]);
    const emitted = emitGraph(outer, graph, graphInputs(frame, graph, []), frame, written.codeAt(outs.length));
    written.assign(emitted.slice(outs.length));
    return emitted.slice(0, outs.length);
  } finally {
    frame.seal();
  }
}

/** Traces `fn` in a frame of its own, on arguments that `tree` describes; `seal` what is not finished. */
export function traceApart(fn: UserFunction, name: string, tree: Tree) {
  const enclosing = currentTrace();
  const frame = new TraceFrame(name, currentFrame(), { creation: enclosing?.creation ?? "allowed" });
  const args: Traced[] = [];
  eachTensor(tree, ({ index, dtype, shape, path }) => {
    args[index] = frame.argument(dtype, shape, path.replace(/^args/, "arg"));
  });
  const given = buildTree(tree, (index) => new Tensor(args[index]!)) as unknown[];
  const { outs, build } = traceBody(frame, fn, given);
  enclosing?.created.push(...frame.created);
  return { frame, outs, build };
}

/** The refs of argument leaves. */
export function leafRefs(caller: string, leaves: readonly Leaf[]): Ref[] {
  return leaves.map((leaf, i) =>
    leaf instanceof Tensor ? leaf.ref(caller) : toRef(caller, `argument leaf ${i}`, leaf as TensorLike),
  );
}

/** What the parameters of a frame's graph stand for: arguments come first, in order. */
export function graphInputs(frame: TraceFrame, graph: Graph, args: readonly Ref[]): Ref[] {
  const out = new Array<Ref>(graph.params.length);
  args.forEach((arg, i) => {
    out[i] = arg;
  });
  for (const { param, ref } of frame.captures) out[param] = ref;
  for (const { param, variable } of frame.states.values()) if (param >= 0) out[param] = readVariable(variable);
  return out;
}

/** The variables that a frame assigned: results of its graph, and their assignment where the graph has been emitted. */
export function writtenStates(frame: TraceFrame): {
  readonly results: readonly GraphResult[];
  /** Which result of a graph is the status, where these follow `before` others; undefined where there is none. */
  codeAt(before: number): number | undefined;
  assign(values: readonly Ref[]): void;
} {
  const written = [...frame.states.values()].filter((use) => use.now.value !== use.entry.value);
  const code = written.findIndex(({ variable }) => variable === status);
  return {
    codeAt: (before) => (code < 0 ? undefined : before + code),
    results: written.map(
      ({ now: { value }, param }): GraphResult =>
        param < 0 ? { kind: "out", value } : { kind: "state", value, param },
    ),
    assign(values) {
      const trace = currentTrace();
      if (trace === undefined) {
        // Nothing is assigned where a check failed.
        if (code >= 0) throwFailure(frame, values[code] as Lazy);
      }
      written.forEach(({ variable }, i) => {
        if (trace !== undefined) trace.write(variable, values[i]!);
        else if (variable !== status) update(variable, values[i] as Lazy, (values[code] ?? values[i]) as Lazy);
      });
    },
  };
}

/**
 * Emits a graph where the caller is. When there is no trace to be part of, a large one runs at once, and one that calls the
 * host or that is to be checked. `traced` is the frame that it was traced in, which knows what it calls and how it is
 * checked; `code` is which result is the status.
 */
export function emitGraph(
  frame: Frame,
  graph: Graph,
  inputs: readonly Ref[],
  traced?: TraceFrame,
  code?: number,
): Ref[] {
  if (frame instanceof TraceFrame) {
    const values = inlineGraph(
      frame.builder,
      graph,
      inputs.map((ref) => frame.lift(ref).value),
    );
    return values.map((value) => frame.own(value));
  }
  const lazies = inputs.map((ref) => ref as Lazy);
  const isPlain = (node: Node): boolean => node.regions.length === 0 && node.results.length === 1 && !callsHost(node);
  const { debug, verify } = traced?.checking ?? unchecked;
  const isCheckedOnGpu = code !== undefined && currentBackend() === "webgpu";
  if (debug || verify || isCheckedOnGpu || graph.nodes.length > nodeBudget / 2 || !graph.nodes.every(isPlain))
    return runGraph(graph, lazies, traced, code);
  eager.reserve(graph.nodes.length);
  const values = new Map<Value, Ref>();
  graph.params.forEach((param, i) => {
    values.set(param.value, lazies[i]!);
  });
  graph.nodes.forEach((node) => {
    const operands = node.operands.map((v) => values.get(v)!);
    const result =
      node.op === "const"
        ? eager.constant({
            dtype: node.attrs["dtype"] as Lazy["dtype"],
            shape: node.attrs["shape"] as readonly number[],
            data: node.attrs["data"] as Float32Array,
          })
        : eager.emit(node.op, operands, node.attrs);
    values.set(node.results[0]!, result);
  });
  return graph.results.map((result) => values.get(result.value)!);
}

/** Runs a graph at once; `traced` and `code` as for `emitGraph`. */
export function runGraph(graph: Graph, inputs: readonly Lazy[], traced?: TraceFrame, code?: number): Lazy[] {
  // Constants that nobody else holds would be dropped as soon as they are computed.
  for (const input of inputs) input.retain();
  try {
    if (currentBackend() === "webgpu") return runOnGpu(graph, inputs, traced, code);
    force(...inputs);
    return runOn(graph, inputs, traced, code);
  } finally {
    for (const input of inputs) input.release();
  }
}

function runOn(
  graph: Graph,
  inputs: readonly Lazy[],
  traced: TraceFrame | undefined,
  code: number | undefined,
): Lazy[] {
  const { plain, wanted } = asFunction(graph);
  const options = { backend: heapBackend() };
  const checking = traced?.checking ?? unchecked;
  const check = checking.debug || checking.verify ? new CallCheck(plain, options, checking) : undefined;
  const { executable } = compileGraph(check?.graph ?? plain, { ...options, poison: checking.debug });
  const { heap } = theMachine();
  const made = [...wanted.map(({ type }) => type as TensorType), ...(check?.added ?? [])].map(({ dtype, shape }) => {
    const lazy = eager.keep(new Lazy(dtype, shape as readonly number[]));
    lazy.buffer = new Buffer(heap, lazy.bytes);
    return lazy;
  });
  const address = (kind: Slot["kind"], index: number): number =>
    kind === "arg" ? inputs[index]!.buffer!.address : kind === "result" ? made[index]!.buffer!.address : 0;
  const execute = (answer: HostFunction | undefined): void =>
    executable.execute(
      executable.slots.map((slot) => address(slot.kind, slot.index)),
      answer,
    );
  const outputs = graph.results.map(({ value }) => made[wanted.indexOf(value)]!);
  if (check === undefined) execute(traced?.host.answer);
  else
    check.run({
      execute,
      host: traced?.host.answer,
      address,
      added: made.slice(wanted.length).map((lazy) => lazy.buffer!.address),
      failed: () => (code === undefined ? undefined : failureAt(traced!, outputs[code]!)),
    });
  return outputs;
}

/** As `runOn`, on the GPU: whether it succeeds shows later. */
function runOnGpu(
  graph: Graph,
  inputs: readonly Lazy[],
  traced: TraceFrame | undefined,
  code: number | undefined,
): Lazy[] {
  forceAnywhere(inputs);
  const { plain, wanted } = asFunction(graph);
  const options = { backend: "webgpu" } as const;
  const checking = traced?.checking ?? unchecked;
  const check = checking.debug || checking.verify ? new CallCheck(plain, options, checking) : undefined;
  const types = [...wanted.map(({ type }) => type as TensorType), ...(check?.added ?? [])];
  const made = types.map(({ dtype, shape }) => eager.keep(new Lazy(dtype, shape as readonly number[])));
  const outputs = graph.results.map(({ value }) => made[wanted.indexOf(value)]!);
  const { executable } = programOnGpu(check?.graph ?? plain, options);
  const host = graph.nodes.some(callsHost) ? traced?.host.answer : undefined;
  const slotValue: SlotValue = (kind, index) => (kind === "arg" ? inputs : made)[index]!;
  launchOn(executable, {
    name: graph.name,
    where: site(runGraph, 24),
    args: inputs,
    results: made,
    host,
    ...(check && lookingInto(check, plain, slotValue, made[wanted.length], host)),
    isSilent: graph.results.every(({ kind }, i) => kind !== "out" || i === code),
    check:
      code === undefined
        ? undefined
        : { code: outputs[code]!, meaning: (status) => failureOf(traced!.checks, status, traced!.host) },
  });
  return outputs;
}

/** The graph with all that it takes as arguments, and each result once. */
function asFunction(graph: Graph): { readonly plain: Graph; readonly wanted: readonly Value[] } {
  const wanted = [...new Set(graph.results.map((result) => result.value))];
  const plain: Graph = {
    ...graph,
    params: graph.params.map((param) => ({ ...param, kind: "arg" })),
    results: wanted.map((value): GraphResult => ({ kind: "out", value })),
  };
  return { plain, wanted };
}
