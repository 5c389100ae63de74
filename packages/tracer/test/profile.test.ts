// Profiles: what ran how often, what it did, and that a profile changes nothing. Never how long it took.
import { describe, expect, test } from "vitest";
import {
  assert,
  type ChromeTrace,
  compile,
  cond,
  hostCall,
  matmul,
  ones,
  print,
  profile,
  scan,
  setBackend,
  setPrintSink,
  spec,
  type Tensor,
  tensor,
  variable,
  zeros,
} from "../src/index.ts";

const peaks = { gflops: 50, gbs: 20 };
const few = { repeats: 3, peaks } as const;

describe("what a profile says", () => {
  test("work, runs, schedules and lines of each kernel", () => {
    const f = compile((x: Tensor, w: Tensor) => matmul(x, w).relu().softmax(1));
    const found = profile(few, f, ones([32, 48]), ones([48, 40]));
    expect(found.repeats).toBe(3);
    expect(found.name).toBe(f.name);
    const [product, rows] = found.kernels;
    expect(found.kernels).toHaveLength(2);
    expect(product).toMatchObject({ kind: "kernel", calls: 1, bound: "compute" });
    expect(product!.schedule).toContain("matmul");
    expect(product!.flops).toBeGreaterThanOrEqual(2 * 32 * 40 * 48);
    expect(product!.locs.map((loc) => loc.name)).toEqual(["matmul", "relu"]);
    expect(product!.locs[0]!.file).toContain("profile.test.ts");
    expect(rows!.bytes).toBe(2 * 4 * 32 * 40);
    expect(found.kernels.reduce((n, k) => n + k.share, 0)).toBeLessThanOrEqual(1 + 1e-9);
    const spent = found.kernels.reduce((n, k) => n + k.milliseconds, 0);
    expect(spent + found.outsideMilliseconds).toBeCloseTo(found.milliseconds, 9);
    expect(found.peaks).toEqual(peaks);
    for (const k of found.kernels) {
      expect(k.gflops * k.milliseconds * 1e6).toBeCloseTo(k.milliseconds === 0 ? 0 : k.flops, 3);
      expect(k.gbs * k.milliseconds * 1e6).toBeCloseTo(k.milliseconds === 0 ? 0 : k.bytes, 3);
    }
  });

  test("kernels in loops are one row", () => {
    const f = (x: Tensor) => scan((c: Tensor) => [c.mul(0.5).add(1), null] as const, x, null, { length: 2500 })[0];
    const found = profile(few, f, zeros([100]));
    const [step] = found.kernels.filter((k) => k.kind === "kernel");
    expect(step).toMatchObject({ calls: 2500, flops: 2500 * 200 });
    const copies = found.kernels.filter((k) => k.kind === "copy");
    for (const copy of copies) expect(copy).toMatchObject({ flops: 0, bytes: 800 * copy.calls });
  });

  test("branches that were not taken did not run", () => {
    const f = (x: Tensor) =>
      cond(
        x.sum().gt(0),
        () => x.cumsum(),
        () => x.exp(),
      );
    const found = profile(few, f, ones([100]));
    const calls = new Map(found.kernels.map((k) => [k.name.replace(/^.*_/, ""), k.calls]));
    expect(calls.get("cumulate")).toBe(1);
    expect(calls.get("exp")).toBe(0);
  });

  test("a program that only passes on what it was given", () => {
    const found = profile(few, (x: Tensor) => x, ones([3]));
    expect(found.kernels).toEqual([]);
    expect(String(found)).toContain("no kernels");
    expect(found.chromeTrace().traceEvents.filter((e) => e.cat === "step")).toEqual([]);
  });
});

