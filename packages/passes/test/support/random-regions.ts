// Random graphs of nested branches and loops over smooth ops, in f64 or f32: for passes that rebuild regions, and
// derivatives.
import {
  Builder,
  type DType,
  emit,
  type Graph,
  type HostTensor,
  type Rng,
  type TensorType,
  tensorType,
  typeOf,
  type Value,
} from "@sinter/ir";
import { randomTensor } from "../../../../test/support/random.ts";
import type { Instance } from "./sampled.ts";

const out = (value: Value) => ({ kind: "out", value }) as const;
const shapes: readonly (readonly number[])[] = [[], [3], [2, 3]];
const i32 = tensorType("i32", []);

export interface RandomRegionsOptions {
  /** How deep control flow nests. */
  readonly depth?: number;
  /** Which control flow there is. */
  readonly kinds?: readonly ("cond" | "while" | "scan")[];
  /** Of all floats. Default: f64. */
  readonly float?: Float;
}

type Float = "f64" | "f32";

/** A graph with control flow, and arguments: floats of several shapes, and small integers that pick branches and rounds. */
export function randomRegions(rng: Rng, options: RandomRegionsOptions = {}): Instance {
  const b = new Builder("regions", { raw: true });
  const { float = "f64" } = options;
  const pool: Value[] = [];
  const args: HostTensor[] = [];
  const add = (type: TensorType, lo: number, hi: number): void => {
    pool.push(b.param("arg", type, `x${pool.length}`));
    args.push(randomTensor(rng, { type, lo, hi }));
  };
  for (const shape of shapes) add(tensorType(float, shape), -1, 1);
  add(tensorType(float, rng.pick(shapes)), -1, 1);
  add(i32, -1, 3);
  add(i32, 0, 3);
  const maker = new Maker(rng, b, pool, options.kinds ?? ["cond", "while", "scan"], float);
  maker.fill(rng.int(2, 5), options.depth ?? 2, true);
  return { graph: b.finish(maker.latest(3).map(out)), args };
}

class Maker {
  private readonly rng: Rng;
  private readonly b: Builder;
  private readonly pool: Value[];
  private readonly kinds: readonly ("cond" | "while" | "scan")[];
  private readonly float: Float;

  constructor(
    rng: Rng,
    b: Builder,
    pool: readonly Value[],
    kinds: readonly ("cond" | "while" | "scan")[],
    float: Float,
  ) {
    this.rng = rng;
    this.b = b;
    this.pool = [...pool];
    this.kinds = kinds;
    this.float = float;
  }

  /** The last values made, of any type. */
  latest(count: number): Value[] {
    return this.pool.slice(-count);
  }

  fill(statements: number, depth: number, control = false): void {
    for (let i = 0; i < statements; i++)
      if (depth > 0 && ((control && i === statements - 1) || this.rng.int(0, 3) === 0)) this.addControl(depth - 1);
      else this.addOp();
  }

  /** A value of a type: one that there is, or made of another. */
  of(type: TensorType): Value {
    const { b, rng } = this;
    const fitting = this.pool.filter((v) => sameAs(v, type));
    if (fitting.length > 0 && rng.int(0, 5) > 0) return rng.pick(fitting);
    if (type.dtype === "i32") return fitting.length > 0 ? rng.pick(fitting) : b.scalar("i32", rng.int(0, 3));
    const scalar = this.pool.filter((v) => sameAs(v, tensorType(this.float, [])));
    const source = scalar.length > 0 && rng.bool() ? rng.pick(scalar) : b.scalar(this.float, rng.int(-2, 2) / 2);
    if (type.shape.length === 2 && rng.bool()) {
      const row = this.pool.filter((v) => sameAs(v, tensorType(this.float, [3])));
      if (row.length > 0) return emit.broadcastTo(b, rng.pick(row), type.shape, [1]);
    }
    return emit.expandScalar(b, source, type.shape);
  }

  private addOp(): void {
    const { b, rng } = this;
    const type = tensorType(this.float, rng.pick(shapes));
    const x = this.of(type);
    switch (rng.int(0, 7)) {
      case 0:
        this.pool.push(b.emit("tanh", [x]));
        break;
      case 1:
        this.pool.push(b.emit("sin", [x]));
        break;
      case 2:
      case 3:
        this.pool.push(emit.mul(b, x, this.of(type)));
        break;
      case 4:
        this.pool.push(emit.add(b, x, this.of(type)));
        break;
      case 5: {
        const vector = this.of(tensorType(this.float, [3]));
        const matrix = this.of(tensorType(this.float, [2, 3]));
        const product = emit.dot(b, matrix, vector, { batch: [], contract: [[1], [0]] });
        this.pool.push(b.emit("tanh", [emit.reduceSum(b, product, [0])]));
        break;
      }
      case 6:
        this.pool.push(b.emit("tanh", [emit.reduceSum(b, this.of(tensorType(this.float, [2, 3])), [0])]));
        break;
      default:
        this.pool.push(emit.add(b, this.of(i32), b.scalar("i32", rng.int(0, 1))));
    }
  }

