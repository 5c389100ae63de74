/** What each operation is in WGSL: a row for every scalar op and machine op, so that a new op without a row is a type error. */
import { type LoopExpr, type LoopType, loop, type MachineOp, type ScalarOpName } from "@sinter/ir";
import type { FuncWriter } from "./context.ts";
import { typeName, typeText } from "./types.ts";

/** The text of an operation, given those of its operands, which are each used once. */
export type Write = (w: FuncWriter, args: readonly string[], e: OpExpr) => string;
export type OpExpr = Extract<LoopExpr, { kind: "op" }>;

export type Row =
  | { readonly kind: "text"; readonly write: Write }
  /** Written in other operations. */
  | { readonly kind: "expand"; readonly expand: (args: readonly LoopExpr[], type: LoopType) => LoopExpr }
  /** A function of the math library, made a function of the module. */
  | { readonly kind: "math" }
  /** A branch around `slow`. */
  | { readonly kind: "rarely" };

const text = (write: Write): Row => ({ kind: "text", write });
const expand = (rule: (args: readonly LoopExpr[], type: LoopType) => LoopExpr): Row => ({
  kind: "expand",
  expand: rule,
});
const math: Row = { kind: "math" };

const infix = (symbol: string): Row => text((_, [x, y]) => `(${x} ${symbol} ${y})`);
const builtin = (name: string): Row => text((_, args) => `${name}(${args.join(", ")})`);
const helper = (w: FuncWriter, name: string, args: readonly string[], e: OpExpr): string =>
  `${w.module.helpers.use(name, e.type.lanes)}(${args.join(", ")})`;
const scalarOf = (e: OpExpr): string => e.args[0]!.type.scalar;
const like = (e: LoopExpr, value: number): LoopExpr => loop.constant(e.type.scalar, value, e.type.lanes);
const constant = (w: FuncWriter, e: OpExpr, value: number): string => w.constant(e.args[0]!.type, value);

/** Floats through a function of the module, integers by the builtin. */
const extremum = (name: "max" | "min"): Row =>
  text((w, args, e) => (scalarOf(e) === "f32" ? helper(w, `${name}F`, args, e) : `${name}(${args.join(", ")})`));

/** Shifts take an unsigned number of bits, mod 32. */
const shift = (symbol: "<<" | ">>", logical = false): Row =>
  text((w, [x, y], e) => {
    const [, amount] = e.args as readonly [LoopExpr, LoopExpr];
    const { lanes, scalar } = e.type;
    const unsigned = typeName("u32", lanes);
    const by =
      amount.kind === "const"
        ? w.constant({ scalar: "u32", lanes }, Number(amount.value) & 31)
        : `(${amount.type.scalar === "u32" ? y : `${unsigned}(${y})`} & ${w.constant({ scalar: "u32", lanes }, 31)})`;
    if (logical && scalar === "i32") return `bitcast<${typeText(e.type)}>(bitcast<${unsigned}>(${x}) ${symbol} ${by})`;
    return `(${x} ${symbol} ${by})`;
  });

/** On the bits of words, as unsigned ones. */
const asUnsigned = (write: (x: string, y: string, w: FuncWriter, lanes: number) => string, isTest: boolean): Row =>
  text((w, [x, y], e) => {
    const { lanes, scalar } = e.args[0]!.type;
    if (scalar === "u32") return write(x!, y!, w, lanes);
    const unsigned = typeName("u32", lanes);
    const right = e.args[1]!;
    const other =
      right.kind === "const"
        ? w.constant({ scalar: "u32", lanes }, Number(right.value) >>> 0)
        : `bitcast<${unsigned}>(${y})`;
    const value = write(`bitcast<${unsigned}>(${x})`, other, w, lanes);
    return isTest ? value : `bitcast<${typeName("i32", lanes)}>(${value})`;
  });

const equality = (symbol: "==" | "!=", same: string): Row =>
  text((w, [x, y], e) => {
    const [a, b] = e.args;
    // A compiler that assumes that there are no NaNs would know the answer.
    if (a === b && scalarOf(e) === "f32") {
      const nan = `${w.module.helpers.use("isNan", e.type.lanes)}(${x})`;
      return same === "nan" ? nan : `(!${nan})`;
    }
    // `!=` is false for NaN on some devices.
    if (symbol === "!=" && scalarOf(e) === "f32") return `(!(${x} == ${y}))`;
    return `(${x} ${symbol} ${y})`;
  });

const isConstant = (e: LoopExpr | undefined): boolean => e?.kind === "const" && Number(e.value) !== 0;

