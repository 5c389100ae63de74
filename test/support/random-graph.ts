// Random typed graphs out of the op registry's samplers, and what tests need around them: arguments that fit, and
// shrinking of a failing case by dropping nodes.
import {
  allOps,
  Builder,
  dtypes,
  type Graph,
  type GraphResult,
  type HostTensor,
  inlineGraph,
  isFloat,
  type OpDef,
  printGraph,
  type Rng,
  roundTo,
  type SampledOp,
  type SampledOperand,
  sameType,
  staticDim,
  type TensorType,
  tensorType,
  typeOf,
  type Value,
} from "../../packages/ir/src/index.ts";
import { forOtherBackend, onWasmAlone } from "./asked-checks.ts";
import { randomTensor, seededRng, withoutF64 } from "./random.ts";
import { shrinkCase } from "./shrink-case.ts";

/** A graph and arguments for all its parameters. */
export interface GraphCase {
  readonly graph: Graph;
  readonly args: readonly HostTensor[];
}

export interface RandomGraphOptions {
  /** How many ops to draw; adapting operands adds some. */
  readonly size?: number;
  /** Which ops may be drawn; effects never are. */
  readonly accept?: (def: OpDef) => boolean;
  /** Also make calls, branches and loops. Off by default. */
  readonly regions?: boolean;
  /** Fold and merge while building. Off by default, so that there is something to simplify. */
  readonly simplify?: boolean;
  /** Bring operands into range by ops that give the same bits everywhere. Off by default: clamping makes many equal values. */
  readonly exact?: boolean;
}

const maxElements = 3000;

/** Whether the generator can draw an op: its sampler describes all of it. */
export function isSampled(def: OpDef): boolean {
  return def.groups.length === 0 && !def.effect;
}

export function randomGraph(rng: Rng, options: RandomGraphOptions = {}): GraphCase {
  const ops = allOps.filter((def) => isSampled(def) && (options.accept?.(def) ?? true));
  const b = new Builder("random", { raw: options.simplify !== true });
  const maker = new GraphMaker(rng, b, undefined, options.exact);
  const first = rng.shape(1, 3);
  for (const dtype of rng.bool() ? (["f32"] as const) : (["f32", rng.pick(dtypes)] as const))
    maker.param({
      type: tensorType(dtype, first),
      lo: dtype === "u32" || dtype === "bool" ? 0 : -4,
      hi: dtype === "bool" ? 1 : 4,
    });
  for (let i = 0; i < (options.size ?? 8); i++) {
    if (options.regions === true && rng.int(0, 5) === 0) maker.addRegion(ops);
    else maker.add(rng.pick(ops));
  }
  return { graph: b.finish(maker.results()), args: maker.args };
}

class GraphMaker {
  readonly args: HostTensor[] = [];
  private readonly rng: Rng;
  private readonly b: Builder;
  private readonly pool: Value[] = [];
  private readonly used = new Set<Value>();
  private readonly states: { readonly param: number; readonly value: Value }[] = [];

  /** Draws shapes that exist already more often than not: otherwise hardly any op would take what another made. */
  private readonly samplerRng: Rng;
  /** A region's parameters are given: where another value is needed it is a constant. */
  private readonly closed: boolean;

  private readonly exact: boolean;

  constructor(rng: Rng, b: Builder, given?: readonly Value[], exact = false) {
    this.rng = rng;
    this.exact = exact;
    this.b = b;
    this.closed = given !== undefined;
    this.pool.push(...(given ?? []));
    this.samplerRng = {
      ...rng,
      shape: (minRank, maxRank) => {
        const known = this.pool
          .map(shapeOf)
          .filter((s) => s.length >= Math.max(1, minRank) && s.length <= maxRank && !s.includes(0));
        return known.length > 0 && rng.int(0, 3) > 0 ? [...rng.pick(known)] : rng.shape(minRank, maxRank);
      },
    };
  }

  add(def: OpDef): void {
    const made = this.addOne(def);
    // Updates come in chains, each of the one before.
    if (def.nest.kind === "update" && made !== undefined)
      for (let base: Value | undefined = made; base !== undefined && this.rng.bool(); )
        base = this.addUpdate(def, base);
  }

