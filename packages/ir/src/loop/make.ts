/**
 * Constructors of Loop IR expressions, folding integer arithmetic on the way; build.ts has statements and functions.
 * Expressions are a DAG by object identity: one used twice in a statement is computed once. Use `let` to fix the moment
 * at which loads happen.
 */
import { isFloat, roundTo, type ScalarType } from "../dtype.ts";
import type { LoopExpr, LoopPointer, LoopType, LoopVar } from "./loop.ts";
import { foldOps, type LoopOp, loopOpScalar, loopOpType } from "./machine-ops.ts";

const types: Record<ScalarType, LoopType[]> = { f32: [], f64: [], i32: [], u32: [], bool: [], i64: [] };

/** The one object of each type. */
export function type(scalar: ScalarType, lanes = 1): LoopType {
  return (types[scalar][lanes] ??= { scalar, lanes });
}

export const describeType = (t: LoopType): string => (t.lanes === 1 ? t.scalar : `${t.scalar}x${t.lanes}`);

// --- Expressions ----------------------------------------------------------------------------------------------------

/** A constant on every lane, rounded to what the type holds. */
export function constant(scalar: ScalarType, value: number | bigint, lanes = 1): LoopExpr {
  const rounded = scalar === "i64" ? BigInt.asIntN(64, BigInt(value)) : roundTo(scalar, Number(value));
  return { kind: "const", type: type(scalar, lanes), value: rounded };
}

const smallIntegers: LoopExpr[] = [];

export function i32(value: number): LoopExpr {
  if (value < 0 || value > 256 || value !== Math.trunc(value) || Object.is(value, -0)) return constant("i32", value);
  return (smallIntegers[value] ??= constant("i32", value));
}
export const f32 = (value: number): LoopExpr => constant("f32", value);
export const f64 = (value: number): LoopExpr => constant("f64", value);
export const bool = (value: boolean): LoopExpr => constant("bool", value ? 1 : 0);

const variables = new WeakMap<LoopVar, LoopExpr>();

/** The value of a variable; one object for each, so that sharing is seen. */
export function use(variable: LoopVar): LoopExpr {
  let found = variables.get(variable);
  if (found === undefined) variables.set(variable, (found = { kind: "var", type: variable.type, variable }));
  return found;
}

/** The value if the expression is a constant number. */
export function constValue(e: LoopExpr): number | undefined {
  return e.kind === "const" && typeof e.value === "number" ? e.value : undefined;
}

/** Result scalars of ops on operand scalars, by text: inference is what building large expressions spends its time on. */
const results = new Map<string, ScalarType>();

function resultScalar(name: LoopOp, args: readonly LoopExpr[]): ScalarType {
  let key: string = name;
  for (const a of args) key += `,${a.type.scalar}`;
  let found = results.get(key);
  if (found === undefined) {
    found = loopOpScalar(
      name,
      args.map((a) => a.type.scalar),
    );
    if (found === undefined)
      throw new Error(`loop op ${name} does not take (${args.map((a) => describeType(a.type)).join(", ")})`);
    results.set(key, found);
  }
  return found;
}

/** An op on operands that agree in lanes; one-lane operands beside wider ones are splat. */
export function op(name: LoopOp, ...args: readonly LoopExpr[]): LoopExpr {
  let lanes = 1;
  for (const a of args) if (a.type.lanes > lanes) lanes = a.type.lanes;
  let wide = args;
  for (const a of args) if (a.type.lanes !== lanes) wide = args.map((each) => splat(each, lanes));
  return { kind: "op", type: type(resultScalar(name, wide), lanes), op: name, args: wide };
}

export function cast(x: LoopExpr, to: ScalarType): LoopExpr {
  return x.type.scalar === to ? x : convert("cast", x, to);
}

export function bitcast(x: LoopExpr, to: ScalarType): LoopExpr {
  return x.type.scalar === to ? x : convert("bitcast", x, to);
}

function convert(name: "cast" | "bitcast", x: LoopExpr, to: ScalarType): LoopExpr {
  if (loopOpType(name, [x.type], to) === undefined) throw new Error(`no ${name} from ${describeType(x.type)} to ${to}`);
  return { kind: "op", type: type(to, x.type.lanes), op: name, args: [x] };
}

/** All lanes equal to a one-lane expression. Itself where the lanes are right already. */
export function splat(arg: LoopExpr, lanes: number): LoopExpr {
  if (arg.type.lanes === lanes) return arg;
  if (arg.type.lanes !== 1) throw new Error(`splat of ${describeType(arg.type)}`);
  if (arg.kind === "const") return { kind: "const", type: type(arg.type.scalar, lanes), value: arg.value };
  return { kind: "splat", type: type(arg.type.scalar, lanes), arg };
}

