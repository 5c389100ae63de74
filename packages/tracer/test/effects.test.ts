// print and hostCall: what happens, in which order, and what is left when something throws. On both backends.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compilerStats } from "@sinter/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import {
  assert,
  checkpoint,
  compile,
  cond,
  customVjp,
  fori,
  grad,
  gradients,
  hessian,
  hostCall,
  linearize,
  memory,
  print,
  scan,
  setBackend,
  setPrintSink,
  spec,
  stopGradient,
  switchCase,
  type Tensor,
  tensor,
  type Variable,
  valueAndGrad,
  variable,
  vjp,
  vmap,
  whileLoop,
  withEager,
  zeros,
} from "../src/index.ts";

await programsOnWebgpu("Effects");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let log: string[] = [];
beforeEach(() => {
  log = [];
  setPrintSink((text) => log.push(text));
});
afterEach(() => {
  setPrintSink(undefined);
  setBackend("wasm");
});

/** What a run logs. */
function logged(run: () => unknown): string[] {
  run();
  return log.splice(0);
}

/** What a function logs: compiled for each backend, and eagerly, which must be the same. */
function everywhere<A extends readonly unknown[]>(fn: (...args: A) => unknown, ...args: A): string[] {
  const eager = logged(() => fn(...args));
  for (const backend of ["reference", "wasm"] as const) {
    const compiled = compile(fn, { backend, autograph: false });
    for (let i = 0; i < 2; i++) expect(logged(() => compiled(...args))).toEqual(eager);
  }
  return eager;
}

/** JavaScript lets anything be thrown. */
const notAnError = "just text" as unknown as Error;

const note = (x: Tensor): void => {
  log.push(`noted ${x}`);
};

describe("what is printed", () => {
  test("tensors as their elements, static values, trees of both", () => {
    const text = (value: unknown): string => logged(() => print("{}", value))[0]!;
    expect(text(tensor(0.1))).toBe("0.1");
    expect(
      text(
        tensor([
          [1, -0],
          [Number.NaN, 4],
        ]),
      ),
    ).toBe("[[1, -0],\n [NaN, 4]]");
    expect(text(tensor([true, false]))).toBe("[true, false]");
    expect(text(zeros([0]))).toBe("[]");
    expect(text(zeros([2000]))).toBe("[0, 0, 0, ..., 0, 0, 0]");
    expect(text(variable(tensor(3)))).toBe("3");
    expect(text(new Float64Array([1, 0.1]))).toBe("[1, 0.1]");
    expect([3, -0, true, "a {}", null, undefined, 5n].map(text)).toEqual([
      "3",
      "-0",
      "true",
      "a {}",
      "null",
      "undefined",
      "5",
    ]);
    expect(text({ x: tensor(1), list: [2, tensor([3])], f: text })).toBe(
      "{x: 1, list: [2, [3]], f: a function (text)}",
    );
  });

  test("the format is text but for {}", () => {
    expect(everywhere(() => print("no values: { } {{"))).toEqual(["no values: { } {{"]);
    expect(everywhere((x: Tensor) => print('{}{} "{}" \\ \n # ü {}', x, 1, x, "{}"), tensor(2))).toEqual([
      '21 "2" \\ \n # ü {}',
    ]);
  });

  test("goes to the console unless it is said where", () => {
    const before = setPrintSink(undefined);
    const { log: original } = console;
    const seen: unknown[] = [];
    console.log = (...args: unknown[]) => seen.push(args);
    try {
      compile((x: Tensor) => print("x = {}", x))(tensor(1));
    } finally {
      console.log = original;
      expect(setPrintSink(before)).toBe(undefined);
    }
    expect(seen).toEqual([["x = 1"]]);
  });
});

