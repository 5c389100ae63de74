/** Writes a loop of elements, once it is known what an element does: regions, operands, and what scalars are at the end. */
import { Builder, type Dim, emit, type Graph, inlineGraph, tensorType, typeOf, type Value } from "@sinter/ir";
import { type Carry, type Elements, graphOf, usedParams } from "./elements.ts";

/** What was found of one element. */
export interface ElementBody {
  readonly carries: readonly Carry[];
  /** What becomes of each carry in a round. */
  readonly next: readonly Value[];
  /** Whether there is another round. */
  readonly goes: Value;
  /** Carries that follow from the others, and how: they are not carried. */
  readonly derived: ReadonlyMap<Carry, Graph>;
}

/** Writes the loops, once it is known what an element does. */
export class LoopWriter {
  /** What the loop carries, in order. */
  readonly carries: readonly Carry[];
  private readonly b: Builder;
  private readonly elements: Elements;
  private readonly next: ReadonlyMap<Carry, Value>;
  private readonly goes: Value;
  private readonly derived: ReadonlyMap<Carry, Graph>;

  constructor(b: Builder, elements: Elements, found: ElementBody) {
    this.b = b;
    this.elements = elements;
    this.goes = found.goes;
    this.derived = found.derived;
    this.next = new Map(found.carries.map((carry, i) => [carry, found.next[i]!]));
    this.carries = found.carries.filter((carry) => !found.derived.has(carry));
  }

  private nextOf(carries: readonly Carry[]): Value[] {
    return carries.map((carry) => this.next.get(carry)!);
  }

  /** The results of a loop for each element of a shape: the carries, then the number of rounds where asked for. */
  emit(shape: readonly Dim[], counted: boolean): readonly Value[] {
    const graph = graphOf(this.elements, [this.goes, ...this.nextOf(this.carries)]);
    const captures = this.capturesOf(graph);
    const test = this.region(graph, captures, this.carries, counted, (_, [goes]) => [goes!]);
    const body = this.region(graph, captures, this.carries, counted, (c, [, ...next], rounds) => [
      ...next,
      ...(rounds === undefined ? [] : [emit.add(c, rounds, c.scalar("u32", 1))]),
    ]);
    const init = this.carries.map((carry) => carry.init);
    if (counted) init.push(this.b.scalar("u32", 0));
    return this.b.emitRegion("elementLoop", { captures, init }, { shape }, [test, body]);
  }

  /** The values of rank-0 carries after `rounds` rounds, by position. */
  finals(wanted: readonly Carry[], rounds: Value): Map<number, Value> {
    const { b } = this;
    const out = new Map<number, Value>();
    const hard: Carry[] = [];
    for (const carry of wanted) {
      const step = this.stepOf(carry);
      if (step === undefined) hard.push(carry);
      else {
        const { dtype } = typeOf(carry.init);
        out.set(
          carry.position,
          emit.add(b, carry.init, emit.mul(b, emit.cast(b, rounds, dtype), b.scalar(dtype, step))),
        );
      }
    }
    if (hard.length === 0) return out;
    // Once more, the scalars alone.
    const scalars = this.carries.filter((carry) => carry.scalar);
    const graph = graphOf(this.elements, this.nextOf(scalars));
    const captures = this.capturesOf(graph);
    const test = this.region(graph, [...captures, rounds], scalars, true, (c, _, done, args) => [
      c.emit("lt", [done!, args[captures.length]!]),
    ]);
    const body = this.region(graph, [...captures, rounds], scalars, true, (c, next, done) => [
      ...next,
      emit.add(c, done!, c.scalar("u32", 1)),
    ]);
    const init = [...scalars.map((carry) => carry.init), b.scalar("u32", 0)];
    const groups = { captures: [...captures, rounds], init };
    const results = b.emitRegion("elementLoop", groups, { shape: [] }, [test, body]);
    for (const carry of hard) out.set(carry.position, results[scalars.indexOf(carry)]!);
    return out;
  }

  /** By how much an integer counter grows in each round. */
  private stepOf(carry: Carry): number | undefined {
    const next = this.next.get(carry)!;
    const made = this.elements.inner.definition(next);
    const { dtype } = typeOf(next);
    if (made?.op !== "add" || made.operands[0] !== carry.param || (dtype !== "i32" && dtype !== "u32"))
      return undefined;
    return this.elements.inner.constantOf(made.operands[1]!)?.data[0];
  }

  /** The captured values that a graph uses. */
  private capturesOf(graph: Graph): Value[] {
    const names = new Set(usedParams(graph));
    for (const [carry, of] of this.derived)
      if (names.has(`x${carry.position}`)) for (const p of usedParams(of)) names.add(p);
    return [...this.elements.captures.keys()].filter((_, i) => names.has(`c${i}`));
  }

  /** A region on these captures and carries, and on a count of rounds behind them. */
  private region(
    graph: Graph,
    captures: readonly Value[],
    carries: readonly Carry[],
    counted: boolean,
    results: (
      c: Builder,
      values: readonly Value[],
      rounds: Value | undefined,
      captures: readonly Value[],
    ) => readonly Value[],
  ): Graph {
    const c = new Builder("element", { fastMath: this.b.fastMath });
    const param = (like: Value, name: string): Value => c.param("arg", tensorType(typeOf(like).dtype, []), name);
    const captured = captures.map((v, i) => param(v, `c${i}`));
    const carried = carries.map((carry) => param(carry.init, `x${carry.position}`));
    const rounds = counted ? c.param("arg", tensorType("u32", []), "rounds") : undefined;
    const given = new Map<string, Value>();
    for (const [i, v] of [...this.elements.captures.keys()].entries()) {
      const at = captures.indexOf(v);
      if (at >= 0) given.set(`c${i}`, captured[at]!);
    }
    for (const [i, carry] of carries.entries()) given.set(`x${carry.position}`, carried[i]!);
    // Nothing that is asked for depends on a parameter that is not given.
    const argsOf = (of: Graph): Value[] =>
      of.params.map((p) => given.get(p.name) ?? c.scalar(typeOf(p.value).dtype, 0));
    for (const [carry, of] of this.derived) given.set(`x${carry.position}`, inlineGraph(c, of, argsOf(of))[0]!);
    const args = argsOf(graph);
    return c.finish(results(c, inlineGraph(c, graph, args), rounds, captured).map((value) => ({ kind: "out", value })));
  }
}
