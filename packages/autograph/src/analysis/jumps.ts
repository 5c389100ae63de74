/** Where jumps lead, and whether statements let control through to their end. */
import { isEndless, isFunctionBoundary, isLoop, type Jump, type Node, startOf, ts } from "../syntax.ts";

/** The loop, switch or labelled statement that a jump leaves or goes on with; for a return its function. */
export function targetOf(jump: Jump): Node {
  const label = ts.isReturnStatement(jump) ? undefined : jump.label?.text;
  let node: Node = jump.parent;
  for (; !isFunctionBoundary(node) && !ts.isSourceFile(node); node = node.parent) {
    if (ts.isReturnStatement(jump)) continue;
    if (label === undefined) {
      if (isLoop(node) || (ts.isBreakStatement(jump) && ts.isSwitchStatement(node))) return node;
    } else if (ts.isLabeledStatement(node) && node.label.text === label) {
      let inner: ts.Statement = node.statement;
      while (ts.isLabeledStatement(inner)) inner = inner.statement;
      return isLoop(inner) ? inner : node;
    }
  }
  return node;
}

/** Whether the jump's target lies outside the text range: a jump to a loop from its body leaves the body. */
export function leaves(target: Node, start: number, end: number): boolean {
  return !(startOf(target) >= start && target.end <= end);
}

export function completesNormally(node: ts.Statement): boolean {
  if (ts.isReturnStatement(node) || ts.isThrowStatement(node)) return false;
  if (ts.isBreakStatement(node) || ts.isContinueStatement(node)) return false;
  if (ts.isBlock(node)) return node.statements.every(completesNormally);
  if (ts.isIfStatement(node)) {
    return (
      completesNormally(node.thenStatement) || node.elseStatement === undefined || completesNormally(node.elseStatement)
    );
  }
  if (ts.isLabeledStatement(node)) return completesNormally(node.statement) || hasBreakTo(node);
  if (ts.isTryStatement(node)) {
    if (node.finallyBlock !== undefined && !completesNormally(node.finallyBlock)) return false;
    return (
      completesNormally(node.tryBlock) || (node.catchClause !== undefined && completesNormally(node.catchClause.block))
    );
  }
  if (ts.isSwitchStatement(node)) {
    const clauses = node.caseBlock.clauses;
    const last = clauses.at(-1);
    if (last === undefined || !clauses.some(ts.isDefaultClause) || hasBreakTo(node)) return true;
    return last.statements.every(completesNormally);
  }
  return !(isLoop(node) && isEndless(node) && !hasBreakTo(node));
}

function hasBreakTo(target: Node): boolean {
  const visit = (node: Node): boolean => {
    if (isFunctionBoundary(node)) return false;
    if (ts.isBreakStatement(node)) return targetOf(node) === target;
    return ts.forEachChild(node, visit) ?? false;
  };
  return ts.forEachChild(target, visit) ?? false;
}
