/**
 * What the transformations of calculus share: zeros, conforming to a type, and multiplying by a partial derivative
 * without leaving multiplications by one behind. Holds no rule of any op.
 */
import {
  type Builder,
  type Emitter,
  type Graph,
  isFloat,
  type Loc,
  type MaybeValue,
  type TensorType,
  typeOf,
  typeText,
  type Value,
  type ValueType,
} from "@sinter/ir";

/** A derivative was asked for that does not exist: says which parameter, result or op, and why. */
export class DifferentiationError extends Error {
  override readonly name = "DifferentiationError";
}

/** Whether a value has a tangent at all: floats do, integers, bools and tokens do not. */
export function isDifferentiable(type: ValueType): boolean {
  return type.kind === "tensor" && isFloat(type.dtype);
}

/** One value everywhere. */
export function filled(b: Emitter, type: TensorType, value: number): Value {
  return conform(b, b.scalar(type.dtype, value), type);
}

export function zeros(b: Emitter, type: TensorType): Value {
  return filled(b, type, 0);
}

/** Spreads a rank-0 value to a type; any other value must have the type already. */
export function conform(b: Emitter, value: Value, type: TensorType): Value {
  if (typeOf(value).shape.length > 0 || type.shape.length === 0) return value;
  return b.emit("broadcast", [value], { shape: type.shape, dims: [] });
}

/** The sum of all elements: what a rank-0 operand of a larger elementwise result gets. */
export function sumAll(b: Emitter, value: Value): Value {
  const { shape } = typeOf(value);
  return shape.length === 0 ? value : b.emit("reduce", [value], { op: "add", axes: shape.map((_, i) => i) });
}

/** The sum of two derivatives, either of which may be zero: null, or a value that is seen to be. */
export function accumulate(b: Emitter, sum: MaybeValue, term: MaybeValue): MaybeValue {
  if (sum === null || term === null) return sum ?? term;
  if (isZero(b, term)) return sum;
  return isZero(b, sum) ? term : b.emit("add", [sum, term]);
}

function isZero(b: Emitter, value: Value): boolean {
  const splat = splatValue(b, value);
  return splat !== undefined && b.constantOf(splat)?.data[0] === 0;
}

/**
 * `value * partial`, as a derivative: a partial of 1 or -1 costs no multiplication, a partial of 0 gives zero whatever
 * the value, and a partial that selects (relu, max, where) selects the value, so that what the untaken side holds,
 * infinite or NaN, does not leak into the gradient as `0 * inf`.
 */
export function scale(b: Emitter, value: Value, partial: Value): MaybeValue {
  const factor = splatValue(b, partial);
  if (factor !== undefined) {
    const constant = b.constantOf(factor);
    const number = constant === undefined ? undefined : Number(constant.data[0]);
    if (number === 0) return null;
    if (number === 1) return value;
    if (number === -1) return b.emit("neg", [value]);
    if (factor !== partial) return scale(b, value, factor);
    return b.emit("mul", [value, factor]);
  }
  const made = b.definition(partial);
  if (made?.op === "neg") {
    const scaled = scale(b, value, made.operands[0]!);
    return scaled === null ? null : b.emit("neg", [scaled]);
  }
  if (made?.op === "reciprocal") return b.emit("div", [value, made.operands[0]!]);
  if (made?.op === "select" && made.operands.slice(1).some((side) => isConstant(b, side))) {
    const { dtype } = typeOf(value);
    const [condition, yes, no] = made.operands as readonly [Value, Value, Value];
    const [a, c] = [scale(b, value, yes), scale(b, value, no)];
    if (a === null && c === null) return null;
    return b.emit("select", [condition, a ?? b.scalar(dtype, 0), c ?? b.scalar(dtype, 0)]);
  }
  return b.emit("mul", [value, partial]);
}

/** The rank-0 value that `value` holds everywhere, where it is one or a broadcast of one. */
function splatValue(b: Emitter, value: Value): Value | undefined {
  if (typeOf(value).shape.length === 0) return value;
  const made = b.definition(value);
  const source = made?.op === "broadcast" ? made.operands[0]! : undefined;
  return source !== undefined && typeOf(source).shape.length === 0 ? source : undefined;
}

function isConstant(b: Emitter, value: Value): boolean {
  const splat = splatValue(b, value);
  return splat !== undefined && b.constantOf(splat) !== undefined;
}

/** Holds a rule's answer to the type it must have: a wrong rule fails where it is wrong, not three nodes later. */
export function checkDerivative(what: string, value: MaybeValue, type: ValueType): MaybeValue {
  if (value !== null && typeText(value.type) !== typeText(type))
    throw new Error(`${what} has type ${typeText(value.type)} where ${typeText(type)} is expected`);
  return value;
}

/** Checks that there is one argument per parameter, each of its type. */
export function checkArguments(what: string, graph: Graph, args: readonly Value[]): void {
  if (args.length !== graph.params.length)
    throw new Error(
      `${what}: graph ${graph.name} has ${graph.params.length} parameters, ${args.length} arguments given`,
    );
  graph.params.forEach((param, i) => {
    checkDerivative(`${what}: argument ${param.name}`, args[i]!, param.value.type);
  });
}

/** A builder with the parameters of a graph, to which transformations add. */
export function copyParams(b: Builder, graph: Graph): readonly Value[] {
  return graph.params.map((param) => b.param(param.kind, param.value.type, param.name));
}

/** The nodes that follow were written where `locs` say; where a graph has no positions they keep those of its caller. */
export function moveTo(b: Builder, locs: readonly Loc[] | undefined): void {
  if (locs !== undefined && locs.length > 0) b.at(locs);
}
