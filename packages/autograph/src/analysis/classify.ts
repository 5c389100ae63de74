/**
 * What a condition is: the value of a tensor, the presence of one, or plain. TypeScript gives `!t`, `a < b` and number
 * locals that become tensors plain types, so operators are taken apart and such locals are looked up.
 */
import type { TypeKind, TypeOracle } from "../oracle/oracle.ts";
import { isAssignment, isStep, type Node, ts, unwrap } from "../syntax.ts";
import type { FileModel, Place, Variable } from "./model.ts";

/** stage: a tensor; dynamic: perhaps one, told at run time; presence: whether there is one; mixed: presence and value. */
export type ConditionKind = "stage" | "dynamic" | "presence" | "plain" | "mixed";

const { SyntaxKind } = ts;

const arithmetic: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.PlusToken, "add"],
  [SyntaxKind.MinusToken, "sub"],
  [SyntaxKind.AsteriskToken, "mul"],
  [SyntaxKind.SlashToken, "div"],
  [SyntaxKind.PercentToken, "mod"],
  [SyntaxKind.AsteriskAsteriskToken, "pow"],
]);
const order: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.LessThanToken, "lt"],
  [SyntaxKind.LessThanEqualsToken, "le"],
  [SyntaxKind.GreaterThanToken, "gt"],
  [SyntaxKind.GreaterThanEqualsToken, "ge"],
]);
const equality: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.EqualsEqualsEqualsToken, "eq"],
  [SyntaxKind.EqualsEqualsToken, "eq"],
  [SyntaxKind.ExclamationEqualsEqualsToken, "ne"],
  [SyntaxKind.ExclamationEqualsToken, "ne"],
]);
export const compoundArithmetic: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.PlusEqualsToken, "add"],
  [SyntaxKind.MinusEqualsToken, "sub"],
  [SyntaxKind.AsteriskEqualsToken, "mul"],
  [SyntaxKind.SlashEqualsToken, "div"],
  [SyntaxKind.PercentEqualsToken, "mod"],
  [SyntaxKind.AsteriskAsteriskEqualsToken, "pow"],
]);
const prefixes: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.MinusToken, "neg"],
  [SyntaxKind.PlusToken, "plus"],
]);

export function isLogical(node: Node): node is ts.BinaryExpression {
  return (
    ts.isBinaryExpression(node) &&
    (node.operatorToken.kind === SyntaxKind.AmpersandAmpersandToken ||
      node.operatorToken.kind === SyntaxKind.BarBarToken)
  );
}

export function isNot(node: Node): node is ts.PrefixUnaryExpression {
  return ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken;
}

/** Numbers that become tensors: local variables, keys of static paths, and `.name` of the fields at their ends. */
export type Tainted = Set<Variable | string>;

/**
 * possible: what may be a tensor, told at run time; certain: what is one by the types and names; exact: without what only
 * shares a name, and without loops that are rolled if they are long, for errors.
 */
export type Certainty = "possible" | "certain" | "exact";

export function isTainted(tainted: Tainted, place: Place): boolean {
  return tainted.has(place.kind === "variable" ? place : place.key);
}

export class Classifier {
  readonly tainted: Tainted = new Set();
  /** Local functions that return such numbers. */
  readonly results = new Set<Node>();
  private readonly model: FileModel;
  private readonly oracle: TypeOracle;
  /** Whether what is known only at run time counts. */
  private readonly dynamic: boolean;
  /** Whether fields count that only share their name with one that staged code assigns. */
  private readonly byName: boolean;
  private readonly types: Map<Node, TypeKind>;

  constructor(model: FileModel, oracle: TypeOracle, certainty: Certainty, types: Map<Node, TypeKind>) {
    this.model = model;
    this.oracle = oracle;
    this.dynamic = certainty === "possible";
    this.byName = certainty !== "exact";
    this.types = types;
  }

  /** Whether a construct with this condition is lowered. */
  isStaged(condition: ts.Expression): boolean {
    const kind = this.condition(condition);
    return kind === "stage" || kind === "dynamic";
  }

  condition(node: ts.Expression): ConditionKind {
    const e = unwrap(node);
    if (isNot(e)) return this.condition(e.operand);
    if (isLogical(e)) return combine(this.condition(e.left), this.condition(e.right));
    if (ts.isBinaryExpression(e) && e.operatorToken.kind === SyntaxKind.CommaToken) return this.condition(e.right);
    if (this.isHidden(e)) return "stage";
    switch (this.typeOf(e)) {
      case "tensor":
        return "stage";
      case "nullable":
        return "presence";
      case "dynamic":
        return this.dynamic ? "dynamic" : "plain";
      default:
        return "plain";
    }
  }

