/** Which functions this file hands to the library to be traced. */
import { isFunctionBoundary, type Node, outward, ts } from "../syntax.ts";
import type { FileModel, Unit } from "./model.ts";

/** Whether the unit is given to a function of this library: written in its call, or by name and nowhere else used. */
export function isTraced(model: FileModel, unit: Unit): boolean {
  const { node } = unit;
  if (!ts.isFunctionLike(node)) return false;
  const { parent } = outward(node);
  if (isLibraryCall(model, parent)) return true;
  const name = ts.isFunctionDeclaration(node) ? node.name : ts.isVariableDeclaration(parent) ? parent.name : undefined;
  if (name === undefined || !ts.isIdentifier(name)) return false;
  const variable = model.variableOf.get(name);
  const uses = model.reads.filter((read) => read.variable === variable);
  return uses.length > 0 && uses.every((read) => isLibraryArgument(model, read.at));
}

function isLibraryArgument(model: FileModel, at: number): boolean {
  for (const node of model.variableOf.keys()) {
    if (node.end - (node as ts.Identifier).text.length === at) return isLibraryCall(model, outward(node).parent);
  }
  return false;
}

function isLibraryCall(model: FileModel, node: Node): boolean {
  if (!ts.isCallExpression(node)) return false;
  let callee: ts.Expression = node.expression;
  if (ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  if (!ts.isIdentifier(callee)) return false;
  const variable = model.variableOf.get(callee);
  return variable !== undefined && model.imported.has(variable);
}

/** The function that an expression is the result of, by a return or as the body of an arrow. */
export function functionReturning(node: Node): Node | undefined {
  const { parent, child } = outward(node);
  if (ts.isArrowFunction(parent) && parent.body === child) return parent;
  if (!ts.isReturnStatement(parent)) return undefined;
  return ts.findAncestor(parent, isFunctionBoundary);
}
