/**
 * What `verify: true` does with a call that has run: every operation of the graph again, in a program that keeps all
 * results, against the reference evaluator on the very operands that the program computed; then what the call computed
 * against that. Branches and loops are run from outside, round by round, so that the operations in them are looked at too.
 */
import {
  closeEnough,
  type Graph,
  getOp,
  type HostFunction,
  type HostTensor,
  isFloat,
  largestOf,
  largestTerm,
  type Node,
  type NodePath,
  type OpDef,
  type TensorType,
  type Tolerance,
  toleranceOf,
  toleranceOnGpu,
  typeOf,
} from "@sinter/ir";
import { isLoop, roundBehind } from "@sinter/passes";
import type { CompileOptions } from "@sinter/runtime";
import { type Asked, type Asking, answered, type Values } from "./asking.ts";

/** The first result that differs. */
export interface Mismatch {
  /** `operation`: alone it gives something else. `program`: all operations alone are right, but not the whole. */
  readonly kind: "operation" | "program";
  readonly path: NodePath;
  /** Rounds of the loops around it, from the outside in. */
  readonly rounds: readonly number[];
  readonly result: number;
  readonly actual: HostTensor;
  readonly expected: HostTensor;
  readonly tolerance: Tolerance;
}

export interface VerifyOptions extends CompileOptions {
  /** Answers calls of the host from number `from` on, as they were answered. */
  readonly replaying: (from: number) => HostFunction;
  /** Runs a program at once, where that can be: then loops are gone through without beginning anew for each round. */
  readonly now?: (asked: Asked) => Values;
}

class Found extends Error {
  readonly mismatch: Mismatch;
  constructor(mismatch: Mismatch) {
    super("a result differs");
    this.mismatch = mismatch;
  }
}

/** A region that an operation runs, whose results are not known yet. */
class Needed extends Error {
  readonly region: number;
  readonly round: number;
  readonly inputs: Values;
  constructor(region: number, round: number, inputs: Values) {
    super("a region is to be run first");
    this.region = region;
    this.round = round;
    this.inputs = inputs;
  }
}

/** Checks what a program gave for `args`; undefined where it is right. */
export function* findMismatch(
  graph: Graph,
  args: Values,
  results: Values,
  options: VerifyOptions,
): Asking<Mismatch | undefined> {
  const verifier = new Verifier(options);
  try {
    verifier.compareProgram(graph, yield* verifier.run(graph, args, [], []), results);
    return undefined;
  } catch (error) {
    if (error instanceof Found) return error.mismatch;
    throw error;
  }
}

class Verifier {
  private readonly options: VerifyOptions;
  /** Calls of the host so far. */
  private calls = 0;

  constructor(options: VerifyOptions) {
    this.options = options;
  }

  /** All values of a graph as the program computes them, by id; throws at the first that is wrong. */
  *run(graph: Graph, args: Values, before: NodePath, rounds: readonly number[]): Asking<Values> {
    const values: HostTensor[] = [...args];
    const kept = graph.nodes.filter(isKept);
    const given = yield { graph: exposed(graph, kept), args, host: this.options.replaying(this.calls) };
    let next = 0;
    const computed = new Map(kept.map((node) => [node, node.results.map(() => given[next++]!)]));
    for (const [i, node] of graph.nodes.entries()) {
      const operands = node.operands.map((value) => values[value.id]!);
      const path = [...before, i];
      const actual = computed.get(node) ?? (yield* this.evaluate(node, operands, path, rounds));
      if (getOp(node.op).effect) this.calls += this.asked(operands) ? 1 : 0;
      else if (computed.has(node)) yield* this.compare(node, operands, actual, path, rounds);
      node.results.forEach((value, k) => {
        values[value.id] = actual[k]!;
      });
    }
    return values;
  }

  /** A call happens where its status, the first operand, is 0. */
  private asked([status]: Values): boolean {
    return status!.data[0] === 0;
  }

