/**
 * Carries that are none: one that comes back as it was is a capture, and carries that start equal and are changed alike
 * are one.
 */
import { Builder, inlineGraph, type Value } from "@sinter/ir";
import { madeOutside } from "./outside.ts";
import {
  addParam,
  bodyOf,
  hasEffect,
  keepWhere,
  paramsOf,
  type RegionOp,
  type Rewritten,
  rebind,
  sliceType,
} from "./region-op.ts";

export function fixedCarries(b: Builder, op: RegionOp): Rewritten | undefined {
  const body = bodyOf(op);
  const params = paramsOf(op, body);
  const changes = op.init.map(({ value }, i) => {
    const next = body.results[i]!.value;
    return next !== params.init[i]!.value && madeOutside(b, op, body, next) !== value;
  });
  if (!changes.includes(false)) return undefined;
  const fixed = keepWhere(
    op.init,
    changes.map((is) => !is),
  );
  const kept = keepWhere(op.init, changes);
  const made = rebind(
    b,
    op,
    { captures: [...op.captures, ...fixed], init: kept, xs: op.xs },
    {
      bind: (_, inside) => ({
        captures: inside.captures.slice(0, op.captures.length),
        init: op.init.map((slot, i) =>
          changes[i] ? inside.init[kept.indexOf(slot)]! : inside.captures[op.captures.length + fixed.indexOf(slot)]!,
        ),
        xs: inside.xs,
      }),
      results: (_, results) => results.filter((_, i) => changes[i] !== false),
    },
  );
  let next = 0;
  return { op: made, results: body.results.map((_, i) => (changes[i] === false ? op.init[i]!.value : next++)) };
}

export function equalCarries(b: Builder, op: RegionOp): Rewritten | undefined {
  const body = bodyOf(op);
  let first = firstOf(op.init.map((slot) => slot.value));
  if (isIdentity(first) || body.nodes.some(hasEffect)) return undefined;
  // Taken for equal at first; what the body then makes different is parted, until nothing more is.
  for (;;) {
    const next = resultsWhereEqual(b, op, first);
    const parted = firstOf(first.map((at, i) => `${at} ${next[i]!.id}`));
    if (parted.every((at, i) => at === first[i])) break;
    first = parted;
  }
  if (isIdentity(first)) return undefined;
  const stays = first.map((at, i) => at === i);
  const kept = keepWhere(op.init, stays);
  const at = first.map((i) => kept.indexOf(op.init[i]!));
  const made = rebind(
    b,
    op,
    { ...op, init: kept },
    {
      bind: (_, inside) => ({ ...inside, init: at.map((i) => inside.init[i]!) }),
      results: (_, results) => results.filter((_, i) => stays[i] !== false),
    },
  );
  return {
    op: made,
    results: body.results.map((_, i) => (i < at.length ? at[i]! : i - at.length + kept.length)),
  };
}

/** What the body returns for the carries where each is the one at `first`. */
function resultsWhereEqual(b: Builder, op: RegionOp, first: readonly number[]): readonly Value[] {
  const c = new Builder("carries", { fastMath: b.fastMath });
  const captures = op.captures.map(({ value, name }) => addParam(c, value.type, name));
  const carries = op.init.map(({ value, name }) => addParam(c, value.type, name));
  const xs = op.xs.map(({ value, name }) => addParam(c, sliceType(value.type), name));
  return inlineGraph(c, bodyOf(op), [...captures, ...first.map((at) => carries[at]!), ...xs]);
}

/** For each item the position of the first that equals it. */
function firstOf<T>(items: readonly T[]): number[] {
  return items.map((item) => items.indexOf(item));
}

function isIdentity(positions: readonly number[]): boolean {
  return positions.every((at, i) => at === i);
}
