// compile: signatures, static values, captures, state, nesting, what it says about itself.
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { suspiciousBranch } from "../src/branches.ts";
import * as s from "../src/index.ts";
import { expectClose, onBackends, warnings } from "./support.ts";

await programsOnWebgpu("Compiled functions");

const { compile, tensor: t, variable } = s;

onBackends("compile", () => {
  test("traces once per shape and dtype", () => {
    const f = compile((x: s.Tensor) => x.mul(2));
    f(t([1, 2]));
    f(t([3, 4]));
    expect(f.traces).toBe(1);
    f(t([1, 2, 3]));
    f(t([1, 2], { dtype: "i32" }));
    expect(f.traces).toBe(3);
    expect(f(t([5, 6])).arraySync()).toEqual([10, 12]);
    expect(f.traces).toBe(3);
  });

  test("static values are compared by value, NaN and -0 included", () => {
    const f = compile((x: s.Tensor, by: unknown) => x.mul(typeof by === "number" && by > 0 ? by : 1));
    const x = t([1]);
    for (const by of [2, 2, Number.NaN, Number.NaN, 0, -0, 0, "a", "a", true, null, undefined]) f(x, by);
    expect(f.traces).toBe(8);
    expect(f(x, 2).item()).toBe(2);
  });

  test("objects that are not trees are static by identity", () => {
    class Config {
      readonly by: number;
      constructor(by: number) {
        this.by = by;
      }
    }
    const f = compile((x: s.Tensor, config: Config) => x.mul(config.by));
    const config = new Config(3);
    expect(f(t(1), config).item()).toBe(3);
    f(t(2), config);
    expect(f.traces).toBe(1);
    expect(f(t(1), new Config(4)).item()).toBe(4);
    expect(f.traces).toBe(2);
  });

  test("trees of arguments and results; key order does not matter", () => {
    const f = compile((p: { a: s.Tensor; b: readonly s.Tensor[] }) => ({
      sum: p.a.add(p.b[0]!),
      rest: [p.b[1]!, 7, "text", null],
    }));
    const out = f({ a: t(1), b: [t(2), t(3)] });
    f({ b: [t(2), t(3)], a: t(1) });
    expect(f.traces).toBe(1);
    expect(out.sum.item()).toBe(3);
    expect((out.rest[0] as s.Tensor).item()).toBe(3);
    expect(out.rest.slice(1)).toEqual([7, "text", null]);
    f({ a: t(1), b: [t(2), t([3])] });
    expect(f.traces).toBe(2);
  });

  test("typed arrays are tensors", () => {
    const f = compile((x: unknown) => (x as s.Tensor).sum());
    expect(f(new Float32Array([1, 2, 3])).item()).toBe(6);
    f(new Float32Array([4, 5, 6]));
    expect(f.traces).toBe(1);
  });

  test("a captured tensor keeps its value and its memory", () => {
    const small = t([1, 2]);
    const large = s.ones([100]).mul(3);
    const f = compile((x: s.Tensor) => x.add(large).sum().add(small.sum()));
    expect(f(s.zeros([100])).item()).toBe(303);
    small.dispose();
    large.dispose();
    expect(f(s.ones([100])).item()).toBe(403);
  });

  test("results that are arguments, constants or each other are shared, not copied", () => {
    const f = compile((x: s.Tensor, y: s.Tensor) => [x, y, x, y.add(1), y.add(1)]);
    const x = t([1, 2]);
    const [a, b, c, d, e] = f(x, t(5));
    x.dispose();
    expect([a, b, c, d, e].map((r) => r!.arraySync())).toEqual([[1, 2], 5, [1, 2], 6, 6]);
    a!.dispose();
    expect(c!.arraySync()).toEqual([1, 2]);
  });

  test("compiled functions inline in each other", () => {
    const inner = compile((x: s.Tensor) => x.mul(2));
    const outer = compile((x: s.Tensor) => inner(x).add(inner(x.add(1))));
    expect(outer(t(1)).item()).toBe(6);
    expect(inner.traces).toBe(0);
  });

  test("withEager runs the function as written", () => {
    let runs = 0;
    const f = compile((x: s.Tensor) => {
      runs++;
      return x.add(1);
    });
    f(t(1));
    f(t(2));
    expect(runs).toBe(1);
    expect(s.withEager(() => f(t(3)).item())).toBe(4);
    expect(runs).toBe(2);
  });

  test("explain names what differed", () => {
    const f = compile((x: s.Tensor, options: { rate: number }) => x.mul(options.rate), { name: "scaled" });
    f(t([1, 2]), { rate: 1 });
    f(t([1, 2, 3]), { rate: 1 });
    f(t([1, 2]), { rate: 2 });
    const text = f.explain();
    expect(text).toContain("scaled: 3 traces");
    expect(text).toContain("argument x was f32[2], is f32[3]");
    expect(text).toContain("argument options.rate was 1, is 2");
    expect(text).toContain("function.test.ts:");
  });

  test("warns once about retraces, and frozen refuses them", () => {
    const f = compile((x: s.Tensor, n: number) => x.add(n), { retraceLimit: 2 });
    const said = warnings(() => {
      for (let n = 0; n < 5; n++) f(t(0), n);
    });
    expect(said.length).toBe(1);
    expect(said[0]).toContain("traced 3 times");
    const g = compile((x: s.Tensor) => x.add(1), { frozen: true });
    g(t([1]));
    expect(() => g(t([1, 2]))).toThrow(/frozen.*f32\[2\]/);
    expect(g(t([1])).item()).toBe(2);
  });

  test("a signature converts and checks", () => {
    const f = compile((x: unknown) => (x as s.Tensor).sum(), { signature: [s.spec([null, 2])] });
    expect(f([[1, 2]]).item()).toBe(3);
    f([
      [1, 2],
      [3, 4],
    ]);
    expect(f.traces).toBe(1);
    expect(() => f([1, 2])).toThrow(/x is f32\[2\], the signature says f32\[\?,2\]/);
  });

  test("the graph of an error leaves nothing, and the next call works", () => {
    let fail = true;
    const f = compile(
      (x: s.Tensor) => {
        if (fail) throw new Error("mine");
        return x.add(1);
      },
      { autograph: false },
    );
    expect(() => f(t(1))).toThrow("mine");
    expect(f.traces).toBe(0);
    fail = false;
    expect(f(t(1)).item()).toBe(2);
  });
});

