/** A number that functions of equal text share, made without their text: most functions differ in it already. */
import { type LoopExpr, type LoopFunc, type LoopStmt, loopExprsOf, loopOperands } from "@sinter/ir";

/** How far below the top of an expression is looked. */
const depthLimit = 1;

/** What the hash starts from and multiplies by: FNV-1a. */
const [offset, prime] = [0x811c9dc5, 0x01000193];

export function fingerprint(func: LoopFunc): number {
  let hash = offset;
  const add = (value: number): void => {
    hash = Math.imul(hash ^ value, prime);
  };
  const word = (text: string): void => add((text.length << 8) + text.charCodeAt(0));
  const expr = (e: LoopExpr, depth: number): void => {
    word(e.kind);
    if (e.kind === "const") add(Number(e.value));
    else if (e.kind === "var") add(e.variable.id);
    else if (e.kind === "load") add(e.pointer.id);
    else if (e.kind === "op") word(e.op);
    if (depth < depthLimit) for (const operand of loopOperands(e)) expr(operand, depth + 1);
  };
  const list = (statements: readonly LoopStmt[]): void => {
    add(statements.length);
    for (const s of statements) {
      word(s.kind);
      for (const e of loopExprsOf(s)) expr(e, 0);
      if (s.kind === "for" || s.kind === "while") list(s.body);
      else if (s.kind === "if") {
        list(s.then);
        list(s.else);
      }
    }
  };
  for (const pointer of func.pointers) word(pointer.element);
  add(func.params.length);
  list(func.body);
  return hash;
}
