/** Tensors used as plain conditions, which JavaScript takes as true: AG1001, for the check and for the lint rule. */
import { readModel } from "./analysis/bindings.ts";
import { isLogical, isNot } from "./analysis/classify.ts";
import { conditionOf } from "./analysis/hazards.ts";
import { Plan } from "./analysis/plan.ts";
import { type Diagnostic, Diagnostics } from "./diagnostics.ts";
import type { TypeOracle } from "./oracle/oracle.ts";
import { type Node, type SourceFile, ts, unwrap } from "./syntax.ts";

export interface ConditionOptions {
  readonly runtime: string;
  readonly path: string;
  /** Whether the file is transformed, so that only what the transform leaves alone is reported. */
  readonly transformed: boolean;
}

/** Methods of arrays that take what their callback answers as true or false. */
const askingMethods: ReadonlySet<string> = new Set([
  "filter",
  "some",
  "every",
  "find",
  "findIndex",
  "findLast",
  "findLastIndex",
]);

/** The value that an arrow function without a block answers one of these methods. */
function answerOf({ expression, arguments: [callback] }: ts.CallExpression) {
  if (!ts.isPropertyAccessExpression(expression) || !askingMethods.has(expression.name.text)) return undefined;
  if (callback === undefined || !ts.isArrowFunction(callback) || ts.isBlock(callback.body)) return undefined;
  return { method: expression.name.text, value: callback.body };
}

export function findPlainConditions(
  source: SourceFile,
  oracle: TypeOracle,
  options: ConditionOptions,
): readonly Diagnostic[] {
  const diagnostics = new Diagnostics(source, options.path);
  const plan = new Plan(readModel(source, oracle, options.runtime), oracle);
  const report = (node: ts.Expression, place: string): void => {
    if (plan.certain.condition(node) !== "stage") return;
    if (options.transformed && !place.endsWith("()") && !plan.isIgnored(node)) return;
    diagnostics.report(
      "AG1001",
      node,
      `${node.getText().replace(/\s+/g, " ").slice(0, 60)} is a tensor, used as ${place}`,
    );
  };
  const visit = (node: Node): void => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    const condition = conditionOf(node);
    if (condition !== undefined) report(condition, "a condition");
    else if (ts.isSwitchStatement(node)) report(node.expression, "the subject of a switch");
    else if (isNot(node) && !isCondition(node)) report(node.operand, "an operand of !");
    else if (isLogical(node) && !isCondition(node)) report(node.left, `an operand of ${node.operatorToken.getText()}`);
    else if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "Boolean") {
      const [argument] = node.arguments;
      if (argument !== undefined) report(argument, "Boolean()");
    } else if (ts.isCallExpression(node)) {
      const answer = answerOf(node);
      if (answer !== undefined) report(answer.value, `the answer of ${answer.method}()`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return diagnostics.all();
}

/** Whether the expression is part of a condition, which is reported as a whole. */
function isCondition(node: ts.Expression): boolean {
  let e: Node = node;
  while (ts.isParenthesizedExpression(e.parent) || isLogical(e.parent) || isNot(e.parent)) {
    e = e.parent;
  }
  const condition = conditionOf(e.parent);
  return condition !== undefined && unwrap(condition) === unwrap(e as ts.Expression);
}
