// `||` and `&&` as values, on numbers and flags of the source that staged code assigned: one of the operands, as in JavaScript.
import { compile, type Tensor, tensor } from "sinter";
import { expect, test } from "vitest";
import { programsOnWebgpu } from "../support/programs-on-webgpu.ts";

await programsOnWebgpu("Logical numbers");

test("a number or else another", () => {
  const f = compile((x: Tensor) => {
    let n = 0;
    if (x.lt(0)) n = 3;
    return { or: n || 5, and: n && 7 };
  });
  const at = (x: number): number[] =>
    Object.values(f(tensor(x))).map((value) => Number((value as unknown as Tensor).item()));
  expect(at(1).sort()).toEqual([0, 5]);
  expect(at(-1).sort()).toEqual([3, 7]);
});

test("a flag that picks a number", () => {
  const f = compile((x: Tensor) => {
    let negative = false;
    if (x.lt(0)) negative = true;
    return x.mul((negative && 3) || 5);
  });
  expect([f(tensor(1)).item(), f(tensor(-1)).item()]).toEqual([5, -3]);
});

test("assignment, and conditions", () => {
  const f = compile((x: Tensor) => {
    let n = 0;
    if (x.lt(0)) n = 3;
    if (n && x.lt(-5)) return x;
    n ||= 2;
    return x.mul(n);
  });
  expect([f(tensor(1)).item(), f(tensor(-1)).item(), f(tensor(-6)).item()]).toEqual([2, -3, -6]);
});
