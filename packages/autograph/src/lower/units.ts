/** Functions: where a lowered return ends up, and the `var`s that staged blocks would hide. */
import { completesNormally } from "../analysis/jumps.ts";
import { bodyOf } from "../analysis/liveness.ts";
import type { Unit } from "../analysis/model.ts";
import { type Node, startOf, ts } from "../syntax.ts";
import type { Lowering } from "./lowering.ts";

/** Lowers a function, a static block or a property initialiser. */
export function lowerUnit(low: Lowering, node: Node, unit: Unit): void {
  const { unit: outer, depth, depthOfTry, inTry } = low;
  low.unit = unit;
  low.depth = 0;
  low.depthOfTry = 0;
  low.inTry = false;
  const vars = hoistedVars(low, unit);
  const body = bodyOf(node);
  if (body === undefined) low.visitChildren(node);
  else {
    const { body: block } = node as { readonly body?: Node };
    ts.forEachChild(node, (child) => {
      if (child !== block) low.visit(child);
    });
    low.list(body);
    frame(low, node, body, vars);
  }
  low.unit = outer;
  low.depth = depth;
  low.depthOfTry = depthOfTry;
  low.inTry = inTry;
}

/** `let $r = false, $v = $ag.U` at the top, `return $ag.ret(...)` at the end, and the hoisted `var`s. */
function frame(low: Lowering, node: Node, body: readonly ts.Statement[], vars: readonly string[]): void {
  const block = (node as { readonly body?: ts.Block }).body!;
  const returns = low.unit.jumps.some((jump) => ts.isReturnStatement(jump.node) && low.plan.lowered.has(jump.node));
  let head = "";
  if (vars.length > 0) head += ` var ${vars.join(", ")};`;
  if (returns) {
    head += " let $r = false, $v = $ag.U;";
    const loc = low.locations.at(startOf(node));
    const tail = `return $ag.ret(${loc}, $r, $v, ${body.every(completesNormally)}); `;
    low.edits.after(block.end - 1, low.edits.isBlankBefore(block.end - 1) ? tail : ` ${tail}`);
  }
  if (head === "") return;
  const directive = body.findLast(isDirective);
  low.edits.after(directive?.end ?? startOf(block) + 1, head);
}

export function isDirective(node: ts.Statement): boolean {
  return ts.isExpressionStatement(node) && ts.isStringLiteral(node.expression);
}

/** Names of the unit's `var`s that are declared in code that becomes a function of its own. */
export function hoistedVars(low: Lowering, unit: Unit): readonly string[] {
  const regions = low.plan.stagedRegions();
  const names = new Set<string>();
  for (const variable of unit.variables) {
    const at = variable.hoisted && variable.name !== undefined ? startOf(variable.name) : undefined;
    if (at !== undefined && regions.some((r) => at >= r.start && at < r.end)) names.add(variable.text);
  }
  return [...names];
}
