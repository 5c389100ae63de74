// Modules as text, and what they do on a device: memory in vectors, functions, folds over groups, limits.
import { type DType, type LoopFunc, loop } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { emit, emitText } from "../src/emit/program.ts";
import { leastFeatures as features } from "./support/features.ts";
import { gridFunc, programOf, runGrids, testDevice } from "./support/run-grids.ts";

const device = await testDevice();

/** y = x + 1 by fours; with `tail` also one element alone. */
function addOne(tail: boolean): LoopFunc {
  return gridFunc(
    "addOne",
    [
      ["x", "f32"],
      ["y", "f32"],
    ],
    (f, [x, y], group, thread) => {
      const i = f.let("i", loop.mul(loop.add(loop.mul(group, loop.i32(2)), thread), loop.i32(4)));
      f.store(y!, i, loop.op("add", loop.load(x!, i, 4), loop.constant("f32", 1, 4)));
      if (tail) f.store(y!, loop.i32(0), loop.f32(7));
    },
  );
}

const codeOf = (func: LoopFunc, groups: number, threads: number, lengths: readonly number[]): string => {
  const { program, plan } = programOf([func], [{ func: func.name, groups, threads }], lengths);
  return emit(program, plan, features).shaders[0]!.code;
};

test("memory is in vectors where all that is stored are aligned vectors", () => {
  const code = codeOf(addOne(false), 4, 2, [32, 32]);
  expect(code).toContain("b0: array<vec4f>;");
  expect(code).toContain("b1[i_2 >> 2u] = b0[i_2 >> 2u] + vec4f(1.0f);");
  const mixed = codeOf(addOne(true), 4, 2, [32, 32]);
  expect(mixed).toContain("b0: array<vec4f>;");
  expect(mixed).toContain("b1: array<f32>;");
});

test("more groups than a dimension has are folded, and those beyond do nothing", () => {
  expect(codeOf(addOne(false), 4, 2, [32, 32])).not.toContain("groupCounts.x");
  const code = codeOf(addOne(false), 70000, 2, [560000, 560000]);
  expect(code).toContain("i32(groupId.x + groupId.y * groupCounts.x)");
  expect(code).toContain("if (group_0 >= 70000i) {");
});

test("numbers that WGSL has no constant for are made of their bits", () => {
  const func = gridFunc("bits", [["y", "f32"]], (f, [y]) => {
    for (const [i, value] of [Number.NaN, Infinity, -0, 1e-40].entries()) f.store(y!, loop.i32(i), loop.f32(value));
  });
  const code = codeOf(func, 1, 1, [4]);
  for (const bits of ["7fc00000", "7f800000", "80000000", "116c2"]) expect(code).toContain(`bits(0x${bits}u)`);
});

test("a kernel that binds more buffers than the device allows binds the arena once and copies the rest there", () => {
  const names = Array.from({ length: 12 }, (_, i) => [`x${i}`, "f32"] as const);
  const func = gridFunc("many", names, (f, pointers, group) => {
    const all = pointers.slice(0, 11).map((p) => loop.load(p, group));
    f.store(
      pointers[11]!,
      group,
      all.reduce((a, b) => loop.op("add", a, b)),
    );
  });
  const { program, plan } = programOf(
    [func],
    [{ func: "many", groups: 5, threads: 1 }],
    names.map(() => 5),
  );
  const compiled = emit(program, plan, features);
  expect(compiled.shaders[0]!.buffers.length).toBe(8);
  expect(compiled.steps.map((s) => s.kind)).toEqual([...Array(5).fill("copy"), "dispatch", ...Array(5).fill("copy")]);
  expect(compiled.arenaBytes).toBe(4 * 256 + 32);
});

test("f64, large groups and their memory are errors that name the kernel and the limit", () => {
  const copy = (dtype: DType): LoopFunc =>
    gridFunc(
      "copy",
      [
        ["x", dtype],
        ["y", dtype],
      ],
      (f, [x, y], group) => f.store(y!, group, loop.load(x!, group)),
    );
  expect(() => codeOf(copy("f64"), 4, 1, [4, 4])).toThrow("kernel copy: f64 is not available on webgpu; cast to f32");
  expect(() => codeOf(copy("f32"), 4, 512, [4, 4])).toThrow("maxComputeInvocationsPerWorkgroup is 256");
  const f = new loop.FuncBuilder("large");
  f.pointer("x", "f32");
  f.param("group");
  f.param("thread");
  f.array("tile", "f32", 5000, "workgroup");
  expect(() => codeOf(f.finish(), 1, 1, [4])).toThrow("20000 bytes of memory of a group");
});

test("text for people names kernels in front of their modules", () => {
  const { program, plan } = programOf([addOne(false)], [{ func: "addOne", groups: 4, threads: 2 }], [32, 32]);
  const { module, kernels } = emitText(emit(program, plan, features), program, ["addOne, app.ts:3"]);
  expect(module).toBe(`// 0: addOne, app.ts:3\n${kernels[0]}`);
});

