// What debug builds add to programs: checks that find what a look at every operation finds, at any depth of branches and
// loops; poison that shows what a wrong plan of memory reads; and names of functions in modules.
import { emit, probeFeatures, schedule } from "@sinter/codegen-wasm";
import {
  evalGraph,
  expressionScope,
  type Graph,
  getOp,
  type HostTensor,
  isFloat,
  type LoopProgram,
  locsAt,
  nodeAt,
  type Plan,
  parseGraph,
  type Rng,
  typeOf,
  verifyGraph,
} from "@sinter/ir";
import {
  atSite,
  findElementLoops,
  lower,
  normaliseRegions,
  planMemory,
  poisonDead,
  simplify,
  type WatchSite,
  watch,
} from "@sinter/passes";
import { describe, expect, test } from "vitest";
import { resultsOn } from "../packages/tracer/src/debug/run.ts";
import { fuzzRuns } from "./support/fuzz.ts";
import { showsBits } from "./support/op-kinds.ts";
import { resultsDifference, seededRng } from "./support/random.ts";
import { checkRandomGraphs, type GraphCase } from "./support/random-graph.ts";
import { checkRandomRegions } from "./support/random-regions.ts";

const worst = (of: readonly HostTensor[]): number => Math.max(0, ...of.filter((x) => isFloat(x.dtype)).map(badness));
/** 0 where all elements are finite, 2 where one is NaN, else 1. */
function badness({ data }: HostTensor): number {
  let found = 0;
  for (const x of data) found = Math.max(found, Number.isNaN(x) ? 2 : Number.isFinite(x) ? 0 : 1);
  return found;
}

/** Watches a graph, and compares with what the evaluator sees at each operation. */
function checkWatched({ graph, args }: GraphCase): "fine" | WatchSite["kind"] {
  const watched = watch(graph);
  verifyGraph(watched.watched);
  const results = evalGraph(watched.watched, args);
  const code = results.at(-1)!.data[0]!;
  let made = false;
  evalGraph(watched.graph, args, {
    trace(node, operands, results) {
      if (node.regions.length === 0 && node.operands.length > 0 && worst(results) > worst(operands)) made = true;
      const types = { attrs: node.attrs, operands: node.operands.map(typeOf), results: node.results.map(typeOf) };
      for (const { operand, last } of getOp(node.op).bounds(types))
        for (const index of operands[operand]!.data) if (index < 0 || index > Number(last)) made = true;
    },
  });
  if (code === 0) {
    const difference = resultsDifference(results.slice(0, -1), evalGraph(watched.graph, args));
    if (difference !== undefined) throw new Error(difference);
    // What is finite at first and not in the end was made on the way.
    if (worst(args) === 0) expect(worst(results)).toBe(0);
    return "fine";
  }
  const looking = atSite(watched, code);
  verifyGraph(looking.graph);
  const found = evalGraph(looking.graph, args);
  expect(found[0]!.data[0]).toBe(code);
  const site = watched.sites[code - 1]!;
  const node = nodeAt(watched.graph, site.path);
  const operands = found.slice(1 + looking.rounds, 1 + looking.rounds + node.operands.length);
  const values = found.slice(1 + looking.rounds + node.operands.length);
  if (site.kind === "bounds") {
    const { operand, last } = site.bound;
    expect([...operands[operand]!.data].some((index) => index < 0 || index > Number(last))).toBe(true);
  } else expect(badness(values[site.result]!)).toBeGreaterThan(0);
  expect(
    resultsDifference(values, getOp(node.op).eval(operands, node.attrs, node.results.map(typeOf), noRegions)),
  ).toBeUndefined();
  if (site.kind === "bounds") expect(made).toBe(true);
  return site.kind;
}

/** The arguments with about every sixth element one that operations break at. */
function withExtremes(args: readonly HostTensor[], rng: Rng): HostTensor[] {
  return args.map((arg) => {
    if (!isFloat(arg.dtype)) return arg;
    const data = arg.data.slice();
    for (const i of data.keys()) if (rng.int(0, 5) === 0) data[i] = rng.pick([0, -0, -1, 3e38, -3e38, 1e-42]);
    return { ...arg, data };
  });
}

const noRegions = {
  graphs: [],
  groups: [],
  run: () => {
    throw new Error("no regions");
  },
};

describe("checks in random graphs find what went wrong, and else change nothing", () => {
  const seen = { fine: 0, bounds: 0, nonFinite: 0 };
  const check = (one: GraphCase, rng: Rng): void => {
    seen[checkWatched({ ...one, args: withExtremes(one.args, rng) })]++;
  };
  test("in straight lines", () => {
    // Bits that are read as a float were NaN before; the least of no elements is an infinity by definition.
    checkRandomGraphs(check, {
      runs: fuzzRuns(60),
      seed: 500,
      accept: (op) => !showsBits(op) && op.name !== "cumulate",
    });
  });
  test("in branches and loops", () => {
    checkRandomRegions((one) => check(one, seededRng(1)), { runs: fuzzRuns(40, 400), seed: 600 });
  });
  test("of every kind", () => {
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(5);
  });
});

