// Compiled functions as bundles: what comes out of a bundle is, bit for bit, what the compiled function gives, states
// included; what cannot be exported is listed; and the same program is the same bytes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AssertionError,
  assert,
  bundleFiles,
  compile,
  cond,
  type ExportError,
  exportBundle,
  fori,
  hostCall,
  loadBundle,
  loadModel,
  loadWeights,
  ones,
  type Program,
  print,
  random,
  SinterError,
  saveModel,
  saveWeights,
  scan,
  setBackend,
  spec,
  Tensor,
  tensor,
  type Variable,
  variable,
  whileLoop,
  withEager,
  zeros,
} from "sinter";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SmallModel, smallBatch } from "./support/small-model.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sinter-export-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Tensors, at any depth, as a bundle gives them. */
function plain(value: unknown): unknown {
  if (value instanceof Tensor) return { data: value.dataSync(), shape: [...value.shape], dtype: value.dtype };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The arguments as a bundle takes them. */
function given(value: unknown): unknown {
  if (value instanceof Tensor) return value.dataSync();
  if (Array.isArray(value)) return value.map(given);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, given(item)]));
}

type Fn = (...args: never[]) => unknown;
const call = (f: Fn, args: readonly unknown[]): unknown => (f as (...args: readonly unknown[]) => unknown)(...args);

/** Exports for `args`, runs both `times`, and expects equal results and states. */
async function same(f: Fn, args: readonly unknown[], variables: readonly Variable[] = [], times = 1): Promise<Program> {
  for (const weights of ["file", "embed"] as const) {
    const before = variables.map((v) => v.dataSync());
    const program = await loadBundle(bundleFiles(f, { inputs: args, weights } as object));
    expect(variables.map((v) => v.dataSync())).toEqual(before);
    expect(await program.selfTest()).toMatchObject({ ok: true, rule: "bits" });
    if (weights === "embed") return program;
    for (let i = 0; i < times; i++) {
      const expected = plain(call(f, args));
      expect(program.run(...args.map(given))).toEqual(expected);
      // In the order of their first use, which need not be that of the list.
      const states = Object.values(program.variables).map((v) => v.read());
      expect(states).toHaveLength(variables.length);
      for (const v of variables) expect(states).toContainEqual(v.dataSync());
    }
  }
  throw new Error("unreachable");
}

const x = tensor([1, -2, 3]);

describe("pure functions", () => {
  test("arguments and results are the traced trees, with what is static in them", async () => {
    const f = compile(
      (a: { readonly x: Tensor; readonly by: number }, [y, mode]: readonly [Tensor, string], flag: boolean) => ({
        sum: a.x.mul(a.by).add(y),
        list: [mode === "twice" ? y.mul(2) : y, flag, undefined, { deep: [a.x.sum(), Number.NaN, -0] }],
      }),
      { autograph: false },
    );
    const program = await same(f, [{ x, by: 3 }, [tensor([1, 1, 1]), "twice"], true]);
    expect(() => program.run({ x: [1, 2, 3], by: 4 }, [[1, 1, 1], "twice"], true)).toThrow("3");
  });

  test("every element type, empty tensors, scalars", async () => {
    const types = ["f32", "f64", "i32", "u32", "bool"] as const;
    const f = compile((a: Record<string, Tensor>) => [
      a,
      types.map((t) => a[t]!.eq(a[t]!)),
      a["f64"]!.exp(),
      a["i32"]!.add(1),
    ]);
    const all = Object.fromEntries(types.map((t) => [t, tensor([1, 0, 1], { dtype: t })]));
    await same(f, [all]);
    await same(
      compile((a: Tensor) => [a.add(1), a.sum(), a]),
      [zeros([0, 3])],
    );
    await same(
      compile((a: Tensor, b: Tensor) => a.mul(b).sin()),
      [tensor(2), tensor(3)],
    );
  });

  test("arguments that come back as they are, constants as results, programs without work", async () => {
    const large = tensor(Array.from({ length: 100 }, (_, i) => i));
    const again = tensor(Array.from({ length: 100 }, (_, i) => i));
    await same(
      compile((a: Tensor) => a),
      [x],
    );
    await same(
      compile((a: Tensor, b: Tensor) => [b, a, b]),
      [x, tensor([7])],
    );
    const program = await same(
      compile(() => ({ large, again, one: tensor(1), sum: large.add(again).sum() })),
      [],
    );
    expect(Object.keys(program.variables)).toEqual([]);
    const manifest = manifestOf(bundleFiles(compile(() => [large.add(1), again])));
    expect(manifest["constants"]).toHaveLength(1);
  });

  test("control flow", async () => {
    const f = compile((a: Tensor, n: Tensor) => {
      const [carry, ys] = scan((c: Tensor, row: Tensor) => [c.add(row), c.mul(row)] as const, a, ones([4, 3]));
      const halved = whileLoop(
        (c: Tensor) => c.gt(1),
        (c: Tensor) => c.mul(0.5),
        a.abs().max(),
      );
      const many = fori(0, n, (i: Tensor, c: Tensor) => c.add(i.cast("f32")), a);
      return [
        carry,
        ys,
        halved,
        many,
        cond(
          a.sum().gt(0),
          () => a,
          () => a.neg(),
        ),
      ];
    });
    await same(f, [x, tensor(5, { dtype: "i32" })]);
  });

  test("fastMath is kept", async () => {
    await same(
      compile((a: Tensor) => a.div(3).add(a.div(3)).sum(), { fastMath: true }),
      [tensor(Array.from({ length: 37 }, (_, i) => i / 7))],
    );
  });
});

