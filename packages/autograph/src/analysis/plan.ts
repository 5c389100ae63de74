/**
 * Decides what becomes of each construct and each jump. Conditions decide what is staged, staged constructs which jumps
 * must be lowered, lowered jumps which code is guarded, and guarded code which number locals become tensors, whose
 * conditions are staged in turn: so it runs until nothing changes. All sets only grow.
 */
import type { TypeOracle } from "../oracle/oracle.ts";
import {
  asList,
  isEndless,
  isFunctionBoundary,
  isLoop,
  type Jump,
  type Loop,
  listOf,
  type Node,
  startOf,
  ts,
} from "../syntax.ts";
import { Classifier, type Tainted } from "./classify.ts";
import { leaves, targetOf } from "./jumps.ts";
import { bodyOf, Liveness } from "./liveness.ts";
import { callsOfLocals, type LocalCall } from "./local-calls.ts";
import { type FileModel, keyOf, slice, type Unit } from "./model.ts";
import { Modified } from "./modified.ts";
import { Purity } from "./purity.ts";
import { isReached } from "./reach.ts";
import { numbersReturned, partsOf, type Returned, returnsFrom, returnsValue } from "./returns.ts";

/** staged: becomes a call; predicated: stays a loop whose body is a staged block; native: stays. */
export type LoopMode = "staged" | "predicated" | "native";

/** Code that ends up in a function of its own. `sure`: by the types, not only by what may turn up at run time. */
export interface Region {
  readonly start: number;
  readonly end: number;
  readonly sure: boolean;
  /** Sure, and not only because it may be a loop of many rounds. */
  readonly exact: boolean;
}

/** A loop that is staged by the types. */
export interface StagedLoop {
  readonly start: number;
  readonly end: number;
  readonly loop: Loop;
}

/** How deep in staged blocks a place is, and how many of them are sure. */
interface Depth {
  readonly staged: number;
  readonly sure: number;
}
const surface: Depth = { staged: 0, sure: 0 };

export class Plan {
  readonly model: FileModel;
  readonly modified: Modified;
  /** With what is known only at run time, without, and without what only shares a name. */
  readonly classifier: Classifier;
  readonly certain: Classifier;
  readonly exact: Classifier;
  readonly lowered = new Set<Jump>();
  private readonly oracle: TypeOracle;
  private readonly purity: Purity;
  private readonly livenessOf = new Map<Unit, Liveness>();
  private readonly targets = new Map<Jump, Node>();
  /** Loops that a lowered jump leaves. */
  private readonly left = new Map<Loop, boolean>();
  /** Staged blocks that cannot be functions, since await or yield is in what they enclose or guard. */
  private readonly paused = new Set<Node>();
  private regions: Region[] = [];
  private loops: StagedLoop[] = [];
  private changed = true;

  constructor(model: FileModel, oracle: TypeOracle) {
    this.model = model;
    this.oracle = oracle;
    this.modified = new Modified(model);
    const types = new Map();
    this.classifier = new Classifier(model, oracle, "possible", types);
    this.certain = new Classifier(model, oracle, "certain", types);
    this.exact = new Classifier(model, oracle, "exact", types);
    const calls = oracle.mode === "types" ? callsOfLocals(model) : [];
    this.purity = new Purity(model, this.certain, this.modified, (node) => oracle.mayBeNumber(node));
    for (const unit of model.units) for (const { node } of unit.jumps) this.targets.set(node, targetOf(node));
    while (this.changed) {
      this.changed = false;
      this.regions = [];
      this.loops = [];
      for (const unit of model.units) new UnitPass(this, unit).run();
      this.taint(this.classifier, this.regions);
      this.taint(
        this.certain,
        this.regions.filter((r) => r.sure),
      );
      this.taint(
        this.exact,
        this.regions.filter((r) => r.exact),
      );
      for (const call of calls) this.taintParameters(call);
      for (const fn of new Set(calls.map((call) => call.functionNode))) this.taintResult(fn);
    }
  }

