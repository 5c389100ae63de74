/** Reads a file once: which variables and static paths are read and written where, which jumps and pauses a unit has. */
import { isLibrary, type TypeOracle } from "../oracle/oracle.ts";
import {
  isAssignment,
  isFunctionBoundary,
  isJump,
  isStep,
  type Node,
  type SourceFile,
  startOf,
  ts,
  unwrap,
} from "../syntax.ts";
import {
  type FileModel,
  keyOf,
  type Mention,
  type Path,
  type Place,
  type Read,
  type Unit,
  type Variable,
  type Write,
} from "./model.ts";

export function readModel(source: SourceFile, oracle: TypeOracle, runtime: string): FileModel {
  return new Reader(source, oracle, runtime).read();
}

class Reader implements FileModel {
  readonly source: SourceFile;
  readonly units: Unit[] = [];
  readonly writes: Write[] = [];
  readonly reads: Read[] = [];
  readonly mentions: Mention[] = [];
  readonly unitOf = new Map<Node, Unit>();
  readonly variableOf = new Map<Node, Variable>();
  readonly imported = new Map<Variable, string>();
  readonly ignored = new Set<Node>();
  /** Names in `export { ... }`. */
  private readonly exported = new Set<string>();
  private readonly paths = new Map<Node, Path | undefined>();
  private readonly variables = new Map<ts.Symbol | string, Variable>();
  private readonly oracle: TypeOracle;
  private readonly runtime: string;
  private unit!: Unit;
  private readonly hasIgnore: boolean;

  constructor(source: SourceFile, oracle: TypeOracle, runtime: string) {
    this.source = source;
    this.oracle = oracle;
    this.runtime = runtime;
    this.hasIgnore = source.text.includes("@ag-ignore");
  }

  read(): FileModel {
    if (this.hasIgnore) this.findFileIgnore();
    this.inUnit(this.source, () => ts.forEachChild(this.source, this.visit));
    for (const variable of this.units[0]!.variables) if (this.exported.has(variable.text)) variable.captured = true;
    const byPosition = (a: { at: number }, b: { at: number }): number => a.at - b.at;
    this.writes.sort(byPosition);
    this.reads.sort(byPosition);
    this.mentions.sort(byPosition);
    return this;
  }

  pathOf(node: Node): Path | undefined {
    if (!this.paths.has(node)) this.paths.set(node, this.findPath(node));
    return this.paths.get(node);
  }

  placeOf(node: Node): Place | undefined {
    let e = node;
    while (ts.isParenthesizedExpression(e) || ts.isNonNullExpression(e) || ts.isAsExpression(e)) e = e.expression;
    return ts.isIdentifier(e) ? this.variableOf.get(e) : this.pathOf(e);
  }

  private inUnit(node: Node, body: () => void): void {
    const unit: Unit = { node, parent: this.unit as Unit | undefined, variables: [], jumps: [], pauses: [] };
    this.units.push(unit);
    this.unitOf.set(node, unit);
    const outer = this.unit;
    this.unit = unit;
    body();
    this.unit = outer;
  }

