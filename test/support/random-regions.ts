// Random graphs that are mostly control flow: branches and loops nested in each other, with carries that change places,
// pass through, or are something captured, updates in place, empty loops, slices of everything.
import {
  Builder,
  type DType,
  type Graph,
  type GraphResult,
  type Rng,
  sameType,
  staticDim,
  type TensorType,
  tensorType,
  typeOf,
  type Value,
} from "../../packages/ir/src/index.ts";
import { forOtherBackend, onWasmAlone } from "./asked-checks.ts";
import { randomTensor, seededRng } from "./random.ts";
import { caseText, type GraphCase } from "./random-graph.ts";
import { shrinkCase } from "./shrink-case.ts";

const f32 = (...shape: number[]): TensorType => tensorType("f32", shape);
const i32 = (...shape: number[]): TensorType => tensorType("i32", shape);
const bool: TensorType = tensorType("bool", []);
/** Few types, so that values of one type are many. */
const fourBytes: readonly TensorType[] = [f32(), i32(), bool, f32(5), f32(5), f32(3, 4), i32(5)];
const allTypes: readonly TensorType[] = fourBytes.toSpliced(6, 0, tensorType("f64", [3]));

export interface RandomRegionOptions {
  /** Statements of each block. */
  readonly size: number;
  /** Regions inside each other. */
  readonly depth: number;
  /** Whether some values are of f64. Default: yes. */
  readonly f64?: boolean;
}

export function randomRegions(rng: Rng, { size, depth, f64 = true }: RandomRegionOptions): GraphCase {
  const types = f64 ? allTypes : fourBytes;
  const b = new Builder("regions", { raw: rng.bool() });
  const args = types.map((type) =>
    randomTensor(rng, { type, lo: type.dtype === "bool" ? 0 : -3, hi: type.dtype === "bool" ? 1 : 3 }),
  );
  const states = new Map<number, Value>();
  const pool = types.map((type, i): Value => {
    const kind = rng.pick(["arg", "const", "state"] as const);
    const value = b.param(kind, type, `x${i}`);
    if (kind === "state") states.set(i, value);
    return value;
  });
  const block = new Block(rng, b, pool, depth, types);
  for (let i = 0; i < size; i++) block.statement(size);
  const results = block.some(rng.int(1, 4)).map((value): GraphResult => ({ kind: "out", value }));
  for (const [param, old] of states)
    if (rng.int(0, 2) > 0) results.push({ kind: "state", param, value: block.result(typeOf(old), []) });
  return { graph: b.finish(results), args };
}

class Block {
  private readonly rng: Rng;
  private readonly b: Builder;
  private readonly pool: Value[];
  private readonly depth: number;
  private readonly types: readonly TensorType[];
  private readonly madeByRegions = new Set<Value>();

  constructor(rng: Rng, b: Builder, pool: readonly Value[], depth: number, types: readonly TensorType[]) {
    this.rng = rng;
    this.b = b;
    this.pool = [...pool];
    this.depth = depth;
    this.types = types;
  }

  statement(size: number): void {
    if (this.depth > 0 && this.rng.int(0, 2) === 0) {
      const results = this.region(size);
      for (const value of results) this.madeByRegions.add(value);
      this.pool.push(...results);
    } else this.pool.push(this.make(this.rng.pick(this.types)));
  }

  some(count: number): Value[] {
    return Array.from({ length: count }, () => this.rng.pick(this.recent()));
  }

  /** Late values more often than early ones. */
  private recent(): Value[] {
    return this.rng.bool() ? this.pool.slice(-5) : this.pool;
  }

  /** A value of a type: new ones more often than old ones, and one of `others` now and then. */
  result(type: TensorType, others: readonly Value[]): Value {
    const fitting = (list: readonly Value[]): Value[] => list.filter((v) => sameType(v.type, type));
    const [late, all, given] = [fitting(this.pool.slice(-4)), fitting(this.pool), fitting(others)];
    const made = fitting(this.pool.filter((v) => this.madeByRegions.has(v)));
    if (made.length > 0 && this.rng.int(0, 2) === 0) return this.rng.pick(made);
    if (given.length > 0 && this.rng.int(0, 2) === 0) return this.rng.pick(given);
    if (late.length > 0 && this.rng.int(0, 1) === 0) return this.rng.pick(late);
    if (all.length > 0 && this.rng.int(0, 2) === 0) return this.rng.pick(all);
    return this.make(type);
  }

  private of(type: TensorType): Value {
    const fitting = this.pool.filter((v) => sameType(v.type, type));
    return fitting.length > 0 ? this.rng.pick(fitting) : this.constant(type);
  }

  private constant({ dtype, shape }: TensorType): Value {
    const data = randomTensor(this.rng, { type: tensorType(dtype, shape), lo: 0, hi: dtype === "bool" ? 1 : 2 });
    return this.b.emit("const", [], { dtype, shape: data.shape, data: data.data });
  }

  private spread(value: Value, shape: readonly number[]): Value {
    return shape.length === 0 ? value : this.b.emit("broadcast", [value], { shape, dims: [] });
  }

