/**
 * Where the result of a reduction is kept: not as it comes out of the fold but after the elementwise chain that all
 * its users go through (bias, activation, division by the count), so that the chain runs in the epilogue and the bare
 * result needs no memory.
 */
import { axisIndex, sameIndex } from "@sinter/ir";
import { isMap } from "./estimate.ts";
import { bytesPer, type GraphModel, infoOf, isLeaf, readValue, type ValueInfo } from "./model.ts";
import { applyMap, newAxes } from "./template.ts";

/** Ops looked at behind one reduction. */
const longestEpilogue = 64;

/** From a map value to the reduction in whose epilogue it is stored. */
export function findSinks(model: GraphModel): ReadonlyMap<number, number> {
  const out = new Map<number, number>();
  for (const info of model.values) {
    if (info === undefined || isLeaf(info) || info.rule?.kind !== "reduce") continue;
    const sink = funnel(model, info);
    if (sink !== undefined) out.set(sink, info.id);
  }
  return out;
}

/** The last value, along chains of elementwise ops of the same shape, through which every use of `from` goes. */
function funnel(model: GraphModel, from: ValueInfo): number | undefined {
  const region = new Set([from.id]);
  const open = new Map([[from.id, uses(model, from.id)]]);
  const queue = [...model.users[from.id]!];
  let best: number | undefined;
  while (queue.length > 0 && region.size < longestEpilogue) {
    queue.sort((a, b) => a - b);
    const position = queue.shift()!;
    while (queue[0] === position) queue.shift();
    const node = model.graph.nodes[position]!;
    const only = node.results.length === 1 ? model.values[node.results[0]!.id] : undefined;
    if (only === undefined || !isMap(only) || !isElementwise(model, only, from, region)) return best;
    for (const id of new Set(only.operands)) if (region.has(id)) open.set(id, open.get(id)! - 1);
    region.add(only.id);
    open.set(only.id, uses(model, only.id));
    const others = [...open].some(([id, left]) => id !== only.id && left > 0);
    if (!others && bytesPer(only.type.dtype) <= bytesPer(from.type.dtype)) best = only.id;
    queue.push(...model.users[only.id]!);
  }
  return best;
}

function uses(model: GraphModel, id: number): number {
  return model.users[id]!.length + model.resultUses[id]!;
}

/** Same shape, and the operands that come from the region are read at the very position. */
function isElementwise(model: GraphModel, info: ValueInfo, from: ValueInfo, region: ReadonlySet<number>): boolean {
  const [shape, wanted] = [info.type.shape, from.type.shape];
  if (shape.length !== wanted.length || !shape.every((d, i) => sameIndex(d, wanted[i]!))) return false;
  const index = newAxes(shape, "par").map(axisIndex);
  let same = true;
  applyMap(info, index, (id, at) => {
    if (region.has(id)) same &&= at.length === index.length && at.every((ix, i) => ix.key === index[i]!.key);
    return readValue(infoOf(model, id), at);
  });
  return same;
}
