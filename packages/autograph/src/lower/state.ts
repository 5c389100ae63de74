/** The state that a staged block is given: how to read and write all it assigns, the names, and how many are live. */
import type { Place, Variable } from "../analysis/model.ts";
import { isLoop, type Jump, type Loop, startOf, ts } from "../syntax.ts";
import type { Lowering } from "./lowering.ts";

export interface Extent {
  readonly start: number;
  readonly end: number;
  /** The statement whose end control falls off; undefined: every variable counts as live. */
  readonly last: ts.Statement | undefined;
  /** The loop whose rounds the extent is. */
  readonly loop?: Loop;
}

/**
 * `get, set, names, live` as text. Flags of jumps out of the extent, and the returned value, are part of the state.
 * `around`: jumps whose paths lead past the extent, to where other variables may be live.
 */
export function stateOf(low: Lowering, extent: Extent, around: readonly Jump[] = []): string {
  const { start, end } = extent;
  const jumps = leavingJumps(low, extent);
  const flags = low.flagsOf(jumps);
  if (flags.includes("$r")) flags.push("$v");
  const live: string[] = [];
  const dead: string[] = [];
  for (const place of low.plan.modified.places(start, end)) {
    (isLive(low, place, extent, [...jumps, ...around]) ? live : dead).push(place.text);
  }
  return stateText([...live, ...flags], dead);
}

function stateText(live: readonly string[], dead: readonly string[]): string {
  const all = [...live, ...dead];
  if (all.length === 0) return "() => [], () => {}, [], 0";
  const list = all.join(", ");
  return `() => [${list}], ($s) => { [${list}] = $s; }, ${JSON.stringify(all)}, ${live.length}`;
}

/** Lowered jumps out of the extent; of a loop as a whole also the breaks that end it. */
function leavingJumps(low: Lowering, { start, end, loop }: Extent): readonly Jump[] {
  const jumps = low.plan.leaving(low.unit, start, end);
  if (loop === undefined) return jumps;
  // The flag of `continue` is declared in the body.
  if (startOf(loop) < start) return jumps.filter((j) => low.plan.targetOf(j) !== loop || ts.isBreakStatement(j));
  return [...jumps, ...exitsOf(low, loop).filter((jump) => !jumps.includes(jump))];
}

/** Lowered jumps that end a loop: out of its body, and not to its next round. */
export function exitsOf(low: Lowering, loop: Loop): readonly Jump[] {
  const body = loop.statement;
  return low.plan
    .leaving(low.unit, startOf(body), body.end)
    .filter((jump) => low.plan.targetOf(jump) !== loop || ts.isBreakStatement(jump));
}

function isLive(low: Lowering, place: Place, extent: Extent, jumps: readonly Jump[]): boolean {
  if (place.kind === "path" || extent.last === undefined) return true;
  return isLiveVariable(low, place, extent, extent.last, jumps);
}

function isLiveVariable(
  low: Lowering,
  variable: Variable,
  extent: Extent,
  last: ts.Statement,
  jumps: readonly Jump[],
): boolean {
  const liveness = low.plan.liveness(low.unit);
  if (liveness.isLiveBehind(variable, last)) return true;
  if (extent.loop !== undefined) {
    if (liveness.isLiveAtHeader(variable, extent.loop)) return true;
    if (isLoop(extent.loop) && liveness.isLiveBehind(variable, extent.loop)) return true;
  }
  return jumps.some((jump) => liveness.isLiveAtTarget(variable, jump));
}
