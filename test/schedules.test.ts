// Which schedule a structure gets, and which of its buffers may share memory. What schedules compute is tested elsewhere.
import { parseGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { graphText, scheduledFused, schedulesOf } from "./support/check-text.ts";
import { withCompiled } from "./support/compiled.ts";

const dot = (m: number, n: number, k: number): string =>
  graphText(`%x: f32[${m},${k}], %w: f32[${k},${n}]`, [
    `%out = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[${m},${n}]`,
  ]);
const reduce = (shape: readonly number[], axis: number): string =>
  graphText(`%x: f32[${shape}]`, [
    `%out = reduce %x {op=add, axes=[${axis}]} : f32[${shape.filter((_, i) => i !== axis)}]`,
  ]);

describe("schedules", () => {
  test("lanes run along neighbouring results, or along neighbouring terms", () => {
    expect(schedulesOf(graphText("%x: f32[100]", ["%out = exp %x : f32[100]"]))).toEqual(["par"]);
    expect(schedulesOf(reduce([64, 64], 0))).toEqual(["par"]);
    expect(schedulesOf(reduce([64, 64], 1))).toEqual(["red"]);
    expect(schedulesOf(graphText("%x: f32[]", ["%out = exp %x : f32[]"]))).toEqual(["scalar"]);
  });

  test("long sums run in two passes, short ones do not", () => {
    expect(schedulesOf(reduce([1000], 0))).toEqual(["red"]);
    expect(schedulesOf(reduce([1_000_000], 0))).toEqual(["two-pass reduction"]);
  });

  test("products are tiled once there is enough of them", () => {
    expect(schedulesOf(dot(64, 64, 64))).toEqual(["matmul 6x8"]);
    expect(schedulesOf(dot(64, 3, 64))).not.toEqual(["matmul 6x8"]);
    expect(schedulesOf(dot(1, 64, 64))).not.toEqual(["matmul 6x8"]);
    expect(schedulesOf(dot(4, 4, 4))).not.toEqual(["matmul 6x8"]);
  });
});

/** Names of the buffers of the only kernel that may share memory, as "read=written". */
function aliases(text: string): string[] {
  return withCompiled(parseGraph(text), scheduledFused, ({ loops }) => {
    expect(loops.kernels).toHaveLength(1);
    const name = (id: number): string => loops.buffers[id]!.name;
    return loops.kernels[0]!.aliasable.map(([read, written]) => `${name(read)}=${name(written)}`).sort();
  });
}

describe("buffers that may share memory", () => {
  test("elementwise: any operand of the result's size", () => {
    expect(
      aliases(
        graphText("%x: f32[9], %y: f32[9], %s: f32[]", ["%a = add %x, %y : f32[9]", "%out = mul %a, %s : f32[9]"]),
      ),
    ).toEqual(["x=out0", "y=out0"]);
  });

  test("none where an element is read elsewhere than it is written", () => {
    const turned = ["%t = transpose %x {perm=[1,0]} : f32[9,9]", "%out = add %t, %x : f32[9,9]"];
    expect(aliases(graphText("%x: f32[9,9]", turned))).toEqual([]);
    expect(aliases(graphText("%x: f32[9]", ["%out = reverse %x {axes=[0]} : f32[9]"]))).toEqual([]);
    expect(aliases(graphText("%x: f32[9]", ["%t = exp %x : f32[9]", "%out = reverse %t {axes=[0]} : f32[9]"]))).toEqual(
      [],
    );
  });

  test("none of another dtype or size", () => {
    expect(aliases(graphText("%x: i32[9]", ["%out = cast %x {dtype=f32} : f32[9]"]))).toEqual([]);
    expect(aliases(graphText("%x: f32[8]", ["%out = slice %x {start=[0], limit=[4], step=[1]} : f32[4]"]))).toEqual([]);
  });

  test("no operand of a product, but what its epilogue reads", () => {
    expect(
      aliases(
        graphText("%x: f32[16,16], %w: f32[16,16], %r: f32[16,16]", [
          "%p = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[16,16]",
          "%out = add %p, %r : f32[16,16]",
        ]),
      ),
    ).toEqual(["r=out0"]);
  });

  test("rows that stay within themselves", () => {
    const centred = [
      "%m = reduce %x {op=max, axes=[1]} : f32[7]",
      "%b = broadcast %m {shape=[7,9], dims=[0]} : f32[7,9]",
      "%out = sub %x, %b : f32[7,9]",
    ];
    expect(aliases(graphText("%x: f32[7,9]", centred))).toEqual(["x=out0"]);
    const columns = centred.map((line) =>
      line.replace("axes=[1]} : f32[7]", "axes=[0]} : f32[9]").replace("dims=[0]", "dims=[1]"),
    );
    // One kernel or two, the columns of a row-major tensor do not lie apart.
    withCompiled(parseGraph(graphText("%x: f32[7,9]", columns)), scheduledFused, ({ loops }) => {
      for (const kernel of loops.kernels) if (kernel.buffers.length === 2) expect(kernel.aliasable.length).toBe(0);
    });
  });

  test("nothing of what runs in order", () => {
    const text = graphText("%x: f32[9,4]", [
      "%out = cumulate %x {op=add, axis=0, reverse=true, exclusive=true} : f32[9,4]",
    ]);
    expect(aliases(text)).toEqual([]);
  });
});
