/** What cannot be lowered, or would mean something else: found on the plan, before anything is edited. */
import type { Diagnostics } from "../diagnostics.ts";
import type { TypeOracle } from "../oracle/oracle.ts";
import { isFunctionBoundary, isLoop, listOf, type Node, startOf, ts, unwrap } from "../syntax.ts";
import { isInScope } from "./captures.ts";
import { isLogical } from "./classify.ts";
import { findEscapes } from "./escapes.ts";
import { findHiddenNumbers } from "./hidden-numbers.ts";
import { slice, type Unit, type Variable } from "./model.ts";
import type { Plan } from "./plan.ts";
import { isTraced } from "./traced.ts";

export function findHazards(plan: Plan, oracle: TypeOracle, diagnostics: Diagnostics): void {
  if (plan.model.ignored.has(plan.model.source)) return;
  new Hazards(plan, diagnostics).run();
  if (oracle.mode !== "types") return;
  findEscapes(plan, oracle, diagnostics);
  findHiddenNumbers(plan, oracle, diagnostics);
}

class Hazards {
  private readonly plan: Plan;
  private readonly diagnostics: Diagnostics;
  private unit!: Unit;
  private names: Map<string, Variable[]> | undefined;

  constructor(plan: Plan, diagnostics: Diagnostics) {
    this.plan = plan;
    this.diagnostics = diagnostics;
  }

  run(): void {
    this.inUnit(this.plan.model.source);
    this.checkWrites();
    this.checkSwitches();
    this.checkGrowth();
  }

  private inUnit(node: Node): void {
    const outer = this.unit;
    this.unit = this.plan.model.unitOf.get(node)!;
    ts.forEachChild(node, this.visit);
    this.unit = outer;
  }

  private readonly visit = (node: Node): void => {
    if (this.plan.model.ignored.has(node)) return;
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (isFunctionBoundary(node)) {
      if (this.plan.model.unitOf.has(node)) this.inUnit(node);
      return;
    }
    const condition = conditionOf(node);
    if (condition !== undefined) this.checkCondition(node, condition);
    if (ts.isForInStatement(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined)) {
      const kind = this.plan.certain.typeOf(node.expression);
      if (kind === "tensor" || kind === "range") {
        this.diagnostics.report("AG1003", node.expression, `${text(node.expression)} is a ${kind}`);
      }
    }
    if (ts.isSwitchStatement(node)) {
      const kind = this.plan.certain.condition(node.expression);
      if (kind === "stage") {
        this.diagnostics.report(
          "AG1007",
          node.expression,
          `${text(node.expression)} is a tensor, which no case is equal to`,
        );
      }
    }
    if (ts.isCaseClause(node) && this.plan.certain.condition(node.expression) === "stage") {
      this.diagnostics.report(
        "AG1007",
        node.expression,
        `${text(node.expression)} is a tensor, which no subject of a switch is equal to`,
      );
    }
    if (isLogical(node) && this.plan.certain.isStaged(node.left)) this.checkOperand(node.right);
    const list = listOf(node);
    if (list !== undefined) this.checkList(list);
    ts.forEachChild(node, this.visit);
  };

  private checkCondition(owner: Node, condition: ts.Expression): void {
    const mixed = findMixed(condition, (e) => this.plan.certain.condition(e) === "mixed");
    if (mixed !== undefined) {
      this.diagnostics.report(
        "AG1008",
        mixed,
        `${text(mixed)} asks whether a tensor is there and what its value is, at once`,
      );
    }
    if (!this.plan.isSure(owner) || !this.plan.isPaused(owner, this.unit) || !isTraced(this.plan.model, this.unit))
      return;
    const what = isLoop(owner) ? "loop" : "block";
    this.diagnostics.report(
      "AG1012",
      condition,
      `await or yield is in the ${what} that depends on the tensor ${text(condition)}`,
    );
  }

  /** The right operand of a staged `&&` or `||` may be evaluated whatever the left one is. */
  private checkOperand(operand: ts.Expression): void {
    for (const { node } of this.plan.modified.writes(startOf(operand), operand.end)) {
      const what = `${text(node)} is assigned in the right operand of a tensor's && or ||, which is computed in any case`;
      this.diagnostics.report("AG1005", node, what);
    }
  }

  /** Declarations that a guard will enclose, used from outside of it. */
  private checkList(statements: readonly ts.Statement[]): void {
    const end = statements.at(-1)?.end ?? 0;
    const exit = statements.findIndex(
      (s) => this.plan.leaving(this.unit, startOf(s), s.end).length > 0 && s !== statements.at(-1),
    );
    if (exit < 0) return;
    const rest = statements.slice(exit + 1);
    const from = startOf(rest[0]!);
    for (const statement of rest) {
      for (const name of declaredNames(statement)) {
        const variable = this.plan.model.variableOf.get(name);
        const early = this.plan.model.reads.find((r) => r.variable === variable && (r.at < from || r.at >= end));
        if (variable === undefined || variable.hoisted || early === undefined) continue;
        this.diagnostics.report(
          "AG1009",
          name,
          `'${name.text}' is declared behind a staged exit (line ${this.lineOf(startOf(statements[exit]!))}) and used before it (line ${this.lineOf(early.at)})`,
        );
      }
    }
  }