  /** Updates `base`, where a few draws give something that fits. */
  private addUpdate(def: OpDef, base: Value): Value | undefined {
    const rng: Rng = { ...this.rng, shape: () => [...shapeOf(base)] };
    for (let i = 0; i < 12; i++) {
      const sample = def.sample(rng) as SampledOp<Record<string, never>>;
      const [first, ...others] = sample.operands;
      if (!sameType(first!.type, base.type)) continue;
      const operands = [base, ...others.map((operand) => this.operand(operand))];
      for (const v of operands) this.used.add(v);
      return this.emit(def, operands, sample.attrs);
    }
    return undefined;
  }

  private addOne(def: OpDef): Value | undefined {
    // Of a few samples, the one that can take most from what is there.
    let best: SampledOp<Record<string, never>> | undefined;
    let bestScore = -1;
    for (let i = 0; i < 3; i++) {
      const sample = def.sample(this.samplerRng) as SampledOp<Record<string, never>>;
      let score = 0;
      for (const operand of sample.operands) {
        const fitting = this.matching(operand);
        if (fitting.length > 0) score += fitting.some((v) => sameType(v.type, operand.type)) ? 2 : 1;
      }
      if (score > bestScore) [best, bestScore] = [sample, score];
    }
    const operands = best!.operands.map((operand) => this.operand(operand));
    for (const v of operands) this.used.add(v);
    return this.emit(def, operands, best!.attrs);
  }

  /** The first result. */
  private emit(
    def: OpDef,
    operands: readonly Value[],
    attrs: SampledOp<Record<string, never>>["attrs"],
  ): Value | undefined {
    const results = this.b.emitNode(def.name, operands, attrs);
    for (const result of results) if (elements(result) <= maxElements) this.pool.push(result);
    return results[0];
  }

  /** A call, a branch or a loop on values that are there. */
  addRegion(ops: readonly OpDef[]): void {
    const { b, rng } = this;
    const captures = [rng.pick(this.pool), rng.pick(this.pool)];
    const carry = rng.pick(this.pool);
    const types = captures.map(typeOf);
    const region = (name: string, params: readonly TensorType[], results: readonly TensorType[]): Graph =>
      randomRegion(rng, ops, name, params, results, this.exact);
    const kind = rng.pick(["call", "cond", "while", "scan"] as const);
    for (const v of [...captures, carry]) this.used.add(v);
    let results: readonly Value[];
    if (kind === "call") results = b.emitRegion("call", { args: captures }, {}, [region("callee", types, types)]);
    else if (kind === "cond") {
      const index = this.param({ type: tensorType("i32", []), lo: -1, hi: 3 });
      this.used.add(index);
      const branches = ["first", "second", "third"].map((name) => region(name, types, types.slice(1)));
      results = b.emitRegion("cond", { index: [index], captures }, {}, branches);
    } else if (kind === "while") {
      const counter = tensorType("i32", []);
      const all = [...types, counter, typeOf(carry)];
      const body = countedBody(region("step", all, [typeOf(carry)]), 2);
      const init = [b.scalar("i32", 0), carry];
      results = b.emitRegion("while", { captures, init }, {}, [countedTest(all, 2, rng.int(0, 3)), body]);
    } else {
      const length = rng.int(1, 4);
      const xs = this.param({ type: tensorType("f32", [length, ...shapeOf(carry)]), lo: -4, hi: 4 });
      this.used.add(xs);
      const slice = tensorType("f32", shapeOf(carry));
      const body = region("step", [...types, typeOf(carry), slice], [typeOf(carry), slice]);
      const groups = { captures, init: [carry], xs: [xs] };
      results = b.emitRegion("scan", groups, { length, reverse: rng.bool() }, [body]);
    }
    this.pool.push(...results);
  }

  /** The last value made of each type; one of the region's parameters where there is none. */
  resultsOf(types: readonly TensorType[]): GraphResult[] {
    return types.map((type) => ({ kind: "out", value: this.pool.findLast((v) => sameType(v.type, type))! }));
  }