const integerDivision = (name: "div" | "rem"): Write => {
  const symbol = name === "div" ? "/" : "%";
  return (w, [x, y], e) => {
    const scalar = scalarOf(e);
    if (scalar === "f32") return name === "div" ? `(${x} / ${y})` : helper(w, "remF", [x!, y!], e);
    if (isConstant(e.args[1])) return `(${x} ${symbol} ${y})`;
    return helper(w, `${name}${scalar === "u32" ? "W" : "I"}`, [x!, y!], e);
  };
};

const cast: Write = (w, [x], e) => {
  const [from, to] = [e.args[0]!.type, e.type];
  if (to.scalar === "bool")
    return from.scalar === "f32"
      ? `((bitcast<${typeName("u32", to.lanes)}>(${x}) & ${w.constant({ scalar: "u32", lanes: to.lanes }, 0x7fffffff)}) != ${w.constant({ scalar: "u32", lanes: to.lanes }, 0)})`
      : `(${x} != ${w.constant(from, 0)})`;
  if (from.scalar === "f32" && (to.scalar === "i32" || to.scalar === "u32"))
    return helper(w, to.scalar === "i32" ? "toI" : "toU", [x!], e);
  return `${typeText(to)}(${x})`;
};

export const rows = {
  neg: text((w, [x], e) => (scalarOf(e) === "u32" ? `(${constant(w, e, 0)} - ${x})` : `(-${x})`)),
  abs: text((_, [x], e) => (scalarOf(e) === "u32" ? x! : `abs(${x})`)),
  sign: expand(([x]) => {
    const [one, zero] = [like(x!, 1), like(x!, 0)];
    if (x!.type.scalar === "u32") return loop.select(loop.op("ne", x!, zero), one, zero);
    return loop.select(loop.op("gt", x!, zero), one, loop.select(loop.lt(x!, zero), like(x!, -1), x!));
  }),
  floor: builtin("floor"),
  ceil: builtin("ceil"),
  trunc: builtin("trunc"),
  round: builtin("round"),
  sqrt: builtin("sqrt"),
  rsqrt: text((w, [x], e) => `(${constant(w, e, 1)} / sqrt(${x}))`),
  reciprocal: text((w, [x], e) => `(${constant(w, e, 1)} / ${x})`),
  exp: math,
  expm1: math,
  log: math,
  log1p: math,
  log2: math,
  sin: math,
  cos: math,
  tan: math,
  asin: math,
  acos: math,
  atan: math,
  sinh: math,
  cosh: math,
  tanh: math,
  erf: math,
  logistic: math,
  relu: expand(([x]) => loop.select(loop.op("le", x!, like(x!, 0)), like(x!, 0), x!)),
  isNaN: text((w, args, e) => helper(w, "isNan", args, e)),
  isFinite: text((w, args, e) => helper(w, "isFinite", args, e)),
  not: text((_, [x], e) => (scalarOf(e) === "bool" ? `(!${x})` : `(~${x})`)),
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: text(integerDivision("div")),
  rem: text(integerDivision("rem")),
  pow: math,
  atan2: math,
  max: extremum("max"),
  min: extremum("min"),
  and: infix("&"),
  or: infix("|"),
  xor: text((_, [x, y], e) => `(${x} ${scalarOf(e) === "bool" ? "!=" : "^"} ${y})`),
  shl: shift("<<"),
  shr: shift(">>"),
  eq: equality("==", "number"),
  ne: equality("!=", "nan"),
  lt: infix("<"),
  le: infix("<="),
  gt: infix(">"),
  ge: infix(">="),
  select: text((_, [c, x, y]) => `select(${y}, ${x}, ${c})`),
  fma: builtin("fma"),

  cast: text(cast),
  bitcast: text((_, [x], e) => `bitcast<${typeText(e.type)}>(${x})`),
  rarely: { kind: "rarely" },
  pmin: expand(([a, b]) => loop.select(loop.lt(b!, a!), b!, a!)),
  pmax: expand(([a, b]) => loop.select(loop.lt(a!, b!), b!, a!)),
  shrU: shift(">>", true),
  ltU: asUnsigned((x, y) => `(${x} < ${y})`, true),
  geU: asUnsigned((x, y) => `(${x} >= ${y})`, true),
  divU: asUnsigned((x, y) => `(${x} / ${y})`, false),
  remU: asUnsigned((x, y) => `(${x} % ${y})`, false),
  mulhiU: asUnsigned((x, y, w, lanes) => `${w.module.helpers.use("mulhi", lanes)}(${x}, ${y})`, false),
} satisfies Record<ScalarOpName | MachineOp, Row>;

/** The row of an op, if there is one. */
export function rowOf(op: string): Row | undefined {
  return Object.hasOwn(rows, op) ? rows[op as keyof typeof rows] : undefined;
}