describe("order", () => {
  const first = compile((x: Tensor) => {
    print("inner {}", x);
    hostCall(note, null, x.mul(10));
    return x.add(1);
  });

  test("prints, calls and checks, in compiled functions inside too", () => {
    const fn = (x: Tensor): Tensor => {
      print("start");
      const y = first(x);
      hostCall(note, null, y);
      assert(y.gt(0), "never");
      print("between");
      const z = hostCall((v: Tensor) => v.mul(2), spec([]), first(y));
      print("end {}", z);
      return z;
    };
    expect(everywhere(fn, tensor(1))).toEqual([
      "start",
      "inner 1",
      "noted f32[] 10",
      "noted f32[] 2",
      "between",
      "inner 2",
      "noted f32[] 20",
      "end 6",
    ]);
  });

  test("the same line twice is printed twice, with constants or without", () => {
    const fn = (x: Tensor): void => {
      for (let i = 0; i < 2; i++) {
        print("again");
        print("{} {}", x, tensor(1));
      }
    };
    expect(everywhere(fn, tensor(5))).toEqual(["again", "5 1", "again", "5 1"]);
  });

  test("ten rounds print ten times, in loops of each kind", () => {
    const rounds = Array.from({ length: 10 }, (_, i) => `${i}: ${2 ** i}`);
    const round = (i: Tensor, c: Tensor): Tensor => {
      print("{}: {}", i, c);
      return c.mul(2);
    };
    expect(everywhere((x: Tensor) => fori(0, 10, round, x), tensor(1))).toEqual(rounds);
    const i32 = (value: number): Tensor => tensor(value, { dtype: "i32" });
    const bounded = (x: Tensor, count: Tensor): unknown =>
      whileLoop(
        ({ i }) => {
          print("test {}", i);
          return i.lt(count);
        },
        ({ i, c }) => ({ i: i.add(1), c: round(i, c) }),
        { i: i32(0), c: x },
        { maxIterations: 10 },
      );
    const tests = rounds.flatMap((text, i) => [`test ${i}`, text]);
    expect(everywhere(bounded, tensor(1), i32(99))).toEqual(tests);
    expect(everywhere(bounded, tensor(1), i32(3))).toEqual([...tests.slice(0, 6), "test 3"]);
    const xs = tensor(Array.from({ length: 10 }, (_, i) => i));
    const stepped = (x: Tensor, given: Tensor): unknown =>
      scan((c, i: Tensor) => [round(i, c as Tensor), null], x, given);
    expect(everywhere(stepped, tensor(1), xs)).toEqual(rounds);
    expect(everywhere(stepped, tensor(1), xs.slice([0], [1]))).toEqual(rounds.slice(0, 1));
    expect(everywhere(stepped, tensor(1), xs.slice([0], [0]))).toEqual([]);
  });

  test("the branch that is taken", () => {
    const fn = (x: Tensor): Tensor =>
      cond(
        x.gt(0),
        () => {
          print("positive {}", x);
          return switchCase(x.cast("i32"), [
            () => x,
            () => {
              print("one");
              return x.add(1);
            },
            () => hostCall((v: Tensor) => v.mul(100), spec([]), x),
          ]);
        },
        () => {
          print("not");
          return x;
        },
      );
    expect(everywhere(fn, tensor(-1))).toEqual(["not"]);
    expect(everywhere(fn, tensor(1))).toEqual(["positive 1", "one"]);
    expect(everywhere(fn, tensor(7))).toEqual(["positive 7"]);
    expect(compile(fn)(tensor(7)).item()).toBe(700);
  });
});

