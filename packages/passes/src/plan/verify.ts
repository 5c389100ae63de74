/**
 * Checks a memory plan without knowing how it was made: walks the steps as they run and follows what each range of the
 * arena holds. Whatever is read must still be there.
 */
import {
  type Dim,
  dimValue,
  type LoopKernel,
  type LoopProgram,
  type LoopStep,
  type Place,
  type Plan,
  type Sym,
  symsOfProgram,
  visitSteps,
} from "@sinter/ir";

/** A range of the arena, or of a buffer that has a slot of its own. */
interface Range {
  readonly space: string;
  readonly from: number;
  readonly to: number;
}

/** Values of the symbolic sizes that a plan is checked for, so far as their bounds allow. */
const triedSizes = [1, 2, 3, 7, 64, 1000, 65537];

export function verifyPlan(program: LoopProgram, plan: Plan): void {
  const syms = symsOfProgram(program);
  if (syms.length === 0) {
    new PlanCheck(program, plan).check();
    return;
  }
  // All alike, and each in turn far from the others.
  const within = ({ lo, hi }: Sym, size: number): number => Math.max(lo, Math.min(hi, size));
  for (const size of triedSizes) {
    new PlanCheck(program, plan, new Map(syms.map((s) => [s.name, within(s, size)]))).check();
    if (syms.length === 1) continue;
    for (const odd of syms)
      new PlanCheck(program, plan, new Map(syms.map((s) => [s.name, within(s, s === odd ? size : 5)]))).check();
  }
}

/**
 * Follows which buffers hold what was written to them. Buffers that steps exchange are a permutation of the places that
 * they were given: each lies in one of these, no two in the same one. Which one depends on how often loops ran, so what
 * else is written to any of them destroys all.
 */
class PlanCheck {
  private readonly program: LoopProgram;
  private readonly plan: Plan;
  /** By buffer that is exchanged: all that it changes places with, itself among them. */
  private readonly groups: ReadonlyMap<number, readonly number[]>;
  /** Where branches and loops end, by what is held where they begin: else each round would walk all inside again. */
  private readonly ends = new Map<LoopStep, Map<string, Held>>();

  /** Values of the symbolic sizes. */
  private readonly sizes: ReadonlyMap<string, number>;

  constructor(program: LoopProgram, plan: Plan, sizes: ReadonlyMap<string, number> = new Map()) {
    this.sizes = sizes;
    this.program = program;
    this.plan = plan;
    this.groups = groupsOf(program.steps);
    for (const [b, place] of plan.places.entries()) this.checkPlace(program.buffers[b]!.name, place);
    for (const group of new Set(this.groups.values())) this.checkGroup(group);
  }

  private size(dim: Dim): number {
    return dimValue(dim, this.sizes);
  }

  check(): void {
    const written = writtenBy(this.program);
    const held = this.run(this.program.steps, new Set());
    for (const { id, kind, name } of this.program.buffers) {
      if (kind !== "result" && kind !== "stateOut") continue;
      const place = this.plan.places[id]!;
      const empty = place.kind === "slot" && this.size(place.bytes) === 0;
      if (!empty && written.has(id) && !held.has(id)) throw new Error(`plan: ${name} is overwritten at the end`);
    }
  }

  private checkGroup(group: readonly number[]): void {
    for (const [i, a] of group.entries())
      for (const b of group.slice(i + 1))
        if (overlap(this.placeOf(a), this.placeOf(b)))
          throw new Error(`plan: ${this.name(a)} and ${this.name(b)} are exchanged, but overlap`);
  }

  private checkPlace(name: string, place: Place): void {
    if (place.kind !== "arena") return;
    const offset = this.size(place.offset);
    if (offset % this.plan.alignment !== 0) throw new Error(`plan: ${name} is not aligned`);
    if (offset < 0 || offset + this.size(place.bytes) > this.size(this.plan.arenaBytes))
      throw new Error(`plan: ${name} does not fit the arena`);
  }

