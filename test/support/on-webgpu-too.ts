/**
 * The checks of a test file on WebGPU as well: what is compiled to wasm and compared with the reference evaluation in a
 * test (`checkForms`) is then compiled for WebGPU and compared with the same evaluation, in the same test.
 *
 * What differs there, and how a check is changed for it:
 * - There is no f64: graphs that have any are left out. Random ones are drawn anew, without it.
 * - Denormal numbers may be flushed and the sign of a zero may be lost: arguments have neither.
 * - Tolerances are those of gpu-tolerance.ts where they are wider. Values near a pole, of which no digit is certain, are
 *   not compared where graphs are drawn at random and their ops are not exact, nor are random graphs that show bits.
 */
import {
  evalGraph,
  type Graph,
  getOp,
  type HostTensor,
  isFloat,
  type Node,
  type OpDef,
  typeOf,
  type Value,
} from "@sinter/ir";
import { afterEach, beforeEach } from "vitest";
import { type AskedCheck, asked } from "./asked-checks.ts";
import { fullRun } from "./fuzz.ts";
import { gpuMachine } from "./gpu.ts";
import { exactOnGpu, isDivision, isReordered, nearOnGpu, onGpu, reorderedOnGpu } from "./gpu-tolerance.ts";
import { checkDrawnOnGpu, checkOnGpu, type GpuCase, gpuForms } from "./on-gpu.ts";
import { isExact, showsBits } from "./op-kinds.ts";
import type { Tolerance } from "./random.ts";

export interface WebgpuOptions {
  /** How many graphs of a test `npm test` takes, evenly among all. Default: 2. */
  readonly sample?: number;
  /** The same for the full run. Default: all. */
  readonly full?: number;
}

/**
 * From now on, each test of the file ends with its checks on WebGPU. Where there is no adapter, one line says so and the
 * tests run on wasm alone. `what`: the tests, for that line.
 */
export async function alsoOnWebgpu(what: string, { sample = 2, full = Infinity }: WebgpuOptions = {}): Promise<void> {
  const machine = await gpuMachine(`${what} on WebGPU`);
  if (machine === undefined) return;
  let given: GpuCase[] = [];
  let drawn: GpuCase[] = [];
  beforeEach(() => {
    [given, drawn] = [[], []];
    // The same graph in other forms.
    const known = new Map<Graph, AskedCheck["args"]>();
    asked.passOn = (check) => {
      const one = known.get(check.graph) === check.args ? undefined : caseOf(check);
      known.set(check.graph, check.args);
      if (one !== undefined) (check.drawn === undefined ? given : drawn).push(one);
    };
  });
  afterEach(async () => {
    asked.passOn = undefined;
    // The simplest schedules differ little from case to case.
    const inForms = (cases: readonly GpuCase[], every: number): GpuCase[] =>
      cases.map((one, i) => ({ ...one, forms: i % every === 0 ? gpuForms : gpuForms.slice(0, 1) }));
    await checkOnGpu(machine, inForms(evenly(given, fullRun ? full : sample), 4));
    await checkDrawnOnGpu(machine, inForms(drawn, 4));
  }, 240_000);
}

/** A check as it is made on WebGPU; undefined where it cannot be. */
function caseOf({ graph, args, options, drawn }: AskedCheck): GpuCase | undefined {
  if (usesF64(graph)) return undefined;
  const nodes = [...nodesIn(graph)];
  const isSingle = nodes.length === 1;
  const ops = nodes.map((node) => getOp(node.op));
  // Which NaN an operation gives is open, and so is the sign of a zero.
  if (drawn !== undefined && !isSingle && ops.some(showsBits)) return undefined;
  const plain = args.map(plainNumbers);
  const isSame = plain.every((arg, i) => arg === args[i]);
  const tolerance = toleranceOf(nodes, options.tolerance ?? {});
  const expected = isSame ? options.expected : undefined;
  const byRounding = options.byRounding === true;
  if (drawn === undefined)
    return { graph, args: plain, tolerance, byRounding, ...(expected === undefined ? {} : { expected }) };
  const values = expected ?? evalGraph(graph, plain);
  if (!isSingle && !ops.every(isExactThere) && values.some(isWild)) return undefined;
  return { graph, args: plain, tolerance, byRounding, expected: values, text: drawn };
}

/** Whether any value of a graph is of f64, which WebGPU does not have. */
export function usesF64(graph: Graph): boolean {
  const made = [...nodesIn(graph)].flatMap(({ results }) => results);
  return [...graph.params.map(({ value }) => value), ...made].some(
    ({ type }) => type.kind === "tensor" && type.dtype === "f64",
  );
}

/** The nodes of a graph and of the regions in it. */
function* nodesIn(graph: Graph): Generator<Node> {
  for (const node of graph.nodes) {
    yield node;
    for (const region of node.regions) yield* nodesIn(region);
  }
}

const isExactThere = (op: OpDef): boolean => isExact(op) && !isDivision(op);

function toleranceOf(nodes: readonly Node[], asked: Tolerance): Tolerance {
  const [node] = nodes;
  if (node !== undefined && nodes.length === 1) return onGpu(getOp(node.op), typeOf(node.results[0]!), asked);
  const sums = nodes.filter(({ op, results }) => results.some((value) => isSum(op, value)));
  const exact = sums.length < 2 ? exactOnGpu : reorderedOnGpu;
  return wider(asked, nodes.every(({ op }) => isExactThere(getOp(op))) ? exact : nearOnGpu);
}

const isSum = (op: string, { type }: Value): boolean => type.kind === "tensor" && isReordered(getOp(op), type);

function wider(a: Tolerance, b: Tolerance): Tolerance {
  const keys = ["ulp", "relative", "absolute"] as const;
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = Math.max(a[key] ?? 0, b[key] ?? 0);
      return value === 0 ? [] : [[key, value]];
    }),
  );
}

/** The smallest normal number of f32. */
const tiny = 2 ** -126;

/** The tensor with 0 in place of -0 and of denormal numbers; the same one where it has none. */
function plainNumbers(tensor: HostTensor): HostTensor {
  if (!isFloat(tensor.dtype)) return tensor;
  const isOdd = (x: number): boolean => Object.is(x, -0) || (x !== 0 && Math.abs(x) < tiny);
  if (!tensor.data.some(isOdd)) return tensor;
  return { ...tensor, data: tensor.data.map((x) => (isOdd(x) ? 0 : x)) };
}

/** Values near a pole: no digit of them is certain. */
function isWild({ dtype, data }: HostTensor): boolean {
  return isFloat(dtype) && data.some((x) => !(Math.abs(x) < 1e4));
}

/** `count` items of a list, evenly among all; all of them where there are fewer. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  const isTaken = (i: number): boolean =>
    Math.floor(((i + 1) * count) / items.length) > Math.floor((i * count) / items.length);
  return items.filter((_, i) => items.length <= count || isTaken(i));
}
