/** Where the buffers of a program are, and copies of some in the arena for kernels that bind more than a device allows. */
import {
  addIndex,
  type DeviceBuffer,
  type Dim,
  divIndex,
  type LoopProgram,
  type Plan,
  scaleIndex,
  sizeOf,
  toDim,
  visitSteps,
  type WebgpuFeatures,
} from "@sinter/ir";
import { deviceBytes } from "./slots.ts";

export class Packing {
  readonly program: LoopProgram;
  readonly plan: Plan;
  readonly features: WebgpuFeatures;
  /** Counters of loops, which are words and not memory. */
  readonly counters = new Set<number>();
  /** Buffers that change places with others. */
  readonly moving = new Set<number>();
  /** All of the arena. It grows with each shadow. */
  readonly arena: { readonly kind: "scratch"; readonly offset: Dim; bytes: Dim };
  readonly shadows: DeviceBuffer[] = [];
  private readonly copies = new Map<number, number>();
  /** The buffers that each moving one changes places with, over other ones too. */
  private readonly partners = new Map<number, Set<number>>();

  constructor(program: LoopProgram, plan: Plan, features: WebgpuFeatures) {
    this.program = program;
    this.plan = plan;
    this.features = features;
    this.arena = { kind: "scratch", offset: 0, bytes: plan.arenaBytes };
    visitSteps(program.steps, (step) => {
      if (step.kind === "for") this.counters.add(step.counter);
      if (step.kind !== "swap") return;
      const all = new Set([step.a, step.b, ...(this.partners.get(step.a) ?? []), ...(this.partners.get(step.b) ?? [])]);
      for (const id of all) {
        this.moving.add(id);
        this.partners.set(id, all);
      }
    });
  }

  /** The buffer whose memory one is in, behind slices and places that are shared. */
  root(id: number): number {
    const { slice } = this.program.buffers[id]!;
    if (slice !== undefined) return this.root(slice.of);
    const place = this.plan.places[id];
    // What steps exchange has its place at the beginning only.
    return place?.kind === "same" && !this.moving.has(id) ? this.root(place.as) : id;
  }

  /** Whether the plan puts a buffer in the arena. */
  private beginsInArena(id: number): boolean {
    const place = this.plan.places[id];
    return place?.kind === "same" ? this.beginsInArena(place.as) : place?.kind === "arena";
  }

  /** Whether a root is in the arena, whatever places it changes with. */
  isInArena(root: number): boolean {
    return [root, ...(this.partners.get(root) ?? [])].every((id) => this.beginsInArena(id));
  }

  isSometimesInArena(root: number): boolean {
    return [root, ...(this.partners.get(root) ?? [])].some((id) => this.beginsInArena(id));
  }

  /** The number of a copy of a buffer in the arena. */
  shadow(buffer: number): number {
    const decl = this.program.buffers[buffer]!;
    const elements = sizeOf(decl.shape);
    const known = this.copies.get(buffer);
    if (known !== undefined) return known;
    const id = this.program.buffers.length + this.shadows.length;
    const { alignment } = this.plan;
    const offset = toDim(scaleIndex(divIndex(addIndex(this.arena.bytes, alignment - 1), alignment), alignment));
    const bytes = deviceBytes(elements);
    const place = { kind: "arena", offset, bytes, firstStep: 0, lastStep: Number.MAX_SAFE_INTEGER } as const;
    this.shadows.push({ id, place, elements, dtype: decl.dtype });
    this.copies.set(buffer, id);
    this.arena.bytes = toDim(addIndex(offset, bytes));
    return id;
  }
}
