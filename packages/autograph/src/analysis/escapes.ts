/**
 * Hidden booleans that escape: expressions such as `!t`, `a < b` or a flag set in a staged block have the static type
 * boolean, but are tensors. Within a function the transform follows them; outside, the types would mislead it.
 */
import type { Diagnostics } from "../diagnostics.ts";
import type { TypeOracle } from "../oracle/oracle.ts";
import { isAssignment, type Node, outward, ts } from "../syntax.ts";
import { isLogical, isNot } from "./classify.ts";
import type { Plan } from "./plan.ts";
import { functionReturning, isTraced } from "./traced.ts";

export function findEscapes(plan: Plan, oracle: TypeOracle, diagnostics: Diagnostics): void {
  const visit = (node: Node): void => {
    if (plan.model.ignored.has(node)) return;
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isExpression(node) && mayBeHidden(node) && plan.certain.isHidden(node)) check(node);
    ts.forEachChild(node, visit);
  };
  const check = (node: ts.Expression): void => {
    const way = escapeOf(plan, oracle, node);
    if (way === undefined || oracle.isBooleanOrNumber(node) !== "boolean") return;
    diagnostics.report("AG1004", node, `${shorten(node)} has the static type boolean but is a Tensor, and ${way}`);
  };
  visit(plan.model.source);
}

function mayBeHidden(node: ts.Expression): boolean {
  if (ts.isIdentifier(node)) return isRead(node);
  return isNot(node) || isLogical(node) || ts.isBinaryExpression(node) || ts.isPropertyAccessExpression(node);
}

function isRead(node: ts.Identifier): boolean {
  const { parent } = node;
  return !(ts.isPropertyAccessExpression(parent) && parent.name === node) && !ts.isVariableDeclaration(parent);
}

/** How the value leaves what the transform follows; undefined where it does not. */
function escapeOf(plan: Plan, oracle: TypeOracle, node: ts.Expression): string | undefined {
  const { parent, child } = outward(node);
  const fn = functionReturning(node);
  if (fn !== undefined) {
    const unit = plan.model.unitOf.get(fn);
    if (unit !== undefined && isTraced(plan.model, unit)) return undefined;
    if (ts.isFunctionLike(fn) && oracle.declaredResult(fn) === true) return undefined;
    return "is returned";
  }
  if (ts.isCallExpression(parent) && parent.expression !== child) {
    return oracle.takesTensor(child as ts.Expression) ? undefined : "is given to a function";
  }
  if (ts.isPropertyAssignment(parent) || ts.isShorthandPropertyAssignment(parent)) {
    return leavesIn(plan, oracle, parent.parent, child as ts.Expression, "is put into an object");
  }
  if (ts.isArrayLiteralExpression(parent))
    return leavesIn(plan, oracle, parent, child as ts.Expression, "is put into an array");
  if (isAssignment(parent) && parent.right === child && plan.model.placeOf(parent.left)?.kind !== "variable") {
    if (ts.isArrayLiteralExpression(parent.left) || ts.isObjectLiteralExpression(parent.left)) return undefined;
    return oracle.takesTensor(child as ts.Expression) ? undefined : "is assigned to a property";
  }
  if (ts.isConditionalExpression(parent) && parent.condition !== child) return escapeOf(plan, oracle, parent);
  return undefined;
}

/** A literal that is returned from a traced function, or taken apart at once, keeps what is in it followed. */
function leavesIn(
  plan: Plan,
  oracle: TypeOracle,
  literal: Node,
  value: ts.Expression,
  way: string,
): string | undefined {
  if (oracle.takesTensor(value) && oracle.isBooleanOrNumber(value) === undefined) return undefined;
  const { parent } = outward(literal);
  if (isAssignment(parent) && (parent.left === literal || !ts.isIdentifier(parent.left))) return undefined;
  if (ts.isVariableDeclaration(parent) && !ts.isIdentifier(parent.name)) return undefined;
  const outer = escapeOf(plan, oracle, literal as ts.Expression);
  return outer === undefined && functionReturning(literal) !== undefined ? undefined : (outer ?? way);
}

function shorten(node: Node): string {
  const text = node.getText().replace(/\s+/g, " ");
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