  liveness(unit: Unit): Liveness {
    let found = this.livenessOf.get(unit);
    if (found === undefined) {
      found = new Liveness(this.model, unit);
      this.livenessOf.set(unit, found);
    }
    return found;
  }

  isIgnored(node: Node): boolean {
    for (let n: Node | undefined = node; n !== undefined && this.model.ignored.size > 0; n = n.parent) {
      if (this.model.ignored.has(n)) return true;
    }
    return false;
  }

  unitAround(node: Node): Unit {
    for (let n = node.parent; ; n = n.parent) {
      const unit = this.model.unitOf.get(n);
      if (unit !== undefined) return unit;
    }
  }

  targetOf(jump: Jump): Node {
    return this.targets.get(jump)!;
  }

  /** Whether await or yield of the unit is in the text range. */
  pausesIn(unit: Unit, start: number, end: number): boolean {
    return unit.pauses.some((at) => at >= start && at < end);
  }

  isStagedIf(node: ts.IfStatement | ts.ConditionalExpression, unit: Unit): boolean {
    const condition = ts.isIfStatement(node) ? node.expression : node.condition;
    return this.classifier.isStaged(condition) && !this.isPaused(node, unit) && !this.isIgnored(node);
  }

  /** Whether a condition that is, or may be, a tensor stays native because of await or yield. */
  isPaused(node: Node, unit: Unit): boolean {
    if (this.paused.has(node)) return true;
    if (unit.pauses.length === 0) return false;
    let start = startOf(node);
    // These conditions are evaluated outside of the arms.
    if (ts.isIfStatement(node)) start = node.expression.end;
    if (ts.isConditionalExpression(node)) start = node.condition.end;
    if (ts.isForOfStatement(node)) start = node.expression.end;
    return this.pausesIn(unit, start, node.end);
  }

  loopMode(loop: Loop, unit: Unit): LoopMode {
    if (this.isPaused(loop, unit) || this.isIgnored(loop)) return "native";
    if (this.isStagedLoop(loop, unit)) return "staged";
    if (!this.left.has(loop)) return "native";
    return isEndless(loop) || this.headWrites(loop) ? "staged" : "predicated";
  }

  /** Whether the loop's test or update assigns what outlives the loop: after an exit they must not run. */
  private headWrites(loop: Loop): boolean {
    const parts = ts.isForStatement(loop)
      ? [loop.condition, loop.incrementor]
      : ts.isWhileStatement(loop) || ts.isDoStatement(loop)
        ? [loop.expression]
        : [];
    const first = startOf(loop);
    return parts.some(
      (part) =>
        part !== undefined &&
        this.modified.writes(startOf(part), part.end).some(({ place }) => {
          return place === undefined || place.kind === "path" || place.start < first || place.start >= loop.end;
        }),
    );
  }

  /** Whether the loop's rounds may run as one rolled loop. */
  isRollable(loop: Loop, unit: Unit): boolean {
    return ts.isForStatement(loop) && this.oracle.mode === "types" && this.purity.isRollable(loop, this.liveness(unit));
  }

  /** As `isRollable`, for a loop that a tensor may end early: its numbers are tensors afterwards, whatever it becomes. */
  isRollableUntilExit(loop: Loop): boolean {
    if (!ts.isForStatement(loop) || this.oracle.mode !== "types") return false;
    return this.left.get(loop) === true && this.purity.isPureLoop(loop);
  }

  isLeft(loop: Loop): boolean {
    return this.left.has(loop);
  }

  /** Lowered jumps in the text range that lead out of it. */
  leaving(unit: Unit, start: number, end: number): readonly Jump[] {
    if (this.lowered.size === 0) return [];
    return slice(unit.jumps, start, end)
      .map((jump) => jump.node)
      .filter((jump) => this.lowered.has(jump) && leaves(this.targetOf(jump), start, end));
  }

  /** All regions, for what is forbidden in them. */
  stagedRegions(): readonly Region[] {
    return this.regions;
  }

  stagedLoops(): readonly StagedLoop[] {
    return this.loops;
  }

