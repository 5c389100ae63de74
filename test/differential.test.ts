// Every op of the registry, compiled in every form, against its reference evaluation, on wasm and on WebGPU. Sizes are
// those around a vector.
import type { OpDef } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { forOtherBackend } from "./support/asked-checks.ts";
import { type CheckOptions, checkForms } from "./support/check-forms.ts";
import { scheduledFused } from "./support/check-text.ts";
import { fullRun, fuzzRuns } from "./support/fuzz.ts";
import { alsoOnWebgpu } from "./support/on-webgpu-too.ts";
import { type CaseOptions, type OpCase, opCases, plainOps } from "./support/op-cases.ts";

await alsoOnWebgpu("Every op", { sample: 0 });

describe.each(plainOps.map((op) => [op.name, op] as const))("%s", (_, op) => {
  test("in every form", () => {
    let first = true;
    for (const one of opCases(op, fuzzRuns(8))) {
      checkCase(one, first ? { memories: ["unshared", "shared"], plainSimd: true } : {});
      first = false;
    }
    checkOnWebgpu(op, fuzzRuns(2, 8));
  });
});

// Enough elements that kernels are cut into chunks. Elementwise ops differ in nothing that matters here.
const representatives = "add exp select broadcast reshape transpose reverse slice pad concat gather randomBits".split(
  " ",
);
const large = plainOps.filter((op) => fullRun || op.nest.kind !== "map" || representatives.includes(op.name));
test.each(large.map((op) => [op.name, op] as const))("%s on large tensors", (_, op) => {
  const options = {
    sizes: [5, 33, 257, 1031, 4099, 30_011],
    maxElements: 140_000,
    firstSeed: 10_000,
    allDTypes: false,
  };
  for (const one of opCases(op, fuzzRuns(1, 5), options)) checkCase(one, { forms: [scheduledFused] });
  // Several groups, tiles with edges, reductions in two passes.
  checkOnWebgpu(op, fuzzRuns(1, 2), { ...options, maxElements: fullRun ? 70_000 : 40_000 });
});

/** Cases of the dtypes that exist there. */
function checkOnWebgpu(op: OpDef, count: number, options: CaseOptions = {}): void {
  for (const one of opCases(op, count, { ...options, f64: false })) forOtherBackend(one.text, () => checkCase(one, {}));
}

function checkCase({ graph, args, tolerance, text }: OpCase, options: CheckOptions): void {
  try {
    checkForms(graph, args, { tolerance, ...options });
  } catch (error) {
    expect.fail(`${text}: ${error instanceof Error ? error.message : error}`);
  }
}
