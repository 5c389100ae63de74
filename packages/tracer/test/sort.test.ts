// Sorting as a user sees it: order, ties, NaN, gradients, and that it stays one kernel beside what is fused.
import { describe, expect, test } from "vitest";
import { programsOnWebgpu } from "../../../test/support/programs-on-webgpu.ts";
import * as s from "../src/index.ts";
import { onBackends } from "./support.ts";

await programsOnWebgpu("Sorting");

onBackends("sorting", () => {
  test("values and positions, stable, NaN last in either direction", () => {
    const x = s.tensor([3, Number.NaN, -1, 3, Number.POSITIVE_INFINITY, 0, -1]);
    expect(x.sort().arraySync()).toEqual([-1, -1, 0, 3, 3, Number.POSITIVE_INFINITY, Number.NaN]);
    expect(x.sort(0, { descending: true }).arraySync()).toEqual([
      Number.POSITIVE_INFINITY,
      3,
      3,
      0,
      -1,
      -1,
      Number.NaN,
    ]);
    expect(x.argSort().arraySync()).toEqual([2, 6, 5, 0, 3, 4, 1]);
    expect(x.argSort(-1, { descending: true }).arraySync()).toEqual([4, 0, 3, 5, 2, 6, 1]);
    expect(s.tensor([true, false, true]).sort().arraySync()).toEqual([false, true, true]);
  });

  test("any axis, and the largest of each row", () => {
    const x = s.tensor([
      [4, 1, 9],
      [2, 7, 3],
    ]);
    expect(x.sort(0).arraySync()).toEqual([
      [2, 1, 3],
      [4, 7, 9],
    ]);
    const { values, indices } = x.topK(2);
    expect(values.arraySync()).toEqual([
      [9, 4],
      [7, 3],
    ]);
    expect(indices.arraySync()).toEqual([
      [2, 0],
      [1, 2],
    ]);
    expect(indices.dtype).toBe("i32");
    expect(() => x.topK(4)).toThrow(/topK: k is 4, but the last axis of f32\[2,3\] has 3 elements/);
    expect(() => s.tensor(1).sort()).toThrow(/sort: axis -1 is out of range/);
    expect(() => x.sort(0, { decending: true } as never)).toThrow(/sort: there is no option decending/);
    expect(s.zeros([0, 3]).sort(0).shape).toEqual([0, 3]);
    expect(s.zeros([2, 0]).topK(0).values.shape).toEqual([2, 0]);
  });

  test("long lines of many sizes agree with JavaScript's sort", () => {
    for (const n of [2, 3, 31, 64, 65, 1000, 4097]) {
      const data = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + 1));
      const x = s.tensor(data);
      expect(x.sort().dataSync()).toEqual(data.slice().sort());
      expect(x.takeAlongAxis(x.argSort()).dataSync()).toEqual(data.slice().sort());
    }
  });

  test("gradients go where the values came from", () => {
    const weights = s.tensor([1, 10, 100]);
    const g = s.grad((x: s.Tensor) => x.sort().mul(weights).sum());
    expect(g(s.tensor([5, -2, 1])).arraySync()).toEqual([100, 1, 10]);
    const h = s.grad((x: s.Tensor) => x.topK(1).values.sum());
    expect(h(s.tensor([[1, 5, 2]])).arraySync()).toEqual([[0, 1, 0]]);
  });

  test("inside a program: results stored where the caller wants them, also over a variable that is sorted", () => {
    const w = s.variable([3, 1, 2]);
    const step = s.compile((x: s.Tensor) => {
      w.assign(w.value.sort());
      const sorted = x.mul(2).sort();
      return [sorted, sorted, sorted.add(1)];
    });
    const [a, b, c] = step(s.tensor([2, 1]));
    expect([a, b, c].map((t) => t!.arraySync())).toEqual([
      [2, 4],
      [2, 4],
      [3, 5],
    ]);
    expect(w.arraySync()).toEqual([1, 2, 3]);
    w.assign([9, 8, 7]);
    step(s.tensor([2, 1]));
    expect(w.arraySync()).toEqual([7, 8, 9]);
  });
});

describe("stages", () => {
  test("a sort is a kernel of its own, and the notes say why", () => {
    const f = s.compile((x: s.Tensor) => x.mul(2).sort().add(1));
    const lowered = f.lower(s.spec([100]));
    expect(lowered.text("fused")).toMatch(
      /kept {2}%1 mul -> %2 sort: a library kernel has loops of its own[\s\S]*kept {2}%2 sort -> /,
    );
    expect(lowered.text("nests")).toMatch(/library k1_sort\(b\d+, b\d+\) writes b\d+/);
    expect(lowered.text("loops")).toContain("k1_sort_merge");
    expect(lowered.cost().kernels).toBe(3);
  });
});
