/**
 * ScalarExpr to LoopExpr: the payload of a nest at one point, or at `lanes` neighbouring points of the vector axis.
 * Positions become element offsets summed from the outermost loop inwards, so that invariant parts are computed once.
 */
import type {
  Atom,
  Axis,
  BufferId,
  Dim,
  IndexExpr,
  LoopExpr,
  LoopOp,
  LoopPointer,
  LoopVar,
  Range,
  ScalarExpr,
} from "../index.ts";
import { indexConst, loop, openLoops, ownIndices, scalarChildren, symIndex, toIndex, visitScalar } from "../index.ts";
import { mentions, nodeMentions, strideOf } from "./flat.ts";
import { firstPlace, type Place, vectorLanes } from "./lanes.ts";
import type { Levels } from "./levels.ts";
import { type LoopHost, PayloadLoops } from "./payload-loops.ts";

/** What a payload needs to know of the kernel around it. */
export interface KernelMemory {
  pointer(buffer: BufferId): LoopPointer;
  /** A scalar of one row, kept in a local. */
  local(buffer: BufferId): LoopVar | undefined;
  /** Elements of a buffer. */
  size(buffer: BufferId): Dim;
  /** Whether the kernel writes the buffer before other nests read it: such reads stay inside the outer loops. */
  isRow(buffer: BufferId): boolean;
}

/** The value of an accumulator's component or of a carry, at an unrolled copy. */
export type ResultOf = (node: ScalarExpr & { kind: "acc" | "carry" }, copy: number) => LoopExpr;

export class Payload implements LoopHost {
  readonly levels: Levels;
  readonly vector: Axis | undefined;
  private readonly memory: KernelMemory;
  private readonly rowLevel: number;
  private readonly uses = new Map<ScalarExpr, number>();
  private readonly depths = new Map<ScalarExpr, number>();
  private readonly varying = new Map<ScalarExpr, boolean>();
  /** Nodes that depend on accumulators or carries: their value changes without their key changing. */
  private readonly results = new Set<ScalarExpr>();
  private resultOf: ResultOf | undefined;
  private epoch = 0;
  private readonly loops: PayloadLoops;
  /** Whether there are any. */
  private hasLoops = false;

  constructor(
    levels: Levels,
    memory: KernelMemory,
    roots: readonly ScalarExpr[],
    vector: Axis | undefined,
    rowLevel: number,
  ) {
    this.levels = levels;
    this.memory = memory;
    this.vector = vector;
    this.rowLevel = rowLevel;
    this.loops = new PayloadLoops(this);
    const seen = new Set<ScalarExpr>();
    const count = (node: ScalarExpr): void => void this.uses.set(node, (this.uses.get(node) ?? 0) + 1);
    for (const root of roots) {
      count(root);
      visitScalar(
        root,
        (node) => {
          const children = scalarChildren(node);
          if (node.kind === "loop") this.hasLoops = true;
          // The results of one loop are computed together, so what it consists of is used once.
          if (node.kind !== "loop" || this.loops.add(node)) children.forEach(count);
          if (node.kind === "acc" || node.kind === "carry" || children.some((c) => this.results.has(c)))
            this.results.add(node);
        },
        seen,
      );
    }
  }

  /** From now on accumulators and carries have these values. */
  setResults(resultOf: ResultOf): void {
    this.resultOf = resultOf;
    this.epoch = this.levels.newEpoch();
  }

  /** Runs the loops inside some values for all places together; without it each place has loops of its own. */
  runLoops(roots: readonly ScalarExpr[], places: readonly Place[]): void {
    if (this.hasLoops) this.loops.runAll(roots, places);
  }

  get lanes(): number {
    return this.vector ? vectorLanes : 1;
  }

  /** The value of a node at a place; as many lanes as the payload has where it varies along the vector, else one. */
  value(node: ScalarExpr, place: Place = firstPlace): LoopExpr {
    if (node.kind === "const") return loop.constant(node.dtype, node.value);
    if (node.kind === "acc" || node.kind === "carry") {
      if (this.resultOf === undefined) throw new Error("an accumulator is used before it is complete");
      return this.resultOf(node, place.copy);
    }
    if (node.kind === "loopVar") return this.loops.variable(node, place.copy);
    const key = this.key(node, place);
    const known = this.levels.find(key);
    if (known) return known;
    if (node.kind === "loop") return this.loops.run(node, [place]);
    const made = this.make(node, place);
    const level = this.level(node);
    const inline = level === this.levels.innermost && node.kind === "op" && this.uses.get(node) === 1;
    return inline ? made : this.levels.bind(level, key, node.kind === "op" ? node.op : node.kind, made);
  }

