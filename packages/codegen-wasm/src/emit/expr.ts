/**
 * Values: Loop IR expressions to wasm. A value is one register, or two for four lanes of 64 bits. Within a statement a
 * node used more than once is computed once, in a local; a node that nothing can change stays there for the statements
 * after it.
 */
import {
  type LoopExpr,
  type LoopType,
  loop,
  loopOperands,
  type MathBuilder,
  type MathName,
  mathBuilder,
  mathF32,
  mathF64,
} from "@sinter/ir";
import type { Code, OpCode } from "../asm.ts";
import { depthOf } from "./address.ts";
import { emitBitcast, emitCast } from "./casts.ts";
import { type FuncContext, isPair, registerType } from "./context.ts";

import { emitGather, emitLoad, emitSplatLoad, isWordScalar } from "./memory.ts";
import { applyForm, formOf, type Row, rows } from "./simd.ts";

type Node<K extends LoopExpr["kind"]> = Extract<LoopExpr, { kind: K }>;

/** Counts the uses of every node below, so that emission knows what is shared. */
export function countUses(c: FuncContext, e: LoopExpr): void {
  if (e.kind === "const" || e.kind === "var") return;
  const count = c.uses.get(e);
  c.uses.set(e, (count ?? 0) + 1);
  if (count !== undefined) return;
  // What only happens rarely is counted when it is emitted, inside its branch.
  const operands = e.kind === "op" && e.op === "rarely" ? e.args.slice(0, 2) : loopOperands(e);
  for (const operand of operands) countUses(c, operand);
}

/** Whether no later statement can change the value. */
export function isStable(c: FuncContext, e: LoopExpr): boolean {
  return depthOf(c, e) !== Infinity;
}

export function emitExpr(c: FuncContext, e: LoopExpr): Code[] {
  if (e.kind === "const") return emitConst(c, e);
  if (e.kind === "var") return c.getVariable(e.variable);
  const known = c.sharedValue(e);
  if (known !== undefined) return known;
  const codes = emitNode(c, e);
  return (c.uses.get(e) ?? 0) > 1 ? c.share(e, codes) : codes;
}

function emitConst(c: FuncContext, e: Node<"const">): Code[] {
  const { asm } = c;
  const { scalar, lanes } = e.type;
  if (scalar === "i64") {
    const value = BigInt(e.value);
    return lanes === 1 ? [asm.i64(value)] : [c.splatI64(value), c.splatI64(value)];
  }
  const value = Number(e.value);
  if (lanes === 1) return [scalar === "f32" ? asm.f32(value) : scalar === "f64" ? asm.f64(value) : asm.i32(value)];
  if (scalar === "f32") return [c.splatF32(value)];
  if (scalar === "f64") return [c.splatF64(value), c.splatF64(value)];
  return [c.splatI32(scalar === "bool" ? -value : value)];
}

function emitNode(c: FuncContext, e: Exclude<LoopExpr, Node<"const"> | Node<"var">>): Code[] {
  switch (e.kind) {
    case "op":
      return emitOp(c, e);
    case "load":
      return emitLoad(c, e);
    case "splat":
      return emitSplat(c, e);
    case "ramp": {
      const counts = c.vector("ramp", () => Int32Array.of(0, 1, 2, 3).buffer);
      return [c.op("AddVecI32x4", c.asm.unary("SplatVecI32x4", c.one(e.base)), counts)];
    }
    case "pack":
      return emitPack(c, e);
    case "lane":
      return [emitLane(c, c.plain(e.arg), e.arg.type, e.lane)];
    case "fold":
      return [emitFold(c, e)];
    case "any": {
      const codes = c.value(e.arg);
      if (e.arg.type.lanes === 1) return codes;
      return [c.asm.unary("AnyTrueVec128", codes.length === 1 ? codes[0]! : c.op("OrVec128", codes[0]!, codes[1]!))];
    }
    default:
      return e satisfies never;
  }
}

/** Whether a node is a load that only this use needs, so that it may become part of another instruction. */
function ownLoad(c: FuncContext, e: LoopExpr): e is Node<"load"> {
  return e.kind === "load" && e.type.lanes === 1 && e.active === undefined && (c.uses.get(e) ?? 0) <= 1;
}

