/**
 * Loops inside a payload. The lanes of a vector go round together, for as long as one of them is not done; a mask says
 * which still are, and only results are kept where a lane is done. Several vectors share one loop, so that the chains of
 * dependent operations, which are all that a small body is, overlap.
 */
import type { Axis, LoopExpr, LoopVar, ScalarExpr } from "../index.ts";
import { isFloat, loop, openLoops, scalarChildren, visitScalar } from "../index.ts";
import { nodeMentions } from "./flat.ts";
import { type Place, vectorLanes } from "./lanes.ts";
import type { Levels } from "./levels.ts";

export type LoopNode = ScalarExpr & { readonly kind: "loop" };
type LoopVarNode = ScalarExpr & { readonly kind: "loopVar" };

/** What loops ask of the payload that they are part of. */
export interface LoopHost {
  readonly levels: Levels;
  readonly vector: Axis | undefined;
  readonly lanes: number;
  value(node: ScalarExpr, place: Place): LoopExpr;
  /** Whether a value differs between the lanes. */
  varies(node: ScalarExpr): boolean;
  /** The level of the innermost loop that a value depends on. */
  level(node: ScalarExpr): number;
  /** Under which name the value at a place is bound. */
  key(node: ScalarExpr, place: Place): string;
}

/** What is known of one loop, whichever of its results is asked for. */
interface Group {
  /** Some node of the group. */
  readonly node: LoopNode;
  readonly results: Map<number, LoopNode>;
  /** Filled in when first asked for: whether lanes differ at all, and the slots that have one value for all of them. */
  shape?: { readonly varies: boolean; readonly uniform: ReadonlySet<number> };
}

/** A loop whose rounds are being written: its locals, by place and slot, or one for all places. */
interface OpenLoop {
  readonly level: number;
  readonly slots: readonly (readonly (LoopVar | undefined)[])[];
  /** The lanes that go on, by copy. */
  readonly masks: readonly (LoopExpr | undefined)[];
}

export class PayloadLoops {
  private readonly host: LoopHost;
  private readonly groups = new Map<string, Group>();
  private readonly byId = new Map<number, Group[]>();
  private readonly open = new Map<number, OpenLoop>();
  /** Levels that open loops have put on top of those of the nest. */
  private scopes = 0;

  constructor(host: LoopHost) {
    this.host = host;
  }

  /** Takes note of a node; false where another result of the same loop was there before. */
  add(node: LoopNode): boolean {
    const known = this.groups.get(node.group);
    if (known !== undefined) {
      known.results.set(node.result, node);
      return false;
    }
    const group: Group = { node, results: new Map([[node.result, node]]) };
    this.groups.set(node.group, group);
    const same = this.byId.get(node.loopId);
    if (same === undefined) this.byId.set(node.loopId, [group]);
    else same.push(group);
    return true;
  }

  /** The innermost level that belongs to the nest. */
  get surface(): number {
    return this.host.levels.innermost - this.scopes;
  }

  /** The level of what uses variables of these loops, which are open. */
  levelOf(ids: readonly number[]): number {
    return Math.max(...ids.map((id) => this.opened(id).level));
  }

  private opened(id: number): OpenLoop {
    const found = this.open.get(id);
    if (found === undefined) throw new Error("a variable of a payload loop is used outside it");
    return found;
  }

  variable(node: LoopVarNode, copy: number): LoopExpr {
    const { slots } = this.opened(node.loopId);
    const local = (slots[copy] ?? slots[0]!)[node.slot] ?? slots[0]![node.slot];
    if (local === undefined) throw new Error("a slot of a payload loop is used that the loop does not carry");
    return loop.use(local);
  }

  /** Whether a slot or a loop differs between the lanes. */
  varies(node: LoopNode | LoopVarNode): boolean {
    if (node.kind === "loop") return this.shapeOf(this.groups.get(node.group)!).varies;
    return this.byId.get(node.loopId)!.some((group) => {
      const { varies, uniform } = this.shapeOf(group);
      return varies && !uniform.has(node.slot);
    });
  }

  private shapeOf(group: Group): NonNullable<Group["shape"]> {
    if (group.shape !== undefined) return group.shape;
    const { node, results } = group;
    const all = new Set(node.init.keys());
    const settles = (slots: ReadonlySet<number>): ReadonlySet<number> => {
      const kept = [...slots].filter(
        (slot) => !this.host.varies(node.init[slot]!) && this.isUniform(node, node.next[slot]!, slots),
      );
      return kept.length === slots.size ? slots : settles(new Set(kept));
    };
    const varies =
      this.host.vector !== undefined && (settles(all).size < all.size || !this.isUniform(node, node.test, all));
    // A result stands still where its lane is done, however alike the rounds are.
    const uniform = varies ? settles(new Set([...all].filter((slot) => !results.has(slot)))) : all;
    group.shape = { varies, uniform };
    return group.shape;
  }