describe("what fails", () => {
  test("a check between two prints: the first happened, the second does not, and neither does what a loop would print", () => {
    const fn = compile((x: Tensor) => {
      print("first {}", x);
      assert(x.lt(2), "too large");
      print("second");
      return fori(
        0,
        3,
        (i, c) => {
          print("round {}", i);
          assert(c.add(i).lt(2.5), "grew");
          return c;
        },
        x,
      );
    });
    expect(() => fn(tensor(3))).toThrow("too large");
    expect(log.splice(0)).toEqual(["first 3"]);
    expect(() => fn(tensor(1))).toThrow("grew");
    expect(log.splice(0)).toEqual(["first 1", "second", "round 0", "round 1", "round 2"]);
    expect(logged(() => fn(tensor(0)))).toEqual(["first 0", "second", "round 0", "round 1", "round 2"]);
  });

  test.each(["wasm", "reference"] as const)("what a function throws arrives as it is: %s", (backend) => {
    class Mine extends Error {
      readonly code = 7;
    }
    const w = variable(tensor([1, 2]), { name: "w" });
    const old = w.value;
    const step = compile(
      (x: Tensor) => {
        w.assignAdd(x);
        const y = hostCall(
          (v: Tensor) => {
            if (v.item() === 3) throw new Mine("three");
            return v;
          },
          spec([]),
          w.value.sum(),
        );
        w.assignAdd(y);
        print("after");
        return y;
      },
      { backend },
    );
    let thrown: unknown;
    try {
      step(tensor([0, 0]));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Mine);
    expect((thrown as Mine).code).toBe(7);
    expect(String((thrown as Mine).cause)).toMatch(
      /thrown by the function in hostCall \(called at .*effects\.test\.ts:\d+/,
    );
    expect(log).toEqual([]);
    // Nothing was assigned, and the next call works.
    expect([...w.value.dataSync()]).toEqual([1, 2]);
    expect(step(tensor([1, 1])).item()).toBe(5);
    expect([...w.value.dataSync()]).toEqual([7, 8]);
    expect([...old.dataSync()]).toEqual([1, 2]);
    expect(log).toEqual(["after"]);
  });

  test("anything may be thrown, in loops, eagerly and by a sink", () => {
    const fn = (x: Tensor): Tensor =>
      fori(
        0,
        5,
        (i, c) => {
          hostCall(
            (k: Tensor) => {
              log.push(`call ${k.item()}`);
              if (k.item() === 2) throw notAnError;
            },
            null,
            i,
          );
          return c.add(1);
        },
        x,
      );
    for (const call of [fn, compile(fn)]) {
      expect(() => call(tensor(0))).toThrow("just text");
      expect(log.splice(0)).toEqual(["call 0", "call 1", "call 2"]);
    }
    setPrintSink(() => {
      throw new RangeError("full");
    });
    expect(() => compile((x: Tensor) => print("{}", x))(tensor(1))).toThrow(RangeError);
    expect(() =>
      grad((x: Tensor) => {
        print("{}", x);
        return x;
      })(tensor(1)),
    ).toThrow(RangeError);
  });
});

describe("a function of the host", () => {
  test("takes and gives trees, statics and host data", () => {
    const fn = (x: Tensor, w: Variable): unknown => {
      const found = hostCall(
        (pair: { a: Tensor; list: readonly Tensor[] }, name: string, factor: number, held: Tensor) => {
          log.push(`${name} ${factor} ${pair.a} ${pair.list[0]} ${held}`);
          return { sum: pair.a.item() as number, flags: [true, false], rows: new Float32Array([1, 2, 3, 4]), n: 3 };
        },
        { sum: spec([]), flags: spec([2], "bool"), rows: spec([2, 2]), n: spec([], "i32") },
        { a: x, list: [x.add(1)] },
        "name",
        2,
        w as unknown as Tensor,
      );
      print("{}", found);
      return found;
    };
    expect(everywhere(fn, tensor(4), variable(tensor(9)))).toEqual([
      "name 2 f32[] 4 f32[] 5 f32[] 9",
      "{flags: [true, false], n: 3, rows: [[1, 2],\n [3, 4]], sum: 4}",
    ]);
  });

  test("is called though nobody wants its result, and its tensors live on", () => {
    const kept: Tensor[] = [];
    const fn = compile((x: Tensor) => {
      hostCall(
        (v: Tensor) => {
          kept.push(v);
          return v;
        },
        spec([2]),
        x,
      );
      return x;
    });
    fn(tensor([1, 2]));
    fn(tensor([3, 4]));
    expect(kept.map(String)).toEqual(["f32[2] [1, 2]", "f32[2] [3, 4]"]);
  });

  test("may call compiled functions, the very one that calls it too, and make the memory grow", () => {
    const factorial = compile(
      (n: Tensor): Tensor =>
        cond(
          n.gt(1),
          () => n.mul(hostCall((v: Tensor) => factorial(v), spec([]), n.sub(1))),
          () => n,
        ),
    ) as unknown as (n: Tensor) => Tensor;
    expect(factorial(tensor(6)).item()).toBe(720);

    const grows = compile((x: Tensor, big: Tensor) => {
      const before = big.mul(2).cumsum(0);
      const y = hostCall(
        (v: Tensor) => {
          const { heapBytes } = memory();
          const filled: Tensor[] = [];
          while (memory().heapBytes === heapBytes && filled.length < 100) {
            filled.push(zeros([1 << 20]).add(v));
            expect(filled.at(-1)!.view()[7]).toBe(1);
          }
          expect(memory().heapBytes).toBeGreaterThan(heapBytes);
          for (const each of filled) each.dispose();
          return filled.length;
        },
        spec([]),
        x,
      );
      return before.add(y.sub(y)).sum().add(x);
    });
    const big = tensor(Array.from({ length: 1000 }, () => 1));
    expect(grows(tensor(1), big).item()).toBe(1001001);
  });

  test("may let go of what the program is using, and assign variables", () => {
    const w = variable(tensor([1, 2, 3]));
    const other = variable(tensor(0));
    const x = tensor([4, 5, 6]);
    const fn = compile((a: Tensor) => {
      hostCall(() => {
        a0?.dispose();
        w.assign(zeros([3]));
        other.assignAdd(1);
        for (let i = 0; i < 50; i++) tensor([9, 9, 9]);
      }, null);
      return a.add(w.value);
    });
    const a0: Tensor | undefined = x;
    expect([...fn(x).dataSync()]).toEqual([5, 7, 9]);
    expect([...w.value.dataSync()]).toEqual([0, 0, 0]);
    expect(other.value.item()).toBe(1);
  });

  test("sees the value that a variable had before the call", () => {
    const w = variable(tensor(1));
    const step = compile(() => {
      w.assignAdd(10);
      hostCall((inside: Tensor) => log.push(`${inside.item()} outside ${w.value.item()}`), null, w.value);
    });
    expect(logged(() => step())).toEqual(["11 outside 1"]);
    expect(logged(() => step())).toEqual(["21 outside 11"]);
  });

  test("belongs to the compiled function that calls it: equal programs are compiled once, and freed functions free it", async () => {
    const make = (text: string): ((x: Tensor) => Tensor) => {
      const held = { text };
      registry.register(held, text);
      return compile((x: Tensor) => {
        hostCall(() => log.push(held.text), null);
        return x.mul(3);
      });
    };
    const freed: string[] = [];
    const registry = new FinalizationRegistry<string>((text) => freed.push(text));
    const one = make("one");
    one(tensor(1));
    const { compilations } = compilerStats();
    make("two")(tensor(1));
    one(tensor(2));
    expect(compilerStats().compilations).toBe(compilations);
    expect(log.splice(0)).toEqual(["one", "two", "one"]);
    for (let i = 0; i < 20 && freed.length === 0; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(freed).toEqual(["two"]);
    expect(logged(() => one(tensor(1)))).toEqual(["one"]);
  });
});

describe("derivatives", () => {
  const loud = (x: Tensor): Tensor => {
    print("x {}", x);
    const y = scan(
      (c, i: Tensor) => {
        print("step {}", i);
        return [(c as Tensor).mul(x), null];
      },
      x,
      tensor([1, 2]),
    )[0] as Tensor;
    return cond(
      y.gt(0),
      () => {
        print("positive");
        return whileLoop(
          (c) => c.lt(50),
          (c) => {
            print("round {}", c);
            return c.mul(x);
          },
          y,
        );
      },
      () => y,
    );
  };
  const once = ["x 2", "step 1", "step 2", "positive", "round 8", "round 16", "round 32"];

  test("print once, on the way forward", () => {
    const slope = everywhere((x: Tensor) => print("slope {}", grad(loud)(x)), tensor(2));
    expect(slope).toEqual([...once, "slope 192"]);
    expect(everywhere((x: Tensor) => valueAndGrad(checkpoint(loud))(x), tensor(2))).toEqual(once);
    expect(everywhere((x: Tensor) => grad(grad(loud))(x), tensor(2))).toEqual(once);
    const [, pull] = vjp(loud, tensor(2));
    expect(log.splice(0)).toEqual(once);
    expect([pull(tensor(1))[0].item(), pull(tensor(2))[0].item()]).toEqual([192, 384]);
    const [, push] = linearize(loud, tensor(2));
    expect(log.splice(0)).toEqual(once);
    expect([push(tensor(1)).item(), push(tensor(2)).item()]).toEqual([192, 384]);
    expect(log).toEqual([]);
    hessian((x: Tensor) => {
      print("{}", x);
      return x.square().sum();
    })(tensor([1, 2]));
    expect(log).toEqual(["[1, 2]"]);
  });

  test("keep what the host gave in a loop, and do not ask again", () => {
    const rows = [1, 2, 3];
    const row = (i: Tensor): number => {
      log.push(`row ${i.item()}`);
      return rows[i.item() as number]!;
    };
    const fn = (x: Tensor): Tensor =>
      scan(
        (c, i: Tensor) => {
          const r = hostCall(row, spec([]), i);
          return [(c as Tensor).mul(x).add(r.mul(x)), null];
        },
        tensor(1),
        tensor([0, 1, 2], { dtype: "i32" }),
      )[0] as Tensor;
    expect(everywhere((x: Tensor) => print("{}", grad(fn)(x)), tensor(2))).toEqual(["row 0", "row 1", "row 2", "35"]);
  });

  test("are not known of what the host gives, unless customVjp says them", () => {
    const sine = (x: Tensor): Tensor => hostCall((v: Tensor) => Math.sin(v.item() as number), spec([]), x);
    expect(() => grad((x: Tensor) => sine(x).mul(x))(tensor(1))).toThrow(
      /the derivative of what the hostCall at .*effects\.test\.ts:\d+:\d+ gives is not known: put the call into a customVjp/,
    );
    const slope = grad((x: Tensor) => stopGradient(sine(x)).mul(x))(tensor(1)).item() as number;
    expect(slope).toBeCloseTo(Math.sin(1), 6);
    const known = customVjp(
      sine,
      (x: Tensor) => [sine(x), x],
      (x, ct: Tensor) => [x.cos().mul(ct)],
    );
    expect(compile(grad((x: Tensor) => known(x).mul(2)))(tensor(1)).item()).toBeCloseTo(2 * Math.cos(1), 6);
    expect(() => grad(checkpoint((x: Tensor) => sine(stopGradient(x)).mul(x)))(tensor(1))).toThrow(
      /the hostCall at .*effects\.test\.ts:\d+:\d+ is in a block that reverse mode computes again/,
    );
  });

  test("train and print", () => {
    const w = variable(tensor(1), { name: "w" });
    const step = compile((x: Tensor) => {
      const { value, grads } = gradients(() => {
        const loss = w.mul(x).sub(1).square();
        print("loss {}", loss);
        return loss;
      }, [w]);
      w.assignSub(grads[0]!.mul(0.125));
      print("w {}", w);
      return value;
    });
    step(tensor(2));
    step(tensor(2));
    expect(log).toEqual(["loss 1", "w 0.5", "loss 0", "w 0.5"]);
  });
});

describe("batches", () => {
  test("print for each example, in their order", () => {
    const fn = vmap((x: Tensor) => {
      print("lane {}", x);
      const y = hostCall((v: Tensor) => v.mul(2), spec([]), x);
      print("same");
      return y;
    });
    expect(everywhere((xs: Tensor) => print("{}", fn(xs)), tensor([1, 2]))).toEqual([
      "lane 1",
      "lane 2",
      "same",
      "same",
      "[2, 4]",
    ]);
  });

  test("only for examples that take the branch, and for as long as their loop goes on", () => {
    const fn = (x: Tensor): Tensor =>
      cond(
        x.gt(1),
        () => {
          print("large {}", x);
          return whileLoop(
            (c) => c.lt(4),
            (c) => {
              print("round {}", c);
              return c.add(1);
            },
            x,
          );
        },
        () => x.neg(),
      );
    expect(everywhere((xs: Tensor) => print("{}", vmap(fn)(xs)), tensor([1, 2, 3]))).toEqual([
      "large 2",
      "round 2",
      "round 3",
      "large 3",
      "round 3",
      "[-1, 4, 4]",
    ]);
    const slopes = (xs: Tensor): Tensor => grad((all: Tensor) => vmap(fn)(all).sum())(xs);
    expect(everywhere((xs: Tensor) => print("{}", slopes(xs)), tensor([1, 2])).at(-1)).toBe("[-1, 1]");
  });

  test("what fails for one example ends the call", () => {
    const fn = compile(
      vmap((x: Tensor) => {
        hostCall(
          (v: Tensor) => {
            log.push(`call ${v.item()}`);
            if (v.item() === 2) throw new Error("two");
          },
          null,
          x,
        );
        print("later {}", x);
        return x;
      }),
    );
    expect(() => fn(tensor([1, 2, 3]))).toThrow("two");
    expect(log.splice(0)).toEqual(["call 1", "call 2"]);
    fn(tensor([4, 5]));
    expect(log).toEqual(["call 4", "call 5", "later 4", "later 5"]);
  });
});

test("withEager prints as the compiled call does", () => {
  const fn = compile((x: Tensor) => {
    print("{}", x.add(1));
    return x;
  });
  expect(logged(() => withEager(() => fn(tensor(1))))).toEqual(["2"]);
  expect(logged(() => fn(tensor(1)))).toEqual(["2"]);
});
