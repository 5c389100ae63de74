/**
 * Brings a graph to the form that later passes expect. The rules themselves live in the ops' `fold` lists and hold at
 * every emission; what is here needs the whole graph: calls are inlined, unused work goes, and rules that fire only
 * once a later node exists get another round.
 */
import { type Graph, printGraph, rebuild } from "@sinter/ir";
import { inlineFunctions } from "./inline.ts";

export interface SimplifyOptions {
  /** Also applies rules that can change a float result. */
  readonly fastMath?: boolean;
}

/** Rules shrink a graph or bring it nearer to canonical form, so this many rounds are more than graphs need. */
const maximumRounds = 3;

/** The graph, simplified. Parameters and results stay as they are, in number, order and type. */
export function simplify(graph: Graph, options: SimplifyOptions = {}): Graph {
  let current = inlineFunctions(graph);
  let text = printGraph(current);
  for (let round = 0; round < maximumRounds; round++) {
    current = rebuild(current, undefined, { fastMath: options.fastMath ?? false });
    const next = printGraph(current);
    if (next === text) break;
    text = next;
  }
  return current;
}