  /** What the value of a node at a place is bound to. */
  key(node: ScalarExpr, place: Place): string {
    const result = this.results.has(node);
    const where = result || this.varies(node) ? `@${place.copy}.${place.active}` : "";
    return `${node.key}${where}${result ? `#${this.epoch}` : ""}`;
  }

  /** Like `value`, on all lanes. */
  wide(node: ScalarExpr, place: Place = firstPlace): LoopExpr {
    return loop.splat(this.value(node, place), this.lanes);
  }

  /** An element offset as a one-lane i32, at a lane of a place. */
  offset(index: IndexExpr, place: Place = firstPlace, lane = 0): LoopExpr {
    const terms = index.terms.map((term) => ({ term, level: this.atomLevel(term.atom) }));
    terms.sort((a, b) => a.level - b.level);
    let sum = loop.i32(0);
    let key = "";
    let varies = false;
    for (const [i, { term, level }] of terms.entries()) {
      const atom = this.atom(term.atom, place, lane);
      sum = loop.add(sum, loop.mul(atom, loop.i32(term.coef)));
      key += `${term.coef}*${term.atom.key}+`;
      // The lane belongs to the name of every sum that an atom of this lane has gone into, not of that atom's alone.
      varies ||= this.vector !== undefined && mentionsVector(term.atom, this.vector);
      const next = terms[i + 1];
      if (level < this.levels.innermost && (next === undefined || next.level > level)) {
        const name = `${key}${varies ? `@${place.copy}.${lane}` : ""}`;
        sum = this.levels.find(name) ?? this.levels.bind(level, name, "at", sum);
      }
    }
    return loop.add(sum, loop.i32(index.constant));
  }

  /** An index as a value on all lanes. */
  private indexValue(index: IndexExpr, place: Place): LoopExpr {
    const stride = this.vector ? strideOf(index, this.vector) : 0;
    if (stride === 0) return this.offset(index, place);
    if (stride === undefined) return loop.pack(...this.eachLane(place, (lane) => this.offset(index, place, lane)));
    const base = this.offset(index, place);
    if (stride === 1) return loop.ramp(base, vectorLanes);
    const steps = loop.mul(loop.ramp(loop.i32(0), vectorLanes), loop.constant("i32", stride, vectorLanes));
    return loop.add(steps, loop.splat(base, vectorLanes));
  }

  /** Whether all ranges hold: a bool of one lane, or of all where it varies. */
  guard(ranges: readonly Range[], place: Place = firstPlace): LoopExpr {
    const varying =
      this.vector !== undefined &&
      ranges.some((r) => mentions(r.index, this.vector!) || dynVaries(r.index, this.vector!));
    const lanes = varying ? vectorLanes : 1;
    if (!varying) return this.evenGuard(ranges, place);
    let all: LoopExpr | undefined;
    for (const range of ranges) {
      const [lo, hi] = [toIndex(range.lo), toIndex(range.hi)];
      const at = loop.splat(this.indexValue(range.index, place), lanes);
      if (range.index.lo < lo.hi) all = conjoin(all, loop.ge(at, this.bound(range.lo, lanes)));
      if (range.index.hi >= hi.lo) all = conjoin(all, loop.lt(at, this.bound(range.hi, lanes)));
    }
    return all ?? loop.bool(true);
  }

  /** A guard that is the same for all lanes: what outer loops decide of it is decided there. */
  private evenGuard(ranges: readonly Range[], place: Place): LoopExpr {
    const levelled = ranges.map((range) => ({ range, level: this.indexLevel(range.index) }));
    levelled.sort((a, b) => a.level - b.level);
    let all: LoopExpr | undefined;
    let key = "inside ";
    for (const [i, { range, level }] of levelled.entries()) {
      const [lo, hi] = [toIndex(range.lo), toIndex(range.hi)];
      const at = this.offset(range.index, place);
      if (range.index.lo < lo.hi) all = conjoin(all, loop.ge(at, this.bound(range.lo, 1)));
      if (range.index.hi >= hi.lo) all = conjoin(all, loop.lt(at, this.bound(range.hi, 1)));
      key += `${lo.key}<=${range.index.key}<${hi.key}&`;
      const next = levelled[i + 1];
      if (all !== undefined && level < this.levels.innermost && (next === undefined || next.level > level))
        all = this.levels.find(key) ?? this.levels.bind(level, key, "inside", all);
    }
    return all ?? loop.bool(true);
  }

