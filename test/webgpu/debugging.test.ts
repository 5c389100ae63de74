// debug: true and verify: true on a GPU: what is wrong is found where it would be on the heap, and nothing is found where
// nothing is.
import { getOp, type OpDef } from "@sinter/ir";
import {
  BoundsError,
  compile,
  cond,
  fori,
  grad,
  gradients,
  hostCall,
  NonFiniteError,
  print,
  ready,
  scan,
  setBackend,
  setPrintSink,
  spec,
  type Tensor,
  tensor,
  VerifyError,
  variable,
  whileLoop,
} from "sinter";
import { afterAll, describe, expect, test } from "vitest";
import { missingGpu } from "../../packages/tracer/test/support-gpu.ts";
import { fullRun } from "../support/fuzz.ts";

if (!fullRun) console.log("Half of what debug and verify find on a GPU is looked for by npm run test:full only.");

const missing = await missingGpu("debug and verify on a GPU");
if (!missing) setBackend("webgpu");
afterAll(() => setBackend("wasm"));

/** What a call, or the first read of what it gives, rejects with. */
async function caught<E extends Error>(kind: new (...args: never[]) => E, call: () => Tensor): Promise<E> {
  try {
    await call().data();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

type MapRule = Extract<OpDef["nest"], { kind: "map" }>;

describe.skipIf(missing)("debug", () => {
  test("finds what makes a NaN in a gradient; no variable changes, and the next call works", async () => {
    const w = variable(tensor([0.5, 1, 2]), { name: "w" });
    const step = compile(
      (x: Tensor) => {
        const { value, grads } = gradients(() => w.value.sub(x).norm(), [w]);
        w.assignSub(grads[0]!.mul(0.1));
        return value;
      },
      { name: "step", debug: true },
    );
    const [first] = await step(tensor([1, 1, 1])).data();
    expect(first).toBeCloseTo(Math.sqrt(1.25), 5);
    const before = await w.value.data();
    const error = await caught(NonFiniteError, () => step(tensor(before)));
    expect(error.message.split("\n").slice(0, 5)).toEqual([
      "step: norm (div) gives Infinity, of 0.5 and 0",
      "  result f32[] = Infinity",
      "  operand 0 f32[] = 0.5",
      "  operand 1 f32[] = 0",
      "  backward pass; no variable has changed",
    ]);
    expect(error.where).toContain("debugging.test.ts");
    expect(await w.value.data()).toEqual(before);
    expect((await step(tensor([1, 1, 1])).data())[0]).toBeGreaterThan(0);
  });

  test.runIf(fullRun)(
    "finds the round of a loop, an index out of range, and what a gradient outside compiled functions makes",
    async () => {
      const logs = compile(
        (x: Tensor, e: Tensor) => scan((c: Tensor, v: Tensor) => [c.mul(v), c.log()], x, e)[1] as Tensor,
        {
          debug: true,
          autograph: false,
        },
      );
      const error = await caught(NonFiniteError, () =>
        logs(
          tensor([1, 2]),
          tensor([
            [1, 2],
            [0, 1],
            [3, 4],
          ]),
        ),
      );
      expect(error.details).toMatchObject({ op: "log", rounds: [2], element: [0] });
      const pick = compile((x: Tensor, i: Tensor) => x.gather(i, 1), { name: "pick", debug: true });
      const wide = () =>
        pick(
          tensor([
            [1, 2, 3],
            [4, 5, 6],
          ]),
          tensor([0, 2, 3], { dtype: "i32" }),
        );
      expect((await caught(BoundsError, wide)).message).toContain(
        "pick: gather takes index 3 (element [2] of its indices), but axis 1 of f32[2,3] has positions 0 to 2",
      );
      const slope = grad(compile((x: Tensor) => x.log().sum(), { debug: true }));
      expect((await caught(NonFiniteError, () => slope(tensor([1, 0])))).details).toMatchObject({
        op: "log",
        element: [1],
      });
      expect([...(await slope(tensor([1, 2])).data())]).toEqual([1, 0.5]);
    },
  );
});

describe.skipIf(missing)("verify", () => {
  test.runIf(fullRun)(
    "finds nothing where nothing is wrong: branches, loops, calls of the host, variables",
    async () => {
      let asked = 0;
      const printed: string[] = [];
      setPrintSink((line) => printed.push(line));
      const w = variable(tensor([1, 2, 3]), { name: "w" });
      const f = compile(
        (x: Tensor) => {
          const y = whileLoop(
            (c: Tensor) => c.sum().lt(40),
            (c: Tensor) => c.mul(1.3).add(x.softmax()),
            x,
          );
          print("rounded {}", y.sum().floor());
          const z = hostCall((a: Tensor) => a.mul(++asked), spec([3]), y) as Tensor;
          w.assign(w.value.add(z));
          return cond(
            z.sum().gt(3),
            () => z.exp().log().div(x.add(2)),
            () => z.neg(),
          );
        },
        { verify: true, autograph: false },
      );
      expect((await f(tensor([1, 2, 3])).data())[0]).toBeGreaterThan(1);
      await ready("webgpu");
      setPrintSink(undefined);
      expect(asked).toBe(1);
      expect(printed).toEqual(["rounded 41"]);
    },
  );

  test("finds an operation that is wrong, with its line, its round and both values", async () => {
    const broken = getOp("tanh") as { -readonly [K in keyof OpDef]: OpDef[K] };
    const { nest } = broken;
    const sine: MapRule["value"] = (...args) => (getOp("sin").nest as MapRule).value(...args);
    broken.nest = { kind: "map", value: sine };
    try {
      const w = variable(tensor([0, 1, 2]), { name: "w" });
      const f = compile(
        (x: Tensor) => {
          const y = fori(
            0,
            3,
            (i: Tensor, c: Tensor) =>
              cond(
                i.gt(1),
                () => c.tanh(),
                () => c.add(x),
              ),
            x,
          );
          w.assign(y);
          return y;
        },
        { verify: true, autograph: false },
      );
      const error = await caught(VerifyError, () => f(tensor([0, 0.5, 1])));
      expect(error.difference).toMatchObject({ kind: "operation", op: "tanh", rounds: [2], element: [2] });
      expect(error.message).toMatch(
        /tanh differs from the reference evaluator at \[2\]: 0\.141\d+ instead of 0\.995\d+/,
      );
      expect(error.where).toContain("debugging.test.ts");
      expect([...(await w.value.data())]).toEqual([0, 1, 2]);
    } finally {
      broken.nest = nest;
    }
  });
});