/** base, base + 1, ... as i32. */
export function ramp(base: LoopExpr, lanes: number): LoopExpr {
  return lanes === 1 ? base : { kind: "ramp", type: type("i32", lanes), base };
}

export function pack(...args: readonly LoopExpr[]): LoopExpr {
  return args.length === 1 ? args[0]! : { kind: "pack", type: type(args[0]!.type.scalar, args.length), args };
}

export function lane(arg: LoopExpr, index: number): LoopExpr {
  if (arg.type.lanes === 1) return arg;
  if (arg.kind === "splat") return arg.arg;
  if (arg.kind === "const") return { ...arg, type: type(arg.type.scalar) };
  return { kind: "lane", type: type(arg.type.scalar), arg, lane: index };
}

/** Folds the lanes into one, pairwise: lane 0 with 2, 1 with 3, then both. */
export function fold(name: LoopOp, arg: LoopExpr): LoopExpr {
  if (!foldOps.has(name)) throw new Error(`loop op ${name} cannot fold lanes`);
  return arg.type.lanes === 1 ? arg : { kind: "fold", type: type(arg.type.scalar), op: name, arg };
}

/** Whether some lane of a mask is set. */
export function any(mask: LoopExpr): LoopExpr {
  return mask.type.lanes === 1 ? mask : { kind: "any", type: type("bool"), arg: mask };
}

/** Elements `index`, `index + 1`, ... of a pointer; lanes from `active` on are 0 and read nothing. */
export function load(pointer: LoopPointer, index: LoopExpr, lanes = 1, active = lanes): LoopExpr {
  const result = type(pointer.element, lanes);
  return active === lanes
    ? { kind: "load", type: result, pointer, index }
    : { kind: "load", type: result, pointer, index, active };
}

// --- Integer arithmetic with folding (one lane or many; floats are not folded) -----------------------------------------

const isWord = (e: LoopExpr): boolean => e.type.scalar === "i32" || e.type.scalar === "u32";
const wordConst = (like: LoopExpr, value: number): LoopExpr =>
  like.type.scalar === "i32" && like.type.lanes === 1
    ? i32(value | 0)
    : constant(like.type.scalar, value, like.type.lanes);

/** The parts of `x op c` with a constant on the right. */
function constantTail(e: LoopExpr, name: string): { readonly rest: LoopExpr; readonly value: number } | undefined {
  if (e.kind !== "op" || e.op !== name) return undefined;
  const value = constValue(e.args[1]!);
  return value === undefined ? undefined : { rest: e.args[0]!, value };
}

/** a + b. Integers: constants fold and move outwards to the right, so that they become address offsets. */
export function add(a: LoopExpr, b: LoopExpr): LoopExpr {
  if (!isWord(a)) return op("add", a, b);
  if (a.type.lanes !== b.type.lanes) return op("add", a, b);
  const [x, y] = [constValue(a), constValue(b)];
  if (x !== undefined && y !== undefined) return wordConst(a, x + y);
  if (x !== undefined) return add(b, a);
  if (y === 0) return a;
  const left = constantTail(a, "add");
  if (y !== undefined) return left === undefined ? op("add", a, b) : add(left.rest, wordConst(a, left.value + y));
  if (left !== undefined) return add(add(left.rest, b), wordConst(a, left.value));
  const right = constantTail(b, "add");
  if (right !== undefined) return add(add(a, right.rest), wordConst(a, right.value));
  return op("add", a, b);
}

export function sub(a: LoopExpr, b: LoopExpr): LoopExpr {
  const y = isWord(b) && a.type.lanes === b.type.lanes ? constValue(b) : undefined;
  if (y !== undefined) return add(a, wordConst(a, -y));
  return a === b && isWord(a) ? wordConst(a, 0) : op("sub", a, b);
}

/** a * b. Integers: constants fold, and a constant factor distributes over an added constant. */
export function mul(a: LoopExpr, b: LoopExpr): LoopExpr {
  if (!isWord(a) || a.type.lanes !== b.type.lanes) return op("mul", a, b);
  const [x, y] = [constValue(a), constValue(b)];
  if (x !== undefined && y !== undefined) return wordConst(a, Math.imul(x, y));
  if (x !== undefined) return mul(b, a);
  if (y === 0) return b;
  if (y === 1) return a;
  if (y !== undefined) {
    const sum = constantTail(a, "add");
    if (sum !== undefined) return add(mul(sum.rest, b), wordConst(a, Math.imul(sum.value, y)));
    const product = constantTail(a, "mul");
    if (product !== undefined) return mul(product.rest, wordConst(a, Math.imul(product.value, y)));
  }
  return op("mul", a, b);
}

