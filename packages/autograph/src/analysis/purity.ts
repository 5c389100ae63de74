/**
 * Which counted loops may run in another way than round by round: those whose rounds do nothing but compute. Only
 * assignments of local variables, methods of tensors, functions of this library, Math, arithmetic, and functions of
 * the same file that keep to the same rule.
 */
import { isAssignment, isFunctionBoundary, isStep, type Node, startOf, ts, unwrap } from "../syntax.ts";
import type { Classifier } from "./classify.ts";
import type { Liveness } from "./liveness.ts";
import type { FileModel, Variable } from "./model.ts";
import type { Modified } from "./modified.ts";

const { SyntaxKind } = ts;

export class Purity {
  private readonly model: FileModel;
  private readonly classifier: Classifier;
  private readonly modified: Modified;
  private readonly isNumber: (node: Node) => boolean;
  private readonly functions = new Map<Node, boolean>();
  private readonly loops = new Map<ts.ForStatement, boolean>();
  /** Whether the piece looked at computes with tensors at all. */
  private sawTensor = false;

  constructor(model: FileModel, classifier: Classifier, modified: Modified, isNumber: (node: Node) => boolean) {
    this.model = model;
    this.classifier = classifier;
    this.modified = modified;
    this.isNumber = isNumber;
  }

  /** Whether the loop counts over plain numbers, computes only, and leaves no number behind that is read later. */
  isRollable(loop: ts.ForStatement, liveness: Liveness): boolean {
    return this.isPureLoop(loop) && this.keepsNumbers(loop, liveness);
  }

  /** Whether the loop counts over plain numbers and computes only. */
  isPureLoop(loop: ts.ForStatement): boolean {
    let known = this.loops.get(loop);
    if (known === undefined) {
      this.sawTensor = false;
      known = this.isCounted(loop) && this.isPure(loop.statement, loop) && this.sawTensor;
      this.loops.set(loop, known);
    }
    return known;
  }

  private isCounted(loop: ts.ForStatement): boolean {
    const { initializer, condition, incrementor } = loop;
    if (initializer === undefined || condition === undefined || incrementor === undefined) return false;
    if (!ts.isVariableDeclarationList(initializer) || (initializer.flags & ts.NodeFlags.Let) === 0) return false;
    const declaration = initializer.declarations[0];
    if (initializer.declarations.length !== 1 || declaration === undefined || !ts.isIdentifier(declaration.name))
      return false;
    const counter = this.model.variableOf.get(declaration.name);
    if (counter === undefined || declaration.initializer === undefined) return false;
    if (!this.isConstantIn(declaration.initializer, loop)) return false;
    const test = unwrap(condition);
    if (!ts.isBinaryExpression(test) || !comparisons.has(test.operatorToken.kind)) return false;
    if (!this.names(test.left, counter) || !this.isConstantIn(test.right, loop)) return false;
    return this.steps(unwrap(incrementor), counter, loop) && this.writesOf(counter, loop) === 1;
  }

  private steps(e: ts.Expression, counter: Variable, loop: ts.ForStatement): boolean {
    if (isStep(e)) return this.names(e.operand, counter);
    if (!isAssignment(e) || !this.names(e.left, counter)) return false;
    if (e.operatorToken.kind !== SyntaxKind.PlusEqualsToken && e.operatorToken.kind !== SyntaxKind.MinusEqualsToken) {
      return false;
    }
    return this.isConstantIn(e.right, loop);
  }

  private names(node: ts.Expression, variable: Variable): boolean {
    const e = unwrap(node);
    return ts.isIdentifier(e) && this.model.variableOf.get(e) === variable;
  }

  private writesOf(counter: Variable, loop: Node): number {
    return this.model.writes.filter(
      (w) => w.place === counter && !w.declares && w.at >= startOf(loop) && w.at < loop.end,
    ).length;
  }

