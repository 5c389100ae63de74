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

export function verifyPlan(program: LoopProgram, plan: Plan): void {
  new PlanCheck(program, plan).run(program.steps, new Set());
}

class PlanCheck {
  private readonly program: LoopProgram;
  private readonly plan: Plan;

  constructor(program: LoopProgram, plan: Plan) {
    this.program = program;
    this.plan = plan;
    for (const [b, place] of plan.places.entries()) this.checkPlace(program.buffers[b]!.name, place);
  }

  private checkPlace(name: string, place: Place): void {
    if (place.kind !== "arena") return;
    const offset = staticDim(place.offset);
    if (offset % this.plan.alignment !== 0) throw new Error(`plan: ${name} is not aligned`);
    if (offset < 0 || offset + staticDim(place.bytes) > staticDim(this.plan.arenaBytes))
      throw new Error(`plan: ${name} does not fit the arena`);
  }

  /** `held`: temp buffers whose contents are in their place. Changed by what the steps write. */
  run(steps: readonly LoopStep[], held: Set<number>): void {
    for (const step of steps) {
      switch (step.kind) {
        case "kernel":
          this.kernel(this.program.kernels[step.kernel]!, step.kernel, held);
          break;
        case "copy":
          this.read("a copy", step.from, held);
          this.write([step.to], [], held);
          break;
        case "if": {
          this.read("an if", step.index, held);
          const ends = step.branches.map((branch) => {
            const own = new Set(held);
            this.run(branch, own);
            return own;
          });
          for (const b of [...held, ...ends.flatMap((e) => [...e])])
            if (ends.every((e) => e.has(b))) held.add(b);
            else held.delete(b);
          break;
        }
        // Twice round a loop shows what one iteration leaves for the next.
        case "for":
          for (let i = 0; i < 2; i++) {
            this.write([step.counter], [], held);
            this.run(step.body, held);
          }
          break;
        case "while":
          for (let i = 0; i < 2; i++) {
            this.run(step.test, held);
            this.read("a while", step.predicate, held);
            this.run(step.body, held);
          }
          this.run(step.test, held);
          break;
        default:
          step satisfies never;
      }
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

  private read(who: string, buffer: number, held: Set<number>): void {
    if (this.program.buffers[buffer]!.kind === "temp" && !held.has(buffer))
      throw new Error(`plan: ${who} reads ${this.name(buffer)}, whose place holds something else`);
  }

  private write(buffers: readonly number[], scratch: readonly Range[], held: Set<number>): void {
    const written = [...buffers.map((b) => this.range(b)), ...scratch];
    for (const b of held) if (written.some((w) => overlap(w, this.range(b)))) held.delete(b);
    for (const b of buffers) held.add(b);
  }

  private range(buffer: number): Range | undefined {
    const place = this.plan.places[buffer]!;
    if (place.kind === "same") return this.range(place.as);
    if (place.kind === "slot") return { space: `slot ${place.slot}`, from: 0, to: staticDim(place.bytes) };
    if (place.kind === "none") return undefined;
    const from = staticDim(place.offset);
    return { space: "arena", from, to: from + staticDim(place.bytes) };
  }

  private name(buffer: number): string {
    return this.program.buffers[buffer]!.name;
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
