/** Answers from the type checker of a project. Tensors are known by the literal type of their `~sinter` property. */
import { ts, unwrap } from "../syntax.ts";
import { isPlainForm, type TypeKind, type TypeOracle } from "./oracle.ts";

const { TypeFlags, SymbolFlags } = ts;
const brand = "~sinter";
const nothing = TypeFlags.Null | TypeFlags.Undefined | TypeFlags.Void;
const primitive = TypeFlags.StringLike | TypeFlags.NumberLike | TypeFlags.BooleanLike | TypeFlags.BigIntLike | nothing;

export class CheckerOracle implements TypeOracle {
  readonly mode = "types";
  private readonly checker: ts.TypeChecker;
  private readonly kinds = new Map<ts.Type, TypeKind>();

  constructor(checker: ts.TypeChecker) {
    this.checker = checker;
  }

  kindOf(node: ts.Expression): TypeKind {
    const e = unwrap(node);
    if (isPlainForm(e)) return "plain";
    const type = this.checker.getTypeAtLocation(node);
    const kind = this.kindOfType(type);
    return kind === "plain" && isWhatIsLeft(type) && this.isDeclaredTensor(e) ? "tensor" : kind;
  }

  /** Whether the variable or property itself may hold a tensor and is never nothing, whatever the checker knows of it here. */
  private isDeclaredTensor(e: ts.Expression): boolean {
    if (!ts.isIdentifier(e) && !ts.isPropertyAccessExpression(e)) return false;
    const symbol = this.checker.getSymbolAtLocation(e);
    return symbol !== undefined && this.kindOfType(this.checker.getTypeOfSymbol(symbol)) === "tensor";
  }

  symbolOf(identifier: ts.Identifier): ts.Symbol | undefined {
    const parent = identifier.parent;
    if (ts.isShorthandPropertyAssignment(parent) && parent.name === identifier) {
      return this.checker.getShorthandAssignmentValueSymbol(parent);
    }
    return this.checker.getSymbolAtLocation(identifier);
  }

  isBooleanOrNumber(node: ts.Expression): "boolean" | "number" | undefined {
    const type = this.checker.getTypeAtLocation(node);
    if (every(type, (t) => (t.flags & (TypeFlags.BooleanLike | nothing)) !== 0)) return "boolean";
    return every(type, (t) => (t.flags & (TypeFlags.NumberLike | TypeFlags.BooleanLike | nothing)) !== 0)
      ? "number"
      : undefined;
  }

  mayBeNumber(node: ts.Node): boolean {
    const type = this.checker.getTypeAtLocation(node);
    const wanted = TypeFlags.NumberLike | TypeFlags.BooleanLike | TypeFlags.Any | TypeFlags.Unknown;
    return some(type, (t) => (t.flags & wanted) !== 0);
  }

  takesTensor(node: ts.Expression, unknown = true): boolean {
    const type = this.checker.getContextualType(node);
    return type === undefined ? unknown : this.admits(type);
  }

  declaredResult(node: ts.SignatureDeclaration): boolean | undefined {
    if (node.type !== undefined) return this.admits(this.checker.getTypeFromTypeNode(node.type));
    if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return undefined;
    const signatures = this.checker.getContextualType(node)?.getCallSignatures() ?? [];
    // A free type parameter declares nothing: the caller gets what is inferred.
    const takes = (type: ts.Type): boolean =>
      (type.flags & (TypeFlags.Void | TypeFlags.Any | TypeFlags.Unknown)) !== 0 ||
      ((type.flags & TypeFlags.Instantiable) === 0 && this.admits(type));
    return signatures.some((s) => takes(s.getReturnType())) ? true : undefined;
  }

  isNumberOrTensor(node: ts.Expression): boolean {
    const type = this.checker.getTypeAtLocation(unwrap(node));
    if (!type.isUnion() || !some(type, (t) => (t.flags & TypeFlags.NumberLike) !== 0)) return false;
    const kind = this.kindOfType(type);
    return kind === "tensor" || kind === "nullable";
  }

  isPrimitive(node: ts.Node): boolean {
    return every(this.checker.getTypeAtLocation(node), (t) => (t.flags & (primitive | TypeFlags.Any)) !== 0);
  }

  isFromProject(identifier: ts.Identifier): boolean {
    let symbol = this.checker.getSymbolAtLocation(identifier);
    if (symbol !== undefined && (symbol.flags & SymbolFlags.Alias) !== 0)
      symbol = this.checker.getAliasedSymbol(symbol);
    const file = symbol?.declarations?.[0]?.getSourceFile();
    return file !== undefined && !file.isDeclarationFile && !file.fileName.includes("/node_modules/");
  }

  private admits(type: ts.Type): boolean {
    return this.kindOfType(type) !== "plain";
  }

  private kindOfType(type: ts.Type): TypeKind {
    let kind = this.kinds.get(type);
    if (kind === undefined) {
      kind = this.findKind(type);
      this.kinds.set(type, kind);
    }
    return kind;
  }

  private findKind(type: ts.Type): TypeKind {
    if ((type.flags & (TypeFlags.Any | TypeFlags.Unknown)) !== 0) return "dynamic";
    if ((type.flags & (primitive | TypeFlags.Never)) !== 0) return "plain";
    if ((type.flags & TypeFlags.Instantiable) !== 0) {
      const constraint = this.checker.getBaseConstraintOfType(type);
      return constraint === undefined || constraint === type ? "dynamic" : this.kindOfType(constraint);
    }
    if (type.isUnion()) return this.kindOfUnion(type);
    const property = type.getProperty(brand);
    if (property === undefined) return "plain";
    const value = this.checker.getTypeOfSymbol(property);
    if (!value.isStringLiteral()) return "plain";
    return value.value === "tensor" ? "tensor" : value.value === "range" ? "range" : "plain";
  }

  private kindOfUnion(type: ts.UnionType): TypeKind {
    let empty = false;
    const kinds = new Set<TypeKind>();
    for (const member of type.types) {
      if ((member.flags & nothing) !== 0) empty = true;
      kinds.add(this.kindOfType(member));
    }
    if (kinds.has("tensor") || kinds.has("nullable")) return empty || kinds.has("nullable") ? "nullable" : "tensor";
    if (kinds.has("range")) return "range";
    return kinds.has("dynamic") ? "dynamic" : "plain";
  }
}

function some(type: ts.Type, test: (t: ts.Type) => boolean): boolean {
  return type.isUnion() ? type.types.some((t) => some(t, test)) : test(type);
}

function every(type: ts.Type, test: (t: ts.Type) => boolean): boolean {
  return type.isUnion() ? type.types.every((t) => every(t, test)) : test(type);
}

/**
 * What the checker leaves of a type where a condition has failed: it takes tensors for true, as all objects are, while a
 * staged condition fails for tensors too.
 */
function isWhatIsLeft(type: ts.Type): boolean {
  const isFalse =
    (type.flags & TypeFlags.BooleanLiteral) !== 0 && "intrinsicName" in type && type.intrinsicName === "false";
  return isFalse || (type.flags & TypeFlags.Never) !== 0;
}
