// Loops, memory, control steps and whole programs: wasm against the Loop IR interpreter.
import {
  allocate,
  type BufferDecl,
  type DType,
  evalLoopFunc,
  type LoopFunc,
  type LoopKernel,
  type LoopProgram,
  type LoopStep,
  loop,
  type Plan,
  parseLoopFuncs,
  printLoopFunc,
  type TypedArray,
  verifyLoopFunc,
  workSteps,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { binaryenBytes, parseWat } from "../../../test/support/binaryen.ts";
import { emit, emitText, emitWat } from "../src/emit/program.ts";
import { defaults, programOf, runFuncs, runModule, runProgram } from "./support/run-loops.ts";

const { i32 } = loop;

/** Verifies, checks that the text reads back, and that wasm and the interpreter leave the same memory. */
function both(funcs: readonly LoopFunc[], arrays: readonly TypedArray[]): TypedArray[] {
  for (const f of funcs) {
    verifyLoopFunc(f, funcs);
    const text = printLoopFunc(f);
    expect(parseLoopFuncs(text)).toEqual([f]);
    expect(printLoopFunc(parseLoopFuncs(text)[0]!)).toBe(text);
  }
  const copies = arrays.map((a) => a.slice());
  evalLoopFunc(funcs, copies);
  const results = arrays.map((a) => a.slice());
  runFuncs(funcs, results);
  expect(results).toEqual(copies);
  return results;
}

function counting(dtype: DType, length: number): TypedArray {
  const array = allocate(dtype, length);
  for (let i = 0; i < length; i++) array[i] = dtype === "bool" ? (i % 3 === 0 ? 1 : 0) : i + 1;
  return array;
}

describe("memory", () => {
  test.each(["f32", "f64", "i32", "u32", "bool"] as const)(
    "%s: the first 0 to 4 lanes, and nothing beyond",
    (dtype) => {
      for (let active = 0; active <= 4; active++) {
        const f = new loop.FuncBuilder("partial");
        const [x, y, z] = [f.pointer("x", dtype), f.pointer("y", dtype), f.pointer("z", dtype)];
        f.store(y, i32(1), loop.load(x, i32(0), 4, active), active);
        f.store(z, i32(0), loop.load(x, i32(0), 4, active));
        both([f.finish()], [counting(dtype, active), counting(dtype, 1 + active), allocate(dtype, 4)]);
      }
    },
  );

  test("a load that only a splat or a pack needs becomes part of it", () => {
    const f = new loop.FuncBuilder("splats");
    const [x, y] = [f.pointer("x", "f32"), f.pointer("y", "f32")];
    f.store(y, i32(0), loop.splat(loop.load(x, i32(2)), 4));
    f.store(y, i32(4), loop.pack(...[3, 0, 2, 1].map((i) => loop.load(x, i32(i)))));
    const funcs = [f.finish()];
    both(funcs, [counting("f32", 4), allocate("f32", 8)]);
    const { program, plan } = programOf(funcs, [4, 8]);
    const wat = emitWat(program, plan, defaults);
    expect(wat).toContain("v128.load32_splat offset=8");
    expect(wat).toContain("v128.load32_lane");
  });
});

describe("loops", () => {
  test("addresses move with their loops, at every depth, with every sign", () => {
    const f = new loop.FuncBuilder("strides");
    const [x, y] = [f.pointer("x", "f32"), f.pointer("y", "f32")];
    f.for("i", i32(0), i32(3), 1, (i) => {
      const row = f.let("row", loop.mul(i, i32(20)));
      f.for("j", i32(1), i32(4), 1, (j) => {
        f.for("k", i32(0), i32(12), 4, (k) => {
          const forward = loop.sum(row, k, loop.mul(j, i32(2)), i32(-2));
          const backward = loop.sub(loop.sub(i32(70), loop.mul(j, i32(4))), loop.add(loop.mul(i, i32(10)), k));
          const sum = loop.op("add", loop.load(x, forward, 4), loop.load(x, backward, 4));
          f.store(y, loop.sum(loop.mul(loop.add(loop.mul(i, i32(3)), j), i32(12)), k, i32(-12)), sum);
        });
      });
    });
    both([f.finish()], [counting("f32", 80), allocate("f32", 12 * 9)]);
  });

  test("bounds that are values, empty loops, and strides that are values", () => {
    const inner = new loop.FuncBuilder("inner");
    const [x, y] = [inner.pointer("x", "i32"), inner.pointer("y", "i32")];
    const [rows, stride] = [inner.param("rows"), inner.param("stride")];
    inner.for("i", i32(0), rows, 1, (i) => {
      const count = inner.let("count", loop.load(x, i));
      inner.for("j", i32(0), count, 1, (j) => {
        const at = loop.add(loop.mul(i, stride), j);
        inner.store(y, at, loop.add(loop.mul(i, i32(100)), j));
      });
    });
    const outer = new loop.FuncBuilder("outer");
    const [a, b] = [outer.pointer("a", "i32"), outer.pointer("b", "i32")];
    outer.call(inner.finish(), [a, b], [i32(5), i32(4)]);
    both([outer.finish(), inner.finish()], [Int32Array.of(4, 0, 2, 1, 3), allocate("i32", 20)]);
  });

  test("an index out of memory, clamped, in either order of evaluation", () => {
    const f = new loop.FuncBuilder("gather");
    const [table, x, y] = [f.pointer("table", "i32"), f.pointer("x", "f64"), f.pointer("y", "f64")];
    f.for("i", i32(0), i32(6), 1, (i) => {
      const at = loop.max(i32(0), loop.min(loop.load(table, i), i32(4)));
      f.store(y, i, loop.load(x, at));
      f.store(x, at, loop.op("neg", loop.load(x, at)));
    });
    both([f.finish()], [Int32Array.of(3, -7, 99, 3, 1, 4), counting("f64", 5), allocate("f64", 6)]);
  });

  test("while, if and mutable locals of every width", () => {
    const f = new loop.FuncBuilder("collatz");
    const [x, y, z] = [f.pointer("x", "i32"), f.pointer("y", "i32"), f.pointer("z", "f64")];
    const total = f.local("total", loop.constant("f64", 0, 4));
    f.for("i", i32(0), i32(8), 1, (i) => {
      const n = f.local("n", loop.load(x, i));
      const steps = f.local("steps", i32(0));
      f.while(loop.op("gt", loop.use(n), i32(1)), () => {
        const value = f.let("value", loop.use(n));
        f.if(
          loop.eq(loop.and(value, i32(1)), i32(0)),
          () => f.assign(n, loop.op("shr", value, i32(1))),
          () => f.assign(n, loop.add(loop.mul(value, i32(3)), i32(1))),
        );
        f.assign(steps, loop.add(loop.use(steps), i32(1)));
      });
      f.store(y, i, loop.use(steps));
      const t = loop.use(total);
      // Lanes rotate, so the second register needs the first one's old value.
      const turned = loop.pack(...[3, 0, 1, 2].map((l) => loop.lane(t, l)));
      f.assign(total, loop.op("add", turned, loop.cast(loop.ramp(loop.use(steps), 4), "f64")));
    });
    f.store(z, i32(0), loop.use(total));
    both([f.finish()], [Int32Array.of(1, 2, 3, 6, 7, 9, 27, 97), allocate("i32", 8), allocate("f64", 4)]);
  });

  test("a value shared between statements is not taken across a change of memory", () => {
    const f = new loop.FuncBuilder("shared");
    const x = f.pointer("x", "f32");
    const twice = loop.op("add", loop.load(x, i32(0)), loop.load(x, i32(0)));
    f.store(x, i32(0), loop.op("mul", twice, twice));
    f.store(x, i32(1), loop.op("mul", twice, twice));
    both([f.finish()], [Float32Array.of(1, 0)]);
  });

  test("par runs every chunk", () => {
    const chunk = new loop.FuncBuilder("chunk");
    const x = chunk.pointer("x", "i32");
    const [number, width] = [chunk.param("number"), chunk.param("width")];
    const from = chunk.let("from", loop.mul(number, width));
    chunk.for("i", from, loop.min(loop.add(from, width), i32(10)), 1, (i) => {
      chunk.store(x, i, loop.add(loop.load(x, i), number));
    });
    const f = new loop.FuncBuilder("entry");
    const y = f.pointer("y", "i32");
    f.par(i32(3), chunk.finish(), [y], [i32(4)]);
    const [result] = both([f.finish(), chunk.finish()], [counting("i32", 10)]);
    expect([...result!]).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 11, 12]);
  });
});

