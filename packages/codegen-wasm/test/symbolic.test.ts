// One program for all values of the symbolic sizes: every form of schedule, on wasm and on WebGPU, against the evaluator of
// graphs, at sizes around those where vectors, tiles and chunks end.
import { allocate, evalGraph, type Graph, type HostTensor, parseGraph, typeOf, verifyGraph } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { choppedForms, formName, forms, runLoops, runWasm, withCompiled } from "../../../test/support/compiled.ts";
import { fullRun } from "../../../test/support/fuzz.ts";
import { gpuMachine } from "../../../test/support/gpu.ts";
import { callOnGpu, compileForGpu, gpuForms, instanceOnGpu } from "../../../test/support/on-gpu.ts";

const machine = await gpuMachine("Programs of symbolic sizes on WebGPU");

const any = "in [1,2147483647]";

const programs: Record<string, { readonly text: string; readonly schedules: RegExp }> = {
  layer: {
    text: `graph @layer(%x: f32[n,37], %w: f32[37,19], %b: f32[19]) where n ${any} {
      %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[n,19]
      %1 = broadcast %b {shape=[n,19], dims=[1]} : f32[n,19]
      %2 = add %0, %1 : f32[n,19]
      %3 = relu %2 : f32[n,19]
      return %3
    }`,
    schedules: /matmul 6x8/,
  },
  "a contraction over a symbolic axis": {
    text: `graph @weights(%x: f32[n,37], %y: f32[n,19]) where n ${any} {
      %0 = dot %x, %y {batch=[[],[]], contract=[[0],[0]]} : f32[37,19]
      return %0
    }`,
    schedules: /matmul 6x8/,
  },
  "symbolic rows and columns": {
    text: `graph @gram(%x: f32[n,21], %y: f32[m,21]) where m ${any}, n ${any} {
      %0 = dot %x, %y {batch=[[],[]], contract=[[1],[1]]} : f32[n,m]
      %1 = exp %0 : f32[n,m]
      return %1
    }`,
    schedules: /matmul 6x8/,
  },
  rows: {
    text: `graph @rows(%x: f32[n,37]) where n ${any} {
      %0 = exp %x : f32[n,37]
      %1 = reduce %0 {op=add, axes=[1]} : f32[n]
      %2 = broadcast %1 {shape=[n,37], dims=[0]} : f32[n,37]
      %3 = div %0, %2 : f32[n,37]
      %4 = reduce %3 {op=add, axes=[0,1]} : f32[]
      %5 = reduce %3 {op=max, axes=[0]} : f32[37]
      %6 = dim {size=[n]} : i32[]
      %7 = cast %6 {dtype=f32} : f32[]
      %8 = div %4, %7 : f32[]
      return %3, %8, %5
    }`,
    schedules: /rows.*two-pass reduction/,
  },
  "two sizes, and their product": {
    text: `graph @two(%x: f32[n,m]) where m ${any}, n ${any} {
      %0 = exp %x : f32[n,m]
      %1 = reduce %0 {op=add, axes=[1]} : f32[n]
      %2 = broadcast %1 {shape=[n,m], dims=[0]} : f32[n,m]
      %3 = div %0, %2 : f32[n,m]
      %4 = reshape %3 {shape=[(m)*(n)]} : f32[(m)*(n)]
      %5 = transpose %0 {perm=[1,0]} : f32[m,n]
      %6 = reduce %4 {op=max, axes=[0]} : f32[]
      return %3, %4, %5, %6
    }`,
    schedules: /rows/,
  },
  concatenation: {
    text: `graph @cat(%x: f32[n], %y: f32[m], %z: f32[n,3], %u: f32[m,3]) where m ${any}, n ${any} {
      %0 = exp %x : f32[n]
      %1 = concat %0, %y {axis=0} : f32[m+n]
      %2 = concat %z, %u {axis=0} : f32[m+n,3]
      %3 = neg %2 : f32[m+n,3]
      return %1, %3
    }`,
    schedules: /par/,
  },
};

const rows = [1, 3, 7, 65, 257];
/** Beside those rows, where there are two sizes. */
const columns = [70, 1, 8, 13, 5];

function argumentsFor(graph: Graph, sizes: Readonly<Record<string, number>>): HostTensor[] {
  return graph.params.map(({ value }) => {
    const shape = typeOf(value).shape.map((d) => (typeof d === "number" ? d : sizes[d.key]!));
    const data = allocate(
      "f32",
      shape.reduce((n, d) => n * d, 1),
    );
    for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 12.9898) * 1.5;
    return { dtype: "f32", shape, data };
  });
}

function worst(want: HostTensor, got: HostTensor): number {
  expect(got.shape).toEqual(want.shape);
  let most = 0;
  want.data.forEach((x, i) => {
    const error = Math.abs(x - got.data[i]!) / (1 + Math.abs(x));
    if (!(error <= most)) most = error;
  });
  return most;
}

describe.each(Object.entries(programs))("%s", (_, { text, schedules }) => {
  const graph = parseGraph(text);
  verifyGraph(graph);
  const names = graph.syms.map(({ name }) => name);
  const bindings = rows.map((n, i) => (names.includes("m") ? { n, m: columns[i]! } : { n }));

  test.each([...forms, ...choppedForms].map((form) => ({ name: formName(form), form })))("$name", ({ form }) => {
    withCompiled(graph, form, (compiled) => {
      for (const sizes of bindings) {
        const args = argumentsFor(graph, sizes);
        const want = evalGraph(graph, args);
        const ways = Object.values(sizes).every((size) => size < 10)
          ? [runWasm(compiled, args), runLoops(compiled, args)]
          : [runWasm(compiled, args)];
        for (const got of ways)
          want.forEach((w, i) => {
            expect(worst(w, got[i]!), `result ${i} at ${JSON.stringify(sizes)}`).toBeLessThan(1e-4);
          });
      }
    });
  });

  test.skipIf(machine === undefined).each(gpuForms.map((form) => ({ name: formName(form), form })))(
    "on WebGPU, $name",
    async ({ form }) => {
      const instance = instanceOnGpu(machine!, compileForGpu(graph, machine!.features, form));
      for (const sizes of fullRun ? bindings : bindings.slice(2)) {
        const args = argumentsFor(graph, sizes);
        const got = await callOnGpu(machine!, instance, args);
        evalGraph(graph, args).forEach((want, i) => {
          expect(worst(want, got[i]!), `result ${i} at ${JSON.stringify(sizes)}`).toBeLessThan(1e-4);
        });
      }
      instance.executable.dispose();
    },
  );

  test("keeps its fast schedules", () => {
    withCompiled(graph, { fuse: true, generic: false }, ({ loops }) => {
      expect(loops.kernels.map((kernel) => kernel.schedule).join(", ")).toMatch(schedules);
    });
  });
});