test("evalShape traces and runs nothing", () => {
  const f = (x: s.Tensor, n: number): unknown => ({ y: x.matmul(s.ones([3, n])), size: x.shape[0] });
  const out = s.evalShape(f, s.spec([2, 3]), 5) as { y: s.Spec; size: number };
  expect([String(out.y), out.size]).toEqual(["f32[2,5]", 2]);
});

test("lower shows the stages, counts the cost and gives the program", () => {
  const f = compile((x: s.Tensor, n: number) => x.add(n).softmax());
  const lowered = f.lower(s.spec([16, 8]), 1);
  expect(lowered.text("trace")).toContain("function.test.ts:");
  expect(lowered.text("wat")).toContain("(module");
  expect(lowered.cost().kernels).toBeGreaterThan(0);
  const program = lowered.compile();
  expect((program(s.zeros([16, 8]), 1) as s.Tensor).at(0, 0).item()).toBeCloseTo(0.125);
  expect(() => program(s.zeros([4, 9]), 1)).toThrow(/lowered for \[f32\[16,8\], 1\], called with \[f32\[4,9\], 1\]/);
  expect(f.traces).toBe(0);
});

onBackends("variables", () => {
  test("reads and writes happen in program order", () => {
    const w = variable([1, 2], { name: "w" });
    const f = compile(() => {
      const first = w.value;
      w.assign(w.value.mul(10));
      const second = w.value;
      w.assignAdd(1);
      return [first, second, w.value];
    });
    expect(f().map((x) => x.arraySync())).toEqual([
      [1, 2],
      [10, 20],
      [11, 21],
    ]);
    expect(w.arraySync()).toEqual([11, 21]);
    f();
    expect(w.arraySync()).toEqual([111, 211]);
    expect(f.traces).toBe(1);
  });

  test("an old value never changes", () => {
    const w = variable(s.ones([1000]));
    const step = compile(() => {
      w.assignAdd(1);
    });
    const old = w.value;
    step();
    const middle = w.value;
    step();
    expect([old.at(0).item(), middle.at(0).item(), w.value.at(0).item()]).toEqual([1, 2, 3]);
    old.dispose();
    middle.dispose();
    step();
    expect(w.value.at(999).item()).toBe(4);
  });

  test("is updated in place when nobody holds the old value", () => {
    const w = variable(s.zeros([100000]));
    const step = compile(() => {
      w.assignAdd(1);
    });
    step();
    const before = s.memory().liveBytes;
    for (let i = 0; i < 10; i++) step();
    expect(s.memory().liveBytes).toBe(before);
    expect(w.value.at(0).item()).toBe(11);
  });

  test("variables that swap values, or share one", () => {
    const a = variable([1, 1]);
    const b = variable([2, 2]);
    const swap = compile(() => {
      const old = a.value;
      a.assign(b);
      b.assign(old);
    });
    swap();
    expect([a.arraySync(), b.arraySync()]).toEqual([
      [2, 2],
      [1, 1],
    ]);
    const share = compile((x: s.Tensor) => {
      a.assign(x.add(1));
      b.assign(a);
      return a.value;
    });
    const out = share(t([5, 5]));
    const bump = compile(() => {
      a.assignAdd(1);
    });
    bump();
    expect([a.arraySync(), b.arraySync(), out.arraySync()]).toEqual([
      [7, 7],
      [6, 6],
      [6, 6],
    ]);
  });

  test("a value is kept while the same program overwrites it", () => {
    const w = variable([1, 2]);
    const f = compile(() => {
      const old = w.value;
      w.assignAdd(1);
      return old;
    });
    const one = f();
    const two = f();
    expect([one.arraySync(), two.arraySync(), w.arraySync()]).toEqual([
      [1, 2],
      [2, 3],
      [3, 4],
    ]);
  });

  test("an error inside a step leaves all variables as they were", () => {
    const w = variable([1, 2]);
    const f = compile((x: s.Tensor) => {
      w.assign([9, 9]);
      return w.value.add(x);
    });
    expect(() => f(t([1, 2, 3]))).toThrow(/do not broadcast/);
    expect(w.arraySync()).toEqual([1, 2]);
    expect(f(t([1, 1])).arraySync()).toEqual([10, 10]);
  });

  test("are made on the first call only", () => {
    let w: s.Variable | undefined;
    const f = compile((x: s.Tensor) => {
      w ??= variable(s.ones([2]).mul(3), { name: "w" });
      w.assignAdd(x);
      return w.value;
    });
    expect(f(t([1, 1])).arraySync()).toEqual([4, 4]);
    expect(f(t([1, 1])).arraySync()).toEqual([5, 5]);
    expect(f.traces).toBe(1);
    const always = compile(() => variable([1]).value);
    expect(() => always()).toThrow(/only on the first call/);
    const dependent = compile((x: s.Tensor) => variable(x).value);
    expect(() => dependent(t([1]))).toThrow(/depends on an argument/);
  });

  test("eager assignment", () => {
    const w = variable([1, 2]);
    const old = w.value;
    w.assign([3, 4]).assignSub(1).assignAdd([1, 0]);
    expect(w.arraySync()).toEqual([3, 3]);
    expect(old.arraySync()).toEqual([1, 2]);
    expect(w.add(1).arraySync()).toEqual([4, 4]);
    expect(s.matmul(w, t([1, 1])).item()).toBe(6);
  });

  test("shape and dtype must fit", () => {
    const w = variable([1, 2], { name: "w" });
    expect(() => w.assign([1, 2, 3])).toThrow(/w\.assign: the variable is f32\[2\], the value is f32\[3\]/);
    expect(() => w.assign(t([1, 2], { dtype: "i32" }))).toThrow(/w\.assign.*f32\[2\].*i32\[2\]/);
    expect(() => w.assignAdd(t([[1, 2]]))).toThrow(/does not broadcast/);
    expect(w.arraySync()).toEqual([1, 2]);
  });
});

