/**
 * A trace that runs on the GPU. A call is queued and returns at once; what it returns and the new values of variables are
 * in fresh memory, so that the old values are there until it is known that the call succeeded.
 */
import type { Graph, HostFunction } from "@sinter/ir";
import { type CompileOptions, GpuBuffer } from "@sinter/runtime";
import { CallCheck } from "./debug/call-check.ts";
import { OpenSizesError } from "./debug/open-sizes.ts";
import { forceAnywhere } from "./eager.ts";
import { HostRun } from "./effects/run.ts";
import { DeviceLostError, SinterError, type Site } from "./errors.ts";
import type { VariableCell } from "./frame.ts";
import { isSubmitted, type Launch, launch, located, update } from "./gpu/calls.ts";
import { lookingInto, type SlotValue } from "./gpu/check.ts";
import { checkTypes, type GpuProgram, programOnGpu } from "./gpu/compile.ts";
import { dumpedOnGpu } from "./gpu/dump.ts";
import { lostVariables } from "./gpu/lost.ts";
import { freshOnGpu, onDevice } from "./gpu/memory.ts";
import { checkDeviceType } from "./gpu/place.ts";
import { checkRecordable, RecordedStates } from "./gpu/recording.ts";
import { theGpu } from "./gpu/session.ts";
import { Lazy } from "./lazy.ts";
import { failureOf } from "./status.ts";
import { Tensor } from "./tensor.ts";
import { eagerRef, hostLeaf, TracedProgram } from "./traced-program.ts";
import { checkGuard } from "./transformed.ts";
import { buildTree, type Leaf, type Tree } from "./trees.ts";
import type { Source, Wiring } from "./wiring.ts";

type Compiler = (graph: Graph, options: CompileOptions) => GpuProgram;

const dumpedProgram: Compiler = (graph, options) => dumpedOnGpu(programOnGpu(graph, options), graph, options);

export class GpuConcrete extends TracedProgram {
  private readonly options: CompileOptions;
  private readonly compiler: Compiler;
  /** Looks at each call, where that was asked for. */
  private readonly check: CallCheck | undefined;
  /** What the program gives: what the call returns, the status, then what the check adds. */
  private readonly resultTypes: Wiring["outTypes"];
  /** The program on the device at hand; another one is made for another device. */
  private made: { readonly machine: object; readonly program: GpuProgram } | undefined;
  /** Which variables the program reads: the values of others may be lost. */
  private readonly isRead: readonly boolean[];
  /** What recordings of it have in common. */
  private recorded: RecordedStates | undefined;
  /** How many of the results a call returns: the status follows them. */
  private readonly returned: number;

  constructor(
    tree: Tree,
    signature: string,
    wiring: Wiring,
    result: Tree,
    options: CompileOptions,
    compiler: Compiler = dumpedProgram,
  ) {
    super(tree, signature, wiring, result, options.backend);
    const { graph, checking } = wiring;
    const isChecked = graph.results.length > 0 && (checking.debug || checking.verify);
    if (isChecked && this.sizes !== undefined) throw new OpenSizesError(graph.name, signature);
    if (isChecked) {
      checkTypes(graph);
      this.check = new CallCheck(graph, options, checking);
    }
    this.resultTypes = [...wiring.outTypes, ...(this.check?.added ?? [])];
    this.returned = wiring.checked?.result ?? wiring.outTypes.length;
    this.options = options;
    this.compiler = compiler;
    this.isRead = statesRead(wiring);
    this.hold(this.program?.executable.bytes ?? 0);
  }

  /** Undefined where there is nothing to run. */
  private get program(): GpuProgram | undefined {
    const { graph } = this.wiring;
    if (graph.results.length === 0) return undefined;
    const { machine } = theGpu();
    if (this.made?.machine !== machine)
      this.made = { machine, program: this.compiler(this.check?.graph ?? graph, this.options) };
    return this.made.program;
  }

  override dispose(): void {
    super.dispose();
    this.recorded?.dispose();
  }

  protected override touch(): void {
    this.program?.used();
  }

