// Random graphs on WebGPU against the reference evaluator, fused and scheduled and with the simplest schedules.
import { type DType, evalGraph, type HostTensor, isFloat, type OpDef, type Rng, typeOf } from "@sinter/ir";
import { gradGraph, simplify } from "@sinter/passes";
import { describe, test } from "vitest";
import { fuzzRuns } from "../support/fuzz.ts";
import { gpuMachine } from "../support/gpu.ts";
import { exactOnGpu, isDivision, nearOnGpu } from "../support/gpu-tolerance.ts";
import { checkDrawnOnGpu, type GpuCase } from "../support/on-gpu.ts";
import { isExact, isSmooth, showsBits } from "../support/op-kinds.ts";
import { randomTensor, seededRng, type Tolerance, withoutF64 } from "../support/random.ts";
import { type GraphCase, type RandomGraphOptions, randomGraph } from "../support/random-graph.ts";

const machine = await gpuMachine("Random graphs on WebGPU");

interface Drawing extends RandomGraphOptions {
  readonly runs: number;
  readonly seed: number;
  readonly tolerance: Tolerance;
}

function* drawn(
  { runs, seed: first, tolerance, ...options }: Drawing,
  change: (one: GraphCase, rng: Rng) => GraphCase | undefined = (one) => one,
): Generator<GpuCase> {
  for (let seed = first; seed < first + runs; seed++) {
    const rng = withoutF64(seededRng(seed));
    const one = randomGraph(rng, { ...options, size: options.size ?? rng.int(1, 12) });
    const changed = change(one, rng);
    if (changed !== undefined) yield { ...changed, tolerance, text: `seed ${seed}` };
  }
}

/** The same bits everywhere but for zeros and what is nearly zero. */
const exact = (op: OpDef): boolean => isExact(op) && !isDivision(op) && !showsBits(op);

// No denormal numbers: comparisons see whether they were flushed.
const specials: Partial<Record<DType, readonly number[]>> = {
  f32: [Number.NaN, Infinity, -Infinity, 0, 3.4e38, -3.4e38],
  i32: [2147483647, -2147483648, -1, 0, 31, 32],
  u32: [4294967295, 2147483648, 0, 31, 32],
};

/** The tensor with about every sixth element special. */
function withSpecials(tensor: HostTensor, rng: Rng): HostTensor {
  const values = specials[tensor.dtype];
  if (values === undefined) return tensor;
  const data = tensor.data.slice();
  for (const i of data.keys()) if (rng.int(0, 5) === 0) data[i] = rng.pick(values);
  return { ...tensor, data };
}

describe.skipIf(machine === undefined)("random graphs on WebGPU", () => {
  test("whose ops are exact", async () => {
    const options = { seed: 1, runs: fuzzRuns(10, 110), accept: exact, exact: true, tolerance: exactOnGpu };
    await checkDrawnOnGpu(machine!, drawn(options));
  });

  test("whose ops are accurate to some ulp", async () => {
    const options = { seed: 1000, runs: fuzzRuns(8, 80), accept: isSmooth, tolerance: nearOnGpu };
    await checkDrawnOnGpu(
      machine!,
      drawn(options, (one) => (evalGraph(one.graph, one.args).some(wild) ? undefined : one)),
    );
  });

  test("on NaN, infinities and the ends of integers", async () => {
    const options = { seed: 9000, runs: fuzzRuns(6, 60), accept: exact, exact: true, tolerance: exactOnGpu };
    await checkDrawnOnGpu(
      machine!,
      drawn(options, ({ graph, args }, rng) => ({ graph, args: args.map((arg) => withSpecials(arg, rng)) })),
    );
  });

  test("with calls, branches and loops", async () => {
    const options = { seed: 300, runs: fuzzRuns(8, 60), accept: exact, exact: true, regions: true };
    await checkDrawnOnGpu(machine!, drawn({ ...options, tolerance: exactOnGpu }));
  });

  test("that are large", async () => {
    const options = { seed: 3000, runs: fuzzRuns(2, 10), accept: exact, exact: true, size: 40, tolerance: exactOnGpu };
    await checkDrawnOnGpu(machine!, drawn(options));
  });

  test("that are gradients of others", async () => {
    const accept = (op: OpDef): boolean => isSmooth(op) && op.derivative.kind !== "none";
    const options = { seed: 6000, runs: fuzzRuns(6, 60), accept, tolerance: nearOnGpu };
    await checkDrawnOnGpu(machine!, drawn(options, gradientsOf));
  });
});

/** The gradients of the first float result with respect to all float parameters, where their digits are certain. */
function gradientsOf({ graph, args }: GraphCase): GraphCase | undefined {
  const floats = graph.params.flatMap(({ value }, i) => (isFloat(typeOf(value).dtype) ? [i] : []));
  const of = graph.results.findIndex(({ kind, value }) => kind === "out" && isFloat(typeOf(value).dtype));
  if (of < 0 || floats.length === 0) return undefined;
  const gradients = simplify(gradGraph(graph, { wrt: floats, of, keepResults: true }));
  const more = gradients.params
    .slice(graph.params.length)
    .map(({ value }) => randomTensor(seededRng(1), { type: typeOf(value), lo: -1, hi: 1 }));
  const one = { graph: gradients, args: [...args, ...more] };
  return evalGraph(one.graph, one.args).some(wild) ? undefined : one;
}

/** Values near a pole: no digit of them is certain. */
function wild({ dtype, data }: HostTensor): boolean {
  return isFloat(dtype) && data.some((x) => !(Math.abs(x) < 1e4));
}
