// Random bits against the published test vectors of threefry2x32 and against what JAX makes of them.
import { expect, test } from "vitest";
import { type Attrs, Builder, evalGraph, getOp, tensorType } from "../src/index.ts";
import { numberWords, threefry2x32 } from "../src/ops/threefry.ts";
import { evalNestRule } from "./support/nest-rule.ts";

// Random123's kat_vectors, threefry2x32 with 20 rounds.
test.each([
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x13198a2e, 0x03707344],
    [0x243f6a88, 0x85a308d3],
    [0xc4923a9c, 0x483df7a0],
  ],
] as const)("threefry2x32 under key %j of %j", (key, counter, expected) => {
  expect(threefry2x32(numberWords, key, counter)).toEqual(expected);
});

const bits = (key: readonly [number, number], shape: readonly number[]): number[] => {
  const b = new Builder("bits");
  const k = b.param("arg", tensorType("u32", [2]), "key");
  const graph = b.finish([{ kind: "out", value: b.emit("randomBits", [k], { shape }) }]);
  return [...evalGraph(graph, [{ dtype: "u32", shape: [2], data: Uint32Array.from(key) }])[0]!.data];
};

test("an element depends on its position only, and the words of the block are joined by xor", () => {
  expect(bits([3, 9], [2, 3])).toEqual(bits([3, 9], [6]));
  expect(bits([3, 9], [6]).slice(0, 4)).toEqual(bits([3, 9], [4]));
  expect(bits([0, 0], [1])).toEqual([(0x6b200159 ^ 0x99ba4efe) >>> 0]);
});

test("the kernel form has the same bits", () => {
  const op = getOp("randomBits");
  const attrs = { shape: [33] } as Attrs;
  const key = { dtype: "u32", shape: [2], data: Uint32Array.of(17, 4000000000) } as const;
  const type = tensorType("u32", [33]);
  expect([...evalNestRule(op.nest, attrs, [key], [type])[0]!.data]).toEqual(bits([17, 4000000000], [33]));
});
