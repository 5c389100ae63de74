// Graphs that call the host, at every level: the reference evaluator, nests, loops, wasm in both kinds of memory and
// WebGPU call alike, in order, with the same values. (That Binaryen makes the same module is checked on the way.)
import {
  evalGraph,
  evalNests,
  type Graph,
  type HostFunction,
  type HostTensor,
  parseGraph,
  printedText,
  printGraph,
  printNests,
  verifyGraph,
} from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { type Compiled, formName, forms, runLoops, runWasm, withCompiled } from "./support/compiled.ts";
import { gpuMachine } from "./support/gpu.ts";
import { gpuForms, runOnGpu } from "./support/on-gpu.ts";

const machine = await gpuMachine("Calls of the host on WebGPU");

const f32 = (...data: number[]): HostTensor => ({ dtype: "f32", shape: [data.length], data: new Float32Array(data) });
const i32 = (value: number): HostTensor => ({ dtype: "i32", shape: [], data: Int32Array.of(value) });

/** Answers calls: what is printed is logged, function 0 doubles, function 1 fails. */
function hostOf(log: string[]): HostFunction {
  return (call, values) => {
    if (call.kind === "print") log.push(printedText(call.format, values));
    else {
      log.push(`call ${call.id} of ${values.map(({ data }) => `[${data}]`)}`);
      if (call.id === 1) return -5;
      return values.map((value) => ({ ...value, data: value.data.map((x) => 2 * x) }));
    }
    return [];
  };
}

/** Runs a graph at every level; the results of the reference, and what was logged each time, which must be the same. */
async function everyLevel(
  text: string,
  args: readonly HostTensor[],
): Promise<{ results: readonly number[][]; log: string[] }> {
  const graph: Graph = parseGraph(text);
  verifyGraph(graph);
  expect(printGraph(parseGraph(printGraph(graph)))).toBe(printGraph(graph));
  const log: string[] = [];
  const results = evalGraph(graph, args, { host: hostOf(log) }).map(({ data }) => [...data]);
  type Found = readonly { readonly data: ArrayLike<number> }[];
  const same = async (what: string, run: (host: HostFunction) => Found | Promise<Found>): Promise<void> => {
    const seen: string[] = [];
    const found = await run(hostOf(seen));
    expect(seen, what).toEqual(log);
    expect(
      found.map(({ data }) => Array.from(data)),
      what,
    ).toEqual(results);
  };
  for (const form of forms) {
    const inForm = (run: (compiled: Compiled, host: HostFunction) => Found) => (host: HostFunction) =>
      withCompiled(graph, form, (compiled) => run(compiled, host));
    const data = args.map((arg) => arg.data);
    await same(
      "nests",
      inForm(({ nests }, host) => evalNests(nests, data, { host }).map((found) => ({ data: found }))),
    );
    await same(
      "loops",
      inForm((compiled, host) => runLoops(compiled, args, { host })),
    );
    for (const memory of ["unshared", "shared"] as const)
      await same(
        `wasm, ${memory}`,
        inForm((compiled, host) => runWasm(compiled, args, { host, memory })),
      );
  }
  if (machine !== undefined)
    for (const form of gpuForms)
      await same(`WebGPU, ${formName(form)}`, (host) => runOnGpu(machine, graph, args, { form, host }));
  return { results, log };
}

const straight = `
graph @straight(%status: i32[], %x: f32[3]) {
  %0 = add %x, %x : f32[3]
  %1 = print %status, %0, %x {format=["sum ",", \\"x\\" ","\\n# \\u00fc"]} : i32[]
  %2, %3 = hostCall %1, %0 {call=0, dtypes=["f32"], shapes=[[3]]} : i32[], f32[3]
  %4 = mul %3, %x : f32[3]
  %5 = print %2, %4 {format=["",""]} : i32[]
  return %4, %5
}`;

/** Prints in branches of a loop; with a call that answers in each round, or without. */
const loop = (call: boolean): string => `
graph @loop(%status: i32[], %xs: f32[3]) {
  %0 = const {dtype=f32, shape=[], data=[1]} : f32[]
  %1, %2, %3 = scan captures(), init(%status, %0), xs(%xs) {length=3, reverse=true} : i32[], f32[], f32[3]
    graph @body(%s: i32[], %c: f32[], %x: f32[]) {
      %0 = gt %x, %c : bool[]
      %1 = cond index(%0), captures(%s, %c) : i32[]
        graph @no(%s: i32[], %c: f32[]) {
          %0 = print %s {format=["not larger"]} : i32[]
          return %0
        }
        graph @yes(%s: i32[], %c: f32[]) {
          %0 = print %s, %c {format=["larger than ",""]} : i32[]
          return %0
        }
${
  call
    ? `      %2, %3 = hostCall %1, %x {call=0, dtypes=["f32"], shapes=[[]]} : i32[], f32[]
      return %2, %3, %x`
    : `      %2 = add %c, %x : f32[]
      return %1, %2, %x`
}
    }
  return %1, %2, %3
}`;

describe("calls of the host", () => {
  test("one after the other, with values in memory", async () => {
    const { results, log } = await everyLevel(straight, [i32(0), f32(1, 2, 3)]);
    expect(log).toEqual(['sum [2, 4, 6], "x" [1, 2, 3]\n# ü', "call 0 of [2,4,6]", "[4, 16, 36]"]);
    expect(results).toEqual([[4, 16, 36], [0]]);
  });

  test("in loops and branches", async () => {
    const { results, log } = await everyLevel(loop(true), [i32(0), f32(9, 1, 4)]);
    expect(log).toEqual([
      "larger than 1",
      "call 0 of [4]",
      "not larger",
      "call 0 of [1]",
      "larger than 2",
      "call 0 of [9]",
    ]);
    expect(results).toEqual([[0], [18], [9, 1, 4]]);
  });

  test("prints alone, in loops and branches", async () => {
    const { results, log } = await everyLevel(loop(false), [i32(0), f32(9, 1, 4)]);
    expect(log).toEqual(["larger than 1", "not larger", "larger than 6"]);
    expect(results).toEqual([[0], [15], [9, 1, 4]]);
  });

  test("nothing behind a failure: results are zeros, the status stays", async () => {
    expect(await everyLevel(straight, [i32(3), f32(1, 2, 3)])).toEqual({ results: [[0, 0, 0], [3]], log: [] });
    const fails = straight.replace("call=0", "call=1");
    const { results, log } = await everyLevel(fails, [i32(0), f32(1, 2, 3)]);
    expect(log).toEqual(['sum [2, 4, 6], "x" [1, 2, 3]\n# ü', "call 1 of [2,4,6]"]);
    expect(results).toEqual([[0, 0, 0], [-5]]);
  });

  test("are steps of their own, which kernels stand around", () => {
    withCompiled(parseGraph(straight), forms.at(-1)!, ({ nests, loops }) => {
      expect(printNests(nests, { notes: false }).match(/^ {2}(kernel|print|call).*$/gm)).toEqual([
        "  kernel k0_add",
        '  print "sum {}, \\"x\\" {}\\n# ü" (b0, b4, b1) to (b5)',
        "  call 0 (b5, b4) to (b6, b7)",
        "  kernel k3_mul",
        '  print "{}" (b6, b2) to (b3)',
      ]);
      expect(loops.calls.map(({ kind }) => kind)).toEqual(["print", "call", "print"]);
    });
  });
});
