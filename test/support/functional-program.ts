// Random nests of cond, switchCase, whileLoop, fori, scan and print as text: one expression of `api`, `x`, `y` (scalars) and `v`
// (3 elements), which means the same on numbers in objects (test/autograph/native.ts) and on tensors. All loops end, and
// all values stay small multiples of 1/2.
import type { Rng } from "@sinter/ir";
import { Num, nativeModule, Vec } from "../autograph/native.ts";

interface Names {
  readonly scalars: readonly string[];
  readonly vectors: readonly string[];
}

export function functionalProgram(rng: Rng, size: number): string {
  return new Maker(rng, size).scalar({ scalars: ["x", "y"], vectors: ["v"] }, 4);
}

class Maker {
  private readonly rng: Rng;
  private budget: number;
  private next = 0;

  constructor(rng: Rng, size: number) {
    this.rng = rng;
    this.budget = size;
  }

  scalar(names: Names, depth: number): string {
    const { rng } = this;
    const variable = (): string => rng.pick(names.scalars);
    if (depth <= 0 || this.budget-- <= 0) return variable();
    const deeper = (): string => this.scalar(names, depth - 1);
    switch (rng.int(0, 14)) {
      case 0:
        return `${deeper()}.add(${rng.pick(["1", "0.5", "-2"])})`;
      case 1:
        return `${deeper()}.add(${deeper()}).clip(-64, 64)`;
      case 2:
        return `${deeper()}.mul(${rng.pick(["2", "-1", variable()])}).clip(-64, 64)`;
      case 3:
        return `${deeper()}.${rng.pick(["neg", "abs"])}()`;
      case 4:
        return `${deeper()}.${rng.pick(["minimum", "maximum"])}(${variable()})`;
      case 5:
        return `${this.vector(names, depth - 1)}.${rng.pick(["sum", "max"])}().clip(-64, 64)`;
      case 6:
      case 7:
        return `api.cond(${this.condition(names)}, () => ${deeper()}, () => ${deeper()})`;
      case 8:
        return `api.switchCase(${rng.int(-1, 3)}, ${variable()}, [() => ${deeper()}, () => ${deeper()}, () => ${variable()}])`;
      case 9:
        return `${this.whileLoop(names, depth)}.t`;
      case 10:
      case 11:
        return `${this.fori(names, depth)}.t`;
      case 12:
        return `${this.scan(names, depth)}[0].t`;
      case 13:
        return `api.say(${this.next++}, ${deeper()})`;
      default:
        return `${this.scan(names, depth)}[1].sum().clip(-64, 64)`;
    }
  }

  private vector(names: Names, depth: number): string {
    const { rng } = this;
    const variable = (): string => rng.pick(names.vectors);
    if (depth <= 0 || this.budget-- <= 0) return variable();
    const deeper = (): string => this.vector(names, depth - 1);
    switch (rng.int(0, 6)) {
      case 0:
        return `${deeper()}.add(${rng.pick(names.scalars)}).clip(-64, 64)`;
      case 1:
        return `${deeper()}.mul(${rng.pick(["2", "-1"])}).clip(-64, 64)`;
      case 2:
        return `api.where(${deeper()}.${this.comparison()}(${rng.int(-2, 3)}), ${deeper()}, ${variable()})`;
      case 3:
        return `api.cond(${this.condition(names)}, () => ${deeper()}, () => ${variable()})`;
      case 4:
        return `${this.whileLoop(names, depth)}.u`;
      case 5:
        return `${this.fori(names, depth)}.u`;
      default:
        return `${this.scan(names, depth)}[1]`;
    }
  }

  private condition(names: Names): string {
    const { rng } = this;
    if (rng.int(0, 3) === 0) return `${rng.pick(names.vectors)}.${this.comparison()}(0).${rng.pick(["any", "all"])}()`;
    return `${this.scalar(names, 1)}.${this.comparison()}(${rng.int(-2, 4)})`;
  }

  private comparison(): string {
    return this.rng.pick(["gt", "lt", "ge", "le", "eq", "ne"]);
  }