  private bound(dim: Dim, lanes: number): LoopExpr {
    if (typeof dim === "number") return loop.constant("i32", dim, lanes);
    return loop.splat(this.levels.size(dim), lanes);
  }

  private make(node: ScalarExpr, place: Place): LoopExpr {
    switch (node.kind) {
      case "index":
        return this.indexValue(node.index, place);
      case "read":
        return this.read(node, place);
      case "guard": {
        const mask = this.guard(node.guard, place);
        return selectWide(mask, this.value(node.value, place), this.value(node.otherwise, place));
      }
      case "op":
        return this.apply(node, place);
      default:
        throw new Error(`no value for ${node.kind}`);
    }
  }

  private apply(node: ScalarExpr & { kind: "op" }, place: Place): LoopExpr {
    const args = node.args.map((a) => this.value(a, place));
    if (node.op === "cast") return loop.cast(args[0]!, node.dtype);
    if (node.op === "bitcast") return loop.bitcast(args[0]!, node.dtype);
    return loop.op(node.op as LoopOp, ...args);
  }

  private read(node: ScalarExpr & { kind: "read" }, place: Place): LoopExpr {
    const local = this.memory.local(node.buffer);
    if (local && node.guard.length === 0) return loop.use(local);
    if (local) return selectWide(this.guard(node.guard, place), loop.use(local), loop.constant(node.dtype, node.fill));
    // An empty operand of a concatenation, say: no guard ever holds, and there is no element 0 to read instead.
    if (this.memory.size(node.buffer) === 0) return loop.constant(node.dtype, node.fill);
    const pointer = this.memory.pointer(node.buffer);
    const offset = node.index[0] ?? indexConst(0);
    const stride = this.vector ? this.strideThrough(offset) : 0;
    if (node.guard.length === 0) {
      if (stride === 0) return loop.load(pointer, this.offset(offset, place));
      if (stride === 1) return loop.load(pointer, this.offset(offset, place), vectorLanes, place.active);
      return this.packed(place, (lane) => loop.load(pointer, this.offset(offset, place, lane)), node.dtype);
    }
    // Where the guard fails the position may lie outside the buffer: element 0 is read instead, and replaced.
    const mask = this.guard(node.guard, place);
    const fill = loop.constant(node.dtype, node.fill);
    const safe = (allowed: LoopExpr, at: LoopExpr): LoopExpr => loop.select(allowed, at, loop.i32(0));
    if (stride === 0 && mask.type.lanes === 1)
      return loop.select(mask, loop.load(pointer, safe(mask, this.offset(offset, place))), fill);
    if (stride === 1 && mask.type.lanes === 1 && toIndex(this.memory.size(node.buffer)).lo >= vectorLanes) {
      const loaded = loop.load(pointer, safe(mask, this.offset(offset, place)), vectorLanes, place.active);
      return selectWide(mask, loaded, fill);
    }
    const bound = loop.splat(mask, this.lanes);
    const each = this.packed(
      place,
      (lane) => loop.load(pointer, safe(loop.lane(bound, lane), this.offset(offset, place, lane))),
      node.dtype,
    );
    return selectWide(bound, each, fill);
  }

  /** Stride along the vector axis; undefined also where data that varies along it decides. */
  private strideThrough(offset: IndexExpr): number | undefined {
    return strideOf(offset, this.vector!);
  }

  private packed(place: Place, load: (lane: number) => LoopExpr, dtype: ScalarExpr["dtype"]): LoopExpr {
    if (!this.vector) return load(0);
    const zero = loop.constant(dtype, 0);
    return loop.pack(...this.eachLane(place, load, zero));
  }

  private eachLane(place: Place, make: (lane: number) => LoopExpr, idle = loop.i32(0)): LoopExpr[] {
    return Array.from({ length: vectorLanes }, (_, lane) => (lane < place.active ? make(lane) : idle));
  }