describe("functions with variables", () => {
  test("a training step with Adam: five calls give the states of the compiled function", async () => {
    const model = new SmallModel();
    await same(model.train, smallBatch(1), model.variables, 5);
  });

  test("states that only move, are swapped, come back, and stand for results", async () => {
    const a = variable([1, 2], { name: "a" });
    const b = variable([3, 4], { name: "b" });
    const swap = compile(() => {
      const old = a.value;
      a.assign(b);
      b.assign(old);
      return { a, old };
    });
    await same(swap, [], [a, b], 3);
    const set = compile((v: Tensor) => {
      a.assign(v);
    });
    await same(set, [tensor([9, 8])], [a], 2);
    await same(
      compile(() => [a, b]),
      [],
      [a, b],
    );
  });

  test("random generators go on where they were", async () => {
    const source = new random.Generator(7);
    const f = compile(() => [source.normal([5]), source.uniform([3])]);
    await same(f, [], [source.state as Variable], 3);
  });

  test("variables made in the first trace, arguments that nothing uses, debug and verify", async () => {
    let made: Variable | undefined;
    const f = compile((a: Tensor) => {
      made ??= variable([1, 1, 1], { name: "made" });
      made.assignAdd(a);
      return made.sum();
    });
    const program = await loadBundle(bundleFiles(f, { inputs: [spec([3])] }));
    expect(program.run([1, 2, 3])).toMatchObject({ data: Float32Array.of(9) });
    expect(f(tensor([1, 2, 3])).item()).toBe(9);
    expect(f.traces).toBe(1);
    await same(
      compile((a: Tensor, _: Tensor) => a.exp(), { debug: true }),
      [x, tensor([1])],
    );
    await same(
      compile((a: Tensor) => a.exp(), { verify: true }),
      [x],
    );
  });

  test("several functions share their variables", async () => {
    const w = variable([1, 1], { name: "w" });
    const model = {
      train: compile((v: Tensor) => void w.assignAdd(v), { signature: [spec([2])] }),
      predict: compile((v: Tensor) => v.mul(w), { signature: [spec([2])] }),
      unused: variable(0),
    };
    const program = await loadBundle(bundleFiles(model));
    expect(Object.keys(program.functions)).toEqual(["train", "predict"]);
    expect(Object.keys(program.variables)).toEqual(["w"]);
    program.functions["train"]!([2, 3]);
    expect(program.functions["predict"]!([10, 10])).toMatchObject({ data: Float32Array.of(30, 40) });
    expect(await program.selfTest()).toMatchObject({ ok: true, calls: 3 });
    expect([...w.dataSync()]).toEqual([1, 1]);
  });

  test("one function under two names is there under both", async () => {
    const w = variable([1], { name: "w" });
    const next = compile((v: Tensor) => w.assignAdd(v), { signature: [spec([1])] });
    const program = await loadBundle(bundleFiles({ next, again: next }));
    expect(Object.keys(program.functions)).toEqual(["next", "again"]);
    program.functions["next"]!([2]);
    program.functions["again"]!([3]);
    expect([...program.variables["w"]!.read()]).toEqual([6]);
    expect(await program.selfTest()).toMatchObject({ ok: true });
  });

  test("aliases at any depth are there, by their paths; a class is not walked for them", async () => {
    const f = compile((v: Tensor) => v.add(1), { signature: [spec([1])] });
    class Holder {
      readonly own = f;
    }
    const model = { nested: { a: f, deep: { b: f } }, a: f, holder: new Holder() };
    const program = await loadBundle(bundleFiles(model));
    expect(Object.keys(program.functions)).toEqual(["nested_a", "nested_deep_b", "a"]);
    for (const run of Object.values(program.functions)) expect(run([1])).toMatchObject({ data: Float32Array.of(2) });
  });

  test("names of variables are made unique, whatever the process counted before", () => {
    const named = (): Variable[] => [variable(1, { name: "w" }), variable(2, { name: "w" }), variable(3), variable(4)];
    const files = [named(), named()].map((all) => bundleFiles(compile(() => all.map((v) => v.add(1)))));
    expect((manifestOf(files[0]!)["variables"] as { name: string }[]).map(({ name }) => name)).toEqual([
      "w",
      "w_1",
      "variable",
      "variable_1",
    ]);
    expect(files[0]).toEqual(files[1]);
  });
});