describe("calls", () => {
  test("functions that were compiled and traced are not traced again", () => {
    const f = compile((x: Tensor) => x.mul(2).sum());
    expect(f(ones([8])).item()).toBe(16);
    profile(few, f, ones([8]));
    expect(f.traces).toBe(1);
    profile(few, f, ones([9]));
    expect(f.traces).toBe(2);
  });

  test("variables advance from call to call, and are what they were afterwards", () => {
    const total = variable(tensor([1, 2]), { name: "total" });
    const seen: number[] = [];
    const f = compile((x: Tensor) => {
      total.assignAdd(x);
      const note = (value: Tensor) => {
        seen.push(value.dataSync()[0]!);
        return [];
      };
      hostCall(note, [], total.value);
      return total.value.mul(2);
    });
    f(tensor([1, 1]));
    expect(Array.from(total.value.dataSync())).toEqual([2, 3]);
    seen.length = 0;
    const kept = total.value;
    profile(few, f, tensor([1, 1]));
    expect(Array.from(total.value.dataSync())).toEqual([2, 3]);
    expect(Array.from(kept.dataSync())).toEqual([2, 3]);
    expect(seen.length).toBeGreaterThanOrEqual(4);
    expect(seen).toEqual(seen.map((_, i) => 3 + i));
    f(tensor([1, 1]));
    expect(Array.from(total.value.dataSync())).toEqual([3, 4]);
  });

  test("prints are written once, the functions of hostCall called every time", () => {
    const printed: string[] = [];
    const before = setPrintSink((text) => printed.push(text));
    let called = 0;
    try {
      const f = compile((x: Tensor) => {
        print("x is {}", x);
        const count = () => {
          called++;
          return [];
        };
        hostCall(count, []);
        return x.mul(2);
      });
      profile(few, f, tensor([1, 2]));
      expect(printed).toEqual(["x is [1, 2]"]);
      expect(called).toBeGreaterThan(3);
      f(tensor([3]));
      expect(printed).toEqual(["x is [1, 2]", "x is [3]"]);
    } finally {
      setPrintSink(before);
    }
  });

  test("variables that a plain function makes outside", () => {
    const w = variable(ones([4]));
    profile(few, () => w.assign(w.value.mul(2)));
    expect(Array.from(w.value.dataSync())).toEqual([1, 1, 1, 1]);
  });

  test("a check that does not hold ends it, and variables are what they were", () => {
    const n = variable(tensor(0));
    const f = compile(() => {
      n.assignAdd(1);
      assert(n.value.lt(2), "too many");
      return n.value;
    });
    expect(() => profile(few, f)).toThrow("too many");
    expect(n.value.item()).toBe(0);
  });

  test("trees, static values, typed arrays and numbers", () => {
    const f = compile((x: { a: Tensor; by: number }) => [x.a.mul(x.by), { sum: x.a.sum() }]);
    expect(profile(few, f, { a: ones([100]), by: 3 }).kernels.length).toBeGreaterThan(0);
    const signed = compile((x: Tensor) => x.add(1), { signature: [spec([3])] });
    expect(profile(few, signed, [1, 2, 3] as never).kernels).toHaveLength(1);
  });

  test("frees what the calls return", async () => {
    const { memory } = await import("../src/index.ts");
    const x = ones([1000]);
    const f = compile((x: Tensor) => x.mul(2));
    profile(few, f, x);
    const before = memory().tensors;
    profile({ repeats: 20, peaks }, f, x);
    expect(memory().tensors).toBe(before);
  });
});

describe("text", () => {
  test("a table, what took longest first", () => {
    const text = String(profile(few, (x: Tensor, w: Tensor) => matmul(x, w).sum(), ones([64, 64]), ones([64, 64])));
    const lines = text.split("\n");
    expect(lines[0]).toMatch(/ \(medians of 3 calls\)$/);
    expect(lines[2]).toMatch(/^kernel +schedule +runs +time +share +GFLOP\/s +GB\/s +of peak +where$/);
    const times = lines.findIndex((line) => line.startsWith("outside of kernels"));
    expect(lines[times + 1]).toMatch(/^total +2 +\S+ (ns|us|ms|s) +100\.0%/);
    expect(text).toMatch(/profile\.test\.ts:\d+ matmul/);
    expect(text).toContain("50.0 GFLOP/s on f32, 20.0 GB/s from memory");
    // Numbers end in the same column.
    const column = lines[2]!.indexOf("share") + "share".length;
    for (const line of [lines[4]!, lines[5]!]) expect(line.slice(0, column)).toMatch(/%$/);
  });
});