/** The sum of many terms; 0 (i32) for none. */
export function sum(...terms: readonly LoopExpr[]): LoopExpr {
  return terms.reduce(add, i32(0));
}

/** floor(a / by) of one-lane i32 with by > 0. `nonNegative` says that a >= 0 is known. */
export function floorDiv(a: LoopExpr, by: LoopExpr, nonNegative = isNonNegative(a)): LoopExpr {
  const [x, y] = [constValue(a), constValue(by)];
  if (y === 1) return a;
  if (x !== undefined && y !== undefined && a.type.lanes === 1) return i32(Math.floor(x / y));
  if (y !== undefined && (y & (y - 1)) === 0) return op("shr", a, wordConst(a, 31 - Math.clz32(y)));
  if (nonNegative) return op("divU", a, by);
  const quotient = op("div", a, by);
  return op("sub", quotient, cast(op("lt", a, op("mul", quotient, by)), a.type.scalar));
}

/** a - by * floor(a / by), by > 0. */
export function floorMod(a: LoopExpr, by: LoopExpr, nonNegative = isNonNegative(a)): LoopExpr {
  const [x, y] = [constValue(a), constValue(by)];
  if (y === 1) return wordConst(a, 0);
  if (x !== undefined && y !== undefined && a.type.lanes === 1) return i32(x - y * Math.floor(x / y));
  if (y !== undefined && (y & (y - 1)) === 0) return op("and", a, wordConst(a, y - 1));
  return nonNegative ? op("remU", a, by) : op("sub", a, op("mul", floorDiv(a, by, false), by));
}

export function min(a: LoopExpr, b: LoopExpr): LoopExpr {
  const [x, y] = [constValue(a), constValue(b)];
  if (a === b) return a;
  return isWord(a) && a.type.lanes === 1 && x !== undefined && y !== undefined
    ? wordConst(a, Math.min(x, y))
    : op("min", a, b);
}

export function max(a: LoopExpr, b: LoopExpr): LoopExpr {
  const [x, y] = [constValue(a), constValue(b)];
  if (a === b) return a;
  return isWord(a) && a.type.lanes === 1 && x !== undefined && y !== undefined
    ? wordConst(a, Math.max(x, y))
    : op("max", a, b);
}

/** a * b + c, fused where floats allow. */
export function fma(a: LoopExpr, b: LoopExpr, c: LoopExpr): LoopExpr {
  return isFloat(a.type.scalar) ? op("fma", a, b, c) : add(mul(a, b), c);
}

export const select = (mask: LoopExpr, a: LoopExpr, b: LoopExpr): LoopExpr => (a === b ? a : op("select", mask, a, b));
export const lt = (a: LoopExpr, b: LoopExpr): LoopExpr => op("lt", a, b);
export const ge = (a: LoopExpr, b: LoopExpr): LoopExpr => op("ge", a, b);
export const eq = (a: LoopExpr, b: LoopExpr): LoopExpr => op("eq", a, b);
export const and = (a: LoopExpr, b: LoopExpr): LoopExpr => op("and", a, b);
export const not = (a: LoopExpr): LoopExpr => op("not", a);

/**
 * Whether an i32 expression is known not to be negative, without looking at what variables were bound to. Loop
 * counters and integer parameters are positions and counts, which are never negative by contract (a `for` over negative
 * numbers starts at 0 and subtracts); an immutable or mutable local may be anything.
 */
export function isNonNegative(e: LoopExpr): boolean {
  if (e.kind === "const") return typeof e.value === "number" && e.value >= 0;
  if (e.kind === "var") return e.variable.type.scalar === "i32" && positions.has(e.variable);
  if (e.kind !== "op") return false;
  switch (e.op) {
    case "add":
    case "mul":
    case "min":
    case "divU":
    case "remU":
    case "div":
      return e.args.every(isNonNegative);
    case "max":
    case "and":
      return e.args.some(isNonNegative);
    case "shr":
      return isNonNegative(e.args[0]!);
    case "select":
      return isNonNegative(e.args[1]!) && isNonNegative(e.args[2]!);
    default:
      return false;
  }
}
/** Variables made as loop counters or parameters, and locals bound to what cannot be negative. */
const positions = new WeakSet<LoopVar>();

export function markNonNegative(variable: LoopVar): void {
  positions.add(variable);
}