  private addControl(depth: number): void {
    const { b, rng } = this;
    const captures = Array.from({ length: rng.int(1, 4) }, () => rng.pick(this.pool));
    const kind = rng.pick(this.kinds);
    if (kind === "cond") {
      const types = [this.anyType(), this.anyType()];
      const index = rng.bool() ? this.of(i32) : emit.less(b, this.of(i32), b.scalar("i32", 1));
      const branches = typeOf(index).dtype === "bool" ? 2 : rng.int(1, 3);
      const regions = Array.from({ length: branches }, (_, i) =>
        this.region(`branch${i}`, captures.map(typeOf), depth, () => types),
      );
      this.pool.push(...b.emitRegion("cond", { index: [index], captures }, {}, regions));
      return;
    }
    const init = Array.from({ length: rng.int(1, 3) }, () => this.of(this.anyType()));
    if (kind === "scan") {
      const length = rng.int(0, 4);
      const xs = Array.from({ length: rng.int(0, 2) }, () => this.stack(length));
      const slices = xs.map((x) => tensorType(typeOf(x).dtype, typeOf(x).shape.slice(1)));
      const stacked = rng.bool() ? [this.anyType()] : [];
      const types = [...captures, ...init].map(typeOf);
      const body = this.region("step", [...types, ...slices], depth, () => [...init.map(typeOf), ...stacked]);
      const results = b.emitRegion("scan", { captures, init, xs }, { length, reverse: rng.bool() }, [body]);
      this.pool.push(...results.slice(0, init.length));
      for (const y of results.slice(init.length))
        this.pool.push(b.emit("tanh", [emit.reduceSum(b, emit.cast(b, y, this.float), [0])]));
      return;
    }
    const limit = rng.int(0, 4);
    const counted = [b.scalar("i32", 0), ...init];
    const types = [...captures, ...counted].map(typeOf);
    const at = captures.length;
    const test = new Builder("test", { raw: true });
    const given = types.map((type, i) => test.param("arg", type, `p${i}`));
    const fixed = captures.findIndex((value) => sameAs(value, i32));
    const least = fixed >= 0 ? emit.minimum(test, given[fixed]!, test.scalar("i32", limit)) : test.scalar("i32", limit);
    const more = test.finish([out(emit.less(test, given[at]!, least))]);
    const body = this.region("body", types, depth, () => init.map(typeOf), at);
    const attrs = rng.bool() ? { maxIterations: limit + rng.int(limit === 0 ? 1 : 0, 2) } : {};
    this.pool.push(...b.emitRegion("while", { captures, init: counted }, attrs, [more, body]));
  }

  private anyType(): TensorType {
    return this.rng.int(0, 4) === 0 ? i32 : tensorType(this.float, this.rng.pick(shapes));
  }

  /** Something to step through. */
  private stack(length: number): Value {
    const { b, rng } = this;
    const x = this.of(tensorType(this.float, rng.pick(shapes)));
    const { dtype, shape } = typeOf(x);
    const repeated = emit.broadcastTo(
      b,
      x,
      [length, ...shape],
      shape.map((_, i) => i + 1),
    );
    if (rng.int(0, 3) === 0) return repeated;
    return emit.mul(b, repeated, emit.iota(b, dtype as DType, [length, ...shape], 0));
  }

  /** A region on parameters of the given types; `counter`: a parameter that counts, returned first. */
  private region(
    name: string,
    types: readonly TensorType[],
    depth: number,
    results: () => readonly TensorType[],
    counter?: number,
  ): Graph {
    const { rng } = this;
    const c = new Builder(name, { raw: true });
    const params = types.map((type, i) => c.param("arg", type, `p${i}`));
    const maker = new Maker(rng, c, params, this.kinds, this.float);
    maker.fill(rng.int(1, 4), depth);
    const made = results().map((type) => maker.of(type));
    // Bounded, so that loops do not run away; now and then a parameter comes back as it is.
    const bounded = made.map((value) =>
      typeOf(value).dtype === this.float && !params.includes(value) ? c.emit("tanh", [value]) : value,
    );
    const counted = counter === undefined ? [] : [emit.add(c, params[counter]!, c.scalar("i32", 1))];
    return c.finish([...counted, ...bounded].map(out));
  }
}

function sameAs(value: Value, type: TensorType): boolean {
  const { dtype, shape } = typeOf(value);
  return dtype === type.dtype && shape.join() === type.shape.join();
}
