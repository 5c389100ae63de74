/** Small questions about the syntax tree. The compiler comes from ts-morph, here and nowhere else in the transform. */
import { ts } from "ts-morph";

export { ts };
export type Node = ts.Node;
export type SourceFile = ts.SourceFile;
export type Loop = ts.WhileStatement | ts.DoStatement | ts.ForStatement | ts.ForOfStatement | ts.ForInStatement;
export type Jump = ts.ReturnStatement | ts.BreakStatement | ts.ContinueStatement;

/** Where a node's own text begins, behind comments. */
export function startOf(node: Node): number {
  return node.getStart(node.getSourceFile());
}

export function isLoop(node: Node): node is Loop {
  return (
    ts.isWhileStatement(node) ||
    ts.isDoStatement(node) ||
    ts.isForStatement(node) ||
    ts.isForOfStatement(node) ||
    ts.isForInStatement(node)
  );
}

export function isJump(node: Node): node is Jump {
  return ts.isReturnStatement(node) || ts.isBreakStatement(node) || ts.isContinueStatement(node);
}

/** Whether `return`, `await` and `var` inside belong to the node itself: functions, and static blocks of classes. */
export function isFunctionBoundary(node: Node): boolean {
  return ts.isFunctionLike(node) || ts.isClassStaticBlockDeclaration(node) || ts.isPropertyDeclaration(node);
}

/** Without parentheses and what only the type checker sees. */
export function unwrap(node: ts.Expression): ts.Expression {
  let e = node;
  while (
    ts.isParenthesizedExpression(e) ||
    ts.isAsExpression(e) ||
    ts.isNonNullExpression(e) ||
    ts.isSatisfiesExpression(e) ||
    ts.isTypeAssertionExpression(e)
  ) {
    e = e.expression;
  }
  return e;
}

/** The parent that is not just parentheses or a type assertion around `node`, and the child of it that holds `node`. */
export function outward(node: Node): { readonly parent: Node; readonly child: Node } {
  let child = node;
  while (
    ts.isParenthesizedExpression(child.parent) ||
    ts.isAsExpression(child.parent) ||
    ts.isNonNullExpression(child.parent) ||
    ts.isSatisfiesExpression(child.parent) ||
    ts.isTypeAssertionExpression(child.parent)
  ) {
    child = child.parent;
  }
  return { parent: child.parent, child };
}

/** The statement list that a node owns, if it owns one. */
export function listOf(node: Node): readonly ts.Statement[] | undefined {
  if (ts.isBlock(node) || ts.isSourceFile(node) || ts.isModuleBlock(node)) return node.statements;
  if (ts.isCaseClause(node) || ts.isDefaultClause(node)) return node.statements;
  return undefined;
}

/** A statement as a list: the statements of a block, or the statement itself. */
export function asList(node: ts.Statement): readonly ts.Statement[] {
  return ts.isBlock(node) ? node.statements : [node];
}

/** The outermost of the labels before a statement, or the statement. */
export function withLabels(node: ts.Statement): ts.Statement {
  let outer: ts.Statement = node;
  while (ts.isLabeledStatement(outer.parent)) outer = outer.parent;
  return outer;
}

/** Whether a loop's condition is absent or a constant that holds. */
export function isEndless(loop: Loop): boolean {
  if (ts.isForStatement(loop)) return loop.condition === undefined || isTrue(loop.condition);
  return (ts.isWhileStatement(loop) || ts.isDoStatement(loop)) && isTrue(loop.expression);
}

function isTrue(node: ts.Expression): boolean {
  const e = unwrap(node);
  return e.kind === ts.SyntaxKind.TrueKeyword || (ts.isNumericLiteral(e) && Number(e.text) !== 0);
}

/** Position of the next character that is neither white space nor in a comment. */
export function skipTrivia(text: string, from: number): number {
  let at = from;
  for (;;) {
    const c = text.charCodeAt(at);
    if (c === 0x20 || (c >= 0x09 && c <= 0x0d) || c === 0xa0 || c === 0xfeff) at++;
    else if (text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      at = end < 0 ? text.length : end + 2;
    } else return at;
  }
}

const assignmentOperators = new Set<ts.SyntaxKind>();
for (let kind = ts.SyntaxKind.FirstAssignment; kind <= ts.SyntaxKind.LastAssignment; kind++)
  assignmentOperators.add(kind);

export function isAssignment(node: Node): node is ts.BinaryExpression {
  return ts.isBinaryExpression(node) && assignmentOperators.has(node.operatorToken.kind);
}

/** `x++`, `--x`. */
export function isStep(node: Node): node is ts.PrefixUnaryExpression | ts.PostfixUnaryExpression {
  return (
    (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) &&
    (node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken)
  );
}

/** Whether the node is in the text range. */
export function within(node: Node, start: number, end: number): boolean {
  return startOf(node) >= start && node.end <= end;
}
