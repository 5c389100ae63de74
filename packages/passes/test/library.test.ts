// Library kernels: loops that an op brings along, with several results, results nobody reads, and operands that would
// otherwise be fused away.
import {
  Builder,
  evalNests,
  expressionScope,
  type Graph,
  getOp,
  type LibraryLoops,
  loop,
  type OpDef,
  printNests,
  tensorType,
  type Value,
  verifyNests,
} from "@sinter/ir";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lower } from "../src/index.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** An op with two results while these tests run: the elements from the end, and their positions. */
const entry = getOp("sort") as Writable<OpDef>;
const { type, nest, fold } = entry;

function backwards(name: string, size: number): LibraryLoops {
  const f = new loop.FuncBuilder(name);
  const [x, values, positions] = [f.pointer("x", "f32"), f.pointer("values", "f32"), f.pointer("positions", "i32")];
  f.for("i", loop.i32(0), loop.i32(size), 1, (i) => {
    const from = loop.sub(loop.i32(size - 1), i);
    f.store(values, i, loop.load(x, from));
    f.store(positions, i, from);
  });
  return { funcs: [f.finish()], scratch: [], flops: 0 };
}

beforeAll(() => {
  entry.type = () => [tensorType("f32", [4]), tensorType("i32", [4])];
  entry.nest = { kind: "library", build: (_, name) => backwards(name, 4) };
  entry.fold = [];
});
afterAll(() => Object.assign(entry, { type, nest, fold }));

function graphOf(results: (b: Builder, x: Value) => readonly Value[]): Graph {
  const b = new Builder("library");
  const x = b.param("arg", tensorType("f32", [4]), "x");
  return b.finish(results(b, x).map((value) => ({ kind: "out", value })));
}

function run(graph: Graph, fuse: boolean): { readonly text: string; readonly out: number[][] } {
  return expressionScope(() => {
    const program = lower(graph, { fuse });
    verifyNests(program);
    const out = evalNests(program, [Float32Array.of(1, 2, 3, 4)]);
    return { text: printNests(program), out: out.map((data) => [...data]) };
  });
}

const attrs = { axis: 0, descending: false };

describe.each([true, false])("fuse %s", (fuse) => {
  test("all results are one kernel", () => {
    const graph = graphOf((b, x) => {
      const [values, positions] = b.emitAll("sort", [b.emit("mul", [x, b.scalar("f32", 10)])], attrs);
      return [values!, b.emit("add", [positions!, b.scalar("i32", 1)]), values!];
    });
    const { text, out } = run(graph, fuse);
    expect(out).toEqual([
      [40, 30, 20, 10],
      [4, 3, 2, 1],
      [40, 30, 20, 10],
    ]);
    expect(text.match(/^ *library k/gm)?.length, text).toBe(1);
  });

  test.each([0, 1])("only result %d is wanted", (wanted) => {
    const graph = graphOf((b, x) => [b.emitAll("sort", [b.emit("neg", [x])], attrs)[wanted]!]);
    expect(run(graph, fuse).out).toEqual([wanted === 0 ? [-4, -3, -2, -1] : [3, 2, 1, 0]]);
  });
});
