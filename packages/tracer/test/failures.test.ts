// What fails must not stand in the way of what does not: values that cannot be computed keep their error, all else works.
// And errors that JavaScript would word badly are worded by Sinter.
import { getOp, type OpDef } from "@sinter/ir";
import { compilerStats } from "@sinter/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** An op whose rules are broken while a test runs, on both backends. */
const broken = getOp("erf") as Writable<OpDef>;
const { nest, eval: evaluate } = broken;
const fault = (): never => {
  throw new Error("the rule is broken");
};

onBackends("an eager flush that fails", () => {
  beforeEach(() => {
    broken.nest = { kind: "map", value: fault };
    broken.eval = fault;
  });
  afterEach(() => {
    broken.nest = nest;
    broken.eval = evaluate;
  });

  test("poisons what was asked for, and nothing else", () => {
    const x = s.tensor([1, 2, 3]);
    const doubled = x.mul(2);
    const bad = doubled.erf();
    const worse = bad.add(1);
    expect(() => bad.dataSync()).toThrow("the rule is broken");
    expect(() => bad.dataSync()).toThrow("the rule is broken");
    expect(() => worse.dataSync()).toThrow("the rule is broken");
    expect(() => bad.mul(3)).toThrow("the rule is broken");
    expect(doubled.arraySync()).toEqual([2, 4, 6]);
    expect(x.add(1).arraySync()).toEqual([2, 3, 4]);
    for (const each of [bad, worse, doubled, x]) each.dispose();
  });

  test("a variable that cannot be computed leaves others alone, and takes a new value", () => {
    const good = s.variable([1]);
    const bad = s.variable([5]);
    bad.assign(bad.value.erf());
    good.assignAdd(1);
    expect(s.tensor([7]).add(1).item()).toBe(8);
    expect(good.item()).toBe(2);
    good.assignAdd(1);
    expect(good.item()).toBe(3);
    expect(() => bad.item()).toThrow("the rule is broken");
    const f = s.compile((v: s.Tensor) => v.add(bad));
    expect(() => f(s.tensor([1]))).toThrow("the rule is broken");
    bad.assign([6]);
    expect(bad.item()).toBe(6);
    expect((f(s.tensor([1])) as s.Tensor).item()).toBe(7);
  });

  test("a loop past the budget goes on with what works", () => {
    const sum = s.variable([0]);
    const bad = s.variable([0.5]);
    bad.assign(bad.value.erf());
    for (let i = 0; i < 600; i++) sum.assignAdd(1);
    expect(sum.item()).toBe(600);
    expect(s.eagerStats().pending).toBeLessThan(5);
    expect(() => bad.item()).toThrow("the rule is broken");
  });
});

describe("messages", () => {
  test("a tensor's method on a static argument", () => {
    const f = s.compile(function scale(x: s.Tensor, o: { by: s.Tensor }) {
      return x.add(o.by);
    });
    const g = f as unknown as (x: unknown, o: unknown) => unknown;
    const by = s.tensor([1]);
    expect(() => g(3, { by })).toThrow(
      /^scale: x\.add is not a function: argument x was given a number: numbers are static; pass tensor\(3\)\n.*failures\.test\.ts:\d+/,
    );
    expect(() => g([1, 2, 3], { by })).toThrow(
      /argument x was given an array: numbers, also those in arrays, are static; pass tensor\(\[\.\.\.\]\)/,
    );
    const h = s.compile((o: { by: s.Tensor }) => o.by.neg()) as unknown as (o: unknown) => unknown;
    expect(() => h({ by: 2 })).toThrow(/argument o\.by was given a number/);
    expect(() => h({ by })).not.toThrow();
    // Nothing to do with the arguments: the error stays what it is.
    const own = s.compile((n: number) => {
      (undefined as unknown as { missing(): number }).missing();
      return s.tensor([n]);
    });
    expect(() => own(1)).toThrow(TypeError);
  });

  test("setting the value of a variable", () => {
    const w = s.variable([1], { name: "w" });
    expect(() => {
      (w as { value: unknown }).value = s.tensor([2]);
    }).toThrow(/w\.value cannot be set: write w\.assign\(x\)/);
  });

  test("a spec without all sizes names the function and the parameter", () => {
    const step = s.compile((x: s.Tensor) => x.add(1), { name: "step" });
    expect(() => step.lower(s.spec([null]))).toThrow(/^step: x: f32\[\?\] has a size that is not given/);
    const nested = s.compile(function apply(o: { w: s.Tensor }) {
      return o.w.neg();
    });
    expect(() => nested.lower({ w: s.spec([2, null]) } as never)).toThrow(/^apply: o\.w: f32\[2,\?\]/);
    expect(() => s.evalShape((x: s.Tensor) => x, s.spec([null]))).toThrow(/^evalShape: x: f32\[\?\]/);
  });
});

test("copies of a model share one program, whatever their variables are called by default", () => {
  const make = () => {
    const w = s.variable([1, 2]);
    return s.compile((x: s.Tensor) => w.assignAdd(x).value.sum());
  };
  make()(s.tensor([1, 1])).dispose();
  const before = compilerStats().compilations;
  expect(make()(s.tensor([1, 2])).item()).toBe(6);
  // Reading the sum is no program either.
  expect(compilerStats().compilations).toBe(before);
});
