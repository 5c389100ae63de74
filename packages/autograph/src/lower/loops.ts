/** Lowers loops: staged ones become calls; others that a staged exit leaves keep running, their body a staged block. */
import { asList, isEndless, type Loop, type Node, startOf, ts, withLabels } from "../syntax.ts";
import { condition, nativeCondition } from "./conditions.ts";
import type { Lowering } from "./lowering.ts";
import { exitsOf, stateOf } from "./state.ts";
import { asBody, openCall } from "./statements.ts";

export function lowerLoop(low: Lowering, loop: Loop): void {
  const mode = low.plan.loopMode(loop, low.unit);
  if (mode === "native") {
    nativeLoop(low, loop);
    return;
  }
  if (mode === "predicated") {
    predicatedLoop(low, loop);
    return;
  }
  if (ts.isWhileStatement(loop)) stagedWhile(low, loop);
  else if (ts.isDoStatement(loop)) stagedDo(low, loop);
  else if (ts.isForStatement(loop)) stagedFor(low, loop);
  else if (ts.isForOfStatement(loop)) stagedForOf(low, loop);
  else throw new Error("for-in loops are never staged");
  declareFlags(low, loop);
}

function nativeLoop(low: Lowering, loop: Loop): void {
  heads(low, loop);
  low.list(asList(loop.statement));
  continueFlag(low, loop);
}

/** Everything of a native loop but its body. */
function heads(low: Lowering, loop: Loop): void {
  if (ts.isForStatement(loop)) {
    if (loop.initializer !== undefined) low.visit(loop.initializer);
    if (loop.condition !== undefined) nativeCondition(low, loop, loop.condition);
    if (loop.incrementor !== undefined) low.visit(loop.incrementor);
  } else if (ts.isWhileStatement(loop) || ts.isDoStatement(loop)) nativeCondition(low, loop, loop.expression);
  else {
    low.visit(loop.initializer);
    low.visit(loop.expression);
  }
}

/** `if ($ag.exit(loc, none, ++$n)) break; $ag.if_(loc, none, () => { body }, null, ...)` inside the loop as it was. */
function predicatedLoop(low: Lowering, loop: Loop): void {
  const { edits } = low;
  const body = loop.statement;
  heads(low, loop);
  low.staged(() => low.list(asList(body)));
  const none = noneOf(low, loop);
  const loc = low.locations.at(startOf(loop));
  const rounds = `$n${low.numberOf(loop)}`;
  const head = `if ($ag.exit(${loc}, ${none}, ++${rounds})) break; $ag.if_(${loc}, ${none}, () => { ${continueDeclaration(low, loop)}`;
  const extent = { start: startOf(body), end: body.end, last: body, loop };
  const tail = ` }, null, ${stateOf(low, extent)});`;
  if (ts.isBlock(body)) {
    edits.after(startOf(body) + 1, ` ${head}`);
    edits.after(body.end - 1, `${tail} `);
  } else edits.wrap(body, `{ ${head}`, `${tail} }`);
  declareFlags(low, loop, `${rounds} = 0`);
}

function stagedWhile(low: Lowering, loop: ts.WhileStatement): void {
  condition(low, loop.expression);
  low.staged(() => low.list(asList(loop.statement)));
  openCall(low, loop, "while_");
  test(low, loop, loop.expression);
  low.edits.token(loop.expression.end, ")", ", () =>");
  loopBody(low, loop);
  low.edits.after(loop.end, `, ${loopState(low, loop)});`);
}

function stagedDo(low: Lowering, loop: ts.DoStatement): void {
  const { edits } = low;
  low.staged(() => low.list(asList(loop.statement)));
  condition(low, loop.expression);
  const start = startOf(loop);
  edits.replace(start, start + "do".length, `$ag.doWhile_(${low.locations.at(start)}, () =>`);
  loopBody(low, loop);
  const keyword = edits.token(loop.statement.end, "while", ",");
  edits.token(keyword + "while".length, "(", "");
  test(low, loop, loop.expression);
  edits.token(loop.expression.end, ")", `, ${loopState(low, loop)})`);
  edits.finish(loop, ";");
}