describe.skipIf(device === undefined)("on a device", () => {
  test.each([
    [false, 100],
    [true, 100],
    [true, 2],
    [true, 256],
  ])("folds over a group, subgroups %s, %i threads", async (subgroups, threads) => {
    if (subgroups && !device!.features.has("subgroups"))
      return console.log("no subgroups: the fold by them did not run");
    const x = Float32Array.from({ length: threads }, (_, i) => Math.fround(Math.sin(i + 1) * 8));
    const y = new Float32Array(3);
    const func = gridFunc(
      "folds",
      [
        ["x", "f32"],
        ["y", "f32"],
      ],
      (f, [from, to], _, thread) => {
        const value = f.let("value", loop.load(from!, thread));
        const folds = ["add", "max"].map((op) => f.groupFold(op, op, value));
        const all = f.groupFold("all", "and", loop.lt(value, loop.f32(9)));
        f.if(loop.eq(thread, loop.i32(threads - 1)), () => {
          for (const [i, fold] of folds.entries()) f.store(to!, loop.i32(i), fold);
          f.store(to!, loop.i32(2), loop.cast(all, "f32"));
        });
      },
    );
    await runGrids(device!, [func], [{ func: "folds", groups: 1, threads }], [x, y], { ...features, subgroups });
    expect(y[0]).toBeCloseTo(
      x.reduce((a, b) => a + b),
      3,
    );
    expect(y[1]).toBe(Math.max(...x));
    expect(y[2]).toBe(1);
  });

  test.each([false, true])("neighbouring threads fold among themselves, subgroups %s", async (subgroups) => {
    if (subgroups && !device!.features.has("subgroups"))
      return console.log("no subgroups: the folds of neighbours by them did not run");
    const widths = [1, 2, 8, 32];
    const threads = 64;
    const x = Int32Array.from({ length: threads }, (_, i) => ((i * 37) % 64) - 20);
    const results = widths.map(() => new Int32Array(threads));
    const names = ["x", ...widths.map((w) => `y${w}`)].map((n) => [n, "i32"] as const);
    const func = gridFunc("neighbours", names, (f, [from, ...to], _, thread) => {
      const value = f.let("value", loop.load(from!, thread));
      for (const [i, width] of widths.entries()) {
        const total = f.groupFold("total", "add", value, width);
        const least = f.groupFold("least", "min", value, width);
        f.store(to[i]!, thread, loop.add(loop.mul(total, loop.i32(1000)), least));
      }
    });
    const grid = { func: "neighbours", groups: 1, threads };
    await runGrids(device!, [func], [grid], [x, ...results], { ...features, subgroups });
    for (const [i, width] of widths.entries()) {
      const mine = (at: number) => x.slice(at - (at % width), at - (at % width) + width);
      const expected = x.map((_, at) => mine(at).reduce((a, b) => a + b) * 1000 + Math.min(...mine(at)));
      expect(results[i]).toEqual(expected);
    }
  });

  test("functions are made for the pointers they are called with; groups share memory", async () => {
    const g = new loop.FuncBuilder("scale");
    const [to, from] = [g.pointer("to", "i32"), g.pointer("from", "i32")];
    const [at, by] = [g.param("at"), g.param("by")];
    g.store(to, at, loop.op("mul", loop.load(from, at), by));
    const scale = g.finish();
    const f = new loop.FuncBuilder("main");
    const [x, y] = [f.pointer("x", "i32"), f.pointer("y", "i32")];
    const tile = f.array("tile", "i32", 8, "workgroup");
    const own = f.array("own", "bool", 2, "private");
    const [, thread] = [f.param("group"), f.param("thread")];
    f.call(scale, [tile, x], [thread, loop.i32(2)]);
    f.barrier();
    f.store(own, loop.i32(1), loop.lt(loop.load(tile, loop.sub(loop.i32(7), thread)), loop.i32(6)));
    const count = f.local("count", loop.i32(0));
    f.while(loop.lt(loop.use(count), thread), () => f.assign(count, loop.add(loop.use(count), loop.i32(1))));
    const value = loop.select(loop.load(own, loop.i32(1)), loop.use(count), loop.load(tile, thread));
    f.store(y, thread, value);
    f.call(scale, [y, y], [thread, loop.i32(10)]);
    const [input, output] = [Int32Array.from({ length: 8 }, (_, i) => i), new Int32Array(8)];
    const code = await runGrids(
      device!,
      [f.finish(), scale],
      [{ func: "main", groups: 1, threads: 8 }],
      [input, output],
    );
    // Threads 5, 6 and 7 look at elements below 3, whose doubles are below 6.
    expect([...output]).toEqual([0, 20, 40, 60, 80, 50, 60, 70]);
    expect(code.shaders[0]!.code.match(/fn scale_f/g)).toHaveLength(2);
  });
});
