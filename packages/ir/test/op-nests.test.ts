// Nest rules where they must find structure: gathers whose indices follow the loop, and shapes with symbolic sizes.
import { describe, expect, test } from "vitest";
import {
  type Attrs,
  axis,
  axisIndex,
  type Dim,
  expressionScope,
  getOp,
  type IndexExpr,
  indexConst,
  type Read,
  type ScalarExpr,
  scalarApply,
  scalarConst,
  scalarIndex,
  scalarRead,
  subIndex,
  symIndex,
  type TensorType,
  tensorType,
} from "../src/index.ts";
import { clampedIndex, indexOfValue } from "../src/nest/dyn.ts";

/** The element of an op's result as an expression, where operands are buffers unless `inline` gives them. */
function element(
  name: string,
  operands: readonly TensorType[],
  attrs: Attrs,
  inline: Readonly<Record<number, (index: readonly IndexExpr[]) => ScalarExpr>> = {},
): ScalarExpr {
  const op = getOp(name);
  const results = op.type(operands, attrs, [], []) as readonly TensorType[];
  if (op.nest.kind !== "map") throw new Error(`${name} is no map`);
  const index = results[0]!.shape.map((size, i) => axisIndex(axis("ijkl"[i]!, size, "par")));
  const read: Read = (operand, at) => inline[operand]?.(at) ?? scalarRead(operands[operand]!.dtype, operand, at);
  return op.nest.value({ attrs, operands, results }, index, read, 0);
}

const indexOf = (e: ScalarExpr): string =>
  e.kind === "read" ? e.index.map((i) => i.key).join(", ") : `not a read but ${e.kind}`;

describe("indices out of data", () => {
  test("iotas turn back into loop indices, so that a gather along one axis stays aligned in the others", () => {
    expressionScope(() => {
      const operands = [tensorType("f32", [4, 6]), tensorType("i32", [4, 3]), tensorType("i32", [4, 3])];
      const e = element("gather", operands, { axes: [0, 1] }, { 1: (at) => scalarIndex(at[0]!) });
      expect(indexOf(e)).toMatch(/^i\.0, dyn\(%\d+\)$/);
    });
  });

  test("arithmetic on iotas stays an index, out of range it clamps as one", () => {
    expressionScope(() => {
      const i = axisIndex(axis("i", 5, "par"));
      const value = scalarApply("add", [
        scalarApply("mul", [scalarIndex(i), scalarConst("i32", 2)]),
        scalarConst("i32", 1),
      ]);
      expect(clampedIndex(value, 10).key).toBe("2*i.0+1");
      expect(clampedIndex(value, 8).key).toBe("min(2*i.0+1,7)");
      expect(indexOfValue(scalarApply("mul", [scalarIndex(i), scalarConst("i32", 2 ** 30)]))).toBeUndefined();
      expect(clampedIndex(scalarConst("i32", -3), 8).key).toBe(indexConst(0).key);
    });
  });
});

describe("symbolic sizes", () => {
  const n = symIndex({ name: "N", lo: 1, hi: 512 });
  const tensor = (...shape: Dim[]) => tensorType("f32", shape);

  test("axes that a reshape leaves alone keep their index", () => {
    expressionScope(() => {
      const e = element("reshape", [tensor(n, 6, 4)], { shape: [n, 1, 24] });
      expect(indexOf(e)).toBe("i.0, (k.2)div(4), (k.2)mod(4)");
    });
    expressionScope(() => {
      const e = element("reshape", [tensor(12, n)], { shape: [3, 4, n] });
      expect(indexOf(e)).toBe("4*i.0+j.1, k.2");
    });
  });

  test("reverse, slice, pad and concat compute with them", () => {
    expressionScope(() => {
      expect(indexOf(element("reverse", [tensor(n)], { axes: [0] }))).toBe("N+-1*i.0+-1");
    });
    const size = (name: string, operands: TensorType[], attrs: Attrs): number | string => {
      const [type] = getOp(name).type(operands, attrs, [], []) as TensorType[];
      const dim = type!.shape[0]!;
      return typeof dim === "number" ? dim : dim.key;
    };
    expect(size("slice", [tensor(n)], { start: [0], limit: [subIndex(n, 1)], step: [1] })).toBe("N+-1");
    expect(size("pad", [tensor(n), tensor()], { lo: [1], hi: [2], interior: [1] })).toBe("2*N+2");
    expect(size("concat", [tensor(n), tensor(3), tensor(n)], { axis: 0 })).toBe("2*N+3");
  });

  test("and sizes that cannot be told equal are refused by name", () => {
    const m = symIndex({ name: "M", lo: 1, hi: 512 });
    expect(() => getOp("add").type([tensor(n), tensor(m)], {}, [], [])).toThrow(
      "add: takes equal shapes or scalars, got f32[N] and f32[M]",
    );
  });
});