  /** Whether a value inside a loop is the same on all lanes, given the slots that are. */
  private isUniform(of: LoopNode, node: ScalarExpr, slots: ReadonlySet<number>): boolean {
    const known = new Map<ScalarExpr, boolean>();
    const go = (e: ScalarExpr): boolean => {
      if (e.kind === "loopVar" && e.loopId === of.loopId) return slots.has(e.slot);
      if (!openLoops(e).includes(of.loopId)) return !this.host.varies(e);
      let found = known.get(e);
      if (found === undefined) {
        const { vector } = this.host;
        found = e.kind !== "loop" && !(vector !== undefined && nodeMentions(e, vector)) && scalarChildren(e).every(go);
        known.set(e, found);
      }
      return found;
    };
    return go(node);
  }

  /** The slots that results and the test depend on. */
  private neededSlots({ node, results }: Group): ReadonlySet<number> {
    const needed = new Set<number>();
    const seen = new Set<ScalarExpr>();
    const from = (root: ScalarExpr): void =>
      visitScalar(
        root,
        (e) => {
          if (e.kind === "loopVar" && e.loopId === node.loopId) need(e.slot);
        },
        seen,
      );
    const need = (slot: number): void => {
      if (needed.has(slot)) return;
      needed.add(slot);
      from(node.next[slot]!);
    };
    from(node.test);
    for (const slot of results.keys()) need(slot);
    return needed;
  }

  /** Runs the loops that some values consist of, for all places together. */
  runAll(roots: readonly ScalarExpr[], places: readonly Place[]): void {
    const seen = new Set<ScalarExpr>();
    const waits = (node: ScalarExpr): boolean => openLoops(node).some((id) => !this.open.has(id));
    for (const root of roots)
      visitScalar(
        root,
        (node) => {
          if (node.kind === "loop" && !waits(node)) this.run(node, places);
        },
        seen,
      );
  }

  /** The value of a loop at the first of these places; it is bound at all of them. */
  run(node: LoopNode, places: readonly Place[]): LoopExpr {
    const { host } = this;
    const find = (): LoopExpr | undefined => host.levels.find(host.key(node, places[0]!));
    const known = find();
    if (known !== undefined) return known;
    const group = this.groups.get(node.group)!;
    const level = host.level(node);
    const together = this.shapeOf(group).varies ? places : places.slice(0, 1);
    host.levels.at(level, () => this.emit(group, together, level));
    return find()!;
  }

  private emit(group: Group, places: readonly Place[], level: number): void {
    const { host } = this;
    const { func } = host.levels;
    const { node, results } = group;
    const { varies, uniform } = this.shapeOf(group);
    const lanes = varies ? host.lanes : 1;
    const needed = [...this.neededSlots(group)].sort((a, b) => a - b);
    const shared = (slot: number): boolean => lanes === 1 || uniform.has(slot);
    const value = (e: ScalarExpr, place: Place, wide: boolean): LoopExpr =>
      loop.splat(host.value(e, place), wide ? lanes : 1);

    // The first place also holds what all of them share.
    const slots: (LoopVar | undefined)[][] = [];
    for (const [i, place] of places.entries()) {
      const mine: (LoopVar | undefined)[] = [];
      for (const slot of needed)
        if (i === 0 || !shared(slot))
          mine[slot] = func.local(`slot${slot}`, value(node.init[slot]!, place, !shared(slot)));
      slots[place.copy] = mine;
    }
    if (slots[0] === undefined) slots[0] = slots[places[0]!.copy]!;
    const masks = places.map((place) => (lanes === 1 ? undefined : func.local("alive", this.startMask(node, place))));
    const going = func.local("going", loop.bool(true));
    const rounds = node.limit === Infinity ? undefined : func.local("rounds", loop.i32(0));

    func.while(loop.use(going), () =>
      this.inside(node.loopId, slots, places, masks, () => {
        const conditions = conjuncts(node.test);
        const common = conditions.filter((c) => lanes === 1 || this.isUniform(node, c, uniform));
        const own = conditions.filter((c) => !common.includes(c));
        let test = common.map((c) => value(c, places[0]!, false)).reduce(both, loop.bool(true));
        if (rounds !== undefined) test = both(test, loop.lt(loop.use(rounds), loop.i32(node.limit)));
        const alive = places.map((place, i) => {
          if (masks[i] === undefined) return undefined;
          const tests = own.map((c) => value(c, place, true));
          return func.let(
            "on",
            tests.reduce((a, b) => loop.and(a, b), loop.use(masks[i])),
          );
        });
        const some = alive.filter((mask) => mask !== undefined);
        if (some.length > 0) test = both(test, loop.any(some.reduce((a, b) => loop.op("or", a, b))));
        func.assign(going, test);
        func.if(loop.use(going), () =>
          this.inside(node.loopId, slots, places, alive, () => {
            const assigns: (() => void)[] = [];
            this.runAll(
              needed.map((slot) => node.next[slot]!),
              places,
            );
            for (const [i, place] of places.entries())
              for (const slot of needed) {
                const local = slots[place.copy]![slot];
                if (local === undefined || (i > 0 && shared(slot))) continue;
                const kept = results.has(slot) ? alive[i] : undefined;
                const next = func.let("next", this.next(node, slot, place, lanes, shared(slot), local, kept));
                assigns.push(() => func.assign(local, next));
              }
            for (const assign of assigns) assign();
            for (const [i, mask] of masks.entries()) if (mask !== undefined) func.assign(mask, alive[i]!);
            if (rounds !== undefined) func.assign(rounds, loop.add(loop.use(rounds), loop.i32(1)));
          }),
        );
      }),
    );

    for (const place of places)
      for (const [slot, result] of results) {
        const local = slots[place.copy]![slot] ?? slots[0]![slot]!;
        host.levels.bind(level, host.key(result, place), "result", loop.use(local));
      }
  }

