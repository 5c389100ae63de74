/**
 * Results that need no region: what every branch of a cond hands on is known outside, and so is what a scan stacks
 * where each step stacks the same, or its own slice. Results that are always equal are one.
 */
import { type Builder, emit, typeOf, type Value } from "@sinter/ir";
import { madeOutside } from "./outside.ts";
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
  if (op.form === "cond") return sameOutside(b, op, values);
  if (op.form !== "scan" || op.attrs["length"] === 0) return undefined;
  const [{ xs }, value] = [paramsOf(op, bodyOf(op)), values[0]];
  const slice = xs.findIndex((param) => param.value === value);
  if (slice >= 0) return op.xs[slice]!.value;
  const source = madeOutside(b, op, bodyOf(op), value!);
  if (source === undefined) return undefined;
  const { shape } = typeOf(source);
  return emit.broadcastTo(
    b,
    source,
    [op.attrs["length"] as number, ...shape],
    shape.map((_, axis) => axis + 1),
  );
}

/** A value that all regions make alike for nothing, made outside. */
function sameOutside(b: Builder, op: RegionOp, values: readonly Value[]): Value | undefined {
  const made = op.regions.map((region, r) => madeOutside(b, op, region, values[r]!));
  return made.every((value) => value === made[0]) ? made[0] : undefined;
}
