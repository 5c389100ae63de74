/**
 * Numbers that staged blocks make tensors, where nothing would notice at run time: returned under the type number, or
 * given to what looks at the object instead of asking for its value. All other uses throw and say so.
 */
import type { Diagnostics } from "../diagnostics.ts";
import type { TypeOracle } from "../oracle/oracle.ts";
import { isFunctionBoundary, type Node, outward, ts, unwrap } from "../syntax.ts";
import type { Plan } from "./plan.ts";
import { isReached } from "./reach.ts";
import { isFollowed, numbersReturned, returnsFrom, returnsValue } from "./returns.ts";
import { isTraced } from "./traced.ts";

/** Methods of arrays, maps and sets that compare by identity; of `set` and `add`, the first argument. */
const lookups: ReadonlySet<string> = new Set("includes indexOf lastIndexOf has get delete set add".split(" "));
const functions: ReadonlySet<string> = new Set(
  `Number.isFinite Number.isInteger Number.isNaN Number.isSafeInteger Object.is Boolean Array`.split(" "),
);

export function findHiddenNumbers(plan: Plan, oracle: TypeOracle, diagnostics: Diagnostics): void {
  const { model, exact } = plan;
  const regions = plan.stagedRegions().filter((r) => r.exact);
  for (const unit of model.units) {
    const fn = unit.node;
    if (plan.isIgnored(fn) || !returnsValue(fn) || isTraced(model, unit) || !mayBeTraced(plan, fn)) continue;
    const found = numbersReturned(unit, exact, oracle, returnsFrom(unit, regions));
    if (found.length === 0 || oracle.declaredResult(fn) === true || isComparison(fn)) continue;
    const followed = isFollowed(model, fn);
    const paths = new Set<string>();
    for (const { node, path, merged } of found) {
      const isBoolean = oracle.isBooleanOrNumber(node) === "boolean";
      if (paths.has(path) || (isBoolean && exact.isHidden(node)) || (path === "" && followed && !isBoolean)) continue;
      if (path !== "" && oracle.takesTensor(node, false)) continue;
      if (!merged && !isReached(plan, node)) continue;
      paths.add(path);
      const type = isBoolean ? "boolean" : "number";
      const of = nameOf(fn);
      diagnostics.report(
        isBoolean ? "AG1004" : "AG1014",
        node,
        `${shorten(node)} has the static type ${type} but is a Tensor, and is returned${of === undefined ? "" : ` by '${of}'`}`,
      );
    }
  }

  const visit = (node: Node): void => {
    if (model.ignored.has(node)) return;
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isExpression(node)) {
      const use = useOf(node);
      if (use !== undefined && isNumber(node) && isReached(plan, node)) {
        const fn = ts.findAncestor(node, isFunctionBoundary);
        if (fn !== undefined && mayBeTraced(plan, fn))
          diagnostics.report("AG1015", node, `${shorten(node)} has the static type number but is a Tensor, and ${use}`);
      }
    }
    ts.forEachChild(node, visit);
  };
  const isNumber = (node: ts.Expression): boolean =>
    exact.isHidden(node) && exact.typeOf(node) === "plain" && oracle.isBooleanOrNumber(node) !== "boolean";
  const useOf = (node: ts.Expression): string | undefined => {
    const { parent, child } = outward(node);
    if (ts.isTypeOfExpression(parent)) return "typeof gives 'object'";
    if (!ts.isCallExpression(parent) && !ts.isNewExpression(parent)) return undefined;
    const at = parent.arguments?.indexOf(child as ts.Expression) ?? -1;
    if (at < 0) return undefined;
    const callee = unwrap(parent.expression);
    const name = ts.isPropertyAccessExpression(callee) ? callee.name : callee;
    if (!ts.isIdentifier(name) || oracle.isFromProject(name)) return undefined;
    const text = callee.getText();
    if (functions.has(text)) return `is given to ${text}()`;
    if (name === callee || !lookups.has(name.text) || ts.isNewExpression(parent)) return undefined;
    if (exact.typeOf((callee as ts.PropertyAccessExpression).expression) !== "plain") return undefined;
    return at > 0 || oracle.takesTensor(node) ? undefined : `is given to ${name.text}()`;
  };
  visit(model.source);
}

/** Not at the top of a file, and not in an async function: there only values are computed. */
function mayBeTraced(plan: Plan, fn: Node): boolean {
  for (let node: Node | undefined = fn; node !== undefined; node = ts.findAncestor(node.parent, isFunctionBoundary)) {
    const unit = plan.model.unitOf.get(node);
    if (unit !== undefined && isTraced(plan.model, unit)) return true;
    if (ts.isFunctionLike(node) && !returnsValue(node)) return false;
    const { parent } = outward(node);
    // A callback runs where the function around it does.
    if (!ts.isCallExpression(parent) || parent.expression === node) return true;
  }
  return false;
}

/** The callback of a sort, which makes numbers of its answers: a tensor without a value throws. */
function isComparison(fn: Node): boolean {
  const { parent } = outward(fn);
  if (!ts.isCallExpression(parent) || !ts.isPropertyAccessExpression(parent.expression)) return false;
  return parent.expression.name.text === "sort" || parent.expression.name.text === "toSorted";
}

function nameOf(fn: ts.SignatureDeclaration): string | undefined {
  const { parent } = outward(fn);
  const name = fn.name ?? (ts.isVariableDeclaration(parent) ? parent.name : undefined);
  return name === undefined ? undefined : shorten(name);
}

function shorten(node: Node): string {
  const text = node.getText().replace(/\s+/g, " ");
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