  /** What a slot becomes: its next value, or where `kept` is given that on lanes that go on alone. */
  private next(
    node: LoopNode,
    slot: number,
    place: Place,
    lanes: number,
    shared: boolean,
    local: LoopVar,
    kept: LoopExpr | undefined,
  ): LoopExpr {
    const value = (e: ScalarExpr): LoopExpr => loop.splat(this.host.value(e, place), shared ? 1 : lanes);
    const next = node.next[slot]!;
    if (kept === undefined) return value(next);
    const old = loop.use(local);
    const step = stepOf(next, node.loopId, slot);
    // Where a lane is done it counts on by nothing: a mask is cheaper than a choice.
    if (step !== undefined)
      return loop.op("add", old, loop.select(kept, value(step), loop.constant(step.dtype, 0, lanes)));
    return loop.select(kept, value(next), old);
  }

  /** The lanes that hold points, and go on in the loop around. */
  private startMask(node: LoopNode, place: Place): LoopExpr {
    let mask: LoopExpr = loop.constant("bool", 1, vectorLanes);
    if (place.active < vectorLanes)
      mask = loop.pack(...Array.from({ length: vectorLanes }, (_, l) => loop.bool(l < place.active)));
    for (const id of openLoops(node)) {
      const around = this.opened(id).masks[place.copy];
      if (around !== undefined) mask = place.active < vectorLanes ? loop.and(mask, around) : around;
    }
    return mask;
  }

  /** Writes part of a round, in a level of its own. */
  private inside(
    id: number,
    slots: OpenLoop["slots"],
    places: readonly Place[],
    masks: readonly (LoopVar | LoopExpr | undefined)[],
    body: () => void,
  ): void {
    const { levels } = this.host;
    const byCopy: (LoopExpr | undefined)[] = [];
    for (const [i, place] of places.entries()) {
      const mask = masks[i];
      byCopy[place.copy] = mask === undefined || "kind" in mask ? mask : loop.use(mask);
    }
    const outer = this.open.get(id);
    levels.scope(() => {
      this.scopes++;
      this.open.set(id, { level: levels.innermost, slots, masks: byCopy });
      body();
      this.scopes--;
    });
    if (outer === undefined) this.open.delete(id);
    else this.open.set(id, outer);
  }
}

/** The parts of a test that must all hold. */
function conjuncts(test: ScalarExpr): ScalarExpr[] {
  return test.kind === "op" && test.op === "and" ? test.args.flatMap(conjuncts) : [test];
}

/** What an integer slot grows by in each round, where it is no more than that. */
function stepOf(next: ScalarExpr, loopId: number, slot: number): ScalarExpr | undefined {
  if (next.kind !== "op" || next.op !== "add" || isFloat(next.dtype)) return undefined;
  const own = (e: ScalarExpr): boolean => e.kind === "loopVar" && e.loopId === loopId && e.slot === slot;
  const [a, b] = next.args as readonly [ScalarExpr, ScalarExpr];
  return own(a) ? b : own(b) ? a : undefined;
}

function both(a: LoopExpr, b: LoopExpr): LoopExpr {
  if (loop.constValue(a) === 1) return b;
  return loop.constValue(b) === 1 ? a : loop.and(a, b);
}
