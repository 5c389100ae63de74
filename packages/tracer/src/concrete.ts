/**
 * One trace of a function, compiled: which argument, constant and variable goes into which slot of the call table, and
 * what comes out. Calling it does no work per operation.
 */
import { bytesOf, type Dim, type Graph, type GraphResult, typicalDim, type Value } from "@sinter/ir";
import { callsHost } from "@sinter/passes";
import { Buffer, type Compiled, type CompileOptions, compileGraph, isTrap, theMachine } from "@sinter/runtime";
import { CallCheck } from "./debug/call-check.ts";
import type { Usage } from "./debug/history.ts";
import type { Checking } from "./debug/settings.ts";
import { trapError } from "./debug/trap.ts";
import { isStatic } from "./dims.ts";
import { dumped } from "./dump.ts";
import { force } from "./eager.ts";
import { type Callback, HostRun } from "./effects/run.ts";
import { type AnyFunction, ShapeError, SinterError, type Site, site } from "./errors.ts";
import type { TraceFrame, VariableCell } from "./frame.ts";
import { Lazy, lazyFromData, type Ref, sizeOf, type Traced } from "./lazy.ts";
import { Sizes } from "./sizes.ts";
import { failureOf, status } from "./status.ts";
import { Tensor } from "./tensor.ts";
import { checkGuard, type Guard } from "./transformed.ts";
import { buildTree, hostDType, type Leaf, type Tree } from "./trees.ts";

/** Where a value that leaves the program comes from. Values that come in and go out unchanged are shared, not copied. */
export type Source =
  | { readonly kind: "arg" | "const" | "state"; readonly index: number }
  | { readonly kind: "result"; readonly index: number }
  | { readonly kind: "stateOut"; readonly index: number };

interface StateSlot {
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

type PointerSource =
  | { readonly kind: "fixed" }
  | { readonly kind: "arg" | "const" | "state" | "stateOut" | "result" | "sym"; readonly index: number };

/** A function that is gone no longer needs what it captured. */
const abandoned = new FinalizationRegistry<Lazy[]>(releaseAll);

function releaseAll(held: Lazy[]): void {
  for (const lazy of held.splice(0)) lazy.release();
}

/** A program that debug or verify asks to look into has sizes that are not known. */
export class OpenSizesError extends ShapeError {
  constructor(name: string, signature: string) {
    super(
      `${name}: debug and verify look into programs of known sizes, but ${signature} leaves some open: say all of them`,
    );
  }
}

const none: readonly Lazy[] = [];
const siteInterval = 64;
const exactSiteBytes = 1 << 20;

export class Concrete {
  readonly tree: Tree;
  readonly signature: string;
  readonly wiring: Wiring;
  /** What a call returns, with its tensors by their place in the wiring's `outs`. */
  readonly result: Tree;
  readonly bytes: number;
  /** What runs, and how it is compiled. */
  private readonly graph: Graph;
  private readonly settings: CompileOptions;
  readonly backend: CompileOptions["backend"];
  private readonly compiled: Compiled | undefined;
  /** Looks at each call, where that was asked for. */
  private readonly check: CallCheck | undefined;
  /** What the program gives: what the call returns, the status, then what the check adds. */
  private readonly resultTypes: Wiring["outTypes"];
  /** How many of the results a call returns. */
  private readonly returned: number;
  /** Whether a call can fail when its program has run: nothing may be overwritten then. */
  private readonly mayFail: boolean;
  private readonly pointerSources: readonly PointerSource[];
  private readonly pointers: number[];
  /** Captured tensors that it keeps alive; emptied when it lets go. */
  private readonly held: Lazy[];
  private readonly resultBytes: number;
  /** Function and argument by leaf, for errors. */
  private readonly labels: readonly string[];
  /** Shapes of the results, where no size is symbolic. */
  private readonly outShapes: readonly (readonly number[])[];
  /** Where some are: what they are in the call at hand. */
  private readonly sizes: Sizes | undefined;
  /** For explanations. */
  readonly usage: Usage;
  private lastSite: Site | undefined;
  /** State positions by index of their state result. */
  private readonly stateOfOut: readonly number[];