  typeOf(node: ts.Expression): TypeKind {
    let kind = this.types.get(node);
    if (kind === undefined) {
      kind = this.oracle.kindOf(node);
      this.types.set(node, kind);
    }
    return kind;
  }

  /** Whether the value may be a tensor although its static type is that of a number or boolean. */
  isHidden(node: ts.Expression): boolean {
    const e = unwrap(node);
    if (ts.isIdentifier(e) || ts.isPropertyAccessExpression(e) || ts.isElementAccessExpression(e)) {
      if (this.tainted.size === 0) return false;
      const place = this.model.placeOf(e);
      if (place !== undefined && isTainted(this.tainted, place)) return true;
      // A field that staged code assigns is reached by other names too.
      return this.byName && ts.isPropertyAccessExpression(e) && this.tainted.has(`.${e.name.text}`) && this.isNumber(e);
    }
    if (ts.isCallExpression(e)) return this.isHiddenResult(e);
    if (isNot(e)) return this.isStaged(e.operand);
    if (isLogical(e)) return this.isStaged(e) && this.typeOf(e) === "plain";
    if (isAssignment(e)) return this.isHidden(e.right) || this.isHidden(e.left);
    if (ts.isBinaryExpression(e)) return this.operation(e) !== undefined || this.passesHidden(e);
    if (isStep(e)) return this.isHidden(e.operand);
    if (ts.isPrefixUnaryExpression(e)) return this.prefix(e) !== undefined;
    if (ts.isConditionalExpression(e)) {
      if (this.isHidden(e.whenTrue) || this.isHidden(e.whenFalse)) return true;
      return this.isStaged(e.condition) && this.typeOf(e) === "plain" && this.oracle.mayBeNumber(e);
    }
    return false;
  }

  /** As `isHidden`, for what is taken apart by a pattern. */
  hasHidden(node: ts.Expression): boolean {
    const e = unwrap(node);
    if (ts.isArrayLiteralExpression(e)) return e.elements.some((x) => this.hasHidden(x));
    if (!ts.isObjectLiteralExpression(e)) return this.isHidden(e);
    return e.properties.some((p) => {
      if (ts.isPropertyAssignment(p)) return this.hasHidden(p.initializer);
      return ts.isShorthandPropertyAssignment(p) && this.isHidden(p.name);
    });
  }

  /** The runtime function that an operator on hidden tensors becomes. */
  operation(e: ts.BinaryExpression): string | undefined {
    const kind = e.operatorToken.kind;
    const either = (test: (x: ts.Expression) => boolean): boolean => test(e.left) || test(e.right);
    const hidden = (x: ts.Expression): boolean => this.isHidden(x);
    const name = arithmetic.get(kind);
    if (name !== undefined) return either(hidden) ? name : undefined;
    const compare = order.get(kind);
    if (compare !== undefined) return either((x) => this.typeOf(x) === "tensor" || hidden(x)) ? compare : undefined;
    const equal = equality.get(kind);
    if (equal === undefined || either(isNothing)) return undefined;
    if (either(hidden)) return equal;
    // Only the run knows whether it is a number that became a tensor; another tensor is compared as an object.
    const same = equal === "eq" ? "same" : "notSame";
    return this.dynamic && either((x) => this.oracle.isNumberOrTensor(x)) ? same : undefined;
  }

  prefix(e: ts.PrefixUnaryExpression): string | undefined {
    const name = prefixes.get(e.operator);
    return name !== undefined && (this.isHidden(e.operand) || this.typeOf(e.operand) === "tensor") ? name : undefined;
  }

  private isNumber(e: ts.Expression): boolean {
    return this.typeOf(e) === "plain" && this.oracle.mayBeNumber(e);
  }

  private isHiddenResult({ expression }: ts.CallExpression): boolean {
    if (this.results.size === 0) return false;
    const fn = this.model.variableOf.get(unwrap(expression))?.functionNode;
    return fn !== undefined && this.results.has(fn);
  }

  private passesHidden(e: ts.BinaryExpression): boolean {
    if (e.operatorToken.kind === SyntaxKind.CommaToken) return this.isHidden(e.right);
    return (
      e.operatorToken.kind === SyntaxKind.QuestionQuestionToken && (this.isHidden(e.left) || this.isHidden(e.right))
    );
  }
}

function isNothing(node: ts.Expression): boolean {
  const e = unwrap(node);
  return e.kind === SyntaxKind.NullKeyword || (ts.isIdentifier(e) && e.text === "undefined") || ts.isVoidExpression(e);
}

function combine(a: ConditionKind, b: ConditionKind): ConditionKind {
  const has = (kind: ConditionKind): boolean => a === kind || b === kind;
  if (has("mixed") || (has("stage") && has("presence"))) return "mixed";
  if (has("stage")) return "stage";
  if (has("presence")) return "presence";
  return has("dynamic") ? "dynamic" : "plain";
}
