// The memory planner: nothing that is still needed is overwritten, and known programs need known memory.
import type { BufferDecl, BufferKind, LoopKernel, LoopProgram, LoopStep, Plan } from "@sinter/ir";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fuzzRuns } from "../../../test/support/fuzz.ts";
import { planMemory, verifyPlan } from "../src/index.ts";

const alignment = 64;

/** `kinds`: name by kind and number of floats. Kernels: names read, names written, pairs that may share, scratch bytes. */
class Sketch {
  readonly buffers: BufferDecl[] = [];
  readonly kernels: LoopKernel[] = [];
  private readonly slots = new Map<BufferKind, number>();

  buffer(kind: BufferKind, floats: number): number {
    const id = this.buffers.length;
    const slot = this.slots.get(kind) ?? 0;
    this.slots.set(kind, slot + 1);
    this.buffers.push({ id, name: `b${id}`, dtype: "f32", shape: [floats], kind, slot });
    return id;
  }

  kernel(
    reads: readonly number[],
    writes: readonly number[],
    aliasable: readonly (readonly [number, number])[] = [],
    scratch: readonly number[] = [],
  ): LoopStep {
    const number = this.kernels.length;
    this.kernels.push({
      name: `k${number}`,
      funcs: [],
      buffers: [...new Set([...reads, ...writes])],
      scratch: scratch.map((bytes, i) => ({
        pointer: { id: i, name: `s${i}`, element: "f32", space: "scratch" },
        bytes,
      })),
      writes,
      aliasable,
      flops: 0,
      schedule: "test",
    });
    return { kind: "kernel", kernel: number, nodes: [] };
  }

  plan(steps: readonly LoopStep[]): { program: LoopProgram; plan: Plan } {
    const program: LoopProgram = { name: "test", buffers: this.buffers, kernels: this.kernels, steps, calls: [] };
    const plan = planMemory(program, { alignment });
    verifyPlan(program, plan);
    return { program, plan };
  }
}

describe("planMemory", () => {
  test("a chain needs two buffers at a time", () => {
    const s = new Sketch();
    const x = s.buffer("arg", 100);
    const temps = [1, 2, 3, 4].map(() => s.buffer("temp", 100));
    const out = s.buffer("result", 100);
    const all = [x, ...temps, out];
    const { plan } = s.plan(all.slice(1).map((b, i) => s.kernel([all[i]!], [b])));
    expect(plan.arenaBytes).toBe(2 * 448);
  });

  test("in place the chain runs in the result", () => {
    const s = new Sketch();
    const x = s.buffer("arg", 100);
    const temps = [1, 2, 3, 4].map(() => s.buffer("temp", 100));
    const out = s.buffer("result", 100);
    const all = [x, ...temps, out];
    const { plan } = s.plan(all.slice(1).map((b, i) => s.kernel([all[i]!], [b], [[all[i]!, b]])));
    expect(plan.arenaBytes).toBe(0);
    expect(temps.map((t) => plan.places[t])).toEqual(temps.map(() => ({ kind: "same", as: out })));
  });

  test("a buffer that is read later is not written over", () => {
    const s = new Sketch();
    const [a, b, c] = [s.buffer("temp", 16), s.buffer("temp", 16), s.buffer("temp", 16)];
    const out = s.buffer("result", 4);
    const { plan } = s.plan([
      s.kernel([], [a]),
      s.kernel([a], [b], [[a, b]]),
      s.kernel([a, b], [c], [[b, c]]),
      s.kernel([c], [out]),
    ]);
    expect(plan.places[b]!.kind).toBe("arena");
    expect(plan.places[c]).toEqual({ kind: "same", as: b });
    expect(plan.arenaBytes).toBe(128);
  });

  test("a new state never takes the place of what is needed before it is written", () => {
    const s = new Sketch();
    s.buffer("state", 16);
    const [a, next] = [s.buffer("temp", 16), s.buffer("stateOut", 16)];
    const { plan } = s.plan([s.kernel([], [a]), s.kernel([a], [next], [[a, next]])]);
    expect(plan.places[a]!.kind).toBe("arena");
  });

  test("scratch is planned like any buffer, and reused by the next kernel", () => {
    const s = new Sketch();
    const [x, a, out] = [s.buffer("arg", 16), s.buffer("temp", 16), s.buffer("result", 16)];
    const { plan } = s.plan([s.kernel([x], [a], [], [1000, 100]), s.kernel([a], [out], [], [1000])]);
    expect(plan.arenaBytes).toBe(64 + 1024 + 128);
  });

  test("slots stand in the order of the call table", () => {
    const s = new Sketch();
    const [out, arg, state, constant] = (["result", "arg", "state", "const"] as const).map((k) => s.buffer(k, 1));
    const { plan } = s.plan([s.kernel([arg!, state!, constant!], [out!])]);
    const slot = (id: number): number => (plan.places[id] as { slot: number }).slot;
    expect([constant!, arg!, state!, out!].map(slot)).toEqual([1, 2, 3, 4]);
  });

  test("what a loop carries lives through all of it", () => {
    const s = new Sketch();
    const counter = s.buffer("temp", 1);
    const [carried, fresh, other] = [s.buffer("temp", 16), s.buffer("temp", 16), s.buffer("temp", 16)];
    const out = s.buffer("result", 16);
    const { plan } = s.plan([
      s.kernel([], [carried]),
      {
        kind: "for",
        count: 3,
        counter,
        body: [s.kernel([carried], [fresh]), s.kernel([fresh], [carried]), s.kernel([carried], [other])],
      },
      s.kernel([carried], [out]),
    ]);
    // carried all along; fresh and other one after the other. Nobody reads the counter.
    expect(plan.arenaBytes).toBe(2 * 64);
  });
});