  /** Whether the value is a plain number that no round of the loop changes. */
  private isConstantIn(node: ts.Expression, loop: ts.ForStatement): boolean {
    const e = unwrap(node);
    if (this.classifier.typeOf(e) !== "plain") return false;
    if (ts.isNumericLiteral(e)) return true;
    if (ts.isIdentifier(e)) {
      const variable = this.model.variableOf.get(e);
      return !this.modified.places(startOf(loop), loop.end).some((p) => p === variable);
    }
    if (ts.isPropertyAccessExpression(e))
      return e.expression.kind === SyntaxKind.ThisKeyword || this.isConstantBase(e.expression, loop);
    if (ts.isElementAccessExpression(e)) {
      return ts.isNumericLiteral(e.argumentExpression) && this.isConstantBase(e.expression, loop);
    }
    if (isMutation(e)) return false;
    if (ts.isPrefixUnaryExpression(e)) return this.isConstantIn(e.operand, loop);
    if (ts.isBinaryExpression(e)) return this.isConstantIn(e.left, loop) && this.isConstantIn(e.right, loop);
    if (ts.isCallExpression(e)) return isMath(e.expression) && e.arguments.every((a) => this.isConstantIn(a, loop));
    return false;
  }

  private isConstantBase(node: ts.Expression, loop: ts.ForStatement): boolean {
    const e = unwrap(node);
    if (ts.isPropertyAccessExpression(e)) {
      // A carried tensor keeps its shape.
      return this.classifier.typeOf(e.expression) === "tensor" || this.isConstantBase(e.expression, loop);
    }
    if (e.kind === SyntaxKind.ThisKeyword) return true;
    if (!ts.isIdentifier(e)) return false;
    const variable = this.model.variableOf.get(e);
    return variable !== undefined && !this.modified.places(startOf(loop), loop.end).some((p) => p === variable);
  }

  private keepsNumbers(loop: ts.ForStatement, liveness: Liveness): boolean {
    return this.modified.writes(startOf(loop), loop.end).every(({ place, node }) => {
      return place?.kind === "variable" && (!liveness.isLiveBehind(place, loop) || !this.isNumber(node));
    });
  }

  /** `scope`: assignments of what is declared in it are its own business; of other locals too, where it is a loop. */
  private isPure(node: Node, scope: Node): boolean {
    if (ts.isTypeNode(node)) return true;
    if (isAssignment(node)) return this.isLocal(node.left, scope) && this.isPure(node.right, scope);
    if (isStep(node)) return this.isLocal(node.operand, scope);
    if (ts.isCallExpression(node)) return this.isPureCall(node, scope);
    if (ts.isNewExpression(node)) return isError(node) && (node.arguments?.every((a) => this.isPure(a, scope)) ?? true);
    if (isFunctionBoundary(node)) return ts.isArrowFunction(node) && this.isPureFunction(node);
    if (ts.isElementAccessExpression(node)) {
      return ts.isNumericLiteral(node.argumentExpression) && this.isPure(node.expression, scope);
    }
    if (!allowed.has(node.kind)) return false;
    return !ts.forEachChild(node, (child) => !this.isPure(child, scope));
  }

  private isLocal(target: ts.Expression, scope: Node): boolean {
    const e = unwrap(target);
    if (ts.isArrayLiteralExpression(e)) return e.elements.every((x) => this.isLocal(x, scope));
    const variable = ts.isIdentifier(e) ? this.model.variableOf.get(e) : undefined;
    if (variable?.unit === undefined) return false;
    return isFunctionBoundary(scope)
      ? variable.unit.node === scope
      : !ts.isSourceFile(variable.unit.node) || !variable.captured;
  }

  private isPureCall(node: ts.CallExpression, scope: Node): boolean {
    if (!node.arguments.every((a) => this.isPure(a, scope))) return false;
    const callee = unwrap(node.expression);
    if (ts.isPropertyAccessExpression(callee)) {
      if (isMath(callee)) return true;
      const base = unwrap(callee.expression);
      if (ts.isIdentifier(base) && this.isLibraryNamespace(base)) return this.seen();
      return (
        this.isPure(callee.expression, scope) && this.classifier.typeOf(callee.expression) === "tensor" && this.seen()
      );
    }
    // grad(f)(w)
    if (ts.isCallExpression(callee)) return this.isPure(callee, scope);
    if (!ts.isIdentifier(callee)) return false;
    const variable = this.model.variableOf.get(callee);
    if (variable === undefined) return false;
    if (this.model.imported.has(variable)) return this.seen();
    if (variable.functionNode !== undefined) return this.isPureFunction(variable.functionNode);
    return this.isMadeByLibrary(variable);
  }

