/**
 * Which local variables are read later: backwards over the statements of a unit, loops to a fixpoint. Sets are bit sets
 * over `Unit.variables`. It holds for the source as written; `Liveness.after` adds what lowered jumps bring with them.
 */
import {
  asList,
  isAssignment,
  isFunctionBoundary,
  isLoop,
  type Jump,
  type Loop,
  type Node,
  startOf,
  ts,
  unwrap,
} from "../syntax.ts";
import { type FileModel, slice, type Unit, type Variable } from "./model.ts";

type Bits = bigint;

interface Flow {
  /** Where break and continue lead, innermost last. */
  readonly targets: readonly {
    readonly node: Node;
    readonly label: string;
    readonly onBreak: Bits;
    readonly onContinue?: Bits;
  }[];
  /** What is live where an exception lands, and where a return lands (a finally block). */
  readonly onThrow: Bits;
  readonly onReturn: Bits;
}

/** Liveness of one unit. */
export class Liveness {
  /** Live behind each statement, as natural control flow has it. */
  private readonly behind = new Map<Node, Bits>();
  /** Live where a loop's body or test begins another round. */
  private readonly headers = new Map<Loop, Bits>();
  /** Where the fixpoint of a loop inside a loop goes on. */
  private readonly started = new Map<Loop, Bits>();
  private readonly atJump = new Map<Jump, Bits>();
  private readonly model: FileModel;
  private readonly unit: Unit;

  constructor(model: FileModel, unit: Unit) {
    this.model = model;
    this.unit = unit;
    const body = bodyOf(unit.node);
    if (body !== undefined) this.list(body, 0n, { targets: [], onThrow: 0n, onReturn: 0n });
  }

  /** Whether the variable may be read behind `statement`, by falling off its end. */
  isLiveBehind(variable: Variable, statement: Node): boolean {
    return this.has(variable, this.behind.get(statement));
  }

  isLiveAtHeader(variable: Variable, loop: Loop): boolean {
    return this.has(variable, this.headers.get(loop));
  }

  /** Whether the variable may be read where the jump lands. */
  isLiveAtTarget(variable: Variable, jump: Jump): boolean {
    return this.has(variable, this.atJump.get(jump));
  }

  private has(variable: Variable, bits: Bits | undefined): boolean {
    if (variable.captured || variable.unit !== this.unit) return true;
    return bits === undefined || (bits & (1n << BigInt(variable.index))) !== 0n;
  }

  private list(statements: readonly ts.Statement[], out: Bits, flow: Flow): Bits {
    let live = out;
    for (let i = statements.length - 1; i >= 0; i--) live = this.statement(statements[i]!, live, flow);
    return live;
  }

  private statement(node: ts.Statement, out: Bits, flow: Flow): Bits {
    this.behind.set(node, (this.behind.get(node) ?? 0n) | out);
    return this.before(node, out, flow) | flow.onThrow;
  }

  private before(node: ts.Statement, out: Bits, flow: Flow): Bits {
    if (isLoop(node)) return this.loop(node, "", out, flow);
    if (ts.isBlock(node)) return this.list(node.statements, out, flow);
    if (ts.isVariableStatement(node)) return this.declarations(node.declarationList, out);
    if (ts.isExpressionStatement(node)) return this.expression(node.expression, out);
    if (ts.isIfStatement(node)) {
      const then = this.statement(node.thenStatement, out, flow);
      const otherwise = node.elseStatement === undefined ? out : this.statement(node.elseStatement, out, flow);
      return then | otherwise | this.reads(node.expression);
    }
    if (ts.isReturnStatement(node)) {
      this.atJump.set(node, (this.atJump.get(node) ?? 0n) | flow.onReturn);
      return flow.onReturn | this.reads(node);
    }
    if (ts.isThrowStatement(node)) return flow.onThrow | this.reads(node);
    if (ts.isBreakStatement(node) || ts.isContinueStatement(node)) return this.jump(node, flow);
    if (ts.isLabeledStatement(node)) return this.labeled(node, out, flow);
    if (ts.isSwitchStatement(node)) return this.switch(node, out, flow);
    if (ts.isTryStatement(node)) return this.try(node, out, flow);
    return out | this.reads(node);
  }

  private loop(node: Loop, label: string, out: Bits, flow: Flow): Bits {
    const initial = ts.isForStatement(node) ? node.initializer : undefined;
    let header = this.started.get(node) ?? 0n;
    for (;;) {
      const next = this.round(node, label, header, out, flow);
      const grown = header | next;
      if (grown === header) break;
      header = grown;
    }
    this.started.set(node, header);
    // A staged do-while carries what its test reads from the body.
    const test = ts.isDoStatement(node) ? this.reads(node.expression) : 0n;
    this.headers.set(node, header | out | test);
    if (initial === undefined) {
      return ts.isForOfStatement(node) || ts.isForInStatement(node) ? header | this.reads(node.expression) : header;
    }
    if (ts.isVariableDeclarationList(initial)) return this.declarations(initial, header);
    return this.expression(initial, header);
  }