  private readonly visit = (node: Node): void => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (this.hasIgnore && (ts.isStatement(node) || ts.isClassElement(node)) && this.hasIgnoreComment(node)) {
      this.ignored.add(node);
    }
    if (isFunctionBoundary(node)) {
      this.visitBoundary(node);
      return;
    }
    switch (node.kind) {
      case ts.SyntaxKind.InterfaceDeclaration:
      case ts.SyntaxKind.TypeAliasDeclaration:
        return;
      case ts.SyntaxKind.ImportDeclaration:
        this.visitImport(node as ts.ImportDeclaration);
        return;
      case ts.SyntaxKind.Identifier:
        this.visitRead(node as ts.Identifier);
        return;
      case ts.SyntaxKind.AwaitExpression:
      case ts.SyntaxKind.YieldExpression:
        this.unit.pauses.push(startOf(node));
        break;
      case ts.SyntaxKind.ForOfStatement:
      case ts.SyntaxKind.ForInStatement:
        this.visitIteration(node as ts.ForOfStatement | ts.ForInStatement);
        return;
      case ts.SyntaxKind.ExportDeclaration:
        this.noteExports(node as ts.ExportDeclaration);
        return;
      case ts.SyntaxKind.PropertyAccessExpression:
        this.visit((node as ts.PropertyAccessExpression).expression);
        return;
      case ts.SyntaxKind.BindingElement:
      case ts.SyntaxKind.VariableDeclaration:
        this.visitDeclaration(node as ts.VariableDeclaration | ts.BindingElement);
        return;
      case ts.SyntaxKind.PropertyAssignment: {
        const property = node as ts.PropertyAssignment;
        if (ts.isComputedPropertyName(property.name)) this.visit(property.name);
        this.visit(property.initializer);
        return;
      }
      case ts.SyntaxKind.LabeledStatement:
        this.visit((node as ts.LabeledStatement).statement);
        return;
      case ts.SyntaxKind.BreakStatement:
      case ts.SyntaxKind.ContinueStatement:
        this.unit.jumps.push({ at: startOf(node), node: node as ts.BreakOrContinueStatement });
        return;
      case ts.SyntaxKind.CallExpression:
        this.visit((node as ts.CallExpression).expression);
        this.findOptOut(node as ts.CallExpression);
        (node as ts.CallExpression).arguments.forEach(this.visit);
        return;
      case ts.SyntaxKind.ClassDeclaration:
        this.bind((node as ts.ClassDeclaration).name);
        break;
      default:
        if (isJump(node)) this.unit.jumps.push({ at: startOf(node), node });
        else if (isAssignment(node)) {
          this.visitAssignment(node);
          return;
        } else if (isStep(node)) {
          this.visitTarget(node.operand, undefined, true);
          return;
        }
    }
    ts.forEachChild(node, this.visit);
  };

  private visitBoundary(node: Node): void {
    if (ts.isFunctionDeclaration(node)) this.bind(node.name);
    if (ts.isFunctionLike(node) && (node as ts.FunctionLikeDeclaration).body === undefined) return;
    const name = (node as ts.NamedDeclaration).name;
    if (name !== undefined && ts.isComputedPropertyName(name)) this.visit(name);
    this.inUnit(node, () => {
      if (ts.isPropertyDeclaration(node)) {
        if (node.initializer !== undefined) this.visit(node.initializer);
        return;
      }
      if (ts.isFunctionExpression(node) && node.name !== undefined) this.bind(node.name);
      ts.forEachChild(node, (child) => {
        if (child === name) return;
        if (ts.isParameter(child)) {
          this.declarePattern(child.name, undefined);
          if (child.initializer !== undefined) this.visit(child.initializer);
        } else this.visit(child);
      });
    });
  }

  private visitImport(node: ts.ImportDeclaration): void {
    const clause = node.importClause;
    if (clause === undefined || !ts.isStringLiteral(node.moduleSpecifier)) return;
    const ours = isLibrary(node.moduleSpecifier.text, this.runtime);
    const note = (name: ts.Identifier, exported: string): void => {
      const variable = this.bind(name);
      if (ours && variable !== undefined) this.imported.set(variable, exported);
    };
    if (clause.name !== undefined) note(clause.name, "default");
    const bindings = clause.namedBindings;
    if (bindings === undefined) return;
    if (ts.isNamespaceImport(bindings)) note(bindings.name, "*");
    else for (const element of bindings.elements) note(element.name, (element.propertyName ?? element.name).text);
  }

  private noteExports({ exportClause, moduleSpecifier }: ts.ExportDeclaration): void {
    if (moduleSpecifier !== undefined || exportClause === undefined || !ts.isNamedExports(exportClause)) return;
    for (const { name, propertyName } of exportClause.elements) this.exported.add((propertyName ?? name).text);
  }

  private visitRead(node: ts.Identifier): void {
    const variable = this.resolve(node);
    if (variable === undefined) return;
    this.reads.push({ at: startOf(node), variable, unit: this.unit });
    if (variable.functionNode !== undefined)
      this.mentions.push({ at: startOf(node), functionNode: variable.functionNode });
  }

  private visitDeclaration(node: ts.VariableDeclaration | ts.BindingElement): void {
    if (ts.isBindingElement(node)) {
      if (node.propertyName !== undefined && ts.isComputedPropertyName(node.propertyName))
        this.visit(node.propertyName);
      if (node.initializer !== undefined) this.visit(node.initializer);
      return;
    }
    this.declarePattern(node.name, node.initializer);
    if (node.initializer !== undefined) this.visit(node.initializer);
  }

  private declarePattern(name: ts.BindingName, value: ts.Expression | undefined): void {
    if (ts.isIdentifier(name)) {
      const variable = this.bind(name);
      if (variable === undefined) return;
      this.writes.push({
        at: startOf(name),
        unit: this.unit,
        node: name,
        place: variable,
        root: undefined,
        value,
        compound: false,
        declares: true,
      });
      return;
    }
    for (const element of name.elements) {
      if (ts.isOmittedExpression(element)) continue;
      this.declarePattern(element.name, value);
      this.visit(element);
    }
  }

  private visitIteration(node: ts.ForOfStatement | ts.ForInStatement): void {
    if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) this.unit.pauses.push(startOf(node));
    if (ts.isVariableDeclarationList(node.initializer)) this.visit(node.initializer);
    else this.visitTarget(node.initializer, undefined, false);
    this.visit(node.expression);
    this.visit(node.statement);
  }

  private visitAssignment(node: ts.BinaryExpression): void {
    const compound = node.operatorToken.kind !== ts.SyntaxKind.EqualsToken;
    this.visitTarget(node.left, node.right, compound);
    this.visit(node.right);
  }

  private visitTarget(target: ts.Expression, value: ts.Expression | undefined, compound: boolean): void {
    let e = target;
    while (ts.isParenthesizedExpression(e) || ts.isNonNullExpression(e) || ts.isAsExpression(e)) e = e.expression;
    if (ts.isArrayLiteralExpression(e)) {
      for (const element of e.elements) {
        if (ts.isOmittedExpression(element)) continue;
        this.visitTarget(ts.isSpreadElement(element) ? element.expression : element, value, compound);
      }
    } else if (ts.isObjectLiteralExpression(e)) {
      for (const property of e.properties) this.visitPropertyTarget(property, value);
    } else if (isAssignment(e)) {
      this.visitTarget(e.left, value, compound);
      this.visit(e.right);
    } else if (ts.isIdentifier(e)) {
      const variable = this.resolve(e);
      if (variable !== undefined) this.noteWrite(e, variable, variable, value, compound);
      if (compound) this.visitRead(e);
    } else {
      const path = this.visitAccess(e);
      this.noteWrite(e, path, this.rootOf(e), value, compound);
    }
  }

  private visitPropertyTarget(property: ts.ObjectLiteralElementLike, value: ts.Expression | undefined): void {
    if (ts.isShorthandPropertyAssignment(property)) {
      const variable = this.resolve(property.name);
      if (variable !== undefined) this.noteWrite(property.name, variable, variable, value, false);
      if (property.objectAssignmentInitializer !== undefined) this.visit(property.objectAssignmentInitializer);
    } else if (ts.isPropertyAssignment(property)) this.visitTarget(property.initializer, value, false);
    else if (ts.isSpreadAssignment(property)) this.visitTarget(property.expression, value, false);
  }

  /** The parts of a target are read: `o` and `i` of `o[i] = v`. */
  private visitAccess(e: ts.Expression): Path | undefined {
    this.visit(e);
    return this.pathOf(e);
  }

  private noteWrite(
    node: Node,
    place: Place | undefined,
    root: Variable | undefined,
    value: ts.Expression | undefined,
    compound: boolean,
  ): void {
    if (place?.kind === "variable") place.writes++;
    this.writes.push({ at: startOf(node), unit: this.unit, node, place, root, value, compound, declares: false });
  }

  private rootOf(node: ts.Expression): Variable | undefined {
    let e = node;
    while (ts.isPropertyAccessExpression(e) || ts.isElementAccessExpression(e) || ts.isNonNullExpression(e)) {
      e = e.expression;
    }
    return ts.isIdentifier(e) ? this.variableOf.get(e) : undefined;
  }

  private findPath(node: Node): Path | undefined {
    let segment: string;
    if (ts.isPropertyAccessExpression(node)) {
      if (node.questionDotToken !== undefined) return undefined;
      segment = `.${node.name.text}`;
    } else if (ts.isElementAccessExpression(node)) {
      const index = node.argumentExpression;
      if (node.questionDotToken !== undefined) return undefined;
      if (!ts.isNumericLiteral(index) && !ts.isStringLiteral(index)) return undefined;
      segment = `[${ts.isNumericLiteral(index) ? index.text : JSON.stringify(index.text)}]`;
    } else return undefined;
    let base: Node = node.expression;
    while (ts.isParenthesizedExpression(base) || ts.isNonNullExpression(base)) base = base.expression;
    if (base.kind === ts.SyntaxKind.ThisKeyword) {
      const root = thisOwner(base);
      return { kind: "path", text: `this${segment}`, key: `this@${root.pos}${segment}`, root, prefixes: [] };
    }
    if (ts.isIdentifier(base)) {
      const root = this.variableOf.get(base);
      if (root === undefined) return undefined;
      return { kind: "path", text: `${root.text}${segment}`, key: `${keyOf(root)}${segment}`, root, prefixes: [] };
    }
    const outer = this.pathOf(base);
    if (outer === undefined) return undefined;
    const { text, key, root, prefixes } = outer;
    return { kind: "path", text: text + segment, key: key + segment, root, prefixes: [...prefixes, key] };
  }

  private bind(name: ts.Identifier | undefined): Variable | undefined {
    return name === undefined ? undefined : this.resolve(name);
  }

  private resolve(node: ts.Identifier): Variable | undefined {
    const symbol = this.oracle.symbolOf(node);
    if (symbol === undefined && node.text === "undefined") return undefined;
    const key = symbol ?? `global ${node.text}`;
    let variable = this.variables.get(key);
    if (variable === undefined) {
      variable = this.makeVariable(node.text, symbol);
      this.variables.set(key, variable);
    }
    this.variableOf.set(node, variable);
    if (variable.unit !== this.unit) variable.captured = true;
    return variable;
  }

  private makeVariable(text: string, symbol: ts.Symbol | undefined): Variable {
    const declaration = symbol?.declarations?.find((d) => d.getSourceFile() === this.source);
    const name = declaration === undefined ? undefined : (declaration as ts.NamedDeclaration).name;
    const hoisted = declaration !== undefined && isVar(declaration);
    const unit = declaration === undefined ? undefined : this.unitAround(declaration);
    let start = declaration === undefined ? -1 : startOf(declaration);
    if (unit !== undefined && declaration !== undefined && (hoisted || isInParameters(declaration, unit.node))) {
      start = ts.isSourceFile(unit.node) ? -1 : startOf(unit.node);
    }
    const variable: Variable = {
      kind: "variable",
      text,
      unit,
      index: unit?.variables.length ?? 0,
      name: name !== undefined && ts.isIdentifier(name as Node) ? (name as ts.Identifier) : undefined,
      start,
      hoisted,
      captured: declaration === undefined || isExported(declaration),
      writes: 0,
      functionNode: functionOf(declaration),
      declaration,
    };
    unit?.variables.push(variable);
    return variable;
  }

  private unitAround(declaration: Node): Unit | undefined {
    for (let node: Node | undefined = declaration; node !== undefined; node = node.parent) {
      // A function's name is outside it; that of a function expression is inside.
      if (node === declaration && !ts.isFunctionExpression(node)) continue;
      const unit = this.unitOf.get(node);
      if (unit !== undefined) return unit;
    }
    return undefined;
  }

  /** `compile(fn, { autograph: false })`: a function written there is left alone. */
  private findOptOut({ expression, arguments: [fn, options] }: ts.CallExpression): void {
    if (fn === undefined || options === undefined || !ts.isObjectLiteralExpression(options)) return;
    const name = ts.isPropertyAccessExpression(expression) ? expression.expression : expression;
    const variable = this.variableOf.get(name);
    if (variable === undefined || !this.imported.has(variable)) return;
    const isOff = options.properties.some(
      (p) =>
        ts.isPropertyAssignment(p) &&
        ts.isIdentifier(p.name) &&
        p.name.text === "autograph" &&
        p.initializer.kind === ts.SyntaxKind.FalseKeyword,
    );
    if (isOff) this.ignored.add(unwrap(fn));
  }

  private hasIgnoreComment(node: Node): boolean {
    const text = this.source.text.slice(node.getFullStart(), startOf(node));
    return /@ag-ignore(?![-\w])/.test(text);
  }

  /** `@ag-ignore` before an import, or with an empty line after it, is meant for the whole file. */
  private findFileIgnore(): void {
    const first = this.source.statements[0];
    if (first === undefined) return;
    const text = this.source.text.slice(0, startOf(first));
    if (/@ag-ignore-file\b/.test(text) || /@ag-ignore[^\n]*\r?\n\s*\r?\n/.test(text)) this.ignored.add(this.source);
    else if (ts.isImportDeclaration(first) && /@ag-ignore\b/.test(text)) this.ignored.add(this.source);
  }
}

