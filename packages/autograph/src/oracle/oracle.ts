/** What the transform asks of types. Behind an interface, so that another checker, or none, can answer. */
import { ts } from "../syntax.ts";

/**
 * What the static type of an expression says of it:
 * tensor: surely or possibly a tensor, and never null or undefined; nullable: a tensor or nothing;
 * range: what range() returns; dynamic: any, unknown, a free type parameter; plain: no tensor by its type.
 */
export type TypeKind = "tensor" | "nullable" | "range" | "dynamic" | "plain";

export interface TypeOracle {
  /** "syntax": without types, `dynamic` is the answer for whatever is not plainly something else. */
  readonly mode: "types" | "syntax";
  kindOf(node: ts.Expression): TypeKind;
  /** What an identifier is bound to; for the name in `{ x }`, the variable that is read. */
  symbolOf(identifier: ts.Identifier): ts.Symbol | undefined;
  /** The symbol behind an import, as far as it is known. */
  isBooleanOrNumber(node: ts.Expression): "boolean" | "number" | undefined;
  /** Whether values of the variable may be numbers or booleans, so that they could become tensors. */
  mayBeNumber(node: ts.Node): boolean;
  /** Whether the place that the expression is given to takes a tensor by its type; `unknown`, or true, where that has none. */
  takesTensor(node: ts.Expression, unknown?: boolean): boolean;
  /** Whether the type names both tensors and numbers: such a value may be a number that became a tensor. */
  isNumberOrTensor(node: ts.Expression): boolean;
  /** Whether the result of a function can be a tensor by its declaration, or is nobody's; undefined where none is declared. */
  declaredResult(node: ts.SignatureDeclaration): boolean | undefined;
  /** Whether the variable holds a number, string, boolean, bigint, null or undefined. */
  isPrimitive(node: ts.Node): boolean;
  /** Whether the symbol comes from a file of the project (and so is transformed as this one is). */
  isFromProject(identifier: ts.Identifier): boolean;
}

/** Whether a module specifier names this library, whose runtime module is `runtime`. */
export function isLibrary(specifier: string, runtime: string): boolean {
  const name = runtime.startsWith("@") ? runtime.split("/").slice(0, 2).join("/") : runtime.split("/")[0]!;
  return specifier === name || specifier.startsWith(`${name}/`) || specifier.startsWith("@sinter/");
}

const { SyntaxKind } = ts;
/** Operators whose result is a plain boolean or number whatever their operands, or that a tensor makes throw. */
export const plainOperators: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.EqualsEqualsToken,
  SyntaxKind.EqualsEqualsEqualsToken,
  SyntaxKind.ExclamationEqualsToken,
  SyntaxKind.ExclamationEqualsEqualsToken,
  SyntaxKind.LessThanToken,
  SyntaxKind.LessThanEqualsToken,
  SyntaxKind.GreaterThanToken,
  SyntaxKind.GreaterThanEqualsToken,
  SyntaxKind.InstanceOfKeyword,
  SyntaxKind.InKeyword,
  SyntaxKind.PlusToken,
  SyntaxKind.MinusToken,
  SyntaxKind.AsteriskToken,
  SyntaxKind.AsteriskAsteriskToken,
  SyntaxKind.SlashToken,
  SyntaxKind.PercentToken,
  SyntaxKind.AmpersandToken,
  SyntaxKind.BarToken,
  SyntaxKind.CaretToken,
  SyntaxKind.LessThanLessThanToken,
  SyntaxKind.GreaterThanGreaterThanToken,
  SyntaxKind.GreaterThanGreaterThanGreaterThanToken,
]);

/** Whether an expression is no tensor by its form alone. Asked with the wrapping of parentheses taken off. */
export function isPlainForm(e: ts.Expression): boolean {
  switch (e.kind) {
    case SyntaxKind.NumericLiteral:
    case SyntaxKind.StringLiteral:
    case SyntaxKind.NoSubstitutionTemplateLiteral:
    case SyntaxKind.TemplateExpression:
    case SyntaxKind.BigIntLiteral:
    case SyntaxKind.RegularExpressionLiteral:
    case SyntaxKind.TrueKeyword:
    case SyntaxKind.FalseKeyword:
    case SyntaxKind.NullKeyword:
    case SyntaxKind.TypeOfExpression:
    case SyntaxKind.DeleteExpression:
    case SyntaxKind.VoidExpression:
    case SyntaxKind.FunctionExpression:
    case SyntaxKind.ArrowFunction:
    case SyntaxKind.ClassExpression:
    case SyntaxKind.ObjectLiteralExpression:
    case SyntaxKind.ArrayLiteralExpression:
      return true;
    case SyntaxKind.BinaryExpression:
      return plainOperators.has((e as ts.BinaryExpression).operatorToken.kind);
    case SyntaxKind.PrefixUnaryExpression:
      return (e as ts.PrefixUnaryExpression).operator !== SyntaxKind.ExclamationToken;
    case SyntaxKind.Identifier:
      return (e as ts.Identifier).text === "undefined";
    default:
      return false;
  }
}
