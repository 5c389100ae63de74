/**
 * Reverse mode of ops with regions. What the way back of a scan needs is its carry before each step: the forward scan
 * stacks it as further results, with what is dear to make again, and the backward scan, which runs the other way,
 * recomputes the rest of one step at a time. A branch of cond is recomputed. What the way back does not read is stacked
 * only until normal form drops it. Memory: the length times what it does read.
 */
import { type Builder, type MaybeValue, type Node, typeOf, type Value } from "@sinter/ir";
import { accumulate, isDifferentiable, zeros } from "../calculus.ts";
import { inlineCalls } from "../inline.ts";
import { buildRegion, byGroup, controlForm } from "./region-op.ts";
import { inlineKeeping, residualsOf } from "./residuals.ts";
import { forwardWhile } from "./reverse-while.ts";
import { addParams, type Forward, namesOf, positions, scatterTo, type Vjp } from "./transforms.ts";

export function forwardRegion(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const form = controlForm(node);
  switch (form) {
    case "cond":
      return forwardCond(b, node, operands, vjp);
    case "scan":
      return forwardScan(b, node, operands, vjp);
    case "while":
      return forwardWhile(b, node, operands, vjp);
    case "call":
    case undefined:
      throw new Error(`op ${node.op} has regions and no reverse mode`);
    default:
      return form satisfies never;
  }
}

function forwardCond(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const results = b.emitNode(node.op, operands, node.attrs, node.regions, node.groups);
  const { index, captures } = byGroup(node, operands);
  const first = index.length;
  return {
    results,
    pull(cotangents, wanted) {
      const wrt = positions(captures, (_, i) => wanted[first + i] === true);
      const given = cotangents.filter((cotangent) => cotangent !== null);
      const branches = node.regions.map((region) =>
        buildRegion(b, region.name, (c) => {
          const args = addParams(c, captures, namesOf(region));
          const seeds = addParams(c, given, "ct");
          let next = 0;
          const seedsOf = (): MaybeValue[] => cotangents.map((ct) => (ct === null ? null : seeds[next++]!));
          return vjp(c, region, args, seedsOf, wrt, { again: true }).gradients;
        }),
      );
      const gradients = b.emitRegion(node.op, { index, captures: [...captures, ...given] }, node.attrs, branches);
      return scatterTo(
        operands,
        wrt.map((i) => first + i),
        gradients,
      );
    },
  };
}

function forwardScan(b: Builder, node: Node, operands: readonly Value[], vjp: Vjp): Forward {
  const { captures, init, xs } = byGroup(node, operands);
  const body = inlineCalls(node.regions[0]!);
  const residuals = residualsOf(body, init, vjp);
  const offset = captures.length;
  const names = namesOf(body);
  const paramsOf = (from: number, to?: number): Value[] => body.params.slice(from, to).map((param) => param.value);
  const saving = buildRegion(b, body.name, (c) => {
    const args = addParams(c, paramsOf(0), names);
    return [...inlineKeeping(c, body, args, residuals), ...args.slice(offset, offset + init.length)];
  });
  const all = b.emitRegion(node.op, { captures, init, xs }, node.attrs, [saving]);
  const results = all.slice(0, node.results.length);
  const saved = all.slice(results.length);
  return {
    results,
    pull(cotangents, wanted) {
      const wantedCaptures = positions(captures, (_, i) => wanted[i] === true);
      const carried = positions(init, (value) => isDifferentiable(value.type));
      const wantedXs = positions(xs, (_, i) => wanted[offset + init.length + i] === true);
      const outputs = positions(results, (_, i) => i >= init.length && cotangents[i] !== null);
      const [carryCount, captureCount] = [carried.length, wantedCaptures.length];
      const places = [
        ...carried.map((i) => offset + i),
        ...wantedCaptures,
        ...wantedXs.map((i) => offset + init.length + i),
      ];
      const backward = buildRegion(b, body.name, (c) => {
        const fixed = addParams(c, captures, names);
        const carryCotangents = addParams(
          c,
          carried.map((i) => init[i]!),
          carried.map((i) => `ct_${names[offset + i]}`),
        );
        const sums = addParams(
          c,
          wantedCaptures.map((i) => captures[i]!),
          wantedCaptures.map((i) => `sum_${names[i]}`),
        );
        const kept = addParams(c, residuals, "kept");
        const known = new Map(residuals.map((value, i) => [value, kept[i]!]));
        const before = addParams(c, init, names.slice(offset));
        const slices = addParams(c, paramsOf(offset + init.length), names.slice(offset + init.length));
        const outputCotangents = addParams(
          c,
          outputs.map((i) => body.results[i]!.value),
          "ct",
        );
        const seeds = scatterTo(body.results, [...carried, ...outputs], [...carryCotangents, ...outputCotangents]);
        const { gradients } = vjp(c, body, [...fixed, ...before, ...slices], () => seeds, places, {
          known,
          again: true,
        });
        return [
          ...gradients.slice(0, carryCount),
          ...sums.map((sum, i) => accumulate(c, sum, gradients[carryCount + i]!)!),
          ...gradients.slice(carryCount + captureCount),
        ];
      });
      const pulled = b.emitRegion(
        node.op,
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
      return scatterTo(operands, places, pulled);
    },
  };
}