function emitSplat(c: FuncContext, e: Node<"splat">): Code[] {
  const { scalar } = e.arg.type;
  if (scalar !== "bool" && ownLoad(c, e.arg)) return emitSplatLoad(c, e.arg);
  return splatRegister(c, c.one(e.arg), scalar);
}

function splatRegister(c: FuncContext, code: Code, scalar: LoopType["scalar"]): Code[] {
  const { asm } = c;
  if (scalar === "f32") return [asm.unary("SplatVecF32x4", code)];
  if (scalar === "f64" || scalar === "i64") {
    const value = c.temp(asm.unary(scalar === "f64" ? "SplatVecF64x2" : "SplatVecI64x2", code), "v128");
    return [value(), value()];
  }
  return [asm.unary("SplatVecI32x4", scalar === "bool" ? c.op("SubInt32", asm.i32(0), code) : code)];
}

function emitPack(c: FuncContext, e: Node<"pack">): Code[] {
  const { scalar } = e.type;
  const loads = e.args.filter((a) => ownLoad(c, a));
  if (loads.length === e.args.length && isWordScalar(scalar)) return [emitGather(c, loads)];
  return packLanes(
    c,
    e.args.map((a) => c.one(a)),
    scalar,
  );
}

function packLanes(c: FuncContext, lanes: readonly Code[], scalar: LoopType["scalar"]): Code[] {
  const { asm } = c;
  if (scalar === "f64" || scalar === "i64") {
    const name = scalar === "f64" ? "F64x2" : "I64x2";
    return [0, 2].map((i) =>
      asm.replace(`ReplaceLaneVec${name}`, asm.unary(`SplatVec${name}`, lanes[i]!), 1, lanes[i + 1]!),
    );
  }
  const name = scalar === "f32" ? "F32x4" : "I32x4";
  let vec = asm.unary(`SplatVec${name}`, lanes[0]!);
  for (let i = 1; i < 4; i++) vec = asm.replace(`ReplaceLaneVec${name}`, vec, i, lanes[i]!);
  return [scalar === "bool" ? asm.unary("NegVecI32x4", vec) : vec];
}

/** One lane of registers in the plain layout. */
function emitLane(c: FuncContext, codes: readonly Code[], type: LoopType, lane: number): Code {
  const { asm } = c;
  if (type.lanes === 1) return codes[0]!;
  switch (type.scalar) {
    case "f32":
      return asm.extract("ExtractLaneVecF32x4", codes[0]!, lane);
    case "f64":
      return asm.extract("ExtractLaneVecF64x2", codes[lane >> 1]!, lane & 1);
    case "i64":
      return asm.extract("ExtractLaneVecI64x2", codes[lane >> 1]!, lane & 1);
    case "bool":
      return c.op("AndInt32", asm.extract("ExtractLaneVecI32x4", codes[0]!, lane), asm.i32(1));
    default:
      return asm.extract("ExtractLaneVecI32x4", codes[0]!, lane);
  }
}

function emitFold(c: FuncContext, e: Node<"fold">): Code {
  const { asm } = c;
  const { type } = e.arg;
  const codes = c.plain(e.arg);
  const row = rows[e.op as keyof typeof rows] as Row;
  const vectorForm = row.kind === "forms" ? row.forms[formOf(type)] : undefined;
  const scalarForm = row.kind === "forms" ? row.forms[type.scalar] : undefined;
  if (vectorForm === undefined || scalarForm === undefined) throw new Error(`no fold of ${type.scalar} by ${e.op}`);
  let pairs: () => Code;
  if (codes.length === 2) pairs = c.temp(applyForm(c, vectorForm, codes), "v128");
  else {
    const all = c.temp(codes[0]!, "v128");
    pairs = c.temp(applyForm(c, vectorForm, [all(), asm.shuffle(all(), all(), [2, 3, 2, 3])]), "v128");
  }
  const lane = (i: number): Code => emitLane(c, [pairs()], type, i);
  return applyForm(c, scalarForm, [lane(0), lane(1)]);
}

