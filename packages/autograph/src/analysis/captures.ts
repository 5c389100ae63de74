/** Which reassigned primitives a function that is compiled captures: a compiled call compares them with the trace's. */
import type { TypeOracle } from "../oracle/oracle.ts";
import { isFunctionBoundary, type Node, startOf, ts, unwrap } from "../syntax.ts";
import { type FileModel, slice, type Variable } from "./model.ts";

/** The function of this file that an argument of `compile` is, or names. */
export function functionOfArgument(model: FileModel, argument: ts.Expression): Node | undefined {
  const e = unwrap(argument);
  if (ts.isArrowFunction(e) || ts.isFunctionExpression(e)) return e;
  return ts.isIdentifier(e) ? model.variableOf.get(e)?.functionNode : undefined;
}

/** Names of such variables, in the order read, of the function and of the functions of this file that it mentions. */
export function capturesOf(model: FileModel, oracle: TypeOracle, fn: Node, site: Node): readonly string[] {
  const found = new Set<Variable>();
  const seen = new Set<Node>();
  const scan = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    const start = startOf(node);
    const later = calledLater(model, node);
    const isLater = (at: number): boolean => later.some((each) => startOf(each) <= at && at < each.end);
    for (const { at, variable } of slice(model.reads, start, node.end)) {
      if (isLater(at)) continue;
      const inside = variable.start >= start && variable.start < node.end;
      if (inside || variable.writes === 0 || variable.name === undefined || !isVisible(variable, site)) continue;
      if (oracle.isPrimitive(variable.name)) found.add(variable);
    }
    for (const { at, functionNode } of slice(model.mentions, start, node.end)) if (!isLater(at)) scan(functionNode);
  };
  scan(fn);
  return [...found].map((variable) => variable.text);
}

/** What is given to `hostCall` to be called when the program runs: what it reads is read then. */
function calledLater(model: FileModel, node: Node): readonly ts.Expression[] {
  const found: ts.Expression[] = [];
  const visit = (at: Node): void => {
    if (ts.isCallExpression(at) && isHostCall(model, unwrap(at.expression)) && at.arguments[0] !== undefined)
      found.push(at.arguments[0]);
    ts.forEachChild(at, visit);
  };
  visit(node);
  return found;
}

function isHostCall(model: FileModel, callee: ts.Expression): boolean {
  const imported = (name: Node): string | undefined => {
    const variable = model.variableOf.get(name);
    return variable === undefined ? undefined : model.imported.get(variable);
  };
  if (ts.isPropertyAccessExpression(callee))
    return callee.name.text === "hostCall" && imported(unwrap(callee.expression)) === "*";
  return imported(callee) === "hostCall";
}

/** Whether the variable can be named at the site: its block encloses the site. */
function isVisible(variable: Variable, site: Node): boolean {
  return isInScope(variable, site.pos, site.end);
}

/** Whether the text range lies in the block that declares the variable. */
export function isInScope({ declaration }: Variable, start: number, end: number): boolean {
  if (declaration === undefined) return false;
  const scope = ts.findAncestor(
    declaration.parent,
    (n) =>
      ts.isBlock(n) ||
      ts.isSourceFile(n) ||
      isFunctionBoundary(n) ||
      ts.isModuleBlock(n) ||
      ts.isIterationStatement(n, false),
  );
  return scope !== undefined && scope.pos <= start && end <= scope.end;
}
