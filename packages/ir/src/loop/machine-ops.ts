/**
 * The operations that Loop IR has beside the scalar-op table, and the type rule of both. Machine ops never appear in
 * graphs or nests: schedules use them for index arithmetic, and expansions of transcendental functions for bit tricks.
 */
import { bytesOf, type DType, isFloat, isInteger, type ScalarType } from "../dtype.ts";
import { isScalarOp, type ScalarOpName, scalarOps } from "../scalar-ops.ts";
import type { LoopType } from "./loop.ts";

/** Every operation that is legal in Loop IR beside the rows of the scalar-op table. */
export type MachineOp =
  /** Conversion by value to the expression's type: floats to integers saturate (NaN gives 0), to bool is `!= 0`. */
  | "cast"
  /** The same bits as the expression's type, of the same size. */
  | "bitcast"
  /** `b < a ? b : a` */
  | "pmin"
  /** `a < b ? b : a` */
  | "pmax"
  /** Logical shift right, whatever the sign of the integer type. */
  | "shrU"
  /** Unsigned comparisons on i32. */
  | "ltU"
  | "geU"
  /** Unsigned division and remainder, for indices known not to be negative; the divisor must not be 0. */
  | "divU"
  | "remU"
  /** The upper 32 bits of the unsigned 64-bit product. */
  | "mulhiU"
  /** `rarely(mask, fast, slow)`: `slow` where the mask is set, else `fast`; computes `slow` only if some lane needs it. */
  | "rarely";

export type LoopOp = ScalarOpName | MachineOp;

interface MachineRule {
  readonly arity: number;
  readonly doc: string;
  /** Result scalar; `cast` and `bitcast` take it from the expression. */
  readonly type: (args: readonly ScalarType[], result: ScalarType | undefined) => ScalarType | undefined;
}

const same =
  (ok: (s: ScalarType) => boolean, result?: ScalarType) =>
  (args: readonly ScalarType[]): ScalarType | undefined =>
    args.every((s) => s === args[0]) && ok(args[0]!) ? (result ?? args[0]) : undefined;
const word = (s: ScalarType): boolean => s === "i32" || s === "u32";

export const machineOps: Readonly<Record<MachineOp, MachineRule>> = {
  cast: {
    arity: 1,
    doc: "conversion by value",
    type: ([from], to) => (from === "i64" || to === "i64" ? undefined : to),
  },
  bitcast: {
    arity: 1,
    doc: "the same bits as another type",
    type: ([from], to) =>
      to !== undefined && bytesOf(from!) === bytesOf(to) && (from === "bool") === (to === "bool") ? to : undefined,
  },
  pmin: { arity: 2, doc: "y < x ? y : x", type: same(isFloat) },
  pmax: { arity: 2, doc: "x < y ? y : x", type: same(isFloat) },
  shrU: { arity: 2, doc: "logical shift right by y mod the width", type: same(isInteger) },
  ltU: { arity: 2, doc: "unsigned x < y", type: same(word, "bool") },
  geU: { arity: 2, doc: "unsigned x >= y", type: same(word, "bool") },
  divU: { arity: 2, doc: "unsigned x / y, y not 0", type: same(word) },
  remU: { arity: 2, doc: "unsigned x mod y, y not 0", type: same(word) },
  mulhiU: { arity: 2, doc: "upper half of the unsigned product", type: same(word) },
  rarely: {
    arity: 3,
    doc: "slow where the mask is set, else fast",
    type: ([mask, fast, slow]) => (mask === "bool" && fast === slow ? fast : undefined),
  },
};

export const machineOpNames = Object.keys(machineOps) as MachineOp[];

export function isMachineOp(name: string): name is MachineOp {
  return Object.hasOwn(machineOps, name);
}

/** Rows of the scalar-op table that also take i64. */
const onI64: ReadonlySet<string> = new Set(["add", "sub", "and", "or", "xor", "not", "shl", "eq", "ne", "select"]);

/** Ops that fold lanes. */
export const foldOps: ReadonlySet<string> = new Set(["add", "mul", "max", "min", "and", "or", "xor"]);

export function loopOpArity(op: string): number | undefined {
  return isScalarOp(op) ? scalarOps[op].arity : isMachineOp(op) ? machineOps[op].arity : undefined;
}

/** Result scalar of an op, or undefined where the operands do not fit. `result` is needed by `cast` and `bitcast`. */
export function loopOpScalar(op: string, args: readonly ScalarType[], result?: ScalarType): ScalarType | undefined {
  if (loopOpArity(op) !== args.length) return undefined;
  if (isMachineOp(op)) return machineOps[op].type(args, result);
  if (!isScalarOp(op)) return undefined;
  if (!args.includes("i64")) return scalarOps[op].type(args as readonly DType[]);
  if (!onI64.has(op)) return undefined;
  if (op === "select") return args[0] === "bool" && args[1] === args[2] ? "i64" : undefined;
  if (!args.every((s) => s === "i64")) return undefined;
  return op === "eq" || op === "ne" ? "bool" : "i64";
}

/** Result type of an op on operands of equal lanes; undefined where they do not fit. */
export function loopOpType(op: string, args: readonly LoopType[], result?: ScalarType): LoopType | undefined {
  const lanes = args[0]?.lanes;
  if (lanes === undefined || !args.every((t) => t.lanes === lanes)) return undefined;
  const scalar = loopOpScalar(
    op,
    args.map((t) => t.scalar),
    result,
  );
  return scalar === undefined ? undefined : { scalar, lanes };
}