  constructor(
    tree: Tree,
    signature: string,
    wiring: Wiring,
    result: Tree,
    options: CompileOptions,
    compiler: (graph: Graph, options: CompileOptions) => Compiled = compileGraph,
  ) {
    this.tree = tree;
    this.signature = signature;
    this.backend = options.backend;
    this.wiring = wiring;
    this.result = result;
    const { graph, checking } = wiring;
    const runs = graph.results.length > 0;
    this.sizes = Sizes.of(tree, wiring);
    const isChecked = runs && (checking.debug || checking.verify);
    if (isChecked && this.sizes !== undefined) throw new OpenSizesError(graph.name, signature);
    if (isChecked) this.check = new CallCheck(graph, options, checking);
    this.graph = this.check?.graph ?? graph;
    this.settings = { ...options, poison: checking.debug };
    this.compiled = runs ? dumped(compiler(this.graph, this.settings), this.graph, this.settings) : undefined;
    this.resultTypes = [...wiring.outTypes, ...(this.check?.added ?? [])];
    this.returned = wiring.checked?.result ?? wiring.outTypes.length;
    this.mayFail = wiring.checked !== undefined || this.check !== undefined;
    const slots = this.compiled?.executable.slots ?? [];
    this.pointerSources = slots.map((slot) =>
      // Constants of the code follow the captured ones; the executable knows where they are.
      slot.kind === "arena" || (slot.kind === "const" && slot.index >= wiring.consts.length)
        ? { kind: "fixed" }
        : { kind: slot.kind, index: slot.index },
    );
    this.pointers = new Array<number>(slots.length).fill(0);
    const stateOfOut: number[] = [];
    wiring.states.forEach((state, i) => {
      if (state.out >= 0) stateOfOut[state.out] = i;
    });
    this.stateOfOut = stateOfOut;
    this.held = wiring.consts.map((lazy) => lazy.retain());
    abandoned.register(this, this.held);
    const { name, params } = wiring.graph;
    this.labels = params.flatMap((p) => (p.kind === "arg" ? [`${name}: ${p.name}`] : []));
    this.resultBytes = wiring.outTypes.reduce((n, type) => n + typicalDim(sizeOf(type.shape)) * bytesOf(type.dtype), 0);
    this.outShapes = this.resultTypes.map(({ shape }) => (isStatic(shape) ? shape : []));
    this.bytes = (this.compiled?.executable.bytes ?? 0) + wiring.consts.reduce((n, c) => n + c.bytes, 0);
    this.usage = { calls: 0, bytes: this.bytes, gone: false };
  }

  /**
   * The line of this call, for the memory report. Capturing a stack costs more than a small program, so only calls with
   * large results capture each time; others now and then, and count for the line captured last.
   */
  site(self: AnyFunction): Site | undefined {
    const now = this.usage.calls++ % siteInterval === 0;
    if (now) this.compiled?.used();
    if (now || this.resultBytes >= exactSiteBytes) this.lastSite = site(self);
    return this.lastSite;
  }

  /** Lets go of captured tensors. */
  dispose(): void {
    this.usage.gone = true;
    releaseAll(this.held);
  }

  /** Whether the symbolic sizes have one value each in these leaves; `call` takes them from here. */
  accepts(leaves: readonly Leaf[]): boolean {
    return this.sizes === undefined || this.sizes.bind(leaves);
  }

  /** Runs the program on the leaves of the argument tree. */
  call(leaves: readonly Leaf[], where: Site | undefined): unknown {
    for (const guard of this.wiring.guards) checkGuard(guard);
    const temporary: Lazy[] = [];
    try {
      return this.run(leaves, where, temporary);
    } finally {
      for (const lazy of temporary) lazy.release();
    }
  }

