/** Forward mode of ops with regions: tangents travel beside the values, through the same branch, step or round. */
import { Builder, inlineGraph, type MaybeValue, type Node, typeOf, type Value } from "@sinter/ir";
import { isDifferentiable, zeros } from "../calculus.ts";
import { addParam, buildRegion, byGroup, controlForm, isTest } from "./region-op.ts";
import { type Jvp, positions } from "./transforms.ts";

export function jvpRegion(
  b: Builder,
  node: Node,
  operands: readonly Value[],
  tangents: readonly MaybeValue[],
  jvp: Jvp,
): { readonly results: readonly Value[]; readonly tangents: readonly MaybeValue[] } {
  const form = controlForm(node)!;
  const given = byGroup(node, operands);
  const beside = byGroup(node, tangents);
  const carryCount = given.init.length;
  const first = given.captures.length;
  /** For each parameter of the regions whether it has a tangent, and for each result. */
  const moving = [...beside.captures, ...beside.init, ...beside.xs].map((tangent) => tangent !== null);
  let moved: readonly boolean[];
  // What is carried may start to move in a later round: it moves from the start, so that rounds are alike.
  for (;;) {
    moved = movedResults(node, moving, jvp);
    const later = moved.findIndex((moves, i) => i < carryCount && moves && !moving[first + i]);
    if (later < 0) break;
    for (let i = 0; i < carryCount; i++) if (moved[i]) moving[first + i] = true;
  }
  const results = positions(moved, (moves, i) => moves || (i < carryCount && moving[first + i] === true));

  const regions = node.regions.map((region, r) =>
    buildRegion(b, region.name, (c) => {
      const { args, directions } = addPairs(c, node, moving);
      if (isTest({ form }, r)) return inlineGraph(c, region, args);
      const made = jvp(c, region, args, directions);
      const tangentOf = (i: number): Value => made.tangents[i] ?? zeros(c, typeOf(made.results[i]!));
      return interleave(made.results, results.map(tangentOf), carryCount, results);
    }),
  );
  let next = 0;
  const pair = (values: readonly Value[], directions: readonly MaybeValue[]): Value[] => [
    ...values,
    ...values.flatMap((value, i) => (moving[next++] ? [directions[i] ?? zeros(b, typeOf(value))] : [])),
  ];
  const paired: Record<string, Value[]> = {};
  for (const { name } of node.groups)
    paired[name] = name === "index" ? [...given.index] : pair(given[name as "init"], beside[name as "init"]);
  const made = b.emitRegion(node.op, paired, node.attrs, regions);
  const order = interleave(
    node.results.map((_, i) => i),
    results.map((i) => node.results.length + i),
    carryCount,
    results,
  );
  const at = (i: number): MaybeValue => made[order.indexOf(i)] ?? null;
  return {
    results: node.results.map((_, i) => at(i)!),
    tangents: node.results.map((_, i) => at(node.results.length + i)),
  };
}

/** Which results move where the parameters in `moving` do, found by trying. */
function movedResults(node: Node, moving: readonly boolean[], jvp: Jvp): readonly boolean[] {
  const form = controlForm(node)!;
  const moved: boolean[] = node.results.map(() => false);
  node.regions.forEach((region, r) => {
    if (isTest({ form }, r)) return;
    const c = new Builder("trial");
    const { args, directions } = addPairs(c, node, moving);
    jvp(c, region, args, directions).tangents.forEach((tangent, i) => {
      if (tangent !== null && isDifferentiable(node.results[i]!.type)) moved[i] = true;
    });
  });
  return moved;
}

/** The parameters of a region: each group's values, then the tangents of those that move. */
function addPairs(c: Builder, node: Node, moving: readonly boolean[]) {
  const args: Value[] = [];
  const directions: MaybeValue[] = [];
  const { params } = node.regions[0]!;
  for (const { name, count } of node.groups) {
    if (name === "index") continue;
    const start = args.length;
    const group = params.slice(start, start + count);
    args.push(...group.map((param) => addParam(c, param.value.type, param.name)));
    for (const [i, param] of group.entries())
      directions.push(moving[start + i] === true ? addParam(c, param.value.type, `d_${param.name}`) : null);
  }
  return { args, directions };
}

/** Carried values come before stacked ones: carries, their tangents, the other results, their tangents. */
function interleave<T>(values: readonly T[], beside: readonly T[], carryCount: number, of: readonly number[]): T[] {
  const split = of.filter((i) => i < carryCount).length;
  return [
    ...values.slice(0, carryCount),
    ...beside.slice(0, split),
    ...values.slice(carryCount),
    ...beside.slice(split),
  ];
}