  protected override run(leaves: readonly Leaf[], where: Site | undefined, temporary: Lazy[]): unknown {
    const { states } = this.wiring;
    const args = leaves.map((leaf, i) => {
      if (leaf instanceof Tensor) return eagerRef(leaf, this.labels[i]!);
      const lazy = uploaded(leaf, this.labels[i]!).retain();
      temporary.push(lazy);
      return lazy;
    });
    const call = this.prepare(args, temporary);
    this.whole(call, () => {
      this.launch(call, where);
    });
    for (const lazy of call.results.slice(this.returned)) lazy.retain();
    const read = sourceReader(this.wiring, call);
    const handles = this.wiring.outs.map((source) => new Tensor(read(source), where));
    // All are read before any is assigned.
    const assigned = states.flatMap(({ variable, out, from }) => {
      if (out < 0 && from === undefined) return [];
      return [{ variable, value: (out >= 0 ? call.fresh[out]! : read(from!)).retain() }];
    });
    for (const { variable, value } of assigned) {
      update(variable, value, call.results[0] ?? call.fresh.find((lazy) => lazy !== undefined));
      value.release();
    }
    for (const lazy of call.results.slice(this.returned)) lazy.release();
    return buildTree(this.result, (index) => handles[index]!);
  }

  /**
   * Adds the dispatches of a call to `encoder` instead of submitting them; gives what a call returns, which is there when
   * the caller has submitted them.
   */
  record(encoder: GPUCommandEncoder, leaves: readonly Leaf[], where: Site | undefined): unknown {
    const { graph, checked, guards } = this.wiring;
    checkRecordable(this.wiring, this.check !== undefined);
    for (const guard of guards) checkGuard(guard);
    const args = leaves.map((leaf, i) => {
      if (leaf instanceof Tensor) return eagerRef(leaf, this.labels[i]!);
      throw new SinterError(
        `record: ${this.labels[i]} must be a tensor, whose memory stays until the commands have run`,
      );
    });
    const temporary: Lazy[] = [];
    this.recorded ??= new RecordedStates(this.wiring);
    const { recorded } = this;
    // It is compiled while variables are waited for.
    this.touch();
    recorded.separate();
    const call = this.prepare(args, temporary, (out, variable) => recorded.fresh(out, variable));
    const values = { ...call, read: sourceReader(this.wiring, call) };
    let leaving: ReadonlyMap<number, Lazy> = new Map();
    this.whole(call, () => {
      const { executable } = this.program ?? {};
      const reads = [...args, ...call.entries, ...this.wiring.consts];
      if (executable?.isReady === false || !reads.every(isSubmitted))
        throw new SinterError(
          `record: ${graph.name} is still being compiled, or what it reads is not known to have run: write await ready("webgpu"), then record`,
        );
      // Nothing has failed yet that the commands are told of.
      if (checked !== undefined)
        theGpu().machine.write(call.results[checked.result]!.gpu!.block.buffer, 0, new Int32Array(1));
      leaving = recorded.before(encoder, values);
      executable?.record(encoder, this.buffers(call), this.sizesBySlot());
      recorded.after(encoder, values);
    });
    const read = (source: Source): Lazy => {
      const old = source.kind === "state" ? leaving.get(source.index) : undefined;
      return old ?? values.read(source);
    };
    const handles = this.wiring.outs.map((source) => new Tensor(read(source), where));
    if (checked !== undefined) {
      const code = call.results[checked.result]!;
      const meaning = (status: number): unknown => failureOf(checked.checks, status, undefined);
      for (const source of this.wiring.outs)
        if (source.kind === "result" || source.kind === "stateOut")
          read(source).status ??= { code: code.retain(), meaning };
    }
    for (const lazy of temporary) lazy.release();
    return buildTree(this.result, (index) => handles[index]!);
  }

  /** Computes what the call reads, and makes memory for what it writes. */
  private prepare(
    args: readonly Lazy[],
    temporary: Lazy[],
    fresh = (_: number, { dtype, shape }: VariableCell): Lazy => freshOnGpu(dtype, shape),
  ): GpuCallValues {
    const { states, consts } = this.wiring;
    const entries = this.entries(temporary);
    forceAnywhere([...args, ...entries, ...consts]);
    const call: GpuCallValues = { args, entries, fresh: [], results: [] };
    if (this.program === undefined) return call;
    return this.whole(call, () => {
      for (const { out, variable } of states) if (out >= 0) call.fresh[out] = fresh(out, variable);
      for (const [i, { dtype, shape }] of this.resultTypes.entries())
        call.results.push(freshOnGpu(dtype, this.sizes?.shapes[i] ?? (shape as readonly number[])));
      return call;
    });
  }

  /** The values of variables; any memory for those that were lost with a device, and that nobody reads. */
  private entries(temporary: Lazy[]): Lazy[] {
    const lost: VariableCell[] = [];
    let reason: unknown;
    const found = this.wiring.states.map(({ variable }, i) => {
      try {
        return variable.current();
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        reason = error;
        if (this.isRead[i]) lost.push(variable);
        const empty = freshOnGpu(variable.dtype, variable.shape).retain();
        temporary.push(empty);
        return empty;
      }
    });
    if (lost.length > 0) throw lostVariables(this.wiring.graph.name, lost, reason);
    return found;
  }