  /** Values made for this call only are appended to `temporary`. */
  private run(leaves: readonly Leaf[], where: Site | undefined, temporary: Lazy[]): unknown {
    const { states } = this.wiring;
    const args: Lazy[] = new Array<Lazy>(leaves.length);
    let pending: Lazy[] | undefined;
    for (let i = 0; i < leaves.length; i++) {
      const leaf = leaves[i]!;
      let lazy: Lazy;
      if (leaf instanceof Tensor) lazy = eagerRef(leaf, this.labels[i]!);
      else {
        lazy = fromHost(leaf, this.labels[i]!).retain();
        temporary.push(lazy);
      }
      if (lazy.buffer === undefined) (pending ??= []).push(lazy);
      args[i] = lazy;
    }
    const entries: Lazy[] = new Array<Lazy>(states.length);
    for (let i = 0; i < states.length; i++) {
      const lazy = states[i]!.variable.current();
      if (lazy.buffer === undefined) (pending ??= []).push(lazy);
      entries[i] = lazy;
    }
    if (pending !== undefined) force(...pending);
    return this.execute(args, entries, where);
  }

  private execute(args: readonly Lazy[], entries: readonly Lazy[], where: Site | undefined): unknown {
    const { wiring, stateOfOut, resultTypes } = this;
    const { states } = wiring;
    const { heap } = theMachine();
    const fresh: (Lazy | undefined)[] = new Array<Lazy | undefined>(stateOfOut.length);
    const results: Lazy[] = new Array<Lazy>(resultTypes.length);
    let inPlace = false;
    let used: readonly Lazy[] = none;
    try {
      for (let k = 0; k < stateOfOut.length; k++) {
        const at = stateOfOut[k]!;
        const entry = entries[at]!;
        // Nobody else sees the old value: the new one may take its place, unless a check may still call it back.
        if (!this.mayFail && !states[at]!.pinned && entry.uses === 1 && entry.buffer!.refs === 1) {
          fresh[k] = undefined;
          inPlace = true;
        } else fresh[k] = withBuffer(heap, entry.dtype, entry.shape);
      }
      const shapes = this.sizes?.shapes ?? this.outShapes;
      for (let k = 0; k < resultTypes.length; k++) results[k] = withBuffer(heap, resultTypes[k]!.dtype, shapes[k]!);
    } catch (error) {
      for (const lazy of fresh) lazy?.buffer?.release();
      for (const lazy of results) lazy?.buffer?.release();
      throw error;
    }
    if (this.compiled !== undefined) {
      this.fill(args, entries, fresh, results);
      const host = wiring.calls === undefined ? undefined : new HostRun(wiring.calls);
      // Whatever a call outside lets go of, the program reads on.
      if (host !== undefined) used = [...args, ...entries, ...wiring.consts];
      for (const lazy of used) lazy.retain();
      try {
        this.perform(this.compiled, results, host);
      } catch (error) {
        // What the user's own checks and functions throw may look like a trap.
        const trap = isTrap(error) && this.failure(results, host) !== error;
        for (const lazy of fresh) lazy?.buffer?.release();
        for (const lazy of results) lazy.buffer!.release();
        const lost = inPlace && trap ? stateOfOut.filter((_, k) => fresh[k] === undefined) : [];
        for (const at of lost) entries[at]!.lost = true;
        for (const lazy of used) lazy.release();
        throw trap ? this.trapped(error, lost) : error;
      }
      for (let k = this.returned; k < results.length; k++) results[k]!.buffer!.release();
    }
    const read = (source: Source): Lazy => {
      switch (source.kind) {
        case "arg":
          return args[source.index]!;
        case "const":
          return wiring.consts[source.index]!;
        case "state":
          return entries[source.index]!;
        case "stateOut":
          return fresh[source.index] ?? entries[stateOfOut[source.index]!]!;
        default:
          return results[source.index]!;
      }
    };
    const { outs } = wiring;
    const handles: Tensor[] = new Array<Tensor>(outs.length);
    for (let i = 0; i < outs.length; i++) handles[i] = new Tensor(read(outs[i]!), where);
    const moved: { readonly variable: VariableCell; readonly value: Lazy }[] = [];
    for (const state of states)
      if (state.from !== undefined) moved.push({ variable: state.variable, value: read(state.from).retain() });
    for (let k = 0; k < fresh.length; k++)
      if (fresh[k] !== undefined) states[stateOfOut[k]!]!.variable.rebind(fresh[k]!);
    for (const { variable, value } of moved) {
      variable.rebind(value);
      value.release();
    }
    for (const lazy of used) lazy.release();
    return buildTree(this.result, (index) => handles[index]!);
  }

