// Blocks: a scratch trace leaves nothing behind, captures go through every level, positions can be tagged, and a
// compiled call with loops inside is one run of one program.
import { graphText } from "@sinter/ir";
import { theMachine } from "@sinter/runtime";
import { describe, expect, test, vi } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import { emitCond, emitWhile, traceBlock } from "../src/control/blocks.ts";
import { currentTrace } from "../src/frame.ts";
import { Generator } from "../src/generator.ts";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

await programsOnWebgpu("Blocks of control flow");

const t = s.tensor;
const staged = <A extends readonly unknown[], R>(fn: (...args: A) => R) =>
  s.compile(fn, { autograph: false, backend: "reference" });

describe("a block that is dropped", () => {
  test("leaves no operation, capture, variable or random step behind", () => {
    const generator = new Generator(7);
    const reference = new Generator(7);
    const w = s.variable(1, { name: "w" });
    const big = s.ones([100]);
    const body = (scratch: boolean) => (x: s.Tensor) => {
      if (scratch)
        traceBlock("scratch", [{ dtype: "f32", shape: [], name: "c" }], ([c]) => {
          w.assign(c!.mul(x).add(big.sum()));
          generator.normal([2]);
          return x.exp();
        });
      return x.add(generator.uniform([1]));
    };
    const text = (scratch: boolean) => staged(body(scratch)).lower(t(1)).text("trace");
    expect(text(true)).toBe(text(false));
    staged(body(true))(t(1));
    expect(w.item()).toBe(1);
    reference.uniform([1]);
    expect(generator.state.arraySync()).toEqual(reference.state.arraySync());
  });

  test("passes on what its body throws, and the trace goes on", () => {
    const f = staged((x: s.Tensor) => {
      const error = new Error("from inside");
      expect(() =>
        traceBlock("scratch", [], () => {
          x.mul(2);
          throw error;
        }),
      ).toThrow(error);
      return x.add(1);
    });
    expect(f(t(1)).item()).toBe(2);
    expect(f.traces).toBe(1);
  });
});

test("values of one block cannot be used in another, also before it is emitted", () => {
  const f = staged((x: s.Tensor) => {
    const { result } = traceBlock("then-branch of the if at a.ts:10:3", [], () => x.mul(2));
    expect(() => x.add(result)).toThrow(
      /f32\[3\] was made inside the then-branch of the if at a\.ts:10:3 \(written at .*control-blocks\.test\.ts:60:\d+\) and is used outside it/,
    );
    expect(() => traceBlock("else-branch", [], () => x.add(result))).toThrow(/made inside the then-branch/);
    return x;
  });
  f(t([1, 2, 3]));
});

test("positions are given by tags where stacks are not captured", () => {
  const f = staged((x: s.Tensor) => {
    const frame = currentTrace()!;
    frame.tagged = true;
    const y = x.mul(2);
    const { block, result } = traceBlock("body", [], () => {
      const z = y.exp();
      currentTrace()!.tag({ file: "a.ts", line: 2, column: 1 });
      return z.ref("test");
    });
    frame.tag({ file: "a.ts", line: 1, column: 1 });
    const [out] = emitCond(
      x.gt(0).ref("test"),
      [block, traceBlock("other", [], () => 0).block],
      [[result], [x.ref("test")]],
    );
    frame.tag({ file: "a.ts", line: 3, column: 1 });
    return new s.Tensor(out!);
  });
  const { graph } = f.lower(t(1));
  const lines = graph.nodes.map((node, i) => [node.op, graph.debug.locs[i]!.map((loc) => loc.line)]);
  expect(lines).toContainEqual(["mul", [1]]);
  expect(lines).toContainEqual(["cond", [3]]);
  const exp = graph.nodes.find((node) => node.op === "cond")!.regions[0]!;
  expect(exp.debug.locs.flat().map((loc) => loc.line)).toEqual([2]);
});

test("a loop whose carries, captures and variables are emitted by hand", () => {
  const total = s.variable(0, { name: "total" });
  const f = staged((x: s.Tensor) => {
    const types = [{ dtype: "f32" as const, shape: [], name: "c" }];
    const test = traceBlock("test", types, ([c]) => c!.lt(x.mul(10)).ref("test"));
    const body = traceBlock("body", types, ([c]) => {
      total.assignAdd(c!);
      return [c!.add(x).ref("test")];
    });
    const [last] = emitWhile(test.block, test.result, body.block, body.result, [x.ref("test")], { maxIterations: 5 });
    return new s.Tensor(last!);
  });
  expect(f(t(2)).item()).toBe(12);
  expect(total.item()).toBe(2 + 4 + 6 + 8 + 10);
});

