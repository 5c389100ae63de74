/** The reference evaluator: node by node, slow and obvious. Every backend is compared with it. */
import type { HostTensor } from "./define-op.ts";
import type { TypedArray } from "./dtype.ts";
import { allocate } from "./dtype.ts";
import type { Attrs, Graph, Node, TensorType, ValueType } from "./graph.ts";
import type { HostFunction } from "./host-call.ts";
import type { Dim } from "./nest/expr.ts";
import { dimValue } from "./nest/index-algebra.ts";
import { getOp } from "./ops/index.ts";
import { nodeText, printGraph } from "./print.ts";
import { typeText } from "./text.ts";

export interface EvalOptions {
  /** Called after each node, also those inside regions (`graph` is the one that has the node). */
  trace?(node: Node, operands: readonly HostTensor[], results: readonly HostTensor[], graph: Graph): void;
  /** Answers the calls of the graph. Without it what is printed goes nowhere, and other calls fail. */
  readonly host?: HostFunction | undefined;
}

type Sizes = ReadonlyMap<string, number>;

/** Evaluates a graph on `args`, one for each parameter in order. Tokens are given and returned as `tokenTensor`. */
export function evalGraph(
  graph: Graph,
  args: readonly HostTensor[],
  options: EvalOptions = {},
  outer: Sizes = new Map(),
): readonly HostTensor[] {
  if (args.length !== graph.params.length)
    throw new Error(`graph ${graph.name} takes ${graph.params.length} values, not ${args.length}`);
  const sizes = bindSizes(graph, args, outer);
  const values: HostTensor[] = [];
  graph.params.forEach((param, i) => {
    const arg = args[i]!;
    const type = param.value.type;
    if (type.kind === "tensor") check(arg, resolveType(type, sizes), () => `parameter %${param.name} of ${graph.name}`);
    values[param.value.id] = arg;
  });
  for (const node of graph.nodes) {
    const operands = node.operands.map((v) => values[v.id]!);
    const results = evalNode(node, operands, options, sizes, graph);
    node.results.forEach((v, i) => {
      values[v.id] = results[i]!;
    });
    options.trace?.(node, operands, results, graph);
  }
  return graph.results.map((r) => values[r.value.id]!);
}

/** Stands for a token where values are given by position. */
export const tokenTensor: HostTensor = { dtype: "bool", shape: [0], data: new Uint8Array(0) };

/** A tensor of one value. */
export function hostScalar(dtype: HostTensor["dtype"], value: number): HostTensor {
  const data: TypedArray = allocate(dtype, 1);
  data[0] = value;
  return { dtype, shape: [], data };
}

function evalNode(
  node: Node,
  operands: readonly HostTensor[],
  options: EvalOptions,
  sizes: Sizes,
  graph: Graph,
): readonly HostTensor[] {
  const def = getOp(node.op);
  const types = node.results.map((v) => resolveType(v.type, sizes));
  const attrs = resolveAttrs(node.attrs, def.attrs, sizes);
  let results: readonly HostTensor[];
  try {
    results = def.eval(operands, attrs, types, {
      graphs: node.regions,
      groups: node.groups,
      host: options.host,
      run: (region, inputs) => evalGraph(node.regions[region]!, inputs, options, sizes),
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n  while evaluating ${nodeText(graph, node)}`, { cause: error });
  }
  results.forEach((result, i) => {
    if (node.results[i]!.type.kind === "tensor")
      check(result, types[i]!, () => `result ${i} of ${nodeText(graph, node)}`);
  });
  return results;
}

function check(tensor: HostTensor, type: TensorType, what: () => string): void {
  const found = `${tensor.dtype}[${tensor.shape.join(",")}]`;
  if (found !== typeText(type)) throw new Error(`${what()} is ${found}, not ${typeText(type)}`);
  const size = tensor.shape.reduce((n, d) => n * d, 1);
  if (tensor.data.length !== size) throw new Error(`${what()} has ${tensor.data.length} elements, not ${size}`);
}

/** Symbolic sizes from the shapes of the arguments: each must occur alone somewhere, unless a caller knows it. */
export function bindSizes(graph: Graph, args: readonly HostTensor[], outer: Sizes = new Map()): Sizes {
  if (graph.syms.length === 0) return outer;
  const sizes = new Map(outer);
  graph.params.forEach((param, i) => {
    if (param.value.type.kind !== "tensor") return;
    param.value.type.shape.forEach((dim, axis) => {
      if (typeof dim === "number" || dim.terms.length !== 1 || dim.constant !== 0) return;
      const { coef, atom } = dim.terms[0]!;
      const size = args[i]!.shape[axis];
      if (coef === 1 && atom.kind === "sym" && !sizes.has(atom.sym.name) && size !== undefined)
        sizes.set(atom.sym.name, size);
    });
  });
  for (const sym of graph.syms) {
    const size = sizes.get(sym.name);
    if (size === undefined)
      throw new Error(`symbolic size ${sym.name} of graph ${graph.name} is in no argument's shape`);
    if (size < sym.lo || size > sym.hi)
      throw new Error(`symbolic size ${sym.name} is ${size}, outside [${sym.lo}, ${sym.hi}]\n${printGraph(graph)}`);
  }
  return sizes;
}

function resolveDim(dim: Dim, sizes: Sizes): number {
  return dimValue(dim, sizes);
}

function resolveType(type: ValueType, sizes: Sizes): TensorType {
  if (type.kind === "token") return { kind: "tensor", dtype: "bool", shape: [0] };
  return { ...type, shape: type.shape.map((d) => resolveDim(d, sizes)) };
}

function resolveAttrs(attrs: Attrs, kinds: Readonly<Record<string, string>>, sizes: Sizes): Attrs {
  if (sizes.size === 0) return attrs;
  const out: Record<string, Attrs[string]> = { ...attrs };
  for (const [name, kind] of Object.entries(kinds))
    if (kind === "dims" && out[name] !== undefined)
      out[name] = (out[name] as readonly Dim[]).map((d) => resolveDim(d, sizes));
  return out;
}