  private isStagedLoop(loop: Loop, unit: Unit): boolean {
    if (ts.isForInStatement(loop)) return false;
    if (ts.isForOfStatement(loop)) return isIterable(this.classifier.typeOf(loop.expression));
    const condition = ts.isForStatement(loop) ? loop.condition : loop.expression;
    if (condition !== undefined && this.classifier.isStaged(condition)) return true;
    return this.isRollable(loop, unit) || this.isRollableUntilExit(loop);
  }

  /** Whether the staging follows from the types alone. */
  isSure(node: Node): boolean {
    if (ts.isIfStatement(node)) return this.certain.isStaged(node.expression);
    if (ts.isForOfStatement(node)) {
      const kind = this.certain.typeOf(node.expression);
      return kind === "tensor" || kind === "range";
    }
    const condition =
      (node as { condition?: ts.Expression }).condition ?? (node as { expression?: ts.Expression }).expression;
    return condition !== undefined && this.certain.isStaged(condition);
  }

  /** For the pass over a unit. */
  readonly build = {
    lower: (jump: Jump): void => {
      if (this.lowered.has(jump)) return;
      this.lowered.add(jump);
      this.changed = true;
    },
    leave: (loop: Loop, sure: boolean): void => {
      if (this.left.has(loop) && (this.left.get(loop) || !sure)) return;
      this.left.set(loop, sure);
      this.changed = true;
    },
    leftSurely: (loop: Loop): boolean => this.left.get(loop) === true,
    loop: (loop: Loop): void => {
      this.loops.push({ start: startOf(loop), end: loop.end, loop });
    },
    region: (start: number, end: number, sure: boolean, exact = sure): void => {
      this.regions.push({ start, end, sure, exact });
    },
    pause: (node: Node): void => {
      if (this.paused.has(node)) return;
      this.paused.add(node);
      // What followed from staging it is found anew.
      this.lowered.clear();
      this.left.clear();
      this.classifier.tainted.clear();
      this.certain.tainted.clear();
      this.exact.tainted.clear();
      for (const { results } of [this.classifier, this.certain, this.exact]) results.clear();
      this.changed = true;
    },
    loopItem: (node: Node, sure: boolean, exact: boolean): void => {
      const variable = this.model.variableOf.get(node);
      if (variable === undefined || !this.oracle.mayBeNumber(node)) return;
      this.addTaint(this.classifier.tainted, variable);
      if (sure) this.addTaint(this.certain.tainted, variable);
      if (exact) this.addTaint(this.exact.tainted, variable);
    },
  };

  private taint(classifier: Classifier, regions: readonly Region[]): void {
    for (const { start, end } of regions) {
      for (const { place, node } of this.modified.writes(start, end)) {
        if (place !== undefined) this.taintPlace(classifier, place.kind === "variable" ? place : place.key, node);
      }
    }
    for (const { place, node, value } of this.model.writes) {
      if (place === undefined || value === undefined) continue;
      const target = place.kind === "variable" ? place : place.key;
      if (!classifier.tainted.has(target) && classifier.hasHidden(value)) this.taintPlace(classifier, target, node);
      // The parts of a literal, by the paths that name them.
      const key = place.kind === "variable" ? keyOf(place) : place.key;
      for (const [path, [part]] of classifier === this.exact ? [] : partsOf(value)) {
        if (path === "" || !classifier.isHidden(part!) || !this.oracle.mayBeNumber(part!)) continue;
        this.addTaint(classifier.tainted, key + path);
      }
    }
  }

  private taintPlace(classifier: Classifier, target: Parameters<Tainted["add"]>[0], node: Node): void {
    if (classifier.tainted.has(target) || !this.oracle.mayBeNumber(node)) return;
    this.addTaint(classifier.tainted, target);
    if (ts.isPropertyAccessExpression(node)) this.addTaint(classifier.tainted, `.${node.name.text}`);
  }

