/**
 * Checks a memory plan without knowing how it was made: walks the steps as they run and follows what each range of the
 * arena holds. Whatever is read must still be there.
 */
import { type LoopKernel, type LoopProgram, type LoopStep, type Place, type Plan, staticDim } from "@sinter/ir";

/** A range of the arena, or of a buffer that has a slot of its own. */
interface Range {
  readonly space: string;
  readonly from: number;
  readonly to: number;
}

/** What holds at some place of the program, on the ways that lead there. */
interface State {
  /** Buffers whose contents are in their place. */
  readonly held: Set<number>;
  /** Of buffers that were exchanged: the buffer whose place each has by now. */
  readonly at: Map<number, number>;
}

/** Rounds of a loop that are walked: those after them find what these leave. */
const rounds = 3;
/** Arrangements of exchanged buffers that are followed at once. */
const mostStates = 16;

export function verifyPlan(program: LoopProgram, plan: Plan): void {
  new PlanCheck(program, plan).check();
}

class PlanCheck {
  private readonly program: LoopProgram;
  private readonly plan: Plan;
  /** Where branches and loops end, by the state they begin in: else each round would walk again all that is inside. */
  private readonly ends = new Map<LoopStep, Map<string, readonly State[]>>();
  private state: State = { held: new Set(), at: new Map() };

  constructor(program: LoopProgram, plan: Plan) {
    this.program = program;
    this.plan = plan;
    for (const [b, place] of plan.places.entries()) this.checkPlace(program.buffers[b]!.name, place);
  }

  check(): void {
    const written = new Set<number>();
    collectWritten(this.program, this.program.steps, written);
    for (const state of this.run(this.program.steps, [this.state]))
      for (const { id, kind, name } of this.program.buffers) {
        if (kind !== "result" && kind !== "stateOut") continue;
        const place = this.plan.places[id]!;
        const empty = place.kind === "slot" && place.bytes === 0;
        if (!empty && written.has(id) && !state.held.has(id))
          throw new Error(`plan: ${name} is overwritten at the end`);
      }
  }

  private checkPlace(name: string, place: Place): void {
    if (place.kind !== "arena") return;
    const offset = staticDim(place.offset);
    if (offset % this.plan.alignment !== 0) throw new Error(`plan: ${name} is not aligned`);
    if (offset < 0 || offset + staticDim(place.bytes) > staticDim(this.plan.arenaBytes))
      throw new Error(`plan: ${name} does not fit the arena`);
  }

  /** Walks the steps from each state; returns those in which they may end. */
  private run(steps: readonly LoopStep[], states: readonly State[]): State[] {
    let current = [...states];
    for (const step of steps) {
      const next = current.flatMap((state) => this.stepOnce(step, state));
      // Other steps lead from different arrangements to different ones.
      current = isControl(step) ? merge(next) : next;
    }
    return current;
  }

  /** The step from a state; of branches and loops what was found before. */
  private stepOnce(step: LoopStep, from: State): readonly State[] {
    if (!isControl(step)) return this.step(step, from);
    const known = this.ends.get(step) ?? new Map<string, readonly State[]>();
    this.ends.set(step, known);
    const key = textOf([from]);
    let found = known.get(key);
    if (found === undefined) known.set(key, (found = this.step(step, from)));
    return found;
  }

  private each(states: readonly State[], visit: () => void): void {
    for (const state of states) {
      this.state = state;
      visit();
    }
  }

  private step(step: LoopStep, from: State): State[] {
    const state: State = { held: new Set(from.held), at: new Map(from.at) };
    this.state = state;
    const { held, at } = state;
    switch (step.kind) {
      case "kernel":
        this.kernel(this.program.kernels[step.kernel]!, step.kernel, held);
        return [state];
      case "copy":
        this.read("a copy", step.from, held);
        this.write([step.to], [], held);
        return [state];
      case "swap": {
        const [a, b] = [at.get(step.a) ?? step.a, at.get(step.b) ?? step.b];
        at.set(step.a, b).set(step.b, a);
        const [hadA, hadB] = [held.has(step.a), held.has(step.b)];
        held.delete(step.a);
        held.delete(step.b);
        if (hadA) held.add(step.b);
        if (hadB) held.add(step.a);
        return [state];
      }
      case "if":
        this.read("an if", step.index, held);
        return step.branches.flatMap((branch) => this.run(branch, [state]));
      case "for": {
        const count = staticDim(step.count);
        // As many as there are, or at least as even or odd.
        const walked = count <= rounds ? count : rounds - ((count - rounds) % 2);
        let current: State[] = [state];
        for (let i = 0, last = ""; i < walked && last !== textOf(current); i++) {
          last = textOf(current);
          this.each(current, () => this.write([step.counter], [], this.state.held));
          current = this.run(step.body, current);
        }
        return current;
      }
      case "while": {
        const ends: State[] = [];
        let current: State[] = [state];
        for (let i = 0, last = ""; i < rounds && last !== textOf(current); i++) {
          last = textOf(current);
          current = this.run(step.test, current);
          this.each(current, () => this.read("a while", step.predicate, this.state.held));
          ends.push(...current);
          current = this.run(step.body, current);
        }
        return [...ends, ...this.run(step.test, current)];
      }
      default:
        return step satisfies never;
    }
  }

