/** What the transformations of calculus share: zeros, sums, conforming to a type, checks. Holds no rule of any op. */
import {
  type Builder,
  constantNumber,
  type Emitter,
  emit,
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
  return emit.expandScalar(b, value, type.shape);
}

/** The sum of all elements: what a rank-0 operand of a larger elementwise result gets. */
export function sumAll(b: Emitter, value: Value): Value {
  const { shape } = typeOf(value);
  return shape.length === 0 ? value : emit.reduceSum(b, value, emit.range(shape.length));
}

/** The sum of two derivatives, either of which may be zero: null, or a value that is seen to be. */
export function accumulate(b: Emitter, sum: MaybeValue, term: MaybeValue): MaybeValue {
  if (sum === null || term === null) return sum ?? term;
  if (constantNumber(b, term) === 0) return sum;
  return constantNumber(b, sum) === 0 ? term : emit.add(b, sum, term);
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
