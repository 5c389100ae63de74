/** What type rules, folds and batch rules share: messages, checks of operands, uniform values, the batch axis. */
import { type BatchContext, type Emitter, type MaybeValue, TypeRuleError } from "../define-op.ts";
import type { DType } from "../dtype.ts";
import { broadcastTo, dtypeOf, expandScalar, range, rankOf, shapeOf } from "../emit.ts";
import type { Attrs, TensorType, Value, ValueType } from "../graph.ts";
import type { Dim } from "../nest/expr.ts";

export function describeDim(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.key;
}
export function describeShape(shape: readonly Dim[]): string {
  return `[${shape.map(describeDim).join(", ")}]`;
}
/** `f32[2, 3]`; a rank-0 tensor is a `scalar f32`. */
export function describeType(type: TensorType): string {
  return type.shape.length === 0 ? `scalar ${type.dtype}` : `${type.dtype}${describeShape(type.shape)}`;
}
/** "a", "a and b", "a, b and c" */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** Throws; a function of type `never` lets rules stay expressions. */
export function fail(op: string, message: string): never {
  throw new TypeRuleError(`${op}: ${message}`);
}

/** The operand types, where they are `count` tensors (any number from `count` up where `atLeast`). */
export function tensors(op: string, types: readonly ValueType[], count: number, atLeast = false): TensorType[] {
  if (atLeast ? types.length < count : types.length !== count)
    fail(op, `takes ${atLeast ? "at least " : ""}${count} operand${count === 1 ? "" : "s"}, got ${types.length}`);
  return types.map((type, i) =>
    type.kind === "tensor" ? type : fail(op, `operand ${i} is an ordering token, not a tensor`),
  );
}

export function checkAxis(op: string, axis: number, type: TensorType, what = "axis"): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= type.shape.length)
    fail(op, `${what} ${axis} is outside ${describeType(type)}, which has ${type.shape.length} axes`);
}
/** Axes within the operand's rank and none twice. */
export function checkAxes(op: string, axes: readonly number[], type: TensorType, what = "axis"): void {
  for (const axis of axes) checkAxis(op, axis, type, what);
  if (new Set(axes).size !== axes.length) fail(op, `${what} list [${axes.join(", ")}] names an axis twice`);
}
export function checkAscending(op: string, axes: readonly number[], what: string): void {
  if (axes.some((axis, i) => i > 0 && axis <= axes[i - 1]!))
    fail(op, `${what} [${axes.join(", ")}] must be in ascending order, none twice`);
}
export function checkLength(op: string, list: readonly unknown[], type: TensorType, what: string): void {
  if (list.length !== type.shape.length)
    fail(op, `${what} has ${list.length} entries, but ${describeType(type)} has ${type.shape.length} axes`);
}
/** A name out of a list: attributes may come from text. */
export function checkName(op: string, name: string, known: readonly string[]): void {
  if (!known.includes(name)) fail(op, `${name} is not one of ${known.join(", ")}`);
}
export function checkScalar(op: string, type: TensorType, dtype: DType, what: string): void {
  if (type.shape.length !== 0 || type.dtype !== dtype)
    fail(op, `${what} must be a scalar ${dtype}, got ${describeType(type)}`);
}

/** What linear ops do to a cotangent or a tangent; zero stays zero. */
export function mapMaybe(value: MaybeValue | undefined, map: (value: Value) => Value): MaybeValue {
  return value === null || value === undefined ? null : map(value);
}

/** The value of a constant whose elements are all the same bits, broadcasts looked through. */
export function constantNumber(b: Emitter, x: Value): number | undefined {
  const known = b.constantOf(x);
  if (known === undefined) {
    const made = b.definition(x);
    return made?.op === "broadcast" ? constantNumber(b, made.operands[0]!) : undefined;
  }
  const first = known.data[0];
  if (first === undefined) return undefined;
  for (const value of known.data) if (!Object.is(value, first)) return undefined;
  return first;
}

/** The rank-0 value that a value of higher rank repeats everywhere. */
export function uniformOf(b: Emitter, x: Value): Value | undefined {
  if (rankOf(x) === 0) return undefined;
  const made = b.definition(x);
  const source = made?.op === "broadcast" ? made.operands[0] : undefined;
  if (source !== undefined && rankOf(source) === 0) return source;
  const known = constantNumber(b, x);
  return known === undefined ? undefined : b.scalar(dtypeOf(x), known);
}

/** The rows of a value along its first axis, where they are known to come from less than the value. */
export interface Rows {
  /** Undefined where all rows are alike: `row` is then the same for each. Else the value whose rows they are made of. */
  readonly source: Value | undefined;
  /** One row, from the source's. */
  row(b: Emitter, sourceRow: Value | undefined): Value;
}

export function rowsOf(b: Emitter, x: Value): Rows | undefined {
  const made = b.definition(x);
  if (made?.op !== "broadcast") return undefined;
  const source = made.operands[0]!;
  const { shape, dims } = made.attrs as { readonly shape: readonly Dim[]; readonly dims: readonly number[] };
  const below = (axes: readonly number[]): number[] => axes.map((axis) => axis - 1);
  if (dims[0] === 0)
    return { source, row: (c, sourceRow) => broadcastTo(c, sourceRow!, shape.slice(1), below(dims.slice(1))) };
  return { source: undefined, row: (c) => broadcastTo(c, source, shape.slice(1), below(dims)) };
}

/** `x` with the rank-0 case widened to a result's shape: what a fold returns that drops the other operands. */
export function widen(b: Emitter, x: Value, shape: readonly Dim[]): Value {
  return rankOf(x) === shape.length ? x : expandScalar(b, x, shape);
}

/** The operand with the batch axis in front, repeated along it where it was not batched. */
export function withBatch<A extends Attrs>(b: Emitter, ctx: BatchContext<A>, operand: number): Value {
  const x = ctx.operands[operand]!;
  return ctx.batched[operand] ? x : repeatBatch(b, x, ctx.size);
}
export function repeatBatch(b: Emitter, x: Value, size: Dim): Value {
  return broadcastTo(
    b,
    x,
    [size, ...shapeOf(x)],
    range(rankOf(x)).map((i) => i + 1),
  );
}
/** Axis numbers after a batch axis went in front. */
export const behindBatch = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

/** Rank before batching. */
export function innerRank<A extends Attrs>(ctx: BatchContext<A>, operand: number): number {
  return rankOf(ctx.operands[operand]!) - (ctx.batched[operand] ? 1 : 0);
}
