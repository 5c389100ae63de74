// Numbers that staged code makes tensors, after they left the function that did: returned, given away, put into literals.
import { compile, type Tensor, tensor } from "sinter";
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../support/programs-on-webgpu.ts";

await programsOnWebgpu("Hidden numbers");

function sign(x: Tensor): number | Tensor {
  if (x.gt(0).all()) return 1;
  return -1;
}

function side(x: Tensor): number {
  if (x.gt(0).all()) return 1;
  return -1;
}

function scale(x: Tensor, k: number): Tensor {
  return k === 1 ? x : x.mul(k);
}

const values = (f: (x: Tensor) => Tensor): unknown[] => [f(tensor(2)).item(), f(tensor(-3)).item()];

test("compared with ===, where the type has numbers and tensors", () => {
  const f = compile((x: Tensor) => (sign(x) === 1 ? x.mul(10) : x.neg()));
  const g = compile((x: Tensor) => (sign(x) !== 1 && sign(x) === -1 ? x.mul(10) : x.neg()));
  expect([values(f), values(g)]).toEqual([
    [20, 3],
    [-2, -30],
  ]);
});

test("a tensor that is no number is compared as an object", () => {
  const f = compile((x: Tensor, k: number | Tensor): Tensor => (k === 1 ? x : x.mul(k)));
  expect(f(tensor([1, 2]), tensor([1, 3])).arraySync()).toEqual([1, 6]);
  expect(f(tensor([1, 2]), 1).arraySync()).toEqual([1, 2]);
});

test("returned by a local function, and given to one", () => {
  expect(values(compile((x: Tensor) => (side(x) > 0 ? scale(x, side(x)) : scale(x, side(x) * 2))))).toEqual([2, 6]);
  const f = compile((x: Tensor) => {
    const s = side(x);
    return s === 1 ? x.mul(5) : x;
  });
  expect(values(f)).toEqual([10, -3]);
});

test("in a literal", () => {
  const f = compile((x: Tensor) => {
    const o = { n: side(x), a: [side(x)] };
    return o.n === 1 || o.a[0] === 1 ? x.mul(5) : x;
  });
  expect(values(f)).toEqual([10, -3]);
});

test("uses that ask for the value throw by themselves", () => {
  const message = (use: (n: number) => unknown): string => {
    const f = compile((x: Tensor) => {
      use(side(x) as number);
      return x;
    });
    try {
      f(tensor(1));
      return "nothing";
    } catch (error) {
      return String(error).split("\n")[0]!;
    }
  };
  expect(message((n) => [1, 2][n])).toContain("as text or an index");
  expect(message((n) => Math.max(n, 1))).toContain("as a number");
  expect(message((n) => JSON.stringify({ n }))).toContain("turned into JSON");
});