  private seen(): true {
    this.sawTensor = true;
    return true;
  }

  private isLibraryNamespace(node: ts.Identifier): boolean {
    const variable = this.model.variableOf.get(node);
    return variable !== undefined && this.model.imported.get(variable) === "*";
  }

  /** `const step = grad(loss)`: a function of this library's making, of a function that is pure. */
  private isMadeByLibrary(variable: Variable): boolean {
    const { declaration } = variable;
    if (declaration === undefined || !ts.isVariableDeclaration(declaration) || variable.writes > 0) return false;
    const value = declaration.initializer === undefined ? undefined : unwrap(declaration.initializer);
    return value !== undefined && ts.isCallExpression(value) && this.isPureCall(value, value);
  }

  private isPureFunction(node: Node): boolean {
    let known = this.functions.get(node);
    if (known === undefined) {
      // A function that calls itself is not rolled.
      this.functions.set(node, false);
      const { body, modifiers } = node as ts.FunctionLikeDeclaration & {
        readonly modifiers?: ts.NodeArray<ts.ModifierLike>;
      };
      const isAsync = modifiers?.some((m) => m.kind === SyntaxKind.AsyncKeyword) === true;
      known = body !== undefined && !isAsync && this.isPure(body, node);
      this.functions.set(node, known);
    }
    return known;
  }
}

const comparisons: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.LessThanToken,
  SyntaxKind.LessThanEqualsToken,
  SyntaxKind.GreaterThanToken,
  SyntaxKind.GreaterThanEqualsToken,
]);

/** Kinds of nodes that do nothing but pass on what their children compute. */
const allowed: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.Block,
  SyntaxKind.ExpressionStatement,
  SyntaxKind.EmptyStatement,
  SyntaxKind.VariableStatement,
  SyntaxKind.VariableDeclarationList,
  SyntaxKind.VariableDeclaration,
  SyntaxKind.ArrayBindingPattern,
  SyntaxKind.ObjectBindingPattern,
  SyntaxKind.BindingElement,
  SyntaxKind.OmittedExpression,
  SyntaxKind.IfStatement,
  SyntaxKind.WhileStatement,
  SyntaxKind.DoStatement,
  SyntaxKind.ForStatement,
  SyntaxKind.ForOfStatement,
  SyntaxKind.BreakStatement,
  SyntaxKind.ContinueStatement,
  SyntaxKind.ReturnStatement,
  SyntaxKind.ThrowStatement,
  SyntaxKind.LabeledStatement,
  SyntaxKind.Identifier,
  SyntaxKind.ThisKeyword,
  SyntaxKind.NumericLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TrueKeyword,
  SyntaxKind.FalseKeyword,
  SyntaxKind.NullKeyword,
  SyntaxKind.ParenthesizedExpression,
  SyntaxKind.AsExpression,
  SyntaxKind.NonNullExpression,
  SyntaxKind.SatisfiesExpression,
  SyntaxKind.BinaryExpression,
  SyntaxKind.PrefixUnaryExpression,
  SyntaxKind.ConditionalExpression,
  SyntaxKind.PropertyAccessExpression,
  SyntaxKind.ArrayLiteralExpression,
  SyntaxKind.ObjectLiteralExpression,
  SyntaxKind.PropertyAssignment,
  SyntaxKind.ShorthandPropertyAssignment,
]);
for (let kind = SyntaxKind.FirstPunctuation; kind <= SyntaxKind.LastPunctuation; kind++) {
  (allowed as Set<ts.SyntaxKind>).add(kind);
}

function isMutation(node: Node): boolean {
  return isStep(node) || isAssignment(node);
}

function isMath(node: ts.Expression): boolean {
  return (
    ts.isPropertyAccessExpression(node) &&
    ts.isIdentifier(node.expression) &&
    node.expression.text === "Math" &&
    node.name.text !== "random"
  );
}

function isError(node: ts.NewExpression): boolean {
  return ts.isIdentifier(node.expression) && /Error$/.test(node.expression.text);
}
