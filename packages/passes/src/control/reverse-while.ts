/**
 * Reverse mode of `while`. The way back runs the rounds from the last to the first, each recomputed from what was carried
 * into it, and adds up the cotangents of captures. Where those carries come from is one of two things.
 *
 * - A bound on the rounds (`maxIterations`): the forward loop stacks them, with what is dear to make again. Memory: the
 *   bound times what the way back reads of each round. Time: at most one more run of the body for each round.
 * - No bound: the forward loop counts its rounds, and snapshots bring the carries back (see snapshots.ts). Memory: a
 *   constant number of carries. Time: a few more runs of the body for each round.
 */
import { type Builder, emit, inlineGraph, type Node, typeOf, type Value } from "@sinter/ir";
import { accumulate, isDifferentiable, zeros } from "../calculus.ts";
import { computedAgain } from "../effects.ts";
import { inlineCalls } from "../inline.ts";
import { buildRegion, byGroup } from "./region-op.ts";
import { inlineKeeping, residualsOf } from "./residuals.ts";
import { type Loop, oneMore, readAt, type Snapshots, stackFor, startSnapshots, writeAt } from "./snapshots.ts";
import { addParams, type Forward, namesOf, positions, scatterTo, type Vjp } from "./transforms.ts";

export function forwardWhile(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const { captures, init } = byGroup(node, operands);
  const test = node.regions[0]!;
  const body = inlineCalls(node.regions[1]!);
  const loop: Loop = { op: node.op, captures, init, test, body };
  const bound = Number(node.attrs["maxIterations"] ?? 0);
  const residuals = bound > 0 ? residualsOf(body, init, vjp) : [];
  const { results, rounds, stacks } = bound > 0 ? runStacking(b, loop, residuals, bound) : runCounting(b, loop);
  return {
    results,
    pull(cotangents, wanted) {
      const wantedCaptures = positions(captures, (_, i) => wanted[i] === true);
      const carried = positions(init, (value) => isDifferentiable(value.type));
      const places = [...carried.map((i) => captures.length + i), ...wantedCaptures];
      const source =
        stacks === undefined ? startSnapshots(b, { ...loop, body: computedAgain(body) }) : stackSource(stacks);
      const start = [
        ...carried.map((i) => cotangents[i] ?? zeros(b, typeOf(init[i]!))),
        ...wantedCaptures.map((i) => zeros(b, typeOf(captures[i]!))),
      ];
      const given = [...captures, ...source.captures];
      const carries = [rounds, ...source.init, ...start];
      const names = namesOf(body);
      const givenNames = [...names.slice(0, captures.length), ...source.captures.map(() => "stack")];
      const carryNames = [
        "left",
        ...source.init.map(() => "snapshots"),
        ...carried.map((i) => `ct_${names[captures.length + i]}`),
        ...wantedCaptures.map((i) => `sum_${names[i]}`),
      ];
      const more = buildRegion(b, `${test.name}_back`, (c) => {
        addParams(c, given, givenNames);
        const [left] = addParams(c, carries, carryNames);
        return [emit.greater(c, left!, c.scalar("i32", 0))];
      });
      const step = buildRegion(b, `${body.name}_back`, (c) => {
        const fixed = addParams(c, given, givenNames);
        const [left, ...others] = addParams(c, carries, carryNames) as [Value, ...Value[]];
        const [kept, sums] = [others.slice(0, source.init.length), others.slice(source.init.length)];
        const round = emit.sub(c, left, c.scalar("i32", 1));
        const own = fixed.slice(0, captures.length);
        const before = source.before(c, round, own, fixed.slice(captures.length), kept);
        const seeds = scatterTo(body.results, carried, sums.slice(0, carried.length));
        const known = new Map(residuals.map((value, i) => [value, before.carry[init.length + i]!]));
        const args = [...own, ...before.carry.slice(0, init.length)];
        const { gradients } = vjp(c, body, args, () => seeds, places, { known, again: true });
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

/** The loop with a counter beside its carry, and a stack for each part of it and each value to keep. */
function runStacking(b: Builder, loop: Loop, residuals: readonly Value[], bound: number): Run {
  const stacks = [...loop.init, ...residuals].map((value) => stackFor(b, typeOf(value), bound));
  const all = runBeside(b, loop, residuals, stacks, { maxIterations: bound });
  const [rounds, ...full] = all.slice(loop.init.length);
  return { results: all.slice(0, loop.init.length), rounds: rounds!, stacks: full };
}

function runCounting(b: Builder, loop: Loop): Run {
  const all = runBeside(b, loop, [], [], {});
  return { results: all.slice(0, loop.init.length), rounds: all[loop.init.length]! };
}

/** The loop that also counts its rounds, and writes what was carried into each, then the values to keep, to stacks. */
function runBeside(
  b: Builder,
  loop: Loop,
  residuals: readonly Value[],
  stacks: readonly Value[],
  attrs: { readonly maxIterations?: number },
): readonly Value[] {
  const given = [...loop.captures, ...loop.init];
  const beside = [b.scalar("i32", 0), ...stacks];
  const besideNames = ["count", ...stacks.map(() => "stack")];
  const test = buildRegion(b, loop.test.name, (c) => {
    const args = addParams(c, given, namesOf(loop.test));
    addParams(c, beside, besideNames);
    return inlineGraph(c, loop.test, args);
  });
  const body = buildRegion(b, loop.body.name, (c) => {
    const args = addParams(c, given, namesOf(loop.body));
    const [count, ...before] = addParams(c, beside, besideNames) as [Value, ...Value[]];
    const made = inlineKeeping(c, loop.body, args, residuals);
    const [next, kept] = [made.slice(0, loop.init.length), made.slice(loop.init.length)];
    const written = [...args.slice(loop.captures.length), ...kept];
    return [...next, oneMore(c, count), ...before.map((stack, i) => writeAt(c, stack, written[i]!, count))];
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
