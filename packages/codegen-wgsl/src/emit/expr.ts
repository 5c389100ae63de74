/**
 * Values: Loop IR expressions to WGSL text. A node that a statement uses more than once is computed once, under a name;
 * integers and floats of constants are computed here, since WGSL rejects constant expressions that overflow or are NaN.
 */
import {
  evalLoopOp,
  isMachineOp,
  type LoopExpr,
  type LoopType,
  type LoopVar,
  loop,
  loopOperands,
  scalarOps,
} from "@sinter/ir";
import { bare, FuncWriter } from "./context.ts";
import { isHelper } from "./helpers.ts";
import { mathValue } from "./math.ts";
import { loadText } from "./memory.ts";
import { type OpExpr, rowOf } from "./ops.ts";
import type { Module } from "./space.ts";
import { typeName, typeText } from "./types.ts";

type Node<K extends LoopExpr["kind"]> = Extract<LoopExpr, { kind: K }>;

const components = ["x", "y", "z", "w"] as const;

/** Counts the uses of every node below, so that it is known what is shared. */
export function countUses(w: FuncWriter, e: LoopExpr): void {
  if (e.kind === "const" || e.kind === "var") return;
  const count = w.uses.get(e);
  w.uses.set(e, (count ?? 0) + 1);
  if (count !== undefined) return;
  // What only happens rarely is counted inside its branch.
  const operands = e.kind === "op" && e.op === "rarely" ? e.args.slice(0, 2) : loopOperands(e);
  for (const operand of operands) countUses(w, operand);
}

/** The text of a value: an atom, a call, or in parentheses. */
export function exprText(w: FuncWriter, e: LoopExpr): string {
  if (e.kind === "const") return w.constant(e.type, Number(e.value));
  if (e.kind === "var") return w.name(e.variable);
  const known = w.shared.get(e);
  if (known !== undefined) return known;
  const made = nodeText(w, e);
  const text = (w.uses.get(e) ?? 0) > 1 ? w.atom(made) : w.short(made);
  w.shared.set(e, text);
  return text;
}

/** The value of an expression that a statement is made of. */
export function valueText(w: FuncWriter, e: LoopExpr): string {
  return bare(exprText(w, e));
}

function nodeText(w: FuncWriter, e: Exclude<LoopExpr, Node<"const"> | Node<"var">>): string {
  switch (e.kind) {
    case "op":
      return opText(w, e);
    case "load":
      return loadText(w, e, exprText);
    case "splat":
      return `${typeText(e.type)}(${valueText(w, e.arg)})`;
    case "ramp":
      return `(${exprText(w, e.base)} + vec4i(0, 1, 2, 3))`;
    case "pack":
      return `${typeText(e.type)}(${e.args.map((a) => valueText(w, a)).join(", ")})`;
    case "lane":
      return `${w.atom(exprText(w, e.arg))}.${components[e.lane]}`;
    case "fold":
      return foldText(w, e);
    case "any": {
      const value = exprText(w, e.arg);
      return e.arg.type.lanes === 1 ? value : `any(${value})`;
    }
    default:
      return e satisfies never;
  }
}

/** Whether WGSL would compute a text when it compiles. */
function isConstant(e: LoopExpr): boolean {
  if (e.kind === "const") return true;
  if (e.kind === "splat" || e.kind === "lane") return isConstant(e.arg);
  return e.kind === "pack" && e.args.every(isConstant);
}

/** Divisions of positions: they cost as much as many sums, and positions of neighbours share them. */
const isQuotient = (e: LoopExpr): boolean => e.kind === "op" && (e.op === "divU" || e.op === "remU") && isFixed(e);

/** Whether an integer is made of what does not change. */
function isFixed(e: LoopExpr): boolean {
  if (e.kind === "const") return true;
  if (e.kind === "var") return !e.variable.mutable;
  return e.kind === "op" && e.type.scalar === "i32" && e.type.lanes === 1 && e.args.every(isFixed);
}

/** The name that holds a quotient: `name`, declared here, or one from before. Undefined for other values. */
export function quotientName(w: FuncWriter, e: LoopExpr, name?: string): string | undefined {
  if (e.kind !== "op" || !isQuotient(e) || e.args.every(isConstant)) return undefined;
  const text = operation(w, e);
  const known = w.quotient(text);
  if (known !== undefined) return known;
  if (name !== undefined) w.push(`let ${name} = ${bare(text)};`);
  return w.nameQuotient(text, name ?? w.temp(text));
}

function opText(w: FuncWriter, e: OpExpr): string {
  return quotientName(w, e) ?? operation(w, e);
}

