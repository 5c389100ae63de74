// Control flow on WebGPU: branches as gates, loops recorded or in chunks of rounds, exchanged memory, calls of the host.
import { evalGraph, type Graph, type HostFunction, type HostTensor, parseGraph, printedText, typeOf } from "@sinter/ir";
import { describe, expect, test } from "vitest";
import { type ArgumentOptions, randomArguments } from "../support/arguments.ts";
import {
  bubble,
  fibonacci,
  newton,
  pick,
  recurrent,
  regression,
  stencil,
  turning,
  walk,
} from "../support/control-graphs.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { gpuMachine } from "../support/gpu.ts";
import { exactOnGpu, nearOnGpu } from "../support/gpu-tolerance.ts";
import {
  callOnGpu,
  checkDrawnOnGpu,
  checkOnGpu,
  compileForGpu,
  type GpuCase,
  gpuForms,
  instanceOnGpu,
  runOnGpu,
} from "../support/on-gpu.ts";
import { seededRng } from "../support/random.ts";
import { randomRegions } from "../support/random-regions.ts";

const machine = await gpuMachine("Control flow on WebGPU");

function caseOf(text: string, args: ArgumentOptions = {}): GpuCase {
  const graph = parseGraph(text);
  return { graph, args: randomArguments(graph, args), tolerance: nearOnGpu, text: graph.name };
}

const update = `      %0 = dynamicSlice %t, %one {sizes=[4]} : f32[4]
      %1 = neg %0 : f32[4]
      %new = dynamicUpdateSlice %t, %1, %i : f32[40]`;

const i32 = (value: number): HostTensor => ({ dtype: "i32", shape: [], data: Int32Array.of(value) });
const f32 = (...data: number[]): HostTensor => ({ dtype: "f32", shape: [data.length], data: new Float32Array(data) });

/** Sums below %n, by a while loop. */
const counting = `graph @counting(%n: i32[], %x: f32[5]) {
  %i = const {dtype=i32, shape=[], data=[0]} : i32[]
  %0, %1 = while captures(%n), init(%i, %x) : i32[], f32[5]
    graph @test(%n: i32[], %i: i32[], %x: f32[5]) {
      %0 = lt %i, %n : bool[]
      return %0
    }
    graph @body(%n: i32[], %i: i32[], %x: f32[5]) {
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %next = add %i, %one : i32[]
      %f = cast %next {dtype=f32} : f32[]
      %b = broadcast %f {shape=[5], dims=[]} : f32[5]
      %sum = add %x, %b : f32[5]
      return %next, %sum
    }
  return %0, %1
}
`;

describe.skipIf(machine === undefined)("control flow on WebGPU", () => {
  test("loops and branches", async () => {
    const cases = [
      caseOf(regression(20)),
      ...[0, 1, 2, 5].map((steps) => caseOf(stencil(steps))),
      caseOf(recurrent),
      caseOf(fibonacci),
      caseOf(turning),
      caseOf(walk(update), { whole: true, lo: 0, hi: 9 }),
      caseOf(bubble),
      caseOf(newton, { lo: 1, hi: 50 }),
      ...[1, 2, 3, 4].map((seed) => caseOf(pick, { seed })),
    ];
    await checkOnGpu(machine!, cases);
  });

  test("while loops of any number of rounds", async () => {
    const graph = parseGraph(counting);
    const rounds = [-1, 0, 1, 2, 3, 15, 16, 17, 18, 33, 100];
    await checkOnGpu(
      machine!,
      rounds.map((n) => ({ graph, args: [i32(n), f32(0, 1, 2, 3, 4)], tolerance: exactOnGpu, text: `${n} rounds` })),
    );
  });

  test("loops that are recorded take one submit, whatever their length", async () => {
    const graph = parseGraph(stencil(30));
    const args = randomArguments(graph);
    const compiled = compileForGpu(graph, machine!.features);
    const instance = instanceOnGpu(machine!, compiled);
    await callOnGpu(machine!, instance, args);
    const before = { ...machine!.stats };
    await callOnGpu(machine!, instance, args);
    expect(machine!.stats.pipelines - before.pipelines).toBe(0);
    // Reading the result is a second one.
    expect(machine!.stats.submits - before.submits).toBeLessThanOrEqual(2);
    expect(machine!.stats.dispatches - before.dispatches).toBeGreaterThanOrEqual(30);
    instance.executable.dispose();
  });

  test("random branches and loops inside each other", async () => {
    function* cases(): Generator<GpuCase> {
      for (let seed = 1; seed <= fuzzRuns(25, 300); seed++) {
        const sizes = seededRng(seed * 7 + 1);
        const options = { size: sizes.int(1, 5), depth: sizes.int(1, 3), f64: false };
        const one = randomRegions(seededRng(seed), options);
        yield { ...one, tolerance: exactOnGpu, text: `seed ${seed}, ${JSON.stringify(options)}` };
      }
    }
    await checkDrawnOnGpu(machine!, cases());
  });
});

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

const straight = (call: number): string => `
graph @straight(%status: i32[], %x: f32[3]) {
  %0 = add %x, %x : f32[3]
  %1 = print %status, %0, %x {format=["sum ",", \\"x\\" ","\\n# \\u00fc"]} : i32[]
  %2, %3 = hostCall %1, %0 {call=${call}, dtypes=["f32"], shapes=[[3]]} : i32[], f32[3]
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

describe.skipIf(machine === undefined)("calls of the host on WebGPU", () => {
  const programs: Readonly<Record<string, readonly [string, readonly HostTensor[]]>> = {
    "one after the other, with values in memory": [straight(0), [i32(0), f32(1, 2, 3)]],
    "nothing behind a failure": [straight(1), [i32(0), f32(1, 2, 3)]],
    "nothing at all after a failure before": [straight(0), [i32(3), f32(1, 2, 3)]],
    "prints in branches of a loop": [loop(false), [i32(0), f32(9, 1, 4)]],
    "calls in a loop with branches": [loop(true), [i32(0), f32(9, 1, 4)]],
  };
  test.each(Object.entries(programs))("%s", async (_, [text, args]) => {
    const graph: Graph = parseGraph(text);
    const log: string[] = [];
    const expected = evalGraph(graph, args, { host: hostOf(log) });
    for (const form of gpuForms) {
      const seen: string[] = [];
      const found = await runOnGpu(machine!, graph, args, { form, host: hostOf(seen) });
      expect(seen).toEqual(log);
      expect(found.map(({ data }) => [...data])).toEqual(expected.map(({ data }) => [...data]));
      expect(graph.results.map(({ value }) => typeOf(value).dtype)).toEqual(found.map(({ dtype }) => dtype));
    }
  });
});