  /** Names that a region adds to what it can read; sometimes it reads nothing but these. */
  private within(names: Names, scalars: readonly string[], vectors: readonly string[]): Names {
    if (this.rng.int(0, 3) === 0) return { scalars, vectors: vectors.length > 0 ? vectors : names.vectors };
    return { scalars: [...names.scalars, ...scalars], vectors: [...names.vectors, ...vectors] };
  }

  /** The carry { t, u } before a loop and after a round, in which one of them may stay what it was. */
  private carry(names: Names, inner: Names, own: string, depth: number): { init: string; next: string } {
    const { rng } = this;
    const t = rng.int(0, 5) === 0 ? `${own}.t` : this.scalar(inner, depth - 1);
    const u = rng.int(0, 3) === 0 ? `${own}.u` : this.vector(inner, depth - 2);
    return { init: `t: ${rng.pick(names.scalars)}, u: ${rng.pick(names.vectors)}`, next: `t: ${t}, u: ${u}` };
  }

  private whileLoop(names: Names, depth: number): string {
    const { rng } = this;
    const c = `c${this.next++}`;
    const inner = this.within(names, [`${c}.t`, `${c}.k`], [`${c}.u`]);
    const { init, next } = this.carry(names, inner, c, depth);
    const limit = rng.int(0, 3);
    const test = rng.int(0, 2) === 0 ? `api.and(${c}.k.lt(${limit}), ${this.condition(inner)})` : `${c}.k.lt(${limit})`;
    const start = `k: ${rng.pick(names.scalars)}.maximum(${limit - 4})`;
    const bound = rng.int(0, 2) === 0 ? `, ${rng.int(2, 6)}` : "";
    return `api.whileLoop((${c}) => ${test}, (${c}) => ({ k: ${c}.k.add(1), ${next} }), { ${start}, ${init} }${bound})`;
  }

  private fori(names: Names, depth: number): string {
    const { rng } = this;
    const [c, i] = [`c${this.next}`, `i${this.next++}`];
    const inner = this.within(names, [`${c}.t`, i], [`${c}.u`]);
    const { init, next } = this.carry(names, inner, c, depth);
    return `api.fori(${rng.int(-1, 1)}, ${rng.int(0, 4)}, (${i}, ${c}) => ({ ${next} }), { ${init} })`;
  }

  private scan(names: Names, depth: number): string {
    const { rng } = this;
    const [c, s] = [`c${this.next}`, `s${this.next++}`];
    const inner = this.within(names, [`${c}.t`, s], [`${c}.u`]);
    const { init, next } = this.carry(names, inner, c, depth);
    const xs = rng.pick(names.vectors);
    return `api.scan((${c}, ${s}) => [{ ${next} }, ${this.scalar(inner, 1)}], { ${init} }, ${xs}, ${rng.bool()})`;
  }
}

type Scalar = Num | boolean;

/** What programs have said on numbers in objects. */
export const nativeLog: string[] = [];

/** `api` on numbers in objects. */
export const nativeApi = {
  say(place: number, x: Num): Num {
    nativeLog.push(`${place}: ${x.value}`);
    return x;
  },
  where: nativeModule.where,
  and: (a: boolean, b: boolean): boolean => a && b,
  cond: <T>(p: boolean, yes: () => T, no: () => T): T => (p ? yes() : no()),
  switchCase: <T>(shift: number, index: Num, arms: readonly (() => T)[]): T =>
    arms[Math.min(Math.max(Math.trunc(index.value) + shift, 0), arms.length - 1)]!(),
  whileLoop<C>(test: (c: C) => Scalar, body: (c: C) => C, init: C, bound = Number.POSITIVE_INFINITY): C {
    let c = init;
    for (let round = 0; round < bound && test(c) === true; round++) c = body(c);
    return c;
  },
  fori<C>(lower: number, upper: number, body: (i: Num, c: C) => C, init: C): C {
    let c = init;
    for (let i = lower; i < upper; i++) c = body(new Num(i), c);
    return c;
  },
  scan<C>(step: (c: C, x: Num) => [C, Num], init: C, xs: Vec, reverse: boolean): [C, Vec] {
    let c = init;
    const ys: Num[] = [];
    for (const x of reverse ? xs.items.toReversed() : xs.items) {
      const [next, y] = step(c, x);
      c = next;
      ys.push(y);
    }
    return [c, new Vec(reverse ? ys.toReversed() : ys)];
  },
};
