/** Calls: array operations are tagged with their place, and `compile(fn)` is told where it is and what fn captures. */
import { capturesOf, functionOfArgument } from "../analysis/captures.ts";
import { type Node, startOf, ts, unwrap } from "../syntax.ts";
import type { Lowering } from "./lowering.ts";

export function lowerCall(low: Lowering, node: ts.CallExpression): void {
  low.visitChildren(node);
  if (importedName(low, node.expression) === "compile") {
    markCompile(low, node);
    return;
  }
  if (!low.options.tags || ts.isSourceFile(low.unit.node)) return;
  const name = operationName(low, node);
  if (name !== undefined) low.edits.wrap(node, `$ag.at(${low.locations.at(startOf(name))}, `, ")");
}

/** The name under which this library exports what is called, if it is imported. */
function importedName(low: Lowering, callee: ts.Expression): string | undefined {
  const e = unwrap(callee);
  if (ts.isIdentifier(e)) {
    const variable = low.model.variableOf.get(e);
    const name = variable === undefined ? undefined : low.model.imported.get(variable);
    return name === "*" ? undefined : name;
  }
  if (!ts.isPropertyAccessExpression(e) || !ts.isIdentifier(e.expression)) return undefined;
  const variable = low.model.variableOf.get(e.expression);
  return variable !== undefined && low.model.imported.get(variable) === "*" ? e.name.text : undefined;
}

/** The node that names the array operation of a call, where it is one. */
function operationName(low: Lowering, node: ts.CallExpression): Node | undefined {
  const callee = node.expression;
  const imported = importedName(low, callee);
  if (imported !== undefined) return operations.has(imported) || makers.has(imported) ? callee : undefined;
  // Links of an optional chain cannot be wrapped one by one.
  if (!ts.isPropertyAccessExpression(callee) || ts.isOptionalChain(callee) || ts.isOptionalChain(node))
    return undefined;
  const name = callee.name.text;
  if (!operations.has(name)) return undefined;
  if (shared.has(name) && !isTensor(low, callee.expression)) return undefined;
  return callee.name;
}

/** For names that arrays, strings, sets and Math have too, the type decides; without types the receiver's form. */
function isTensor(low: Lowering, node: ts.Expression): boolean {
  const kind = low.plan.classifier.typeOf(node);
  if (low.oracle.mode === "types") return kind === "tensor" || kind === "nullable";
  return kind !== "plain" && !(ts.isIdentifier(node) && node.text === "Math");
}

/** `compile(fn)` becomes `compile(fn, undefined, $ag.compiled(loc, () => [lr], ["lr"]))`. */
function markCompile(low: Lowering, node: ts.CallExpression): void {
  const [fn, options, site] = node.arguments;
  if (fn === undefined || site !== undefined || node.arguments.some(ts.isSpreadElement)) return;
  const own = functionOfArgument(low.model, fn);
  const e = unwrap(fn);
  if (own === undefined && !(ts.isIdentifier(e) && low.oracle.isFromProject(e))) return;
  if (low.plan.isIgnored(own ?? node)) return;
  const names = own === undefined ? [] : capturesOf(low.model, low.oracle, own, node);
  const captures = names.length === 0 ? "() => [], []" : `() => [${names.join(", ")}], ${JSON.stringify(names)}`;
  const marker = `$ag.compiled(${low.locations.at(startOf(node))}, ${captures})`;
  low.edits.after((options ?? fn).end, options === undefined ? `, undefined, ${marker}` : `, ${marker}`);
}

/** Methods of Tensor that are array operations, which are functions of the library too. */
export const operations: ReadonlySet<string> = new Set(
  `abs acos add addAt all allClose and any argMax argMin argSort asin at atan atan2 avgPool broadcastTo cast ceil
   clip concat conv1d conv2d convTranspose2d cos cosh cummax cummin cumprod cumsum depthwiseConv2d diag div dot
   einsum elu eq erf exp expandDims expm1 flatten flip floor gather ge gelu gt isFinite isNaN le leakyRelu log log1p
   log2 logSoftmax logSumExp lt matmul max maximum maxPool mean min minimum mod mul ne neg norm not oneHot onesLike
   or outer pad pow prod reciprocal relu repeat reshape roll round rsqrt scatter selu set sigmoid sign silu sin sinh
   slice softmax softplus sort split sqrt square squeeze stack std stopGradient sub sum swapAxes takeAlongAxis tan
   tanh tensordot tile topK trace transpose tril triu trunc variance where xor zerosLike assign assignAdd
   assignSub`.split(/\s+/),
);

/** Functions that make tensors and are no methods. */
const makers: ReadonlySet<string> = new Set(["tensor", "zeros", "ones", "full", "eye", "arange", "linspace"]);

/** Operations whose names are also those of methods of JavaScript's own objects, or common elsewhere. */
const shared: ReadonlySet<string> = new Set(
  `abs acos add all and any asin at atan atan2 ceil concat cos cosh diag div eq exp expm1 flip floor gt isFinite isNaN
   le log log1p log2 lt max mean min mod mul ne neg norm not or pad pow repeat round set sign sin sinh slice sort split
   sqrt sub sum tan tanh trace trunc assign`.split(/\s+/),
);
