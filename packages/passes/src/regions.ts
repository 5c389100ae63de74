/**
 * Calculus and batching of ops with regions (cond, while, scan): each becomes the same op on transformed regions. What a
 * reverse sweep needs of a scan is its carry before each step: the forward scan stacks it as further results, and the
 * backward scan, which runs the other way, recomputes one step at a time from it. A branch of cond is recomputed.
 */
import {
  Builder,
  type Graph,
  inlineGraph,
  type MaybeValue,
  type Node,
  operandGroup,
  typeOf,
  type Value,
} from "@sinter/ir";
import { accumulate, DifferentiationError, isDifferentiable, zeros } from "./calculus.ts";

type Vjp = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  cotangentsOf: (results: readonly Value[]) => readonly MaybeValue[],
  wrt: readonly number[],
) => { readonly gradients: readonly Value[] };

type Jvp = (
  b: Builder,
  graph: Graph,
  args: readonly Value[],
  tangents: readonly MaybeValue[],
) => { readonly results: readonly Value[]; readonly tangents: readonly MaybeValue[] };

/** A region op on the forward pass of reverse mode, and its way back. */
export interface Forward {
  readonly results: readonly Value[];
  /** Cotangents of the operands; `wanted` says which are asked for. */
  pull(cotangents: readonly MaybeValue[], wanted: readonly boolean[]): readonly MaybeValue[];
}

export function forwardRegion(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  switch (node.op) {
    case "cond":
      return forwardCond(b, node, operands, vjp);
    case "scan":
      return forwardScan(b, node, operands, vjp);
    default:
      throw new DifferentiationError(
        `${node.op} has no reverse mode: the number of its steps is known only when it runs. Use scan, or forward mode`,
      );
  }
}

function forwardCond(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const results = b.emitNode("cond", operands, node.attrs, node.regions, node.groups);
  const captures = operands.slice(1);
  return {
    results,
    pull(cotangents, wanted) {
      const wrt = positions(captures, (_, i) => wanted[i + 1] === true);
      const given = cotangents.filter((cotangent) => cotangent !== null);
      const branches = node.regions.map((region) =>
        makeRegion(b, region, (c) => {
          const args = addParams(c, captures);
          const seeds = addParams(c, given);
          let next = 0;
          return vjp(c, region, args, () => cotangents.map((ct) => (ct === null ? null : seeds[next++]!)), wrt)
            .gradients;
        }),
      );
      const gradients = b.emitRegion(
        "cond",
        { index: [operands[0]!], captures: [...captures, ...given] },
        {},
        branches,
      );
      return scatterTo(
        operands,
        wrt.map((i) => i + 1),
        gradients,
      );
    },
  };
}

function forwardScan(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const { captures, init, xs } = scanGroups(node, operands);
  const body = node.regions[0]!;
  const saving = makeRegion(b, body, (c) => {
    const args = addParams(
      c,
      body.params.map((param) => param.value),
    );
    return [...inlineGraph(c, body, args), ...args.slice(captures.length, captures.length + init.length)];
  });
  const all = b.emitRegion("scan", { captures, init, xs }, node.attrs, [saving]);
  const results = all.slice(0, node.results.length);
  const saved = all.slice(node.results.length);
  return {
    results,
    pull(cotangents, wanted) {
      const wantedCaptures = positions(captures, (_, i) => wanted[i] === true);
      const carried = positions(init, (value) => isDifferentiable(value.type));
      const wantedXs = positions(xs, (_, i) => wanted[captures.length + init.length + i] === true);
      const outputs = positions(results, (_, i) => i >= init.length && cotangents[i] !== null);
      const [carryCount, captureCount] = [carried.length, wantedCaptures.length];
      const backward = makeRegion(b, body, (c) => {
        const fixed = addParams(c, captures);
        const carryCotangents = addParams(
          c,
          carried.map((i) => init[i]!),
        );
        const sums = addParams(
          c,
          wantedCaptures.map((i) => captures[i]!),
        );
        const before = addParams(c, init);
        const slices = addParams(
          c,
          body.params.slice(captures.length + init.length).map((param) => param.value),
        );
        const outputCotangents = addParams(
          c,
          outputs.map((i) => body.results[i]!.value),
        );
        const seeds = scatterTo(body.results, [...carried, ...outputs], [...carryCotangents, ...outputCotangents]);
        const offset = captures.length;
        const wrt = [
          ...carried.map((i) => offset + i),
          ...wantedCaptures,
          ...wantedXs.map((i) => offset + init.length + i),
        ];
        const { gradients } = vjp(c, body, [...fixed, ...before, ...slices], () => seeds, wrt);
        return [
          ...gradients.slice(0, carryCount),
          ...sums.map((sum, i) => accumulate(c, sum, gradients[carryCount + i]!)!),
          ...gradients.slice(carryCount + captureCount),
        ];
      });
      const pulled = b.emitRegion(
        "scan",
        {
          captures,
          init: [
            ...carried.map((i) => cotangents[i] ?? zeros(b, typeOf(init[i]!))),
            ...wantedCaptures.map((i) => zeros(b, typeOf(captures[i]!))),
          ],
          xs: [...saved, ...xs, ...outputs.map((i) => cotangents[i]!)],
        },
        { ...node.attrs, reverse: node.attrs["reverse"] !== true },
        [backward],
      );
      const places = [
        ...carried.map((i) => captures.length + i),
        ...wantedCaptures,
        ...wantedXs.map((i) => captures.length + init.length + i),
      ];
      return scatterTo(operands, places, pulled);
    },
  };
}

