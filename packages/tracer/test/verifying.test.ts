// verify: true with operations whose rules are broken, alone, in loops and when fused; programs that stop inside WebAssembly;
// and what explain() says to do.
import { getOp, type NestRule, type OpDef } from "@sinter/ir";
import { compilerStats, isTrap, theMachine } from "@sinter/runtime";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

const t = s.tensor;
type Writable<T> = { -readonly [K in keyof T]: T[K] };
type MapRule = Extract<NestRule<OpDef extends { nest: NestRule<infer A> } ? A : never>, { kind: "map" }>;

let names = 0;
/** A function that verifies its calls. Other names make other programs: none comes from a cache. */
function verified<A extends readonly unknown[], R>(fn: (...args: A) => R): s.CompiledFunction<A, R> {
  return s.compile(fn, { verify: true, name: `f${names++}`, autograph: false });
}

function failure(call: () => unknown): s.VerifyError {
  try {
    call();
  } catch (error) {
    if (error instanceof s.VerifyError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

onBackends("verified calls", () => {
  test("give what others give, and change variables as they do", () => {
    const make = (w: s.Variable) => (x: s.Tensor) => {
      const { value, grads } = s.gradients(() => w.value.matmul(x).softmax().log().sum(), [w]);
      w.assignSub(grads[0]!.mul(0.5));
      return [
        value,
        s.fori(
          0,
          4,
          (i: s.Tensor, c: s.Tensor) =>
            s.cond(
              i.gt(1),
              () => c.sin(),
              () => c.add(x),
            ),
          x,
        ),
        s.scan((c: s.Tensor, v: s.Tensor) => [c.add(v), c.mul(v)], t([0, 0]), x)[1],
      ];
    };
    const x = t([
      [1, 2],
      [3, 4],
    ]);
    const run = (compiled: (fn: (x: s.Tensor) => s.Tensor[]) => (x: s.Tensor) => s.Tensor[]): unknown[] => {
      const w = s.variable(t([1, 2]), { name: "w" });
      const results = compiled(make(w))(x);
      return [...results, w.value].map((result) => result.arraySync());
    };
    const plain = run((fn) => s.compile(fn, { autograph: false }));
    expect(plain.at(-1)).not.toEqual([1, 2]);
    expect(run(verified)).toEqual(plain);
  });

  test("ask the host nothing twice", () => {
    let asked = 0;
    const printed: string[] = [];
    const before = s.setPrintSink((line) => printed.push(line));
    const f = verified((x: s.Tensor) => {
      s.print("all {}", x);
      return s.scan(
        (c: s.Tensor, v: s.Tensor) => {
          const y = s.hostCall((z: s.Tensor) => z.add(++asked), s.spec([]), v);
          return [c.add(y), y];
        },
        t(0),
        x,
      );
    });
    try {
      const [sum, all] = f(t([10, 20, 30])) as s.Tensor[];
      expect(sum!.item()).toBe(66);
      expect(all!.arraySync()).toEqual([11, 22, 33]);
    } finally {
      s.setPrintSink(before);
    }
    expect(asked).toBe(3);
    expect(printed).toEqual(["all [10, 20, 30]"]);
  });
});

describe("a kernel that is wrong", () => {
  const broken = getOp("tanh") as Writable<OpDef>;
  const { nest } = broken;
  const sine: OpDef["nest"] = {
    kind: "map",
    value: (...args: Parameters<MapRule["value"]>) => (getOp("sin").nest as MapRule).value(...args),
  };

  beforeEach(() => {
    s.setBackend("wasm");
    broken.nest = sine;
  });
  afterEach(() => {
    broken.nest = nest;
  });

  test("is named with its line, its worst element and both values", () => {
    const w = s.variable(t(1), { name: "w" });
    const f = verified((x: s.Tensor) => {
      w.assign(x.sum());
      return x.mul(2).tanh().add(1);
    });
    const error = failure(() => f(t([0, 1, 2])));
    expect(error.message.split("\n").slice(0, 4)).toEqual([
      expect.stringMatching(
        /^f\d+: tanh differs from the reference evaluator at \[2\]: -0\.7568\d+ instead of 0\.9993\d+$/,
      ),
      "  2 of 3 elements of f32[3] differ by more than 4 ulp",
      "  forward pass; no variable has changed",
      "  this is a fault in Sinter, not in the function",
    ]);
    expect(error.where).toContain("verifying.test.ts");
    expect(error.difference).toMatchObject({ kind: "operation", op: "tanh", rounds: [], element: [2] });
    expect(w.item()).toBe(1);
  });

  test("is found in loops and branches, with the round", () => {
    const f = verified((x: s.Tensor) =>
      s.fori(
        0,
        5,
        (i: s.Tensor, c: s.Tensor) =>
          s.cond(
            i.gt(2),
            () => c.tanh(),
            () => c.add(x),
          ),
        x,
      ),
    );
    const error = failure(() => f(t([0.5, 1])));
    expect(error.difference).toMatchObject({ op: "tanh", rounds: [3] });
    expect(error.message).toMatch(/round 3 \(from 0\) of the loop at \S*verifying\.test\.ts/);
    const scanned = verified((x: s.Tensor) => s.scan((c: s.Tensor, v: s.Tensor) => [c, v.tanh()], t(0), x)[1]);
    expect(failure(() => scanned(t([0, 1, 2]))).difference).toMatchObject({ op: "tanh", rounds: [1], element: [] });
    const backwards = verified(
      (x: s.Tensor) => s.scan((c: s.Tensor, v: s.Tensor) => [c, v.tanh()], t(0), x, { reverse: true })[1],
    );
    expect(failure(() => backwards(t([0, 1, 2]))).difference).toMatchObject({ op: "tanh", rounds: [2] });
  });

  test("is found where it is wrong only in the program, not alone", () => {
    const before = compilerStats().compilations;
    const wrong = (): boolean => compilerStats().compilations === before + 1;
    broken.nest = {
      kind: "map",
      value: (...args: Parameters<MapRule["value"]>) => ((wrong() ? sine : nest) as MapRule).value(...args),
    };
    const f = verified((x: s.Tensor) => x.mul(2).tanh().mul(3));
    const error = failure(() => f(t([0, 1, 2])));
    expect(error.difference).toMatchObject({ kind: "program", op: "mul", element: [2] });
    expect(error.message).toContain("the program differs from its operations run one by one: what mul gives at [2] is");
    expect(error.message).toContain("every operation alone is right, so the fault is in how they were fused");
  });

  test("goes unseen without verify", () => {
    const f = s.compile((x: s.Tensor) => x.tanh(), { name: `f${names++}` });
    expect(f(t(1)).item()).toBeCloseTo(Math.sin(1), 6);
  });
});

describe("a program that stops inside WebAssembly", () => {
  const machine = theMachine();
  /** Runs with the given slot of the call table pointing out of the memory. */
  function astray(slot: number, body: () => unknown): unknown {
    const run = machine.run.bind(machine);
    const spy = vi.spyOn(machine, "run").mockImplementation((entry, pointers, ...rest) =>
      run(
        entry,
        Array.from(pointers, (pointer, i) => (i === slot ? 0xffffff00 : pointer)),
        ...rest,
      ),
    );
    try {
      body();
    } catch (error) {
      return error;
    } finally {
      spy.mockRestore();
    }
    throw new Error("the call did not fail");
  }

  function step(name: string, w: s.Variable, options: s.FunctionOptions = {}) {
    return s.compile(
      (x: s.Tensor) => {
        const y = x.matmul(w).relu();
        w.assignSub(y.mul(0.5));
        return y.sum();
      },
      { name, ...options },
    );
  }
  const ones = (): s.Tensor => s.ones([16, 16]);

  beforeEach(() => s.setBackend("wasm"));

  test("names the kernel and its lines, and the variables that are lost", () => {
    const w = s.variable(ones(), { name: "w" });
    const f = step("trapping", w);
    const x = ones();
    expect(f(x).item()).toBe(4096);
    const error = astray(1, () => f(x)) as s.TrapError;
    expect(error).toBeInstanceOf(s.TrapError);
    expect(error.message.replace(/\S*\/([\w.-]+\.ts):\d+/g, "$1")).toMatch(
      /^trapping: the program stopped in k0_dot\w*: memory access out of bounds\n {2}which computes verifying\.test\.ts matmul.*\n {2}it was updating w in place: its value is lost, assign a new one\n/,
    );
    expect(error.kernels[0]).toMatch(/^k0_dot/);
    expect(error.lost).toEqual(["w"]);
    expect(isTrap(error.cause)).toBe(true);
    expect(() => w.value.dataSync()).toThrow("the value of variable w was lost");
    w.assign(ones());
    expect(f(x).item()).toBe(4096);
  });

  test("loses nothing that is not updated in place", () => {
    const w = s.variable(ones(), { name: "w" });
    const f = step("holding", w);
    const held = w.value;
    const x = ones();
    f(x);
    const kept = w.value;
    const error = astray(1, () => f(x)) as s.TrapError;
    expect(error.message).toContain("no variable has changed");
    expect(error.lost).toEqual([]);
    expect(held.arraySync()).toEqual(ones().arraySync());
    expect(w.value.arraySync()).toEqual(kept.arraySync());
    const checked = step("checked", w, { debug: true });
    expect((astray(1, () => checked(x)) as s.TrapError).lost).toEqual([]);
    expect(w.value.arraySync()).toEqual(kept.arraySync());
  });

  test("outside compiled functions names the kernel too", () => {
    const x = ones();
    x.dataSync();
    const error = astray(1, () => x.matmul(x).dataSync()) as s.TrapError;
    expect(error).toBeInstanceOf(s.TrapError);
    expect(error.message).toMatch(/^eager: the program stopped in k0_dot: .*\n {2}no variable has changed\n/);
  });
});

describe("explain", () => {
  beforeEach(() => s.setBackend("wasm"));
  const first = [t([1, 2]), { rate: 0.1 }] as const;
  const [a, b] = [s.variable(t(1), { name: "a" }), s.variable(t(2), { name: "b" })];
  const rows: readonly (readonly [string, readonly unknown[], readonly unknown[], string, string])[] = [
    ["a number", first, [t([1, 2]), { rate: 0.2 }], "argument options.rate was 0.1, is 0.2", "pass tensor(0.2)"],
    ["a shape", first, [t([1, 2, 3]), { rate: 0.1 }], "argument x was f32[2], is f32[3]", "pad or batch"],
    ["a rank", first, [t([[1, 2]]), { rate: 0.1 }], "argument x was f32[2], is f32[1,2]", "reshape or expandDims"],
    [
      "a dtype",
      first,
      [s.tensor([1, 2], { dtype: "i32" }), { rate: 0.1 }],
      "argument x was f32[2], is i32[2]",
      'x.cast("f32")',
    ],
    ["a string", [t(1), "train"], [t(1), "eval"], 'argument options was "train", is "eval"', "a few modes"],
    [
      "keys",
      first,
      [t([1, 2]), { rate: 0.1, mode: 1 }],
      "argument options was with the keys rate, is with the keys mode, rate",
      "always pass the same keys",
    ],
    [
      "an argument more",
      [t(1)],
      [t(1), 2],
      "the call was with 1 argument, is with 2 arguments",
      "always pass the same arguments",
    ],
    [
      "a length",
      [t(1), [1, 2]],
      [t(1), [1, 2, 3]],
      "argument options was [1, 2], is [1, 2, 3]",
      "stack the items into one tensor",
    ],
    ["a tensor for a number", [t(1), 3], [t(1), t(3)], "argument options was 3, is f32[]", "always pass tensor(3)"],
    ["a function", [t(1), () => 1], [t(1), () => 1], "argument options was function #", "make it once, outside"],
    [
      "an object",
      [t(1), new Date()],
      [t(1), new Date()],
      "argument options was Date#",
      "make it once, outside, or pass its tensors",
    ],
    ["a variable", [t(1), a], [t(1), b], "argument options was variable a#", "use one variable and assign to it"],
  ];
  test.each(rows)("says what to do about %s", (_, before, now, why, advice) => {
    const f = s.compile((x: s.Tensor, options?: unknown) => (options === undefined ? x : x.add(1)), {
      name: "f",
      autograph: false,
    }) as unknown as s.CompiledFunction<readonly unknown[], unknown>;
    f(...before);
    f(...before);
    f(...now);
    const text = f.explain();
    expect(text).toMatch(
      /^f: 2 traces, [\d.]+ ms, [\d.]+ \w+ held\n {2}1\. .* \([\d.]+ ms, 2 calls, [\d.]+ \w+\)\n {5}first call\n {5}called at /,
    );
    const lines = text.split("\n");
    const at = lines.findIndex((line) => line.includes("differs from trace 1: "));
    expect(lines[at]).toContain(why);
    expect(lines[at + 1]).toMatch(/^ {5}-> /);
    expect(lines[at + 1]).toContain(advice);
    expect(lines[at + 2]).toMatch(/called at \S*verifying\.test\.ts:\d+:\d+$/);
  });

  test("compares with the nearest trace, which may have been for another backend", () => {
    const f = s.compile((x: s.Tensor, mode: unknown) => (mode === 1 ? x : x.add(1)), { name: "f", autograph: false });
    f(t(1), 0.5);
    f(t(1), "a");
    f(t(1), "b");
    s.setBackend("reference");
    f(t(1), "b");
    s.setBackend("wasm");
    expect(f.explain()).toContain('differs from trace 2: argument mode was "a", is "b"');
    expect(f.explain()).toContain("differs from trace 3: the backend was wasm, is reference");
  });

  test("of a function that is only called inside others says so", () => {
    const inner = s.compile((x: s.Tensor) => x.mul(2), { name: "inner" });
    s.compile((x: s.Tensor) => inner(inner(x)), { name: "outer" })(t(1));
    expect(inner.explain()).toBe(
      "inner: 0 traces\n  called while others were traced, as part of them: outer (2 times)",
    );
  });

  test("compares with calls of as many arguments", () => {
    const f = s.compile((x: s.Tensor, o?: { readonly k: s.TensorLike }) => x.mul(o?.k ?? 1), { name: "f" });
    f(t([1]));
    f(t([1]), { k: 2 });
    f(t([1]), { k: t(3) });
    expect(f.explain()).toContain("differs from trace 2: argument o.k was 2, is f32[]");
  });

  test("tells of arguments that were left out", () => {
    const f = s.compile((x: s.Tensor, y: s.Tensor) => y.add(x), { name: "f" }) as unknown as s.CompiledFunction<
      [s.Tensor],
      unknown
    >;
    expect(() => f.lower(t(1))).toThrow("it was given 1 argument, and takes y too");
  });
});