describe("checks and prints", () => {
  test("a check that fails throws, names its line without folders, and changes no state", async () => {
    const w = variable([1, 1, 1], { name: "w" });
    const f = compile((a: Tensor) => {
      w.assignAdd(a);
      assert(a.gt(0).all(), "a must be positive");
      return w.sum();
    });
    const files = bundleFiles(f, { inputs: [spec([3])] });
    expect(new TextDecoder().decode(files.get("manifest.json"))).not.toContain(process.cwd());
    const program = await loadBundle(files);
    expect(() => program.run([1, -1, 1])).toThrow(/a must be positive\n\s+at export\.test\.ts:\d+:\d+/);
    expect([...program.variables["w"]!.read()]).toEqual([1, 1, 1]);
    expect(program.run([1, 1, 1])).toMatchObject({ data: Float32Array.of(6) });
  });

  test("a check that fails in a loaded bundle is the AssertionError of the compiled function", async () => {
    const f = compile(
      (a: Tensor) => {
        assert(a.gt(0).all(), "must be positive");
        return a;
      },
      { signature: [spec([2])] },
    );
    const program = await loadBundle(bundleFiles({ f }, { inputs: { f: [tensor([1, 2])] } } as object));
    for (const run of [program.run, program.functions["f"]!]) {
      expect(() => run([1, -1])).toThrow(AssertionError);
      expect(() => run([1, -1])).toThrow(/^must be positive\n {4}at export\.test\.ts:\d+/);
    }
    expect(() => f(tensor([1, -1]))).toThrow(AssertionError);
  });

  test("inputs that are drawn are drawn again where a check refuses them; where all are refused, it says what to do", () => {
    const never = compile((a: Tensor) => {
      assert(a.gt(5).all(), "a must be large");
      return a;
    });
    expect(() => bundleFiles(never, { inputs: [spec([2])] })).toThrow(
      /refuses the inputs that were drawn for its recorded calls: a must be large[\s\S]*Give it arguments instead of specs, or selfTest: false/,
    );
    expect(manifestOf(bundleFiles(never, { inputs: [tensor([6, 7])] }))).toHaveProperty("selfTest");
    expect(manifestOf(bundleFiles(never, { inputs: [spec([2])], selfTest: false }))).not.toHaveProperty("selfTest");
  });

  test("what is printed goes to the log, and nothing is printed while calls are recorded", async () => {
    const f = compile((a: Tensor) => {
      print("a is {}", a);
      return a.add(1);
    });
    const shown: string[] = [];
    const program = await loadBundle(bundleFiles(f, { inputs: [x] }), { log: (text) => void shown.push(text) });
    expect(shown).toEqual([]);
    program.run(x.dataSync());
    expect(shown).toEqual(["a is [1, -2, 3]"]);
  });
});