onBackends("gradients", () => {
  test("of one argument, several, trees, numbers", () => {
    const f = (x: s.Tensor, y: s.Tensor): s.Tensor => x.mul(y).sum();
    expect(
      s
        .grad(f)(t([1, 2]), t([3, 4]))
        .arraySync(),
    ).toEqual([3, 4]);
    const both = s.grad(f, { argnums: [0, 1] })(t([1, 2]), t([3, 4])) as unknown as s.Tensor[];
    expect(both.map((g) => g.arraySync())).toEqual([
      [3, 4],
      [1, 2],
    ]);
    const tree = s.grad((p: { w: s.Tensor; b: s.Tensor[] }) => p.w.square().add(p.b[0]!).sum())({
      w: t([1, 2]),
      b: [t([1, 1])],
    });
    expect([tree.w.arraySync(), tree.b[0]!.arraySync()]).toEqual([
      [2, 4],
      [1, 1],
    ]);
    expect(
      s
        .grad((x: number) => t(x as unknown as s.Tensor).pow(3))(2)
        .item(),
    ).toBe(12);
  });

  test("with value and aux", () => {
    const [value, g] = s.valueAndGrad((x: s.Tensor) => x.square().sum())(t([1, 2]));
    expect([value.item(), g.arraySync()]).toEqual([5, [2, 4]]);
    const [out, h] = s.valueAndGrad((x: s.Tensor) => [x.square().sum(), { twice: x.mul(2) }], { hasAux: true })(
      t([1, 2]),
    );
    const [v, aux] = out as unknown as [s.Tensor, { twice: s.Tensor }];
    expect([v.item(), aux.twice.arraySync(), h.arraySync()]).toEqual([5, [2, 4], [2, 4]]);
  });

  test("of higher order, compiled and not", () => {
    const f = (x: s.Tensor): s.Tensor => x.pow(4).sum();
    const second = s.grad((x: s.Tensor) => s.grad(f)(x).sum());
    const third = s.grad((x: s.Tensor) => second(x).sum());
    expectClose(second(t([1, 2])).arraySync(), [12, 48]);
    expectClose(third(t([1, 2])).arraySync(), [24, 48]);
    expectClose(compile(third)(t([1, 2])).arraySync(), [24, 48]);
  });

  test("through softmax and matmul, against differences", () => {
    const w = t([
      [0.1, -0.2],
      [0.3, 0.4],
      [0.5, -0.6],
    ]);
    const f = (x: s.Tensor): s.Tensor => x.matmul(w).logSoftmax().at(null, 0).mean().neg();
    const x = t([
      [1, 2, 3],
      [0, -1, 1],
    ]);
    const g = compile(s.grad(f))(x).dataSync();
    const base = [...x.dataSync()];
    base.forEach((value, i) => {
      const shifted = (by: number): number => {
        const copy = [...base];
        copy[i] = value + by;
        return f(t(copy).reshape([2, 3])).item() as number;
      };
      expectClose(g[i], (shifted(0.01) - shifted(-0.01)) / 0.02, 1e-3);
    });
  });

  test("with respect to variables, inside a training step", () => {
    const w = variable([0, 0], { name: "w" });
    const b = variable(0, { name: "b" });
    const seen = variable(0, { name: "seen", trainable: false });
    const step = compile((x: s.Tensor, y: s.Tensor) => {
      const { value, grads } = s.gradients(() => {
        seen.assignAdd(1);
        return x.matmul(w).add(b).sub(y).square().mean();
      }, [w, b]);
      w.assignSub(grads[0]!.mul(0.1));
      b.assignSub(grads[1]!.mul(0.1));
      return value;
    });
    const x = t([
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
    const y = t([2, 3, 5]);
    let loss = 0;
    for (let i = 0; i < 400; i++) loss = step(x, y).item() as number;
    expect(loss).toBeLessThan(1e-3);
    expectClose(w.arraySync(), [2, 3], 0.05);
    expect(seen.item()).toBe(400);
    expect(step.traces).toBe(1);
  });

  test("eagerly, and all trainable variables by default", () => {
    const w = variable([1, 2]);
    const fixed = variable([5, 5], { trainable: false });
    const { value, grads, variables } = s.gradients(() => w.mul(fixed).sum());
    expect(value.item()).toBe(15);
    expect(variables).toEqual([w]);
    expect(grads[0]!.arraySync()).toEqual([5, 5]);
    const unused = s.gradients(() => w.sum(), [w, variable([1, 1])]);
    expect(unused.grads[1]!.arraySync()).toEqual([0, 0]);
  });

  test("stopGradient stops", () => {
    expect(
      s
        .grad((x: s.Tensor) => x.mul(x.stopGradient()).sum())(t([3]))
        .arraySync(),
    ).toEqual([3]);
  });

  test("misuse says what is wrong", () => {
    expect(() => s.grad((x: s.Tensor) => x.mul(2))(t([1, 2]))).toThrow(/must return a float scalar.*f32\[2\]/);
    expect(() => s.grad((x: s.Tensor) => x.sum())(t([1], { dtype: "i32" }))).toThrow(/argument 0.*i32\[1\]/);
    expect(() => s.grad((x: s.Tensor) => x.sum(), { argnums: 3 })(t(1))).toThrow(/argnums names argument 3/);
  });
});

test("branches that may be tensors are found, others are not", () => {
  const found = (f: (...args: never[]) => unknown): string | undefined => suspiciousBranch(f.toString());
  expect(suspiciousBranch("(x) => { if (x.gt(0)) return x; }")).toBe("if (x.gt(0))");
  expect(suspiciousBranch("(x) => { while (x.any()) x = x.sub(1); }")).toBe("while (x.any())");
  expect(suspiciousBranch("(x) => x.any() ? x : x.neg()")).toBe("x.any()");
  expect(suspiciousBranch("(x) => x && x.neg()")).toBe("x");
  expect(
    suspiciousBranch("(x, n) => { if (n > 2 && x.rank === 1) return x; return n === 0 ? x : x.neg(); }"),
  ).toBeUndefined();
  expect(suspiciousBranch("(x) => x?.add(1) ?? x")).toBeUndefined();
  expect(suspiciousBranch('(x) => { /* if (x) */ // while (x)\n return x.add("a ? b : c".length); }')).toBeUndefined();
  expect(found((x: { add(y: number): unknown }) => x.add(1))).toBeUndefined();
});

test("a function whose source branches on what may be a tensor is refused, before it is called", () => {
  const branching = (source: string) => new Function(`return (${source})`)() as (...args: unknown[]) => s.Tensor;
  const f = branching("(x) => { if (x.any()) return x; return x; }");
  const refused = compile(f, { name: "f" });
  expect(() => refused(t(1))).toThrow(
    /f branches on if \(x\.any\(\)\)\..*"sinter\/vite".*node --import sinter\/register.*sinter autograph build.*where\(.*cond\(.*whileLoop\(.*autograph: false/s,
  );
  expect(() => refused.lower(t(1))).toThrow(/branches on/);
  expect(() => compile((x: s.Tensor) => refused(x))(t(1))).toThrow(/branches on/);
  expect(refused.traces).toBe(0);
  compile(f, { autograph: false })(t(1));
  const b = compile(branching("function b(x, training) { return training ? x.add(1) : x }"));
  b(t(1), true);
  b(t(1), false);
  b(t(1));
  compile(branching("(x, o) => { if (!o.training && o.rate) return x; return x.neg(); }"))(t(1), { training: true });
  compile(branching("(x, list) => list && x"))(t(1), [1, 2]);
  const named = (call: () => unknown): string | undefined => {
    try {
      call();
    } catch (error) {
      return /branches on (.*?)\. If that/.exec((error as Error).message)?.[1];
    }
    return undefined;
  };
  expect([
    named(() => compile(branching("function b(x, training) { return training ? x.add(1) : x }"))(t(1), t(1))),
    named(() =>
      compile(branching("(x, o) => { if (!o.training && x) return x; return x.neg(); }"))(t(1), { training: true }),
    ),
    named(() => compile(branching("(x, o) => { if (o.mask) return x; return x.neg(); }"))(t(1), { mask: t(1) })),
    named(() => compile(branching("(x, list) => list.length ? list.at(0) ? x : x : x"))(t(1), [t(1)])),
  ]).toEqual(["training", "if (!o.training && x)", "if (o.mask)", "list.at(0)"]);
});

test("a function that the source transform has seen is trusted, and its captured values are watched", () => {
  type Compile = (fn: (x: s.Tensor) => s.Tensor, options: object, site: object) => (x: s.Tensor) => s.Tensor;
  const transformed = compile as unknown as Compile;
  let rate = 2;
  const site = { captures: () => [rate], names: ["rate"] };
  const f = transformed((x) => (x && rate > 1 ? x.mul(rate) : x), { name: "f" }, site);
  expect(f(t(3)).item()).toBe(6);
  const outer = compile((x: s.Tensor) => f(x).add(1), { name: "outer" });
  expect(outer(t(3)).item()).toBe(7);
  rate = 5;
  const message =
    /f: the captured variable rate was 2 when the function was traced, and is 5 now.*Pass rate as an argument/;
  expect(() => f(t(3))).toThrow(message);
  expect(() => outer(t(3))).toThrow(message);
  rate = 2;
  expect(f(t(4)).item()).toBe(8);
  let traces = 0;
  const counting = { captures: () => [traces], names: ["traces"] };
  const count = (x: s.Tensor) => {
    traces++;
    return x.add(1);
  };
  const g = transformed(count, {}, counting);
  for (const x of [t(1), t([1]), t(1), t([1])]) g(x);
  expect(traces).toBe(2);
});

test("async and generator functions are refused at once", () => {
  let called = 0;
  const count = () => called++;
  expect(() => compile(async () => count())).toThrow(/async function: .*cannot wait/);
  expect(() =>
    compile(function* () {
      yield count();
    }),
  ).toThrow(/generator function/);
  expect(called).toBe(0);
});