  /** What the reference makes of the operands; regions give what the program makes of them. */
  private *evaluate(node: Node, operands: Values, path: NodePath, rounds: readonly number[]): Asking<Values> {
    const types = node.results.map(typeOf);
    const { now } = this.options;
    const region = (r: number, round: number, inputs: Values): Asking<Values> =>
      this.region(node.regions[r]!, inputs, [...path, r], isLoop(node) ? [...rounds, round] : rounds);
    const known: Values[] = [];
    for (;;) {
      const count = node.regions.map(() => 0);
      let next = 0;
      try {
        return getOp(node.op).eval(operands, node.attrs, types, {
          graphs: node.regions,
          groups: node.groups,
          run: (r, inputs) => {
            const round = roundBehind(node, count[r]!++);
            if (now !== undefined) return answered(region(r, round, inputs), now);
            const found = known[next++];
            if (found === undefined) throw new Needed(r, round, inputs);
            return found;
          },
        });
      } catch (error) {
        if (!(error instanceof Needed)) throw error;
        // An evaluation cannot wait: it begins anew, with what it asked for.
        known.push(yield* region(error.region, error.round, error.inputs));
      }
    }
  }

  private *region(graph: Graph, inputs: Values, path: NodePath, rounds: readonly number[]): Asking<Values> {
    const values = yield* this.run(graph, inputs, path, rounds);
    return graph.results.map((result) => values[result.value.id]!);
  }

  private *compare(
    node: Node,
    operands: Values,
    actual: Values,
    path: NodePath,
    rounds: readonly number[],
  ): Asking<void> {
    const expected = yield* this.evaluate(node, operands, path, rounds);
    const op = getOp(node.op);
    const largest = largestTerm(op, operands);
    const types = [node.operands.map(typeOf), node.results.map(typeOf)] as const;
    expected.forEach((right, result) => {
      // The rounds of a loop were checked one by one; together they may go through other kernels.
      const tolerance =
        node.regions.length > 0
          ? this.together(right, 0)
          : this.alone(
              op,
              typeOf(node.results[result]!),
              toleranceOf(op, node.attrs, types[0], types[1], largest),
              largest,
            );
      if (!differs(actual[result]!, right, tolerance)) return;
      throw new Found({ kind: "operation", path, rounds, result, actual: actual[result]!, expected: right, tolerance });
    });
  }

  private alone(op: OpDef, result: TensorType, promised: Tolerance, largest: number): Tolerance {
    if (this.options.backend !== "webgpu") return promised;
    const there = toleranceOnGpu(op, result, promised, largest);
    const isProduct = op.derivative.kind === "multilinear" && op.nest.kind === "reduce";
    if (this.options.precision !== "f16" || !isProduct) return there;
    const { absolute = 0, relative = 0 } = there;
    return { ...there, absolute: absolute * f16Steps, relative: relative * f16Steps };
  }

  /** Many operations in one program, fused and in another order. What cancels is only as near as what it came from. */
  private together(expected: HostTensor, largest: number): Tolerance {
    if (!isFloat(expected.dtype)) return {};
    const { backend, precision } = this.options;
    const near = expected.dtype === "f64" ? 1e-12 : backend !== "webgpu" ? 1e-4 : precision === "f16" ? 1e-2 : 2e-4;
    return { ulp: 16, relative: near, absolute: near * Math.max(largest, largestOf(expected)) };
  }

  /** Compares what the program gave with what its operations give one by one. */
  compareProgram(graph: Graph, values: Values, results: Values): void {
    graph.results.forEach(({ value }, k) => {
      const i = graph.nodes.findIndex((node) => node.results.includes(value));
      const node = graph.nodes[i];
      if (node === undefined) return;
      const operands = node.operands.map((operand) => values[operand.id]!);
      const expected = values[value.id]!;
      const tolerance = this.together(expected, largestTerm(getOp(node.op), operands));
      if (!differs(results[k]!, expected, tolerance)) return;
      const result = node.results.indexOf(value);
      throw new Found({ kind: "program", path: [i], rounds: [], result, actual: results[k]!, expected, tolerance });
    });
  }
}

/** How much coarser f16 is than f32. */
const f16Steps = 2 ** 13;

/** Nodes whose results the program is asked for: constants and positions are what they are. */
function isKept(node: Node): boolean {
  return node.operands.length > 0;
}

/** The graph with the results of these nodes for its own, and plain arguments. */
function exposed(graph: Graph, kept: readonly Node[]): Graph {
  return {
    ...graph,
    params: graph.params.map((param) => ({ ...param, kind: "arg" })),
    results: kept.flatMap((node) => node.results.map((value) => ({ kind: "out" as const, value }))),
  };
}

function differs(actual: HostTensor, expected: HostTensor, tolerance: Tolerance): boolean {
  return expected.data.some((y, i) => !closeEnough(actual.data[i]!, y, expected.dtype, tolerance));
}
