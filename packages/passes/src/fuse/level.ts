/**
 * One graph of a program, the whole one or a region of an op: planned first, down to the regions inside it, so that all
 * know whose memory is whose, then built as steps.
 */
import type { BufferId, FusionNote, Graph, NestStep } from "@sinter/ir";
import { absorbPermutations } from "./absorb.ts";
import { alignToReductions } from "./align.ts";
import type { Buffers, Handle } from "./buffers.ts";
import { buildKernel, type Storage } from "./build.ts";
import { decideFused, decideUnfused } from "./decide.ts";
import { exchanges, type Move } from "./exchange.ts";
import { frameKernel } from "./frame.ts";
import { buildHostCall, buildLibrary } from "./library.ts";
import { mergeUnits } from "./merge.ts";
import { buildModel, type GraphModel, infoOf, isLeaf } from "./model.ts";
import { pathsOf } from "./provenance.ts";
import { type OrderedStep, planSteps } from "./steps.ts";
import { LevelBuffers, type Outlet } from "./storage.ts";
import { makeTemplates } from "./template.ts";
import { startUnits, type Unit, unitName, unitNodes } from "./units.ts";

export interface LevelInput {
  readonly graph: Graph;
  /** By value: the buffers of the parameters. */
  readonly params: ReadonlyMap<number, Handle>;
  readonly outlets: readonly Outlet[];
  /** The graph is the body of a loop. */
  readonly loop?: boolean;
}

/** What the unit of an op with regions becomes. */
export interface RegionPlan {
  /** The graphs inside, with what they are called. */
  readonly levels: readonly (readonly [string, LevelPlan])[];
  steps(build: (level: LevelPlan) => readonly NestStep[], idOf: (handle: Handle) => BufferId): readonly NestStep[];
}

export interface LevelPlan {
  readonly model: GraphModel;
  readonly units: readonly Unit[];
  readonly storage: ReadonlyMap<number, Storage>;
  readonly order: readonly OrderedStep[];
  /** Copies for the loop to make before it starts. */
  readonly before: readonly Move[];
  /** Exchanges of memory at the end. */
  readonly swaps: readonly (readonly [Handle, Handle])[];
  readonly regions: ReadonlyMap<number, RegionPlan>;
  readonly notes: () => readonly FusionNote[];
}

/** How regions are planned; handed down, since regions hold levels and levels hold regions. */
export interface RegionPlanner {
  /** A loop, before its buffers are known. */
  loop(model: GraphModel, unit: Unit): LoopDraft;
  branches(model: GraphModel, unit: Unit, memory: Memory): RegionPlan;
}
/** A loop whose body is planned. */
export interface LoopDraft {
  /** Results whose buffers change places with others as it runs. */
  readonly floats: ReadonlySet<number>;
  /** Says where its operands and results are. */
  bind(memory: (value: number) => Handle): RegionPlan;
}
/** Where the values around a region are. */
export interface Memory {
  of(value: number): Handle;
  /** The operand whose memory a result takes over, and whether that may change places with other memory. */
  over(result: number): { readonly operand: number; readonly exchange: boolean } | undefined;
  isFixed(result: number): boolean;
}

/** Whether kernels may hold several operations, and how many buffers they may touch then. */
export interface Fusing {
  readonly fuse: boolean;
  readonly most: number;
}

export function planLevel(
  { graph, params, outlets, loop = false }: LevelInput,
  buffers: Buffers,
  { fuse, most }: Fusing,
  regions: RegionPlanner,
): LevelPlan {
  const model = absorbPermutations(buildModel(graph));
  const { materialised, notes } = fuse ? decideFused(model, replacedBy(outlets)) : decideUnfused(model);
  const templates = makeTemplates(model, materialised);
  if (fuse) alignToReductions(model, templates);
  const singles = startUnits([...templates.values()]);
  const { units, notes: mergeNotes } = fuse ? mergeUnits(model, singles, most) : { units: singles, notes: () => [] };
  const table = new LevelBuffers(buffers, model, params);
  const drafts = new Map<number, LoopDraft>();
  const owner = new Map<number, LoopDraft>();
  units.forEach((unit, u) => {
    if (unit.templates[0]!.kind !== "control" || isBranch(model, unit)) return;
    const draft = regions.loop(model, unit);
    drafts.set(u, draft);
    for (const { id } of unit.templates) owner.set(id, draft);
  });
  const floats = (id: number): boolean => owner.get(id)?.floats.has(infoOf(model, id).result) ?? false;
  const { storage, order, moves, over, fixed, before } = planSteps(model, units, table, { outlets, loop, floats });
  const memory: Memory = {
    of: (value) => (isLeaf(infoOf(model, value)) ? table.leaf(value) : storage.get(value)!.read!),
    over: (result) => over.get(result),
    isFixed: (result) => fixed.has(result),
  };
  const planned = new Map<number, RegionPlan>();
  units.forEach((unit, u) => {
    if (unit.templates[0]!.kind !== "control") return;
    planned.set(u, drafts.get(u)?.bind(memory.of) ?? regions.branches(model, unit, memory));
  });
  return {
    model,
    units,
    storage,
    order,
    before,
    swaps: exchanges(moves),
    regions: planned,
    notes: () => [...notes(), ...mergeNotes(), ...[...planned].flatMap(([u, r]) => innerNotes(model, units[u]!, r))],
  };
}

