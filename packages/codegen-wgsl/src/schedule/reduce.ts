/**
 * Reductions. A group computes a tile of neighbouring results, each folded by as many threads as its length pays for;
 * few results of many terms are cut into slices, which a second grid folds in order.
 */
import type { BufferDecl, LoopKernel, NestKernel, WebgpuFeatures } from "@sinter/ir";
import { scaleIndex, toDim } from "@sinter/ir";
import { ceilDiv, vectorLanes } from "@sinter/ir/schedule";
import { componentTypes } from "./group-fold.ts";
import { emitSlices, emitTotals } from "./reduce-tile.ts";
import { reductionOf } from "./reduction.ts";
import { finishKernel, mostThreads, openContext, powerAbove, Stage } from "./stage.ts";

/** The kernel as a reduction of groups, where it is one. */
export function reduceKernel(
  kernel: NestKernel,
  decls: readonly BufferDecl[],
  features: WebgpuFeatures,
): LoopKernel | undefined {
  const [only, second] = kernel.nests;
  if (!only || second || kernel.outer.length > 0) return undefined;
  const reduction = reductionOf(only, decls, features);
  if (reduction === undefined) return undefined;
  const { nest, points, results, lanes, slices, wide } = reduction;
  const context = openContext(kernel, decls);
  const tiles = ceilDiv(points, wide ? vectorLanes * results : results);
  const threads = results * lanes;
  if (slices === 1) {
    const stage = new Stage(context, kernel.name);
    emitTotals(stage, reduction);
    const schedule = lanes === 1 ? "reduction per thread" : results === 1 ? "reduction per group" : "reduction tiles";
    return finishKernel(context, { kernel, decls }, [{ stage, groups: tiles, threads }], schedule);
  }
  nest.accumulators.forEach((acc, a) => {
    componentTypes(acc).forEach((dtype, c) => {
      const elements = toDim(scaleIndex(points, slices));
      context.scratch.push({ name: `partial${a}_${c}`, dtype, elements });
    });
  });
  const first = new Stage(context, `${kernel.name}_slices`);
  emitSlices(first, reduction);
  const last = new Stage(context, kernel.name);
  const folding = Math.min(mostThreads(features), powerAbove(slices));
  emitTotals(last, reduction, folding);
  const grids = [
    { stage: first, groups: toDim(scaleIndex(tiles, slices)), threads },
    { stage: last, groups: points, threads: folding },
  ];
  return finishKernel(context, { kernel, decls }, grids, "two-pass reduction");
}