  /** What is held after the steps. */
  private run(steps: readonly LoopStep[], before: Held): Held {
    const held = new Set(before);
    for (const step of steps) {
      if (!isControl(step)) this.simple(step, held);
      else {
        const after = this.control(step, held);
        held.clear();
        for (const b of after) held.add(b);
      }
    }
    return held;
  }

  private simple(step: Extract<LoopStep, { kind: "kernel" | "host" | "copy" | "swap" }>, held: Set<number>): void {
    if (step.kind === "kernel") this.kernel(this.program.kernels[step.kernel]!, step.kernel, held);
    else if (step.kind === "host") {
      for (const id of step.operands) this.read("a call of the host", id, held);
      this.write(step.results, [], held);
    } else if (step.kind === "copy") {
      this.read("a copy", step.from, held);
      this.write([step.to], [], held);
    } else {
      const [hadA, hadB] = [held.has(step.a), held.has(step.b)];
      held.delete(step.a);
      held.delete(step.b);
      if (hadA) held.add(step.b);
      if (hadB) held.add(step.a);
    }
  }

  /** A branch or a loop from what is held before it; what was found once is not looked for again. */
  private control(step: Control, before: Held): Held {
    let known = this.ends.get(step);
    if (known === undefined) this.ends.set(step, (known = new Map()));
    const key = [...before].sort((a, b) => a - b).join();
    let after = known.get(key);
    if (after === undefined) known.set(key, (after = this.walk(step, before)));
    return after;
  }

  private walk(step: Control, before: Held): Held {
    switch (step.kind) {
      case "if":
        this.read("an if", step.index, before);
        return step.branches.map((branch) => this.run(branch, before)).reduce(both);
      case "for": {
        if (this.size(step.count) === 0) return before;
        const round = (held: Held): Held => {
          const inside = new Set(held);
          this.write([step.counter], [], inside);
          return this.run(step.body, inside);
        };
        return round(settled(before, round));
      }
      case "while": {
        const test = (held: Held): Held => {
          const after = this.run(step.test, held);
          this.read("a while", step.predicate, after);
          return after;
        };
        return test(settled(before, (held) => this.run(step.body, test(held))));
      }
      default:
        return step satisfies never;
    }
  }

  private kernel(kernel: LoopKernel, position: number, held: Set<number>): void {
    const scratch = kernel.scratch.map(({ bytes }, i): Range => {
      const from = this.size(this.plan.scratch[position]![i]!);
      const to = from + this.size(bytes);
      if (to > this.size(this.plan.arenaBytes))
        throw new Error(`plan: scratch of ${kernel.name} does not fit the arena`);
      return { space: "arena", from, to };
    });
    for (const b of kernel.buffers) if (!kernel.writes.includes(b)) this.read(kernel.name, b, held);
    const mine = kernel.buffers.map((b) => ({ b, ranges: this.ranges(b) }));
    for (const [i, x] of mine.entries())
      for (const y of mine.slice(i + 1))
        if (!this.exchanged(x.b, y.b) && anyOverlap(x.ranges, y.ranges) && !mayShare(kernel, x.b, y.b))
          throw new Error(`plan: ${this.name(x.b)} and ${this.name(y.b)} overlap in ${kernel.name}`);
    for (const [i, s] of scratch.entries())
      if (mine.some((m) => anyOverlap([s], m.ranges)) || anyOverlap([s], scratch.slice(i + 1)))
        throw new Error(`plan: scratch of ${kernel.name} overlaps what it works on`);
    this.write(kernel.writes, scratch, held);
  }

  private read(who: string, slice: number, held: Held): void {
    const buffer = this.whole(slice);
    if (this.program.buffers[buffer]!.kind === "temp" && !held.has(buffer))
      throw new Error(`plan: ${who} reads ${this.name(buffer)}, whose place holds something else`);
  }