/** `() => condition`, with the flags of the loop's exits before it, unless `alone`. Put around the condition's own text. */
function test(low: Lowering, loop: Loop, node: ts.Expression, parameters = "", alone = false): void {
  const { edits } = low;
  const none = alone || exitsOf(low, loop).length === 0 ? undefined : noneOf(low, loop);
  const arrow = `(${parameters}) => `;
  if (none === undefined) {
    edits.wrap(node, `${arrow}(`, ")");
    return;
  }
  if (isEndless(loop)) {
    edits.replace(startOf(node), node.end, `${arrow}${none}`);
    return;
  }
  edits.wrap(node, `${arrow}$ag.and(${low.locations.at(startOf(node))}, ${none}, () => (`, "))");
}

function stagedFor(low: Lowering, loop: ts.ForStatement): void {
  const { edits } = low;
  const { initializer, condition: when, incrementor } = loop;
  const names = loopVariables(loop);
  const list = names.join(", ");
  const parameters = `(${list})`;
  const rollable = low.plan.isRollable(loop, low.unit);
  // A loop that counts is told of its exits apart from its condition, so that its rounds can be counted.
  const counts = rollable || low.plan.isRollableUntilExit(loop);
  const exits = counts && exitsOf(low, loop).length > 0 ? noneOf(low, loop) : undefined;
  if (initializer !== undefined) low.visit(initializer);
  if (when !== undefined) condition(low, when);
  if (incrementor !== undefined) {
    low.staged(() => low.visit(incrementor));
    guardUpdate(low, loop, incrementor);
  }
  low.staged(() => low.list(asList(loop.statement)));
  openCall(low, loop, "for_");
  const open = startOf(loop);
  const afterOpen = loop.getSourceFile().text.indexOf("(", open) + 1;
  if (initializer === undefined) edits.after(afterOpen, "() => { ");
  else edits.before(startOf(initializer), "() => { ");
  let at = edits.token(initializer?.end ?? afterOpen, ";", `; return [${list}]; }, `);
  if (when === undefined)
    edits.after(at + 1, `${parameters} => ${exitsOf(low, loop).length === 0 ? "true" : noneOf(low, loop)}`);
  else test(low, loop, when, list, exits !== undefined);
  at = edits.token(when?.end ?? at + 1, ";", `, ${parameters} => {`);
  at = edits.token(incrementor?.end ?? at + 1, ")", `; return [${list}]; }, ${parameters} =>`);
  forBody(low, loop, list);
  const further = exits === undefined ? "" : `, () => ${exits}`;
  edits.after(loop.end, `, ${loopState(low, loop)}, ${JSON.stringify(names)}, ${rollable}${further});`);
}

/** After an exit the update must not run: it may assign what outlives the loop. */
function guardUpdate(low: Lowering, loop: ts.ForStatement, update: ts.Expression): void {
  if (exitsOf(low, loop).length === 0) return;
  const extent = { start: startOf(update), end: update.end, last: undefined };
  const outer = low.plan.modified.places(extent.start, extent.end);
  if (!outer.some((p) => p.kind === "path" || p.start < startOf(loop) || p.start >= loop.end)) return;
  const loc = low.locations.at(startOf(update));
  low.edits.wrap(update, `$ag.if_(${loc}, ${noneOf(low, loop)}, () => { `, ` }, null, ${stateOf(low, extent)})`);
}

function loopVariables(loop: ts.ForStatement): string[] {
  const list = loop.initializer;
  if (list === undefined || !ts.isVariableDeclarationList(list) || (list.flags & ts.NodeFlags.BlockScoped) === 0)
    return [];
  const names: string[] = [];
  const collect = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) names.push(name.text);
    else for (const element of name.elements) if (!ts.isOmittedExpression(element)) collect(element.name);
  };
  for (const declaration of list.declarations) collect(declaration.name);
  return names;
}

/** The body as a block in which the parameters can be returned: a block of its own, for its declarations. */
function forBody(low: Lowering, loop: ts.ForStatement, list: string): void {
  const declaration = continueDeclaration(low, loop);
  low.edits.wrap(loop.statement, `{ ${declaration}`, ` return [${list}]; }`);
}

