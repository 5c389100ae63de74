/** Lowers ternaries, logical operators, and arithmetic on numbers that may have become tensors. */
import { compoundArithmetic, isLogical, isNot } from "../analysis/classify.ts";
import { isAssignment, isStep, type Node, startOf, ts, unwrap } from "../syntax.ts";
import { condition, nativeCondition } from "./conditions.ts";
import type { Lowering } from "./lowering.ts";
import { stateOf } from "./state.ts";

const { SyntaxKind } = ts;

/** Returns whether the node was an expression of a kind that this file lowers; its children are then done too. */
export function lowerExpression(low: Lowering, node: Node): boolean {
  if (ts.isConditionalExpression(node)) return ternary(low, node);
  if (isNot(node)) return not(low, node);
  if (isStep(node)) return step(low, node);
  if (ts.isPrefixUnaryExpression(node)) return prefix(low, node);
  if (isAssignment(node)) return compound(low, node);
  if (isLogical(node)) return logical(low, node);
  return ts.isBinaryExpression(node) && binary(low, node);
}

function ternary(low: Lowering, node: ts.ConditionalExpression): boolean {
  const { edits, plan } = low;
  if (!plan.isStagedIf(node, low.unit)) {
    nativeCondition(low, node, node.condition);
    low.visit(node.whenTrue);
    low.visit(node.whenFalse);
    return true;
  }
  condition(low, node.condition);
  low.staged(() => {
    low.visit(node.whenTrue);
    low.visit(node.whenFalse);
  });
  edits.token(node.condition.end, "?", ",");
  edits.token(node.whenTrue.end, ":", ",");
  edits.wrap(node.whenTrue, "() => (", ")");
  edits.wrap(node.whenFalse, "() => (", ")");
  const state = stateOf(low, { start: node.condition.end, end: node.end, last: undefined });
  edits.wrap(node, `$ag.cond_(${low.locations.at(startOf(node))}, `, `, ${state})`);
  return true;
}

function not(low: Lowering, node: ts.PrefixUnaryExpression): boolean {
  low.visit(node.operand);
  if (!low.plan.classifier.isStaged(node.operand)) return true;
  const start = startOf(node);
  low.edits.replace(start, startOf(node.operand), `$ag.not(${low.locations.at(start)}, `);
  low.edits.after(node.end, ")");
  return true;
}

/** Where the left operand is no tensor, JavaScript's own operator gives the right value. */
function logical(low: Lowering, node: ts.BinaryExpression): boolean {
  const { edits, plan } = low;
  low.visit(node.left);
  const staged = plan.classifier.isStaged(node.left) && plan.classifier.condition(node) !== "mixed";
  const paused = staged && plan.pausesIn(low.unit, startOf(node.right), node.right.end);
  if (!staged || paused) {
    low.visit(node.right);
    const why = '"await or yield is in the right operand"';
    if (paused) edits.wrap(node.left, `$ag.bool(${low.locations.at(startOf(node.left))}, ${why}, `, ")");
    return true;
  }
  low.staged(() => low.visit(node.right));
  const name = node.operatorToken.kind === SyntaxKind.BarBarToken ? "or" : "and";
  edits.replace(startOf(node.operatorToken), node.operatorToken.end, ",");
  edits.wrap(node.right, "() => (", ")");
  edits.wrap(node, `$ag.${name}(${low.locations.at(startOf(node))}, `, ")");
  return true;
}

function binary(low: Lowering, node: ts.BinaryExpression): boolean {
  low.visit(node.left);
  low.visit(node.right);
  const name = low.plan.classifier.operation(node);
  if (name === undefined) return true;
  low.edits.replace(startOf(node.operatorToken), node.operatorToken.end, ",");
  low.edits.wrap(node, `$ag.${name}(`, ")");
  return true;
}

function prefix(low: Lowering, node: ts.PrefixUnaryExpression): boolean {
  low.visit(node.operand);
  const name = low.plan.classifier.prefix(node);
  if (name === undefined) return true;
  low.edits.replace(startOf(node), startOf(node.operand), `$ag.${name}(`);
  low.edits.after(node.end, ")");
  return true;
}

/** `n += e` becomes `n = $ag.add(n, e)`; `t &&= e` becomes `t = $ag.and(loc, t, () => (e))`. */
function compound(low: Lowering, node: ts.BinaryExpression): boolean {
  const { edits, plan } = low;
  const operator = node.operatorToken;
  low.visit(node.left);
  low.visit(node.right);
  const target = edits.source(node.left);
  const arithmetic = compoundArithmetic.get(operator.kind);
  if (arithmetic !== undefined) {
    if (!plan.classifier.isHidden(node.left) && !plan.classifier.isHidden(node.right)) return true;
    if (!isRepeatable(low, node.left)) return true;
    edits.replace(startOf(operator), operator.end, `= $ag.${arithmetic}(${target},`);
    edits.after(node.end, ")");
    return true;
  }
  const or = operator.kind === SyntaxKind.BarBarEqualsToken;
  if (!or && operator.kind !== SyntaxKind.AmpersandAmpersandEqualsToken) return true;
  if (!plan.classifier.isStaged(node.left) || !isRepeatable(low, node.left)) return true;
  const call = `= $ag.${or ? "or" : "and"}(${low.locations.at(startOf(node))}, ${target}, () => (`;
  edits.replace(startOf(operator), operator.end, call);
  edits.after(node.end, "))");
  return true;
}

function step(low: Lowering, node: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression): boolean {
  const { edits } = low;
  low.visit(node.operand);
  if (!low.plan.classifier.isHidden(node.operand) || !isRepeatable(low, node.operand)) return true;
  const target = edits.source(node.operand);
  const name = node.operator === SyntaxKind.PlusPlusToken ? "inc" : "dec";
  const assignment = `${target} = $ag.${name}(${target})`;
  const text = isDiscarded(node)
    ? assignment
    : ts.isPrefixUnaryExpression(node)
      ? `(${assignment})`
      : `([${target}, ${assignment}][0])`;
  edits.replace(startOf(node), node.end, text);
  return true;
}

/** Whether nobody uses the expression's value. */
function isDiscarded(node: ts.Expression): boolean {
  const { parent } = node;
  if (ts.isExpressionStatement(parent)) return true;
  if (ts.isForStatement(parent)) return parent.incrementor === node || parent.initializer === node;
  if (!ts.isBinaryExpression(parent) || parent.operatorToken.kind !== SyntaxKind.CommaToken) return false;
  return parent.left === node || isDiscarded(parent);
}

/** Whether reading the target twice is the same as once: a name, a static path, or an element with such an index. */
function isRepeatable(low: Lowering, node: ts.Expression): boolean {
  const e = unwrap(node);
  if (low.model.placeOf(e) !== undefined || ts.isIdentifier(e)) return true;
  if (!ts.isElementAccessExpression(e)) return false;
  const isName = (x: ts.Expression): boolean =>
    ts.isIdentifier(x) || ts.isNumericLiteral(x) || low.model.placeOf(x) !== undefined;
  return isName(unwrap(e.expression)) && isName(unwrap(e.argumentExpression));
}