function replacedBy(outlets: readonly Outlet[]): Set<number> {
  return new Set(outlets.flatMap(({ replaces }) => replaces ?? []));
}

function isBranch(model: GraphModel, unit: Unit): boolean {
  const { rule } = infoOf(model, unit.templates[0]!.id);
  return rule?.kind === "control" && rule.form === "cond";
}

function innerNotes(model: GraphModel, unit: Unit, { levels }: RegionPlan): FusionNote[] {
  const { label } = infoOf(model, unit.templates[0]!.id);
  return levels.flatMap(([name, level]) =>
    level.notes().map((note) => ({
      ...note,
      producer: `${label} ${name}: ${note.producer}`,
      consumer: `${label} ${name}: ${note.consumer}`,
    })),
  );
}

/** Every buffer that some step of the level or of its regions exchanges for another. */
export function exchanged(level: LevelPlan, buffers: Buffers): Set<Handle> {
  const out = new Set<Handle>();
  const visit = ({ swaps, regions }: LevelPlan): void => {
    for (const pair of swaps) for (const handle of pair) out.add(buffers.find(handle));
    for (const region of regions.values()) for (const [, inner] of region.levels) visit(inner);
  };
  visit(level);
  return out;
}

/** The steps of a level, once all buffers have their numbers. `outer`: where the level is, for names of kernels. */
export function buildLevel(
  level: LevelPlan,
  idOf: (handle: Handle) => BufferId,
  outer?: { readonly name: string; readonly counter: { next: number } },
): NestStep[] {
  const { model, units, storage, order, swaps, regions } = level;
  const storageOf = (id: number): Storage => {
    const leaf = storage.get(id);
    if (leaf === undefined) throw new Error(`value %${id} has no storage`);
    const { targets, read, row } = leaf;
    return { targets: targets.map(idOf), read: read === undefined ? undefined : idOf(read), row };
  };
  const numbered = (position: number): string =>
    outer === undefined ? `k${position}` : `${outer.name}.${outer.counter.next++}`;
  const out: NestStep[] = [];
  order.forEach((item, position) => {
    if (item.kind === "copy") {
      const [from, to] = [idOf(item.from), idOf(item.to)];
      // What a loop starts from may be in its place already.
      if (from === to) return;
      if (item.frame === undefined) {
        out.push({ kind: "copy", from, to });
        return;
      }
      const kernel = frameKernel(`${numbered(position)}_frame`, from, to, item.frame);
      if (kernel !== undefined) out.push({ kind: "kernel", kernel, nodes: pathsOf(model.graph, [item.frame.node]) });
      return;
    }
    const unit = units[item.unit]!;
    const number = numbered(position);
    const region = regions.get(item.unit);
    if (region !== undefined) {
      const counter = { next: 0 };
      out.push(...region.steps((inner) => buildLevel(inner, idOf, { name: number, counter }), idOf));
      return;
    }
    const name = unitName(model, unit, number);
    const first = unit.templates[0]!;
    if (first.kind === "host") {
      out.push({
        kind: "host",
        ...buildHostCall(infoOf(model, first.id), unit, storageOf),
        nodes: unitNodes(model, unit),
      });
      return;
    }
    const kernel =
      first.kind === "library"
        ? buildLibrary(name, infoOf(model, first.id), unit, storageOf)
        : buildKernel(name, unit.formed, storageOf);
    out.push({ kind: "kernel", kernel, nodes: unitNodes(model, unit) });
  });
  for (const [a, b] of swaps) out.push({ kind: "swap", a: idOf(a), b: idOf(b) });
  return out;
}
