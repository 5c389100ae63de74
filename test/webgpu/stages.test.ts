// What can be seen of a program on a GPU: its stages, its cost, its dump, which is run again.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  assert,
  compile,
  hostCall,
  print,
  profile,
  profileAsync,
  ready,
  scan,
  setPrintSink,
  spec,
  type Tensor,
  tensor,
  variable,
  zeros,
} from "sinter";
import { afterEach, describe, expect, test } from "vitest";
import { run } from "../../packages/cli/src/index.ts";
import { failure, missingGpu } from "../../packages/tracer/test/support-gpu.ts";
import { fullRun } from "../support/fuzz.ts";

if (!fullRun)
  console.log("Profiles of kernels of several grids, and of calls that fail, are made by npm run test:full only.");

const early = await failure(() =>
  compile((x: Tensor) => x.neg())
    .lower(spec([4]))
    .text("wgsl"),
);
const missing = await missingGpu("what is seen of programs on a GPU");

test("WGSL is asked for after the compiler was loaded", () => {
  expect(early).toContain('text: the compiler for webgpu is not loaded: write await ready("webgpu") before');
});

describe.skipIf(missing)("what was compiled for a GPU", () => {
  const body = (x: Tensor, w: Tensor) => x.matmul(w).relu().sum(1);
  const given = [spec([32, 64]), spec([64, 48])] as const;

  test("has the same WGSL for a function of either backend, with its lines, for the device that there is", () => {
    const [onGpu, onWasm] = ["webgpu", "wasm"].map((backend) =>
      compile(body, { name: "f", backend: backend as "wasm" }).lower(...given),
    );
    const text = onWasm!.text("wgsl");
    expect(text).toBe(onGpu!.text("wgsl"));
    expect(onWasm!.text("wat")).toBe(onGpu!.text("wat"));
    expect(text).toMatch(
      /^\/\/ f, webgpu for .+ \(.*\d+ buffers a shader\)\n\/\/ 0: k0_dot_relu: .*stages\.test\.ts:\d+ matmul, relu\n/,
    );
    expect([onGpu!.backend, onWasm!.backend, onWasm!.on("webgpu").backend]).toEqual(["webgpu", "wasm", "webgpu"]);
    for (const stage of ["fused", "nests", "loops", "plan"] as const)
      expect(onWasm!.on("webgpu").text(stage), stage).toBe(onGpu!.text(stage));
    expect(onGpu!.text("plan")).toContain("aligned to 256");
    expect(onGpu!.cost()).toMatchObject({ kernels: 2, dispatches: 2 });
    expect(onWasm!.cost().dispatches).toBeUndefined();
  });

  test("names the line of what a device does not have", () => {
    const lowered = compile((x: Tensor) => x.cast("f64").sum()).lower(spec([4]));
    expect(lowered.text("wat")).toContain("(module");
    expect(() => lowered.text("wgsl")).toThrow(/f64 is not available on webgpu.*\n.*stages\.test\.ts:/);
    expect(() => lowered.on("webgpu").inspect()).toThrow("f64 is not available on webgpu");
  });

  test("is inspected as what it is", () => {
    const walk = compile((x: Tensor) => scan((c: Tensor, e: Tensor) => [c.add(e), c.sum()], zeros([8]), x), {
      backend: "webgpu",
      autograph: false,
    });
    const found = walk.lower(spec([5, 8])).inspect();
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    expect(found.passes.at(-1)).toMatchObject({ name: "emit", level: "wgsl" });
    expect(found.run).toMatch(/^(.*\n)*for b\d+ below 5\n {2}dispatch k\S+: shader \d+, /);
    for (const kernel of found.kernels) {
      expect(kernel.wgsl).toContain("@compute");
      expect(kernel.wat).toBeUndefined();
    }
  });
});

