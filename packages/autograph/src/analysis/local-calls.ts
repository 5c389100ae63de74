/** Calls of functions of the same file by the name that always stands for them, with what each parameter is given. */
import { type Node, ts, unwrap } from "../syntax.ts";
import type { FileModel } from "./model.ts";

export interface LocalCall {
  readonly functionNode: ts.SignatureDeclaration;
  /** Up to the first that is spread. */
  readonly values: readonly ts.Expression[];
}

export function callsOfLocals(model: FileModel): readonly LocalCall[] {
  const calls: LocalCall[] = [];
  for (const [name, { functionNode }] of model.variableOf) {
    if (functionNode === undefined || !ts.isFunctionLike(functionNode)) continue;
    const call: Node = name.parent;
    if (!ts.isCallExpression(call) || unwrap(call.expression) !== name) continue;
    const spread = call.arguments.findIndex(ts.isSpreadElement);
    calls.push({ functionNode, values: spread < 0 ? call.arguments : call.arguments.slice(0, spread) });
  }
  return calls;
}
