/** What a node costs where it is fused into whoever reads it: the measure by which code moves in and out of loops. */
import {
  type Attrs,
  bytesOf,
  type Graph,
  getOp,
  inlineElements,
  type OperandGroup,
  sizeOf,
  type TensorType,
  toIndex,
  type Value,
  type ValueType,
} from "@sinter/ir";

/** As much of a node as says what it costs. */
export interface Costed {
  readonly op: string;
  readonly operands: readonly Value[];
  readonly attrs: Attrs;
  readonly regions?: readonly Graph[];
  readonly groups?: readonly OperandGroup[];
}

/** Work per element from which making a value again costs more than reading it. */
export const muchWork = 8;

const isTensor = (type: ValueType): type is TensorType => type.kind === "tensor";

/** Scalar work per element of a result that is not made on demand, by a reduction or the like; 0 for all others. */
export function workPerElement({ op, operands, attrs }: Costed, result: Value): number {
  const def = getOp(op);
  const types = operands.map((operand) => operand.type);
  if (def.nest.kind === "map" || def.nest.kind === "control" || !types.every(isTensor) || !isTensor(result.type))
    return 0;
  return def.cost({ attrs, operands: types, results: [result.type] });
}

/** Scalar work per element of the result; undefined where the node is not computed element by element on demand. */
export function mapCost({ op, operands, attrs, regions = [], groups = [] }: Costed, result: Value): number | undefined {
  const def = getOp(op);
  const types = operands.map((operand) => operand.type);
  if (def.nest.kind !== "map" || def.nest.fence === true || !types.every(isTensor) || !isTensor(result.type))
    return undefined;
  return def.cost({ attrs, operands: types, results: [result.type], regions, groups });
}

/** Whether reading the result is reading the operand: an index map, a small constant, or positions. */
export function isFree(node: Costed, result: Value): boolean {
  const cost = mapCost(node, result);
  if (cost === undefined || node.operands.length > 1) return false;
  const data = node.attrs["data"];
  if (ArrayBuffer.isView(data) && "length" in data && Number(data.length) > inlineElements) return false;
  return cost === 0 || (node.operands.length === 0 && cost <= 1);
}

/** What stands for a size that has no bound. */
const unbounded = 2 ** 24;

/** How many elements a value has; where sizes are symbolic, at most. */
export function elementsOf(value: Value): number {
  return value.type.kind === "tensor" ? Math.min(toIndex(sizeOf(value.type.shape)).hi, unbounded) : 0;
}

export function bytesOfValue(value: Value): number {
  return value.type.kind === "tensor" ? elementsOf(value) * bytesOf(value.type.dtype) : 0;
}