  private lineOf(at: number): number {
    return this.plan.model.source.getLineAndCharacterOfPosition(at).line + 1;
  }

  /** Writes in staged blocks to places that have no name, or whose name means another variable there. */
  private checkWrites(): void {
    for (const { start, end, sure } of this.plan.stagedRegions()) {
      if (!sure) continue;
      for (const { place, node } of this.plan.modified.writes(start, end)) {
        if (this.plan.isIgnored(node)) continue;
        if (place?.kind === "variable" && this.isShadowed(place, start, end)) {
          const line = this.lineOf(start);
          this.diagnostics.report(
            "AG1005",
            node,
            `'${place.text}' is assigned by the staged block of line ${line}, where the name means another variable`,
          );
        }
        if (place !== undefined) continue;
        this.diagnostics.report("AG1005", node, `the write to ${text(node)} in a staged block is not followed`);
      }
    }
  }

  private isShadowed(variable: Variable, start: number, end: number): boolean {
    const others = this.byName().get(variable.text);
    if (others === undefined || others.length < 2) return false;
    return others.some(
      (v) => v !== variable && v.start < start && v.start > variable.start && isInScope(v, start, end),
    );
  }

  private byName(): ReadonlyMap<string, readonly Variable[]> {
    if (this.names === undefined) {
      this.names = new Map();
      for (const unit of this.plan.model.units) {
        for (const variable of unit.variables) {
          const list = this.names.get(variable.text);
          if (list === undefined) this.names.set(variable.text, [variable]);
          else list.push(variable);
        }
      }
    }
    return this.names;
  }

  private checkSwitches(): void {
    for (const unit of this.plan.model.units) {
      for (const { node: jump } of unit.jumps) {
        if (!this.plan.lowered.has(jump)) continue;
        const target = this.plan.targetOf(jump);
        for (let n: Node = jump.parent; n !== unit.node; n = n.parent) {
          if (ts.isSwitchStatement(n)) {
            const word = ts.isReturnStatement(jump) ? "return" : ts.isBreakStatement(jump) ? "break" : "continue";
            this.diagnostics.report("AG1006", jump, `this ${word} leaves a switch from within a staged block`);
          }
          if (n === target) break;
        }
      }
    }
  }

  /** `list.push(tensor)` in a staged loop, of a list from outside of it. */
  private checkGrowth(): void {
    for (const { start, end, loop } of this.plan.stagedLoops()) {
      const { reads } = this.plan.model;
      for (const { at, variable, unit } of slice(reads, start, end)) {
        if (variable.start >= start && variable.start < end) continue;
        const call = growthAt(this.plan.model.source, at);
        if (call === undefined || ts.isSourceFile(unit.node) || isAsync(unit.node) || this.plan.isIgnored(call))
          continue;
        if (!call.arguments.some((a) => this.plan.certain.condition(a) === "stage")) continue;
        const line = this.lineOf(startOf(loop));
        this.diagnostics.report("AG1013", call, `'${variable.text}' grows in the staged loop of line ${line}`);
      }
    }
  }
}

/** The call `name.push(...)` or `name.unshift(...)` whose name is at a position. */
function growthAt(source: ts.SourceFile, at: number): ts.CallExpression | undefined {
  let node: Node = source;
  for (;;) {
    const inner: Node | undefined = ts.forEachChild(node, (c) => (startOf(c) <= at && at < c.end ? c : undefined));
    if (inner === undefined) break;
    node = inner;
  }
  const access = node.parent;
  if (!ts.isPropertyAccessExpression(access) || access.expression !== node) return undefined;
  if (access.name.text !== "push" && access.name.text !== "unshift") return undefined;
  const call = access.parent;
  return ts.isCallExpression(call) && call.expression === access ? call : undefined;
}

function isAsync(node: Node): boolean {
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.AsyncKeyword) ?? false)
  );
}

/** The condition of a construct. */
export function conditionOf(node: Node): ts.Expression | undefined {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) return node.expression;
  if (ts.isForStatement(node) || ts.isConditionalExpression(node)) return node.condition;
  return undefined;
}

function findMixed(node: ts.Expression, isMixed: (e: ts.Expression) => boolean): ts.Expression | undefined {
  const e = unwrap(node);
  if (ts.isPrefixUnaryExpression(e)) return findMixed(e.operand, isMixed);
  if (!isLogical(e) || !isMixed(e)) return undefined;
  return findMixed(e.left, isMixed) ?? findMixed(e.right, isMixed) ?? e;
}

function declaredNames(node: ts.Statement): readonly ts.Identifier[] {
  if (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)) return node.name === undefined ? [] : [node.name];
  if (!ts.isVariableStatement(node)) return [];
  return node.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name] : []));
}

function text(node: Node): string {
  const source = node.getText().replace(/\s+/g, " ");
  return source.length > 60 ? `${source.slice(0, 57)}...` : source;
}
