/**
 * Results that need no region: what every branch of a cond hands on is known outside, and so is what a scan stacks
 * where each step stacks the same, or its own slice. Results that are always equal are one.
 */
import { type Builder, emit, type Graph, type Node, typeOf, type Value } from "@sinter/ir";
import { bodyOf, keepWhere, paramsOf, type RegionOp, type Rewritten, rebind } from "./region-op.ts";

export function knownResults(b: Builder, op: RegionOp): Rewritten | undefined {
  const body = bodyOf(op);
  const carries = op.init.length;
  const known = body.results.map((_, i) => (i < carries ? undefined : knownOutside(b, op, i)));
  // A result that equals an earlier one in every region. Carries are compared by what they start with as well, elsewhere.
  const first = body.results.map((_, i) =>
    body.results.findIndex(
      (_, k) => k >= carries && op.regions.every((r) => r.results[k]?.value === r.results[i]?.value),
    ),
  );
  const stays = body.results.map((_, i) => i < carries || (known[i] === undefined && first[i] === i));
  if (!stays.includes(false)) return undefined;
  const made = rebind(b, op, op, { bind: (_, inside) => inside, results: (_, results) => keepWhere(results, stays) });
  let next = 0;
  const numbers = stays.map((is) => (is ? next++ : -1));
  return {
    op: made,
    results: body.results.map((_, i) => known[i] ?? numbers[i < carries ? i : first[i]!]!),
  };
}

/** The value outside that result `i`, which is no carry, has. */
function knownOutside(b: Builder, op: RegionOp, i: number): Value | undefined {
  const values = op.regions.map((region) => region.results[i]!.value);
  const params = op.regions.map((region) => paramsOf(op, region));
  if (op.form === "cond") {
    const at = params[0]!.captures.findIndex((param) => param.value === values[0]);
    if (at >= 0)
      return params.every(({ captures }, r) => captures[at]!.value === values[r]) ? op.captures[at]!.value : undefined;
    return sameConstant(b, op.regions, values);
  }
  if (op.form !== "scan" || op.attrs["length"] === 0) return undefined;
  const [{ captures, xs }, value] = [params[0]!, values[0]!];
  const slice = xs.findIndex((param) => param.value === value);
  if (slice >= 0) return op.xs[slice]!.value;
  const capture = captures.findIndex((param) => param.value === value);
  if (capture < 0) return undefined;
  const source = op.captures[capture]!.value;
  const { shape } = typeOf(source);
  return emit.broadcastTo(
    b,
    source,
    [op.attrs["length"] as number, ...shape],
    shape.map((_, axis) => axis + 1),
  );
}

/** A constant that all regions make alike, made outside. */
function sameConstant(b: Builder, regions: readonly Graph[], values: readonly Value[]): Value | undefined {
  const made = regions.map((region, r) => constantOutside(b, region, values[r]!));
  return made[0] !== undefined && made.every((value) => value === made[0]) ? made[0] : undefined;
}

/** A value of a region made outside, where it comes out of constants alone. */
function constantOutside(b: Builder, region: Graph, value: Value): Value | undefined {
  const maker: Node | undefined = region.nodes.find((node) => node.results.includes(value));
  if (maker === undefined || maker.regions.length > 0 || maker.operands.length > 1) return undefined;
  const operands = maker.operands.map((operand) => constantOutside(b, region, operand));
  if (operands.includes(undefined)) return undefined;
  const outside = b.emitNode(maker.op, operands as Value[], maker.attrs)[maker.results.indexOf(value)]!;
  return b.constantOf(outside) === undefined && !isRepeated(b, outside) ? undefined : outside;
}

/** Whether a value is one constant everywhere, of whatever size. */
function isRepeated(b: Builder, value: Value): boolean {
  const source = b.definition(value)?.operands ?? [];
  return source.length === 1 && typeOf(source[0]!).shape.length === 0 && b.constantOf(source[0]!) !== undefined;
}