describe("verifyPlan", () => {
  test("finds a place that is taken too early", () => {
    const s = new Sketch();
    const [a, b, out] = [s.buffer("temp", 16), s.buffer("temp", 16), s.buffer("result", 16)];
    const { program, plan } = s.plan([s.kernel([], [a]), s.kernel([], [b]), s.kernel([a, b], [out])]);
    const broken: Plan = { ...plan, places: plan.places.map((p, i) => (i === b ? plan.places[a]! : p)) };
    expect(() => verifyPlan(program, broken)).toThrow("k2 reads b0, whose place holds something else");
  });

  describe("of exchanged buffers", () => {
    /** Each round makes `other` of `carried`, then they change places. */
    function rounds(loop: (body: readonly LoopStep[], more: number) => LoopStep): [Sketch, number[], LoopStep[]] {
      const s = new Sketch();
      const [start, carried, other] = [s.buffer("arg", 16), s.buffer("temp", 16), s.buffer("temp", 16)];
      const [more, out] = [s.buffer("temp", 1), s.buffer("result", 16)];
      const body = [s.kernel([carried], [other, more]), { kind: "swap", a: carried, b: other } as const];
      const steps: LoopStep[] = [{ kind: "copy", from: start, to: carried }, s.kernel([], [more]), loop(body, more)];
      return [s, [start, carried, other, more, out], steps];
    }
    const repeat =
      (count: number) =>
      (body: readonly LoopStep[], more: number): LoopStep => ({ kind: "for", count, counter: more, body });
    const until = (body: readonly LoopStep[], predicate: number): LoopStep => ({
      kind: "while",
      test: [],
      predicate,
      body,
    });

    test.each([repeat(4), repeat(5), until])("both live as long as one of them", (loop) => {
      const [s, [, carried, , , out], steps] = rounds(loop);
      const late = s.buffer("temp", 16);
      const { plan } = s.plan([...steps, s.kernel([], [late]), s.kernel([carried!, late], [out!])]);
      // What comes after the loop takes the place of the predicate, not that of either.
      expect(plan.arenaBytes).toBe(3 * alignment);
    });

    test("one starts out where the result belongs", () => {
      const [s, [, carried, other, more, out], steps] = rounds(repeat(4));
      const { plan } = s.plan([...steps, { kind: "copy", from: carried!, to: out! }]);
      expect(plan.places[carried!]).toEqual({ kind: "same", as: out });
      expect(plan.places[other!]!.kind).toBe("arena");
      expect(plan.places[more!]!.kind).toBe("arena");
    });

    test("a deep nest of loops is checked as fast as a flat one", () => {
      for (const loop of [repeat(4), repeat(5), until]) {
        const [s, [, carried, , more, out], steps] = rounds(loop);
        const [start, first, inner] = steps as [LoopStep, LoopStep, LoopStep];
        let nest = inner;
        // Each level walked three times would be 3 to the power of 40.
        for (let depth = 0; depth < 40; depth++) nest = loop([s.kernel([], [more!]), nest], more!);
        expect(() => s.plan([start, first, nest, s.kernel([carried!], [out!])])).not.toThrow();
      }
    });

    test("a plan is refused that gives away the place where one of them may be", () => {
      for (const loop of [repeat(5), until]) {
        const [s, [, carried, other, , out], steps] = rounds(loop);
        const late = s.buffer("temp", 16);
        const { program, plan } = s.plan([...steps, s.kernel([], [late]), s.kernel([carried!, late], [out!])]);
        const broken: Plan = { ...plan, places: plan.places.map((p, i) => (i === late ? plan.places[other!]! : p)) };
        expect(() => verifyPlan(program, broken)).toThrow("reads b1, whose place holds something else");
      }
    });
  });

  describe("of slices", () => {
    const made = (): [Sketch, number[], LoopStep[]] => {
      const s = new Sketch();
      const [counter, all, out] = [s.buffer("temp", 1), s.buffer("temp", 64), s.buffer("result", 16)];
      const slice = s.buffer("slice", 16);
      s.buffers[slice] = { ...s.buffers[slice]!, slice: { of: all, counter, reverse: false } };
      const other = s.buffer("temp", 64);
      const body = [s.kernel([], [other]), s.kernel([other], [slice])];
      return [s, [all, slice, other], [{ kind: "for", count: 4, counter, body }, s.kernel([all], [out])]];
    };

    test("what they are of lives through the loop that makes them", () => {
      const [s, [all, slice], steps] = made();
      const { plan } = s.plan(steps);
      expect(plan.arenaBytes).toBe(2 * 256);
      expect(plan.places[slice!]!.kind).toBe("none");
      expect(plan.places[all!]!.kind).toBe("arena");
    });

    test("a plan is refused that lets other values over slices of earlier rounds", () => {
      const [s, [all, , other], steps] = made();
      const { program, plan } = s.plan(steps);
      const places = plan.places.map((p, i) => (i === other ? plan.places[all!]! : p));
      expect(() => verifyPlan(program, { ...plan, places })).toThrow("b4 and b3 overlap in k1");
    });
  });

  test("a result that something is written over is found", () => {
    const s = new Sketch();
    const [a, out] = [s.buffer("result", 16), s.buffer("result", 16)];
    const { program, plan } = s.plan([s.kernel([], [a]), s.kernel([], [out])]);
    const places = plan.places.map((p, i) => (i === a ? plan.places[out]! : p));
    expect(() => verifyPlan(program, { ...plan, places })).toThrow("b0 is overwritten at the end");
  });

  test("holds for random programs", () => {
    const kernel = fc.record({
      reads: fc.array(fc.nat(11), { maxLength: 3 }),
      size: fc.constantFrom(4, 16, 16, 40, 100),
      inPlace: fc.boolean(),
      scratch: fc.constantFrom(0, 0, 100, 500),
      into: fc.constantFrom("temp", "temp", "temp", "result"),
    });
    fc.assert(
      fc.property(fc.array(kernel, { minLength: 1, maxLength: 12 }), (list) => {
        const s = new Sketch();
        const made = [s.buffer("arg", 16)];
        const steps = list.map(({ reads, size, inPlace, scratch, into }) => {
          const from = [...new Set(reads.map((r) => made[r % made.length]!))];
          const to = s.buffer(into as BufferKind, size);
          const fitting = from.filter((b) => s.buffers[b]!.shape[0] === size).map((b) => [b, to] as const);
          made.push(to);
          return s.kernel(from, [to], inPlace ? fitting : [], scratch > 0 ? [scratch] : []);
        });
        const { plan } = s.plan(steps);
        const total = s.buffers.reduce((n, b) => n + Math.ceil((4 * (b.shape[0] as number)) / 64) * 64, 0);
        expect(plan.arenaBytes).toBeLessThanOrEqual(total + list.length * 512);
      }),
      { numRuns: fuzzRuns(200) },
    );
  });
});