function emitOp(c: FuncContext, e: Node<"op">): Code[] {
  const row = rows[e.op as keyof typeof rows] as Row | undefined;
  if (row === undefined) throw new Error(`no wasm form of loop op ${e.op}`);
  switch (row.kind) {
    case "expand":
      return emitExpansion(c, row.expand(e.args, e.type), e.args);
    case "math":
      return emitMath(c, e);
    case "special":
      return emitSpecial(c, e);
    case "shift":
      return emitShift(c, e, row);
    case "forms":
      return emitForms(c, e, row);
    default:
      return row satisfies never;
  }
}

/** Emits what a node is written out as. The operands were counted as used once, by the node. */
function emitExpansion(c: FuncContext, expanded: LoopExpr, operands: readonly LoopExpr[]): Code[] {
  for (const operand of operands) {
    const count = c.uses.get(operand);
    if (count !== undefined) c.uses.set(operand, count - 1);
  }
  countUses(c, expanded);
  // A node that expands to an operand of its own, or to a leaf, was counted by its user already.
  return c.value(expanded);
}

function emitMath(c: FuncContext, e: Node<"op">): Code[] {
  const { scalar, lanes } = e.type;
  const table = scalar === "f32" ? mathF32 : mathF64;
  const functionOf = table[e.op as MathName] as (b: MathBuilder<LoopExpr>, ...args: LoopExpr[]) => LoopExpr;
  if (scalar === "f32" && lanes === 1) {
    // In vector registers, where fma is: a lone lane then rounds as it would among others.
    const wide = e.args.map((a) => loop.splat(a, 4));
    return emitExpansion(c, loop.lane(functionOf(mathBuilder(4), ...wide), 0), e.args);
  }
  return emitExpansion(c, functionOf(mathBuilder(lanes), ...e.args), e.args);
}

/** Operands whose masks agree in layout: pairs only where all of them are. */
function agree(c: FuncContext, args: readonly LoopExpr[]): Code[][] {
  const values = args.map((a) => c.value(a));
  if (values.every((v) => v.length === values[0]!.length)) return values;
  return values.map((v, i) => (args[i]!.type.scalar === "bool" ? [c.narrowMask(v)] : v));
}

function emitForms(c: FuncContext, e: Node<"op">, row: Extract<Row, { kind: "forms" }>): Code[] {
  const type = e.args[0]!.type;
  const values = agree(c, e.args);
  const form = row.forms[formOf(type)];
  if (form !== undefined)
    return values[0]!.map((_, i) =>
      applyForm(
        c,
        form,
        values.map((v) => v[i]!),
        e.args,
      ),
    );
  const scalarForm = row.forms[type.scalar];
  if (scalarForm === undefined || type.lanes === 1) throw new Error(`loop op ${e.op} has no form for ${type.scalar}`);
  return laneByLane(c, e, values, (args) => applyForm(c, scalarForm, args, e.args));
}

/** Does to each lane what one lane does. */
function laneByLane(
  c: FuncContext,
  e: Node<"op">,
  values: readonly (readonly Code[])[],
  apply: (args: readonly Code[]) => Code,
): Code[] {
  const registers = values.map((v) => v.map((code) => c.temp(code, "v128")));
  const lanes = [0, 1, 2, 3].map((l) =>
    apply(
      registers.map((value, i) =>
        emitLane(
          c,
          value.map((get) => get()),
          e.args[i]!.type,
          l,
        ),
      ),
    ),
  );
  return packLanes(c, lanes, e.type.scalar);
}

function emitShift(c: FuncContext, e: Node<"op">, row: Extract<Row, { kind: "shift" }>): Code[] {
  const [x, amount] = e.args as readonly [LoopExpr, LoopExpr];
  const form = row.forms[formOf(x.type)]!;
  if (x.type.lanes === 1) return [c.asm.binary(form, c.one(x), c.one(amount))];
  if (amount.kind !== "const" && amount.kind !== "splat") {
    const scalarForm = row.forms[x.type.scalar]!;
    return laneByLane(c, e, [c.plain(x), c.plain(amount)], (args) => applyForm(c, scalarForm, args));
  }
  const values = c.value(x);
  let by: () => Code;
  if (amount.kind === "const") by = () => c.asm.i32(Number(amount.value));
  else {
    const code = c.one(amount.arg);
    by = c.temp(amount.type.scalar === "i64" ? c.asm.unary("WrapInt64", code) : code, "i32");
  }
  return values.map((v) => c.asm.shift(form, v, by()));
}