  /** A new value of a type. All operations give the same bits everywhere. */
  private make(type: TensorType): Value {
    const { b, rng } = this;
    const shape = type.shape.map(staticDim);
    if (type.dtype === "bool")
      return rng.bool()
        ? b.emit(rng.pick(["lt", "ge", "eq"]), this.pair(rng.pick([f32(), i32()])))
        : b.emit(rng.pick(["and", "or"]), [this.of(bool), b.emit("not", [this.of(bool)])]);
    const scalar = (dtype: DType): Value =>
      dtype === "f64" ? b.emit("cast", [this.of(f32())], { dtype }) : this.of(tensorType(dtype, []));
    const kind = rng.int(0, 9);
    if (kind === 5) return b.emit("select", [this.spread(this.of(bool), shape), this.of(type), this.of(type)]);
    if (kind <= 1 && shape.length > 0) return this.update(this.of(type), scalar(type.dtype));
    if (kind === 2 && shape.length > 0) return b.emit("reverse", [this.of(type)], { axes: [shape.length - 1] });
    if (kind <= 4 && shape.length > 0)
      return b.emit(rng.pick(["add", "max"]), [this.of(type), this.spread(scalar(type.dtype), shape)]);
    if (kind <= 4 && shape.length === 0) {
      const from = this.of(tensorType(type.dtype, [5]));
      if (kind === 3) return b.emit("reduce", [from], { op: type.dtype === "i32" ? "add" : "max", axes: [0] });
      const at = this.of(i32());
      return b.emit("reshape", [b.emit("dynamicSlice", [from, at], { sizes: [1] })], { shape: [] });
    }
    // Kept small, so that sums of integers stay exact and floats stay finite.
    const value = b.emit(rng.pick(["add", "sub", "min", "max"]), this.pair(type));
    if (kind < 8) return value;
    const bound = this.spread(b.scalar(type.dtype, 100), shape);
    return b.emit("min", [b.emit("max", [value, b.emit("neg", [bound])]), bound]);
  }

  private pair(type: TensorType): Value[] {
    return [this.of(type), this.of(type)];
  }

  /** A window of some size, at places known or not, of some value or of what lies elsewhere in the base. */
  private update(base: Value, value: Value): Value {
    const { b, rng } = this;
    const shape = typeOf(base).shape.map(staticDim);
    const sizes = shape.map((d) => rng.pick([1, 1, d - 1, rng.int(1, d)]));
    const starts = (): Value[] => {
      const known = rng.bool();
      return shape.map((d, i) => (known ? b.scalar("i32", rng.int(0, d - sizes[i]!)) : this.of(i32())));
    };
    let window = this.spread(value, sizes);
    if (rng.bool()) window = b.emit("add", [window, b.emit("dynamicSlice", [base, ...starts()], { sizes })]);
    if (rng.int(0, 4) === 0) window = b.emit("reverse", [window], { axes: [0] });
    return b.emit("dynamicUpdateSlice", [base, window, ...starts()]);
  }

  private region(size: number): readonly Value[] {
    const { b, rng } = this;
    const captures = this.some(rng.int(0, 4));
    const kind = rng.pick(["cond", "cond", "while", "scan", "scan", "call"] as const);
    if (kind === "call") return b.emitRegion("call", { args: captures }, {}, [this.inner(captures, size, "callee")]);
    if (kind === "cond") {
      const index = rng.bool() ? this.of(bool) : this.of(i32());
      const results = Array.from({ length: rng.int(1, 3) }, () => typeOf(rng.pick(this.pool)));
      const count = typeOf(index).dtype === "bool" ? 2 : rng.int(1, 3);
      const branches = Array.from({ length: count }, (_, i) => this.inner(captures, size, `branch${i}`, results));
      return b.emitRegion("cond", { index: [index], captures }, {}, branches);
    }
    const init = this.some(rng.int(kind === "while" ? 0 : 1, 3)).map((v) =>
      captures.length > 0 && rng.int(0, 3) === 0 ? rng.pick(captures) : v,
    );
    if (kind === "while") {
      const start = b.scalar("i32", rng.int(-1, 2));
      const carried = [start, ...init];
      const [test, body] = this.counted(captures, carried, size, rng.int(0, 4));
      return b.emitRegion("while", { captures, init: carried }, {}, [test, body]).slice(rng.int(0, 1));
    }
    const length = rng.pick([0, 1, 2, 3, 3, 4]);
    const xs = Array.from({ length: rng.int(0, 2) }, () => this.stack(length));
    const slices = xs.map((x) => tensorType(typeOf(x).dtype, typeOf(x).shape.slice(1)));
    const body = this.body([...captures.map(typeOf), ...init.map(typeOf), ...slices], "step", (block, params) => {
      for (let i = rng.int(0, size); i > 0; i--) block.statement(size);
      const next = init.map((v) => block.result(typeOf(v), params));
      return [...next, ...block.some(rng.int(0, 2)).map((y) => (rng.int(0, 2) === 0 ? rng.pick(params) : y))];
    });
    const results = b.emitRegion("scan", { captures, init, xs }, { length, reverse: rng.bool() }, [body]);
    // Stacked values go on as something of a known type.
    return results.map((value, i) => (i < init.length ? value : this.unstack(value, length)));
  }