  private kernel(kernel: LoopKernel, position: number, held: Set<number>): void {
    const scratch = kernel.scratch.map(({ bytes }, i): Range => {
      const from = staticDim(this.plan.scratch[position]![i]!);
      const to = from + staticDim(bytes);
      if (to > staticDim(this.plan.arenaBytes))
        throw new Error(`plan: scratch of ${kernel.name} does not fit the arena`);
      return { space: "arena", from, to };
    });
    for (const b of kernel.buffers) if (!kernel.writes.includes(b)) this.read(kernel.name, b, held);
    const mine = kernel.buffers.map((b) => ({ b, range: this.range(b) }));
    for (const [i, x] of mine.entries())
      for (const y of mine.slice(i + 1))
        if (overlap(x.range, y.range) && !mayShare(kernel, x.b, y.b))
          throw new Error(`plan: ${this.name(x.b)} and ${this.name(y.b)} overlap in ${kernel.name}`);
    for (const [i, s] of scratch.entries())
      for (const other of [...mine.map((m) => m.range), ...scratch.slice(i + 1)])
        if (overlap(s, other)) throw new Error(`plan: scratch of ${kernel.name} overlaps what it works on`);
    this.write(kernel.writes, scratch, held);
  }

  private read(who: string, slice: number, held: Set<number>): void {
    const buffer = this.whole(slice);
    if (this.program.buffers[buffer]!.kind === "temp" && !held.has(buffer))
      throw new Error(`plan: ${who} reads ${this.name(buffer)}, whose place holds something else`);
  }

  private write(buffers: readonly number[], scratch: readonly Range[], held: Set<number>): void {
    const written = [...buffers.map((b) => this.range(b)), ...scratch];
    for (const b of held) if (written.some((w) => overlap(w, this.range(b)))) held.delete(b);
    for (const b of buffers) held.add(this.whole(b));
  }

  /** A slice stands for all of what it is of. */
  private whole(buffer: number): number {
    const of = this.program.buffers[buffer]!.slice?.of;
    return of === undefined ? buffer : this.whole(of);
  }

  private range(slice: number): Range | undefined {
    const buffer = this.whole(slice);
    return this.placeOf(this.state.at.get(buffer) ?? buffer);
  }

  private placeOf(buffer: number): Range | undefined {
    const place = this.plan.places[buffer]!;
    if (place.kind === "same") return this.placeOf(place.as);
    if (place.kind === "slot") return { space: `slot ${place.slot}`, from: 0, to: staticDim(place.bytes) };
    if (place.kind === "none") return undefined;
    const from = staticDim(place.offset);
    return { space: "arena", from, to: from + staticDim(place.bytes) };
  }

  private name(buffer: number): string {
    return this.program.buffers[buffer]!.name;
  }
}

function isControl({ kind }: LoopStep): boolean {
  return kind === "if" || kind === "for" || kind === "while";
}

/** All there is to say of some states: a round that changes nothing is the last to be walked. */
function textOf(states: readonly State[]): string {
  const sorted = (list: Iterable<number>): string => [...list].sort((a, b) => a - b).join(",");
  return states.map(({ held, at }) => `${sorted(held)}:${[...at].flat().join(",")}`).join(";");
}

/** States that differ in places stay apart; of equal ones only what both hold is held. */
function merge(states: readonly State[]): State[] {
  const out = new Map<string, State>();
  for (const state of states) {
    const moved = [...state.at].filter(([b, at]) => b !== at).sort(([a], [b]) => a - b);
    const key = moved.join(" ");
    const known = out.get(key);
    if (known === undefined) out.set(key, { held: new Set(state.held), at: new Map(moved) });
    else for (const b of known.held) if (!state.held.has(b)) known.held.delete(b);
  }
  return [...out.values()].slice(0, mostStates);
}

function collectWritten(program: LoopProgram, steps: readonly LoopStep[], out: Set<number>): void {
  for (const step of steps) {
    if (step.kind === "kernel") for (const id of program.kernels[step.kernel]!.writes) out.add(id);
    if (step.kind === "copy") out.add(step.to);
    if (step.kind === "if") for (const branch of step.branches) collectWritten(program, branch, out);
    if (step.kind === "for" || step.kind === "while") collectWritten(program, step.body, out);
  }
}

/** Two buffers of one kernel at one place: both only read, or a pair that its schedule allows. */
function mayShare(kernel: LoopKernel, a: number, b: number): boolean {
  if (!kernel.writes.includes(a) && !kernel.writes.includes(b)) return true;
  return kernel.aliasable.some(([r, w]) => (r === a && w === b) || (r === b && w === a));
}

function overlap(a: Range | undefined, b: Range | undefined): boolean {
  return a !== undefined && b !== undefined && a.space === b.space && a.from < b.to && b.from < a.to;
}