  /** Parameters of local functions that are given numbers that became tensors. */
  private taintParameters({ functionNode, values }: LocalCall): void {
    for (const [i, { name, dotDotDotToken }] of functionNode.parameters.entries()) {
      const variable = this.model.variableOf.get(name);
      const value = values[i];
      if (variable === undefined || value === undefined || dotDotDotToken !== undefined) continue;
      // A boolean may not leave at all: AG1004.
      if (!this.oracle.mayBeNumber(name) || this.oracle.isBooleanOrNumber(value) === "boolean") continue;
      for (const classifier of [this.classifier, this.certain, this.exact]) {
        if (!classifier.isHidden(value) || (classifier === this.exact && !isReached(this, value))) continue;
        this.addTaint(classifier.tainted, variable);
      }
    }
  }

  /** Local functions whose staged exits return different numbers, or that return one which became a tensor. */
  private taintResult(fn: ts.SignatureDeclaration): void {
    const unit = this.model.unitOf.get(fn);
    if (unit === undefined || !returnsValue(fn)) return;
    const { regions } = this;
    const kinds: readonly [Classifier, readonly Region[]][] = [
      [this.classifier, regions],
      [this.certain, regions.filter((r) => r.sure)],
      [this.exact, regions.filter((r) => r.exact)],
    ];
    for (const [classifier, own] of kinds) {
      if (classifier.results.has(fn)) continue;
      const found = numbersReturned(unit, classifier, this.oracle, returnsFrom(unit, own));
      const isFound = ({ node, path, merged }: Returned): boolean =>
        path === "" && (merged || classifier !== this.exact || isReached(this, node));
      if (!found.some(isFound)) continue;
      classifier.results.add(fn);
      this.changed = true;
    }
  }

  private addTaint(tainted: Tainted, target: Parameters<Tainted["add"]>[0]): void {
    if (tainted.has(target)) return;
    tainted.add(target);
    this.changed = true;
  }
}

function isIterable(kind: string): boolean {
  return kind === "tensor" || kind === "range" || kind === "dynamic";
}

/** One walk over the statements of a unit, with how deep in staged blocks each is. */
class UnitPass {
  private readonly plan: Plan;
  private readonly unit: Unit;
  private readonly depths = new Map<Node, Depth>();

  constructor(plan: Plan, unit: Unit) {
    this.plan = plan;
    this.unit = unit;
  }

  run(): void {
    this.depths.set(this.unit.node, surface);
    const body = bodyOf(this.unit.node);
    if (body !== undefined) this.list(body, surface);
  }

  private list(statements: readonly ts.Statement[], depth: Depth): void {
    let inner = depth;
    const end = statements.at(-1)?.end ?? 0;
    for (const [i, statement] of statements.entries()) {
      this.statement(statement, inner);
      const next = statements[i + 1];
      if (next === undefined) return;
      const jumps = this.plan.leaving(this.unit, startOf(statement), statement.end);
      if (jumps.length === 0) continue;
      if (this.plan.pausesIn(this.unit, startOf(next), end)) {
        this.blame(jumps);
        return;
      }
      const sure = jumps.some((j) => this.isSurelyLowered(j));
      this.plan.build.region(startOf(next), end, sure);
      inner = deeper(inner, sure);
    }
  }

  private statement(node: ts.Statement, depth: Depth): void {
    if (isLoop(node)) {
      this.loop(node, depth);
      return;
    }
    if (ts.isIfStatement(node)) {
      const staged = this.plan.isStagedIf(node, this.unit);
      const sure = staged && this.plan.isSure(node);
      const inner = staged ? deeper(depth, sure) : depth;
      if (staged) this.plan.build.region(node.expression.end, node.end, sure);
      this.block(node.thenStatement, inner);
      if (node.elseStatement !== undefined) this.block(node.elseStatement, inner);
      return;
    }
    if (ts.isReturnStatement(node) || ts.isBreakStatement(node) || ts.isContinueStatement(node)) {
      const crossed = depth.staged > (this.depths.get(this.plan.targetOf(node)) ?? surface).staged;
      if (crossed && !this.plan.isIgnored(node)) this.plan.build.lower(node);
      if (crossed) this.jumpDepths.set(node, depth);
      return;
    }
    this.depths.set(node, depth);
    if (ts.isLabeledStatement(node)) {
      this.statement(node.statement, depth);
      return;
    }
    // A function is a unit of its own.
    if (isFunctionBoundary(node)) return;
    const own = listOf(node);
    if (own !== undefined) {
      this.list(own, depth);
      return;
    }
    ts.forEachChild(node, (child) => this.child(child, depth));
  }