/** A kernel that runs one unary step on a rank-0 or rank-1 buffer in place. */
function stepKernel(name: string, buffers: readonly number[], build: (f: loop.FuncBuilder) => void): LoopKernel {
  const f = new loop.FuncBuilder(name);
  build(f);
  return { name, funcs: [f.finish()], buffers, scratch: [], writes: [], aliasable: [], flops: 0, schedule: "test" };
}

function controlProgram(steps: readonly LoopStep[]): { program: LoopProgram; plan: Plan } {
  const decl = (id: number, name: string, dtype: DType, kind: BufferDecl["kind"], slot: number): BufferDecl => ({
    id,
    name,
    dtype,
    shape: [],
    kind,
    slot,
  });
  const buffers = [
    decl(0, "index", "i32", "arg", 0),
    decl(1, "x", "f32", "result", 0),
    decl(2, "counter", "i32", "temp", 0),
    decl(3, "more", "bool", "temp", 0),
    decl(4, "copy", "f32", "result", 1),
  ];
  const add = (by: number): LoopKernel =>
    stepKernel(`add${by}`, [1], (f) => {
      const x = f.pointer("x", "f32");
      f.store(x, i32(0), loop.op("add", loop.load(x, i32(0)), loop.f32(by)));
    });
  const addCounter = stepKernel("addCounter", [2, 1], (f) => {
    const [counter, x] = [f.pointer("counter", "i32"), f.pointer("x", "f32")];
    f.store(x, i32(0), loop.op("add", loop.load(x, i32(0)), loop.cast(loop.load(counter, i32(0)), "f32")));
  });
  const below50 = stepKernel("below50", [1, 3], (f) => {
    const [x, more] = [f.pointer("x", "f32"), f.pointer("more", "bool")];
    f.store(more, i32(0), loop.lt(loop.load(x, i32(0)), loop.f32(50)));
  });
  return {
    program: { name: "control", buffers, kernels: [add(1), add(10), addCounter, below50, add(10)], steps, calls: [] },
    plan: {
      arenaBytes: 128,
      alignment: 64,
      places: [
        { kind: "slot", slot: 1, bytes: 4 },
        { kind: "slot", slot: 2, bytes: 4 },
        { kind: "arena", offset: 0, bytes: 4, firstStep: 0, lastStep: 9 },
        { kind: "arena", offset: 64, bytes: 1, firstStep: 0, lastStep: 9 },
        { kind: "slot", slot: 3, bytes: 4 },
      ],
      scratch: [[], [], [], [], []],
    },
  };
}
const run = (kernel: number): LoopStep => ({ kind: "kernel", kernel, nodes: [] });