function isVar(declaration: Node): boolean {
  if ((ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.BlockScoped) !== 0) return false;
  const owner = ts.findAncestor(declaration, (n) => (isFunctionBoundary(n) ? "quit" : ts.isVariableDeclaration(n)));
  return owner !== undefined && !ts.isCatchClause(owner.parent);
}

function isInParameters(declaration: Node, unit: Node): boolean {
  const parameter = ts.findAncestor(declaration, ts.isParameter);
  return parameter !== undefined && parameter.parent === unit;
}

/** What `this` stands for the same value in: the nearest function that is no arrow, or member of a class, or the file. */
function thisOwner(node: Node): Node {
  let owner: Node = node.parent;
  while (!ts.isSourceFile(owner)) {
    if (isFunctionBoundary(owner) && !ts.isArrowFunction(owner)) return owner;
    owner = owner.parent;
  }
  return owner;
}

function isExported(declaration: Node): boolean {
  const isOther = (n: Node): boolean => n !== declaration && isFunctionBoundary(n);
  const statement = ts.findAncestor(declaration, (n) => (isOther(n) ? "quit" : ts.isStatement(n)));
  return (
    statement !== undefined &&
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) ?? false)
  );
}

function functionOf(declaration: Node | undefined): Node | undefined {
  if (declaration === undefined) return undefined;
  if (ts.isFunctionDeclaration(declaration)) return declaration;
  if (!ts.isVariableDeclaration(declaration) || declaration.initializer === undefined) return undefined;
  const value = declaration.initializer;
  const isConst = (ts.getCombinedNodeFlags(declaration) & ts.NodeFlags.Const) !== 0;
  return isConst && (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) ? value : undefined;
}
