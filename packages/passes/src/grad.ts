/**
 * Reverse mode: one sweep backwards over a finished graph, driven by each op's `derivative`. The forward pass is
 * emitted into the same builder, so residuals are simply values of the same graph, and what the gradient does not
 * need is removed like anything else that nobody uses. The result is a graph again: differentiate it again for second
 * derivatives.
 */
import {
  Builder,
  type Graph,
  type GraphResult,
  getOp,
  type Loc,
  type MaybeValue,
  type Node,
  scale,
  typeOf,
  typeText,
  type Value,
} from "@sinter/ir";
import {
  accumulate,
  checkArguments,
  checkDerivative,
  copyParams,
  DifferentiationError,
  filled,
  isDifferentiable,
  moveTo,
  sumAll,
  zeros,
} from "./calculus.ts";
import { controlForm } from "./control/region-op.ts";
import { forwardRegion } from "./control/reverse.ts";
import type { Forward } from "./control/transforms.ts";
import { forwardCustom } from "./custom.ts";
import { hostAgain, refuseDerivative, regionsAgain } from "./effects.ts";
import { inlineCalls, isCustom } from "./inline.ts";

export interface VjpOptions {
  /** What a parameter gets that the cotangents do not reach: zeros of its type (the default), or an error. */
  readonly unused?: "zero" | "error";
  /** Values of the graph, which has no calls then, that are known already and need not be computed. */
  readonly known?: ReadonlyMap<Value, Value>;
  /** The graph has been computed before: it acts on nobody again. */
  readonly again?: boolean;
}

export interface VjpResult {
  /** The graph's results, in order: `out`, `state` and `token` alike, computed once. */
  readonly results: readonly Value[];
  /** One per entry of `wrt`, each of its parameter's type. */
  readonly gradients: readonly Value[];
}

/**
 * Emits `graph` on `args` into `b`, then the sweep from the cotangents of its results back to the parameters `wrt`.
 * `cotangentsOf` sees the results and answers one cotangent each (null: zero), of the result's type. Nothing flows
 * through integers, bools and tokens, nor through ops whose derivative is none (`floor`, comparisons, stopGradient).
 */
export function vjpInto(
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  cotangentsOf: (results: readonly Value[]) => readonly MaybeValue[],
  wrt: readonly number[],
  options: VjpOptions = {},
): VjpResult {
  checkArguments("vjp", graph, args);
  checkWrt(graph, wrt);
  const flat = inlineCalls(graph);
  const values: Value[] = [...args];
  const read = (value: Value): Value => values[value.id]!;
  const { varied, blocked } = findVaried(flat, wrt);
  const forwards = new Map<Node, Forward>();
  flat.nodes.forEach((node, i) => {
    moveTo(b, flat.debug.locs[i]);
    const operands = node.operands.map(read);
    const known = node.results.map((result) => options.known?.get(result)).filter((value) => value !== undefined);
    let made: readonly Value[];
    const again = options.again === true ? regionsAgain(node) : node;
    const silent = options.again === true ? hostAgain(node, operands, flat.debug.locs[i], options.known) : undefined;
    if (silent !== undefined) made = silent;
    else if (known.length === node.results.length) made = known;
    else if (controlForm(node) !== undefined && node.results.some((result) => varied[result.id] === true)) {
      const forward = isCustom(node) ? forwardCustom(b, again, operands) : forwardRegion(b, again, operands, vjpInto);
      forwards.set(node, forward);
      made = forward.results;
    } else made = b.emitNode(node.op, operands, node.attrs, again.regions, node.groups);
    node.results.forEach((result, k) => {
      values[result.id] = made[k]!;
    });
  });
  const results = flat.results.map((result) => read(result.value));
  const given = cotangentsOf(results);
  if (given.length !== results.length)
    throw new Error(`vjp of ${graph.name}: ${given.length} cotangents for ${results.length} results`);

  const cotangents = new Map<number, MaybeValue>();
  const add = (value: Value, term: MaybeValue): void => {
    if (varied[value.id] === true) cotangents.set(value.id, accumulate(b, cotangents.get(value.id) ?? null, term));
  };
  flat.results.forEach((result, k) => {
    add(result.value, checkDerivative(`cotangent ${k} of ${graph.name}`, given[k] ?? null, result.value.type));
  });
  for (let i = flat.nodes.length - 1; i >= 0; i--) {
    const node = flat.nodes[i]!;
    const incoming = node.results.map((result) => cotangents.get(result.id) ?? null);
    if (incoming.every((cotangent) => cotangent === null)) continue;
    moveTo(b, backward(flat.debug.locs[i]));
    const wanted = node.operands.map((operand) => varied[operand.id] === true);
    refuseDerivative(node, flat.debug.locs[i]);
    const pulled =
      forwards.get(node)?.pull(incoming, wanted) ??
      pullBack(b, node, node.operands.map(read), node.results.map(read), incoming, wanted);
    pulled.forEach((term, k) => {
      const operand = node.operands[k]!;
      if (wanted[k]) add(operand, checkDerivative(`gradient of ${node.op} for operand ${k}`, term, operand.type));
    });
  }
  const gradients = wrt.map((position) => {
    const { name, value } = graph.params[position]!;
    const gradient = cotangents.get(value.id) ?? null;
    if (gradient !== null) return gradient;
    if (options.unused === "error") throw unusedError(graph, name, blocked);
    return zeros(b, typeOf(value));
  });
  return { results, gradients };
}

