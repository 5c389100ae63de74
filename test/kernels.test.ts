// How many kernels known graphs become, by which schedules, and how many bytes those move: a fusion that is lost shows
// here without timing anything. The graphs are those of the golden fusion tests.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bytesOf, parseGraph, sizeOf, staticDim } from "@sinter/ir";
import { simplify } from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { scheduledFused } from "./support/check-text.ts";
import { type Compiled, withCompiled } from "./support/compiled.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** The graph of a golden test or a fixture: what stands above its expected text. */
function compiled<T>(file: string, use: (compiled: Compiled) => T): T {
  const [source = ""] = readFileSync(join(here, file), "utf8").split("// ----\n");
  return withCompiled(simplify(parseGraph(source)), scheduledFused, use);
}

/** One line for each kernel: its name, its schedule, the bytes of the buffers it reads and of those it writes. */
function kernelTable(file: string): string {
  return compiled(file, ({ loops, plan }) => {
    const bytes = (ids: readonly number[]): number =>
      ids.reduce((n, id) => {
        const decl = loops.buffers[id]!;
        return n + staticDim(sizeOf(decl.shape)) * bytesOf(decl.dtype);
      }, 0);
    const lines = loops.kernels.map((k) => {
      const reads = k.buffers.filter((b) => !k.writes.includes(b));
      return `${k.name}: ${k.schedule}, reads ${bytes(reads)}, writes ${bytes(k.writes)}`;
    });
    const copies = loops.steps.filter((s) => s.kind === "copy");
    const count = `${loops.kernels.length} kernel${loops.kernels.length === 1 ? "" : "s"}`;
    const total = bytes(loops.kernels.flatMap((k) => k.buffers));
    return [`${count}, ${copies.length} copies, ${total} bytes, arena ${plan.arenaBytes}`, ...lines].join("\n");
  });
}

const kernelCount = (file: string): number => compiled(file, ({ loops }) => loops.kernels.length);

describe("one kernel for", () => {
  test.each(["softmax", "layer-norm", "matmul-bias-gelu", "adam"])("%s", (name) => {
    expect(kernelCount(`golden/fuse/${name}.ir`)).toBe(1);
  });
});

test("a training step of a perceptron takes at most 16 kernels", () => {
  expect(kernelCount("fixtures/mlp-step.ir")).toBeLessThanOrEqual(16);
});

describe("kernels and their bytes", () => {
  test("softmax", () =>
    expect(kernelTable("golden/fuse/softmax.ir")).toMatchInlineSnapshot(`
    "1 kernel, 0 copies, 25600 bytes, arena 448
    k0_reduce_exp_reduce_div: rows, reads 12800, writes 12800"
  `));
  test("layerNorm", () =>
    expect(kernelTable("golden/fuse/layer-norm.ir")).toMatchInlineSnapshot(`
    "1 kernel, 0 copies, 26400 bytes, arena 0
    k0_reduce_div_reduce_add: rows, reads 13600, writes 12800"
  `));
  test("matmul, bias and gelu", () =>
    expect(kernelTable("golden/fuse/matmul-bias-gelu.ir")).toMatchInlineSnapshot(`
    "1 kernel, 0 copies, 106880 bytes, arena 53440
    k0_dot_mul: matmul 6x8, reads 82304, writes 24576"
  `));
  test("Adam", () =>
    expect(kernelTable("golden/fuse/adam.ir")).toMatchInlineSnapshot(`
    "1 kernel, 0 copies, 172040 bytes, arena 0
    k0_add_add_sub: par, reads 98312, writes 73728"
  `));
  test("attention", () =>
    expect(kernelTable("golden/fuse/attention.ir")).toMatchInlineSnapshot(`
    "3 kernels, 0 copies, 196608 bytes, arena 36032
    k0_dot_mul: matmul 6x8, reads 32768, writes 32768
    k1_reduce_exp_reduce_div: rows, reads 32768, writes 32768
    k2_dot_reshape: matmul 6x8, reads 49152, writes 16384"
  `));
  test("a training step", () =>
    expect(kernelTable("fixtures/mlp-step.ir")).toMatchInlineSnapshot(`
    "13 kernels, 0 copies, 7858772 bytes, arena 893632
    k0_dot_relu: matmul 6x8, reads 1004544, writes 65536
    k1_dot_relu: matmul 6x8, reads 197120, writes 32768
    k2_dot_add: matmul 6x8, reads 37928, writes 2560
    k3_reduce_stopGradient_exp_add: rows, reads 2816, writes 2816
    k4_reduce_mul: red, reads 256, writes 4
    k5_reduce_add_sub_sub: scalar, reads 2684, writes 132
    k6_dot_select: matmul 6x8, reads 40448, writes 32768
    k7_dot_add_add_sub: matmul 6x8, reads 50696, writes 15360
    k8_reduce_add_add_sub: par, reads 34312, writes 1536
    k9_dot_select: matmul 6x8, reads 229376, writes 65536
    k10_reduce_add_add_sub: par, reads 68616, writes 3072
    k11_dot_add_add_sub: matmul 6x8, reads 491528, writes 393216
    k12_dot_add_add_sub: matmul 6x8, reads 2674696, writes 2408448"
  `));
});