describe("control steps", () => {
  test.each([
    ["unshared", "import"],
    ["shared", "import"],
    ["unshared", "export"],
  ] as const)("%s memory, %s", (memory, owner) => {
    const { program, plan } = controlProgram([
      { kind: "if", index: 0, branches: [[run(0)], [run(1)], [run(1), run(1)]] },
      { kind: "for", count: 4, counter: 2, body: [run(2)] },
      { kind: "copy", from: 1, to: 4 },
      { kind: "while", test: [run(3)], predicate: 3, body: [run(4)] },
    ]);
    for (const [index, after] of [
      [-3, 7],
      [0, 7],
      [1, 16],
      [2, 26],
      [9, 26],
    ] as const) {
      const [x, copy] = [new Float32Array(1), new Float32Array(1)];
      runProgram(program, plan, [Int32Array.of(index), x, copy], { ...defaults, memory, owner });
      expect(copy[0]).toBe(after);
      expect(x[0]).toBe(after + 10 * Math.ceil((50 - after) / 10));
    }
  });

  test("functions of equal text exist once, whatever their names", () => {
    const { program, plan } = controlProgram([run(1), run(4)]);
    const { bytes } = emit(program, plan, defaults);
    // add1, add10, addCounter, below50 and run; the second add10 is the first.
    const wat = emitWat(program, plan, defaults);
    expect(wat.match(/^ \(func \$/gm)?.length).toBe(5);
    expect(WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)).toBe(true);
    expect(emit(program, plan, defaults).bytes).toEqual(bytes);
  });

  test("an instrumented program says which step begins and is done", () => {
    const { program, plan } = controlProgram([
      { kind: "if", index: 0, branches: [[run(0)], [run(1), run(1)]] },
      { kind: "for", count: 2, counter: 2, body: [run(2), { kind: "copy", from: 1, to: 4 }] },
    ]);
    const told: string[] = [];
    const clock = {
      enter: (step: number) => void told.push(`+${step}`),
      leave: (step: number) => void told.push(`-${step}`),
    };
    runProgram(
      program,
      plan,
      [Int32Array.of(1), new Float32Array(1), new Float32Array(1)],
      { ...defaults, instrument: true },
      clock,
    );
    // Steps are numbered in the order of the text: those of the branch not taken too.
    expect(told.join(" ")).toBe("+1 -1 +2 -2 +3 -3 +4 -4 +3 -3 +4 -4");
    expect(workSteps(program.steps)).toHaveLength(5);
  });

  test("texts of kernels are parts of the module's, comments above their entries", () => {
    const { program, plan } = controlProgram([run(1), run(4), run(3)]);
    const found = emitText(program, plan, defaults, ["", "first", "", "third", "fourth"]);
    expect(found.module).toMatch(/^ ;; first; fourth\n \(func \$add10 /m);
    expect(found.kernels[1]).toBe(found.kernels[4]);
    for (const text of [...found.kernels, found.run])
      expect(found.module.replaceAll("\n ", "\n")).toContain(text.trimEnd());
    expect(Buffer.compare(parseWat(found.module), emit(program, plan, defaults).bytes)).toBe(0);
  });

  test("Binaryen's -O2 gives the same results", () => {
    const { program, plan } = controlProgram([run(1), { kind: "for", count: 3, counter: 2, body: [run(2)] }]);
    const x = new Float32Array(1);
    const bytes = binaryenBytes([{ name: "run", loops: program, plan }], { ...defaults, optimize: true });
    runModule(bytes, plan, [new Int32Array(1), x, new Float32Array(1)]);
    expect(x[0]).toBe(13);
  });
});

test("the WebAssembly of a small loop", () => {
  const f = new loop.FuncBuilder("scale");
  const [x, y] = [f.pointer("x", "f32"), f.pointer("y", "f32")];
  f.for("i", i32(0), i32(8), 4, (i) => {
    f.store(y, i, loop.op("mul", loop.load(x, i, 4), loop.f32(3)));
  });
  f.store(y, i32(8), loop.load(x, i32(8), 4, 1), 1);
  const { program, plan } = programOf([f.finish()], [9, 9]);
  expect(emitWat(program, plan, { ...defaults, relaxedSimd: true })).toMatchSnapshot();
});

test("verification names what is wrong", () => {
  const bad = (build: (f: loop.FuncBuilder) => void): (() => void) => {
    const f = new loop.FuncBuilder("bad");
    build(f);
    return () => verifyLoopFunc(f.finish());
  };
  const other = new loop.FuncBuilder("other");
  const foreign = other.pointer("q", "f32");
  const local = other.local("v", i32(1));
  expect(bad((f) => f.store(foreign, i32(0), loop.f32(0)))).toThrow(/q#0 is not a parameter/);
  expect(bad((f) => f.store(f.pointer("p", "f32"), i32(0), i32(0)))).toThrow(/stored to p is i32, not f32/);
  expect(bad((f) => f.store(f.pointer("p", "f32"), loop.f32(0), loop.f32(0)))).toThrow(/index of a store is f32/);
  expect(bad((f) => f.store(f.pointer("p", "i32"), i32(0), loop.use(local)))).toThrow(/v%0 is not in scope/);
  expect(bad((f) => f.store(f.pointer("p", "f32"), i32(0), loop.constant("f32", 0, 4), 5))).toThrow(/5 of 4 lanes/);
  expect(
    bad((f) => {
      const p = f.pointer("p", "f32");
      const v = f.variable("v", loop.type("f32"), false);
      f.push({ kind: "let", variable: v, value: loop.f32(1) });
      f.assign(v, loop.load(p, i32(0)));
    }),
  ).toThrow(/v, which is not mutable/);
  expect(bad((f) => f.call("missing", []))).not.toThrow();
});

test("the interpreter refuses what wasm would let pass", () => {
  const f = new loop.FuncBuilder("beyond");
  const x = f.pointer("x", "f32");
  f.store(x, i32(2), loop.load(x, i32(0), 4));
  expect(() => evalLoopFunc([f.finish()], [new Float32Array(4)])).toThrow(/x\[2\.\.6\) is outside of its 4 elements/);
});
