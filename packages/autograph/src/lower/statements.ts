/** Lowers if, jumps, throw, and lists of statements: what follows a lowered jump is guarded by its flag. */
import { completesNormally } from "../analysis/jumps.ts";
import { asList, type Jump, type Node, startOf, ts } from "../syntax.ts";
import { condition } from "./conditions.ts";
import type { Lowering } from "./lowering.ts";
import { stateOf } from "./state.ts";

/** Lowers a list. Behind a statement with lowered jumps out of it, the rest becomes a staged block. */
export function lowerList(low: Lowering, statements: readonly ts.Statement[]): void {
  for (let i = 0; i < statements.length; i++) {
    const statement = statements[i]!;
    const rest = statements.slice(i + 1);
    const ignored = low.model.ignored.has(statement);
    if (!ignored && rest.length > 0 && ts.isIfStatement(statement) && takesRest(low, statement)) {
      lowerIf(low, statement, rest);
      return;
    }
    low.visit(statement);
    if (rest.length === 0) return;
    const jumps = low.plan.leaving(low.unit, startOf(statement), statement.end);
    if (jumps.length > 0) {
      guard(low, rest, jumps);
      return;
    }
  }
}

/** Whether the rest of the list can be the else-branch: the then-branch always leaves, so no value is left undefined. */
function takesRest(low: Lowering, node: ts.IfStatement): boolean {
  if (!low.plan.isStagedIf(node, low.unit) || completesNormally(node.thenStatement)) return false;
  const then = node.thenStatement;
  if (low.plan.leaving(low.unit, startOf(then), then.end).length === 0) return false;
  return node.elseStatement === undefined || completesNormally(node.elseStatement);
}

/** `$ag.if_(loc, none of the flags, () => { rest }, null, ...)`. */
function guard(low: Lowering, rest: readonly ts.Statement[], jumps: readonly Jump[]): void {
  const first = rest[0]!;
  const last = rest.at(-1)!;
  low.staged(() => low.list(rest));
  const loc = low.locations.at(startOf(jumps[0]!));
  const state = stateOf(low, { start: startOf(first), end: last.end, last }, jumps);
  low.edits.before(startOf(first), `$ag.if_(${loc}, $ag.none(${low.flagsOf(jumps).join(", ")}), () => { `);
  low.edits.after(last.end, ` }, null, ${state});`);
}

/** A staged `if`; `rest` is what follows it in its list, where that becomes part of the else-branch. */
export function lowerIf(low: Lowering, node: ts.IfStatement, rest: readonly ts.Statement[]): void {
  const { edits } = low;
  const { thenStatement: then, elseStatement: otherwise } = node;
  condition(low, node.expression);
  low.staged(() => {
    low.list(asList(then));
    if (otherwise !== undefined || rest.length > 0) {
      low.list(rest.length > 0 ? [...(otherwise === undefined ? [] : [otherwise]), ...rest] : asList(otherwise!));
    }
  });
  openCall(low, node, "if_");
  edits.token(node.expression.end, ")", ", () =>");
  asBody(low, then);
  const last = rest.at(-1) ?? node;
  if (rest.length > 0) {
    if (otherwise !== undefined) edits.token(then.end, "else", ", () => {");
    else edits.after(then.end, ", () => {");
    edits.after(last.end, " }");
  } else if (otherwise !== undefined) {
    edits.token(then.end, "else", ", () =>");
    asBody(low, otherwise);
  } else edits.after(then.end, ", null");
  edits.after(last.end, `, ${stateOf(low, { start: node.expression.end, end: last.end, last })});`);
}

/** `if (` becomes `$ag.if_($l[k], `; so for every construct with a keyword and a parenthesis. */
export function openCall(low: Lowering, node: Node, name: string): void {
  const start = startOf(node);
  const open = node.getSourceFile().text.indexOf("(", start);
  low.edits.replace(start, open + 1, `$ag.${name}(${low.locations.at(start)}, `);
}

/** Makes a statement the body of an arrow function. */
export function asBody(low: Lowering, node: ts.Statement): void {
  // A lowered jump is a block already.
  if (!ts.isBlock(node) && !low.plan.lowered.has(node as Jump)) low.edits.wrap(node, "{ ", " }");
}

/** `return e` becomes `{ $v = (e); $r = true; }`, break and continue set their flags. */
export function lowerJump(low: Lowering, node: Jump): void {
  const { edits } = low;
  if (!ts.isReturnStatement(node)) {
    edits.replace(startOf(node), node.end, `{ ${low.flagOf(node)} = true; }`);
    return;
  }
  if (node.expression === undefined) {
    edits.replace(startOf(node), node.end, "{ $v = undefined; $r = true; }");
    return;
  }
  low.visit(node.expression);
  edits.keyword(node, "return", "{ $v = (");
  edits.after(node.expression.end, ")");
  edits.finish(node, "; $r = true; }");
}

/** A throw that leaves a staged block becomes a check; one that is caught within the block stays. */
export function lowerThrow(low: Lowering, node: ts.ThrowStatement): void {
  low.visit(node.expression);
  if (low.depth === (low.inTry ? low.depthOfTry : 0)) return;
  if (low.inTry) low.diagnostics.report("AG1011", node, "this throw is in a staged block, inside a try with a catch");
  const { edits } = low;
  edits.keyword(node, "throw", `$ag.throw_(${low.locations.at(startOf(node))}, () => (`);
  edits.after(node.expression.end, "))");
}

export function lowerTry(low: Lowering, node: ts.TryStatement): void {
  const { inTry, depthOfTry } = low;
  if (node.catchClause !== undefined) {
    low.inTry = true;
    low.depthOfTry = low.depth;
  }
  low.visit(node.tryBlock);
  low.inTry = inTry;
  low.depthOfTry = depthOfTry;
  if (node.catchClause !== undefined) low.visit(node.catchClause);
  if (node.finallyBlock !== undefined) low.visit(node.finallyBlock);
}

/** A `var` in a staged block is declared at the top of its function; here it is assigned. */
export function lowerVar(low: Lowering, list: ts.VariableDeclarationList): void {
  const { edits } = low;
  low.visitChildren(list);
  for (const declaration of list.declarations) {
    if (!ts.isIdentifier(declaration.name)) {
      low.diagnostics.report("AG1010", declaration, "this var takes a value apart in a staged block");
      return;
    }
    const { name } = declaration;
    const end = declaration.type?.end ?? declaration.exclamationToken?.end ?? name.end;
    if (end > name.end) edits.replace(name.end, end, "");
  }
  const first = list.declarations[0]!;
  edits.replace(startOf(list), startOf(first), "");
}