function emitSpecial(c: FuncContext, e: Node<"op">): Code[] {
  const [a, b, d] = e.args as readonly [LoopExpr, LoopExpr, LoopExpr];
  switch (e.op) {
    case "cast":
      return emitCast(c, c.value(a), a.type, e.type.scalar);
    case "bitcast":
      return emitBitcast(c, c.value(a), a.type, e.type.scalar);
    case "fma":
      return emitFma(c, e);
    case "select":
      return emitSelect(c, a, b, d);
    case "rarely":
      return emitRarely(c, a, b, d);
    default:
      throw new Error(`no wasm form of loop op ${e.op}`);
  }
}

function emitFma(c: FuncContext, e: Node<"op">): Code[] {
  const { asm } = c;
  const shape = e.type.scalar === "f32" ? "F32x4" : "F64x2";
  const [x, y, z] = e.args.map((a) => c.value(a)) as [Code[], Code[], Code[]];
  if (e.type.lanes === 1) {
    if (!c.features.relaxedSimd) {
      const name = e.type.scalar === "f32" ? "Float32" : "Float64";
      return [c.op(`Add${name}`, c.op(`Mul${name}`, x[0]!, y[0]!), z[0]!)];
    }
    // Scalar wasm has no fma: go through a vector, so that a tail rounds as the body does.
    const wide = [x, y, z].map((v) => asm.unary(`SplatVec${shape}`, v[0]!)) as [Code, Code, Code];
    return [asm.extract(`ExtractLaneVec${shape}`, asm.ternary(`RelaxedMaddVec${shape}`, ...wide), 0)];
  }
  return x.map((code, i) =>
    c.features.relaxedSimd
      ? asm.ternary(`RelaxedMaddVec${shape}`, code, y[i]!, z[i]!)
      : c.op(`AddVec${shape}`, c.op(`MulVec${shape}`, code, y[i]!), z[i]!),
  );
}

const isZero = (e: LoopExpr): boolean => e.kind === "const" && (Object.is(e.value, 0) || e.value === 0n);

function emitSelect(c: FuncContext, mask: LoopExpr, a: LoopExpr, b: LoopExpr): Code[] {
  if (mask.type.lanes === 1) return [c.asm.select(c.one(mask), c.one(a), c.one(b))];
  const raw = c.value(mask);
  const masks = isPair(a.type) ? c.wideMask(raw) : [c.narrowMask(raw)];
  if (isZero(b)) return c.plain(a).map((code, i) => c.op("AndVec128", code, masks[i]!));
  if (isZero(a)) return c.plain(b).map((code, i) => c.op("AndNotVec128", code, masks[i]!));
  const [x, y] = [c.plain(a), c.plain(b)];
  return x.map((code, i) => c.asm.ternary("BitselectVec128", code, y[i]!, masks[i]!));
}

/** `fast`, and where some lane of the mask is set, a branch that computes `slow` and blends it in. */
function emitRarely(c: FuncContext, mask: LoopExpr, fast: LoopExpr, slow: LoopExpr): Code[] {
  const { asm } = c;
  const type = registerType(fast.type);
  const lanes = fast.type.lanes;
  const raw = c.value(mask);
  const flags = (lanes === 1 ? raw : isPair(fast.type) ? c.wideMask(raw) : [c.narrowMask(raw)]).map((code) =>
    c.temp(code, lanes === 1 ? "i32" : "v128"),
  );
  const locals = c.plain(fast).map((code) => {
    const local = c.local(type);
    c.list.push(asm.set(local, code));
    return local;
  });
  const body = c.collect(() => {
    countUses(c, slow);
    for (const [i, code] of c.plain(slow).entries()) {
      const old = asm.get(locals[i]!, type);
      const blended =
        lanes === 1 ? asm.select(flags[i]!(), code, old) : asm.ternary("BitselectVec128", code, old, flags[i]!());
      c.list.push(asm.set(locals[i]!, blended));
    }
  });
  const any: OpCode = "AnyTrueVec128";
  const test =
    lanes === 1
      ? flags[0]!()
      : asm.unary(any, flags.length === 1 ? flags[0]!() : c.op("OrVec128", flags[0]!(), flags[1]!()));
  c.list.push(asm.if(test, body));
  return locals.map((local) => asm.get(local, type));
}
