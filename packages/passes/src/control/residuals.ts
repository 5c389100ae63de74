/**
 * What a forward loop keeps of each round for the way back besides its carry: results of contractions, reductions and
 * the like, which are dear to make again and no larger than a few carries. All else is made again from the carry.
 */
import { type Builder, type Graph, type GraphResult, inlineGraph, type Value } from "@sinter/ir";
import { elementsOf, workPerElement } from "./free.ts";

/** Work per element from which a result is kept. */
const keptWork = 16;
/** How many times larger than the whole carry a result that is kept may be. */
const keptSize = 4;

/** The values of a loop's body to keep. Which of them the way back needs shows later: the others are dropped. */
export function residualsOf(body: Graph, carry: readonly Value[]): readonly Value[] {
  const most = keptSize * carry.reduce((sum, value) => sum + elementsOf(value), 0);
  return body.nodes.flatMap((node) => {
    const [result] = node.results;
    const work = node.results.length === 1 ? workPerElement(node, result!) : 0;
    return work >= keptWork && elementsOf(result!) <= most ? [result!] : [];
  });
}

/** Emits a body; its results, then the values to keep. */
export function inlineKeeping(
  b: Builder,
  body: Graph,
  args: readonly Value[],
  residuals: readonly Value[],
): readonly Value[] {
  const more = residuals.map((value): GraphResult => ({ kind: "out", value }));
  return inlineGraph(b, { ...body, results: [...body.results, ...more] }, args);
}