function stagedForOf(low: Lowering, loop: ts.ForOfStatement): void {
  const { edits } = low;
  low.visit(loop.expression);
  low.staged(() => low.list(asList(loop.statement)));
  const start = startOf(loop);
  edits.replace(start, startOf(loop.expression), `$ag.forOf_(${low.locations.at(start)}, `);
  const { initializer, statement } = loop;
  const declared = ts.isVariableDeclarationList(initializer) ? initializer.declarations[0]?.name : undefined;
  const isLocal =
    declared !== undefined && ((initializer as ts.VariableDeclarationList).flags & ts.NodeFlags.BlockScoped) !== 0;
  const target = edits.source(declared ?? initializer);
  const assign = isLocal ? "" : `${/^[[{]/.test(target) ? `(${target} = $i)` : `${target} = $i`}; `;
  const declaration = `${assign}${continueDeclaration(low, loop)}`;
  edits.token(loop.expression.end, ")", `, (${isLocal ? target : "$i"}) =>`);
  if (!ts.isBlock(statement)) edits.wrap(statement, `{ ${declaration}`, " }");
  else if (isLocal && declaresAgain(statement, declared)) edits.wrap(statement, `{ ${declaration}`, " }");
  else if (declaration !== "") edits.after(startOf(statement) + 1, ` ${declaration.trimEnd()}`);
  const exits = exitsOf(low, loop).length === 0 ? "null" : `() => ${noneOf(low, loop)}`;
  edits.after(loop.end, `, ${exits}, ${loopState(low, loop)});`);
}

/** Whether a block declares a name of the pattern anew, which a parameter of its function would not allow. */
function declaresAgain(block: ts.Block, pattern: Node): boolean {
  const names = new Set(pattern.getText().match(/[\w$]+/g) ?? []);
  return block.statements.some((s) => {
    if (ts.isVariableStatement(s)) {
      return s.declarationList.declarations.some((d) =>
        (d.name.getText().match(/[\w$]+/g) ?? []).some((n) => names.has(n)),
      );
    }
    return (ts.isFunctionDeclaration(s) || ts.isClassDeclaration(s)) && s.name !== undefined && names.has(s.name.text);
  });
}

/** A loop's body as the body of an arrow function, with the flag of its `continue`. */
function loopBody(low: Lowering, loop: Loop): void {
  const declaration = continueDeclaration(low, loop);
  if (declaration === "") {
    asBody(low, loop.statement);
    return;
  }
  if (ts.isBlock(loop.statement)) low.edits.after(startOf(loop.statement) + 1, ` ${declaration.trimEnd()}`);
  else low.edits.wrap(loop.statement, `{ ${declaration}`, " }");
}

/** In a native loop the flag of a lowered `continue` is declared in the body too. */
function continueFlag(low: Lowering, loop: Loop): void {
  if (continueDeclaration(low, loop) !== "") loopBody(low, loop);
}

function continueDeclaration(low: Lowering, loop: Loop): string {
  const body = loop.statement;
  const jumps = low.plan.leaving(low.unit, startOf(body), body.end);
  const has = jumps.some((jump) => ts.isContinueStatement(jump) && low.plan.targetOf(jump) === loop);
  return has ? `let $c${low.numberOf(loop)} = false; ` : "";
}

/** Declares the flag of lowered breaks before the loop, and before its labels. */
function declareFlags(low: Lowering, loop: Loop, further?: string): void {
  const own = exitsOf(low, loop).some((jump) => low.plan.targetOf(jump) === loop);
  const flags = own ? [`$b${low.numberOf(loop)} = false`] : [];
  if (further !== undefined) flags.push(further);
  if (flags.length > 0) low.edits.wrap(withLabels(loop), `{ let ${flags.join(", ")}; `, " }");
}

function noneOf(low: Lowering, loop: Loop): string {
  return `$ag.none(${low.flagsOf(exitsOf(low, loop)).join(", ")})`;
}

function loopState(low: Lowering, loop: Loop): string {
  return stateOf(low, { start: startOf(loop), end: loop.end, last: loop, loop });
}