  /** Runs `body`; where it throws, the memory that the call would have written is given back. */
  private whole<T>({ fresh, results }: GpuCallValues, body: () => T): T {
    try {
      return body();
    } catch (error) {
      for (const lazy of [...fresh, ...results]) lazy?.retain().release();
      throw located({ name: this.wiring.graph.name, where: undefined }, error);
    }
  }

  private launch(call: GpuCallValues, where: Site | undefined): void {
    const { program, wiring } = this;
    if (program === undefined) return;
    const host = wiring.calls === undefined ? undefined : new HostRun(wiring.calls);
    const { checked } = wiring;
    launch({
      name: wiring.graph.name,
      where,
      executable: program.executable,
      buffers: this.buffers(call),
      sizes: this.sizesBySlot(),
      reads: [...call.args, ...call.entries, ...wiring.consts],
      writes: [...call.fresh, ...call.results],
      host: host?.answer,
      ...this.looking(call, host?.answer),
      isSilent: !wiring.outs.some(({ kind }) => kind === "result" || kind === "stateOut"),
      check:
        checked === undefined
          ? undefined
          : { code: call.results[checked.result]!, meaning: (code) => failureOf(checked.checks, code, host) },
    });
  }

  /** How the call is looked into, where that was asked for. */
  private looking(call: GpuCallValues, host: HostFunction | undefined): Pick<Launch, "host" | "look"> | undefined {
    const { check, wiring } = this;
    const read = sourceReader(wiring, call);
    const slotValue: SlotValue = (kind, index) => read({ kind, index } as Source);
    return check && lookingInto(check, wiring.graph, slotValue, call.results[wiring.outTypes.length], host);
  }

  /** Where the program finds what it reads and writes, by slot. */
  private buffers({ args, entries, fresh, results }: GpuCallValues): (GPUBuffer | undefined)[] {
    const { graph, states, consts } = this.wiring;
    return this.program!.executable.slots.map(({ kind, index }) => {
      switch (kind) {
        case "arg":
          return onDevice(this.labels[index]!, args[index]!);
        case "state":
          return onDevice(`${graph.name}: variable ${states[index]!.variable.name}`, entries[index]!);
        case "const": {
          // Constants of the code follow the captured ones; the executable knows where they are.
          const lazy = consts[index];
          return lazy === undefined ? undefined : onDevice(`${graph.name}: a captured tensor`, lazy);
        }
        case "stateOut":
          return fresh[index]!.gpu!.block.buffer;
        case "result":
          return results[index]!.gpu!.block.buffer;
        default:
          return undefined;
      }
    });
  }

  private sizesBySlot(): readonly number[] {
    return this.program!.executable.slots.map(({ kind, index }) => (kind === "sym" ? this.sizes!.values[index]! : 0));
  }
}

/** What one call reads and writes. */
interface GpuCallValues {
  readonly args: readonly Lazy[];
  /** Values of variables before it. */
  readonly entries: readonly Lazy[];
  /** New values of variables, by state result. */
  readonly fresh: Lazy[];
  readonly results: Lazy[];
}

function sourceReader({ consts }: Wiring, { args, entries, fresh, results }: GpuCallValues): (source: Source) => Lazy {
  const lists = { arg: args, const: consts, state: entries, stateOut: fresh, result: results } as const;
  return ({ kind, index }) => lists[kind][index]!;
}

function statesRead({ graph, states, outs }: Wiring): readonly boolean[] {
  const read = new Set(graph.nodes.flatMap(({ operands }) => operands));
  for (const { value } of graph.results) read.add(value);
  const params = graph.params.filter(({ kind }) => kind === "state");
  const leaving = [...outs, ...states.flatMap(({ from }) => from ?? [])];
  return params.map(
    ({ value }, i) => read.has(value) || leaving.some(({ kind, index }) => kind === "state" && index === i),
  );
}

/** An argument that is a typed array, in memory on the device. */
function uploaded(leaf: Exclude<Leaf, Tensor>, label: string): Lazy {
  const { dtype, shape, data } = hostLeaf(leaf, label);
  const { machine } = theGpu();
  const lazy = new Lazy(dtype, shape);
  checkDeviceType(label, lazy);
  lazy.gpu = new GpuBuffer(machine.upload(dtype, data), machine);
  return lazy;
}
