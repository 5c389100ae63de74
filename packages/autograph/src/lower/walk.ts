/** The walk over a file: one lowering per kind of node. Code that nothing applies to is left as it is. */
import { isFunctionBoundary, isLoop, listOf, type Node, startOf, ts } from "../syntax.ts";
import { lowerCall } from "./calls.ts";
import { nativeCondition } from "./conditions.ts";
import { lowerExpression } from "./expressions.ts";
import { lowerLoop } from "./loops.ts";
import type { Lowering } from "./lowering.ts";
import { lowerIf, lowerJump, lowerList, lowerThrow, lowerTry, lowerVar } from "./statements.ts";
import { hoistedVars, isDirective, lowerUnit } from "./units.ts";

/** Lowers a whole file, and puts the import and the table of locations on its first line of code. */
export function lowerFile(low: Lowering, runtime: string, path: string): void {
  const { source } = low.model;
  if (low.model.ignored.has(source)) return;
  low.visit = (node) => visit(low, node);
  low.list = (statements) => lowerList(low, statements);
  const vars = hoistedVars(low, low.unit);
  low.list(source.statements);
  if (!low.edits.changed) return;
  const head = `import * as $ag from ${JSON.stringify(runtime)}; var $l = $ag.locs(${JSON.stringify(path)}, ${low.locations.table()});`;
  const hoisted = vars.length > 0 ? ` var ${vars.join(", ")};` : "";
  const directive = source.statements.findLast(
    (s, i) => isDirective(s) && source.statements.slice(0, i).every(isDirective),
  );
  if (directive !== undefined) low.edits.after(directive.end, ` ${head}${hoisted}`);
  else low.edits.before(startOf(source.statements[0]!), `${head}${hoisted} `);
}

function visit(low: Lowering, node: Node): void {
  if (low.model.ignored.has(node)) return;
  if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
  const unit = low.model.unitOf.get(node);
  if (unit !== undefined) {
    lowerUnit(low, node, unit);
    return;
  }
  if (isFunctionBoundary(node)) return;
  if (ts.isStatement(node)) {
    visitStatement(low, node);
    return;
  }
  if (ts.isCallExpression(node)) {
    lowerCall(low, node);
    return;
  }
  if (ts.isVariableDeclarationList(node)) {
    visitDeclarations(low, node);
    return;
  }
  const list = listOf(node);
  if (list !== undefined) {
    if (ts.isCaseClause(node)) low.visit(node.expression);
    low.list(list);
    return;
  }
  if (!lowerExpression(low, node)) low.visitChildren(node);
}

function visitStatement(low: Lowering, node: ts.Statement): void {
  if (isLoop(node)) {
    lowerLoop(low, node);
    return;
  }
  switch (node.kind) {
    case ts.SyntaxKind.IfStatement:
      visitIf(low, node as ts.IfStatement);
      return;
    case ts.SyntaxKind.ReturnStatement:
    case ts.SyntaxKind.BreakStatement:
    case ts.SyntaxKind.ContinueStatement: {
      const jump = node as ts.ReturnStatement | ts.BreakOrContinueStatement;
      if (low.plan.lowered.has(jump)) lowerJump(low, jump);
      else low.visitChildren(node);
      return;
    }
    case ts.SyntaxKind.ThrowStatement:
      lowerThrow(low, node as ts.ThrowStatement);
      return;
    case ts.SyntaxKind.TryStatement:
      lowerTry(low, node as ts.TryStatement);
      return;
    case ts.SyntaxKind.Block:
    case ts.SyntaxKind.ModuleBlock:
      low.list((node as ts.Block).statements);
      return;
    case ts.SyntaxKind.LabeledStatement:
      visitLabeled(low, node as ts.LabeledStatement);
      return;
    case ts.SyntaxKind.ImportDeclaration:
    case ts.SyntaxKind.InterfaceDeclaration:
    case ts.SyntaxKind.TypeAliasDeclaration:
      return;
    default:
      low.visitChildren(node);
  }
}

function visitIf(low: Lowering, node: ts.IfStatement): void {
  if (low.plan.isStagedIf(node, low.unit)) {
    lowerIf(low, node, []);
    return;
  }
  nativeCondition(low, node, node.expression);
  low.visit(node.thenStatement);
  if (node.elseStatement !== undefined) low.visit(node.elseStatement);
}

/** `label: { ... break label; ... }` whose break is lowered. A loop declares its flags itself. */
function visitLabeled(low: Lowering, node: ts.LabeledStatement): void {
  low.visit(node.statement);
  const isTarget = low.unit.jumps.some((j) => low.plan.lowered.has(j.node) && low.plan.targetOf(j.node) === node);
  if (isTarget) low.edits.wrap(node, `{ let $b${low.numberOf(node)} = false; `, " }");
}

function visitDeclarations(low: Lowering, list: ts.VariableDeclarationList): void {
  const isVar = (list.flags & ts.NodeFlags.BlockScoped) === 0;
  const start = startOf(list);
  const staged = isVar && low.plan.stagedRegions().some((r) => start >= r.start && start < r.end);
  if (staged) lowerVar(low, list);
  else low.visitChildren(list);
}
