// The verifier of nest programs: what holds passes, what is wrong is said in words.
import { describe, expect, test } from "vitest";
import {
  type Axis,
  addIndex,
  axis,
  axisIndex,
  type BufferDecl,
  type BufferKind,
  type Nest,
  type NestKernel,
  type NestProgram,
  type ScalarExpr,
  type Store,
  scalarAcc,
  scalarApply,
  scalarRead,
  verifyNests,
} from "../src/index.ts";

const i = axis("i", 8, "par");
const j = axis("j", 4, "par");
const r = axis("r", 4, "red");

function buffer(id: number, kind: BufferKind, shape: readonly number[], replaces?: number): BufferDecl {
  return { id, name: `b${id}`, dtype: "f32", shape, kind, slot: 0, ...(replaces === undefined ? {} : { replaces }) };
}
const buffers = [
  buffer(0, "state", [8, 4]),
  buffer(1, "stateOut", [8, 4], 0),
  buffer(2, "result", [8]),
  buffer(3, "row", [4]),
];
const at = (...axes: readonly Axis[]) => axes.map(axisIndex);
const read = (...index: ReturnType<typeof at>): ScalarExpr => scalarRead("f32", 0, index);
const points = (...stores: readonly Store[]): Nest => ({ axes: [i, j], accumulators: [], carries: [], stores });
const store = (b: number, index: ReturnType<typeof at>, value: ScalarExpr, when: "body" | "end" = "body"): Store => ({
  buffer: b,
  index,
  value,
  when,
});
const kernel = (name: string, outer: readonly Axis[], ...nests: readonly Nest[]): NestKernel => ({
  kind: "nests",
  name,
  outer,
  nests,
});
const program = (...kernels: readonly NestKernel[]): NestProgram => ({
  name: "test",
  buffers,
  steps: kernels.map((k) => ({ kind: "kernel", kernel: k, nodes: [] })),
  notes: [],
});

describe("verifyNests", () => {
  test("accepts an update in place at the same position", () => {
    const doubled = scalarApply("add", [read(...at(i, j)), read(...at(i, j))]);
    expect(() => verifyNests(program(kernel("double", [], points(store(1, at(i, j), doubled)))))).not.toThrow();
  });

  test("accepts rows that pass values on", () => {
    const first: Nest = { axes: [j], accumulators: [], carries: [], stores: [store(3, at(j), read(...at(i, j)))] };
    const second: Nest = {
      axes: [r],
      accumulators: [{ combine: "add", dtype: "f32", values: [scalarRead("f32", 3, at(r))] }],
      carries: [],
      stores: [store(2, at(i), scalarAcc("f32", 0), "end")],
    };
    expect(() => verifyNests(program(kernel("rows", [i], first, second)))).not.toThrow();
    const stranger = kernel("other", [], { ...first, axes: [i, j] });
    expect(() => verifyNests(program(kernel("rows", [i], first, second), stranger))).toThrow(
      "kernel other stores to row buffer b3 of kernel rows",
    );
  });

  test("a position outside", () => {
    const nest = points(store(1, at(i, j), read(addIndex(axisIndex(i), 1), axisIndex(j))));
    expect(() => verifyNests(program(kernel("shift", [], nest)))).toThrow(/\(1\.\.8\) on axis 0 of b0, of size 8/);
  });

  test("a state read where it may be overwritten", () => {
    const turned = points(store(1, at(i, j), scalarRead("f32", 0, [addIndex(axisIndex(j), 4), axisIndex(j)])));
    expect(() => verifyNests(program(kernel("turn", [], turned)))).toThrow(
      "reads b0 at another position than it stores",
    );
  });

  test("an accumulator before the end", () => {
    const nest: Nest = {
      axes: [i, r],
      accumulators: [{ combine: "add", dtype: "f32", values: [read(...at(i, r))] }],
      carries: [],
      stores: [store(1, at(i, r), scalarAcc("f32", 0))],
    };
    expect(() => verifyNests(program(kernel("early", [], nest)))).toThrow("uses an accumulator before the end");
  });

  test("stores into what comes from outside, of another dtype, or nowhere", () => {
    const value = read(...at(i, j));
    expect(() => verifyNests(program(kernel("k", [], points(store(0, at(i, j), value)))))).toThrow(
      "stores to state b0",
    );
    expect(() => verifyNests(program(kernel("k", [], points(store(9, at(i, j), value)))))).toThrow(
      "b9, which does not",
    );
    const flag = scalarApply("isNaN", [value]);
    expect(() => verifyNests(program(kernel("k", [], points(store(1, at(i, j), flag)))))).toThrow(
      "stores bool to b1: f32",
    );
  });

  test("one nest needs no outer axes", () => {
    const nest: Nest = { axes: [j], accumulators: [], carries: [], stores: [store(1, at(i, j), read(...at(i, j)))] };
    expect(() => verifyNests(program(kernel("k", [i], nest)))).toThrow("has one nest and outer axes");
  });
});

describe("verifyNests on steps", () => {
  const scalar = (id: number, dtype: "i32" | "bool"): BufferDecl => ({ ...buffer(id, "temp", []), dtype });
  const [counter, flag] = [scalar(4, "i32"), scalar(5, "bool")];
  const [a, b] = [buffer(6, "temp", [4]), buffer(7, "temp", [4])];
  const slice = (of: number, by: number, shape: readonly number[]): BufferDecl => ({
    ...buffer(8, "slice", shape),
    slice: { of, counter: by, reverse: false },
  });
  const with_ = (decl: BufferDecl, ...steps: NestProgram["steps"]): NestProgram => ({
    name: "test",
    buffers: [...buffers, counter, flag, a, b, decl],
    steps,
    notes: [],
  });
  const fits = slice(0, 4, [4]);

  test("accepts exchanges of temps and slices of one row", () => {
    const body = [{ kind: "swap", a: 6, b: 7 } as const, { kind: "copy", from: 8, to: 6 } as const];
    expect(() => verifyNests(with_(fits, { kind: "for", count: 8, counter: 4, body }))).not.toThrow();
  });

  test.each([
    ["a slice of another shape", with_(slice(0, 4, [8])), "b8 is no slice of b0: they do not fit"],
    ["a slice by what is no counter", with_(slice(0, 5, [4])), "b8 is a slice by b5, which is no counter"],
    ["a slice of nothing", with_(buffer(8, "slice", [4])), "buffer b8 is a slice of nothing"],
    ["an exchange of a result", with_(fits, { kind: "swap", a: 6, b: 8 }), "swap of slice b8, whose memory must stay"],
    ["an exchange of unlike buffers", with_(fits, { kind: "swap", a: 6, b: 4 }), "swap of b6 and b4: they do not fit"],
  ])("refuses %s", (_, wrong, message) => {
    expect(() => verifyNests(wrong)).toThrow(message);
  });
});