describe("what cannot be exported", () => {
  class Config {
    readonly rate = 1;
  }

  test("is listed in one go, with lines", () => {
    const gone = variable([1], { name: "gone" });
    const lost = compile((a: Tensor) => a.add(gone));
    lost(tensor([1]));
    gone.dispose();
    const many = compile((a: Tensor) => a.add(1));
    many(tensor([1]));
    many(tensor([1, 2]));
    const functions = {
      statics: compile((a: Tensor, _f: unknown, _g: unknown) => a),
      throws: compile((_: Tensor) => {
        throw new Error("of the user");
      }),
      empty: compile((_: Tensor) => 3),
      reference: compile((a: Tensor) => a, { backend: "reference" }),
      many,
      unknown: compile((a: Tensor) => a.add(1)),
      lost,
      host: compile((a: Tensor) =>
        hostCall(
          function twice(b: Tensor) {
            return b.mul(2);
          },
          spec([3]),
          a,
        ),
      ),
      results: compile((a: Tensor) => ({ a, b: [10n] })),
      plain: (a: Tensor) => a,
      waits: async () => 1,
      "a-b": (a: Tensor) => a,
    };
    const inputs = {
      statics: [spec([3]), { list: [Math.sin, Symbol.iterator, 1n] }, new Config()],
      throws: [spec([3])],
      empty: [spec([2])],
      host: [spec([3])],
      results: [spec([3])],
      other: [],
    };
    let message = "";
    try {
      bundleFiles(functions, { inputs } as object);
    } catch (error) {
      ({ message } = error as Error);
      expect((error as Error).name).toBe("ExportError");
    }
    const lines = message.split("\n").map((line) => line.replace(/at .*[\\/]export\.test\.ts:\d+:\d+/, "at line"));
    expect(lines.filter((line) => !/^\s+at line$/.test(line))).toMatchInlineSnapshot(`
      [
        "bundleFiles: 16 things cannot be exported",
        "  inputs.other: there is no function of this name; there are statics, throws, empty, reference, many, unknown, lost, host, results, plain, waits, a-b",
        "  statics: argument _f.list[0] is a function (sin), which a bundle cannot hold: let it be captured instead of passed",
        "  statics: argument _f.list[1] is Symbol(Symbol.iterator), which a bundle cannot hold: pass a string",
        "  statics: argument _f.list[2] is the bigint 1, which a bundle cannot hold: pass a number or a string",
        "  statics: argument _g is an object (Config), which a bundle cannot hold: pass its fields as a plain object, or let it be captured",
        "  throws: of the user",
        "  empty: computes nothing: it returns no tensor and changes no variable",
        "  reference: is compiled for the backend "reference", which has no program to export: take "wasm"",
        "  many: was traced for 2 signatures: say which with inputs. They are (f32[1]) and (f32[2])",
        "  unknown: has no signature and was not called: say what it takes, inputs: [spec([32, 784])]",
        "  lost: the variable gone, f32[1], has been disposed",
        "  host: calls twice with hostCall, which stays outside a bundle: pass what it gives as an argument",
        "  results: the result.b[0] is the bigint 10, which a bundle cannot hold: pass a number or a string",
        "  plain: is a function that is not compiled: write compile(plain)",
        "  waits: is an async function, which cannot be compiled: await before or after the call",
        "  a-b: is a function that is not compiled: write compile(f)",
      ]
    `);
    expect(lines.filter((line) => /^\s+at line$/.test(line)).length).toBeGreaterThan(10);
  });

  test("what is no function or variable in plain objects, and names that are none or collide", () => {
    const f = compile((v: Tensor) => v.add(1), { signature: [spec([1])] });
    const g = compile((v: Tensor) => v.add(2), { signature: [spec([1])] });
    const none = (v: Tensor): Tensor => v;
    const functions = {
      f,
      w: variable(0),
      k: 5,
      gone: undefined,
      sub: { rate: 0.1, none, empty: {} },
      日本: g,
      "a-b": f,
      "a+b": g,
      a_c: f,
      "a.c": g,
    };
    let problems: readonly string[] = [];
    try {
      bundleFiles(functions);
    } catch (error) {
      ({ problems } = error as ExportError);
    }
    const rename =
      "gives no name of its own for a function in a bundle, which has the letters a to z, digits, _ and $: rename it";
    expect(problems).toEqual([
      `"日本": ${rename}`,
      `"a+b": ${rename}`,
      `"a.c": ${rename}`,
      "k: is 5, not a compiled function",
      "gone: is undefined, not a compiled function",
      "sub.rate: is 0.1, not a compiled function",
      "sub.none: is a function that is not compiled: write compile(none)",
    ]);
  });

  test("wrong options and targets", async () => {
    const f = compile((a: Tensor) => a.add(1), { signature: [spec([2])] });
    expect(() => bundleFiles(f, { target: "cuda" } as object)).toThrow(
      'there is no target the string "cuda"; there are "wasm", "webgpu" and "both"',
    );
    expect(() => bundleFiles(f, { weights: "inside" } as object)).toThrow('weights must be "file" or "embed"');
    expect(() => bundleFiles(f, { input: [] } as object)).toThrow("there is no option input");
    expect(() => bundleFiles(f, { inputs: [spec([3])] })).toThrow("the signature says f32[2]");
    expect(() => bundleFiles({})).toThrow("there is no function to export");
    expect(() => bundleFiles([x])).toThrow("there is no function to export");
    expect(() => withEager(() => bundleFiles(f))).toThrow("outside of compiled functions and of withEager");
    // @ts-expect-error: the function takes a tensor
    expect(() => bundleFiles(f, { inputs: ["text"] })).toThrow('not the string "text"');
    await expect(exportBundle(f, {} as { outDir: string })).rejects.toThrow("outDir must be the path of a folder");
  });

  test("functions for the reference evaluator", () => {
    const f = compile((a: Tensor) => a.add(1), { signature: [spec([2])] });
    setBackend("reference");
    try {
      expect(() => bundleFiles(f)).toThrow('is compiled for the backend "reference"');
    } finally {
      setBackend("wasm");
    }
  });
});