  private atom(atom: Atom, place: Place, lane: number): LoopExpr {
    switch (atom.kind) {
      case "axis": {
        const { value } = this.levels.axis(atom.axis.id);
        return atom.axis.id === this.vector?.id ? loop.add(value, loop.i32(place.copy * vectorLanes + lane)) : value;
      }
      case "sym":
        return this.levels.size(symIndex(atom.sym));
      case "div":
        return loop.floorDiv(
          this.offset(atom.value, place, lane),
          this.offset(atom.by, place, lane),
          atom.value.lo >= 0,
        );
      case "mod":
        return loop.floorMod(
          this.offset(atom.value, place, lane),
          this.offset(atom.by, place, lane),
          atom.value.lo >= 0,
        );
      case "mul":
        return loop.mul(this.offset(atom.factors[0], place, lane), this.offset(atom.factors[1], place, lane));
      case "min":
        return loop.min(this.offset(atom.args[0], place, lane), this.offset(atom.args[1], place, lane));
      case "max":
        return loop.max(this.offset(atom.args[0], place, lane), this.offset(atom.args[1], place, lane));
      case "dyn":
        return loop.lane(this.value(atom.value, place), lane);
      default:
        return atom satisfies never;
    }
  }

  /** Whether a value differs between the lanes. */
  varies(node: ScalarExpr): boolean {
    let varies = this.varying.get(node);
    if (varies === undefined) {
      const { vector } = this;
      varies =
        vector !== undefined &&
        (node.kind === "loop" || node.kind === "loopVar"
          ? this.loops.varies(node)
          : nodeMentions(node, vector) || scalarChildren(node).some((child) => this.varies(child)));
      this.varying.set(node, varies);
    }
    return varies;
  }

  /** The innermost loop that a node depends on. */
  level(node: ScalarExpr): number {
    if (this.hasLoops) {
      const open = openLoops(node);
      if (open.length > 0) return this.loops.levelOf(open);
    }
    if (this.results.has(node)) return this.loops.surface;
    let level = this.depths.get(node);
    if (level === undefined) {
      level = 0;
      for (const child of scalarChildren(node)) level = Math.max(level, this.ownLevel(child, node));
      level = Math.max(level, this.positionLevel(node));
      this.depths.set(node, level);
    }
    return level;
  }

  /** The level of what a node consists of; of a loop, without what changes from round to round. */
  private ownLevel(child: ScalarExpr, of: ScalarExpr): number {
    if (of.kind !== "loop" || !openLoops(child).includes(of.loopId)) return this.level(child);
    let level = 0;
    visitScalar(child, (node) => {
      level = Math.max(level, openLoops(node).length === 0 ? this.level(node) : this.positionLevel(node));
    });
    return level;
  }

  /** The level of a node's own positions, its operands aside. */
  private positionLevel(node: ScalarExpr): number {
    let level = node.kind === "read" && this.memory.isRow(node.buffer) ? this.rowLevel : 0;
    for (const index of ownIndices(node)) level = Math.max(level, this.indexLevel(index));
    return level;
  }

  private indexLevel(index: IndexExpr): number {
    return index.terms.reduce((level, { atom }) => Math.max(level, this.atomLevel(atom)), 0);
  }

  private atomLevel(atom: Atom): number {
    switch (atom.kind) {
      case "axis":
        return this.levels.axis(atom.axis.id).level;
      case "div":
      case "mod":
        return Math.max(this.indexLevel(atom.value), this.indexLevel(toIndex(atom.by)));
      case "mul":
        return Math.max(...atom.factors.map((f) => this.indexLevel(f)));
      case "min":
      case "max":
        return Math.max(...atom.args.map((f) => this.indexLevel(f)));
      case "dyn":
        return this.level(atom.value);
      case "sym":
        return 0;
      default:
        return atom satisfies never;
    }
  }
}

function conjoin(a: LoopExpr | undefined, b: LoopExpr): LoopExpr {
  return a === undefined ? b : loop.and(a, b);
}

/** select on as many lanes as its widest operand. */
function selectWide(mask: LoopExpr, a: LoopExpr, b: LoopExpr): LoopExpr {
  const lanes = Math.max(mask.type.lanes, a.type.lanes, b.type.lanes);
  return loop.select(loop.splat(mask, lanes), loop.splat(a, lanes), loop.splat(b, lanes));
}

function mentionsVector(atom: Atom, vector: Axis): boolean {
  const alone: IndexExpr = { constant: 0, terms: [{ coef: 1, atom }], key: atom.key, lo: atom.lo, hi: atom.hi };
  return mentions(alone, vector) || dynVaries(alone, vector);
}

function dynVaries(index: IndexExpr, vector: Axis): boolean {
  return strideOf(index, vector) === undefined;
}