/** The same places, on the way back. */
function backward(locs: readonly Loc[] | undefined): readonly Loc[] | undefined {
  return locs?.map((loc) => ({ ...loc, pass: "backward" }));
}

export interface GradOptions extends VjpOptions {
  /** Positions of the parameters to differentiate with respect to. */
  readonly wrt: readonly number[];
  /** Position of the float result to differentiate. Where it is not a scalar, a parameter `cotangent` of its type is added. */
  readonly of: number;
  /** Whether the graph's own `out` results come before the gradients. State and token results stay either way. */
  readonly keepResults: boolean;
  readonly fastMath?: boolean;
}

/** The graph that computes gradients: kept results in their order, then one `out` per entry of `wrt`. */
export function gradGraph(graph: Graph, options: GradOptions): Graph {
  const target = graph.results[options.of];
  if (target === undefined || !isDifferentiable(target.value.type))
    throw new DifferentiationError(
      `result ${options.of} of ${graph.name} ${target === undefined ? "does not exist" : `is ${typeText(target.value.type)}`}: a gradient is taken of a float result`,
    );
  const b = new Builder(`grad_${graph.name}`, { fastMath: options.fastMath ?? false });
  const args = copyParams(b, graph);
  const type = typeOf(target.value);
  const seed = type.shape.length === 0 ? filled(b, type, 1) : b.param("arg", type, "cotangent");
  const { results, gradients } = vjpInto(
    b,
    graph,
    args,
    () => graph.results.map((_, i) => (i === options.of ? seed : null)),
    options.wrt,
    options,
  );
  const kept = graph.results
    .map((result, i): GraphResult => ({ ...result, value: results[i]! }))
    .filter((result) => options.keepResults || result.kind !== "out");
  return b.finish([...kept, ...gradients.map((value): GraphResult => ({ kind: "out", value }))]);
}

/** The cotangents of a node's operands. `wanted` says of which operands they are asked for. */
function pullBack(
  b: Builder,
  node: Node,
  operands: readonly Value[],
  results: readonly Value[],
  cotangents: readonly MaybeValue[],
  wanted: readonly boolean[],
): readonly MaybeValue[] {
  const { derivative } = getOp(node.op);
  const context = { operands, results, attrs: node.attrs };
  switch (derivative.kind) {
    case "elementwise": {
      const cotangent = cotangents[0]!;
      const partials = derivative.partials(b, context);
      return operands.map((operand, i) => {
        const partial = partials[i] ?? null;
        if (!wanted[i] || partial === null) return null;
        if (typeOf(operand).shape.length > 0 || typeOf(cotangent).shape.length === 0)
          return scale(b, cotangent, partial);
        // A rank-0 operand is read everywhere. Where the partial is one number too, sum first: one product, not many.
        if (typeOf(partial).shape.length === 0) return scale(b, sumAll(b, cotangent), partial);
        const scaled = scale(b, cotangent, partial);
        return scaled === null ? null : sumAll(b, scaled);
      });
    }
    case "linear":
      return derivative.transpose(b, cotangents, context);
    case "multilinear":
      return operands.map((_, i) => (wanted[i] ? derivative.transpose(b, cotangents[0]!, context, i) : null));
    case "custom":
      return derivative.vjp(b, cotangents, context);
    case "none":
      return operands.map(() => null);
    default:
      return derivative satisfies never;
  }
}

/** Which values depend on the parameters `wrt` in the sense of calculus, and the ops at which such dependence ends. */
function findVaried(
  graph: Graph,
  wrt: readonly number[],
): { readonly varied: readonly boolean[]; readonly blocked: readonly string[] } {
  const varied: boolean[] = graph.params.map((_, i) => wrt.includes(i));
  const blocked = new Set<string>();
  for (const node of graph.nodes) {
    const depends = node.operands.some((operand) => varied[operand.id] === true);
    const { derivative } = getOp(node.op);
    if (depends && derivative.kind === "none") blocked.add(`${node.op} (${derivative.reason})`);
    for (const result of node.results)
      varied[result.id] = depends && derivative.kind !== "none" && isDifferentiable(result.type);
  }
  return { varied, blocked: [...blocked] };
}

function checkWrt(graph: Graph, wrt: readonly number[]): void {
  for (const position of wrt) {
    const param = graph.params[position];
    if (param === undefined) throw new Error(`vjp of ${graph.name}: there is no parameter ${position}`);
    if (!isDifferentiable(param.value.type))
      throw new DifferentiationError(
        `parameter ${param.name} of ${graph.name} is ${typeText(param.value.type)}: a gradient exists only for float parameters`,
      );
  }
}

function unusedError(graph: Graph, name: string, blocked: readonly string[]): DifferentiationError {
  const why = blocked.length === 0 ? "" : `; dependence ends at ${blocked.join(", ")}`;
  return new DifferentiationError(`the gradient of ${graph.name} does not reach parameter ${name}${why}`);
}
