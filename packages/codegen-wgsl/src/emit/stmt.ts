/** Statements: Loop IR control flow to WGSL's. Bounds of a `for` are computed once, before it. */
import { type LoopExpr, type LoopStmt, loopExprsOf } from "@sinter/ir";
import { multipleOf } from "./align.ts";
import type { FuncWriter } from "./context.ts";
import { countUses, exprText, quotientName, valueText } from "./expr.ts";
import { foldFunction } from "./fold.ts";
import { storeLines } from "./memory.ts";
import { typeText } from "./types.ts";

type Stmt<K extends LoopStmt["kind"]> = Extract<LoopStmt, { kind: K }>;

export function writeList(w: FuncWriter, list: readonly LoopStmt[]): void {
  for (const s of list) {
    if (s.kind !== "while") for (const e of loopExprsOf(s)) countUses(w, e);
    writeStmt(w, s);
    w.endStatement();
  }
}

function writeStmt(w: FuncWriter, s: LoopStmt): void {
  switch (s.kind) {
    case "let": {
      const multiple = s.value.type.scalar === "i32" ? multipleOf(w, s.value) : 1;
      const name = w.define(s.variable, multiple);
      const quotient = s.variable.mutable ? undefined : quotientName(w, s.value, name);
      if (quotient !== undefined) {
        w.alias(s.variable, quotient, multiple);
        return;
      }
      const value = valueText(w, s.value);
      w.push(s.variable.mutable ? `var ${name}: ${typeText(s.variable.type)} = ${value};` : `let ${name} = ${value};`);
      return;
    }
    case "assign":
      w.push(`${w.name(s.variable)} = ${valueText(w, s.value)};`);
      return;
    case "store":
      storeLines(w, s, exprText);
      return;
    case "for":
      writeFor(w, s);
      return;
    case "while":
      w.block("loop", () => {
        countUses(w, s.test);
        const test = exprText(w, s.test);
        w.block(`if (!${/^[\w(]/.test(test) ? test : `(${test})`})`, () => w.push("break;"));
        w.endStatement();
        writeList(w, s.body);
      });
      return;
    case "if": {
      const test = valueText(w, s.test);
      w.endStatement();
      w.block(`if (${test})`, () => writeList(w, s.then));
      if (s.else.length > 0) w.block("else", () => writeList(w, s.else));
      return;
    }
    case "call": {
      const bounds = s.pointers.map((p) => w.bound(p));
      const multiples = s.args.map((a) => multipleOf(w, a));
      const name = w.module.specialise(s.func, bounds, multiples);
      w.push(`${name}(${s.args.map((a) => valueText(w, a)).join(", ")});`);
      return;
    }
    case "par":
      throw new Error("`par` without a grid: GPU schedules hand out work by grids");
    case "barrier":
      w.push("workgroupBarrier();");
      // What kernels keep in storage memory for their group is seen too.
      if (w.module.storageBarriers) w.push("storageBarrier();");
      return;
    case "groupFold": {
      const value = valueText(w, s.value);
      const fold = foldFunction(w.module, s.op, s.value.type.scalar, s.threads);
      w.push(`let ${w.define(s.variable)} = ${fold}(${value});`);
      return;
    }
    default:
      s satisfies never;
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

function writeFor(w: FuncWriter, s: Stmt<"for">): void {
  const isFixed = (e: LoopExpr): boolean => e.kind === "const" || (e.kind === "var" && !e.variable.mutable);
  const from = valueText(w, s.from);
  const end = valueText(w, s.to);
  const to = isFixed(s.to) ? end : w.temp(end);
  const name = w.define(s.variable, gcd(multipleOf(w, s.from), s.step));
  w.endStatement();
  w.block(`for (var ${name} = ${from}; ${name} < ${to}; ${name} += ${s.step})`, () => writeList(w, s.body));
}