  private readonly jumpDepths = new Map<Jump, Depth>();

  /** Blocks of try, clauses of switch. */
  private child(node: Node, depth: Depth): void {
    if (isFunctionBoundary(node) || ts.isExpression(node)) return;
    const own = listOf(node);
    if (own !== undefined) this.list(own, depth);
    else if (ts.isCatchClause(node) || ts.isCaseBlock(node)) ts.forEachChild(node, (child) => this.child(child, depth));
  }

  private block(node: ts.Statement, depth: Depth): void {
    this.list(asList(node), depth);
  }

  private loop(node: Loop, depth: Depth): void {
    this.depths.set(node, depth);
    const mode = this.plan.loopMode(node, this.unit);
    const build = this.plan.build;
    const start = startOf(node);
    const sure =
      mode === "staged" && !this.plan.isLeft(node)
        ? this.plan.isSure(node) || this.plan.isRollable(node, this.unit)
        : build.leftSurely(node) || this.plan.isSure(node);
    const exact = sure && (this.plan.isLeft(node) || this.plan.isSure(node));
    if (mode === "staged") {
      build.region(start, node.end, sure, exact);
      if (sure) build.loop(node);
      this.taintLoopVariables(node, sure, exact);
    }
    if (mode === "predicated") build.region(startOf(node.statement), node.statement.end, sure);
    this.block(node.statement, mode === "native" ? depth : deeper(depth, sure));
    if (mode !== "native" && this.plan.isLeft(node)) return;
    const target = (j: Jump): boolean => this.plan.targetOf(j) !== node || ts.isBreakStatement(j);
    const body = node.statement;
    const exits = this.plan.leaving(this.unit, startOf(body), body.end).filter(target);
    if (exits.length === 0) return;
    if (mode === "native" && this.plan.isPaused(node, this.unit)) this.blame(exits);
    else if (!this.plan.isIgnored(node))
      build.leave(
        node,
        exits.some((j) => this.isSurelyLowered(j)),
      );
  }

  /** The variables of a staged `for` are carried; the items of a range are tensors. */
  private taintLoopVariables(node: Loop, sure: boolean, exact: boolean): void {
    if (ts.isForStatement(node) && node.initializer !== undefined && ts.isVariableDeclarationList(node.initializer)) {
      for (const { name } of node.initializer.declarations)
        if (ts.isIdentifier(name)) this.plan.build.loopItem(name, sure, exact);
    }
    if (!ts.isForOfStatement(node)) return;
    const item = ts.isVariableDeclarationList(node.initializer)
      ? node.initializer.declarations[0]?.name
      : node.initializer;
    if (item !== undefined && ts.isIdentifier(item)) this.plan.build.loopItem(item, sure, exact);
  }

  private isSurelyLowered(jump: Jump): boolean {
    const depth = this.jumpDepths.get(jump) ?? surface;
    return depth.sure > (this.depths.get(this.plan.targetOf(jump)) ?? surface).sure;
  }

  /** The staged blocks that made these jumps need lowering stay native: what would follow them cannot be a function. */
  private blame(jumps: readonly Jump[]): void {
    for (const jump of jumps) {
      const target = this.plan.targetOf(jump);
      for (let node: Node = jump.parent; node !== target && node !== this.unit.node; node = node.parent) {
        if (ts.isIfStatement(node) && this.plan.isStagedIf(node, this.unit)) this.plan.build.pause(node);
        else if (isLoop(node) && this.plan.loopMode(node, this.unit) === "staged") this.plan.build.pause(node);
      }
    }
  }
}

function deeper(depth: Depth, sure: boolean): Depth {
  return { staged: depth.staged + 1, sure: depth.sure + (sure ? 1 : 0) };
}
