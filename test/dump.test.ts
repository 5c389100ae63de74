// SINTER_DUMP: what is written for each compiled function, that it runs again with the same bits, and that a dump which
// fails disturbs nobody.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nameByHash, parseGraph } from "@sinter/ir";
import { compileGraph, theMachine, writeSafetensors } from "@sinter/runtime";
import { assert, compile, cond, hostCall, print, random, spec, type Tensor, tensor, whileLoop } from "sinter";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Classifier } from "../examples/digits/model.ts";
import { run } from "../packages/cli/src/index.ts";
import { dumped } from "../packages/tracer/src/dump.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sinter-dump-"));
  process.env["SINTER_DUMP"] = folder;
});
afterEach(() => {
  delete process.env["SINTER_DUMP"];
  rmSync(folder, { recursive: true, force: true });
  vi.restoreAllMocks();
});

async function sinter(
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const text = { out: "", err: "" };
  const code = await run(args, {
    out: (part) => {
      text.out += part;
    },
    err: (part) => {
      text.err += part;
    },
  });
  return { code, ...text };
}

const again = (name: string, ...args: string[]) =>
  sinter("inspect", "--from-text", join(folder, name, "graph.ir"), ...args);

describe("a dump", () => {
  test("has a file for each pass, the page, and what it takes to run again", () => {
    const f = compile((x: Tensor) => x.mul(2).sum(), { name: "f" });
    expect(f(tensor([1, 2, 3])).item()).toBe(12);
    expect(readdirSync(join(folder, "f-0")).sort()).toEqual([
      "00-trace.ir",
      "01-simplify.ir",
      "02-regions.ir",
      "03-loops-of-elements.ir",
      "04-fuse.nests",
      "05-schedule.loops",
      "06-plan.txt",
      "07-program.wat",
      "call.safetensors",
      "data.safetensors",
      "graph.ir",
      "index.html",
    ]);
    expect(readFileSync(join(folder, "f-0", "07-program.wat"), "utf8")).toMatch(/^\(module/);
    expect(readFileSync(join(folder, "f-0", "index.html"), "utf8")).toContain("dump.test.ts");
  });

  test("is a new folder for each trace, with the record of its first call", async () => {
    const f = compile((x: Tensor) => x.add(1), { name: "g/../h" });
    f(tensor([1, 2]));
    f(tensor([10, 20]));
    f(tensor([1, 2, 3]));
    expect(readdirSync(folder).sort()).toEqual(["g_.._h-0", "g_.._h-1"]);
    expect((await again("g_.._h-0")).out).toContain("as recorded, bit for bit");
  });

  test("of a training step gives the same bits again, new states included", async () => {
    const step = new Classifier().compiledStep();
    const images = new Float32Array(4 * 784).map((_, i) => Math.abs(Math.sin(i)));
    step(tensor(images, { shape: [4, 784] }), tensor([1, 2, 3, 4], { dtype: "i32" }));
    const { code, out } = await again("trainingStep-0");
    expect(code).toBe(0);
    expect(out.match(/ {2}same bits/g)).toHaveLength(21);
    expect(out).toContain("next w1.square  f32[784,256]");
    expect(out).toContain("as recorded, bit for bit");
  });

  test("of branches, loops, random numbers, checks, large constants and captured tensors gives the same bits", async () => {
    const noise = tensor(Array.from({ length: 100 }, (_, i) => i / 100));
    const table = new Float32Array(100).map((_, i) => 1 / (i + 1));
    const body = (x: Tensor, key: Tensor) => {
      assert(x.sum().gt(0), "must be positive");
      print("sum {}", x.sum());
      const start = cond(
        x.sum().gt(3),
        () => x.mul(2),
        () => x.neg(),
      );
      return whileLoop(
        (c: Tensor) => c.sum().lt(400),
        (c: Tensor) =>
          c
            .add(random.uniform(key, [100]))
            .add(noise)
            .add(table),
        start,
      );
    };
    vi.spyOn(console, "log").mockImplementation(() => {});
    const mix = compile(body, { name: "mix", autograph: false });
    mix(tensor(new Float32Array(100).fill(0.1)), random.key(3));
    expect(() => mix(tensor(new Float32Array(100).fill(-1)), random.key(3))).toThrow("must be positive");
    const { code, out } = await again("mix-0");
    expect(out).toContain("as recorded, bit for bit");
    expect(code).toBe(0);
  });

  test("answers calls of the host with what was answered then", async () => {
    const f = compile((x: Tensor) => hostCall((v: Tensor) => v.mul(3), spec([2]), x).add(1), { name: "asks" });
    expect(f(tensor([1, 2])).dataSync()).toEqual(new Float32Array([4, 7]));
    const { code, out } = await again("asks-0");
    expect(out).toContain("as recorded, bit for bit");
    expect(code).toBe(0);
  });

  test("records the first call, not the one that its host makes meanwhile", async () => {
    let depth = 0;
    const f: (x: Tensor) => Tensor = compile(
      (x: Tensor) => hostCall((v: Tensor) => (depth++ === 0 ? f(tensor([10, 20])) : v), spec([2]), x).mul(2),
      { name: "again" },
    );
    expect(f(tensor([1, 2])).dataSync()).toEqual(new Float32Array([40, 80]));
    expect((await again("again-0")).out).toContain("as recorded, bit for bit");
  });
});

test("a program that traps leaves what it was given", async () => {
  const graph = parseGraph("graph @traps(%x: f32[2]) {\n  %0 = neg %x : f32[2]\n  return %0\n}\n");
  const options = { backend: "wasm" } as const;
  const real = compileGraph(graph, options);
  const trap = new WebAssembly.RuntimeError("unreachable");
  const execute = (): void => {
    throw trap;
  };
  const { executable } = dumped({ ...real, executable: { ...real.executable, execute } }, graph, options);
  const { heap } = theMachine();
  const block = heap.place("f32", new Float32Array([1, -2]));
  expect(() => executable.execute(executable.slots.map(() => block.address))).toThrow(trap);
  heap.release(block);
  const { code, out } = await again("traps-0");
  expect(out).toContain("result 0  f32[2]  was not recorded: the call did not come to its end then");
  expect(code).toBe(0);
});

describe("running a dump again", () => {
  function dumpOf(name: string): string {
    const c = tensor(Array.from({ length: 80 }, (_, i) => i));
    const big = new Float32Array(80).fill(0.25);
    compile((x: Tensor) => ({ y: x.mul(c).add(big), n: x.sum() }), { name })(tensor(new Float32Array(80).fill(2)));
    return join(folder, `${name}-0`);
  }

  test("exits with 1 and names what differs from the record", async () => {
    const path = join(dumpOf("altered"), "call.safetensors");
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    const { code, out } = await again("altered-0");
    expect(code).toBe(1);
    expect(out).toMatch(/DIFFERENT: 1 of 80 elements; element 79 was/);
    expect(out).toContain("1 of 2 results differ from the record");
  });

  test("says where text is wrong, by file, line and column", async () => {
    const path = join(dumpOf("wrong"), "graph.ir");
    writeFileSync(path, readFileSync(path, "utf8").replace("= mul ", "= mull "));
    const { code, err } = await again("wrong-0");
    expect(code).toBe(2);
    expect(err).toMatch(/graph\.ir:\d+:\d+: there is no op mull\n.*mull.*\n +\^/);
  });

  test("says which constants it misses, and takes them from where they are", async () => {
    const data = new Float32Array(80).fill(0.25);
    const name = nameByHash(data);
    const file = join(folder, "named.ir");
    const text = `graph @named() {\n  %0 = const {dtype=f32, shape=[80], data=${name}} : f32[80]\n  return %0\n}\n`;
    writeFileSync(file, text);
    const missing = await sinter("inspect", "--from-text", file);
    expect(missing.code).toBe(2);
    expect(missing.err).toMatch(/named\.ir:2:\d+: the contents of hash:[0-9a-f]{16} are not given: .*--data/);
    const elsewhere = join(folder, "elsewhere.safetensors");
    writeFileSync(elsewhere, writeSafetensors([{ name, dtype: "f32", shape: [80], data }]));
    expect((await sinter("inspect", "--from-text", file, "--data", elsewhere)).code).toBe(0);
    writeFileSync(elsewhere, writeSafetensors([]));
    const { err } = await sinter("inspect", "--from-text", file, "--data", elsewhere);
    expect(err).toMatch(/named\.ir:2:\d+: .* are not given in .*elsewhere\.safetensors/);
  });

  test("refuses a record that does not fit, and damaged files, by name", async () => {
    const path = dumpOf("damaged");
    const text = readFileSync(join(path, "graph.ir"), "utf8");
    writeFileSync(join(path, "graph.ir"), text.replaceAll("f32[80]", "f32[79]"));
    expect((await again("damaged-0")).code).toBe(2);
    writeFileSync(join(path, "graph.ir"), text);
    writeFileSync(join(path, "call.safetensors"), "no safetensors");
    const { code, err } = await again("damaged-0");
    expect(code).toBe(2);
    expect(err).toContain("call.safetensors: ");
  });

  test("without a record compiles only, prints stages and writes the page", async () => {
    const path = dumpOf("alone");
    rmSync(join(path, "call.safetensors"));
    expect((await again("alone-0")).out).toContain("No call was recorded beside it");
    expect((await again("alone-0", "--stage", "nests")).out).toMatch(/^nests alone/);
    const html = join(folder, "page.html");
    expect((await again("alone-0", "--html", html)).code).toBe(0);
    expect(readFileSync(html, "utf8")).toContain("<title>alone · Sinter</title>");
  });
});

describe("a dump that fails", () => {
  test("leaves the call alone, and warns once", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    process.env["SINTER_DUMP"] = file;
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const f = compile((x: Tensor) => x.mul(2), { name: "f" });
    expect(f(tensor([1])).dataSync()).toEqual(new Float32Array([2]));
    expect(f(tensor([1, 2])).dataSync()).toEqual(new Float32Array([2, 4]));
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/^sinter: SINTER_DUMP: EEXIST.*file/)]]);
  });
});
