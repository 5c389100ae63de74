/**
 * Brings control flow to the form that fusion expects: loops carry what changes and nothing else, do inside what must be
 * done inside, and capture no value that they could make for nothing. Small passes, one idea each, until none applies.
 */
import { Builder, type Graph, type GraphResult, type Node, printGraph, type Value } from "@sinter/ir";
import { inlineFunctions } from "../inline.ts";
import { mergeCaptures } from "./captures.ts";
import { equalCarries, fixedCarries } from "./carries.ts";
import { dropDead } from "./dead.ts";
import { hoistInvariants } from "./hoist.ts";
import { stepInputs } from "./inputs.ts";
import { controlForm, putTogether, type RegionOp, type Rewritten, takeApart } from "./region-op.ts";
import { resolve } from "./resolve.ts";
import { knownResults } from "./results.ts";
import { sinkCaptures } from "./sink.ts";

export interface NormaliseOptions {
  /** Also applies rules that can change a float result. */
  readonly fastMath?: boolean;
}

type Pass = (b: Builder, op: RegionOp) => Rewritten | undefined;

/** From outside in, before the regions: what comes to be known inside is used there at once. */
const inwards: readonly Pass[] = [stepInputs, sinkCaptures, mergeCaptures, fixedCarries, equalCarries];
/** From inside out, after the regions: what leaves an inner loop may leave the next one too. */
const outwards: readonly Pass[] = [hoistInvariants, mergeCaptures, knownResults];

/** More rounds than graphs need: each brings what one nesting level made known to the next. */
const maximumRounds = 8;

/**
 * The graph with its regions in normal form, at all depths; a graph without control flow as it is. Parameters and
 * results stay as they are, in number, order and type. Run it after `simplify`; it simplifies what it changes.
 */
export function normaliseRegions(graph: Graph, options: NormaliseOptions = {}): Graph {
  const settings = { fastMath: options.fastMath ?? false };
  let current = inlineFunctions(graph);
  let text = "";
  for (let round = 0; round < maximumRounds && current.nodes.some(hasRegions); round++) {
    current = rewrite(dropDead(current, settings), settings);
    const next = printGraph(current);
    if (next === text) break;
    text = next;
  }
  return current;
}

function hasRegions(node: Node): boolean {
  return node.regions.length > 0;
}

function rewrite(graph: Graph, settings: { readonly fastMath: boolean }): Graph {
  const b = new Builder(graph.name, settings);
  const values: Value[] = graph.params.map((param) => b.param(param.kind, param.value.type, param.name));
  graph.nodes.forEach((node, i) => {
    b.at(graph.debug.locs[i]);
    const operands = node.operands.map((operand) => values[operand.id]!);
    const form = controlForm(node);
    const made =
      form === undefined || form === "call"
        ? b.emitNode(node.op, operands, node.attrs, node.regions, node.groups)
        : rewriteControl(b, takeApart(node, form, operands), settings, () => b.at(graph.debug.locs[i]));
    node.results.forEach((result, k) => {
      values[result.id] = made[k]!;
    });
  });
  return b.finish(graph.results.map((result): GraphResult => ({ ...result, value: values[result.value.id]! })));
}

function rewriteControl(
  b: Builder,
  start: RegionOp,
  settings: { readonly fastMath: boolean },
  atNode: () => void,
): readonly Value[] {
  let op = start;
  let results: readonly (number | Value)[] = start.regions.at(-1)!.results.map((_, i) => i);
  const apply = (passes: readonly Pass[]): void => {
    for (const pass of passes) {
      const made = pass(b, op);
      if (made === undefined) continue;
      op = made.op;
      results = results.map((result) => (typeof result === "number" ? made.results[result]! : result));
    }
  };
  apply(inwards);
  op = { ...op, regions: op.regions.map((region) => rewrite(region, settings)) };
  apply(outwards);
  atNode();
  const made = resolve(b, op) ?? putTogether(b, op);
  return results.map((result) => (typeof result === "number" ? made[result]! : result));
}