  /** Fills the call table. */
  private fill(
    args: readonly Lazy[],
    entries: readonly Lazy[],
    fresh: readonly (Lazy | undefined)[],
    results: readonly Lazy[],
  ): void {
    const { pointers, pointerSources } = this;
    for (let i = 0; i < pointerSources.length; i++) {
      const source = pointerSources[i]!;
      switch (source.kind) {
        case "arg":
          pointers[i] = args[source.index]!.buffer!.address;
          break;
        case "const":
          pointers[i] = this.constant(source.index);
          break;
        case "state":
          pointers[i] = entries[source.index]!.buffer!.address;
          break;
        case "stateOut":
          pointers[i] = (fresh[source.index] ?? entries[this.stateOfOut[source.index]!]!).buffer!.address;
          break;
        case "result":
          pointers[i] = results[source.index]!.buffer!.address;
          break;
        case "sym":
          pointers[i] = this.sizes!.values[source.index]!;
          break;
        case "fixed":
          pointers[i] = 0;
          break;
        default:
          source satisfies never;
      }
    }
  }

  /** Runs the program; throws where a check says that the call failed. */
  private perform({ executable }: Compiled, results: readonly Lazy[], host: HostRun | undefined): void {
    const { pointers } = this;
    if (this.check === undefined) executable.execute(pointers, host?.answer);
    else {
      const at = [...pointers];
      this.check.run({
        execute: (answer) => executable.execute(pointers, answer),
        host: host?.answer,
        address: (kind, index) => at[executable.slots.findIndex((slot) => slot.kind === kind && slot.index === index)]!,
        added: results.slice(this.wiring.outTypes.length).map((lazy) => lazy.buffer!.address),
        failed: () => this.failure(results, host),
      });
    }
    const failure = this.failure(results, host);
    if (failure !== undefined) throw failure;
  }

  /** Which check of the program's own did not hold. */
  private failure(results: readonly Lazy[], host: HostRun | undefined): unknown {
    const { checked } = this.wiring;
    if (checked === undefined) return undefined;
    const { address } = results[checked.result]!.buffer!;
    return failureOf(checked.checks, theMachine().heap.view("i32", address, 1)[0]!, host);
  }

  private trapped(error: Error, lost: readonly number[]): Error {
    const names = lost.map((at) => this.wiring.states[at]!.variable.name);
    return trapError(error, this.graph, this.settings, names);
  }

  private constant(index: number): number {
    return this.wiring.consts[index]!.buffer!.address;
  }
}

function withBuffer(heap: ReturnType<typeof theMachine>["heap"], dtype: Lazy["dtype"], shape: readonly number[]): Lazy {
  const lazy = new Lazy(dtype, shape);
  lazy.buffer = new Buffer(heap, lazy.bytes);
  return lazy;
}

function eagerRef(tensor: Tensor, label: string): Lazy {
  const ref: Ref = tensor.ref(label);
  if (ref.kind === "traced") throw new SinterError(`${label} is a traced tensor, but the call is outside its trace`);
  return ref;
}

function fromHost(leaf: Exclude<Leaf, Tensor>, label: string): Lazy {
  if (!ArrayBuffer.isView(leaf)) throw new SinterError(`${label} must be a tensor, not only its description ${leaf}`);
  return lazyFromData(theMachine().heap, hostDType(leaf), [leaf.length], leaf);
}
