/** What an index is a multiple of, for memory in vectors of four. */
import type { LoopExpr } from "@sinter/ir";
import type { FuncWriter } from "./context.ts";

/** Enough to know for vectors; products stay small. */
const most = 1 << 20;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** A number that divides the value of an integer expression; 0 is a multiple of all. */
export function multipleOf(w: FuncWriter, e: LoopExpr): number {
  if (e.kind === "const") return Math.min(Math.abs(Number(e.value)) || most, most);
  if (e.kind === "var") return w.multipleOf(e.variable);
  if (e.kind !== "op") return 1;
  const of = (i: number): number => multipleOf(w, e.args[i]!);
  const value = e.args[1]?.kind === "const" ? Number(e.args[1].value) : undefined;
  switch (e.op) {
    case "add":
    case "sub":
    case "min":
    case "max":
    case "rem":
    case "remU":
      return gcd(of(0), of(1));
    case "mul":
      return Math.min(of(0) * of(1), most);
    case "shl":
      return value === undefined ? 1 : Math.min(of(0) * 2 ** (value & 31), most);
    case "and":
      return value === undefined || value === 0 ? 1 : Math.max(value & -value, 1);
    case "select":
      return gcd(of(1), of(2));
    case "div":
    case "divU": {
      const exact = value !== undefined && value > 0 && of(0) % value === 0;
      return exact ? Math.max(of(0) / value, 1) : 1;
    }
    default:
      return 1;
  }
}