  /** A value with a first axis: something repeated, and moved a little. */
  private stack(length: number): Value {
    const { b, rng } = this;
    const flat = this.pool.filter((v) => typeOf(v).shape.length < 2);
    const value = flat.length > 0 ? rng.pick(flat) : this.constant(f32(5));
    const { shape } = typeOf(value);
    const dims = shape.map((_, i) => i + 1);
    const repeated = b.emit("broadcast", [value], { shape: [length, ...shape.map(staticDim)], dims });
    if (typeOf(value).dtype !== "f32" || shape.length > 0) return repeated;
    const along = b.emit("cast", [b.emit("iota", [], { dtype: "i32", shape: [length], axis: 0 })], { dtype: "f32" });
    return b.emit("add", [repeated, along]);
  }

  private unstack(value: Value, length: number): Value {
    const { shape } = typeOf(value);
    if (length === 0) return this.of(tensorType(typeOf(value).dtype, shape.slice(1)));
    const at = this.rng.int(0, length - 1);
    const [start, limit] = [shape.map(() => 0), shape.map(staticDim)];
    [start[0], limit[0]] = [at, at + 1];
    const slice = this.b.emit("slice", [value], { start, limit, step: shape.map(() => 1) });
    return this.b.emit("reshape", [slice], { shape: shape.slice(1).map(staticDim) });
  }

  /** A loop that counts its rounds, and stops before the limit where some other test fails. */
  private counted(captures: readonly Value[], carried: readonly Value[], size: number, limit: number): [Graph, Graph] {
    const { rng } = this;
    const all = [...captures, ...carried].map(typeOf);
    const test = this.body(all, "test", (block, params) => {
      if (rng.int(0, 3) === 0) block.statement(1);
      const below = block.b.emit("lt", [params[captures.length]!, block.b.scalar("i32", limit)]);
      return [rng.int(0, 2) === 0 ? block.b.emit("and", [below, block.result(bool, params)]) : below];
    });
    const body = this.body(all, "body", (block, params) => {
      for (let i = rng.int(0, size); i > 0; i--) block.statement(size);
      const counter = block.b.emit("add", [params[captures.length]!, block.b.scalar("i32", 1)]);
      return [counter, ...carried.slice(1).map((v) => block.result(typeOf(v), params))];
    });
    return [test, body];
  }

  private inner(given: readonly Value[], size: number, name: string, results?: readonly TensorType[]): Graph {
    return this.body(given.map(typeOf), name, (block, params) => {
      for (let i = this.rng.int(0, size); i > 0; i--) block.statement(size);
      if (results !== undefined) return results.map((type) => block.result(type, params));
      return block.some(this.rng.int(1, 3));
    });
  }

  private body(
    given: readonly TensorType[],
    name: string,
    make: (block: Block, params: readonly Value[]) => readonly Value[],
  ): Graph {
    const b = new Builder(name, { raw: this.rng.bool() });
    const params = given.map((type, i) => b.param("arg", type, `p${i}`));
    const block = new Block(this.rng, b, params, this.depth - 1, this.types);
    if (params.length === 0) block.pool.push(block.constant(f32()));
    return b.finish(make(block, params).map((value) => ({ kind: "out", value })));
  }
}

/** Checks a property of `runs` random graphs; the error of a failing one has its text and its seed. */
export function checkRandomRegions(
  property: (one: GraphCase) => void,
  options: Partial<RandomRegionOptions> & {
    readonly runs: number;
    readonly seed?: number;
    /** As many are drawn without f64 for WebGPU, in files that run there too (`alsoOnWebgpu`). Default: none. */
    readonly webgpu?: number;
  },
): void {
  const { seed: first = 1, webgpu = 0 } = options;
  const sizesOf = (seed: number): { readonly size: number; readonly depth: number } => {
    const sizes = seededRng(seed * 7 + 1);
    return { size: options.size ?? sizes.int(1, 5), depth: options.depth ?? sizes.int(1, 3) };
  };
  for (let seed = first; seed < first + webgpu; seed++)
    forOtherBackend(`seed ${seed}`, () => {
      property(randomRegions(seededRng(seed), { ...sizesOf(seed), f64: false }));
    });
  for (let seed = first; seed < first + options.runs; seed++) {
    const { size, depth } = sizesOf(seed);
    const one = randomRegions(seededRng(seed), { size, depth });
    const failure = (candidate: GraphCase): unknown => {
      try {
        onWasmAlone(() => property(candidate));
        return undefined;
      } catch (error) {
        return error ?? new Error("thrown without a reason");
      }
    };
    if (failure(one) === undefined) continue;
    const small = shrinkCase(one, (candidate) => failure(candidate) !== undefined);
    const error = failure(small);
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}, size ${size}, depth ${depth}: ${message}\n${caseText(small)}`, { cause: error });
  }
}