/** A chain of reductions and products, whose temporaries die one after the other. */
const chain = `graph @chain(%x: f32[16,16]) {
  %0 = dot %x, %x {batch=[[],[]], contract=[[1],[0]]} : f32[16,16]
  %1 = dot %0, %x {batch=[[],[]], contract=[[1],[0]]} : f32[16,16]
  %2 = dot %1, %1 {batch=[[],[]], contract=[[1],[0]]} : f32[16,16]
  %3 = dot %2, %0 {batch=[[],[]], contract=[[1],[0]]} : f32[16,16]
  return %3
}`;

function planned(graph: Graph): { readonly loops: LoopProgram; readonly plan: Plan } {
  const simplified = findElementLoops(normaliseRegions(simplify(graph)));
  return expressionScope(() => {
    const loops = schedule(lower(simplified, {}), probeFeatures());
    return { loops, plan: planMemory(loops, { alignment: 64 }) };
  });
}

/** Runs a program with one argument and one result on ones. */
function run(program: LoopProgram, plan: Plan): Float32Array {
  const made = emit(program, plan, { ...probeFeatures(), memory: "unshared", owner: "import", names: true });
  const memory = new WebAssembly.Memory({ initial: 4 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(made.bytes as BufferSource), { env: { memory } });
  const [arena, arg, result] = [1024, 100_000, 110_000];
  const words = new Uint32Array(memory.buffer);
  made.slots.forEach(({ kind }, i) => {
    words[16 + i] = kind === "arena" ? arena : kind === "arg" ? arg : result;
  });
  new Float32Array(memory.buffer, arg, 256).fill(1 / 16);
  (instance.exports["run"] as (table: number) => void)(64);
  return new Float32Array(memory.buffer, result, 256).slice();
}

describe("poison", () => {
  const { loops, plan } = planned(parseGraph(chain));

  test("changes nothing where the plan is right", () => {
    const poisoned = poisonDead(loops, plan);
    expect(run(poisoned.program, poisoned.plan)).toEqual(run(loops, plan));
    expect(poisoned.program.steps.length).toBeGreaterThan(loops.steps.length + 1);
  });

  test("changes nothing in random programs, with branches and loops too", () => {
    const check = ({ graph, args }: GraphCase): void => {
      const plain: Graph = {
        ...graph,
        params: graph.params.map((param) => ({ ...param, kind: "arg" })),
        results: graph.results.map(({ value }) => ({ kind: "out", value })),
      };
      const on = (poison: boolean): readonly HostTensor[] => resultsOn(plain, { backend: "wasm", poison }, args);
      expect(resultsDifference(on(true), on(false))).toBeUndefined();
    };
    checkRandomGraphs(check, { runs: fuzzRuns(15, 100), seed: 700 });
    checkRandomRegions(check, { runs: fuzzRuns(40, 300), seed: 800 });
  });

  test("shows what is read after a plan says it is dead", () => {
    const places = plan.places.map((place) =>
      // The first product is read again by the last one.
      place.kind === "arena" && place.firstStep === 0 ? { ...place, lastStep: 1 } : place,
    );
    const wrong = { ...plan, places };
    expect(wrong.places).not.toEqual(plan.places);
    expect([...run(loops, wrong)].every(Number.isFinite)).toBe(true);
    const poisoned = poisonDead(loops, wrong);
    expect([...run(poisoned.program, poisoned.plan)].every(Number.isNaN)).toBe(true);
  });

  test("shows what is read before it is written", () => {
    const [first, ...rest] = loops.steps;
    expect(first!.kind).toBe("kernel");
    const skipping = { ...loops, steps: rest };
    const poisoned = poisonDead(skipping, plan);
    expect([...run(poisoned.program, poisoned.plan)].some(Number.isNaN)).toBe(true);
  });
});

describe("names of functions", () => {
  const { loops, plan } = planned(parseGraph(chain));
  const options = { ...probeFeatures(), memory: "unshared", owner: "import" } as const;

  test("are in a module where they are asked for, at the cost of their letters", () => {
    const [plain, named] = [emit(loops, plan, options), emit(loops, plan, { ...options, names: true })];
    const sections = (bytes: Uint8Array): ArrayBuffer[] =>
      WebAssembly.Module.customSections(new WebAssembly.Module(bytes as BufferSource), "name");
    expect(sections(plain.bytes)).toEqual([]);
    const text = new TextDecoder().decode(sections(named.bytes)[0]);
    expect(text).toContain("run");
    for (const kernel of loops.kernels.slice(0, 1)) expect(text).toContain(kernel.name);
    expect(named.bytes.length - plain.bytes.length).toBeLessThan(40 * (loops.kernels.length + 4));
  });
});

test("positions stay with the operations that are watched", () => {
  const graph = parseGraph(chain, { file: "chain.ir" });
  const { graph: looked, sites } = watch(graph);
  expect(sites.map((site) => locsAt(looked, site.path)[0]?.line)).toEqual([2, 3, 4, 5]);
});
