/**
 * Reverse mode of `while`. The way back runs the rounds from the last to the first, each recomputed from what was carried
 * into it, and adds up the cotangents of captures. Where those carries come from is one of two things.
 *
 * - A bound on the rounds (`maxIterations`): the forward loop stacks them. Memory: the bound times the carries that the
 *   way back reads. Time: one more run of the body for each round.
 * - No bound: the forward loop counts its rounds, and snapshots bring the carries back (see snapshots.ts). Memory: a
 *   constant number of carries. Time: a few more runs of the body for each round.
 */
import { type Builder, emit, type Graph, inlineGraph, type Node, typeOf, type Value } from "@sinter/ir";
import { accumulate, isDifferentiable, zeros } from "../calculus.ts";
import { buildRegion, byGroup } from "./region-op.ts";
import { type Loop, oneMore, readAt, type Snapshots, stackFor, startSnapshots, writeAt } from "./snapshots.ts";
import { addParams, type Forward, positions, scatterTo, type Vjp } from "./transforms.ts";

export function forwardWhile(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const { captures, init } = byGroup(node, operands);
  const [test, body] = node.regions as readonly [Graph, Graph];
  const loop: Loop = { op: node.op, captures, init, test, body };
  const bound = Number(node.attrs["maxIterations"] ?? 0);
  const { results, rounds, stacks } = bound > 0 ? runStacking(b, loop, bound) : runCounting(b, loop);
  return {
    results,
    pull(cotangents, wanted) {
      const wantedCaptures = positions(captures, (_, i) => wanted[i] === true);
      const carried = positions(init, (value) => isDifferentiable(value.type));
      const places = [...carried.map((i) => captures.length + i), ...wantedCaptures];
      const source = stacks === undefined ? startSnapshots(b, loop) : stackSource(stacks);
      const start = [
        ...carried.map((i) => cotangents[i] ?? zeros(b, typeOf(init[i]!))),
        ...wantedCaptures.map((i) => zeros(b, typeOf(captures[i]!))),
      ];
      const given = [...captures, ...source.captures];
      const carries = [rounds, ...source.init, ...start];
      const more = buildRegion(b, `${test.name}_back`, (c) => {
        addParams(c, given);
        const [left] = addParams(c, carries);
        return [emit.greater(c, left!, c.scalar("i32", 0))];
      });
      const step = buildRegion(b, `${body.name}_back`, (c) => {
        const fixed = addParams(c, given);
        const [left, ...others] = addParams(c, carries) as [Value, ...Value[]];
        const [kept, sums] = [others.slice(0, source.init.length), others.slice(source.init.length)];
        const round = emit.sub(c, left, c.scalar("i32", 1));
        const own = fixed.slice(0, captures.length);
        const before = source.before(c, round, own, fixed.slice(captures.length), kept);
        const seeds = scatterTo(body.results, carried, sums.slice(0, carried.length));
        const { gradients } = vjp(c, body, [...own, ...before.carry], () => seeds, places);
        return [
          round,
          ...before.kept,
          ...gradients.map((gradient, i) => (i < carried.length ? gradient : accumulate(c, sums[i]!, gradient)!)),
        ];
      });
      const pulled = b.emitRegion(node.op, { captures: given, init: carries }, node.attrs, [more, step]);
      return scatterTo(operands, places, pulled.slice(1 + source.init.length));
    },
  };
}

interface Run {
  readonly results: readonly Value[];
  readonly rounds: Value;
  readonly stacks?: readonly Value[];
}

/** The loop with a counter beside its carry, and a stack for each part of it. */
function runStacking(b: Builder, loop: Loop, bound: number): Run {
  const more = loop.init.map((value) => stackFor(b, typeOf(value), bound));
  const all = runBeside(
    b,
    loop,
    [b.scalar("i32", 0), ...more],
    { maxIterations: bound },
    (c, before, [count, ...stacks]) => [
      oneMore(c, count!),
      ...stacks.map((stack, i) => writeAt(c, stack, before[i]!, count!)),
    ],
  );
  const [rounds, ...stacks] = all.slice(loop.init.length);
  return { results: all.slice(0, loop.init.length), rounds: rounds!, stacks };
}

function runCounting(b: Builder, loop: Loop): Run {
  const all = runBeside(b, loop, [b.scalar("i32", 0)], {}, (c, _, [count]) => [oneMore(c, count!)]);
  return { results: all.slice(0, loop.init.length), rounds: all[loop.init.length]! };
}

/** The loop with further carries, which change by what was carried into the round. */
function runBeside(
  b: Builder,
  loop: Loop,
  beside: readonly Value[],
  attrs: { readonly maxIterations?: number },
  next: (c: Builder, before: readonly Value[], beside: readonly Value[]) => readonly Value[],
): readonly Value[] {
  const given = [...loop.captures, ...loop.init];
  const test = buildRegion(b, loop.test.name, (c) => {
    const args = addParams(c, given);
    addParams(c, beside);
    return inlineGraph(c, loop.test, args);
  });
  const body = buildRegion(b, loop.body.name, (c) => {
    const args = addParams(c, given);
    const more = addParams(c, beside);
    return [...inlineGraph(c, loop.body, args), ...next(c, args.slice(loop.captures.length), more)];
  });
  return b.emitRegion(loop.op, { captures: loop.captures, init: [...loop.init, ...beside] }, attrs, [test, body]);
}

/** The carries as the forward loop stacked them. */
function stackSource(stacks: readonly Value[]): Snapshots {
  return {
    captures: stacks,
    init: [],
    before: (c, round, _, given) => ({ carry: given.map((stack) => readAt(c, stack, round)), kept: [] }),
  };
}