describe.skipIf(missing)("a profile of a program on a GPU", () => {
  const peaks = { gflops: 50, gbs: 20 };

  test("has kernels with their runs, work and lines; variables and prints are as after no call", async () => {
    const lines: string[] = [];
    setPrintSink((line) => lines.push(line));
    const w = variable(zeros([48, 40]), { name: "w" });
    const step = compile(
      (x: Tensor) => {
        print("called");
        w.assign(w.value.add(1));
        const carry = (c: Tensor) => [c.mul(0.5).add(1), null] as const;
        return { rows: x.matmul(w.value).softmax(1), last: scan(carry, zeros([100]), null, { length: 25 })[0] };
      },
      { name: "step", backend: "webgpu", autograph: false },
    );
    expect(() => profile(step, zeros([32, 48]))).toThrow(
      "step is for webgpu, whose times are read later: write await profileAsync",
    );
    const found = await profileAsync({ repeats: 2, peaks }, step, zeros([32, 48]));
    setPrintSink(undefined);
    expect(lines).toEqual(["called"]);
    expect((await w.value.data())[0]).toBe(0);
    const calls = new Map(found.kernels.map((kernel) => [kernel.name.replace(/^k[\d.]+_/, ""), kernel.calls]));
    expect(Object.fromEntries(calls)).toMatchObject({ dot: 1, add: 25 });
    const product = found.kernels.find((kernel) => kernel.name.includes("dot"))!;
    expect(product).toMatchObject({ flops: 2 * 32 * 48 * 40 });
    expect(product.locs[0]).toMatchObject({ name: "matmul" });
    for (const kernel of found.kernels) expect(kernel.milliseconds).toBeGreaterThanOrEqual(0);
    expect(
      found.chromeTrace().traceEvents.filter(({ cat, ph }) => cat === "sinter" && ph === "X").length,
    ).toBeGreaterThan(26);
    expect(String(found)).toMatch(/Peaks of .*: 50\.0 GFLOP\/s/);
  });

  test.runIf(fullRun)("of a kernel of two grids counts its runs, not its dispatches; failures reject", async () => {
    const sum = compile((x: Tensor) => x.sum(), { backend: "webgpu" });
    const found = await profileAsync({ repeats: 1, peaks }, sum, zeros([1 << 20]));
    expect(found.kernels.map(({ calls }) => calls)).toEqual([1]);
    const checked = compile(
      (x: Tensor) => {
        assert(x.sum().gt(0), "must be positive");
        return x.neg();
      },
      { backend: "webgpu" },
    );
    expect(await failure(() => profileAsync({ repeats: 1, peaks }, checked, zeros([3])))).toContain("must be positive");
  });
});

describe.skipIf(missing)("a dump of a program on a GPU", () => {
  let folder = "";
  afterEach(() => {
    delete process.env["SINTER_DUMP"];
    rmSync(folder, { recursive: true, force: true });
  });

  test("has its passes and its first call, which is made again with the same bits", async () => {
    folder = mkdtempSync(join(tmpdir(), "sinter-dump-"));
    process.env["SINTER_DUMP"] = folder;
    const lines: string[] = [];
    setPrintSink((line) => lines.push(line));
    const w = variable(tensor([1, 2, 3]), { name: "w" });
    w.assign(await w.value.to("webgpu"));
    const captured = await tensor([5, 6, 7]).to("webgpu");
    const step = compile(
      (x: Tensor) => {
        w.assign(w.value.add(x).mul(captured));
        print("sum {}", x.sum());
        return { above: x.gt(w.value), asked: hostCall((v: Tensor) => v.add(1), spec([]), x.sum()) as Tensor };
      },
      { name: "step", backend: "webgpu" },
    );
    const { above, asked } = step(tensor([1, 20, 3]));
    expect([[...(await above.data())], [...(await asked.data())]]).toEqual([[0, 0, 0], [25]]);
    step(tensor([2, 2, 2]));
    await ready("webgpu");
    setPrintSink(undefined);
    expect(lines).toEqual(["sum 24", "sum 6"]);
    expect(readdirSync(folder)).toEqual(["step-0"]);
    const files = readdirSync(join(folder, "step-0"));
    expect(files).toContain("07-program.wgsl");
    expect(files).toContain("call.safetensors");
    expect(readFileSync(join(folder, "step-0", "07-program.wgsl"), "utf8")).toContain("@compute");
    delete process.env["SINTER_DUMP"];
    let out = "";
    const context = { out: (part: string) => void (out += part), err: (part: string) => void (out += part) };
    const file = join(folder, "step-0", "graph.ir");
    expect(await run(["inspect", "--from-text", file], context)).toBe(0);
    expect(out).toContain("\nwebgpu for ");
    expect(out).toMatch(/next w {2}f32\[3\] +same bits/);
    expect(out).toContain("as recorded, bit for bit");
    out = "";
    expect(await run(["inspect", "--from-text", file, "--backend", "wasm", "--stage", "plan"], context)).toBe(0);
    expect(out).toContain("aligned to 64");
  });
});
