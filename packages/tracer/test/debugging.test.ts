// debug: true. Which operation is named, in which pass and round, what is told of its operands, and what is no mistake.
import { compilerStats } from "@sinter/runtime";
import { afterEach, describe, expect, test, vi } from "vitest";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

const t = s.tensor;
const i32 = (data: number | number[]): s.Tensor => s.tensor(data, { dtype: "i32" });

/** A function in a debug build. */
function debug<A extends readonly unknown[], R>(fn: (...args: A) => R): s.CompiledFunction<A, R> {
  return s.compile(fn, { debug: true, name: "f", autograph: false });
}

/** What a call throws: the error, with its message without the places, which end in this file's name. */
function failure(call: () => unknown): s.NonFiniteError | s.BoundsError {
  try {
    call();
  } catch (error) {
    if (error instanceof s.NonFiniteError || error instanceof s.BoundsError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

const text = (call: () => unknown): string =>
  failure(call)
    .message.replace(/\S*\/([\w.-]+\.ts):\d+:\d+/g, "$1")
    .replace(/\n {4}at .*/g, "");

onBackends("what makes NaN or an infinity", () => {
  test("is named with its line, operands and element, and the next call works", () => {
    const f = debug((x: s.Tensor) => x.sub(1).log().mul(2));
    expect(f(t([2, 2])).arraySync()).toEqual([0, 0]);
    const error = failure(() => f(t([2, 1, 3])));
    expect(error).toBeInstanceOf(s.NonFiniteError);
    expect(error).toBeInstanceOf(s.SinterError);
    expect(error.message.split("\n").slice(0, 4)).toEqual([
      "f: log gives -Infinity at [1], of 0",
      "  result f32[3] = [0, -Infinity, 0.693147]",
      "  operand f32[3] = [1, 0, 2]",
      "  forward pass; no variable has changed",
    ]);
    expect(error.where).toMatch(/debugging\.test\.ts:\d+:\d+$/);
    expect(error.details).toMatchObject({ name: "log", op: "log", backward: false, rounds: [], element: [1] });
    expect([...error.details!.operands[0]!.data]).toEqual([1, 0, 2]);
    expect(f(t([2, 2, 2])).arraySync()).toEqual([0, 0, 0]);
  });

  test("in the backward pass is named by what was written", () => {
    const f = debug((x: s.Tensor) => s.grad((y: s.Tensor) => y.sqrt().sum())(x));
    expect(f(t([1, 4])).arraySync()).toEqual([0.5, 0.25]);
    expect(text(() => f(t([1, 0])))).toBe(
      "f: sqrt (div) gives Infinity at [1], of 0.5 and 0\n" +
        "  result f32[2] = [0.5, Infinity]\n  operand 0 f32[] = 0.5\n  operand 1 f32[2] = [1, 0]\n" +
        "  backward pass; no variable has changed",
    );
    expect(failure(() => f(t([0]))).details!.backward).toBe(true);
  });

  test("behind where, that is the gradient of what was left out", () => {
    const guarded = (x: s.Tensor): s.Tensor => s.where(x.gt(0), x.log(), 0);
    expect(debug(guarded)(t([0, 1])).arraySync()).toEqual([0, 0]);
    const f = debug((x: s.Tensor) => s.grad((y: s.Tensor) => guarded(y).sum())(x));
    expect(text(() => f(t([0, 1])))).toMatch(
      /^f: log \(div\) gives NaN at \[0\], of 0 and 0\n(?:.*\n)*.*backward pass/,
    );
  });

  test("in a branch counts where the branch is taken", () => {
    const f = debug((x: s.Tensor, take: s.Tensor) =>
      s.cond(
        take,
        () => x.log(),
        () => x.mul(2),
      ),
    );
    expect(f(t([0, 1]), t(false)).arraySync()).toEqual([0, 2]);
    expect(text(() => f(t([0, 1]), t(true)))).toMatch(/^f: log gives -Infinity at \[0\], of 0/);
  });

  test("in a loop is named with the round, of nested loops with both", () => {
    const f = debug((x: s.Tensor) =>
      s.fori(
        0,
        3,
        (i: s.Tensor, c: s.Tensor) =>
          s.fori(0, 4, (j: s.Tensor, d: s.Tensor) => d.add(t(1).div(i.mul(10).add(j).sub(12).cast("f32"))), c),
        x,
      ),
    );
    const error = failure(() => f(t(1)));
    expect(error.details!.rounds).toEqual([1, 2]);
    expect(text(() => f(t(1)))).toMatch(
      /forward pass, round 2 \(from 0\) of the loop at debugging\.test\.ts, round 1 \(from 0\) of the loop at debugging\.test\.ts; no variable/,
    );
  });

  test("in a scan is named with the place along the axis, backward too", () => {
    const roots = (x: s.Tensor): s.Tensor =>
      s.scan((c: s.Tensor, v: s.Tensor) => [c.add(v.sqrt()), c], t(1), x)[0] as s.Tensor;
    const forward = debug((x: s.Tensor) => roots(x));
    expect(failure(() => forward(t([1, 4, -1, 1]))).details!.rounds).toEqual([2]);
    const back = debug((x: s.Tensor) => s.grad(roots)(x));
    expect(failure(() => back(t([1, 4, 1, 0]))).details).toMatchObject({ rounds: [3], backward: true, name: "sqrt" });
  });

  test("in the test of a loop is found before the loop believes it", () => {
    const f = debug((x: s.Tensor) =>
      s.whileLoop(
        (c: s.Tensor) => c.log().lt(3),
        (c: s.Tensor) => c.sub(1),
        x,
      ),
    );
    expect(failure(() => f(t(3))).details).toMatchObject({ name: "log", rounds: [3] });
    expect(failure(() => f(t(0))).details).toMatchObject({ name: "log", rounds: [0] });
    expect(f(t(30)).item()).toBe(30);
  });

  test("ends a loop that would never end", () => {
    const f = debug((x: s.Tensor) =>
      s.whileLoop(
        (c: s.Tensor) => c.le(1).or(s.isNaN(c)),
        (c: s.Tensor) => c.sub(c).div(c.sub(c)),
        x,
      ),
    );
    expect(failure(() => f(t(1))).details).toMatchObject({ name: "div", rounds: [0] });
  });

  test("is the first that ran, not the first that was written", () => {
    const f = debug((x: s.Tensor) =>
      s.fori(0, 3, (i: s.Tensor, c: s.Tensor) => c.add(t(1).div(i.sub(2))).add(t(1).div(i.sub(1))), x),
    );
    const error = failure(() => f(t(1)));
    expect(error.details!.rounds).toEqual([1]);
  });

  test("in sums, products, batches, checkpoints and functions with derivatives of their own", () => {
    expect(text(() => debug((x: s.Tensor) => x.sum())(t([3e38, 3e38])))).toBe(
      "f: sum (reduce) gives Infinity\n  result f32[] = Infinity\n  operand f32[2] = [3e+38, 3e+38]\n" +
        "  forward pass; no variable has changed",
    );
    const product = debug((x: s.Tensor) => x.matmul(x));
    expect(text(() => product(t([[3e38], [1]]).matmul(t([[1, 1]]))))).toMatch(
      /^f: matmul \(dot\) gives Infinity at \[0, 0\]/,
    );
    const batch = debug((x: s.Tensor) => s.vmap((y: s.Tensor) => y.log())(x));
    expect(failure(() => batch(t([1, 0]))).details).toMatchObject({ name: "log", element: [1] });
    const again = debug((x: s.Tensor) => s.grad((y: s.Tensor) => s.checkpoint((z: s.Tensor) => z.sqrt().sum())(y))(x));
    expect(failure(() => again(t([3, 0]))).details).toMatchObject({ name: "sqrt", backward: true, element: [1] });
    const own = s.customVjp(
      (x: s.Tensor) => x.log(),
      (x: s.Tensor) => [x.log(), x],
      (x: s.Tensor, ct: s.Tensor) => [ct.div(x.sub(1))],
    );
    const custom = debug((x: s.Tensor) => s.grad((y: s.Tensor) => own(y).sum())(x));
    expect(failure(() => custom(t([1, 2]))).details).toMatchObject({ op: "div", element: [0] });
  });

  test("NaN out of infinities is made too: a row of softmax that is masked altogether", () => {
    const f = debug((x: s.Tensor) => s.where(x.gt(0), x, -Infinity).softmax());
    expect(f(t([0, 1])).arraySync()).toEqual([0, 1]);
    expect(text(() => f(t([0, 0])))).toMatch(/^f: softmax \(sub\) gives NaN at \[0\], of -Infinity and -Infinity/);
  });
});

onBackends("what is no mistake", () => {
  const fine: readonly (readonly [string, (x: s.Tensor) => unknown, number[]])[] = [
    ["NaN that was given", (x) => x.exp().add(1), [Number.NaN, 1]],
    [
      "infinities that were written",
      (x) =>
        x
          .mul(0)
          .add(s.full([2], -Infinity))
          .maximum(x),
      [1, 2],
    ],
    ["masks of softmax", (x) => s.where(x.gt(0), x, -Infinity).logSoftmax(), [0, 1]],
    ["the other side of elu", (x) => s.grad((y: s.Tensor) => y.elu().sum())(x), [1000, -1000]],
    ["the other side of pow", (x) => s.grad((y: s.Tensor) => y.pow(2).sum())(x), [0, 2]],
    ["a scalar that is left out", (x) => s.where(x.gt(5), x.mul(t(1).div(x.sum())), x), [0, 0]],
    ["normal numbers", (x) => s.random.normal(s.random.key(1), [64]).add(x.sum()), [0, 0]],
    ["sorting", (x) => x.sort(), [2, 1]],
    ["what nobody uses", (x) => [x.log(), x][1], [0, 1]],
  ];
  test.each(fine)("%s", (_, body, data) => {
    const f = debug((x: s.Tensor) => body(x) as s.Tensor);
    const plain = s.compile((x: s.Tensor) => body(x) as s.Tensor, { autograph: false });
    expect(f(t(data)).arraySync()).toEqual(plain(t(data)).arraySync());
  });
});

onBackends("positions out of range", () => {
  const x = (): s.Tensor => t([3, 1, 4]);
  const bad: readonly (readonly [string, () => unknown, string])[] = [
    [
      "gather",
      () => debug((a: s.Tensor, i: s.Tensor) => a.gather(i, 0))(x(), i32([0, 3])),
      "f: gather takes index 3 (element [1] of its indices), but axis 0 of f32[3] has positions 0 to 2. Without debug it would be taken for 2",
    ],
    [
      "takeAlongAxis",
      () => debug((a: s.Tensor, i: s.Tensor) => a.takeAlongAxis(i, 0))(x(), i32([5, 1, 0])),
      "f: takeAlongAxis (gather) takes index 5 (element [0] of its indices), but axis 0 of f32[3] has positions 0 to 2. Without debug it would be taken for 2",
    ],
    [
      "at",
      () => debug((a: s.Tensor, i: s.Tensor) => a.at(i))(x(), i32(-1)),
      "f: at (gather) takes index -1, but axis 0 of f32[3] has positions 0 to 2. Without debug it would be taken for 0",
    ],
    [
      "set",
      () => debug((a: s.Tensor, i: s.Tensor) => a.set(i, 5))(x(), i32(3)),
      "f: set (scatter) takes index 3, but axis 0 of f32[3] has positions 0 to 2. Without debug it would be taken for 2",
    ],
    [
      "addAt in a loop",
      () => debug((a: s.Tensor) => s.fori(0, 5, (i: s.Tensor, c: s.Tensor) => c.addAt(i, 1), a))(x()),
      "f: addAt (scatter) takes index 3, but axis 0 of f32[3] has positions 0 to 2. Without debug it would be taken for 2",
    ],
  ];
  test.each(bad)("of %s", (name, call, message) => {
    const error = failure(call);
    expect(error).toBeInstanceOf(s.BoundsError);
    expect(error.message.split("\n")[0]).toBe(message);
    expect(error.where).toContain("debugging.test.ts");
    expect(error.details!.rounds).toEqual(name.includes("loop") ? [3] : []);
  });

  test("clamp elsewhere", () => {
    expect(
      s
        .compile((a: s.Tensor, i: s.Tensor) => a.gather(i, 0))(x(), i32([0, 3]))
        .arraySync(),
    ).toEqual([3, 4]);
  });
});

onBackends("a call that fails", () => {
  test("changes no variable and no tensor that is held", () => {
    const w = s.variable(t([1, 2]), { name: "w" });
    const f = debug((x: s.Tensor) => {
      w.assign(w.value.mul(2));
      w.assign(w.value.div(x));
      return w.value.sum();
    });
    expect(f(t([1, 2])).item()).toBe(4);
    const before = w.value;
    const x = t([1, 0]);
    expect(failure(() => f(x)).message).toContain("div gives Infinity at [1], of 4 and 0");
    expect(w.value.arraySync()).toEqual([2, 2]);
    expect(before.arraySync()).toEqual([2, 2]);
    const { tensors, liveBytes } = s.memory();
    failure(() => f(x));
    expect(s.memory()).toMatchObject({ tensors, liveBytes });
    expect(f(t([2, 2])).item()).toBe(4);
  });

  test("says of a check that failed too", () => {
    const f = debug((x: s.Tensor) => {
      const y = x.log();
      s.assert(y.gt(-100).all(), "too small");
      return y;
    });
    const error = failure(() => f(t([0])));
    expect(error.message).toContain("a check of the function failed in the same call: too small");
    expect(error.cause).toBeInstanceOf(s.AssertionError);
    expect(() => f(t([1e-44]))).toThrow(s.AssertionError);
  });

  test("asks the host nothing twice, and prints nothing twice", () => {
    const printed: string[] = [];
    const before = s.setPrintSink((line) => printed.push(line));
    let asked = 0;
    try {
      const f = debug((x: s.Tensor) => {
        s.print("x is {}", x);
        const y = s.hostCall((v: s.Tensor) => v.sub(++asked), s.spec([2]), x);
        return y.log();
      });
      expect(text(() => f(t([2, 1])))).toMatch(
        /^f: log gives -Infinity at \[1\], of 0\n {2}result f32\[2\] = \[0, -Infinity\]/,
      );
    } finally {
      s.setPrintSink(before);
    }
    expect(asked).toBe(1);
    expect(printed).toEqual(["x is [2, 1]"]);
  });
});

onBackends("outside compiled functions", () => {
  const f = debug((x: s.Tensor) => x.sqrt().sum());
  const ends = "backward pass; no variable has changed";

  test.each<[string, () => unknown]>([
    ["grad", () => s.grad(f)(t([0, 1]))],
    ["valueAndGrad", () => s.valueAndGrad(f)(t([0, 1]))],
    ["grad of a function that calls it", () => s.grad((x: s.Tensor) => f(x.mul(1)))(t([0, 1]))],
    ["vjp", () => s.vjp(f, t([0, 1]))[1](t(1))],
  ])("%s is looked at", (_, call) => {
    const lines = text(call).split("\n");
    expect(lines[0]).toMatch(/: sqrt \(div\) gives Infinity at \[0\], of 0.5 and 0$/);
    expect(lines.at(-1)!.trim()).toBe(ends);
    expect(failure(call)).toMatchObject({ details: { backward: true }, where: expect.stringContaining("debugging") });
  });

  test("gradients, vmap, jvp, linearize and a loop too; what is fine is as it was", () => {
    const w = s.variable(t([-1, 1]), { name: "w" });
    const loss = debug(() => {
      w.assign(w.value.mul(2));
      return w.value.log().sum();
    });
    expect(text(() => s.gradients(() => loss(), [w]))).toMatch(/: log gives NaN at \[0\], of -2\n/);
    expect(w.value.arraySync()).toEqual([-1, 1]);
    const log = debug((x: s.Tensor) => x.log());
    const xs = t([-1, 1]);
    expect(text(() => s.vmap(log)(xs))).toContain("log gives NaN at [0], of -1");
    expect(text(() => s.jvp(f, [t([0, 1])], [t([1, 1])]))).toContain("sqrt (div) gives Infinity");
    const [, push] = s.linearize((x: s.Tensor) => log(x).mul(x.mul(x)).sum(), t([1, 2]));
    expect(push(t([1, 0])).item()).toBe(1);
    expect(text(() => push(t([Infinity, 0])))).toContain("gives NaN");
    expect(text(() => s.fori(0, 2, (_: s.Tensor, x: s.Tensor) => log(x), t(1)))).toContain("log gives -Infinity, of 0");
    expect(
      s
        .grad(f)(t([1, 4]))
        .arraySync(),
    ).toEqual([0.5, 0.25]);
    const { tensors, liveBytes } = s.memory();
    failure(() => s.vmap(log)(xs));
    expect(s.memory()).toMatchObject({ tensors, liveBytes });
  });

  test("checks, prints and verify: true as in a program", () => {
    const printed: string[] = [];
    const before = s.setPrintSink((line) => printed.push(line));
    try {
      const g = s.compile(
        (x: s.Tensor) => {
          s.print("x is {}", x);
          s.assert(x.gt(-2).all(), "too small");
          return x.log().sum();
        },
        { debug: true, verify: true, name: "g" },
      );
      expect(
        s
          .grad(g)(t([2, 4]))
          .arraySync(),
      ).toEqual([0.5, 0.25]);
      const error = failure(() => s.grad(g)(t([-3, 1])));
      expect(error.message).toContain("log gives NaN at [0], of -3");
      expect(error.cause).toBeInstanceOf(s.AssertionError);
    } finally {
      s.setPrintSink(before);
    }
    expect(printed).toEqual(["x is [2, 4]", "x is [-3, 1]"]);
  });
});

describe("how it is asked for", () => {
  afterEach(() => vi.unstubAllEnvs());

  test("by a function that is called inside", () => {
    const inner = debug((x: s.Tensor) => x.log());
    const outer = s.compile((x: s.Tensor) => inner(x).add(1), { name: "outer" });
    expect(failure(() => outer(t([0]))).message).toMatch(/^outer: log gives -Infinity/);
  });

  test("by the environment, unless the options say otherwise", () => {
    for (const value of ["", "0", "false"]) {
      vi.stubEnv("SINTER_DEBUG", value);
      expect(
        s
          .compile((x: s.Tensor) => x.log())(t([0]))
          .arraySync(),
      ).toEqual([-Infinity]);
    }
    vi.stubEnv("SINTER_DEBUG", "1");
    const f = s.compile((x: s.Tensor) => x.log());
    expect(() => f(t([0]))).toThrow(s.NonFiniteError);
    const off = s.compile((x: s.Tensor) => x.log(), { debug: false });
    expect(off(t([0])).arraySync()).toEqual([-Infinity]);
  });

  test("another program than without, one for all that fail", () => {
    s.setBackend("wasm");
    const f = debug((x: s.Tensor) => x.sub(0.125).log());
    f(t([7]));
    const before = compilerStats().compilations;
    f(t([7]));
    expect(compilerStats().compilations).toBe(before);
    failure(() => f(t([0.125])));
    const looked = compilerStats().compilations;
    failure(() => f(t([0.125])));
    expect(compilerStats().compilations).toBe(looked);
    expect(looked).toBeLessThanOrEqual(before + 3);
  });
});
