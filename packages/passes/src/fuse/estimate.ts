/**
 * Forward estimates, made before anything is decided: what one element of a value costs when it is computed from
 * memory, assuming that map values with one user are substituted and expensive values with several are kept.
 */
import { largest } from "./limits.ts";
import { type GraphModel, infoOf, isLeaf, type ValueInfo } from "./model.ts";

export interface Estimate {
  /** Work to compute one element from memory. */
  readonly cost: number;
  /** Only index maps, casts and guards between this value and memory. */
  readonly view: boolean;
  /** Values at least as large as this one that are read for it (at most a few are listed). */
  readonly leaves: ReadonlySet<number>;
}

/** Work per element up to which a value is recomputed rather than kept. */
export const cheapCost = 4;

export function isMap(info: ValueInfo): boolean {
  return info.rule?.kind === "map";
}

/** By value id. Values that are kept whatever happens (parameters, reductions, epilogues) cost nothing to read. */
export function estimate(model: GraphModel, sinks: ReadonlyMap<number, number>): readonly (Estimate | undefined)[] {
  const out: (Estimate | undefined)[] = [];
  const kept: Estimate = { cost: 0, view: true, leaves: new Set() };
  for (const info of model.values) {
    if (info === undefined) continue;
    if (isLeaf(info) || !isMap(info)) {
      out[info.id] = kept;
      continue;
    }
    const own = new Set<number>();
    let cost = info.cost;
    let view = info.cost === 0 || isCast(model, info);
    for (const id of info.operands) {
      const operand = infoOf(model, id);
      const below = out[id]!;
      const stays = isLeaf(operand) || !isMap(operand) || sinks.has(id) || isLikelyKept(model, operand, below);
      if (stays) {
        if (operand.points >= info.points) own.add(id);
        continue;
      }
      cost += below.cost;
      view &&= below.view;
      for (const leaf of below.leaves) if (own.size < 16 && infoOf(model, leaf).points >= info.points) own.add(leaf);
    }
    out[info.id] = { cost, view, leaves: own };
  }
  return out;
}

function isCast(model: GraphModel, info: ValueInfo): boolean {
  const [only, second] = info.operands;
  return (
    second === undefined && only !== undefined && info.cost <= 1 && infoOf(model, only).type.dtype !== info.type.dtype
  );
}

function isLikelyKept(model: GraphModel, info: ValueInfo, found: Estimate): boolean {
  const users = model.users[info.id]!.length + model.resultUses[info.id]!;
  return model.resultUses[info.id]! > 0 || (users > 1 && found.cost > cheapCost) || found.cost > largest;
}
