// What the caller passes and changes afterwards: shapes, lists and options are copied.
import { expect, test } from "vitest";
import * as s from "../src/index.ts";

test("arrays of sizes and axes", () => {
  const sizes = [2, 2];
  const data = new Float32Array(4);
  const key = s.random.key(1);
  const made: readonly s.Tensor[] = [
    s.zeros(sizes),
    s.ones(sizes),
    s.full(sizes, 7),
    s.full(sizes, s.tensor(7)),
    s.tensor(data, { shape: sizes }),
    s.tensor(s.tensor(data), { shape: sizes }),
    s.tensor(data).reshape(sizes),
    s.tensor(1).broadcastTo(sizes),
    s.random.uniform(key, sizes),
    s.random.normal(key, sizes),
    s.random.bits(key, sizes),
    s.random.bernoulli(key, 0.5, sizes),
  ];
  sizes[0] = 5;
  for (const x of made) {
    expect(x.shape).toEqual([2, 2]);
    expect(x.dataSync().length).toBe(4);
  }
  const perm = [1, 0];
  const axes = [0];
  const x = s.tensor([[1, 2, 3]]);
  const later = [x.transpose(perm), x.flip(axes), x.sum(axes), x.squeeze(axes), x.tile([2, 1])];
  perm.reverse();
  axes[0] = 1;
  expect(later.map((y) => y.shape)).toEqual([[3, 1], [1, 3], [3], [3], [2, 3]]);
  expect(later.map((y) => y.size)).toEqual([3, 3, 3, 3, 6]);
});

test("options and specs", () => {
  const sizes = [2];
  const description = s.spec(sizes);
  const signature = [description];
  const f = s.compile((x: s.Tensor) => x.add(1), { signature });
  sizes[0] = 3;
  signature[0] = s.spec([3]);
  expect(f([1, 2] as unknown as s.Tensor).arraySync()).toEqual([2, 3]);
  const argnums = [0];
  const g = s.grad((a: s.Tensor, b: s.Tensor) => a.mul(b).sum(), { argnums });
  argnums[0] = 1;
  expect(([] as s.Tensor[]).concat(g(s.tensor(2), s.tensor(3)))[0]!.item()).toBe(3);
});