describe("Chrome trace", () => {
  const events = ({ traceEvents }: ChromeTrace) => traceEvents.filter((event) => event.ph === "X");

  test("steps inside the call, in order, with work and lines", () => {
    const found = profile(few, (x: Tensor, w: Tensor) => matmul(x, w).sum(), ones([64, 64]), ones([64, 64]));
    const trace = found.chromeTrace();
    expect(JSON.parse(JSON.stringify(trace))).toEqual(trace);
    const [run, ...steps] = events(trace);
    expect(steps.map((s) => s.name)).toEqual(found.kernels.map((k) => k.name));
    let end = run!.ts;
    for (const step of steps) {
      expect(step.ts).toBeGreaterThanOrEqual(end);
      end = step.ts + step.dur!;
    }
    expect(end).toBeLessThanOrEqual(run!.ts + run!.dur!);
    expect(steps[0]!.args).toMatchObject({ flops: 2 * 64 ** 3, bytes: 3 * 4 * 64 * 64 });
    expect(steps[0]!.args["line"]).toMatch(/profile\.test\.ts:\d+:\d+$/);
  });

  test("of a long call only the beginning", () => {
    const f = (x: Tensor) => scan((c: Tensor) => [c.mul(0.5), null] as const, x, null, { length: 30_000 })[0];
    const trace = profile({ repeats: 1, peaks }, f, zeros([4])).chromeTrace();
    expect(events(trace).length).toBe(20_001);
    expect(trace.otherData["stepsLeftOut"]).toBeGreaterThanOrEqual(10_000);
  });
});

describe("bad input", () => {
  const f = compile((x: Tensor) => x.mul(2));
  const cases: [string, () => unknown, RegExp][] = [
    ["no function", () => profile(3 as never), /^profile: f must be a function, not 3/],
    ["nothing", () => profile(...([] as unknown as [never])), /^profile: f must be a function, not undefined/],
    ["options and nothing", () => profile({ repeats: 2 } as never), /^profile: f must be a function, not undefined/],
    ["a misspelt option", () => profile({ repeat: 2 } as never, f, ones([2])), /there is no option repeat/],
    ["no repeats", () => profile({ repeats: 0 }, f, ones([2])), /repeats must be a positive integer, not 0/],
    ["half a repeat", () => profile({ repeats: 1.5 }, f, ones([2])), /repeats must be a positive integer, not 1.5/],
    [
      "peaks of nothing",
      () => profile({ peaks: { gflops: 0, gbs: 1 } }, f, ones([2])),
      /peaks.gflops must be positive/,
    ],
    [
      "peaks that miss one",
      () => profile({ peaks: { gflops: 1 } as never }, f, ones([2])),
      /peaks.gbs must be positive/,
    ],
    ["a spec", () => profile(few, f, spec([2]) as never), /must be a tensor, not only its description f32\[2\]/],
    ["a traced tensor", () => compile((x: Tensor) => void profile(few, f, x))(ones([2])), /while another is traced/],
  ];
  test.each(cases)("%s", (_, run, message) => {
    expect(run).toThrow(message);
  });

  test("another backend", () => {
    const slow = compile((x: Tensor) => x.mul(2), { backend: "reference" });
    expect(() => profile(slow, ones([2]))).toThrow("is for the reference backend, which has no kernels");
    setBackend("reference");
    try {
      expect(() => profile(f, ones([2]))).toThrow("reference backend");
    } finally {
      setBackend("wasm");
    }
  });
});