  /** Values with nothing behind them, at least one; and now and then the new value of a state. */
  results(): GraphResult[] {
    const sinks = this.pool.filter((v) => !this.used.has(v));
    const out: GraphResult[] = (sinks.length > 0 ? sinks : this.pool.slice(-1)).map((value) => ({
      kind: "out",
      value,
    }));
    for (const { param, value } of this.states) {
      const fitting = this.pool.filter((v) => v !== value && sameType(v.type, value.type));
      if (fitting.length > 0) out.push({ kind: "state", value: this.rng.pick(fitting), param });
    }
    return out;
  }

  private matching(operand: SampledOperand): Value[] {
    if (operand.distinct === true) return [];
    return this.pool.filter(
      (v) => typeOf(v).dtype === operand.type.dtype && this.canAdapt(shapeOf(v), operand.type.shape.map(staticDim)),
    );
  }

  private canAdapt(from: readonly number[], to: readonly number[]): boolean {
    return (
      size(from) === size(to) || from.length === 0 || (from.length === to.length && to.every((d, i) => d <= from[i]!))
    );
  }

  private operand(operand: SampledOperand): Value {
    if (this.rng.int(0, 9) === 0 && operand.distinct !== true) {
      const constant = this.specialConstant(operand);
      if (constant !== undefined) return constant;
    }
    const fitting = this.matching(operand);
    if (fitting.length === 0 || this.rng.int(0, 3) === 0) return this.param(operand);
    const exact = fitting.filter((v) => sameType(v.type, operand.type));
    const value = this.rng.pick(exact.length > 0 && this.rng.int(0, 3) > 0 ? exact : fitting);
    return this.intoRange(this.intoShape(value, operand.type.shape.map(staticDim)), operand);
  }

  /** A new parameter with contents as described. */
  param(operand: SampledOperand): Value {
    const { type } = operand;
    if (this.closed) {
      const { dtype, shape, data } = randomTensor(this.rng, operand);
      return this.b.emit("const", [], { dtype, shape, data });
    }
    const kind = this.rng.pick(["arg", "arg", "arg", "const", "state"] as const);
    const index = this.args.length;
    const value = this.b.param(kind, type, `x${index}`);
    this.args.push(randomTensor(this.rng, operand));
    if (kind === "state") this.states.push({ param: index, value });
    if (operand.distinct !== true) this.pool.push(value);
    return value;
  }

  /** One of the values that fold rules are about, everywhere. */
  private specialConstant({ type, lo, hi }: SampledOperand): Value | undefined {
    const fitting = [0, -0, 1, -1, 2, 3, 0.5].filter((x) => x >= lo && x <= hi && roundTo(type.dtype, x) === x);
    if (fitting.length === 0) return undefined;
    const scalar = this.b.scalar(type.dtype, this.rng.pick(fitting));
    return type.shape.length === 0 ? scalar : this.b.emit("broadcast", [scalar], { shape: type.shape, dims: [] });
  }

  private intoShape(value: Value, to: readonly number[]): Value {
    const from = shapeOf(value);
    if (from.join() === to.join()) return value;
    this.used.add(value);
    if (from.length === 0) return this.b.emit("broadcast", [value], { shape: to, dims: [] });
    if (size(from) === size(to)) return this.b.emit("reshape", [value], { shape: to });
    const start = from.map((d, i) => this.rng.int(0, d - to[i]!));
    const limit = start.map((s, i) => s + to[i]!);
    return this.b.emit("slice", [value], { start, limit, step: to.map(() => 1) });
  }

  /** Computed values may lie anywhere; an op whose sampler asks for a range gets it. */
  private intoRange(value: Value, { type, lo, hi }: SampledOperand): Value {
    const { dtype } = type;
    if (dtype === "bool") return value;
    this.used.add(value);
    const constant = (x: number): Value => this.b.scalar(dtype, x);
    if (!isFloat(dtype)) {
      const atLeast = this.b.emit("max", [value, constant(Math.ceil(lo))]);
      return this.b.emit("min", [atLeast, constant(Math.floor(hi))]);
    }
    if (this.exact) return this.b.emit("min", [this.b.emit("max", [value, constant(lo)]), constant(hi)]);
    if (lo <= -3 && hi >= 3 && this.rng.bool()) return value;
    const unit = this.b.emit("logistic", [value]);
    return this.b.emit("add", [this.b.emit("mul", [unit, constant(hi - lo)]), constant(lo)]);
  }
}