function operation(w: FuncWriter, e: OpExpr): string {
  if (e.args.every((a) => a.kind === "const") && !isHelper(e.op)) {
    const value = foldedValue(e);
    if (value !== undefined) return w.constant(e.type, value);
  }
  if (isHelper(e.op)) {
    const args = e.args.map((a) => exprText(w, a));
    return `${w.module.helpers.use(e.op, e.type.lanes)}(${args.map(bare).join(", ")})`;
  }
  const row = rowOf(e.op);
  if (row === undefined) throw new Error(`no WGSL form of loop op ${e.op}`);
  switch (row.kind) {
    case "text": {
      let args = e.args.map((a) => exprText(w, a));
      if (e.args.every(isConstant)) args = args.map((a) => w.temp(a));
      return row.write(w, args, e);
    }
    case "expand":
      return expansionText(w, row.expand(e.args, e.type), e.args);
    case "math": {
      const args = e.args.map((a) => valueText(w, a));
      return `${mathFunction(w.module, e.op, e.type.lanes)}(${args.join(", ")})`;
    }
    case "rarely":
      return rarelyText(w, e.args as readonly [LoopExpr, LoopExpr, LoopExpr]);
    default:
      return row satisfies never;
  }
}

/** The value of an operation on constants. */
function foldedValue(e: OpExpr): number | undefined {
  const types = e.args.map((a) => a.type.scalar);
  const values = e.args.map((a) => (a.kind === "const" ? a.value : 0));
  if ((e.op === "divU" || e.op === "remU") && Number(values[1]) === 0) return 0;
  if (!isMachineOp(e.op) && scalarOps[e.op as keyof typeof scalarOps] === undefined) return undefined;
  return Number(evalLoopOp(e.op, types, e.type.scalar, values));
}

/** What a node is written out as. The operands were counted as used once, by the node. */
function expansionText(w: FuncWriter, expanded: LoopExpr, operands: readonly LoopExpr[]): string {
  for (const operand of operands) {
    const count = w.uses.get(operand);
    if (count !== undefined) w.uses.set(operand, count - 1);
  }
  countUses(w, expanded);
  return exprText(w, expanded);
}

function foldText(w: FuncWriter, e: Node<"fold">): string {
  const name = w.atom(exprText(w, e.arg));
  const { scalar } = e.type;
  const variable = (id: number): LoopExpr => ({
    kind: "var",
    type: e.type,
    variable: { id: -1 - id, name: "", type: e.type, mutable: false },
  });
  const lanes = components.map((c, i) => {
    const part = variable(i);
    if (part.kind === "var") w.alias(part.variable, `${name}.${c}`);
    return part;
  });
  const combine = (x: LoopExpr, y: LoopExpr): LoopExpr => ({
    kind: "op",
    type: loop.type(scalar),
    op: e.op,
    args: [x, y],
  });
  const [a, b, c, d] = lanes as [LoopExpr, LoopExpr, LoopExpr, LoopExpr];
  return exprText(w, combine(combine(a, c), combine(b, d)));
}

/** `fast`, and where some lane of the mask is set, a branch that computes `slow` and blends it in. */
function rarelyText(w: FuncWriter, [mask, fast, slow]: readonly [LoopExpr, LoopExpr, LoopExpr]): string {
  const test = w.atom(exprText(w, mask));
  const start = valueText(w, fast);
  const name = w.variable(start);
  w.block(`if (${mask.type.lanes === 1 ? test : `any(${test})`})`, () => {
    countUses(w, slow);
    const value = valueText(w, slow);
    w.push(`${name} = ${mask.type.lanes === 1 ? value : `select(${name}, ${value}, ${test})`};`);
  });
  return name;
}

/** The name of a function of the math library for so many lanes, which the module has from then on. */
function mathFunction(module: Module, op: string, lanes: number): string {
  const name = lanes > 1 ? `${op}Of4` : `${op}Of`;
  return module.helpers.add(name, () => {
    // What the slow path of tan calls is made of the fast one.
    if (op === "tan") mathFunction(module, "smallTangent", 1);
    const type = loop.type("f32", lanes);
    const names = op === "pow" || op === "atan2" ? ["x", "y"] : ["x"];
    return functionText(module, name, names, type, (args) => mathValue(op, lanes, args));
  });
}

/** A function of the module whose parameters and result are of one type. */
export function functionText(
  module: Module,
  name: string,
  names: readonly string[],
  type: LoopType,
  value: (args: LoopExpr[]) => LoopExpr,
): string {
  const w = new FuncWriter(module);
  const args = names.map((text, id) => {
    const variable: LoopVar = { id, name: text, type, mutable: false };
    w.alias(variable, text);
    return loop.use(variable);
  });
  const body = value(args);
  countUses(w, body);
  const result = valueText(w, body);
  const typed = typeName(type.scalar, type.lanes);
  const parameters = names.map((n) => `${n}: ${typed}`).join(", ");
  return [`fn ${name}(${parameters}) -> ${typed} {`, ...w.lines, `  return ${result};`, "}"].join("\n");
}
