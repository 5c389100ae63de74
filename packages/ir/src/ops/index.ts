/** The registry of graph ops: a plain record, in the order of families. Passes ask an entry's fields, never its name. */
import type { OpDef } from "../define-op.ts";
import { concatOp } from "./concat.ts";
import { controlOps } from "./control.ts";
import { convOps } from "./conv.ts";
import { createOps } from "./create.ts";
import { cumulateOps } from "./cumulate.ts";
import { dotOps } from "./dot.ts";
import { dynamicOps } from "./dynamic.ts";
import { effectOps } from "./effects.ts";
import { elementLoopOp } from "./element-loop.ts";
import { elementwiseOps } from "./elementwise.ts";
import { gatherOps } from "./gather.ts";
import { markOps } from "./marks.ts";
import { movementOps } from "./movement.ts";
import { pickWindowOps } from "./pick-window.ts";
import { randomOps } from "./random.ts";
import { reduceOps } from "./reduce.ts";
import { reduceWindowOps } from "./reduce-window.ts";
import { scatterOps } from "./scatter.ts";
import { sortOps } from "./sort.ts";
import { windowOps } from "./windows.ts";

/** Every op there is. */
export const allOps: readonly OpDef[] = [
  ...elementwiseOps,
  ...movementOps,
  ...windowOps,
  concatOp,
  ...reduceOps,
  ...reduceWindowOps,
  ...pickWindowOps,
  ...dotOps,
  ...convOps,
  ...gatherOps,
  ...scatterOps,
  ...dynamicOps,
  ...cumulateOps,
  ...sortOps,
  ...createOps,
  ...randomOps,
  ...controlOps,
  elementLoopOp,
  ...markOps,
  ...effectOps,
];

const byName: ReadonlyMap<string, OpDef> = new Map(allOps.map((op) => [op.name, op]));

export { isElementOp } from "./element-loop.ts";

/** The entry of a name, where there is one. */
export function findOp(name: string): OpDef | undefined {
  return byName.get(name);
}

/** The entry of a name that is known to exist. */
export function getOp(name: string): OpDef {
  const op = byName.get(name);
  if (op === undefined) throw new Error(`no op ${name}`);
  return op;
}

export { constantNumber, type Rows, rowsOf, uniformOf } from "./rules.ts";
export { scale } from "./scale.ts";
