/** Answers without types, for JavaScript and for projects that want none: only names are resolved, within one file. */
import { ts, unwrap } from "../syntax.ts";
import { isPlainForm, type TypeKind, type TypeOracle } from "./oracle.ts";

export class SyntaxOracle implements TypeOracle {
  readonly mode = "syntax";
  private readonly checker: ts.TypeChecker;

  constructor(checker: ts.TypeChecker) {
    this.checker = checker;
  }

  kindOf(node: ts.Expression): TypeKind {
    const e = unwrap(node);
    if (isPlainForm(e)) return "plain";
    // x.length, x.rank and the like are numbers or strings on tensors too.
    return ts.isPropertyAccessExpression(e) && plainProperties.has(e.name.text) ? "plain" : "dynamic";
  }

  symbolOf(identifier: ts.Identifier): ts.Symbol | undefined {
    const parent = identifier.parent;
    if (ts.isShorthandPropertyAssignment(parent) && parent.name === identifier) {
      return this.checker.getShorthandAssignmentValueSymbol(parent);
    }
    return this.checker.getSymbolAtLocation(identifier);
  }

  isBooleanOrNumber(): undefined {
    return undefined;
  }

  mayBeNumber(): boolean {
    return true;
  }

  takesTensor(): boolean {
    return true;
  }

  isNumberOrTensor(): boolean {
    return false;
  }

  declaredResult(): undefined {
    return undefined;
  }

  isPrimitive(): boolean {
    return true;
  }

  isFromProject(identifier: ts.Identifier): boolean {
    const declaration = this.symbolOf(identifier)?.declarations?.[0];
    if (declaration === undefined) return false;
    if (!ts.isImportSpecifier(declaration) && !ts.isImportClause(declaration)) return true;
    const clause = ts.findAncestor(declaration, ts.isImportDeclaration);
    return clause !== undefined && ts.isStringLiteral(clause.moduleSpecifier) && clause.moduleSpecifier.text[0] === ".";
  }
}

const plainProperties: ReadonlySet<string> = new Set(["length", "rank", "size", "dtype", "shape", "disposed"]);
