/** Names that emitted code uses, and that the source therefore may not. */
import type { Diagnostics } from "../diagnostics.ts";
import type { FileModel } from "./model.ts";

const reserved = /^\$(ag|l|r|v|s|i|[bcn]\d+)$/;

export function findReserved(model: FileModel, diagnostics: Diagnostics): void {
  for (const [node, variable] of model.variableOf) {
    if (reserved.test(variable.text))
      diagnostics.report("AG1002", node, `the name '${variable.text}' is used by transformed code`);
  }
}