onBackends("a compiled call", (backend) => {
  test("with loops and branches inside is one run of one program", () => {
    const w = s.variable(0, { name: "w" });
    const f = s.compile(
      (x: s.Tensor) => {
        s.fori(
          0,
          100,
          (i, c) => {
            s.cond(
              i.mod(2).eq(0),
              () => {
                w.assignAdd(c);
              },
              () => {},
            );
            return s.whileLoop(
              (d) => d.lt(i),
              (d) => d.add(3),
              c,
            );
          },
          x,
        );
        return w.value;
      },
      { autograph: false, backend },
    );
    f(t(0));
    const runs = vi.spyOn(theMachine(), "run");
    const input = t(0);
    for (let i = 0; i < 3; i++) f(input);
    expect(runs).toHaveBeenCalledTimes(backend === "wasm" ? 3 : 0);
    runs.mockRestore();
    expect(f.traces).toBe(1);
  });

  test("of the same loop at other places is the same program", () => {
    const make = () => s.compile((x: s.Tensor) => s.fori(0, 5, (_i, c) => c.mul(x), x), { name: "power", backend });
    const other = () => s.compile((x: s.Tensor) => s.fori(0, 5, (_i, c) => c.mul(x), x), { name: "power", backend });
    const text = (f: ReturnType<typeof make>) => graphText(f.lower(t(1)).graph, () => "data");
    expect(text(make())).toBe(text(other()));
  });
});

onBackends("eager loops", () => {
  test("hold few operations at a time, however long they run", () => {
    const w = s.variable(0, { name: "w" });
    const total = s.fori(
      0,
      2000,
      (i, c) => {
        w.assignAdd(i.cast("f32"));
        return c.add(w.value.mul(0));
      },
      0,
    );
    expect(total.item()).toBe(0);
    expect(w.item()).toBe(1999000);
    expect(s.eagerStats().peakPending).toBeLessThanOrEqual(256);
  });

  test("range iterates over numbers", () => {
    expect([...s.range(3)]).toEqual([0, 1, 2]);
    expect([...s.range(2, 9, 3)]).toEqual([2, 5, 8]);
    expect([...s.range(3, 0, -1)]).toEqual([3, 2, 1]);
    expect([...s.range(5, 5)]).toEqual([]);
    expect([...s.range(t(2, { dtype: "i32" }))]).toEqual([0, 1]);
    expect(s.range(0, 10, 4).length).toBe(3);
  });
});

test("withEager shows a debugger every value, with the same results", () => {
  const seen: number[] = [];
  const f = s.compile(
    (x: s.Tensor) =>
      s.scan(
        (c, k) => {
          if (watching) seen.push(Number(c.item()));
          return [c.add(k), { sum: c.add(k), n: 1 }];
        },
        0,
        x,
        { reverse: true },
      ),
    { autograph: false },
  );
  let watching = false;
  const [last, { sum, n }] = f(t([1, 2, 3]));
  watching = true;
  const [again, other] = s.withEager(() => f(t([1, 2, 3])));
  expect(seen).toEqual([0, 3, 5]);
  expect(again.item()).toBe(last.item());
  expect(other.sum.arraySync()).toEqual(sum.arraySync());
  expect(other.n.arraySync()).toEqual(n.arraySync());
});

test("a variable may begin as the result of a loop, where that does not depend on arguments", () => {
  let w: s.Variable | undefined;
  const f = s.compile((x: s.Tensor) => {
    w ??= s.variable(s.scan((c, k) => [c.add(k), c], 0, t([1, 2, 3]))[1]);
    return w.value.add(x);
  });
  expect(f(t(1)).arraySync()).toEqual([1, 2, 4]);
  expect(w!.arraySync()).toEqual([0, 1, 3]);
});

test("an eager scan leaves no memory behind", () => {
  const xs = t([1, 2, 3]);
  const round = () => {
    const [last, ys] = s.scan((c, k) => [c.add(k), c.mul(k)], 0, xs);
    expect(last.item()).toBe(6);
    last.dispose();
    ys.dispose();
  };
  round();
  const { liveBytes, tensors } = s.memory();
  for (let i = 0; i < 10; i++) round();
  expect(s.memory().liveBytes).toBe(liveBytes);
  expect(s.memory().tensors).toBe(tensors);
});
