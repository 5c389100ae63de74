/**
 * Variables and checks of calls that are recorded into the commands of somebody else, who submits them at a time that nobody
 * tells. A variable that such a call assigns keeps its memory, which the commands write at their end: until they run it has
 * its old value. Memory in between belongs to the program and is used by all its recordings, which run one after the other.
 */
import type { Graph } from "@sinter/ir";
import { forceAnywhere } from "../eager.ts";
import { describe, SinterError } from "../errors.ts";
import type { VariableCell } from "../frame.ts";
import type { Lazy } from "../lazy.ts";
import type { Source, StateSlot, Wiring } from "../wiring.ts";
import { deviceBytes, freshOnGpu, onDevice } from "./memory.ts";
import { theGpu } from "./session.ts";

/** What a recorded call reads and writes. */
export interface RecordedValues {
  readonly entries: readonly Lazy[];
  readonly fresh: readonly Lazy[];
  read(source: Source): Lazy;
}

/** Throws for what a call cannot do when nobody knows when it runs. */
export function checkRecordable({ graph, calls, checked, outs }: Wiring, isLookedInto: boolean): void {
  const tells = outs.some(({ kind }) => kind === "result" || kind === "stateOut");
  const why =
    calls !== undefined
      ? "it prints or calls the host"
      : checked !== undefined && !tells
        ? "it makes checks, and returns nothing that it computes, whose reading would tell of them"
        : isLookedInto
          ? "debug and verify look into calls when they have run"
          : undefined;
  if (why !== undefined) throw new SinterError(`record: ${graph.name} cannot be recorded: ${why}`);
}

function isAssigned({ out, from }: StateSlot): boolean {
  return out >= 0 || from !== undefined;
}

/** Memory of programs that nobody can record any more. */
const abandoned = new FinalizationRegistry<Map<string, Lazy>>(releaseAll);

function releaseAll(kept: Map<string, Lazy>): void {
  for (const lazy of kept.values()) lazy.release();
  kept.clear();
}

export class RecordedStates {
  private readonly graph: Graph;
  private readonly states: readonly StateSlot[];
  private readonly outs: readonly Source[];
  /** Values on their way to variables, by state result; and old values that other variables take over, by variable. */
  private readonly kept = new Map<string, Lazy>();

  constructor({ graph, states, outs }: Wiring) {
    this.graph = graph;
    this.states = states;
    this.outs = outs;
    abandoned.register(this, this.kept);
  }

  /** Gives each variable that is assigned memory that nothing else has. */
  separate(): void {
    for (const state of this.states) if (isAssigned(state)) separate(this.graph.name, state.variable);
  }

  /** Memory for the new value that is state result `out`. */
  fresh(out: number, variable: VariableCell): Lazy {
    const leaves = this.outs.some(({ kind, index }) => kind === "stateOut" && index === out);
    return leaves ? freshOnGpu(variable.dtype, variable.shape) : this.keep(`out ${out}`, variable);
  }

  /** Before the program: old values that variables take over from each other, or that leave, are set aside. */
  before(encoder: GPUCommandEncoder, { entries }: RecordedValues): ReadonlyMap<number, Lazy> {
    const leaving = new Map<number, Lazy>();
    const aside = (index: number, to: Lazy): void => copy(encoder, entries[index]!, to);
    for (const { kind, index } of this.outs) {
      const state = this.states[index];
      if (kind !== "state" || !isAssigned(state!) || leaving.has(index)) continue;
      leaving.set(index, freshOnGpu(state!.variable.dtype, state!.variable.shape));
      aside(index, leaving.get(index)!);
    }
    for (const { from } of this.states)
      if (from?.kind === "state") aside(from.index, this.keep(`old ${from.index}`, this.states[from.index]!.variable));
    return leaving;
  }

  /** Behind the program: variables get their new values. */
  after(encoder: GPUCommandEncoder, { entries, fresh, read }: RecordedValues): void {
    for (const [i, state] of this.states.entries()) {
      const { out, from, variable } = state;
      if (!isAssigned(state)) continue;
      const target = entries[i]!;
      const old = from?.kind === "state" ? this.keep(`old ${from.index}`, variable) : undefined;
      copy(encoder, old ?? (out >= 0 ? fresh[out]! : read(from!)), target);
      // What is read before the commands run is not what it holds afterwards.
      target.copy = undefined;
      target.isRecorded = true;
    }
  }

  /** Gives the memory back. */
  dispose(): void {
    releaseAll(this.kept);
  }

  private keep(name: string, { dtype, shape }: VariableCell): Lazy {
    let lazy = this.kept.get(name);
    if (lazy?.gpu?.lost !== undefined) {
      lazy.release();
      lazy = undefined;
    }
    if (lazy === undefined) this.kept.set(name, (lazy = freshOnGpu(dtype, shape).retain()));
    return lazy;
  }
}

function copy(encoder: GPUCommandEncoder, from: Lazy, to: Lazy): void {
  encoder.copyBufferToBuffer(onDevice("record: a value", from), 0, to.gpu!.block.buffer, 0, deviceBytes(to.shape));
}

function separate(name: string, variable: VariableCell): void {
  const lazy = variable.current();
  forceAnywhere([lazy]);
  if (lazy.uses === 1 && lazy.buffer === undefined && lazy.gpu?.isShared === false) return;
  const { machine } = theGpu();
  if (!machine.turns.idle)
    throw new SinterError(
      `record: the value of variable ${variable.name}, ${describe(variable)}, that ${name} assigns is not known to be there: write await ready("webgpu"), then record`,
    );
  const own = freshOnGpu(variable.dtype, variable.shape);
  const encoder = machine.device.createCommandEncoder({ label: `memory of ${variable.name}` });
  copy(encoder, lazy, own);
  machine.submit(encoder);
  variable.rebind(own);
}