/** Forward mode: tangents travel beside the values, through the same branch, step or round. */
export function jvpRegion(
  b: Builder,
  node: Node,
  operands: readonly Value[],
  tangents: readonly MaybeValue[],
  jvp: Jvp,
): { readonly results: readonly Value[]; readonly tangents: readonly MaybeValue[] } {
  const groups: Record<string, readonly Value[]> = {};
  /** For each parameter of the regions, in order, whether it has a tangent. */
  const moving: boolean[] = [];
  let start = 0;
  for (const { name, count } of node.groups) {
    const values = operands.slice(start, start + count);
    const beside = values.map((value, i) => {
      // What is carried may start to move later; everything else moves where it does outside.
      if (name === "init" && isDifferentiable(value.type)) return tangents[start + i] ?? zeros(b, typeOf(value));
      return tangents[start + i] ?? null;
    });
    start += count;
    groups[name] = name === "index" ? values : [...values, ...beside.filter((tangent) => tangent !== null)];
    if (name !== "index") moving.push(...beside.map((tangent) => tangent !== null));
  }
  const carryCount = node.op === "cond" ? 0 : operandGroup(node, "init").length;
  const isTest = (region: number): boolean => node.op === "while" && region === 0;
  const differentiable = positions(node.results, (result) => isDifferentiable(result.type));
  const regions = node.regions.map((region, r) =>
    makeRegion(b, region, (c) => {
      const args: Value[] = [];
      const directions: MaybeValue[] = [];
      let from = 0;
      for (const { name, count } of node.groups) {
        if (name === "index") continue;
        const values = addParams(
          c,
          region.params.slice(from, from + count).map((param) => param.value),
        );
        args.push(...values);
        for (const [i, value] of values.entries())
          directions.push(moving[from + i] === true ? c.param("arg", value.type, `d_${from + i}`) : null);
        from += count;
      }
      if (isTest(r)) return inlineGraph(c, region, args);
      const made = jvp(c, region, args, directions);
      const tangentOf = (i: number): Value => made.tangents[i] ?? zeros(c, typeOf(made.results[i]!));
      return interleave(made.results, differentiable.map(tangentOf), carryCount, differentiable);
    }),
  );
  const made = b.emitRegion(node.op, groups, node.attrs, regions);
  const order = interleave(
    node.results.map((_, i) => i),
    differentiable.map((i) => node.results.length + i),
    carryCount,
    differentiable,
  );
  const at = (i: number): MaybeValue => made[order.indexOf(i)] ?? null;
  return {
    results: node.results.map((_, i) => at(i)!),
    tangents: node.results.map((_, i) => at(node.results.length + i)),
  };
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

/** A region of a region op, made in a builder of its own. */
export function makeRegion(b: Builder, like: Graph, make: (c: Builder) => readonly Value[]): Graph {
  const c = new Builder(like.name, { fastMath: b.fastMath });
  return c.finish(make(c).map((value) => ({ kind: "out", value })));
}

export function addParams(c: Builder, like: readonly Value[]): readonly Value[] {
  return like.map((value, i) => c.param("arg", value.type, `p${i}`));
}

export function scanGroups(node: Node, operands: readonly Value[]) {
  const counts = node.groups.map((group) => group.count);
  const [captures = 0, init = 0] = counts;
  return {
    captures: operands.slice(0, captures),
    init: operands.slice(captures, captures + init),
    xs: operands.slice(captures + init),
  };
}

function positions<T>(items: readonly T[], test: (item: T, position: number) => boolean): number[] {
  return items.flatMap((item, i) => (test(item, i) ? [i] : []));
}

/** A list as long as `like` with `values` at `places` and null elsewhere. */
function scatterTo(like: readonly unknown[], places: readonly number[], values: readonly Value[]): MaybeValue[] {
  const out: MaybeValue[] = like.map(() => null);
  places.forEach((place, i) => {
    out[place] = values[i]!;
  });
  return out;
}
