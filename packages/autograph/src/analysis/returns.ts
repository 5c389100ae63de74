/** Which of the values that a function returns are numbers by their types, but tensors where staged exits merge them. */
import type { TypeOracle } from "../oracle/oracle.ts";
import { isFunctionBoundary, type Node, startOf, ts, unwrap } from "../syntax.ts";
import type { Classifier } from "./classify.ts";
import type { FileModel, Unit } from "./model.ts";

/** What is returned, or a part of a literal that is: `path` is empty, or such as `.n` or `[0]`. */
export interface Returned {
  readonly node: ts.Expression;
  readonly path: string;
  /** By different staged exits, so that it does not matter what the expression itself is. */
  readonly merged: boolean;
}

/** `merged`: whether a staged block returns, so that the results of all returns meet. */
export function numbersReturned(
  unit: Unit,
  classifier: Classifier,
  oracle: TypeOracle,
  merged: boolean,
): readonly Returned[] {
  const parts = partsOf(...returnedBy(unit));
  const found: Returned[] = [];
  for (const [path, nodes] of parts) {
    if (nodes.some((node) => !classifier.isHidden(node) && classifier.typeOf(node) !== "plain")) continue;
    const numbers = nodes.filter((node) => classifier.typeOf(node) === "plain" && oracle.mayBeNumber(node));
    // The same text is the same value, which no exit changes, unless it is hidden.
    const meet = merged && new Set(numbers.map((node) => unwrap(node).getText())).size > 1;
    for (const node of numbers) {
      if (meet || classifier.isHidden(node)) found.push({ node, path, merged: meet });
    }
  }
  return found;
}

/** Whether the function's result is the value that is returned: no promise, no iterator. */
export function returnsValue(node: Node): node is ts.SignatureDeclaration {
  if (!ts.isFunctionLike(node) || ts.isConstructorDeclaration(node) || ts.isSetAccessorDeclaration(node)) return false;
  const { asteriskToken } = node as { readonly asteriskToken?: ts.AsteriskToken };
  const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined;
  return asteriskToken === undefined && modifiers?.some((m) => m.kind === ts.SyntaxKind.AsyncKeyword) !== true;
}

/** Whether the function returns from within one of the regions. */
export function returnsFrom(unit: Unit, regions: readonly { readonly start: number; readonly end: number }[]): boolean {
  const first = startOf(unit.node);
  const own = regions.filter(({ start, end }) => start >= first && end <= unit.node.end);
  if (own.length === 0) return false;
  return unit.jumps.some(
    ({ at, node }) => ts.isReturnStatement(node) && own.some(({ start, end }) => at >= start && at < end),
  );
}

/** The only name of a function that is not exported and only ever called: what it returns is followed to its calls. */
export function isFollowed(model: FileModel, fn: Node): boolean {
  const names = [...model.variableOf].filter(([, variable]) => variable.functionNode === fn);
  const declaration = names[0]?.[1].declaration;
  if (declaration === undefined || isExported(model, declaration, names[0]![1].text)) return false;
  return names.every(([name]) => {
    const { parent } = name;
    if ((parent as { readonly name?: Node }).name === name) return true;
    return ts.isCallExpression(parent) && parent.expression === name;
  });
}

function isExported(model: FileModel, declaration: Node, name: string): boolean {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  if (ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword))
    return true;
  return model.source.statements.some(
    (s) =>
      ts.isExportDeclaration(s) &&
      s.exportClause !== undefined &&
      ts.isNamedExports(s.exportClause) &&
      s.exportClause.elements.some((e) => (e.propertyName ?? e.name).text === name),
  );
}

/** Values, and the parts of literals among them, by path. */
export function partsOf(...values: readonly ts.Expression[]): ReadonlyMap<string, readonly ts.Expression[]> {
  const parts = new Map<string, ts.Expression[]>();
  for (const value of values) collect(value, "", parts);
  return parts;
}

function returnedBy({ node, jumps }: Unit): readonly ts.Expression[] {
  if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) return [node.body];
  if (!isFunctionBoundary(node)) return [];
  return jumps.flatMap(({ node: jump }) =>
    ts.isReturnStatement(jump) && jump.expression !== undefined ? [jump.expression] : [],
  );
}

function collect(node: ts.Expression, path: string, parts: Map<string, ts.Expression[]>): void {
  const e = unwrap(node);
  if (ts.isObjectLiteralExpression(e)) {
    for (const p of e.properties) {
      if (ts.isPropertyAssignment(p)) collect(p.initializer, `${path}.${p.name.getText()}`, parts);
      else if (ts.isShorthandPropertyAssignment(p)) collect(p.name, `${path}.${p.name.text}`, parts);
    }
  } else if (ts.isArrayLiteralExpression(e)) {
    for (const [i, element] of e.elements.entries()) collect(element, `${path}[${i}]`, parts);
  } else {
    const list = parts.get(path);
    if (list === undefined) parts.set(path, [e]);
    else list.push(e);
  }
}
