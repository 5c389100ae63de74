/** Conditions: of staged constructs, and of native ones that are checked at run time not to be tensors. */
import { isLogical, isNot } from "../analysis/classify.ts";
import { type Node, startOf, ts, unwrap } from "../syntax.ts";
import type { Lowering } from "./lowering.ts";

/** The condition of a staged construct. */
export function condition(low: Lowering, node: ts.Expression): void {
  low.visit(node);
}

/** The condition of a construct that stays native: where await or yield keeps it so, it must not be a tensor. */
export function nativeCondition(low: Lowering, owner: Node, node: ts.Expression): void {
  low.visit(node);
  if (low.plan.classifier.isStaged(node) && low.plan.isPaused(owner, low.unit)) {
    bool(low, node, "await or yield is in the block");
  } else if (low.options.checks) check(low, node);
}

function bool(low: Lowering, node: ts.Expression, why: string): void {
  low.edits.wrap(node, `$ag.bool(${low.locations.at(startOf(node))}, ${JSON.stringify(why)}, `, ")");
}

/** Operands that are booleans by their type, but whose value is not computed here. */
function check(low: Lowering, node: ts.Expression): void {
  const e = unwrap(node);
  if (isNot(e)) {
    check(low, e.operand);
    return;
  }
  if (isLogical(e)) {
    check(low, e.left);
    check(low, e.right);
    return;
  }
  if (!isRead(e) || low.plan.classifier.condition(e) !== "plain") return;
  const type = low.oracle.isBooleanOrNumber(e);
  if (type !== undefined) bool(low, e, `it is a ${type} by its type`);
}

function isRead(e: ts.Expression): boolean {
  if (ts.isPropertyAccessExpression(e)) return e.name.text !== "length" && !ts.isOptionalChain(e);
  return ts.isIdentifier(e) || ts.isElementAccessExpression(e) || (ts.isCallExpression(e) && !ts.isOptionalChain(e));
}