  /** What is live where a round begins, if `header` is live where the next one begins. */
  private round(node: Loop, label: string, header: Bits, out: Bits, flow: Flow): Bits {
    const again = (onContinue: Bits): Bits => {
      const targets = [...flow.targets, { node, label, onBreak: out, onContinue }];
      return this.statement(node.statement, onContinue, { ...flow, targets });
    };
    if (ts.isWhileStatement(node)) return again(header) | out | this.reads(node.expression);
    if (ts.isDoStatement(node)) return again(header | out | this.reads(node.expression));
    if (ts.isForStatement(node)) {
      const test = node.condition === undefined ? 0n : this.reads(node.condition);
      const update = node.incrementor === undefined ? header : this.expression(node.incrementor, header);
      return again(update) | out | test;
    }
    return again(header) | out;
  }

  private labeled(node: ts.LabeledStatement, out: Bits, flow: Flow): Bits {
    const label = node.label.text;
    const inner = node.statement;
    this.behind.set(inner, (this.behind.get(inner) ?? 0n) | out);
    if (isLoop(inner)) return this.loop(inner, label, out, flow);
    return this.statement(inner, out, { ...flow, targets: [...flow.targets, { node, label, onBreak: out }] });
  }

  private jump(node: ts.BreakOrContinueStatement, flow: Flow): Bits {
    const target = flow.targets.findLast((t) => {
      if (node.label !== undefined) return t.label === node.label.text;
      return ts.isBreakStatement(node) ? !ts.isLabeledStatement(t.node) : t.onContinue !== undefined;
    });
    const live = (ts.isBreakStatement(node) ? target?.onBreak : target?.onContinue) ?? 0n;
    this.atJump.set(node, (this.atJump.get(node) ?? 0n) | live);
    return live;
  }

  private switch(node: ts.SwitchStatement, out: Bits, flow: Flow): Bits {
    const inside = { ...flow, targets: [...flow.targets, { node, label: "", onBreak: out }] };
    let live = out;
    let any = out;
    for (const clause of node.caseBlock.clauses.toReversed()) {
      live = this.list(clause.statements, live, inside);
      any |= live | (ts.isCaseClause(clause) ? this.reads(clause.expression) : 0n);
    }
    return any | this.reads(node.expression);
  }

  private try(node: ts.TryStatement, out: Bits, flow: Flow): Bits {
    const last = node.finallyBlock;
    const afterwards = last === undefined ? out : this.statement(last, out | flow.onThrow | flow.onReturn, flow);
    const outer =
      last === undefined ? flow : { ...flow, onThrow: flow.onThrow | afterwards, onReturn: flow.onReturn | afterwards };
    const caught = node.catchClause;
    const onThrow = caught === undefined ? outer.onThrow : this.statement(caught.block, afterwards, outer);
    return this.statement(node.tryBlock, afterwards, { ...outer, onThrow });
  }

  private declarations(list: ts.VariableDeclarationList, out: Bits): Bits {
    let live = out;
    for (const declaration of list.declarations.toReversed()) {
      const variable = ts.isIdentifier(declaration.name) ? this.model.variableOf.get(declaration.name) : undefined;
      // `var x;` leaves x as it was.
      if (declaration.initializer !== undefined || variable?.hoisted !== true) live = this.without(live, variable);
      live |= this.reads(declaration);
    }
    return live;
  }

  private expression(node: ts.Expression, out: Bits): Bits {
    const e = unwrap(node);
    if (isAssignment(e) && e.operatorToken.kind === ts.SyntaxKind.EqualsToken && ts.isIdentifier(e.left)) {
      return this.without(out, this.model.variableOf.get(e.left)) | this.reads(e.right);
    }
    return out | this.reads(e);
  }

  private without(live: Bits, variable: Variable | undefined): Bits {
    return variable === undefined || variable.unit !== this.unit ? live : live & ~(1n << BigInt(variable.index));
  }

  private reads(node: Node): Bits {
    let live = 0n;
    for (const read of slice(this.model.reads, startOf(node), node.end)) {
      if (read.variable.unit === this.unit) live |= 1n << BigInt(read.variable.index);
    }
    return live;
  }
}

/** The statements of a unit; undefined where it has only an expression. */
export function bodyOf(node: Node): readonly ts.Statement[] | undefined {
  if (ts.isSourceFile(node)) return node.statements;
  if (!isFunctionBoundary(node)) return undefined;
  const body = (node as { readonly body?: Node }).body;
  return body !== undefined && ts.isBlock(body) ? asList(body) : undefined;
}
