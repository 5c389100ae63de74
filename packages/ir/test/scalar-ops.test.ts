// The scalar table: integer wrapping, the odd cases of IEEE 754, and partial derivatives against finite differences.
import { describe, expect, test } from "vitest";
import { randomTensor, seededRng } from "../../../test/support/random.ts";
import { evalScalar, type ScalarAlgebra, scalarOpNames, scalarOps, tensorType } from "../src/index.ts";

const numbers: ScalarAlgebra<number> = {
  op: (name, ...args) => evalScalar(name, name === "select" ? ["bool", "f64", "f64"] : ["f64"], "f64", args),
  constant: (value) => value,
};

describe("partial derivatives", () => {
  test.each(scalarOpNames.filter((name) => scalarOps[name].partials !== undefined))("%s", (name) => {
    const row = scalarOps[name];
    const rng = seededRng(7);
    const draw = (lo: number, hi: number): number =>
      randomTensor(rng, { type: tensorType("f64", []), ...row.domain, lo, hi }).data[0]!;
    for (let run = 0; run < 50; run++) {
      const args = Array.from({ length: row.arity }, (_, i) =>
        name === "select" && i === 0 ? rng.int(0, 1) : draw(row.domain.lo, row.domain.hi),
      );
      const at = (values: readonly number[]): number => row.eval(name === "select" ? "bool" : "f64", ...values);
      const result = at(args);
      row.partials!(numbers, args, result).forEach((partial, i) => {
        if (name === "select" && i === 0) return;
        const h = 1e-6;
        const moved = (by: number): number[] => args.map((x, k) => (k === i ? x + by : x));
        const slope = (at(moved(h)) - at(moved(-h))) / (2 * h);
        // rem jumps where x is a multiple of y; nowhere else is a slope like this one.
        if (Math.abs(slope) > 1e4) return;
        expect(Math.abs((partial ?? 0) - slope), `${name}(${args}) by operand ${i}`).toBeLessThan(
          1e-5 * Math.max(1, Math.abs(slope)),
        );
      });
    }
  });
});

test.each([
  ["add", "i32", [2147483647, 1], -2147483648],
  ["mul", "u32", [65536, 65537], 65536],
  ["mul", "i32", [123456789, 987654321], -67153019],
  ["sub", "u32", [0, 1], 4294967295],
  ["div", "i32", [-7, 2], -3],
  ["div", "i32", [-2147483648, -1], -2147483648],
  ["div", "u32", [4294967295, 2], 2147483647],
  ["div", "i32", [5, 0], 0],
  ["rem", "i32", [-7, 3], -1],
  ["rem", "i32", [5, 0], 0],
  ["shr", "i32", [-8, 1], -4],
  ["shr", "u32", [4294967288, 1], 2147483644],
  ["shl", "i32", [1, 33], 2],
  ["abs", "i32", [-2147483648], -2147483648],
  ["not", "u32", [0], 4294967295],
  ["not", "bool", [0], 1],
  ["round", "f32", [2.5], 2],
  ["round", "f32", [-0.5], -0],
  ["max", "f32", [Number.NaN, 1], Number.NaN],
  ["max", "f32", [-0, 0], 0],
  ["min", "f32", [0, -0], -0],
  ["relu", "f32", [Number.NaN], Number.NaN],
  ["relu", "f32", [-0], 0],
  ["pow", "f32", [1, Number.NaN], 1],
  ["pow", "f32", [-1, Number.POSITIVE_INFINITY], 1],
  ["pow", "f32", [Number.NaN, 0], 1],
  ["logistic", "f32", [-200], 0],
  ["logistic", "f32", [200], 1],
  ["sign", "f32", [-0], -0],
] as const)("%s of %s %j is %d", (name, dtype, args, expected) => {
  const result = evalScalar(
    name,
    args.map(() => dtype),
    dtype,
    args,
  );
  expect(Object.is(result, expected), `${result}`).toBe(true);
});
