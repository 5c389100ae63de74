/** A trace that runs on the heap: which argument, constant and variable goes into which slot of the call table. */
import type { Graph } from "@sinter/ir";
import { Buffer, type Compiled, type CompileOptions, compileGraph, isTrap, theMachine } from "@sinter/runtime";
import { CallCheck } from "./debug/call-check.ts";
import { OpenSizesError } from "./debug/open-sizes.ts";
import { trapError } from "./debug/trap.ts";
import { isStatic } from "./dims.ts";
import { dumped } from "./dump.ts";
import { force } from "./eager.ts";
import { HostRun } from "./effects/run.ts";
import type { Site } from "./errors.ts";
import type { VariableCell } from "./frame.ts";
import { isOnGpu, misplaced } from "./gpu/place.ts";
import { Lazy, lazyFromData } from "./lazy.ts";
import { failureOf } from "./status.ts";
import { Tensor } from "./tensor.ts";
import { eagerRef, hostLeaf, TracedProgram } from "./traced-program.ts";
import { buildTree, type Leaf, type Tree } from "./trees.ts";
import type { Source, Wiring } from "./wiring.ts";

type PointerSource =
  | { readonly kind: "fixed" }
  | { readonly kind: "arg" | "const" | "state" | "stateOut" | "result" | "sym"; readonly index: number };

const none: readonly Lazy[] = [];

/** A trace that runs on the heap: as a wasm program, or by the reference evaluator. */
export class Concrete extends TracedProgram {
  /** What runs, and how it is compiled. */
  private readonly graph: Graph;
  private readonly settings: CompileOptions;
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
  /** Shapes of the results, where no size is symbolic. */
  private readonly outShapes: readonly (readonly number[])[];
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
    super(tree, signature, wiring, result, options.backend);
    const { graph, checking } = wiring;
    const runs = graph.results.length > 0;
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
    this.outShapes = this.resultTypes.map(({ shape }) => (isStatic(shape) ? shape : []));
    for (const lazy of wiring.consts)
      if (lazy.buffer === undefined) throw misplaced(`${graph.name}: a captured tensor`, lazy);
    this.hold(this.compiled?.executable.bytes ?? 0);
  }

  protected override touch(): void {
    this.compiled?.used();
  }

  /** Values made for this call only are appended to `temporary`. */
  protected override run(leaves: readonly Leaf[], where: Site | undefined, temporary: Lazy[]): unknown {
    const { states } = this.wiring;
    const args: Lazy[] = new Array<Lazy>(leaves.length);
    let pending: Lazy[] | undefined;
    for (let i = 0; i < leaves.length; i++) {
      const leaf = leaves[i]!;
      let lazy: Lazy;
      if (leaf instanceof Tensor) lazy = eagerRef(leaf, this.labels[i]!);
      else {
        const { dtype, shape, data } = hostLeaf(leaf, this.labels[i]!);
        lazy = lazyFromData(theMachine().heap, dtype, shape, data).retain();
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
    if (pending !== undefined) this.compute(pending, args, entries);
    return this.execute(args, entries, where);
  }

  /** Computes what is pending; an error where it is on the GPU. */
  private compute(pending: readonly Lazy[], args: readonly Lazy[], entries: readonly Lazy[]): void {
    args.forEach((lazy, i) => {
      if (isOnGpu(lazy)) throw misplaced(this.labels[i]!, lazy);
    });
    entries.forEach((lazy, i) => {
      const { name } = this.wiring.states[i]!.variable;
      if (isOnGpu(lazy)) throw misplaced(`${this.wiring.graph.name}: variable ${name}`, lazy, name);
    });
    force(...pending);
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