describe("what loadBundle takes", () => {
  test("wrong sources and options are named", async () => {
    const wrong = (from: unknown, options?: unknown): Promise<unknown> => loadBundle(from as string, options as object);
    const files = bundleFiles(compile((a: Tensor) => a.add(1), { signature: [spec([2])] }));
    await expect(wrong(undefined)).rejects.toThrow(
      "loadBundle: from must be the folder of a bundle, as a path or URL, or its files by name, not undefined",
    );
    await expect(wrong("")).rejects.toThrow('not the string ""');
    await expect(wrong(new Uint8Array(2))).rejects.toThrow("not an object (Uint8Array)");
    await expect(wrong(files, { bild: "simd" })).rejects.toThrow(
      "loadBundle: there is no option bild; there are build, log, target, device, gpu",
    );
    await expect(loadModel(undefined as unknown as string)).rejects.toThrow("loadModel: from must be the folder");
  });
});

describe("folders", () => {
  test("an export that fails leaves the bundle that was there", async () => {
    const outDir = join(folder, "kept");
    const good = compile((a: Tensor) => a.add(1), { signature: [spec([2])] });
    const { files } = await exportBundle(good, { outDir });
    expect(readdirSync(outDir).sort()).toEqual([...files.keys()].sort());
    const bad = compile((_: Tensor) => 3, { signature: [spec([2])] });
    await expect(exportBundle(bad, { outDir })).rejects.toThrow("computes nothing");
    for (const [name, bytes] of files) expect(new Uint8Array(readFileSync(join(outDir, name)))).toEqual(bytes);
    expect(readdirSync(folder)).toEqual(["kept"]);
  });

  test("what keeps files from being written names the function, the path as given and the cause", async () => {
    const f = compile((a: Tensor) => a.add(1), { signature: [spec([2])] });
    const model = { f, w: variable([1, 2], { name: "w" }) };
    const file = join(folder, "file");
    writeFileSync(file, "words");
    const below = `${file}/sub/deep`;
    for (const [caller, write] of [
      ["exportBundle", () => exportBundle(f, { outDir: below })],
      ["saveModel", () => saveModel(model, below)],
      ["saveWeights", () => saveWeights(model, below)],
    ] as const) {
      const error = await write().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(SinterError);
      expect((error as Error).message).toMatch(
        /^\w+: .*\/file\/sub\/deep cannot be written: ENOTDIR: not a directory(\n|$)/,
      );
      expect((error as Error).message).toContain(`${caller}: ${below} `);
      expect((error as Error).cause).toMatchObject({ code: "ENOTDIR" });
    }
    await expect(exportBundle(f, { outDir: file })).rejects.toThrow(
      `exportBundle: ${file} cannot be written: it is there already and is no bundle: choose`,
    );
    const nowhere = join(folder, "nowhere.safetensors");
    await expect(loadWeights(model, nowhere)).rejects.toThrow(
      `loadWeights: ${nowhere} cannot be read: ENOENT: no such file`,
    );
    await expect(saveWeights(model, "")).rejects.toThrow("saveWeights: file must be the path of a file");
    const made = join(folder, "made/for/it.safetensors");
    await saveWeights(model, made);
    expect(await loadWeights(model, made)).toEqual({ missing: [], extra: [] });
  });

  test("the loader in the folder runs it, and loadBundle runs the folder", async () => {
    const outDir = join(folder, "runs");
    const f = compile(function twice(a: Tensor) {
      return a.mul(2);
    });
    await exportBundle(f, { outDir, inputs: [spec([2])], license: "MIT" });
    const program = await loadBundle(outDir);
    expect(program.functions["twice"]!([1, 2])).toMatchObject({ data: Float32Array.of(2, 4) });
    const script = `import { load } from ${JSON.stringify(join(outDir, "index.js"))}; const p = await load(); console.log(p.run([3, 4]).data.join());`;
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })).toBe("6,8\n");
    expect(manifestOf(bundleFiles(f, { license: "MIT" }))).toMatchObject({ license: "MIT", name: "twice" });
  });

  test("two processes write the same bytes", () => {
    const outputs = ["one", "two"].map((name, i) => {
      const outDir = join(folder, name);
      execFileSync(process.execPath, [
        join(import.meta.dirname, "fixtures/export/deterministic.ts"),
        outDir,
        String(i),
      ]);
      const names = readdirSync(outDir, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
      return Object.fromEntries(names.map((name) => [name, readFileSync(join(outDir, name), "base64")]));
    });
    expect(Object.keys(outputs[0]!).length).toBeGreaterThan(5);
    expect(outputs[0]).toEqual(outputs[1]);
  });
});

test("files name the version that is in package.json", () => {
  const { version } = JSON.parse(
    readFileSync(join(import.meta.dirname, "../packages/sinter/package.json"), "utf8"),
  ) as { version: string };
  expect(manifestOf(bundleFiles(compile(() => tensor(1).add(x)))) as object).toMatchObject({ sinter: version });
});

function manifestOf(files: ReadonlyMap<string, Uint8Array>): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Record<string, unknown>;
}