  private write(buffers: readonly number[], scratch: readonly Range[], held: Set<number>): void {
    const written = buffers.map((b) => ({ b, ranges: this.ranges(b) }));
    for (const b of held) {
      const own = this.ranges(b);
      const lost = written.some((w) => !this.exchanged(w.b, b) && anyOverlap(w.ranges, own));
      if (lost || anyOverlap(scratch, own)) held.delete(b);
    }
    for (const b of buffers) held.add(this.whole(b));
  }

  /** Whether two different buffers change places with each other, so that they are never in the same one. */
  private exchanged(a: number, b: number): boolean {
    const [x, y] = [this.whole(a), this.whole(b)];
    return x !== y && this.groups.get(x)?.includes(y) === true;
  }

  /** A slice stands for all of what it is of. */
  private whole(buffer: number): number {
    const of = this.program.buffers[buffer]!.slice?.of;
    return of === undefined ? buffer : this.whole(of);
  }

  /** Where a buffer may lie. */
  private ranges(slice: number): readonly Range[] {
    const buffer = this.whole(slice);
    return (this.groups.get(buffer) ?? [buffer]).flatMap((b) => this.placeOf(b) ?? []);
  }

  private placeOf(buffer: number): Range | undefined {
    const place = this.plan.places[buffer]!;
    if (place.kind === "same") return this.placeOf(place.as);
    if (place.kind === "slot") return { space: `slot ${place.slot}`, from: 0, to: this.size(place.bytes) };
    if (place.kind === "none") return undefined;
    const from = this.size(place.offset);
    return { space: "arena", from, to: from + this.size(place.bytes) };
  }

  private name(buffer: number): string {
    return this.program.buffers[buffer]!.name;
  }
}

type Held = ReadonlySet<number>;
type Control = Extract<LoopStep, { kind: "if" | "for" | "while" }>;

function isControl(step: LoopStep): step is Control {
  return step.kind === "if" || step.kind === "for" || step.kind === "while";
}

const both = (a: Held, b: Held): Held => new Set([...a].filter((x) => b.has(x)));

/** What is held at the beginning of every round. */
function settled(before: Held, round: (held: Held) => Held): Held {
  for (let held = before; ; ) {
    const next = both(held, round(held));
    if (next.size === held.size) return held;
    held = next;
  }
}

/** Buffers that steps exchange, by each of them. */
function groupsOf(steps: readonly LoopStep[]): Map<number, readonly number[]> {
  const out = new Map<number, readonly number[]>();
  visitSteps(steps, (step) => {
    if (step.kind !== "swap") return;
    const group = [...new Set([...(out.get(step.a) ?? [step.a]), ...(out.get(step.b) ?? [step.b])])];
    for (const b of group) out.set(b, group);
  });
  return out;
}

function writtenBy({ kernels, steps }: LoopProgram): Set<number> {
  const out = new Set<number>();
  visitSteps(steps, (step) => {
    if (step.kind === "kernel") for (const id of kernels[step.kernel]!.writes) out.add(id);
    if (step.kind === "host") for (const id of step.results) out.add(id);
    if (step.kind === "copy") out.add(step.to);
  });
  return out;
}

/** Two buffers of one kernel at one place: both only read, or a pair that its schedule allows. */
function mayShare(kernel: LoopKernel, a: number, b: number): boolean {
  if (!kernel.writes.includes(a) && !kernel.writes.includes(b)) return true;
  return kernel.aliasable.some(([r, w]) => (r === a && w === b) || (r === b && w === a));
}

function anyOverlap(a: readonly Range[], b: readonly Range[]): boolean {
  return a.some((x) => b.some((y) => overlap(x, y)));
}

function overlap(a: Range | undefined, b: Range | undefined): boolean {
  return a !== undefined && b !== undefined && a.space === b.space && a.from < b.to && b.from < a.to;
}
