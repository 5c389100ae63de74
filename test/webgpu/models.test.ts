// Models on WebGPU against the reference evaluation: training steps whose states go on from call to call, attention and
// layer normalisation with their gradients.
import { evalGraph, type Graph, type HostTensor, parseGraph, typeOf } from "@sinter/ir";
import { gradGraph, simplify } from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { mlpStep } from "../../packages/passes/test/support/models.ts";
import { randomArguments } from "../support/arguments.ts";
import { graphText } from "../support/check-text.ts";
import { gpuMachine } from "../support/gpu.ts";
import { nearOnGpu } from "../support/gpu-tolerance.ts";
import { callOnGpu, checkOnGpu, compileForGpu, gpuForms, instanceOnGpu } from "../support/on-gpu.ts";
import { resultsDifference } from "../support/random.ts";

const machine = await gpuMachine("Models on WebGPU");

/** One head: softmax(q k^T) v, batch of two. */
const attention = graphText("%q: f32[2,9,8], %k: f32[2,11,8], %v: f32[2,11,5]", [
  "%s = dot %q, %k {batch=[[0],[0]], contract=[[2],[2]]} : f32[2,9,11]",
  "%m = reduce %s {op=max, axes=[2]} : f32[2,9]",
  "%mb = broadcast %m {shape=[2,9,11], dims=[0,1]} : f32[2,9,11]",
  "%d = sub %s, %mb : f32[2,9,11]",
  "%e = exp %d : f32[2,9,11]",
  "%t = reduce %e {op=add, axes=[2]} : f32[2,9]",
  "%tb = broadcast %t {shape=[2,9,11], dims=[0,1]} : f32[2,9,11]",
  "%p = div %e, %tb : f32[2,9,11]",
  "%out = dot %p, %v {batch=[[0],[0]], contract=[[2],[1]]} : f32[2,9,5]",
]);

const layerNorm = graphText("%x: f32[7,260], %g: f32[260]", [
  "%n = const {dtype=f32, shape=[], data=[260]} : f32[]",
  "%nb = broadcast %n {shape=[7], dims=[]} : f32[7]",
  "%s = reduce %x {op=add, axes=[1]} : f32[7]",
  "%m = div %s, %nb : f32[7]",
  "%mb = broadcast %m {shape=[7,260], dims=[0]} : f32[7,260]",
  "%d = sub %x, %mb : f32[7,260]",
  "%q = mul %d, %d : f32[7,260]",
  "%v = reduce %q {op=add, axes=[1]} : f32[7]",
  "%vm = div %v, %nb : f32[7]",
  "%r = rsqrt %vm : f32[7]",
  "%rb = broadcast %r {shape=[7,260], dims=[0]} : f32[7,260]",
  "%y = mul %d, %rb : f32[7,260]",
  "%gb = broadcast %g {shape=[7,260], dims=[1]} : f32[7,260]",
  "%out = mul %y, %gb : f32[7,260]",
]);

/** The gradients of a graph's only result with respect to its parameters, beside the result. */
function withGradients(text: string): Graph {
  const graph = parseGraph(text);
  const wrt = graph.params.map((_, i) => i);
  return simplify(gradGraph(graph, { wrt, of: 0, keepResults: true }));
}

describe.skipIf(machine === undefined)("models on WebGPU", () => {
  test("attention and layer normalisation, with their gradients", async () => {
    const cases = [attention, layerNorm].map((text) => {
      const graph = withGradients(text);
      return { graph, args: randomArguments(graph, { lo: -1, hi: 1 }), tolerance: nearOnGpu };
    });
    await checkOnGpu(machine!, cases);
  });

  test("training steps with Adam: states go on from call to call", async () => {
    const graph = mlpStep(10, [12, 9, 4]);
    const start = randomArguments(graph, { lo: 0.1, hi: 0.9, ranges: { labels: [0, 3], step: [0, 0] } });
    for (const form of gpuForms) {
      const instance = instanceOnGpu(machine!, compileForGpu(graph, machine!.features, form));
      let [found, expected]: (readonly HostTensor[])[] = [start, start];
      for (let round = 0; round < 3; round++) {
        const results = await callOnGpu(machine!, instance, found!);
        const wanted = evalGraph(graph, expected!);
        expect(resultsDifference(results, wanted, nearOnGpu)).toBeUndefined();
        const after = (values: readonly HostTensor[]): HostTensor[] =>
          start.map(
            (tensor, i) => values[graph.results.findIndex((r) => r.kind === "state" && r.param === i)] ?? tensor,
          );
        [found, expected] = [after(results), after(wanted)];
      }
      instance.executable.dispose();
    }
    expect(graph.params.every(({ value }) => typeOf(value).dtype !== "f64")).toBe(true);
  });
});
