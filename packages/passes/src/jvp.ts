/** Forward mode: values and tangents side by side in one pass over a graph, from the same `derivative` field as grad. */
import {
  type Builder,
  type Emitter,
  type Graph,
  getOp,
  type MaybeValue,
  type Node,
  scale,
  typeOf,
  type Value,
} from "@sinter/ir";
import {
  accumulate,
  checkArguments,
  checkDerivative,
  conform,
  DifferentiationError,
  isDifferentiable,
  moveTo,
  zeros,
} from "./calculus.ts";
import { jvpRegion } from "./control/forward.ts";
import { controlForm } from "./control/region-op.ts";
import { refuseDerivative } from "./effects.ts";
import { inlineCalls, isCustom } from "./inline.ts";

export interface JvpResult {
  /** The graph's results, in order. */
  readonly results: readonly Value[];
  /** One per result; null where it is zero or the result has no tangent (integers, bools, tokens). */
  readonly tangents: readonly MaybeValue[];
}

/**
 * Emits `graph` on `args` into `b`, together with the tangents of its results. `tangents` has one entry per parameter,
 * of its type; null stands for zero and is what integers, bools and tokens have.
 */
export function jvpInto(b: Builder, graph: Graph, args: readonly Value[], tangents: readonly MaybeValue[]): JvpResult {
  checkArguments("jvp", graph, args);
  const flat = inlineCalls(graph);
  const values: Value[] = [...args];
  const directions: MaybeValue[] = graph.params.map((param, i) => {
    const tangent = tangents[i] ?? null;
    if (tangent !== null && !isDifferentiable(param.value.type))
      throw new DifferentiationError(`parameter ${param.name} of ${graph.name} is not float: it has no tangent`);
    return checkDerivative(`tangent of ${param.name}`, tangent, param.value.type);
  });
  flat.nodes.forEach((node, i) => {
    moveTo(b, flat.debug.locs[i]);
    const operands = node.operands.map((operand) => values[operand.id]!);
    const incoming = node.operands.map((operand) => directions[operand.id] ?? null);
    let made: readonly Value[];
    let moved: readonly MaybeValue[];
    if (isCustom(node) && incoming.some((tangent) => tangent !== null))
      throw new DifferentiationError(
        "a function with a derivative of its own for reverse mode (customVjp, checkpoint) has none for forward mode",
      );
    if (controlForm(node) !== undefined && incoming.some((tangent) => tangent !== null)) {
      ({ results: made, tangents: moved } = jvpRegion(b, node, operands, incoming, jvpInto));
    } else {
      if (incoming.some((tangent) => tangent !== null)) refuseDerivative(node, flat.debug.locs[i]);
      made = b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
      moved = pushForward(b, node, operands, made, incoming);
    }
    node.results.forEach((result, k) => {
      values[result.id] = made[k]!;
      const tangent = isDifferentiable(result.type) ? (moved[k] ?? null) : null;
      directions[result.id] = checkDerivative(`tangent of ${node.op}`, tangent, result.type);
    });
  });
  return {
    results: flat.results.map((result) => values[result.value.id]!),
    tangents: flat.results.map((result) => directions[result.value.id] ?? null),
  };
}

/** The tangents of a node's results. */
function pushForward(
  b: Emitter,
  node: Node,
  operands: readonly Value[],
  results: readonly Value[],
  tangents: readonly MaybeValue[],
): readonly MaybeValue[] {
  const none = results.map(() => null);
  if (tangents.every((tangent) => tangent === null)) return none;
  const { derivative } = getOp(node.op);
  const context = { operands, results, attrs: node.attrs };
  switch (derivative.kind) {
    case "elementwise": {
      const partials = derivative.partials(b, context);
      let sum: MaybeValue = null;
      tangents.forEach((tangent, i) => {
        const partial = partials[i] ?? null;
        if (tangent !== null && partial !== null) sum = accumulate(b, sum, scale(b, tangent, partial));
      });
      return [sum === null ? null : conform(b, sum, typeOf(results[0]!))];
    }
    case "linear": {
      if (!results.some((result) => isDifferentiable(result.type))) return none;
      const moved = operands.map((operand, i) =>
        isDifferentiable(operand.type) ? (tangents[i] ?? zeros(b, typeOf(operand))) : operand,
      );
      return b.emitAll(node.op, moved, node.attrs);
    }
    case "multilinear": {
      let sum: MaybeValue = null;
      tangents.forEach((tangent, i) => {
        if (tangent !== null) sum = accumulate(b, sum, b.emit(node.op, operands.with(i, tangent), node.attrs));
      });
      return [sum];
    }
    case "custom":
      return derivative.jvp(b, tangents, context);
    case "none":
      return none;
    default:
      return derivative satisfies never;
  }
}
