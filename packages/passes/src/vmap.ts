/** Batching: a graph on one example becomes the same graph on many, each op by its own `batch` rule. */
import {
  type Builder,
  type Dim,
  dimText,
  type Graph,
  getOp,
  staticDim,
  typeOf,
  typeText,
  type Value,
} from "@sinter/ir";
import { moveTo } from "./calculus.ts";
import { batchRegion } from "./control/batch.ts";
import { controlForm } from "./control/region-op.ts";
import { batchCustom } from "./custom.ts";
import { callsHost, isHostNode, oneByOne } from "./effects.ts";
import { inlineCalls, isCustom } from "./inline.ts";

/** A function cannot be batched as asked: says which parameter, variable or op, and why. */
export class BatchingError extends Error {
  override readonly name = "BatchingError";
}

export interface VmapResult {
  /** The graph's results, in order. */
  readonly results: readonly Value[];
  /** Whether a result has the batch axis, which is then its first; the others are the same for each example. */
  readonly batched: readonly boolean[];
}

/**
 * Emits `graph` into `b` on arguments of which some have one more axis, of `size`, at the position `inAxes` says (null:
 * the same argument for each example). A variable may be read under vmap, but not written with a value that differs
 * between examples.
 */
export function vmapInto(
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  inAxes: readonly (number | null)[],
  size: Dim,
): VmapResult {
  const flat = inlineCalls(graph);
  if (args.length !== graph.params.length || inAxes.length !== args.length)
    throw new Error(
      `vmap: ${graph.name} has ${graph.params.length} parameters, not ${args.length} or ${inAxes.length}`,
    );
  const values: Value[] = args.map((arg, i) => {
    const axis = inAxes[i] ?? null;
    const moved = axis === null ? arg : moveAxis(b, arg, axis, 0);
    const inner = axis === null ? moved.type : { ...typeOf(moved), shape: typeOf(moved).shape.slice(1) };
    const { name, value } = graph.params[i]!;
    if (typeText(inner) !== typeText(value.type))
      throw new BatchingError(`one example of ${name} is ${typeText(inner)} where ${typeText(value.type)} is expected`);
    const given = axis === null ? undefined : typeOf(moved).shape[0]!;
    if (given !== undefined && dimText(given) !== dimText(size))
      throw new BatchingError(`${name} has ${dimText(given)} examples where ${dimText(size)} are expected`);
    return moved;
  });
  const batched: boolean[] = inAxes.map((axis) => axis !== null);
  flat.nodes.forEach((node, i) => {
    moveTo(b, flat.debug.locs[i]);
    const operands = node.operands.map((operand) => values[operand.id]!);
    const which = node.operands.map((operand) => batched[operand.id] === true);
    const acts = callsHost(node);
    const made = isHostNode(node)
      ? oneByOne(b, node, operands, which, staticDim(size))
      : which.includes(true) || acts
        ? controlForm(node) !== undefined
          ? (isCustom(node) ? batchCustom : batchRegion)(b, { node, operands, batched: which, size }, vmapInto)
          : alike(getOp(node.op).batch(b, { operands, batched: which, size, attrs: node.attrs }), true)
        : alike(b.emitNode(node.op, operands, node.attrs, node.regions, node.groups), false);
    node.results.forEach((result, k) => {
      values[result.id] = made.results[k]!;
      batched[result.id] = made.batched[k]!;
    });
  });
  for (const result of flat.results)
    if (result.kind === "state" && batched[result.value.id] === true)
      throw new BatchingError(
        `variable ${graph.params[result.param]!.name} is written with a value that differs between the examples of vmap`,
      );
  return {
    results: flat.results.map((result) => values[result.value.id]!),
    batched: flat.results.map((result) => batched[result.value.id] === true),
  };
}

function alike(results: readonly Value[], batched: boolean): VmapResult {
  return { results, batched: results.map(() => batched) };
}

/** A result with its batch axis at `axis`; a result that has none is repeated. */
export function placeBatchAxis(b: Builder, value: Value, batched: boolean, size: Dim, axis: number): Value {
  const { shape } = typeOf(value);
  const front = batched
    ? value
    : b.emit("broadcast", [value], { shape: [size, ...shape], dims: shape.map((_, i) => i + 1) });
  return moveAxis(b, front, 0, axis);
}

/** Moves one axis, keeping the order of the others. */
function moveAxis(b: Builder, value: Value, from: number, to: number): Value {
  const rank = typeOf(value).shape.length;
  if (from < 0 || from >= rank || to < 0 || to >= rank)
    throw new BatchingError(`axis ${from < 0 || from >= rank ? from : to} does not exist in ${typeText(value.type)}`);
  if (from === to) return value;
  const perm = Array.from({ length: rank }, (_, i) => i);
  perm.splice(to, 0, ...perm.splice(from, 1));
  return b.emit("transpose", [value], { perm });
}