/** A closed graph with the given types on both sides: each result type is one of the parameters' types. */
function randomRegion(
  rng: Rng,
  ops: readonly OpDef[],
  name: string,
  params: readonly TensorType[],
  results: readonly TensorType[],
  exact: boolean,
): Graph {
  const b = new Builder(name, { raw: true });
  const given = params.map((type, i) => b.param("arg", type, `p${i}`));
  const maker = new GraphMaker(rng, b, given, exact);
  for (let i = rng.int(1, 3); i > 0; i--) maker.add(rng.pick(ops));
  return b.finish(maker.resultsOf(results));
}

/** The test of a while loop: parameter `counter` is below `limit`. */
function countedTest(params: readonly TensorType[], counter: number, limit: number): Graph {
  const b = new Builder("test", { raw: true });
  const given = params.map((type, i) => b.param("arg", type, `p${i}`));
  return b.finish([{ kind: "out", value: b.emit("lt", [given[counter]!, b.scalar("i32", limit)]) }]);
}

/** A while body that counts: `step`'s results behind the counter plus one. */
function countedBody(step: Graph, counter: number): Graph {
  const b = new Builder("body", { raw: true });
  const given = step.params.map((p) => b.param("arg", p.value.type, p.name));
  const next = b.emit("add", [given[counter]!, b.scalar("i32", 1)]);
  const results = inlineGraph(b, step, given);
  return b.finish([next, ...results].map((value): GraphResult => ({ kind: "out", value })));
}

function shapeOf(value: Value): readonly number[] {
  return typeOf(value).shape.map(staticDim);
}
function size(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}
function elements(value: Value): number {
  return value.type.kind === "tensor" ? size(shapeOf(value)) : 0;
}

/**
 * Checks a property of `runs` random graphs. A failing graph is shrunk first; the error holds its text, its arguments
 * and the seed that made it.
 */
export function checkRandomGraphs(
  property: (one: GraphCase, rng: Rng) => void,
  options: RandomGraphOptions & {
    readonly runs: number;
    readonly seed?: number;
    /** As many are drawn without f64 for WebGPU, in files that run there too (`alsoOnWebgpu`). Default: none. */
    readonly webgpu?: number;
  },
): void {
  const draw = (rng: Rng): GraphCase => randomGraph(rng, { ...options, size: options.size ?? rng.int(1, 12) });
  for (let i = 0; i < (options.webgpu ?? 0); i++) {
    const seed = (options.seed ?? 1) + i;
    forOtherBackend(`seed ${seed}`, () => property(draw(withoutF64(seededRng(seed))), seededRng(seed)));
  }
  for (let i = 0; i < options.runs; i++) {
    const seed = (options.seed ?? 1) + i;
    const one = draw(seededRng(seed));
    const failure = (candidate: GraphCase): unknown => {
      try {
        onWasmAlone(() => property(candidate, seededRng(seed)));
        return undefined;
      } catch (error) {
        return error ?? new Error("thrown without a reason");
      }
    };
    if (failure(one) === undefined) continue;
    const small = shrinkCase(one, (candidate) => failure(candidate) !== undefined);
    const error = failure(small);
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${message}\n${caseText(small)}`, { cause: error });
  }
}

export function caseText({ graph, args }: GraphCase): string {
  const values = args.map((arg, i) => {
    const shown = [...arg.data.subarray(0, 12)].map((x) => (Object.is(x, -0) ? "-0" : String(x))).join(", ");
    return `%${graph.params[i]!.name} = [${shown}${arg.data.length > 12 ? ", ..." : ""}]`;
  });
  return `${printGraph(graph)}${values.join("\n")}`;
}
